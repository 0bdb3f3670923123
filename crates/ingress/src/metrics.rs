//! What is counted. Every label's values are a fixed list: nothing from outside becomes a label.

use std::{sync::Arc, time::Duration};

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::answer::{Answer, Refusal};

/// All metrics of one ingress. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<All>);

struct All {
    registry: Registry,
    accepted: IntCounterVec,
    duplicates: IntCounterVec,
    ignored: IntCounterVec,
    refused: IntCounterVec,
    spooled: IntCounterVec,
    drained: IntCounter,
    set_aside: IntCounter,
    spool_entries: IntGauge,
    spool_bytes: IntGauge,
    connections: IntGauge,
    connections_refused: IntCounter,
    answer_seconds: Histogram,
}

/// From 1 ms to the 0.9 s that no answer may pass.
const ANSWER_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.9, 2.0, 10.0];

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("booty_ingress".to_owned()), None)?;
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let answer_seconds = Histogram::with_opts(
            HistogramOpts::new("answer_seconds", "From a request's head to its answer.")
                .buckets(ANSWER_BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(answer_seconds.clone()))?;
        Ok(Self(Arc::new(All {
            accepted: counters("accepted_total", "Deliveries kept for a service.", &["source"])?,
            duplicates: counters(
                "duplicates_total",
                "Deliveries that were kept before.",
                &["source"],
            )?,
            ignored: counters(
                "ignored_total",
                "Deliveries that nobody wants.",
                &["source", "reason"],
            )?,
            refused: counters(
                "refused_total",
                "Requests that were refused.",
                &["source", "status", "reason"],
            )?,
            spooled: counters("spooled_total", "Messages kept on disk, by why.", &["why"])?,
            drained: counter("spool_drained_total", "Spooled messages that reached the broker.")?,
            set_aside: counter(
                "spool_set_aside_total",
                "Spooled messages that the broker will never take; they stay on disk.",
            )?,
            spool_entries: gauge("spool_entries", "Messages in the disk spool.")?,
            spool_bytes: gauge("spool_bytes", "Bytes in the disk spool.")?,
            connections: gauge("connections", "Open connections when the last one came.")?,
            connections_refused: counter(
                "connections_refused_total",
                "Connections closed unheard because there were too many.",
            )?,
            answer_seconds,
            registry,
        })))
    }

    /// `source`: whose path it was; `None` for any other path.
    pub(crate) fn answered(&self, source: Option<&'static str>, answer: &Answer, after: Duration) {
        let source = source.unwrap_or("none");
        self.0.answer_seconds.observe(after.as_secs_f64());
        match answer {
            Answer::Accepted { .. } => self.0.accepted.with_label_values(&[source]).inc(),
            Answer::AlreadyProcessed => self.0.duplicates.with_label_values(&[source]).inc(),
            Answer::Ignored { reason } => {
                self.0.ignored.with_label_values(&[source, *reason]).inc();
            }
            Answer::Refused(Refusal { status, reason, .. }) => {
                self.0.refused.with_label_values(&[source, status.as_str(), *reason]).inc();
            }
            Answer::Pong | Answer::Healthy => {}
        }
    }

    pub(crate) fn spooled(&self, why: &'static str) {
        self.0.spooled.with_label_values(&[why]).inc();
    }

    pub(crate) fn drained(&self) {
        self.0.drained.inc();
    }

    pub(crate) fn set_aside(&self) {
        self.0.set_aside.inc();
    }

    pub(crate) fn spool_size(&self, entries: usize, bytes: u64) {
        self.0.spool_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.0.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn connections(&self, open: usize) {
        self.0.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    pub(crate) fn connection_refused(&self) {
        self.0.connections_refused.inc();
    }

    /// The text form that Prometheus scrapes.
    pub(crate) fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(text)
    }
}
