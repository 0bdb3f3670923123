//! One message, from its arrival to its verdict: the lease is kept, the handler runs.

use std::{any::Any, sync::Arc, time::Duration};

use async_nats::jetstream::{self, AckKind};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info, warn};

use super::{
    Delivery, Handler, STOP_GRACE, Verdict, Worker,
    settle::{Answer, MIN_DELAY, failed_too_often},
};
use crate::{
    durables::matches,
    error::Error,
    headers::Headers,
    lease::{Acquire, Claim, Lease, Work, WorkState, WriteError},
    stored::from_unix_nanos,
    trace,
};

/// How long a task that was aborted is waited for; one that blocks its thread never ends.
const ABORT_GRACE: Duration = Duration::from_millis(300);
const ACQUIRE_PAUSE: Duration = Duration::from_millis(200);

/// How a handler's run ended.
enum Ending {
    Verdict(Verdict),
    Panicked(String),
    /// It did not end when it was told to.
    Aborted,
}

impl<H: Handler> Worker<H> {
    /// The permit is held until the message is settled.
    pub(super) async fn attend(
        &self,
        message: jetstream::Message,
        _permit: OwnedSemaphorePermit,
        arriving: Option<Box<dyn Send>>,
    ) {
        let (Ok(info), Some(reply)) = (message.info(), message.reply.clone()) else {
            warn!(subject = %message.subject, "came without JetStream's reply subject; left");
            return;
        };
        let sequence = info.stream_sequence;
        let Some((_in_hand, replies)) = self.in_hand.enter(sequence, &reply) else {
            return;
        };
        let answer = Answer::new(self.bus.clone(), replies, self.settings.lease);
        let published = from_unix_nanos(info.published.unix_timestamp_nanos());
        let work = Work::begun(published, reply.to_string());
        let key = self.settings.lease_key(sequence);
        let mut lease = match self.acquire(&key, work).await {
            Ok(Claim::Free(Acquire::Taken(lease))) => lease,
            Ok(Claim::Done) => {
                info!(lease = key, "was handled before, only its ack was lost");
                self.answer(&answer, AckKind::Ack).await;
                return;
            }
            Ok(Claim::Free(Acquire::Held { by, until })) => {
                let left = (until - self.bus.clock().now()).to_std().unwrap_or_default();
                info!(lease = key, by, %until, "is not free yet; handed back until then");
                answer.nak(left.min(self.settings.lease).max(MIN_DELAY)).await;
                return;
            }
            Err(error) => {
                warn!(%error, lease = key, "could not be acquired; handed back");
                answer.nak(MIN_DELAY).await;
                return;
            }
        };
        let headers = Headers::from_nats(message.headers.as_ref());
        let (subject, replay_of) = Delivery::origin(&message.subject, &headers);
        let delivery = Arc::new(Delivery {
            subject,
            replay_of,
            stream: info.stream.to_owned(),
            sequence,
            headers,
            payload: message.payload.clone(),
            published,
            delivered: u64::try_from(info.delivered).unwrap_or_default(),
            failures: lease.failures(),
            lease_key: key,
            lease_token: lease.token,
            stop: CancellationToken::new(),
        });
        let span = trace::consumer_span(
            &delivery,
            &self.settings.durable,
            template(&self.settings.filters, &delivery.subject),
        );
        let attended = self.attend_leased(&delivery, &mut lease, &answer, &span, arriving);
        attended.instrument(span.clone()).await;
    }

    async fn attend_leased(
        &self,
        delivery: &Arc<Delivery>,
        lease: &mut Lease,
        answer: &Answer,
        span: &Span,
        arriving: Option<Box<dyn Send>>,
    ) {
        match lease.record.work.as_ref().map(|work| work.state.clone()) {
            // What is done is never acquired.
            Some(WorkState::Done) => self.answer(answer, AckKind::Ack).await,
            Some(WorkState::GivingUp(before)) => {
                drop(arriving);
                self.give_up(delivery, lease, answer, before).await;
            }
            Some(WorkState::Open) | None if lease.failures() >= self.settings.max_failures => {
                drop(arriving);
                let why = lease.record.last_error.clone().unwrap_or_default();
                self.give_up(delivery, lease, answer, failed_too_often(why)).await;
            }
            Some(WorkState::Open) | None => {
                let (handler, given) = (Arc::clone(&self.handler), Arc::clone(delivery));
                // A task of its own, so that a panic ends there.
                let handled = async move {
                    let verdict = handler.handle(&given).await;
                    drop(arriving);
                    verdict
                };
                let run = tokio::spawn(handled.instrument(span.clone()));
                match self.keep(delivery, lease, answer, run).await {
                    Some(ending) => {
                        let verdict = self.judge(delivery, ending);
                        self.settle(delivery, lease, answer, verdict).await;
                    }
                    None => warn!("the lease was lost; its verdict is another's to give"),
                }
            }
        }
    }

    /// Keeps the message and its lease while the handler runs. `None`: another one has taken it.
    async fn keep(
        &self,
        delivery: &Delivery,
        lease: &mut Lease,
        answer: &Answer,
        mut run: JoinHandle<Verdict>,
    ) -> Option<Ending> {
        let period = self.settings.lease / 3;
        let mut tick = interval_at(Instant::now() + period, period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = &delivery.stop;
        let mut is_lost = false;
        let mut is_aborted = false;
        let mut patience = Instant::now();
        let ending = loop {
            let is_stopped = stop.is_cancelled();
            tokio::select! {
                biased;
                ended = &mut run => break match ended {
                    Ok(verdict) => Ending::Verdict(verdict),
                    Err(error) if error.is_panic() => {
                        Ending::Panicked(panic_text(error.into_panic().as_ref()))
                    }
                    Err(_) => Ending::Aborted,
                },
                () = self.stop_all.cancelled(), if !is_stopped => {
                    stop.cancel();
                    patience = Instant::now() + STOP_GRACE;
                }
                () = sleep_until(lease.deadline()), if !is_stopped => {
                    warn!("the lease could not be renewed before its deadline; stops");
                    stop.cancel();
                    patience = Instant::now() + STOP_GRACE;
                }
                () = sleep_until(patience), if is_stopped => {
                    if is_aborted {
                        warn!("the handler blocks its thread and can't be ended");
                        break Ending::Aborted;
                    }
                    run.abort();
                    is_aborted = true;
                    patience = Instant::now() + ABORT_GRACE;
                }
                _ = tick.tick(), if !is_lost => {
                    answer.progress().await;
                    let renewed = tokio::select! {
                        renewed = timeout(period, lease.try_renew(self.settings.lease)) => renewed,
                        () = self.stop_all.cancelled(), if !is_stopped => continue,
                    };
                    match renewed {
                        Ok(Ok(())) => {}
                        Ok(Err(WriteError::Lost(error))) => {
                            warn!(%error, "stops");
                            is_lost = true;
                            if !is_stopped {
                                stop.cancel();
                                patience = Instant::now() + STOP_GRACE;
                            }
                        }
                        Ok(Err(WriteError::Unknown(error))) => warn!(%error, "not renewed"),
                        Err(elapsed) => warn!(error = %elapsed, "not renewed"),
                    }
                }
            }
        };
        (!is_lost).then_some(ending)
    }

    fn judge(&self, delivery: &Delivery, ending: Ending) -> Verdict {
        let is_stopped = delivery.stop.is_cancelled();
        let hand_back = |why: String| Verdict::HandBack { after: MIN_DELAY, why };
        match ending {
            // Told to stop, it did not fail on its own.
            Ending::Verdict(Verdict::Retry { why, .. }) if is_stopped => hand_back(why),
            Ending::Verdict(verdict) => verdict,
            Ending::Aborted => hand_back("it did not end when it was told to".to_owned()),
            Ending::Panicked(text) => Verdict::Retry {
                after: after_panic(delivery.failures),
                why: format!("the handler panicked: {text}"),
            },
        }
    }

    /// Waits for a broker that is away as long as the lease could last.
    async fn acquire(&self, key: &str, work: Work) -> Result<Claim, Error> {
        let settings = &self.settings;
        let leases = self.bus.leases();
        let began = Instant::now();
        loop {
            let acquired =
                leases.acquire_for(key, &settings.holder, settings.lease, Some(work.clone())).await;
            match acquired {
                Err(error)
                    if error.is_retryable()
                        && began.elapsed() < settings.lease
                        && !self.stop_all.is_cancelled() =>
                {
                    warn!(%error, lease = key, "tries again");
                    tokio::time::sleep(ACQUIRE_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}

/// 1 s, 2 s, 4 s, …
fn after_panic(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}

/// The filter that a subject matches, which names its span.
fn template<'a>(filters: &'a [String], subject: &'a str) -> &'a str {
    filters.iter().find(|filter| matches(filter, subject)).map_or(subject, String::as_str)
}
