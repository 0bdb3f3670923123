//! What answers cost.
//!
//! Prices are in US dollars per million tokens, in `prices.toml` of this crate, with the date on which
//! they were read and where. They are list prices: no batch discount, no surcharge for long
//! conversations or for priority. An operator's own table comes before ours.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use serde::Deserialize;

use crate::{Error, KNOWN_PROVIDERS, Usage};

static OURS: LazyLock<Prices> =
    LazyLock::new(|| Prices::parse(include_str!("../prices.toml")).unwrap_or_default());

/// The prices of one model, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Read afresh.
    pub input: f64,
    /// Written.
    pub output: f64,
    /// Read from the cache; none: as `input`.
    #[serde(default)]
    cache_read: Option<f64>,
    /// Written to the cache; none: as `input`.
    #[serde(default)]
    cache_write: Option<f64>,
}

impl Price {
    /// What these tokens cost, in US dollars.
    #[expect(clippy::cast_precision_loss, reason = "a count that large costs more than there is")]
    pub fn cost_usd(&self, usage: &Usage) -> f64 {
        let parts = [
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_read_tokens, self.cache_read.unwrap_or(self.input)),
            (usage.cache_write_tokens, self.cache_write.unwrap_or(self.input)),
        ];
        parts.into_iter().map(|(tokens, price)| tokens as f64 * price / 1e6).sum()
    }
}

/// Tables of prices.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    by_model: BTreeMap<String, Price>,
}

/// One provider's prices, as the file has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// When they were read, `YYYY-MM-DD`.
    date: String,
    /// Where.
    source: String,
    models: BTreeMap<String, Price>,
}

impl Prices {
    /// An operator's own table, in the form of `prices.toml`. What it lacks has our price.
    ///
    /// # Errors
    /// When it can't be read, or a price is no price.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bad = |why: String| Error::BadPrices { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Self::parse(&text).map_err(bad)
    }

    /// The price of a model: as we call it (`anthropic:…`), or as it calls itself, with or without the
    /// date of its making. `None`: nobody said what it costs.
    pub fn price_of(&self, model: &str) -> Option<Price> {
        self.find(model).or_else(|| OURS.find(model))
    }

    fn find(&self, model: &str) -> Option<Price> {
        let whole = self.by_model.get(model);
        let name = match model.split_once(':') {
            Some((provider, name)) if KNOWN_PROVIDERS.contains(&provider) => name,
            _ => model,
        };
        let longest = || {
            let fits = |known: &str| name.strip_prefix(known).is_some_and(is_date);
            self.by_model
                .iter()
                .filter(|(known, _)| fits(known))
                .max_by_key(|(known, _)| known.len())
        };
        whole.or_else(|| longest().map(|(_, price)| price)).copied()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let tables: BTreeMap<String, Table> = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut by_model = BTreeMap::new();
        for (provider, Table { date, source, models }) in tables {
            if !is_date(&format!("-{date}")) || date.is_empty() || source.is_empty() {
                return Err(format!("[{provider}] needs a date (YYYY-MM-DD) and a source"));
            }
            for (name, price) in models {
                let all =
                    [Some(price.input), Some(price.output), price.cache_read, price.cache_write];
                if all.into_iter().flatten().any(|usd| !usd.is_finite() || usd < 0.0) {
                    return Err(format!("a price of {name} is not a number of 0 or more"));
                }
                by_model.insert(name, price);
            }
        }
        Ok(Self { by_model })
    }
}

/// The price of a model by our table; see [`Prices::price_of`].
pub fn price_of(model: &str) -> Option<Price> {
    OURS.find(model)
}

/// What may follow a model's name without making it another model: nothing, `-latest`, or the date of
/// its making as `-20250929`, `@20250929` or `-2025-08-07`.
fn is_date(rest: &str) -> bool {
    let shape: String = rest.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    matches!(shape.as_str(), "" | "-latest" | "-00000000" | "@00000000" | "-0000-00-00")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("claude-opus-4-5", Some(5.0))]
    #[case("claude-opus-4-5-20251101", Some(5.0))]
    #[case("anthropic:claude-sonnet-4-5@20250929", Some(3.0))]
    #[case::longest("gpt-4o-mini-2024-07-18", Some(0.15))]
    #[case::not_its_prefix("gpt-5-pro-max", None)]
    #[case::no_such("llama3.1:8b", None)]
    #[case::nothing("", None)]
    fn a_model_is_found_by_its_name_and_no_others(
        #[case] model: &str,
        #[case] expected: Option<f64>,
    ) {
        assert_eq!(price_of(model).map(|price| price.input), expected);
    }

    #[test]
    fn our_table_can_be_read_and_is_sane() {
        let ours = Prices::parse(include_str!("../prices.toml")).unwrap();
        assert!(ours.by_model.len() > 20);
        for (name, price) in ours.by_model {
            assert!(price.output > price.input, "{name}");
            assert!(price.cache_read.is_some_and(|read| read < price.input), "{name}");
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let price =
            Price { input: 3.0, output: 15.0, cache_read: Some(0.3), cache_write: Some(3.75) };
        let usage = Usage {
            input_tokens: 1_000_000,
            output_tokens: 100_000,
            cache_read_tokens: 2_000_000,
            cache_write_tokens: 400_000,
            is_estimated: false,
        };
        assert!((price.cost_usd(&usage) - (3.0 + 1.5 + 0.6 + 1.5)).abs() < 1e-9);
    }
}
