//! What an answer costs: the one place where prices come in.

use std::{fmt, sync::Arc};

use booty_model::Usage;

use super::spent::nano_usd;

/// What is asked: a model's name and what was used, in dollars.
type CostUsd = dyn Fn(&str, &Usage) -> Option<f64> + Send + Sync;

/// Prices of models.
#[derive(Clone)]
pub struct Prices(Arc<CostUsd>);

impl Prices {
    /// By a function from a model's name and a usage to US dollars; `None`: the price is not known.
    pub fn new(cost_usd: impl Fn(&str, &Usage) -> Option<f64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(cost_usd))
    }

    /// Of no model.
    pub fn unknown() -> Self {
        Self::new(|_, _| None)
    }

    /// Whether a model has one.
    pub(crate) fn know(&self, model: &str) -> bool {
        (self.0)(model, &Usage::default()).is_some()
    }

    /// What an answer of `model` costs, in billionths of a dollar. By the name that the answer gives, because
    /// another model may have stood in; by the one that was asked (`provider:name`) where that is unknown.
    pub(crate) fn of_answer(&self, model: &str, asked: &str, usage: &Usage) -> Option<u64> {
        self.usd_of_answer(model, asked, usage).and_then(nano_usd)
    }

    /// The same in dollars.
    pub(crate) fn usd_of_answer(&self, model: &str, asked: &str, usage: &Usage) -> Option<f64> {
        (self.0)(model, usage).or_else(|| (self.0)(asked, usage))
    }
}

/// An operator's own table, and ours for what is not in it.
impl From<booty_model::Prices> for Prices {
    fn from(table: booty_model::Prices) -> Self {
        Self::new(move |model, usage| Some(table.price_of(model)?.cost_usd(usage)))
    }
}

impl Default for Prices {
    fn default() -> Self {
        booty_model::Prices::default().into()
    }
}

impl fmt::Debug for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prices")
    }
}
