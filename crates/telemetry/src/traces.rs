//! Where spans go, by OpenTelemetry's standard variables.

use opentelemetry::KeyValue;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, TracerProviderBuilder},
};

use crate::Error;

/// Which exporter takes the spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exporter {
    /// None: spans still exist, so that trace ids reach logs, messages and answers.
    None,
    /// Readable text on stdout.
    Console,
    /// OTLP over gRPC; the exporter itself reads endpoint, headers and the like from the standard
    /// variables.
    OtlpGrpc,
    /// OTLP over HTTP with protobuf bodies; likewise.
    OtlpHttp,
}

/// Settings of tracing.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The exporter.
    pub exporter: Exporter,
    /// What is running: a release's name or a commit.
    pub release: String,
}

pub(crate) fn provider(
    service: &'static str,
    settings: &TraceSettings,
) -> Result<SdkTracerProvider, Error> {
    let resource = Resource::builder()
        .with_service_name(format!("booty-{service}"))
        .with_attribute(KeyValue::new("service.namespace", "booty"))
        .with_attribute(KeyValue::new("service.version", settings.release.clone()))
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let builder: TracerProviderBuilder = match &settings.exporter {
        // Ids are made and travel all the same; only the recording that nobody would read goes. It
        // cost ingress a seventh of its rate.
        Exporter::None => builder.with_sampler(Sampler::AlwaysOff),
        Exporter::Console => {
            builder.with_batch_exporter(opentelemetry_stdout::SpanExporter::default())
        }
        Exporter::OtlpGrpc => {
            let exporter = SpanExporter::builder().with_tonic().build();
            builder.with_batch_exporter(exporter.map_err(Error::Exporter)?)
        }
        Exporter::OtlpHttp => {
            let exporter = SpanExporter::builder().with_http().build();
            builder.with_batch_exporter(exporter.map_err(Error::Exporter)?)
        }
    };
    Ok(builder.build())
}
