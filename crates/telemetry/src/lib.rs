#![doc = include_str!("../README.md")]

mod context;
mod format;
mod traces;

use std::{str::FromStr, sync::Arc, time::Duration};

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use thiserror::Error;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::FilterFn, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

pub use traces::{Exporter, TraceSettings};

/// How long the last spans may take to leave the process at its end.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people at a terminal.
    Text {
        /// Colours, by ANSI escapes.
        ansi: bool,
    },
}

/// Where logs and traces go, and how much.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The service's name in logs and traces.
    pub service: &'static str,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,booty_forge=debug`.
    pub level: String,
    /// The look of log lines.
    pub format: LogFormat,
    /// Where spans go.
    pub traces: TraceSettings,
}

/// Why telemetry could not be set up.
#[derive(Debug, Error)]
pub enum Error {
    /// `LOG_LEVEL` can't be read.
    #[error(
        "LOG_LEVEL: {text:?} is not a level or a list of directives such as info,booty_forge=debug"
    )]
    Level {
        /// What was given.
        text: String,
        /// The parser's reason.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The span exporter can't be made.
    #[error("the span exporter could not be set up")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber is there already.
    #[error("telemetry was set up twice in one process")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry alive; [`Guard::flush`] sends what is left.
#[must_use = "dropping the guard ends tracing"]
pub struct Guard {
    provider: SdkTracerProvider,
}

impl Guard {
    /// Sends the last spans. Blocks for at most three seconds, so call it after all work is done.
    pub fn flush(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_LIMIT) {
            tracing::warn!(event = "telemetry_flush_failed", %error, "the last spans were not sent");
        }
    }
}

/// Sets up logs, traces and the W3C propagator for this process.
///
/// # Errors
/// When a setting can't be read, the exporter can't be made, or it was called before.
pub fn init(settings: &Settings) -> Result<Guard, Error> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());

    // The exporters' own connections must not become spans of the traces that they carry.
    let quiet = "hyper=warn,hyper_util=warn,h2=warn,reqwest=warn,tower=warn,rustls=warn,\
                 opentelemetry=warn,opentelemetry_sdk=warn,async_nats=warn,octocrab=warn,gix=warn";
    let directives = format!("{quiet},{}", settings.level);
    let filter = EnvFilter::from_str(&directives)
        .map_err(|source| Error::Level { text: settings.level.clone(), source })?;

    let provider = traces::provider(settings.service, &settings.traces)?;
    let ours = FilterFn::new(|metadata| metadata.target().starts_with("booty"));
    let otel = tracing_opentelemetry::layer()
        .with_tracer(opentelemetry::trace::TracerProvider::tracer(&provider, "booty"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(ours);

    let bound = Arc::new(context::Bound::default());
    let lines = match settings.format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .event_format(format::Json::new(settings.service, Arc::clone(&bound)))
            .fmt_fields(format::NoSpanFields)
            .boxed(),
        LogFormat::Text { ansi } => {
            tracing_subscriber::fmt::layer().with_ansi(ansi).with_target(false).boxed()
        }
    };

    tracing_subscriber::registry()
        .with(filter)
        .with(otel)
        .with(context::ContextLayer::new(bound))
        .with(lines)
        .try_init()
        .map_err(Error::Twice)?;
    Ok(Guard { provider })
}

/// The trace id of the current span, 32 hexadecimal digits; `None` when nothing is traced.
pub fn current_trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.trace_id().to_string())
}
