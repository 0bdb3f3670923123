//! What handlers and sweep use.

use booty_alert::Alert;
use booty_bus::{Bus, Headers, trace};
use booty_events::{
    DeliveryId, EffectId, Fingerprint, JobId, Lane, Message as _, RepoName, Service, TraceId,
    header, stream, subject,
    v1::{AlertPhase, AlertState, Effect, Event, Job, JobState},
};
use booty_service::{JobStore, Outbox, Pause};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    Error, Settings,
    alerts::Alerts,
    decide::Decision,
    github::Github,
    issue,
    state::{self, time},
    write::{self, Manner},
};

/// How often a change is tried again when others change the same state at the same moment. Within a
/// process they wait for each other, so only replicas race.
pub(crate) const MAX_RACES: u32 = 20;
/// Fingerprints that may be worked on at one time: the others share their turn with one of these.
const TURNS: usize = 64;

/// Connections, stores and settings.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) target: RepoName,
    pub(crate) bus: Bus,
    pub(crate) outbox: Outbox,
    pub(crate) jobs: JobStore,
    pub(crate) alerts: Alerts,
    pub(crate) github: Github,
    turns: Vec<Mutex<()>>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, bus: Bus) -> Result<Self, Error> {
        Ok(Self {
            target: settings.target.clone().ok_or(Error::NoTarget)?,
            outbox: Outbox::new(bus.clone(), Service::Observability),
            jobs: JobStore::new(&bus),
            alerts: Alerts::new(&bus),
            github: Github::new(&settings, &bus)?,
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
            settings,
            bus,
        })
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.settings.clock)()
    }

    /// Waits until nobody else in this process changes the fingerprint's state.
    pub(crate) async fn turn(&self, fingerprint: &Fingerprint) -> MutexGuard<'_, ()> {
        let digits = fingerprint.as_str().get(..4).unwrap_or_default();
        let nth = usize::from_str_radix(digits, 16).unwrap_or_default() % TURNS;
        self.turns[nth].lock().await
    }

    /// Whether GitHub's last answer about the issue is too old to be believed.
    pub(crate) fn is_look_due(&self, state: &AlertState, now: DateTime<Utc>) -> bool {
        let interval = TimeDelta::from_std(self.settings.look_interval).unwrap_or(TimeDelta::MAX);
        let looked_at = time(state.looked_at.as_ref());
        state.phase() == AlertPhase::Open
            && !state.reopening
            && looked_at.is_none_or(|looked_at| now - looked_at >= interval)
    }

    /// What an issue says that is not its alert's own.
    fn context<'a>(
        &'a self,
        state: &AlertState,
        trace_id: Option<&'a TraceId>,
    ) -> issue::Context<'a> {
        let first_seen = time(state.first_seen.as_ref());
        issue::Context { trace_id, link_hosts: &self.settings.link_hosts, first_seen }
    }

    /// Asks forge for the issue that the state waits for. Asked twice it is asked once.
    pub(crate) async fn ask_for_issue(
        &self,
        state: &AlertState,
        fingerprint: &Fingerprint,
        alert: &Alert,
    ) -> Result<(), Pause> {
        let Settings { trigger_label, auto_build, .. } = &self.settings;
        let manner = Manner { trigger_label, auto_build: *auto_build };
        let trace_id = current_trace();
        let context = self.context(state, trace_id.as_ref());
        let effect = write::new_issue(state, fingerprint, alert, &context, manner, self.now());
        self.outbox.effect(Lane::Issue, &effect, None).await?;
        Ok(())
    }

    /// Asks forge for the counter's version that the state waits for.
    pub(crate) async fn ask_for_counter(
        &self,
        state: &AlertState,
        fingerprint: &Fingerprint,
    ) -> Result<(), Pause> {
        let asker = state::asker(state, Decision::Reopen).filter(|_| state.reopening);
        let alert = match asker {
            Some(delivery) => self.alert_of(delivery).await?,
            None => None,
        };
        let trace_id = current_trace();
        let context = self.context(state, trace_id.as_ref());
        let came = alert.as_ref().map(|alert| (alert, &context));
        let effect = write::counter(state, fingerprint, came, self.now());
        self.outbox.effect(Lane::Issue, &effect, None).await?;
        Ok(())
    }

    /// The alert that a delivery brought, as long as the inbox keeps it.
    async fn alert_of(&self, delivery: &str) -> Result<Option<Alert>, Pause> {
        let Ok(delivery) = delivery.parse::<DeliveryId>() else { return Ok(None) };
        let filter = subject::inbox_sentry_delivery(&delivery);
        let stored = self.bus.last_message(stream::INBOX.name, &filter).await?;
        Ok(stored.and_then(|stored| Alert::parse(&stored.payload).ok()))
    }

    /// The write with an id, if it was asked for. Ids are hexadecimal digits, so none can widen the
    /// filter.
    pub(crate) async fn effect(&self, id: &str) -> Result<Option<Effect>, Pause> {
        let Ok(id) = id.parse::<EffectId>() else { return Ok(None) };
        let filter = format!("booty.effect.{}.*.{id}", Lane::Issue);
        let stored = self.bus.last_message(stream::EFFECTS.name, &filter).await?;
        Ok(stored.and_then(|stored| Effect::decode(stored.payload).ok()))
    }

    /// Says a fact about a fingerprint. `key` makes it one fact however often it is said.
    pub(crate) async fn say(
        &self,
        what: &str,
        key: &str,
        fingerprint: &Fingerprint,
        mut event: Event,
    ) -> Result<(), Pause> {
        event.attributes.insert("fingerprint".to_owned(), fingerprint.to_string());
        if event.repository.is_empty() {
            event.repository = self.target.to_string();
        }
        self.outbox.event(what, key, event).await?;
        Ok(())
    }

    /// Says what was decided of a delivery.
    pub(crate) async fn say_decided(
        &self,
        delivery: &str,
        decision: Decision,
        fingerprint: &Fingerprint,
        state: Option<&AlertState>,
    ) -> Result<(), Pause> {
        let mut event = Event {
            delivery_id: delivery.to_owned(),
            job_id: job_of(fingerprint, delivery).map(String::from).unwrap_or_default(),
            issue: state.map_or(0, |state| state.issue),
            reason: decision.as_str().to_owned(),
            ..Event::default()
        };
        if let Some(state) = state {
            event.attributes.insert("count".to_owned(), state.count.to_string());
        }
        self.say("decided", delivery, fingerprint, event).await
    }

    /// Writes down how a job of ours is.
    pub(crate) async fn note(&self, job: &JobId, note: Note<'_>) -> Result<(), Pause> {
        let trace_id = booty_telemetry::current_trace_id().unwrap_or_default();
        let set = |job: &mut Job| {
            let is_new_run = job.service.is_empty() || note.replay_of > job.replay_of;
            let is_over = matches!(job.state(), JobState::Completed | JobState::Failed);
            // A report may have been faster.
            if note.state == JobState::Running && is_over && !is_new_run {
                return;
            }
            if is_new_run {
                job.attempt += 1;
                job.replay_of = note.replay_of;
                job.trace_id.clone_from(&trace_id);
            }
            job.service = Service::Observability.as_str().to_owned();
            job.repository = self.target.to_string();
            if let Some(delivery) = job.id.parse::<JobId>().ok().and_then(|id| id.delivery()) {
                job.delivery_id = delivery.into();
            }
            if let Some(state) = note.alert {
                if !state.repository.is_empty() {
                    job.repository.clone_from(&state.repository);
                }
                job.issue = state.issue;
                job.url.clone_from(&state.url);
                job.title.clone_from(&state.title);
            }
            job.state = note.state.into();
            note.step.clone_into(&mut job.step);
            note.reason.clone_into(&mut job.reason);
        };
        self.jobs.update(job, set).await?;
        Ok(())
    }
}

/// How a job is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note<'a> {
    pub(crate) state: JobState,
    pub(crate) step: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) alert: Option<&'a AlertState>,
    pub(crate) replay_of: u64,
}

/// The job of a delivery.
pub(crate) fn job_of(fingerprint: &Fingerprint, delivery: &str) -> Option<JobId> {
    let delivery: DeliveryId = delivery.parse().ok()?;
    Some(JobId::for_alert(fingerprint, &delivery))
}

fn current_trace() -> Option<TraceId> {
    booty_telemetry::current_trace_id()?.parse().ok()
}

/// The current trace context, as headers have it.
pub(crate) fn traceparent() -> String {
    let mut headers = Headers::new();
    trace::inject(&mut headers);
    headers.get(header::TRACEPARENT).unwrap_or_default().to_owned()
}
