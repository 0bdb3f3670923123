//! Giving up on a message: into the spool, said outside, and gone from the durable.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::AckKind;
use booty_events::{header, subject::SpoolPlace};
use chrono::SecondsFormat;
use tokio::time::timeout;
use tracing::{Instrument as _, error, info, warn};

use super::{
    Delivery, Handler, Worker, fallback,
    settle::{Answer, MIN_DELAY, cut, delay, with_outcome, with_state},
};
use crate::{
    error::BoxError,
    lease::{GivingUp, Lease, Outcome, WorkState},
    publish::Outgoing,
};

/// How often a handler is asked to say the outcome outside and dies of it: a message that kills even
/// that must not come for ever.
const TELL_TRIES: u32 = 3;
/// How often it may answer that it could not. With the pauses between, that is about two hours.
const TELL_ERRORS: u32 = 30;
const FIRST_TELL_PAUSE: Duration = Duration::from_millis(500);
const MAX_TELL_PAUSE: Duration = Duration::from_secs(300);
/// The pause after which a message that the spool did not take is tried again.
const SPOOL_PAUSE: Duration = Duration::from_secs(5);

impl<H: Handler> Worker<H> {
    /// Spools first: whatever happens afterwards, the message is kept and never run again. The
    /// lease's entry says how far it came, so that after a crash in between it goes on from there.
    pub(super) async fn give_up(
        &self,
        delivery: &Delivery,
        lease: &mut Lease,
        answer: &Answer,
        before: GivingUp,
    ) {
        let begun = GivingUp { tries: before.tries + 1, ..before.clone() };
        let mut record = with_state(lease, false, WorkState::GivingUp(begun));
        record.last_error = Some(before.why.clone());
        record.until = self.bus.clock().now() + self.settings.lease;
        if self.write(lease, record).await.is_err() {
            return;
        }
        answer.progress().await;
        let GivingUp { reason, why, tell, tries, errors, spooled } = &before;
        if !spooled {
            let failures = lease.failures();
            if let Err(error) = self.spool(delivery, failures, reason, why).await {
                error!(%error, "could not be spooled; tried again later");
                let record = with_state(lease, true, WorkState::GivingUp(before));
                if self.write(lease, record).await.is_ok() {
                    answer.nak(SPOOL_PAUSE).await;
                }
                return;
            }
            error!(reason, why, failures, "given up; it is in the spool");
        }
        if *tell && *tries < TELL_TRIES {
            match self.tell(delivery, why).await {
                Told::Yes => {}
                Told::Stopped => {
                    let before = GivingUp { spooled: true, ..before };
                    let record = with_state(lease, true, WorkState::GivingUp(before));
                    return self.write_and_nak(lease, record, answer, MIN_DELAY).await;
                }
                Told::No(error) if errors + 1 < TELL_ERRORS => {
                    let pause = delay(tell_pause(*errors), delivery);
                    warn!(error, ?pause, "the outcome could not be said outside; tries again");
                    let before = GivingUp { errors: errors + 1, spooled: true, ..before };
                    let record = with_state(lease, true, WorkState::GivingUp(before));
                    return self.write_and_nak(lease, record, answer, pause).await;
                }
                Told::No(error) => {
                    error!(error, tries = TELL_ERRORS, "the outcome is never said outside");
                }
            }
        } else if *tell {
            error!(tries, "the outcome is never said outside: the handler dies of it");
        }
        let outcome = Outcome::Spooled { reason: reason.clone() };
        if self.write(lease, with_outcome(lease, outcome)).await.is_ok() {
            self.answer(answer, AckKind::Term).await;
        }
    }

    async fn tell(&self, delivery: &Delivery, why: &str) -> Told {
        let (handler, given, why) = (Arc::clone(&self.handler), delivery.clone(), why.to_owned());
        let mut told =
            tokio::spawn(async move { handler.given_up(&given, &why).await }.in_current_span());
        // The lease was renewed right before, and nobody else may begin while this one is at it.
        let answer = tokio::select! {
            answer = timeout(self.settings.lease * 2 / 3, &mut told) => answer,
            () = self.stop_all.cancelled() => {
                told.abort();
                info!("the outcome is said after the restart");
                return Told::Stopped;
            }
        };
        match answer {
            Ok(Ok(Ok(()))) => Told::Yes,
            Ok(Ok(Err(error))) => Told::No(cut(error)),
            Ok(Err(error)) => Told::No(error.to_string()),
            Err(elapsed) => {
                told.abort();
                Told::No(format!("the handler did not end: {elapsed}"))
            }
        }
    }

    async fn spool(
        &self,
        delivery: &Delivery,
        attempts: u32,
        reason: &str,
        why: &str,
    ) -> Result<(), BoxError> {
        let mut headers = delivery.headers.without_broker_headers();
        headers.remove(header::REPLAY_OF);
        headers.insert(header::SPOOL_SUBJECT, &delivery.subject);
        headers.insert(header::SPOOL_ATTEMPTS, attempts.to_string());
        headers.insert(header::SPOOL_ERROR, why);
        let now = self.bus.clock().now().to_rfc3339_opts(SecondsFormat::Millis, true);
        headers.insert(header::SPOOL_TIME, now);
        let place = SpoolPlace {
            service: self.settings.service,
            reason: reason.to_owned(),
            origin: format!("{}-{}", delivery.stream, delivery.sequence),
        };
        let spooled = self.bus.spool(&place, headers.clone(), delivery.payload.clone()).await;
        let Err(error) = spooled else { return Ok(()) };
        match &self.settings.fallback {
            Some(fallback) if fallback::is_wanted(&error) => {
                headers.insert(header::SPOOL_ORIGIN, &place.origin);
                let (subject, payload) = (place.subject(), delivery.payload.clone());
                let entry = Outgoing { subject, headers, payload };
                error!(%error, "the spool does not take it; it is kept on disk");
                fallback.keep(entry, &chain(&error)).await
            }
            _ => Err(error.into()),
        }
    }
}

/// An error with its causes, for a person.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Whether the outcome is said outside.
enum Told {
    Yes,
    No(String),
    /// A shutdown came first.
    Stopped,
}

/// 0.5 s, 1 s, 2 s, … 5 min.
fn tell_pause(errors: u32) -> Duration {
    (FIRST_TELL_PAUSE * (1 << errors.min(16))).min(MAX_TELL_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_tried_for_more_than_an_hour() {
        let all: Duration = (0..TELL_ERRORS - 1).map(tell_pause).sum();
        assert!(all > Duration::from_secs(3600), "{all:?}");
        assert_eq!(tell_pause(0), FIRST_TELL_PAUSE);
        assert_eq!(tell_pause(u32::MAX), MAX_TELL_PAUSE);
    }
}
