//! The counts on the bus, changed by compare-and-set.
//!
//! One key holds a sum and, by run, how many entries of its journal are in the sum. Both change in one write,
//! so that counting a journal again, also by a worker that was frozen meanwhile, adds nothing.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use booty_bus::{Bucket, BucketError, Bus};
use booty_events::{
    Message as _, RepoName, bucket,
    v1::{Budget, BudgetSettings, Spent},
};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt as _;

use super::{
    name::{self, MAX_NAMES, OTHER},
    spent,
};
use crate::shared::{Pause, chain};

/// How often a count is tried again while others count on the same key. One of them succeeds each time, so
/// this many workers can meet, and more than once.
const MAX_RACES: u32 = 1_000;
/// The longest pause before a count is tried again.
const MAX_PAUSE: Duration = Duration::from_millis(64);

/// What was spent, as the bus has it.
#[derive(Debug, Clone)]
pub struct Ledger {
    bucket: Bucket,
}

/// One answer of a run's.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    /// Its place in the run's journal.
    pub(crate) index: u32,
    pub(crate) model: String,
    pub(crate) spent: Spent,
}

/// What a run adds to a key.
pub(crate) struct Posting<'a> {
    pub(crate) run: &'a str,
    /// In the journal's order.
    pub(crate) charges: &'a [Charge],
}

/// What came of a posting.
pub(crate) struct Posted {
    pub(crate) budget: Budget,
    /// The charges that were not counted before.
    pub(crate) added: Vec<Charge>,
}

impl Ledger {
    /// The ledger on a bus.
    pub fn new(bus: &Bus) -> Self {
        Self { bucket: bus.bucket(&bucket::BUDGETS) }
    }

    /// What was spent on a day (UTC).
    ///
    /// # Errors
    /// The bus is away, or the value is not to be read.
    pub async fn day(&self, day: NaiveDate) -> Result<Budget, Pause> {
        self.read(&day_key(day)).await
    }

    /// What was spent on an issue.
    ///
    /// # Errors
    /// As [`Ledger::day`].
    pub async fn issue(&self, repository: &RepoName, issue: u64) -> Result<Budget, Pause> {
        self.read(&bucket::budget_issue_key(repository, issue)).await
    }

    /// What a run of a job has spent.
    ///
    /// # Errors
    /// As [`Ledger::day`].
    pub async fn run(&self, run: &str) -> Result<Budget, Pause> {
        self.read(&bucket::budget_job_key(run)).await
    }

    /// All issues' or all runs' (`issue.>`, `job.>`), the longest unchanged first.
    ///
    /// # Errors
    /// As [`Ledger::day`].
    pub async fn all(&self, filter: &str) -> Result<Vec<Budget>, Pause> {
        let mut entries = std::pin::pin!(self.bucket.entries(&[filter.to_owned()]));
        let mut budgets = Vec::new();
        while let Some((key, entry)) = entries.try_next().await? {
            budgets.push(decode(&key, &entry.value)?);
        }
        Ok(budgets)
    }

    /// The limits of the builder that started last, if one did.
    ///
    /// # Errors
    /// As [`Ledger::day`].
    pub async fn settings(&self) -> Result<Option<BudgetSettings>, Pause> {
        let key = bucket::BUDGET_LIMITS_KEY;
        let Some(entry) = self.bucket.get(key).await? else { return Ok(None) };
        Ok(Some(BudgetSettings::decode(entry.value).map_err(|error| unreadable(key, &error))?))
    }

    /// Notes limits for whoever shows them.
    pub(crate) async fn note_settings(&self, settings: &BudgetSettings) -> Result<(), Pause> {
        let key = bucket::BUDGET_LIMITS_KEY;
        let value: bytes::Bytes = settings.encode_to_vec().into();
        let written = match self.bucket.get(key).await? {
            Some(entry) => self.bucket.update(key, value, entry.revision).await,
            None => self.bucket.create(key, value).await,
        };
        match written {
            // Another builder starts at this moment, and its limits are as good.
            Ok(_) | Err(BucketError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds what is not counted yet, and has `note` write down what else is known.
    pub(crate) async fn post(
        &self,
        key: &str,
        posting: &Posting<'_>,
        now: DateTime<Utc>,
        note: impl Fn(&mut Budget) + Send,
    ) -> Result<Posted, Pause> {
        for race in 0..MAX_RACES {
            let found = self.bucket.get(key).await?;
            let before = match &found {
                Some(entry) => decode(key, &entry.value)?,
                None => Budget::default(),
            };
            let mut budget = before.clone();
            let added = add(&mut budget, posting);
            note(&mut budget);
            if budget == before {
                return Ok(Posted { budget, added });
            }
            budget.updated = Some(now.into());
            let value = budget.encode_to_vec().into();
            let written = match found {
                Some(entry) => self.bucket.update(key, value, entry.revision).await,
                None => self.bucket.create(key, value).await,
            };
            match written {
                Ok(_) => return Ok(Posted { budget, added }),
                Err(BucketError::Conflict) => tokio::time::sleep(pause(posting.run, race)).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Pause::away(format!("the budget {key} kept being changed by others")))
    }

    async fn read(&self, key: &str) -> Result<Budget, Pause> {
        match self.bucket.get(key).await? {
            Some(entry) => decode(key, &entry.value),
            None => Ok(Budget::default()),
        }
    }
}

/// Key of a day.
pub(crate) fn day_key(day: NaiveDate) -> String {
    bucket::budget_day_key(&day.to_string())
}

fn add(budget: &mut Budget, posting: &Posting<'_>) -> Vec<Charge> {
    let counted = budget.counted.get(posting.run).copied().unwrap_or(0);
    let is_new = |charge: &&Charge| charge.index >= counted;
    let added: Vec<Charge> = posting.charges.iter().filter(is_new).cloned().collect();
    // A run that spent nothing here is not listed here.
    let Some(newest) = added.last().map(|charge| charge.index) else { return added };
    for charge in &added {
        spent::add(budget.spent.get_or_insert_default(), &charge.spent);
        let name = name::clean(&charge.model);
        let is_one_more = !budget.models.contains_key(&name) && budget.models.len() >= MAX_NAMES;
        let name = if is_one_more { OTHER.to_owned() } else { name };
        spent::add(budget.models.entry(name).or_default(), &charge.spent);
    }
    budget.counted.insert(posting.run.to_owned(), newest + 1);
    added
}

/// Another one for each who waits, so that they do not meet again.
fn pause(run: &str, race: u32) -> Duration {
    let mut hash = DefaultHasher::new();
    (run, race).hash(&mut hash);
    let longest = MAX_PAUSE.as_millis() as u64;
    Duration::from_millis(1 + hash.finish() % longest.min(2_u64 << race.min(8)))
}

fn decode(key: &str, value: &[u8]) -> Result<Budget, Pause> {
    Budget::decode(value).map_err(|error| unreadable(key, &error))
}

fn unreadable(key: &str, error: &dyn std::error::Error) -> Pause {
    let bucket = bucket::BUDGETS.name;
    let why = format!(
        "{key} in bucket {bucket} can't be read: {}; it is no value of this version of Booty: \
         delete the key to count anew from nothing",
        chain(error)
    );
    Pause::Failed { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(index: u32, tokens: u64) -> Charge {
        let spent = Spent { input_tokens: tokens, calls: 1, ..Spent::default() };
        Charge { index, model: "m".to_owned(), spent }
    }

    fn sum(budget: &Budget) -> (u64, u64) {
        let spent = budget.spent.unwrap_or_default();
        (spent.input_tokens, spent.calls)
    }

    #[test]
    fn what_is_counted_is_not_counted_again() {
        let charges = [charge(1, 10), charge(3, 20), charge(4, 30)];
        let mut budget = Budget::default();
        let two = Posting { run: "7-d", charges: &charges[..2] };
        assert_eq!(add(&mut budget, &two).len(), 2);
        let all = Posting { run: "7-d", charges: &charges };
        assert_eq!(add(&mut budget, &all).len(), 1);
        // A worker that was frozen since its second answer.
        assert!(add(&mut budget, &two).is_empty());
        assert_eq!(sum(&budget), (60, 3));
        // Another run has a journal of its own.
        assert_eq!(add(&mut budget, &Posting { run: "7-d-a2", ..two }).len(), 2);
        assert_eq!((sum(&budget), budget.counted.len()), ((90, 5), 2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sixteen_that_count_at_once_lose_nothing() {
        use booty_bus::{BusSettings, local::LocalServer};
        const COUNTERS: u64 = 16;
        const ANSWERS: u32 = 8;
        let server = LocalServer::start_temporary().await.unwrap();
        let connect = async || {
            let settings = BusSettings {
                max_bytes: Some(64 << 20),
                ..BusSettings::new(server.url(), "budget-test")
            };
            Bus::connect(settings).await.unwrap()
        };
        connect().await.ensure().await.unwrap();
        let mut counters = tokio::task::JoinSet::new();
        for n in 0..COUNTERS {
            // Each with a connection of its own, as on a machine of its own.
            let ledger = Ledger::new(&connect().await);
            counters.spawn(async move {
                let run = format!("7-{n}");
                let charges: Vec<Charge> = (0..ANSWERS).map(|index| charge(index, n + 1)).collect();
                let mut added = 0;
                for journalled in 1..=charges.len() {
                    let charges = &charges[..journalled];
                    let posting = Posting { run: &run, charges };
                    let posted = ledger.post("day.2026-01-31", &posting, Utc::now(), |_| {}).await;
                    added += posted.unwrap().added.len();
                }
                added
            });
        }
        let added: usize = counters.join_all().await.into_iter().sum();
        assert_eq!(added, 16 * 8, "each answer was counted by one posting");
        let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
        let budget = Ledger::new(&connect().await).day(day).await.unwrap();
        let tokens: u64 = (1..=COUNTERS).map(|n| n * u64::from(ANSWERS)).sum();
        assert_eq!(sum(&budget), (tokens, COUNTERS * u64::from(ANSWERS)));
        assert_eq!(budget.counted.len(), 16);
    }

    #[test]
    fn models_have_no_more_names_than_can_be_shown() {
        let charges: Vec<Charge> =
            (0..100).map(|n| Charge { model: format!("m{n}"), ..charge(n, 1) }).collect();
        let mut budget = Budget::default();
        add(&mut budget, &Posting { run: "r", charges: &charges });
        assert_eq!(budget.models.len(), MAX_NAMES + 1);
        assert_eq!(budget.models[OTHER].calls, 80);
    }
}
