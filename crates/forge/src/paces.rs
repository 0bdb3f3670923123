//! The pace, kept across restarts.
//!
//! GitHub counts content for an hour, and a restart takes seconds: a writer that had forgotten what the
//! one before it created would create as much again. So the times are written down, in the record
//! `pace.<account>`, before each request that creates content leaves.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use booty_events::RepoName;
use booty_github::pace::{Pace, PaceSettings, Write};
use tokio::time::Instant;

use crate::{
    record::{Record, Records},
    writer::NotSent,
};

/// The times in a record: how many milliseconds after 1970, the newest first.
const CONTENT: &str = "content";

/// Under a personal token everything is one account's.
const PERSONAL: &str = "token";

/// The paces of one writer, for as long as it is the writer.
pub(crate) struct Paces {
    pace: Pace,
    records: Records,
    /// The accounts whose earlier content is known.
    known: Mutex<BTreeSet<String>>,
}

impl Paces {
    pub(crate) fn new(settings: PaceSettings, records: Records) -> Self {
        Self { pace: Pace::new(settings), records, known: Mutex::default() }
    }

    /// Waits for a place for up to `patience`.
    pub(crate) async fn admit(
        &self,
        write: Write,
        account: &str,
        patience: Duration,
    ) -> Result<(), NotSent> {
        if write == Write::Other {
            return self.pace.wait(write, account, patience).await.map_err(NotSent::Pace);
        }
        let mut record = self.records.of_pace(account).await?;
        self.recall(&record, account);
        self.pace.wait(write, account, patience).await.map_err(NotSent::Pace)?;
        self.note(&mut record, account);
        Ok(self.records.save(&mut record).await?)
    }

    fn recall(&self, record: &Record, account: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.insert(account.to_owned()) {
            return;
        }
        let now = Instant::now();
        let wall = self.records.now().timestamp_millis();
        let times = record.step(CONTENT).unwrap_or_default().split(' ');
        let times = times.filter_map(|text| text.parse::<i64>().ok()).map(|at| {
            // What seems to lie in the future, after the clock was set back, counts as just now.
            let age = u64::try_from(wall.saturating_sub(at)).unwrap_or(0);
            now.checked_sub(Duration::from_millis(age))
        });
        self.pace.restore(account, times.flatten());
    }

    fn note(&self, record: &mut Record, account: &str) {
        let wall = self.records.now().timestamp_millis();
        let ages = self.pace.ages(account, Instant::now());
        let times = ages.iter().rev().map(|age| {
            wall.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)).to_string()
        });
        let times = times.collect::<Vec<_>>().join(" ");
        record.state.steps.insert(CONTENT.to_owned(), times);
    }
}

/// Whose limits a write uses: an App is installed once for each owner, and each installation has limits
/// of its own.
pub(crate) fn account(is_app: bool, repo: &RepoName) -> String {
    if is_app { repo.owner().to_ascii_lowercase() } else { PERSONAL.to_owned() }
}
