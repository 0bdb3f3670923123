//! Fields that a span binds to every line logged below it.

use std::sync::OnceLock;

use opentelemetry::trace::TraceContextExt as _;
use tracing::{
    Dispatch, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// The span fields that are copied to each line; others stay with their span.
const BOUND: [&str; 6] = ["delivery_id", "job_id", "issue", "repository", "effect_id", "attempt"];

/// Reads what spans bind. Shared between the layer that learns of the dispatcher and the formatter.
#[derive(Default)]
pub(crate) struct Bound {
    dispatch: OnceLock<WeakDispatch>,
}

impl Bound {
    /// Trace id and span id of a span, when it is traced.
    pub(crate) fn trace_of<S>(&self, span: &SpanRef<'_, S>) -> Option<(String, String)>
    where
        S: for<'a> LookupSpan<'a>,
    {
        let dispatch: Dispatch = self.dispatch.get()?.upgrade()?;
        let context = tracing_opentelemetry::get_otel_context(&span.id(), &dispatch)?;
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| (span.trace_id().to_string(), span.span_id().to_string()))
    }
}

/// What one span binds, kept in its extensions.
#[derive(Default)]
pub(crate) struct BoundFields(pub(crate) Vec<(&'static str, String)>);

impl Visit for BoundFields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.set(field.name(), || format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), || value.to_owned());
    }
}

impl BoundFields {
    fn set(&mut self, name: &str, value: impl FnOnce() -> String) {
        if let Some(name) = BOUND.iter().find(|bound| **bound == name) {
            self.0.retain(|(known, _)| known != name);
            self.0.push((name, value()));
        }
    }
}

/// Collects the bound fields of every span.
pub(crate) struct ContextLayer {
    bound: std::sync::Arc<Bound>,
}

impl ContextLayer {
    pub(crate) fn new(bound: std::sync::Arc<Bound>) -> Self {
        Self { bound }
    }
}

impl<S> Layer<S> for ContextLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // Only the first one counts: a process has one subscriber.
        let _ = self.bound.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut fields = BoundFields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<BoundFields>()
        {
            values.record(fields);
        }
    }
}
