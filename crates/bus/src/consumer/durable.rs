//! The durable on the server: made, compared, and found again.

use async_nats::jetstream::{
    AckKind,
    consumer::{self, Consumer, pull},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{info, warn};

use super::{ConsumerSettings, FIRST_BACKOFF, MAX_BACKOFF};
use crate::{
    connect::Bus,
    ensure::{differences, to_object},
    error::Error,
};

/// The server changes these in place.
const UPDATABLE: [&str; 6] =
    ["ack_wait", "filter_subject", "filter_subjects", "max_ack_pending", "max_deliver", "backoff"];
/// Say nothing about which messages come, and when: left to the operator.
const OPERATORS: [&str; 6] =
    ["description", "metadata", "max_waiting", "sample_freq", "num_replicas", "name"];
/// At most so many messages are looked at after a restart; more than that are never unsettled
/// (`max_ack_pending`), but settled ones may lie between.
const RECLAIM_LIMIT: u64 = 5_000;

const CONSUMER_NOT_FOUND: u64 = 10014;

/// Makes the durable, or brings it to these settings. For the start of a service: a durable that is
/// made later than its first message still gets it, but one that is not made keeps nothing safe.
///
/// # Errors
/// The broker is not there or refuses, or the durable differs in a field that can't be changed.
pub async fn ensure_consumer(bus: &Bus, settings: &ConsumerSettings) -> Result<(), Error> {
    let name = &settings.durable;
    let doing = || format!("ensure consumer {name} of {}", settings.stream);
    bus.connected().await.map_err(|e| Error::Unavailable { doing: doing(), source: e.into() })?;
    let wanted = to_object(&config(settings))?;
    let subject = format!("CONSUMER.INFO.{}.{name}", settings.stream);
    let request = match bus.ask::<Info>(doing(), &subject).await? {
        Err(error) if error.error_code().0 == CONSUMER_NOT_FOUND => {
            info!(consumer = name, stream = settings.stream, "creating");
            Request { stream_name: settings.stream, config: wanted, action: "create" }
        }
        Err(error) => return Err(Error::from_api(doing(), error)),
        Ok(found) => {
            let mut config = found.config;
            let mut refused = differences(&wanted, &config);
            refused.retain(|difference| !OPERATORS.contains(&difference.field.as_str()));
            if refused.is_empty() {
                return Ok(());
            }
            let updated: Vec<_> = refused
                .extract_if(.., |difference| UPDATABLE.contains(&difference.field.as_str()))
                .collect();
            if !refused.is_empty() {
                let name = name.clone();
                return Err(Error::Differs { what: "consumer", name, differences: refused });
            }
            for difference in updated {
                info!(consumer = name, %difference, "updating");
                let value = wanted.get(&difference.field).cloned();
                match value {
                    Some(value) => config.insert(difference.field, value),
                    None => config.remove(&difference.field),
                };
            }
            Request { stream_name: settings.stream, config, action: "update" }
        }
    };
    let subject = format!("CONSUMER.CREATE.{}.{name}", settings.stream);
    bus.tell::<_, Value>(doing(), &subject, &request)
        .await?
        .map(drop)
        .map_err(|error| Error::from_api(doing(), error))
}

/// The durable as the client sees it.
pub(crate) async fn handle(
    bus: &Bus,
    settings: &ConsumerSettings,
) -> Result<Consumer<pull::Config>, Error> {
    let doing = format!("find consumer {} of {}", settings.durable, settings.stream);
    bus.jetstream()
        .get_consumer_from_stream(&settings.durable, settings.stream)
        .await
        .map_err(|e| Error::Unavailable { doing, source: e.into() })
}

/// Ensures the durable and answers its handle; waits for as long as the broker is away.
pub(super) async fn attach(
    bus: &Bus,
    settings: &ConsumerSettings,
) -> Result<Consumer<pull::Config>, Error> {
    let mut pause = FIRST_BACKOFF;
    loop {
        let attached = match ensure_consumer(bus, settings).await {
            Ok(()) => handle(bus, settings).await,
            Err(error) => Err(error),
        };
        match attached {
            Err(error) if error.is_retryable() => {
                warn!(%error, consumer = settings.durable, "tries again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_BACKOFF);
            }
            answer => return answer,
        }
    }
}

/// Asks the broker to redeliver at once what a killed process of this holder's name had in hand,
/// instead of after the ack wait. Best effort: the ack wait still ends by itself.
pub(super) async fn reclaim(
    bus: &Bus,
    settings: &ConsumerSettings,
    consumer: &Consumer<pull::Config>,
) {
    let info = consumer.cached_info();
    if info.num_ack_pending == 0 {
        return;
    }
    let from = info.ack_floor.stream_sequence + 1;
    let to = info.delivered.stream_sequence.min(from + RECLAIM_LIMIT);
    let leases = bus.leases();
    for sequence in from..=to {
        let key = settings.lease_key(sequence);
        match leases.unended(&key, &settings.holder).await {
            Ok(Some(work)) => {
                info!(lease = key, "takes up what this holder left when it died");
                let now: Bytes = AckKind::Nak(Some(std::time::Duration::from_millis(1))).into();
                if let Err(error) = bus.client().publish(work.reply, now).await {
                    warn!(%error, "could not ask for it; it comes after the ack wait");
                }
            }
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "could not look for what this holder left; it comes after the ack wait");
                return;
            }
        }
    }
}

fn config(settings: &ConsumerSettings) -> consumer::Config {
    consumer::Config {
        durable_name: Some(settings.durable.clone()),
        name: Some(settings.durable.clone()),
        deliver_policy: consumer::DeliverPolicy::All,
        ack_policy: consumer::AckPolicy::Explicit,
        ack_wait: settings.lease,
        // A server that stops delivering makes a killer message vanish; the loop counts instead.
        max_deliver: -1,
        filter_subjects: settings.filters.clone(),
        replay_policy: consumer::ReplayPolicy::Instant,
        max_ack_pending: settings.max_ack_pending,
        ..consumer::Config::default()
    }
}

#[derive(Deserialize)]
struct Info {
    config: Map<String, Value>,
}

#[derive(Serialize)]
struct Request {
    stream_name: &'static str,
    config: Map<String, Value>,
    action: &'static str,
}
