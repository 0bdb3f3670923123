//! W3C trace context in message headers, and the span of a consumed message.

use booty_events::header;
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt as _,
};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{consumer::Delivery, headers::Headers};

/// Puts the current span's context into the headers, unless one is there.
pub fn inject(headers: &mut Headers) {
    if headers.get(header::TRACEPARENT).is_some() {
        return;
    }
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Carrier(headers));
    });
}

/// The context that a message brings.
pub fn extract(headers: &Headers) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&ReadCarrier(headers)))
}

/// The span under which a delivery is handled: the message's context is its parent, so that one
/// trace goes from the webhook to the last effect. A replay begins a trace of its own, with a link to
/// the first try's, whoever published it: it may come weeks later. Named by the filter, not by the
/// subject, as OpenTelemetry's messaging conventions want few names.
pub(crate) fn consumer_span(delivery: &Delivery, durable: &str, template: &str) -> Span {
    let span = info_span!(
        "process",
        otel.name = format!("process {template}"),
        otel.kind = "consumer",
        otel.status_code = tracing::field::Empty,
        otel.status_description = tracing::field::Empty,
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = delivery.subject,
        messaging.destination.template = template,
        messaging.consumer.group.name = durable,
        messaging.message.id = format!("{}-{}", delivery.stream, delivery.sequence),
        messaging.message.body.size = delivery.payload.len(),
        messaging.nats.delivered = delivery.delivered,
        booty.failures = delivery.failures,
        booty.replay_of = delivery.replay_of,
    );
    let context = extract(&delivery.headers);
    if delivery.replay_of.is_some() {
        let _ = span.set_parent(Context::new());
        span.add_link(context.span().span_context().clone());
        return span;
    }
    // Before the span is entered: afterwards its own context is fixed and the call fails. It also
    // fails where no OpenTelemetry layer is installed, and then there is nothing to link to.
    let _ = span.set_parent(context);
    span
}

struct Carrier<'a>(&'a mut Headers);

impl Injector for Carrier<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key, value);
    }
}

struct ReadCarrier<'a>(&'a Headers);

impl Extractor for ReadCarrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name).collect()
    }
}
