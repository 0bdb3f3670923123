//! Start-up: the streams and buckets are made, or compared field by field with what is there.

use async_nats::{
    Request,
    jetstream::{self, stream},
};
use booty_events::{
    bucket::{self, BucketDefinition},
    stream::{self as streams, MAX_PAYLOAD_BYTES, StreamDefinition},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::{info, warn};

use crate::{
    bucket::stream_name,
    connect::Bus,
    error::{Difference, Error},
};

/// The oldest server that does what is asked of it here.
const MIN_SERVER: (u64, u64) = (2, 12);
/// How long a message id is remembered; only a second line behind the expected sequence.
const DUPLICATE_WINDOW: std::time::Duration = std::time::Duration::from_secs(120);
/// Room and time: more is safe, so a smaller value is raised and a larger one left to the operator.
const GROWABLE: [&str; 2] = ["max_bytes", "max_age"];
/// What a stream that an older version made lacks; switched on in place, which harms nothing in it.
const SWITCHED_ON: &str = "allow_msg_ttl";
/// Says nothing about what a stream keeps or refuses: left to the operator.
const OPERATORS: [&str; 5] =
    ["description", "placement", "compression", "num_replicas", "duplicate_window"];

const STREAM_NOT_FOUND: u64 = 10059;
const STREAM_NAME_IN_USE: u64 = 10058;

impl Bus {
    /// Creates what is missing and compares every field of what exists. Too little room or too short
    /// an age is raised; any other difference is refused with the field's name.
    ///
    /// # Errors
    /// A server older than 2.12, one that takes less than 32 MiB a message, a stream that differs,
    /// or no connection.
    pub async fn ensure(&self) -> Result<(), Error> {
        self.connected().await.map_err(|e| Error::Unavailable {
            doing: "reach the broker".to_owned(),
            source: e.into(),
        })?;
        let server = self.client().server_info();
        if !is_recent(&server.version) {
            return Err(Error::ServerTooOld { found: server.version });
        }
        if server.max_payload < MAX_PAYLOAD_BYTES {
            return Err(Error::MaxPayload { found: server.max_payload, wanted: MAX_PAYLOAD_BYTES });
        }
        for definition in &streams::ALL {
            self.ensure_stream(stream_config(definition, self.max_bytes_override())).await?;
        }
        for definition in &bucket::ALL {
            self.ensure_stream(bucket_config(definition, self.max_bytes_override())).await?;
        }
        Ok(())
    }

    async fn ensure_stream(&self, wanted: stream::Config) -> Result<(), Error> {
        let name = wanted.name.clone();
        let Some(found) = self.stream_config(&name).await? else {
            return self.create_stream(&name, &wanted).await;
        };
        let wanted = to_object(&wanted)?;
        let (raise, refused) = compare(&wanted, &found);
        if !refused.is_empty() {
            return Err(Error::Differs { what: "stream", name, differences: refused });
        }
        if raise.is_empty() {
            return Ok(());
        }
        let mut config = found;
        for field in raise {
            info!(stream = name, field, from = ?config.get(field), to = %wanted[field], "raising");
            config.insert(field.to_owned(), wanted[field].clone());
        }
        let doing = format!("update stream {name}");
        self.tell(doing.clone(), &format!("STREAM.UPDATE.{name}"), &config)
            .await?
            .map(|_: Value| ())
            .map_err(|error| Error::from_api(doing, error))
    }

    async fn create_stream(&self, name: &str, wanted: &stream::Config) -> Result<(), Error> {
        let doing = format!("create stream {name} with {} bytes", wanted.max_bytes);
        let answer: Result<Value, _> =
            self.tell(doing.clone(), &format!("STREAM.CREATE.{name}"), wanted).await?;
        match answer {
            Ok(_) => {
                info!(stream = name, "created");
                Ok(())
            }
            Err(error) if error.error_code().0 == STREAM_NAME_IN_USE => {
                // Another service was faster, with another configuration.
                let found = self.stream_config(name).await?.unwrap_or_default();
                let (_, differences) = compare(&to_object(wanted)?, &found);
                if differences.is_empty() {
                    Ok(())
                } else {
                    Err(Error::Differs { what: "stream", name: name.to_owned(), differences })
                }
            }
            Err(error) => Err(Error::from_api(doing, error)),
        }
    }

    /// The configuration as the server's JSON has it, with fields that the client doesn't know.
    async fn stream_config(&self, name: &str) -> Result<Option<Map<String, Value>>, Error> {
        #[derive(Deserialize)]
        struct Info {
            config: Map<String, Value>,
        }
        let doing = format!("ask for stream {name}");
        match self.ask::<Info>(doing.clone(), &format!("STREAM.INFO.{name}")).await? {
            Ok(info) => Ok(Some(info.config)),
            Err(error) if error.error_code().0 == STREAM_NOT_FOUND => Ok(None),
            Err(error) => Err(Error::from_api(doing, error)),
        }
    }

    /// Asks the JetStream API: the outer error is the way there, the inner the answer.
    pub(crate) async fn ask<V: serde::de::DeserializeOwned>(
        &self,
        doing: String,
        subject: &str,
    ) -> Result<Result<V, jetstream::Error>, Error> {
        self.api(doing, subject, Bytes::new()).await
    }

    /// Tells the JetStream API.
    pub(crate) async fn tell<T, V>(
        &self,
        doing: String,
        subject: &str,
        payload: &T,
    ) -> Result<Result<V, jetstream::Error>, Error>
    where
        T: serde::Serialize + ?Sized,
        V: serde::de::DeserializeOwned,
    {
        let payload = serde_json::to_vec(payload).map_err(|error| Error::Unreadable {
            what: "our own request".to_owned(),
            source: error.into(),
        })?;
        self.api(doing, subject, payload.into()).await
    }

    async fn api<V: serde::de::DeserializeOwned>(
        &self,
        doing: String,
        subject: &str,
        payload: Bytes,
    ) -> Result<Result<V, jetstream::Error>, Error> {
        use jetstream::response::Response;
        let request = Request::new().payload(payload);
        let asked = self.request(format!("$JS.API.{subject}"), request, self.request_timeout());
        let answer = match asked.await {
            Ok(answer) => answer,
            Err(error) => return Err(Error::from_request(doing, error)),
        };
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(value)) => Ok(Ok(value)),
            Ok(Response::Err { error }) => Ok(Err(error)),
            Err(error) => Err(Error::Unavailable { doing, source: error.into() }),
        }
    }
}

fn stream_config(definition: &StreamDefinition, max_bytes: Option<i64>) -> stream::Config {
    stream::Config {
        name: definition.name.to_owned(),
        subjects: definition.subjects.iter().map(|s| (*s).to_owned()).collect(),
        retention: stream::RetentionPolicy::Limits,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        // The server wants a limit per subject beside it; the journal has none.
        discard_new_per_subject: definition.max_messages_per_subject > 0,
        max_messages_per_subject: definition.max_messages_per_subject,
        max_age: definition.max_age.unwrap_or_default(),
        max_bytes: max_bytes.unwrap_or(definition.max_bytes),
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        ..unlimited()
    }
}

fn bucket_config(definition: &BucketDefinition, max_bytes: Option<i64>) -> stream::Config {
    stream::Config {
        name: stream_name(definition),
        subjects: vec![format!("$KV.{}.>", definition.name)],
        max_messages_per_subject: 1,
        discard: stream::DiscardPolicy::New,
        max_age: definition.max_age.unwrap_or_default(),
        max_bytes: max_bytes.unwrap_or(definition.max_bytes),
        allow_message_ttl: definition.past_age.is_some(),
        duplicate_window: DUPLICATE_WINDOW,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..unlimited()
    }
}

fn unlimited() -> stream::Config {
    stream::Config {
        max_messages: -1,
        max_consumers: -1,
        max_message_size: -1,
        num_replicas: 1,
        ..stream::Config::default()
    }
}

/// Which fields must be raised, and which differences can't be mended.
fn compare(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
) -> (Vec<&'static str>, Vec<Difference>) {
    let mut raise = Vec::new();
    let mut refused = Vec::new();
    for difference in differences(wanted, found) {
        let field = difference.field.as_str();
        if OPERATORS.contains(&field) {
            continue;
        }
        if field == SWITCHED_ON && wanted.get(field) == Some(&Value::Bool(true)) {
            raise.push(SWITCHED_ON);
            continue;
        }
        match GROWABLE.iter().find(|growable| **growable == field) {
            Some(growable) if limit(wanted, field) > limit(found, field) => raise.push(*growable),
            Some(_) => warn!(%difference, "more room than needed is left as it is"),
            None => refused.push(difference),
        }
    }
    (raise, refused)
}

/// Every field whose values differ; unset, zero and empty are the same.
pub(crate) fn differences(
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
) -> Vec<Difference> {
    let mut fields: Vec<&String> = wanted.keys().chain(found.keys()).collect();
    fields.sort();
    fields.dedup();
    fields
        .into_iter()
        .filter_map(|field| {
            let (wanted, found) = (meaning(wanted.get(field)), meaning(found.get(field)));
            (wanted != found).then(|| Difference {
                field: field.clone(),
                wanted: wanted.map_or_else(|| "unset".to_owned(), |v| v.to_string()),
                found: found.map_or_else(|| "unset".to_owned(), |v| v.to_string()),
            })
        })
        .collect()
}

fn meaning(value: Option<&Value>) -> Option<Value> {
    match value? {
        Value::Null | Value::Bool(false) => None,
        Value::Number(n) if n.as_f64() == Some(0.0) => None,
        Value::String(s) if s.is_empty() => None,
        Value::Array(a) if a.is_empty() => None,
        Value::Object(fields) => {
            // The server adds notes of its own: `_nats.ver`, …
            let ours: Map<String, Value> = fields
                .iter()
                .filter(|(name, value)| {
                    !name.starts_with("_nats.") && meaning(Some(*value)).is_some()
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            (!ours.is_empty()).then_some(Value::Object(ours))
        }
        other => Some(other.clone()),
    }
}

/// A limit as a number that compares: none at all is the largest.
fn limit(config: &Map<String, Value>, field: &str) -> i64 {
    match config.get(field).and_then(Value::as_i64) {
        Some(n) if n > 0 => n,
        _ => i64::MAX,
    }
}

pub(crate) fn to_object<T: serde::Serialize>(value: &T) -> Result<Map<String, Value>, Error> {
    let unreadable = |source: crate::error::BoxError| Error::Unreadable {
        what: "our own configuration".to_owned(),
        source,
    };
    match serde_json::to_value(value).map_err(|e| unreadable(e.into()))? {
        Value::Object(fields) => Ok(fields),
        other => Err(unreadable(format!("{other} is no object").into())),
    }
}

/// Whether a version such as `2.15.2` or `2.12.0-RC.1` is at least 2.12.
pub(crate) fn is_recent(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= MIN_SERVER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for recent in ["2.12.0", "v2.15.2", "2.12.0-RC.1", "3.0.0", "10.1.0"] {
            assert!(is_recent(recent), "{recent}");
        }
        for old in ["2.9.10", "2.11.99", "1.99.0", "", "git", "2"] {
            assert!(!is_recent(old), "{old}");
        }
    }

    #[test]
    fn unset_zero_and_empty_are_the_same() {
        let wanted = object(json!({"a": null, "b": 0, "c": [], "d": 1, "m": {}}));
        let found = object(json!({"c": null, "d": 1, "e": "", "m": {"_nats.ver": "2.15"}}));
        assert_eq!(differences(&wanted, &found), []);
    }

    #[test]
    fn room_is_raised_and_meaning_is_refused() {
        let wanted = object(json!({"max_bytes": 100, "max_age": 0, "discard": "new"}));
        let found = object(json!({"max_bytes": 10, "max_age": 5, "discard": "old", "novel": true}));
        let (raise, refused) = compare(&wanted, &found);
        assert_eq!(raise, ["max_age", "max_bytes"], "0 is for ever, which is longer than 5");
        let refused: Vec<String> = refused.iter().map(Difference::to_string).collect();
        assert_eq!(refused, [r#"discard is "old", must be "new""#, "novel is true, must be unset"]);

        let (raise, refused) = compare(&found, &wanted);
        assert!(raise.is_empty(), "nothing is ever made smaller");
        assert_eq!(refused.len(), 2);

        let old = object(json!({"max_bytes": 1}));
        let new = object(json!({"max_bytes": 1, "allow_msg_ttl": true}));
        assert_eq!(compare(&new, &old), (vec!["allow_msg_ttl"], vec![]));
        assert_eq!(compare(&old, &new).1.len(), 1, "where it is not ours, entries would vanish");
    }
}
