//! The state of jobs, in the bucket `booty_jobs`.

use booty_bus::{Bucket, BucketError, Bus};
use booty_events::{
    JobId, Message, Service, bucket, fact, stream, subject,
    v1::{Event, Job, JobState},
};
use chrono::Utc;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use thiserror::Error;

/// How often a change is tried again when others change the same job at the same moment.
const MAX_RACES: u32 = 20;

/// Why a job's state could not be read or changed.
#[derive(Debug, Error)]
pub enum JobStoreError {
    /// The bucket.
    #[error("the job states can't be reached")]
    Bucket(#[source] BucketError),
    /// The inbox or the events.
    #[error("the inbox can't be reached")]
    Inbox(#[source] booty_bus::Error),
    /// The value is no `booty.v1.Job`.
    #[error("the state of job {job} can't be decoded")]
    Decode {
        /// The job.
        job: String,
        /// What is wrong with it.
        source: prost::DecodeError,
    },
    /// Too many writers.
    #[error("the state of job {job} kept being changed by others")]
    Contended {
        /// The job.
        job: String,
    },
}

/// Reads and changes job states, each change by compare-and-set.
#[derive(Clone)]
pub struct JobStore {
    bus: Bus,
    bucket: Bucket,
}

impl JobStore {
    /// The store on a bus.
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), bucket: bus.bucket(&bucket::JOBS) }
    }

    /// The state that a service wrote, if any did.
    ///
    /// # Errors
    /// When the bucket can't be read.
    pub async fn get(&self, job: &JobId) -> Result<Option<Job>, JobStoreError> {
        Ok(self.entry(job).await?.map(|(job, _)| job))
    }

    /// Like [`JobStore::get`]; a job that no service has taken up yet is found in the inbox and is
    /// `QUEUED`, or `COMPLETED` as `ignored` when nothing was to come of its delivery.
    ///
    /// # Errors
    /// When bucket or inbox can't be read.
    pub async fn find(&self, job: &JobId) -> Result<Option<Job>, JobStoreError> {
        if let Some(found) = self.get(job).await? {
            return Ok(Some(found));
        }
        let Some(delivery) = job.delivery() else { return Ok(None) };
        let at = if job.is_alert() {
            subject::inbox_sentry_delivery(&delivery)
        } else {
            subject::inbox_github_delivery(&delivery)
        };
        let waiting = self.bus.last_message(stream::INBOX.name, &at).await;
        let waiting = waiting.map_err(JobStoreError::Inbox)?;
        let waiting = waiting.filter(|message| {
            message.headers.get(booty_events::header::JOB_ID) == Some(job.as_str())
        });
        let Some(message) = waiting else { return Ok(None) };
        let queued = Job {
            id: job.to_string(),
            state: JobState::Queued.into(),
            delivery_id: delivery.to_string(),
            created: Some(message.time.into()),
            updated: Some(message.time.into()),
            ..Job::default()
        };
        Ok(Some(match self.without_a_job(job).await? {
            Some(said) => Job {
                state: JobState::Completed.into(),
                service: said.service,
                repository: said.repository,
                issue: said.issue,
                step: "ignored".to_owned(),
                reason: said.reason,
                ..queued
            },
            None => queued,
        }))
    }

    /// What a service said of a delivery of which it made no job.
    async fn without_a_job(&self, job: &JobId) -> Result<Option<Event>, JobStoreError> {
        for (what, step) in fact::WITHOUT_A_JOB {
            let at = subject::event(Service::Builder, what, &format!("{job}-{step}"));
            let said = self.bus.last_message(stream::EVENTS.name, &at).await;
            if let Some(said) = said.map_err(JobStoreError::Inbox)? {
                return Ok(Event::decode(said.payload).ok());
            }
        }
        Ok(None)
    }

    /// Changes a job's state, or makes it; `change` may run several times.
    ///
    /// # Errors
    /// When the bucket can't be read or written.
    pub async fn update(
        &self,
        job: &JobId,
        change: impl Fn(&mut Job) + Send,
    ) -> Result<Job, JobStoreError> {
        let key = bucket::job_key(job);
        for _ in 0..MAX_RACES {
            let now = Utc::now();
            let found = self.entry(job).await?;
            let (mut state, revision) = match found {
                Some((state, revision)) => (state, Some(revision)),
                None => {
                    let new =
                        Job { id: job.to_string(), created: Some(now.into()), ..Job::default() };
                    (new, None)
                }
            };
            change(&mut state);
            state.updated = Some(now.into());
            let value = state.encode_to_vec().into();
            let written = match revision {
                Some(revision) => self.bucket.update(&key, value, revision).await,
                None => self.bucket.create(&key, value).await,
            };
            match written {
                Ok(_) => return Ok(state),
                Err(BucketError::Conflict) => {}
                Err(error) => return Err(JobStoreError::Bucket(error)),
            }
        }
        Err(JobStoreError::Contended { job: job.to_string() })
    }

    /// All jobs, the newest first.
    ///
    /// # Errors
    /// When the bucket can't be read.
    pub async fn list(&self) -> Result<Vec<Job>, JobStoreError> {
        let unreachable = |error| JobStoreError::Bucket(BucketError::Other(error));
        let mut entries = std::pin::pin!(self.bucket.entries(&[">".to_owned()]));
        let mut jobs = Vec::new();
        while let Some((key, entry)) = entries.try_next().await.map_err(unreachable)? {
            jobs.push(decode(&key, &entry.value)?);
        }
        let created = |job: &Job| job.created.as_ref().map(|t| (t.seconds, t.nanos));
        jobs.sort_by_key(|job| std::cmp::Reverse(created(job)));
        Ok(jobs)
    }

    /// The state of one job, or of all, and then every change as it happens, for ever.
    ///
    /// # Errors
    /// When the bucket can't be read; as an item: the watch is broken, begin it again.
    pub async fn watch(
        &self,
        job: Option<&JobId>,
    ) -> Result<impl Stream<Item = Result<Job, JobStoreError>> + Send + use<>, JobStoreError> {
        let unreachable = |error| JobStoreError::Bucket(BucketError::Other(error));
        let filter = job.map_or_else(|| ">".to_owned(), bucket::job_key);
        let watch = self.bucket.watch(&filter).await.map_err(unreachable)?;
        Ok(watch.map(move |change| {
            let (key, entry) = change.map_err(unreachable)?;
            decode(&key, &entry.value)
        }))
    }

    async fn entry(&self, job: &JobId) -> Result<Option<(Job, u64)>, JobStoreError> {
        let entry = self.bucket.get(&bucket::job_key(job)).await.map_err(JobStoreError::Bucket)?;
        let Some(entry) = entry else { return Ok(None) };
        Ok(Some((decode(job.as_str(), &entry.value)?, entry.revision)))
    }
}

fn decode(job: &str, value: &[u8]) -> Result<Job, JobStoreError> {
    Job::decode(value).map_err(|source| JobStoreError::Decode { job: job.to_owned(), source })
}
