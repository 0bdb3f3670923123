//! Sentry as a source: its path, its headers, and what becomes of its deliveries.
//!
//! Of what Sentry sends only the body is signed. The resource header chooses the route, and has to fit
//! the body; the others are recorded and nothing more. Sentry names each try anew, so a delivery is
//! named by its body: the same bytes are the same delivery.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use booty_alert::Alert;
use booty_events::{DeliveryId, JobId, header, subject, v1::Event};
use booty_github::signature::Signature;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    answer::Refusal,
    json,
    source::{Accepted, Decision, Ignored, SignatureCheck, Source, only, signature_header, word},
};

const SIGNATURE: &str = "sentry-hook-signature";
const RESOURCE: &str = "sentry-hook-resource";
const TIMESTAMP: &str = "sentry-hook-timestamp";
const REQUEST_ID: &str = "request-id";

/// The one resource, with its one action, that a service takes.
const ALERT: &str = "event_alert";
const TRIGGERED: &str = "triggered";

const CE_SOURCE: &str = "https://sentry.io/webhooks";

/// The only reason for which a delivery of Sentry's is ignored: no service takes this resource.
const REASON_RESOURCE: &str = "resource";

/// How many hexadecimal digits of the body's hash name a delivery.
const ID_DIGITS: usize = 32;
/// Longer than any id of a request that is in use.
const MAX_REQUEST_ID_BYTES: usize = 64;
/// From where on the sender's clock, or somebody else's header, is worth a line in the log.
const ODD_TIME: TimeDelta = TimeDelta::hours(1);

/// Sentry's webhooks, as an internal integration sends them.
pub(crate) struct Sentry {
    secrets: Arc<[SecretString]>,
    clock: fn() -> DateTime<Utc>,
}

impl Sentry {
    pub(crate) fn new(secrets: &[SecretString], clock: fn() -> DateTime<Utc>) -> Self {
        Self { secrets: secrets.into(), clock }
    }

    /// What is recorded of headers that anybody on the way could have written.
    fn recorded(&self, headers: &HeaderMap) -> Vec<(&'static str, String)> {
        let mut recorded = Vec::new();
        if let Some(id) = only(headers, REQUEST_ID).filter(|id| is_request_id(id)) {
            recorded.push((header::SENTRY_REQUEST_ID, id.to_owned()));
        }
        if headers.contains_key(TIMESTAMP) {
            let time = only(headers, TIMESTAMP).and_then(unix_time);
            let is_odd = time.is_none_or(|time| ((self.clock)() - time).abs() > ODD_TIME);
            if is_odd {
                tracing::info!(event = "odd_timestamp", source = "sentry", time = ?time,
                    "Sentry-Hook-Timestamp is far from now; it is not signed, and nothing goes by it");
            }
            if let Some(time) = time {
                recorded.push((header::SENTRY_TIMESTAMP, time.timestamp().to_string()));
            }
        }
        recorded
    }
}

impl Source for Sentry {
    fn path(&self) -> &'static str {
        "/webhooks/sentry"
    }

    fn name(&self) -> &'static str {
        "sentry"
    }

    /// Bare lower-case hexadecimal digits. Sentry writes no other form, so none is accepted: no
    /// `sha256=` before them, no upper case.
    fn signature(&self, headers: &HeaderMap) -> Result<SignatureCheck, Refusal> {
        let missing = "Sentry-Hook-Signature is missing; only Sentry may post here";
        let signature = signature_header(headers, SIGNATURE, missing, Signature::parse_hex)?;
        Ok(SignatureCheck::new(signature, &self.secrets))
    }

    fn decide(&self, headers: &HeaderMap, body: &[u8], sha256: &[u8; 32]) -> Decision {
        let bad = |reason, message: &str| {
            Decision::Refuse(Refusal::new(StatusCode::BAD_REQUEST, reason, message))
        };
        let text = match json::check(body) {
            Ok(text) => text,
            Err(refusal) => return Decision::Refuse(refusal),
        };
        let Some(resource) = only(headers, RESOURCE).filter(|resource| !resource.is_empty()) else {
            return bad("resource", "Sentry-Hook-Resource must be there once");
        };
        let Ok(delivery) = hex::encode(sha256)[..ID_DIGITS].parse::<DeliveryId>() else {
            return bad("delivery_id", "the body has no name");
        };
        let is_alert = is_alert(text);
        if resource != ALERT {
            // The header is not signed: whoever changes it must not make an alert disappear.
            if is_alert {
                return bad(
                    "shape",
                    "the body is an event_alert, but its header names another resource",
                );
            }
            return ignore(resource, &delivery, text);
        }
        let alert = if is_triggered(text) { Alert::parse(body).ok() } else { None };
        let Some(alert) = alert else {
            return bad(
                "shape",
                "the body of an event_alert must have the action `triggered` and an object at data",
            );
        };
        Decision::Accept(Accepted {
            job_id: JobId::for_alert(&alert.fingerprint, &delivery),
            delivery_id: delivery.to_string(),
            subject: subject::inbox_sentry(ALERT, Some(TRIGGERED), &delivery),
            ce_type: format!("io.sentry.{ALERT}.{TRIGGERED}"),
            ce_source: CE_SOURCE,
            headers: self.recorded(headers),
        })
    }
}

/// As much of a body as tells an issue alert from everything else. Keys that are there twice make it
/// none.
#[derive(Deserialize)]
struct AlertShape<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[allow(dead_code, reason = "only its type counts")]
    data: AlertData,
}

#[derive(Deserialize)]
struct AlertData {
    /// Any object; that something must be in it is for its reader to say.
    #[serde(default)]
    #[allow(dead_code, reason = "only its type counts")]
    event: BTreeMap<String, IgnoredAny>,
}

/// Whether this is what Sentry sends for an issue alert, whatever the header says.
fn is_alert(text: &str) -> bool {
    serde_json::from_str::<AlertShape<'_>>(text).is_ok_and(|body| body.action == TRIGGERED)
}

/// Whether this can be an issue alert where the header says so. A rule that fired is news also when the
/// event is missing.
fn is_triggered(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Triggered<'a> {
        #[serde(borrow)]
        action: Cow<'a, str>,
        #[allow(dead_code, reason = "only its type counts")]
        data: BTreeMap<String, IgnoredAny>,
    }
    serde_json::from_str::<Triggered<'_>>(text).is_ok_and(|body| body.action == TRIGGERED)
}

fn ignore(resource: &str, delivery: &DeliveryId, text: &str) -> Decision {
    #[derive(Deserialize)]
    struct Action<'a> {
        #[serde(borrow)]
        action: Cow<'a, str>,
    }
    let mut attributes = BTreeMap::new();
    attributes.insert("source".to_owned(), "sentry".to_owned());
    attributes.insert("resource".to_owned(), word(resource));
    if let Ok(Action { action }) = serde_json::from_str(text) {
        attributes.insert("action".to_owned(), word(&action));
    }
    Decision::Ignore(Ignored {
        reason: REASON_RESOURCE,
        key: delivery.to_string(),
        event: Event {
            delivery_id: delivery.to_string(),
            reason: REASON_RESOURCE.to_owned(),
            attributes,
            ..Event::default()
        },
    })
}

fn is_request_id(text: &str) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Seconds since 1970, of which a part may be given.
fn unix_time(text: &str) -> Option<DateTime<Utc>> {
    let (seconds, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |text: &str| (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(part) {
        return None;
    }
    DateTime::from_timestamp(seconds.parse().ok()?, 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use sha2::{Digest as _, Sha256};

    use super::*;

    const GOOD: &str = r#"{"action":"triggered","data":{"event":{"event_id":"e4874d664c3540c1a32eab185f12c5ab",
        "issue_id":"1117540176","level":"error"},"triggered_rule":"r"},"installation":{"uuid":"u"}}"#;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_566_248_777, 0).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn decide(pairs: &[(&'static str, &str)], body: &str) -> Decision {
        let sentry = Sentry::new(&["s".into()], now);
        sentry.decide(&headers(pairs), body.as_bytes(), &Sha256::digest(body).into())
    }

    fn outcome(resource: &str, body: &str) -> String {
        match decide(&[(RESOURCE, resource)], body) {
            Decision::Pong => "pong".to_owned(),
            Decision::Accept(accepted) => format!("accept {}", accepted.subject),
            Decision::Ignore(ignored) => format!("ignore {}", ignored.reason),
            Decision::Refuse(refusal) => {
                assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
                format!("refuse {}", refusal.reason)
            }
        }
    }

    #[test]
    fn a_delivery_is_named_by_its_body_and_its_job_by_the_problem() {
        let id = hex::encode(Sha256::digest(GOOD));
        let Decision::Accept(accepted) = decide(&[(RESOURCE, "event_alert")], GOOD) else {
            panic!("it is wanted");
        };
        assert_eq!(accepted.delivery_id, id[..32]);
        assert_eq!(
            accepted.subject,
            format!("booty.inbox.sentry.event_alert.triggered.{}", &id[..32])
        );
        let fingerprint = Alert::parse(GOOD.as_bytes()).unwrap().fingerprint;
        assert_eq!(
            accepted.job_id.as_str(),
            format!("alert-{}-{}", fingerprint.short(), &id[..32])
        );
        assert_eq!(accepted.ce_type, "io.sentry.event_alert.triggered");
        assert_eq!(accepted.ce_source, "https://sentry.io/webhooks");
    }

    /// The header is not signed, so it can only choose among what fits.
    #[rstest]
    #[case::installation(
        "installation",
        r#"{"action":"created","data":{"installation":{}}}"#,
        "ignore resource"
    )]
    #[case::metric_alert(
        "metric_alert",
        r#"{"action":"critical","data":{"metric_alert":{}}}"#,
        "ignore resource"
    )]
    #[case::comment("comment", r#"{"action":"created","data":{"comment":"c"}}"#, "ignore resource")]
    #[case::issue("issue", r#"{"action":"created","data":{"issue":{}}}"#, "ignore resource")]
    #[case::error("error", r#"{"action":"created","data":{"error":{}}}"#, "ignore resource")]
    #[case::seer("seer", r#"{"action":"root_cause_started","data":{}}"#, "ignore resource")]
    #[case::unheard_of("a.*.>", r#"{"action":7,"data":[]}"#, "ignore resource")]
    #[case::alert_as_installation("installation", GOOD, "refuse shape")]
    #[case::alert_as_unheard_of("x", GOOD, "refuse shape")]
    #[case::no_resource("", GOOD, "refuse resource")]
    #[case::another_as_alert(
        "event_alert",
        r#"{"action":"created","data":{"issue":{}}}"#,
        "refuse shape"
    )]
    #[case::not_triggered("event_alert", &GOOD.replace("triggered\",", "resolved\","), "refuse shape")]
    #[case::action_twice("event_alert", &GOOD.replacen('{', "{\"action\":\"x\",", 1), "refuse shape")]
    #[case::data_null("event_alert", r#"{"action":"triggered","data":null}"#, "refuse shape")]
    #[case::null("event_alert", "null", "refuse not_an_object")]
    #[case::not_json("event_alert", "{", "refuse not_json")]
    #[case::empty("event_alert", "", "refuse empty")]
    fn resources(#[case] resource: &str, #[case] body: &str, #[case] expected: &str) {
        assert_eq!(outcome(resource, body), expected);
    }

    #[rstest]
    #[case::no_event(r#"{"action":"triggered","data":{}}"#)]
    #[case::event_null(r#"{"action":"triggered","data":{"event":null}}"#)]
    #[case::event_of_another_type(r#"{"action":"triggered","data":{"event":[]}}"#)]
    fn a_rule_that_fired_without_an_event_is_taken(#[case] body: &str) {
        let outcome = outcome("event_alert", body);
        assert!(
            outcome.starts_with("accept booty.inbox.sentry.event_alert.triggered."),
            "{outcome}"
        );
    }

    #[rstest]
    #[case::good(
        "1566248777",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "1566248777 0f8fad5b-d9cb-469f-a165-70867728950e"
    )]
    #[case::with_a_part("1566248777.677", "r", "1566248777 r")]
    #[case::long_ago("0", "r", "0 r")]
    #[case::far_off("4102444800", "r", "4102444800 r")]
    #[case::no_time("abc", "r", "- r")]
    #[case::negative("-1", "r", "- r")]
    #[case::endless("99999999999999999999999999", "r", "- r")]
    #[case::no_id("1", "a b*.>", "1 -")]
    fn unsigned_headers_are_recorded_and_nothing_more(
        #[case] timestamp: &str,
        #[case] request_id: &str,
        #[case] expected: &str,
    ) {
        let pairs = [(RESOURCE, "event_alert"), (TIMESTAMP, timestamp), (REQUEST_ID, request_id)];
        let Decision::Accept(accepted) = decide(&pairs, GOOD) else { panic!("it is wanted") };
        let recorded: BTreeMap<_, _> = accepted.headers.into_iter().collect();
        let text = |name| recorded.get(name).map_or("-", String::as_str);
        let found = [text(header::SENTRY_TIMESTAMP), text(header::SENTRY_REQUEST_ID)].join(" ");
        assert_eq!(found, expected);
    }

    #[test]
    fn what_goes_on_record_is_bounded() {
        let body = format!(r#"{{"action":"{}"}}"#, "a".repeat(5000));
        let Decision::Ignore(ignored) = decide(&[(RESOURCE, "<script>")], &body) else {
            panic!("nobody wants it");
        };
        assert_eq!(ignored.event.attributes["resource"], "other");
        assert_eq!(ignored.event.attributes["action"], "other");
    }
}
