//! The one place that turns a verdict into a double ack, a delayed nak, or the spool.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use async_nats::{Request, jetstream::AckKind};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tracing::{debug, info, warn};

use super::{Delivery, Handler, LAST_ANSWERS, Verdict, Worker};
use crate::{
    connect::Bus,
    lease::{GivingUp, Lease, LeaseLost, Outcome, Record, WorkState, WriteError},
};

/// No nak is sooner: one without a delay comes back at once, and spins.
pub(super) const MIN_DELAY: Duration = Duration::from_millis(100);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long the broker may take to confirm an ack, and how often it is asked.
const ACK_TIMEOUT: Duration = Duration::from_secs(1);
const ACK_TRIES: u32 = 2;
/// Longer errors are cut before they are stored.
const MAX_ERROR_BYTES: usize = 4096;
/// What the spool calls a message that failed too often.
const FAILED_TOO_OFTEN: &str = "failed_too_often";

impl<H: Handler> Worker<H> {
    /// The verdict is written into the lease's entry first. Only who still holds it can do that, so a
    /// stale worker acks nothing; and a message whose ack is lost afterwards is not run again.
    pub(super) async fn settle(
        &self,
        delivery: &Delivery,
        lease: &mut Lease,
        answer: &Answer,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Done => self.confirm(lease, answer, Outcome::Done).await,
            Verdict::Ignore { reason } => {
                info!(reason, "ignored");
                self.confirm(lease, answer, Outcome::Ignored { reason: cut(reason) }).await;
            }
            Verdict::HandBack { after, why } => {
                info!(why, "handed back");
                let record = Record { ended: true, ..lease.record.clone() };
                self.write_and_nak(lease, record, answer, delay(after, delivery)).await;
            }
            Verdict::Retry { after, why } => {
                let why = cut(why);
                let failures = lease.failures() + 1;
                warn!(why, failures, "failed");
                if failures >= self.settings.max_failures {
                    lease.record.failures = failures;
                    return self.give_up(delivery, lease, answer, failed_too_often(why)).await;
                }
                let record =
                    Record { ended: true, failures, last_error: Some(why), ..lease.record.clone() };
                self.write_and_nak(lease, record, answer, delay(after, delivery)).await;
            }
            Verdict::Reject { reason, why } => {
                lease.record.failures += 1;
                let giving_up = GivingUp { tell: false, reason, ..failed_too_often(cut(why)) };
                self.give_up(delivery, lease, answer, giving_up).await;
            }
        }
    }

    async fn confirm(&self, lease: &mut Lease, answer: &Answer, outcome: Outcome) {
        if self.write(lease, with_outcome(lease, outcome)).await.is_ok() {
            self.answer(answer, AckKind::Ack).await;
        }
    }

    /// The entry says until when, as well: a broker that was killed forgets a nak and delivers at once.
    pub(super) async fn write_and_nak(
        &self,
        lease: &mut Lease,
        mut record: Record,
        answer: &Answer,
        delay: Duration,
    ) {
        if let Some(work) = &mut record.work {
            work.not_before = Some(self.bus.clock().now() + delay);
        }
        if self.write(lease, record).await.is_ok() {
            answer.nak(delay).await;
        }
    }

    /// Writes the lease's entry, asking again while the broker is away.
    pub(super) async fn write(&self, lease: &mut Lease, record: Record) -> Result<(), NotWritten> {
        let began = Instant::now();
        loop {
            let patience = self.patience(began);
            let error = match timeout(patience, lease.write(record.clone())).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(WriteError::Lost(LeaseLost::Taken { by, .. }))) => {
                    warn!(by, "the lease was lost; the verdict is not given");
                    return Err(NotWritten);
                }
                Ok(Err(WriteError::Lost(error @ LeaseLost::Unconfirmed { .. }))) => {
                    error.to_string()
                }
                Ok(Err(WriteError::Unknown(error))) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            if self.patience(began).is_zero() {
                warn!(error, "the verdict could not be written; the message comes again");
                return Err(NotWritten);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Answers the broker and waits until it confirms, but not for long: one that was killed may have
    /// forgotten the delivery, and never confirms. It delivers again, and for that it needs the
    /// permit; the verdict is then found in the lease's entry.
    pub(super) async fn answer(&self, answer: &Answer, kind: AckKind) {
        for _ in 0..ACK_TRIES {
            if answer.send(kind).await {
                return;
            }
        }
        info!("the broker did not confirm the ack; the message comes again and is known then");
    }

    fn patience(&self, began: Instant) -> Duration {
        let whole = if self.stop_all.is_cancelled() { LAST_ANSWERS } else { self.settings.lease };
        whole.saturating_sub(began.elapsed())
    }
}

/// The verdict is not written: the lease is another's, or the broker is away.
#[derive(Debug)]
pub(super) struct NotWritten;

/// Where one delivery is answered.
#[derive(Debug)]
pub(super) struct Answer {
    bus: Bus,
    /// The newest delivery's.
    reply: watch::Receiver<String>,
    ack_wait: Duration,
}

impl Answer {
    pub(super) fn new(bus: Bus, reply: watch::Receiver<String>, ack_wait: Duration) -> Self {
        Self { bus, reply, ack_wait }
    }

    /// More time. A lost one does no harm: the next comes after a third of the ack wait.
    pub(super) async fn progress(&self) {
        let sent = self.bus.client().publish(self.newest_reply(), AckKind::Progress.into());
        // The client takes it at once, unless its queue is full.
        if timeout(self.ack_wait / 3, sent).await.is_err() {
            debug!("progress was not sent: the client is busy");
        }
    }

    /// Again after `delay`. A lost one does no harm: the message comes after the ack wait.
    pub(super) async fn nak(&self, delay: Duration) {
        if !self.send(AckKind::Nak(Some(delay.max(MIN_DELAY)))).await {
            debug!("the nak was not confirmed; the message comes after the ack wait");
        }
    }

    /// Whether the broker confirmed.
    async fn send(&self, kind: AckKind) -> bool {
        if self.bus.connected().await.is_err() {
            return false;
        }
        let mut reply = self.reply.clone();
        let subject = reply.borrow_and_update().clone();
        let request = Request::new().payload(kind.into());
        tokio::select! {
            answer = self.bus.request(subject, request, ACK_TIMEOUT) => match answer {
                Ok(_) => true,
                Err(error) => {
                    debug!(%error, "no confirmation");
                    false
                }
            },
            // Delivered again meanwhile: the old reply is not heard any more.
            Ok(()) = reply.changed() => false,
        }
    }

    fn newest_reply(&self) -> String {
        self.reply.borrow().clone()
    }
}

pub(super) fn failed_too_often(why: String) -> GivingUp {
    GivingUp {
        reason: FAILED_TOO_OFTEN.to_owned(),
        why,
        tell: true,
        tries: 0,
        errors: 0,
        spooled: false,
    }
}

pub(super) fn with_state(lease: &Lease, ended: bool, state: WorkState) -> Record {
    let mut record = Record { ended, ..lease.record.clone() };
    if let Some(work) = &mut record.work {
        work.state = state;
    }
    record
}

/// The end of a message, in order.
pub(super) fn with_outcome(lease: &Lease, outcome: Outcome) -> Record {
    let mut record = with_state(lease, true, WorkState::Done);
    if let Some(work) = &mut record.work {
        work.outcome = Some(outcome);
    }
    record
}

/// ±20 %, so that what failed together does not come back together; the same for the same delivery.
pub(super) fn delay(after: Duration, delivery: &Delivery) -> Duration {
    let mut hash = DefaultHasher::new();
    (&delivery.stream, delivery.sequence, delivery.delivered).hash(&mut hash);
    let percent = 80 + u32::try_from(hash.finish() % 41).unwrap_or_default();
    (after * percent / 100).max(MIN_DELAY)
}

pub(super) fn cut(mut text: String) -> String {
    if text.len() > MAX_ERROR_BYTES {
        let end = (0..=MAX_ERROR_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
