//! An alert: decided on, counted, and said.
//!
//! Its decision is written into the fingerprint's state first. What follows from it has names that
//! follow from the state, so that a crash at any point and a redelivery end the same.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    Message as _, Service, stream, subject,
    v1::{AlertPhase, AlertState, Event, JobState},
};
use booty_service::Pause;
use tracing::Instrument as _;

use super::arrival::{self, Arrival};
use crate::{
    decide::{Decision, decide},
    shared::{MAX_RACES, Note, Shared, traceparent},
    state::{self, Look, Wanted},
};

/// Handles alerts.
pub(crate) struct Alerted {
    shared: Arc<Shared>,
}

#[async_trait]
impl Handler for Alerted {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let delays = &self.shared.settings.retry_delays;
        let arrival = match Arrival::read(delivery) {
            Ok(arrival) => arrival,
            Err(why) => {
                return match self.say_unreadable(delivery, &why).await {
                    Ok(()) => Verdict::Reject { reason: "unreadable".to_owned(), why },
                    Err(pause) => pause.verdict(delays, delivery),
                };
            }
        };
        let span = tracing::info_span!(
            "alert",
            job_id = %arrival.job,
            delivery_id = %arrival.seen.delivery,
            repository = %self.shared.target,
            fingerprint = %arrival.fingerprint(),
        );
        // Boxed: it would be copied around with its caller's future.
        match Box::pin(self.follow(delivery, &arrival).instrument(span)).await {
            Ok(()) => Verdict::Done,
            Err(pause) => pause.verdict(delays, delivery),
        }
    }

    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        let Ok(arrival) = Arrival::read(delivery) else { return Ok(()) };
        self.give_up(delivery, &arrival, why).await.map_err(Pause::why)
    }
}

impl Alerted {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn follow(&self, delivery: &Delivery, arrival: &Arrival) -> Result<(), Pause> {
        let fingerprint = arrival.fingerprint();
        let is_again = delivery.delivered > 1 || delivery.failures > 0;
        if (is_again || arrival.seen.is_replay)
            && let Some(decision) = self.said(&arrival.seen.delivery).await?
        {
            // All that goes before the fact is done; its place in the state may be another's by now.
            let kept = self.shared.alerts.get(fingerprint).await?;
            let state = kept.map(|kept| kept.state);
            return self.note(delivery, arrival, decision, state.as_ref()).await;
        }
        let (decision, state) = {
            let _turn = self.shared.turn(fingerprint).await;
            self.decide(arrival).await?
        };
        // Before the write is asked for: forge's report, which ends the job, can only come later.
        self.note(delivery, arrival, decision, state.as_ref()).await?;
        if let Some(state) = &state {
            self.ask(arrival, decision, state).await?;
        }
        let delivery_id = &arrival.seen.delivery;
        self.shared.say_decided(delivery_id, decision, fingerprint, state.as_ref()).await?;
        let (count, issue) = state.as_ref().map_or((0, 0), |state| (state.count, state.issue));
        match decision {
            Decision::Suppress(reason) => tracing::info!(
                event = "observability_suppressed",
                reason = reason.as_str(),
                issue,
                count,
                "the alert makes no issue"
            ),
            _ => tracing::info!(
                event = "observability_decided",
                decision = decision.as_str(),
                issue,
                count,
                "the alert is counted"
            ),
        }
        Ok(())
    }

    /// Decides, and writes the decision down. The state is that after it.
    async fn decide(&self, arrival: &Arrival) -> Result<(Decision, Option<AlertState>), Pause> {
        let (shared, seen) = (&self.shared, &arrival.seen);
        let fingerprint = arrival.fingerprint();
        let title = crate::issue::title(&arrival.alert);
        let traceparent = traceparent();
        let wanted =
            Wanted { repository: &shared.target, title: &title, traceparent: &traceparent };
        let mut answer: Option<(u64, Option<Look>)> = None;
        for _ in 0..MAX_RACES {
            let kept = shared.alerts.get(fingerprint).await?;
            let (mut before, revision) = match kept {
                Some(kept) => (Some(kept.state), Some(kept.revision)),
                None => (None, None),
            };
            if let Some(decision) =
                before.as_ref().and_then(|before| state::known(before, &seen.delivery))
            {
                return Ok((decision, before));
            }
            let now = shared.now();
            if let Some(before) = before.as_mut().filter(|state| shared.is_look_due(state, now)) {
                let look = match answer {
                    Some((issue, look)) if issue == before.issue => look,
                    _ => shared.github.look_unless_away(before).await,
                };
                answer = Some((before.issue, look));
                if let Some(look) = look {
                    state::looked(before, look, now);
                }
            }
            let decision = decide(seen, &shared.settings.rules, before.as_ref(), now);
            if !decision.is_counted() {
                return Ok((decision, before));
            }
            let mut after = state::taken(before, fingerprint, seen, decision, &wanted, now);
            self.make_room(arrival, &mut after).await?;
            if shared.alerts.put(fingerprint, &after, revision).await? {
                return Ok((decision, Some(after)));
            }
        }
        Err(Pause::away("the alert's state kept being changed by others"))
    }

    /// Forgets the oldest delivery where there are too many. Its fact is said before: when it comes
    /// again, that is all that tells that it was counted.
    async fn make_room(&self, arrival: &Arrival, state: &mut AlertState) -> Result<(), Pause> {
        while let Some(place) = state::surplus(state) {
            let oldest = state.seen.remove(place);
            if let Some(decision) = Decision::from_word(&oldest.decision) {
                let delivery = &oldest.delivery;
                let fingerprint = arrival.fingerprint();
                self.shared.say_decided(delivery, decision, fingerprint, Some(&*state)).await?;
            }
        }
        Ok(())
    }

    /// Asks forge for what the delivery asked for, as long as it is waited for.
    async fn ask(
        &self,
        arrival: &Arrival,
        decision: Decision,
        state: &AlertState,
    ) -> Result<(), Pause> {
        if !is_askers(state, arrival, decision) {
            return Ok(());
        }
        let fingerprint = arrival.fingerprint();
        match (decision, state.phase()) {
            (Decision::Create, AlertPhase::Pending | AlertPhase::Failed) => {
                self.shared.ask_for_issue(state, fingerprint, &arrival.alert).await
            }
            (Decision::Reopen, AlertPhase::Open | AlertPhase::Failed) => {
                self.shared.ask_for_counter(state, fingerprint).await
            }
            _ => Ok(()),
        }
    }

    /// What was said of a delivery before.
    async fn said(&self, delivery: &str) -> Result<Option<Decision>, Pause> {
        let fact = subject::event(Service::Observability, "decided", delivery);
        let stored = self.shared.bus.last_message(stream::EVENTS.name, &fact).await?;
        let event = stored.and_then(|stored| Event::decode(stored.payload).ok());
        Ok(event.and_then(|event| Decision::from_word(&event.reason)))
    }

    /// The job's state after a decision.
    async fn note(
        &self,
        delivery: &Delivery,
        arrival: &Arrival,
        decision: Decision,
        state: Option<&AlertState>,
    ) -> Result<(), Pause> {
        let is_awaited = state.is_some_and(|state| is_askers(state, arrival, decision));
        let (job_state, step, reason) = match decision {
            Decision::Create | Decision::Reopen if is_awaited => (JobState::Running, "asked", ""),
            // Forge's report ended it.
            Decision::Create | Decision::Reopen => return Ok(()),
            Decision::CountOnly => (JobState::Completed, "counted", ""),
            Decision::Suppress(reason) => (JobState::Completed, "suppressed", reason.as_str()),
        };
        let note = Note {
            state: job_state,
            step,
            reason,
            alert: state,
            replay_of: delivery.replay_of.unwrap_or_default(),
        };
        self.shared.note(&arrival.job, note).await
    }

    /// It is in the spool. What it asked for and was never asked of forge is asked for by its replay.
    async fn give_up(
        &self,
        delivery: &Delivery,
        arrival: &Arrival,
        why: &str,
    ) -> Result<(), Pause> {
        let (shared, fingerprint) = (&self.shared, arrival.fingerprint());
        let origin = format!("{}-{}", delivery.stream, delivery.sequence);
        for _ in 0..MAX_RACES {
            let Some(kept) = shared.alerts.get(fingerprint).await? else { break };
            let mut state = kept.state;
            let decision = state::known(&state, &arrival.seen.delivery);
            if !decision.is_some_and(|decision| is_askers(&state, arrival, decision)) {
                break;
            }
            if shared.effect(&state.effect_id).await?.is_some() {
                // Forge's report ends the job.
                return Ok(());
            }
            state.set_phase(AlertPhase::Failed);
            state.spooled.clone_from(&origin);
            state.updated = Some(shared.now().into());
            if shared.alerts.put(fingerprint, &state, Some(kept.revision)).await? {
                break;
            }
        }
        let event = Event {
            delivery_id: arrival.seen.delivery.clone(),
            job_id: arrival.job.to_string(),
            reason: "given_up".to_owned(),
            detail: why.to_owned(),
            ..Event::default()
        };
        let key = format!("{}-{origin}", arrival.seen.delivery);
        shared.say("spooled", &key, fingerprint, event).await?;
        let note = Note {
            state: JobState::Failed,
            step: "spooled",
            reason: why,
            alert: None,
            replay_of: delivery.replay_of.unwrap_or_default(),
        };
        shared.note(&arrival.job, note).await?;
        tracing::error!(
            event = "observability_spooled",
            job_id = %arrival.job,
            delivery_id = arrival.seen.delivery,
            %fingerprint,
            spooled = origin,
            why,
            "the alert could not be handled"
        );
        Ok(())
    }

    /// The message goes to the spool right after.
    async fn say_unreadable(&self, delivery: &Delivery, why: &str) -> Result<(), Pause> {
        let shared = &self.shared;
        let origin = format!("{}-{}", delivery.stream, delivery.sequence);
        let id = arrival::delivery_id(delivery).map(String::from).unwrap_or_default();
        let job = arrival::told(delivery);
        let event = Event {
            delivery_id: id.clone(),
            job_id: job.clone().map(String::from).unwrap_or_default(),
            repository: shared.target.to_string(),
            reason: "unreadable".to_owned(),
            detail: why.to_owned(),
            ..Event::default()
        };
        shared.outbox.event("spooled", &format!("{id}-{origin}"), event).await?;
        if let Some(job) = &job {
            let note = Note {
                state: JobState::Failed,
                step: "unreadable",
                reason: why,
                alert: None,
                replay_of: delivery.replay_of.unwrap_or_default(),
            };
            shared.note(job, note).await?;
        }
        tracing::error!(
            event = "observability_spooled",
            job_id = job.map(String::from).unwrap_or_default(),
            delivery_id = id,
            spooled = origin,
            why,
            "the body is no alert"
        );
        Ok(())
    }
}

/// Whether the state waits for what this delivery asked for.
fn is_askers(state: &AlertState, arrival: &Arrival, decision: Decision) -> bool {
    let is_awaited = match decision {
        Decision::Create => {
            matches!(state.phase(), AlertPhase::Pending | AlertPhase::Failed) && !state.reopening
        }
        Decision::Reopen => state.reopening,
        Decision::CountOnly | Decision::Suppress(_) => false,
    };
    is_awaited && state::asker(state, decision) == Some(arrival.seen.delivery.as_str())
}
