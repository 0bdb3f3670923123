//! What forge remembers of its effects, in the bucket `booty_effects`.
//!
//! Each change is a compare-and-set: a writer that was replaced meanwhile can't overwrite what its
//! successor knows.

use std::time::Duration;

use booty_bus::{Bucket, BucketError, Bus};
use booty_events::{
    CommitSha, EffectId, Message, RepoName, bucket,
    v1::{Effect, EffectRecord, EffectStatus},
};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Before when no message may begin the next try.
const NOT_BEFORE: &str = "not_before";
/// The login that the effect was begun with.
const ACCOUNT: &str = "account";
/// How much of a pause is kept at least: the bus redelivers up to a fifth early.
const LEAST_PAUSE: f64 = 0.75;

/// All records.
#[derive(Clone)]
pub(crate) struct Records {
    bucket: Bucket,
    clock: fn() -> DateTime<Utc>,
}

/// One record, as it is stored and as it will be.
pub(crate) struct Record {
    pub(crate) state: EffectRecord,
    key: String,
    revision: Option<u64>,
}

/// Why a record could not be read or written.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error("the record {key} was changed by another writer")]
    Taken { key: String },
    #[error("the record {key} is not one")]
    Decode { key: String, source: prost::DecodeError },
    #[error("the record {key} can't be reached")]
    Bus { key: String, source: BucketError },
}

impl Records {
    pub(crate) fn new(bus: &Bus, clock: fn() -> DateTime<Utc>) -> Self {
        Self { bucket: bus.bucket(&bucket::EFFECTS), clock }
    }

    /// The record of an effect; a new one if there is none.
    pub(crate) async fn of_effect(&self, id: &EffectId) -> Result<Record, RecordError> {
        let mut record = self.load(bucket::effect_key(id)).await?;
        record.state.effect_id = id.to_string();
        Ok(record)
    }

    /// A record of an object of ours (which effect made it, and under which trace) that can be saved where
    /// there is none yet.
    pub(crate) fn new_object(&self, repo: &RepoName, number: u64) -> Record {
        let key = bucket::object_key(repo, number);
        Record { state: EffectRecord::default(), key, revision: None }
    }

    /// The record of an issue's label state.
    pub(crate) async fn of_labels(
        &self,
        repo: &RepoName,
        issue: u64,
    ) -> Result<Record, RecordError> {
        self.load(format!("labels.{}.{issue}", repo.token())).await
    }

    /// The record of a check run: one for its commit and name, whatever effect asked for it.
    pub(crate) async fn of_check(
        &self,
        repo: &RepoName,
        head: &CommitSha,
        name: &str,
    ) -> Result<Record, RecordError> {
        self.load(bucket::check_key(repo, head, name)).await
    }

    /// The record of the comment that stands for a pull request's check runs.
    pub(crate) async fn of_check_comment(
        &self,
        repo: &RepoName,
        pull_request: u64,
        name: &str,
    ) -> Result<Record, RecordError> {
        self.load(bucket::check_comment_key(repo, pull_request, name)).await
    }

    /// The record of the comment that counts something on an issue.
    pub(crate) async fn of_counter(
        &self,
        repo: &RepoName,
        issue: u64,
        name: &str,
    ) -> Result<Record, RecordError> {
        self.load(bucket::counter_key(repo, issue, name)).await
    }

    /// The record of when content was created in an account.
    pub(crate) async fn of_pace(&self, account: &str) -> Result<Record, RecordError> {
        self.load(bucket::pace_key(account)).await
    }

    pub(crate) async fn save(&self, record: &mut Record) -> Result<(), RecordError> {
        record.state.updated = Some((self.clock)().into());
        let value = record.state.encode_to_vec().into();
        let written = match record.revision {
            Some(revision) => self.bucket.update(&record.key, value, revision).await,
            None => self.bucket.create(&record.key, value).await,
        };
        match written {
            Ok(revision) => {
                record.revision = Some(revision);
                Ok(())
            }
            Err(BucketError::Conflict) => Err(RecordError::Taken { key: record.key.clone() }),
            Err(source) => Err(RecordError::Bus { key: record.key.clone(), source }),
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    async fn load(&self, key: String) -> Result<Record, RecordError> {
        match self.bucket.get(&key).await {
            Ok(Some(entry)) => {
                let state = EffectRecord::decode(entry.value)
                    .map_err(|source| RecordError::Decode { key: key.clone(), source })?;
                Ok(Record { state, key, revision: Some(entry.revision) })
            }
            Ok(None) => Ok(Record { state: EffectRecord::default(), key, revision: None }),
            Err(source) => Err(RecordError::Bus { key, source }),
        }
    }
}

impl Record {
    /// Whether anything was ever written down about it.
    pub(crate) fn exists(&self) -> bool {
        self.revision.is_some()
    }

    pub(crate) fn status(&self) -> EffectStatus {
        self.state.status()
    }

    /// What came of a step, if it is done.
    pub(crate) fn step(&self, name: &str) -> Option<&str> {
        self.state.steps.get(name).map(String::as_str)
    }

    /// Notes what came of a step; the next one starts with no failures.
    pub(crate) fn done(&mut self, name: &str, value: impl Into<String>) {
        self.state.steps.insert(name.to_owned(), value.into());
        self.state.pending_step.clear();
        (self.state.lookups, self.state.attempts, self.state.sends) = (0, 0, 0);
    }

    /// No message that asks for this effect begins before.
    pub(crate) fn pause(&mut self, now: DateTime<Utc>, pause: Duration) {
        let until = now + pause.mul_f64(LEAST_PAUSE);
        self.state.steps.insert(NOT_BEFORE.to_owned(), until.to_rfc3339());
    }

    /// What is left of the pause; when nothing is, it is forgotten.
    pub(crate) fn pause_left(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        let until = DateTime::parse_from_rfc3339(self.step(NOT_BEFORE)?).ok();
        let left = until.and_then(|until| (until.to_utc() - now).to_std().ok());
        if left.is_none() {
            self.state.steps.remove(NOT_BEFORE);
        }
        left
    }

    /// Begins from the start; what is done already stays known.
    pub(crate) fn begin(&mut self, content_hash: Vec<u8>, traceparent: &str, login: &str) {
        let state = &mut self.state;
        state.status = EffectStatus::Intended.into();
        state.content_hash = content_hash.into();
        traceparent.clone_into(&mut state.traceparent);
        state.error.clear();
        (state.attempts, state.sends) = (0, 0);
        state.steps.remove(NOT_BEFORE);
        state.steps.entry(ACCOUNT.to_owned()).or_insert_with(|| login.to_owned());
    }

    /// Whether the effect was begun with this account: another token may end it.
    pub(crate) fn is_account(&self, login: &str) -> bool {
        self.step(ACCOUNT).is_some_and(|account| account.eq_ignore_ascii_case(login))
    }

    /// When it was last changed.
    pub(crate) fn updated(&self) -> Option<DateTime<Utc>> {
        self.state.updated?.try_into().ok()
    }
}

/// sha256 over what is to be written and where: who asks, and when, is not part of it.
pub(crate) fn content_hash(effect: &Effect) -> Vec<u8> {
    let content = Effect {
        repository: effect.repository.to_ascii_lowercase(),
        write: effect.write.clone(),
        ..Effect::default()
    };
    Sha256::digest(content.encode_to_vec()).to_vec()
}
