//! Giving up on a message: into the spool, said outside, and gone from the durable.

use std::sync::Arc;

use async_nats::jetstream::AckKind;
use booty_events::{header, stream, subject};
use chrono::SecondsFormat;
use tokio::time::timeout;
use tracing::{Instrument as _, error, warn};

use super::{
    Delivery, Handler, Worker,
    settle::{Answer, with_state},
};
use crate::{
    error::{BoxError, Error},
    lease::{GivingUp, Lease, Record, WorkState},
    publish::{Expected, Receipt},
};

/// How often a handler is asked to say the outcome outside: a message that kills even that must not
/// come for ever.
const TELL_TRIES: u32 = 3;
/// The pause after which a message that the spool did not take is tried again.
const SPOOL_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);
/// How often the end of the spool is read again because another entry came first.
const SPOOL_TRIES: u32 = 100;

impl<H: Handler> Worker<H> {
    /// Spools first: whatever happens afterwards, the message is kept and never run again. The
    /// lease's entry says how far it came, so that after a crash in between it goes on from there.
    pub(super) async fn give_up(
        &self,
        delivery: &Delivery,
        lease: &mut Lease,
        answer: &Answer,
        giving_up: GivingUp,
    ) {
        let mut record = with_state(lease, false, WorkState::GivingUp(giving_up.clone()));
        record.last_error = Some(giving_up.why.clone());
        record.until = self.bus.clock().now() + self.settings.lease;
        if self.write(lease, record).await.is_err() {
            return;
        }
        answer.progress().await;
        let GivingUp { reason, why, tell, tries } = &giving_up;
        if let Err(error) = self.spool(delivery, lease.failures(), reason, why).await {
            error!(%error, "could not be spooled; tried again later");
            let record = Record { ended: true, ..lease.record.clone() };
            if self.write(lease, record).await.is_ok() {
                answer.nak(SPOOL_PAUSE).await;
            }
            return;
        }
        error!(reason, why, failures = lease.failures(), "given up; it is in the spool");
        if *tell && *tries <= TELL_TRIES {
            self.tell(delivery, why).await;
        }
        if self.write(lease, with_state(lease, true, WorkState::Done)).await.is_ok() {
            self.answer(answer, AckKind::Term).await;
        }
    }

    async fn tell(&self, delivery: &Delivery, why: &str) {
        let (handler, given, why) = (Arc::clone(&self.handler), delivery.clone(), why.to_owned());
        let mut told =
            tokio::spawn(async move { handler.given_up(&given, &why).await }.in_current_span());
        // The lease was renewed right before, and nobody else may begin while this one is at it.
        match timeout(self.settings.lease * 2 / 3, &mut told).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the handler failed to say the outcome"),
            Err(elapsed) => {
                told.abort();
                warn!(error = %elapsed, "the handler did not say the outcome");
            }
        }
    }

    /// One entry for one message, however often this is tried. The entry names the subject on which
    /// to publish it for a replay, and that subject has the entry's own sequence in it: so the
    /// publish expects the spool to end right before.
    async fn spool(
        &self,
        delivery: &Delivery,
        attempts: u32,
        reason: &str,
        why: &str,
    ) -> Result<(), BoxError> {
        let service = self.settings.service;
        let subject = subject::spool(service, reason, &delivery.stream, delivery.sequence);
        let origin = format!("{}-{}", delivery.stream, delivery.sequence);
        let mut headers = delivery.headers.without_broker_headers();
        headers.remove(header::REPLAY_OF);
        headers.insert(header::SPOOL_SUBJECT, &delivery.subject);
        headers.insert(header::SPOOL_ORIGIN, &origin);
        headers.insert(header::SPOOL_ATTEMPTS, attempts.to_string());
        headers.insert(header::SPOOL_ERROR, why);
        let now = self.bus.clock().now().to_rfc3339_opts(SecondsFormat::Millis, true);
        headers.insert(header::SPOOL_TIME, now);
        for _ in 0..SPOOL_TRIES {
            let last = self.spool_end().await?;
            let replay = subject::replay(service, &origin, last + 1);
            headers.insert(header::SPOOL_REPLAY_SUBJECT, replay);
            let expected = Expected {
                message_id: subject.clone(),
                last_subject_sequence: Some(0),
                last_sequence: Some(last),
            };
            let payload = delivery.payload.clone();
            match self.bus.store(&subject, &headers, payload, expected).await? {
                Receipt::New { .. } | Receipt::Duplicate { .. } => return Ok(()),
                Receipt::Unexpected => {
                    if self.bus.last_message(stream::SPOOL.name, &subject).await?.is_some() {
                        return Ok(());
                    }
                }
            }
        }
        Err("others keep writing to the spool".into())
    }

    /// The sequence of the spool's newest entry.
    async fn spool_end(&self) -> Result<u64, Error> {
        #[derive(serde::Deserialize)]
        struct Info {
            state: State,
        }
        #[derive(serde::Deserialize)]
        struct State {
            last_seq: u64,
        }
        let doing = "ask for the spool's end";
        let subject = format!("STREAM.INFO.{}", stream::SPOOL.name);
        match self.bus.ask::<Info>(doing.to_owned(), &subject).await? {
            Ok(info) => Ok(info.state.last_seq),
            Err(error) => Err(Error::from_api(doing, error)),
        }
    }
}
