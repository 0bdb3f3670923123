//! One trace across the broker.

use std::sync::{Arc, Mutex};

use booty_bus::{Headers, Outgoing, Verdict};
use booty_events::{Service, header, stream, subject};
use bytes::Bytes;
use opentelemetry::{
    global,
    trace::{SpanId, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Running, World, eventually, inbox, settings};

#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

#[tokio::test]
async fn a_message_continues_its_publishers_trace() {
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let world = World::new().await;
    let settings = settings("w");
    let mut running = Running::start(&world.bus, &settings, async |_| {
        let context = tracing::Span::current().context();
        // What a handler publishes belongs to the same trace.
        assert!(context.span().span_context().is_valid());
        Verdict::Done
    })
    .await;

    let publisher = tracing::info_span!("publisher");
    let sent = publisher.context().span().span_context().clone();
    world.publish("a").instrument(publisher).await;
    let received = running.next().await;
    let traceparent = received.headers.get(header::TRACEPARENT).unwrap().to_owned();
    assert_eq!(traceparent, format!("00-{}-{}-01", sent.trace_id(), sent.span_id()));

    // A context that is there already stays: forge continues a trace that it has stored.
    let foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers: Headers = [(header::TRACEPARENT, foreign)].into_iter().collect();
    let message = Outgoing { subject: inbox("b"), headers, payload: Bytes::new() };
    world.bus.publish(message).instrument(tracing::info_span!("other")).await.unwrap();
    assert_eq!(running.next().await.headers.get(header::TRACEPARENT), Some(foreign));

    let of_consumer = |subject: &str| {
        let spans = spans.0.lock().unwrap();
        spans.iter().find(|span| is_about(span, subject)).cloned()
    };
    eventually("both are exported", async || {
        of_consumer(&inbox("a")).is_some() && of_consumer(&inbox("b")).is_some()
    })
    .await;
    let span = of_consumer(&inbox("a")).unwrap();
    assert_eq!(span.name, "process booty.inbox.github.issues.labeled.*");
    assert_eq!(span.span_kind, SpanKind::Consumer);
    assert_eq!(
        (span.span_context.trace_id(), span.parent_span_id),
        (sent.trace_id(), sent.span_id())
    );
    let span = of_consumer(&inbox("b")).unwrap();
    assert_eq!(
        span.span_context.trace_id(),
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap()
    );
    assert_eq!(span.parent_span_id, SpanId::from_hex("b7ad6b7169203331").unwrap());
    let has = |key: &str, value: &str| {
        span.attributes.iter().any(|a| a.key.as_str() == key && a.value.as_str() == value)
    };
    assert!(has("messaging.system", "nats") && has("messaging.operation.type", "process"));
    assert!(has("messaging.message.id", &format!("{}-2", stream::INBOX.name)));

    // A replay may come weeks later: a trace of its own, with a link to the first try's.
    let replay = subject::replay(Service::Builder, "BOOTY_INBOX-2", 1);
    let headers = [(header::TRACEPARENT, foreign), (header::SPOOL_SUBJECT, "booty.inbox.x")];
    let headers = headers.into_iter().collect();
    let message = Outgoing { subject: replay, headers, payload: Bytes::new() };
    world.bus.publish(message).instrument(tracing::info_span!("operator")).await.unwrap();
    assert_eq!(running.next().await.replay_of, Some(1));
    eventually("it is exported", async || of_consumer("booty.inbox.x").is_some()).await;
    let span = of_consumer("booty.inbox.x").unwrap();
    assert_eq!(span.parent_span_id, SpanId::INVALID, "a root");
    let first = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap();
    assert_ne!(span.span_context.trace_id(), first);
    let links: Vec<_> = span.links.iter().map(|link| link.span_context.trace_id()).collect();
    assert_eq!(links, [first]);
    running.stop().await;
}

fn is_about(span: &SpanData, subject: &str) -> bool {
    span.attributes.iter().any(|attribute| {
        attribute.key.as_str() == "messaging.destination.name"
            && attribute.value.as_str() == subject
    })
}
