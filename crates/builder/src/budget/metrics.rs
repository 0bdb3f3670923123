//! What the builder counts for Prometheus. Names of models are cleaned and few; every other label's values
//! are a fixed list.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use booty_events::v1::Spent;
use prometheus::{
    Counter, CounterVec, Encoder as _, GaugeVec, Histogram, HistogramOpts, IntCounterVec, Opts,
    Registry, TextEncoder,
};

use super::{
    limits::{Ceiling, Scope, What},
    name::Names,
    spent::NANO_PER_USD,
};

/// From half a minute to the longest that a job may be given by default.
const JOB_BUCKETS: &[f64] = &[30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 2_400.0, 4_800.0, 7_200.0];

/// All metrics of one builder. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<All>);

struct All {
    registry: Registry,
    names: Mutex<Names>,
    tokens: IntCounterVec,
    cost: CounterVec,
    calls: IntCounterVec,
    used: GaugeVec,
    jobs: IntCounterVec,
    job_seconds: Histogram,
    waits: Counter,
}

/// What came of a question to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// An answer, which was journalled.
    Answered,
    /// An error, after which it is asked again.
    Retried,
    /// An error that ends the job, or hands it back.
    Failed,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("booty".to_owned()), None)?;
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let cost = CounterVec::new(
            Opts::new("model_cost_usd_total", "US dollars, of answers whose price is known."),
            &["model"],
        )?;
        registry.register(Box::new(cost.clone()))?;
        let used = GaugeVec::new(
            Opts::new(
                "budget_used_ratio",
                "How much of a budget is used: today's, and those of the job and the issue that \
                 were looked at last. 1 and more is used up; no limit, no value.",
            ),
            &["scope", "what"],
        )?;
        registry.register(Box::new(used.clone()))?;
        let job_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "job_duration_seconds",
                "How long workers worked on a run of a job that ended.",
            )
            .buckets(JOB_BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(job_seconds.clone()))?;
        let waits = Counter::new(
            "job_budget_waits_total",
            "How often a job was put off because the budget of the day is used up.",
        )?;
        registry.register(Box::new(waits.clone()))?;
        Ok(Self(Arc::new(All {
            names: Mutex::default(),
            tokens: counters("model_tokens_total", "Tokens of answers.", &["kind", "model"])?,
            cost,
            calls: counters("model_calls_total", "Questions to models.", &["model", "result"])?,
            used,
            jobs: counters("jobs_total", "Runs of jobs that ended.", &["outcome"])?,
            job_seconds,
            waits,
            registry,
        })))
    }

    /// An answer was counted.
    pub(crate) fn spent(&self, model: &str, spent: &Spent) {
        let model = self.label(model);
        for (kind, tokens) in [
            ("input", spent.input_tokens),
            ("output", spent.output_tokens),
            ("cache_read", spent.cache_read_tokens),
            ("cache_write", spent.cache_write_tokens),
        ] {
            self.0.tokens.with_label_values(&[kind, &model]).inc_by(tokens);
        }
        let usd = spent.cost_nano_usd as f64 / NANO_PER_USD as f64;
        self.0.cost.with_label_values(&[&model]).inc_by(usd);
        let result = Asked::Answered.as_str();
        self.0.calls.with_label_values(&[model.as_str(), result]).inc_by(spent.calls);
    }

    /// A question had no answer.
    pub(crate) fn asked(&self, model: &str, asked: Asked) {
        let model = self.label(model);
        self.0.calls.with_label_values(&[model.as_str(), asked.as_str()]).inc();
    }

    /// How much of a budget is used.
    pub(crate) fn used(&self, scope: Scope, spent: &Spent, ceiling: &Ceiling) {
        for what in What::ALL {
            let labels = [scope.as_str(), what.as_str()];
            match ceiling.limit(what) {
                Some(limit) => {
                    let ratio = what.of(spent) as f64 / limit.max(1) as f64;
                    self.0.used.with_label_values(&labels).set(ratio);
                }
                // There may be none: then there is nothing to take away.
                None => drop(self.0.used.remove_label_values(&labels)),
            }
        }
    }

    /// A run of a job ended: proposed, gave_up or needs_human. `worked`: as far as its journal can be read.
    pub(crate) fn ended(&self, outcome: &str, worked: Option<Duration>) {
        let known: BTreeSet<&str> = ["proposed", "gave_up", "needs_human"].into();
        let outcome = known.get(outcome).copied().unwrap_or("other");
        self.0.jobs.with_label_values(&[outcome]).inc();
        if let Some(worked) = worked {
            self.0.job_seconds.observe(worked.as_secs_f64());
        }
    }

    /// A job waits for another day.
    pub(crate) fn waits(&self) {
        self.0.waits.inc();
    }

    /// The text form that Prometheus scrapes.
    pub(crate) fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn label(&self, model: &str) -> String {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner).label(model)
    }
}

impl Asked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Retried => "retried",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_outside_word_makes_a_label() {
        let metrics = Metrics::new().unwrap();
        let spent = Spent { input_tokens: 7, calls: 1, ..Spent::default() };
        for n in 0..500 {
            metrics.spent(&format!("m{n}\"}} 1\nevil"), &spent);
        }
        metrics.ended("whatever a journal says", Some(Duration::from_secs(1)));
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        let series = text.lines().filter(|line| line.starts_with("booty_model_calls_total"));
        assert_eq!(series.count(), 21, "{text}");
        assert!(!text.contains("\nevil"), "{text}");
        assert!(text.contains(r#"booty_jobs_total{outcome="other"} 1"#), "{text}");
    }

    #[test]
    fn a_lifted_limit_has_no_ratio() {
        let metrics = Metrics::new().unwrap();
        let spent = Spent { input_tokens: 500, ..Spent::default() };
        let ceiling = Ceiling { tokens: Some(1_000), ..Ceiling::default() };
        metrics.used(Scope::Day, &spent, &ceiling);
        let half = r#"booty_budget_used_ratio{scope="day",what="tokens"} 0.5"#;
        let text = || String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(text().contains(half), "{}", text());
        metrics.used(Scope::Day, &spent, &Ceiling::default());
        assert!(!text().contains("used_ratio{"), "{}", text());
    }
}
