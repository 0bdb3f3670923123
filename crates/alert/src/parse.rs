//! From a webhook's body to an alert.

use std::borrow::Cow;

use booty_events::TraceId;
use booty_policy::Untrusted;
use thiserror::Error;

use crate::{
    Alert, Location, Severity, breadcrumb,
    fingerprint::Identity,
    raw::{Raw, readable},
    stack::Stack,
    time::time,
};

/// Why a body is no alert.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// With the place of the error, and without any of the text.
    #[error("the body is no JSON: {0}")]
    NoJson(String),
    /// A list, a word, a number.
    #[error("the body is JSON, but no object")]
    NoObject,
    /// Not the body of an `event_alert` webhook.
    #[error("the body has no object at data")]
    NoData,
}

impl Alert {
    /// Reads the body of an `event_alert` webhook. Only what is no alert at all is an error; what
    /// is missing in one or has another type is `None`, and of fields with the same name the last
    /// counts. Time is linear in the body, and of one text at most 16 KiB are kept.
    ///
    /// # Errors
    /// When it is no JSON, no object, or has no object at `data`. A rule that fired without an event is an
    /// alert of which nothing is known.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let body = readable(body);
        let body = Raw::document(&body).map_err(|error| ParseError::NoJson(error.to_string()))?;
        if !body.is_object() {
            return Err(ParseError::NoObject);
        }
        let data = body.field("data");
        if !data.is_object() {
            return Err(ParseError::NoData);
        }
        let [event, rule, issue_alert, issue] =
            data.fields(["event", "triggered_rule", "issue_alert", "issue"]);
        let of_rule = rule.text().or_else(|| issue_alert.field("title").text());
        Ok(read(event, issue, of_rule))
    }
}

fn read(event: Raw<'_>, issue: Raw<'_>, rule: Option<String>) -> Alert {
    let [issue_id, group_id, event_id, own_fingerprint, project, level] =
        event.fields(["issue_id", "groupID", "event_id", "fingerprint", "project", "level"]);
    let [exceptions, stacktrace, threads, metadata, logentry, message] =
        event.fields(["exception", "stacktrace", "threads", "metadata", "logentry", "message"]);
    let [culprit, transaction, environment, release, tags, breadcrumbs, contexts] = event.fields([
        "culprit",
        "transaction",
        "environment",
        "release",
        "tags",
        "breadcrumbs",
        "contexts",
    ]);
    let [datetime, timestamp, received, first, first_too] =
        event.fields(["datetime", "timestamp", "received", "first_seen", "firstSeen"]);
    let [web_url, url, issue_url] = event.fields(["web_url", "url", "issue_url"]);
    let [meta_type, meta_value, meta_file] = metadata.fields(["type", "value", "filename"]);
    let [tag_environment, tag_release, tag_level] =
        tagged(tags, ["environment", "release", "level"]);

    let exception = newest(listed(exceptions));
    let [of_type, value, stack] = exception.fields(["type", "value", "stacktrace"]);
    let exception_type = of_type.whole_text().or_else(|| meta_type.whole_text());
    let culprit_text = culprit.whole_text().or_else(|| transaction.whole_text());
    let fingerprint = Identity {
        issue_ids: [issue_id, group_id],
        fingerprint: own_fingerprint,
        project,
        exception_type: exception_type.as_deref(),
        culprit: culprit_text.as_deref(),
    }
    .fingerprint();

    let stack = Stack::read(stack)
        .or_else(|| Stack::read(stacktrace))
        .or_else(|| Stack::read(telling_thread(threads)));
    let (frames, frame_count, location) =
        stack.map_or((Vec::new(), 0, None), |stack| (stack.frames, stack.count, stack.location));
    let elsewhere =
        |place: String| Location { place: Untrusted::new(place), line: None, function: None };
    let culprit = culprit.text().or_else(|| transaction.text());
    let location = location.or_else(|| meta_file.text().or_else(|| culprit.clone()).map(elsewhere));

    let last_seen = [datetime, timestamp, received].into_iter().find_map(time);
    let [issue_first, issue_first_too] = issue.fields(["firstSeen", "first_seen"]);
    let first_seen = [first, first_too, issue_first, issue_first_too].into_iter().find_map(time);
    let first_seen = match (first_seen, last_seen) {
        (Some(first), Some(last)) => Some(first.min(last)),
        (first, last) => first.or(last),
    };

    let said = [value, meta_value, logentry.field("formatted"), logentry.field("message"), message]
        .into_iter()
        .chain([message.field("formatted"), message.field("message")]);
    let outside =
        |values: &[Raw<'_>]| values.iter().find_map(|value| value.text()).map(Untrusted::new);
    Alert {
        fingerprint,
        event_id: event_id.word().and_then(|id| hexadecimal(&id)),
        severity: severity(level, tag_level),
        exception_type: outside(&[of_type, meta_type]),
        message: said.into_iter().find_map(Raw::text).map(Untrusted::new),
        culprit: culprit.map(Untrusted::new),
        environment: outside(&[environment, tag_environment]),
        release: outside(&[release, release.field("version"), tag_release]),
        rule: rule.map(Untrusted::new),
        frames,
        frame_count,
        location,
        breadcrumbs: breadcrumb::newest(breadcrumbs),
        url: outside(&[web_url, url, issue_url]),
        first_seen,
        last_seen,
        trace_id: trace_id(contexts.field("trace").field("trace_id")),
    }
}

/// Sentry's word, whatever its case and the space around it. Without any the tag is asked. Every
/// other word, number or thing is an error: rather one alert too many than none.
fn severity(level: Raw<'_>, tag: Raw<'_>) -> Severity {
    let word = if level.is_null() { tag.word() } else { level.word() };
    word.and_then(|word| word.parse().ok()).unwrap_or(Severity::Error)
}

/// Lists come bare, or as `{"values": [list]}`; one alone may come without a list.
fn listed(value: Raw<'_>) -> Raw<'_> {
    let values = value.field("values");
    if values.is_list() { values } else { value }
}

/// The last object of a list is the newest; an object alone is itself.
fn newest(list: Raw<'_>) -> Raw<'_> {
    let mut newest = if list.is_object() { list } else { Raw::NULL };
    list.each(|item| {
        if item.is_object() {
            newest = item;
        }
    });
    newest
}

/// The stack of the thread that crashed, else of the current one, else of the last that has one.
fn telling_thread(threads: Raw<'_>) -> Raw<'_> {
    let (mut best, mut best_rank) = (Raw::NULL, 0);
    listed(threads).each(|thread| {
        let [stack, crashed, current] = thread.fields(["stacktrace", "crashed", "current"]);
        let rank = if crashed.is_true() {
            3
        } else if current.is_true() {
            2
        } else {
            1
        };
        if stack.is_object() && rank >= best_rank {
            (best, best_rank) = (stack, rank);
        }
    });
    best
}

/// Tags come as an object, as a list of pairs, or as a list of objects with key and value.
fn tagged<'a, const N: usize>(tags: Raw<'a>, names: [&str; N]) -> [Raw<'a>; N] {
    let mut found = tags.fields(names);
    tags.each(|tag| {
        let [mut key, mut value] = tag.fields(["key", "value"]);
        let mut place = 0;
        tag.each(|part| {
            match place {
                0 => key = part,
                1 => value = part,
                _ => {}
            }
            place += 1;
        });
        let name = key.whole_text().unwrap_or(Cow::Borrowed(""));
        if let Some(at) = names.iter().position(|wanted| *wanted == name) {
            found[at] = value;
        }
    });
    found
}

fn hexadecimal(id: &str) -> Option<String> {
    let id = id.replace('-', "").to_ascii_lowercase();
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

fn trace_id(id: Raw<'_>) -> Option<TraceId> {
    hexadecimal(&id.word()?)?.parse().ok()
}
