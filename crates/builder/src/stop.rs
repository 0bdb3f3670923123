//! Stops: what people end before its end.
//!
//! A stop is written down under its issue, so that it outlives every process, and read three times: by a
//! job that begins, by the job at work, which watches for it, and before a job's end is journalled. It ends
//! what was asked for before it, and nothing that a person asks for later.

use std::{pin::pin, time::Duration};

use booty_bus::{BucketError, Entry};
use booty_events::{IssueNumber, RepoName, bucket};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use crate::{
    order::{Asked, Order},
    shared::{Pause, Shared, chain},
};

/// Before a watch that broke is begun again.
const WATCH_PAUSE: Duration = Duration::from_secs(1);
/// How often a write is tried again when others stop the same issue at the same moment.
const MAX_RACES: u32 = 20;

/// How something was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// `/booty stop`
    Command,
    /// The trigger label was taken away.
    LabelRemoved,
    IssueClosed,
    PullRequestClosed,
    /// What was asked for was taken back before it was begun.
    Withdrawn,
}

impl How {
    /// One word, for events and job states.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Command => "stop_command",
            Self::LabelRemoved => "label_removed",
            Self::IssueClosed => "issue_closed",
            Self::PullRequestClosed => "pull_request_closed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stopped {
    pub(crate) how: How,
    /// Who; empty when the account is gone.
    pub(crate) by: String,
    pub(crate) asked: Asked,
}

impl Stopped {
    /// Whether it ends what was asked for then.
    pub(crate) fn ends(&self, asked: Asked) -> bool {
        self.asked > asked
    }

    /// Writes it down, unless a later one is written down already.
    pub(crate) async fn keep(
        &self,
        shared: &Shared,
        repository: &RepoName,
        issue: IssueNumber,
        pull_request: Option<u64>,
    ) -> Result<(), Pause> {
        let key = bucket::stop_key(repository, issue, pull_request);
        let value = serde_json::to_vec(self).map_err(|e| Pause::Failed { why: e.to_string() })?;
        for _ in 0..MAX_RACES {
            let written = match shared.stops.get(&key).await? {
                None => shared.stops.create(&key, value.clone().into()).await,
                Some(entry) if read(&entry).is_some_and(|known| known.asked >= self.asked) => {
                    return Ok(());
                }
                Some(entry) => {
                    shared.stops.update(&key, value.clone().into(), entry.revision).await
                }
            };
            match written {
                Ok(_) => return Ok(()),
                Err(BucketError::Conflict) => {}
                Err(BucketError::Other(error)) => return Err(error.into()),
            }
        }
        Err(Pause::away("the issue's stop kept being changed by others"))
    }

    /// The stop of what the order asks for, if there is one.
    pub(crate) async fn of(shared: &Shared, order: &Order) -> Result<Option<Self>, Pause> {
        let pull_request = order.follow_up.as_ref().map(|follow_up| follow_up.pull_request);
        Self::of_work(shared, order, pull_request).await
    }

    /// The same for an order that is still to go back to a pull request.
    pub(crate) async fn of_work(
        shared: &Shared,
        order: &Order,
        pull_request: Option<u64>,
    ) -> Result<Option<Self>, Pause> {
        for scope in [None].into_iter().chain(pull_request.map(Some)) {
            let key = bucket::stop_key(&order.repository, order.issue, scope);
            let found = shared.stops.get(&key).await?.as_ref().and_then(read);
            if let Some(found) = found.filter(|found| found.ends(order.asked)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Waits for a stop of what the order asks for, for ever.
    pub(crate) async fn wait(shared: &Shared, order: &Order) -> Self {
        loop {
            match Self::watch(shared, order).await {
                Ok(Some(stopped)) => return stopped,
                Ok(None) => {}
                Err(error) => tracing::warn!(event = "stop_watch_broken", error = chain(&error)),
            }
            tokio::time::sleep(WATCH_PAUSE).await;
        }
    }

    async fn watch(shared: &Shared, order: &Order) -> Result<Option<Self>, booty_bus::Error> {
        let filter = bucket::stop_filter(&order.repository, order.issue);
        let keys = [None, order.follow_up.as_ref().map(|follow_up| follow_up.pull_request)]
            .map(|scope| bucket::stop_key(&order.repository, order.issue, scope));
        let mut changes = pin!(shared.stops.watch(&filter).await?);
        while let Some((key, entry)) = changes.try_next().await? {
            let found = read(&entry).filter(|_| keys.contains(&key));
            if let Some(found) = found.filter(|found| found.ends(order.asked)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What can't be read stops nothing.
fn read(entry: &Entry) -> Option<Stopped> {
    match serde_json::from_slice(&entry.value) {
        Ok(stopped) => Some(stopped),
        Err(error) => {
            tracing::error!(event = "stop_unreadable", %error);
            None
        }
    }
}

/// A time as GitHub's payloads have it; when it is missing or none, when the broker had the delivery.
pub(crate) fn time(text: Option<&str>, otherwise: DateTime<Utc>) -> DateTime<Utc> {
    let time = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    time.map_or(otherwise, |time| time.with_timezone(&Utc))
}
