//! What answers cost.
//!
//! Prices are in US dollars per million tokens, in `prices.toml` of this crate, with the date on which
//! they were read and where. They are list prices: no batch discount, no surcharge for priority. An
//! operator's own table comes before ours.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use serde::Deserialize;

use crate::{Error, KNOWN_PROVIDERS, Usage};

/// `our_table_can_be_read_and_is_sane` holds that it can be read.
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
    /// Of a question that is longer than so much; none: there is one price for all.
    #[serde(default)]
    long: Option<LongPrice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LongPrice {
    above_tokens: u64,
    input: f64,
    output: f64,
    #[serde(default)]
    cache_read: Option<f64>,
    #[serde(default)]
    cache_write: Option<f64>,
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

/// The price of a model by our table; see [`Prices::price_of`].
pub fn price_of(model: &str) -> Option<Price> {
    OURS.find(model)
}

impl Price {
    /// What one answer's tokens cost, in US dollars. Take the sum of the costs, not the cost of the
    /// sum: a long question may have other prices.
    #[expect(clippy::cast_precision_loss, reason = "a count that large costs more than there is")]
    pub fn cost_usd(&self, usage: &Usage) -> f64 {
        let price = self.of_a_question(usage.total().saturating_sub(usage.output_tokens));
        let parts = [
            (usage.input_tokens, price.input),
            (usage.output_tokens, price.output),
            (usage.cache_read_tokens, price.cache_read.unwrap_or(price.input)),
            (usage.cache_write_tokens, price.cache_write.unwrap_or(price.input)),
        ];
        parts.into_iter().map(|(tokens, price)| tokens as f64 * price / 1e6).sum()
    }

    fn of_a_question(&self, tokens: u64) -> Self {
        match self.long {
            Some(long) if tokens > long.above_tokens => Self {
                input: long.input,
                output: long.output,
                cache_read: long.cache_read,
                cache_write: long.cache_write,
                long: None,
            },
            _ => *self,
        }
    }

    fn is_sane(&self) -> bool {
        [*self, self.of_a_question(u64::MAX)].into_iter().all(|price| {
            [Some(price.input), Some(price.output), price.cache_read, price.cache_write]
                .into_iter()
                .flatten()
                .all(|usd| usd.is_finite() && usd >= 0.0)
        })
    }
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
        let name = match model.split_once(':') {
            Some((provider, name)) if KNOWN_PROVIDERS.contains(&provider) => name,
            _ => model,
        };
        let is_it = |known: &str| name.strip_prefix(known).is_some_and(is_date);
        let longest = || {
            let fitting = self.by_model.iter().filter(|(known, _)| is_it(known));
            fitting.max_by_key(|(known, _)| known.len()).map(|(_, price)| price)
        };
        self.by_model.get(model).or_else(longest).copied()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let tables: BTreeMap<String, Table> = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut by_model = BTreeMap::new();
        for (provider, Table { date, source, models }) in tables {
            if shape(&date) != "0000-00-00" || source.is_empty() {
                return Err(format!("[{provider}] needs a date (YYYY-MM-DD) and a source"));
            }
            if let Some((name, _)) = models.iter().find(|(_, price)| !price.is_sane()) {
                return Err(format!("a price of {name} is not a number of 0 or more"));
            }
            by_model.extend(models);
        }
        Ok(Self { by_model })
    }
}

/// What may follow a model's name without making it another model: nothing, `-latest`, or the date of
/// its making as `-20250929`, `@20250929` or `-2025-08-07`.
fn is_date(rest: &str) -> bool {
    matches!(shape(rest).as_str(), "" | "-latest" | "-00000000" | "@00000000" | "-0000-00-00")
}

/// The text with a zero for each digit.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
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
    #[case::not_its_prefix("gpt-5-pro", None)]
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
        let price = price_of("claude-sonnet-4-6").unwrap();
        let usage = Usage {
            input_tokens: 1_000_000,
            output_tokens: 100_000,
            cache_read_tokens: 2_000_000,
            cache_write_tokens: 400_000,
            is_estimated: false,
        };
        assert!((price.cost_usd(&usage) - (3.0 + 1.5 + 0.6 + 1.5)).abs() < 1e-9);
    }

    #[test]
    fn a_long_question_has_other_prices() {
        let price = price_of("claude-haiku-5-5").unwrap();
        let usage =
            |read| Usage { cache_read_tokens: read, output_tokens: 1_000_000, ..Usage::default() };
        assert!((price.cost_usd(&usage(100_000)) - 0.501).abs() < 1e-9);
        assert!((price.cost_usd(&usage(100_001)) - 2.505).abs() < 1e-6);
    }

    #[test]
    fn an_operators_table_comes_first_and_ours_fills_it_up() {
        let own = "[vllm]\ndate = '2026-01-01'\nsource = 'ours'\n[vllm.models]\n\
            'llama3.1:8b' = { input = 1, output = 2 }\n'gpt-5' = { input = 9, output = 9 }";
        let own = Prices::parse(own).unwrap();
        let input = |model| own.price_of(model).map(|price| price.input);
        assert_eq!(input("ollama:llama3.1:8b"), Some(1.0));
        assert_eq!(input("gpt-5-2025-08-07"), Some(9.0));
        assert_eq!(input("o3"), Some(2.0));
        assert_eq!(input("o33"), None);
    }

    #[rstest]
    #[case::no_date("[x]\nsource = 's'\n[x.models]", "date")]
    #[case::bad_date("[x]\ndate = 'today'\nsource = 's'\n[x.models]", "date")]
    #[case::negative("input = -1, output = 2", "a price of m")]
    #[case::endless("input = inf, output = 2", "a price of m")]
    #[case::long_ago(
        "input = 1, output = 2, long = { above_tokens = 1, input = nan, output = 1 }",
        "a price of m"
    )]
    #[case::typo("inptu = 1, output = 2", "inptu")]
    fn a_bad_table_is_refused(#[case] table: &str, #[case] expected: &str) {
        let table = if table.starts_with('[') {
            table.to_owned()
        } else {
            format!("[x]\ndate = '2026-01-01'\nsource = 's'\n[x.models]\nm = {{ {table} }}")
        };
        let why = Prices::parse(&table).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}
