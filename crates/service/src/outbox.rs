//! How a service says what happened (events) and what should be written (effects).

use booty_bus::{Bus, Headers, Outgoing, PublishError, Published};
use booty_events::{
    EffectId, Lane, Message, Service, header, stream, subject,
    v1::{Effect, Event, effect::Write},
};
use bytes::Bytes;
use chrono::Utc;

/// Publishes a service's events and effects: protobuf with the headers that say so, each under a
/// subject that makes it happen once.
#[derive(Clone)]
pub struct Outbox {
    bus: Bus,
    service: Service,
}

impl Outbox {
    /// An outbox for one service.
    pub fn new(bus: Bus, service: Service) -> Self {
        Self { bus, service }
    }

    /// Says that something happened. `what` is the fact's name from the fixed list, `key` (job and
    /// step) makes it one fact however often it is said. Service, name, time and trace id are filled
    /// in where they are missing.
    ///
    /// # Errors
    /// When the broker has not confirmed it; saying it again is safe.
    pub async fn event(
        &self,
        what: &str,
        key: &str,
        event: Event,
    ) -> Result<Published, PublishError> {
        self.bus.publish(self.event_message(what, key, event)).await
    }

    /// The message that [`Outbox::event`] publishes, for a caller with a disk spool of its own.
    pub fn event_message(&self, what: &str, key: &str, mut event: Event) -> Outgoing {
        event.service = self.service.as_str().to_owned();
        event.name = what.to_owned();
        event.time.get_or_insert_with(|| Utc::now().into());
        if event.trace_id.is_empty() {
            event.trace_id = booty_telemetry::current_trace_id().unwrap_or_default();
        }
        Outgoing {
            subject: subject::event(self.service, what, key),
            headers: protobuf_headers("booty.v1.Event"),
            payload: event.encode_to_vec().into(),
        }
    }

    /// Asks forge for a write. With a lease, forge refuses it once a later holder has that lease; so
    /// when the same write was asked for by an earlier holder, it is asked for again under this one.
    ///
    /// # Errors
    /// When the broker has not confirmed it; asking again is safe.
    pub async fn effect(
        &self,
        lane: Lane,
        effect: &Effect,
        lease: Option<(&str, u64)>,
    ) -> Result<Published, PublishError> {
        let id: EffectId = effect
            .id
            .parse()
            .map_err(|e: booty_events::InvalidId| PublishError::Refused(Box::new(e)))?;
        let kind = effect_kind(effect);
        let mut headers = protobuf_headers("booty.v1.Effect");
        if let Some((key, token)) = lease {
            headers.insert(header::LEASE_KEY, key);
            headers.insert(header::LEASE_TOKEN, token.to_string());
        }
        let subject = subject::effect(lane, kind, &id);
        let payload: Bytes = effect.encode_to_vec().into();
        let message = Outgoing { subject: subject.clone(), headers, payload };
        let published = self.bus.publish(message.clone()).await?;

        let (Published::Duplicate, Some((_, token))) = (&published, lease) else {
            return Ok(published);
        };
        let stored = self
            .bus
            .last_message(stream::EFFECTS.name, &subject)
            .await
            .map_err(|e| PublishError::Unavailable(Box::new(e)))?;
        let earlier = stored
            .and_then(|stored| stored.headers.get(header::LEASE_TOKEN)?.parse::<u64>().ok())
            .is_some_and(|stored| stored < token);
        if !earlier {
            return Ok(published);
        }
        let again = subject::effect_again(lane, kind, &id, token);
        self.bus.publish(Outgoing { subject: again, ..message }).await
    }
}

/// The kind's token in the effect's subject.
pub fn effect_kind(effect: &Effect) -> &'static str {
    match effect.write {
        Some(Write::OpenPullRequest(_)) => "open_pull_request",
        Some(Write::IssueOutcome(_)) => "issue_outcome",
        Some(Write::Comment(_)) => "comment",
        Some(Write::LabelState(_)) => "label_state",
        Some(Write::CreateIssue(_)) => "create_issue",
        Some(Write::CheckRun(_)) => "check_run",
        Some(Write::MarkReady(_)) => "mark_ready",
        Some(Write::UpdatePullRequest(_)) => "update_pull_request",
        Some(Write::IssueCounter(_)) => "issue_counter",
        None => "none",
    }
}

fn protobuf_headers(message: &str) -> Headers {
    let mut headers = Headers::default();
    headers.insert(header::CONTENT_TYPE, header::CONTENT_TYPE_PROTOBUF);
    headers.insert(header::MESSAGE_NAME, message);
    headers.insert(header::SCHEMA_VERSION, header::SCHEMA_VERSION_VALUE);
    headers
}
