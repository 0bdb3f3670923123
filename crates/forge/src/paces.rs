//! The pace, kept across restarts.
//!
//! GitHub counts content for an hour, and a restart takes seconds: a writer that had forgotten what the
//! one before it created would create as much again. So the times are written down, in the record
//! `pace.<account>`, before each request that creates content leaves.

use std::{collections::BTreeMap, time::Duration};

use booty_events::RepoName;
use booty_github::pace::{Pace, PaceSettings, Write};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    record::{Record, Records},
    writer::NotSent,
};

/// The times in a record: how many milliseconds after 1970, the oldest first.
const CONTENT: &str = "content";

/// Under a personal token everything is one account's.
const PERSONAL: &str = "token";

/// The paces of one writer, for as long as it is the writer.
pub(crate) struct Paces {
    pace: Pace,
    records: Records,
    /// What is written down of each account, once it was read. Held while a place is waited for: there is
    /// one turn at a time.
    known: Mutex<BTreeMap<String, Record>>,
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
        let mut known = self.known.lock().await;
        if !known.contains_key(account) {
            let record = self.records.of_pace(account).await?;
            self.recall(&record, account);
            known.insert(account.to_owned(), record);
        }
        self.pace.wait(write, account, patience).await.map_err(NotSent::Pace)?;
        // Taken out: a save that is called off, or fails, leaves it unknown what is written down.
        let Some(mut record) = known.remove(account) else { return Err(NotSent::Stopped) };
        self.note(&mut record, account);
        self.records.save(&mut record).await?;
        known.insert(account.to_owned(), record);
        Ok(())
    }

    /// What was created before. A place that was taken and could not be written down was not used.
    fn recall(&self, record: &Record, account: &str) {
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
        let times = ages.iter().map(|age| {
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
