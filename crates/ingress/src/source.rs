//! What a sender of webhooks is to the rest of ingress. GitHub is one; each further one is a file
//! beside `github.rs` and an entry in `App::build`.

use booty_events::{JobId, v1::Event};
use booty_github::signature::{Signature, SignatureError, Verifier};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;

use crate::answer::Refusal;

/// A sender of webhooks.
pub(crate) trait Source: Send + Sync + 'static {
    /// The one path that it posts to.
    fn path(&self) -> &'static str;

    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// Finds the signature that the body has to fit, before any of the body is read.
    fn signature(&self, headers: &HeaderMap) -> Result<SignatureCheck, Refusal>;

    /// Names a verified delivery and says what becomes of it.
    fn decide(&self, headers: &HeaderMap, body: &[u8], sha256: &[u8; 32]) -> Decision;
}

/// What becomes of a verified delivery.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decision {
    /// It only asks whether somebody is here.
    Pong,
    /// A service wants it.
    Accept(Accepted),
    /// Nobody wants it, which goes on record.
    Ignore(Ignored),
    /// It can't be understood.
    Refuse(Refusal),
}

/// A delivery that a service wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// What the sender is told to ask for.
    pub(crate) job_id: JobId,
    /// The delivery's name.
    pub(crate) delivery_id: String,
    /// Where it goes: also its identity for good.
    pub(crate) subject: String,
    /// CloudEvents type, e.g. `com.github.issues.labeled`.
    pub(crate) ce_type: String,
    /// CloudEvents source: never from the body, whose URLs prove nothing.
    pub(crate) ce_source: &'static str,
    /// What else the message says about the delivery.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// A delivery that nobody wants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ignored {
    /// Why, in one word of a fixed list.
    pub(crate) reason: &'static str,
    /// The fact's key: the delivery's name.
    pub(crate) key: String,
    /// What goes on record.
    pub(crate) event: Event,
}

/// A signature, and the hash of the body so far under every secret.
pub(crate) struct SignatureCheck {
    signature: Signature,
    verifier: Verifier,
}

impl SignatureCheck {
    /// Starts over an empty body.
    pub(crate) fn new(signature: Signature, secrets: &[SecretString]) -> Self {
        Self { signature, verifier: Verifier::new(secrets) }
    }

    /// Adds the next piece of the body.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.verifier.update(piece);
    }

    /// Whether the signature fits the body that was added.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        self.verifier.verify_signature(&self.signature).map_err(|_| wrong_signature())
    }
}

/// Finds the one signature header. Only one form counts, the sender's own.
pub(crate) fn signature_header(
    headers: &HeaderMap,
    name: &str,
    missing: &str,
    parse: fn(&str) -> Result<Signature, SignatureError>,
) -> Result<Signature, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "no_signature", missing));
    };
    // With two, which one counts would depend on who looks.
    if values.next().is_some() {
        return Err(wrong_signature());
    }
    let signature = value.to_str().ok().and_then(|text| parse(text).ok());
    signature.ok_or_else(wrong_signature)
}

/// The value of a header that is there exactly once, as visible ASCII.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// A name from outside, if it looks like one of the sender's own; what does not is not repeated.
pub(crate) fn word(text: &str) -> String {
    let is_name = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_name { text.to_owned() } else { "other".to_owned() }
}

/// One text for every way in which a signature is wrong: which one it is would help only a forger.
pub(crate) fn wrong_signature() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "signature",
        "the signature does not fit the body under any configured secret",
    )
}
