//! Webhook signatures: HMAC-SHA256 over the raw body, under one of several secrets.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

/// The header that GitHub signs a delivery in.
pub const GITHUB_HEADER: &str = "X-Hub-Signature-256";
/// The header that Sentry signs a delivery in.
pub const SENTRY_HEADER: &str = "Sentry-Hook-Signature";

/// A signature as a sender wrote it, well-formed and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 32]);

/// Why a body is not taken for its sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Not of the one form that is accepted.
    #[error("the signature is not 64 lower-case hexadecimal digits, after `sha256=` for GitHub")]
    Malformed,
    /// No secret makes this signature for this body.
    #[error("the signature fits the body under none of the configured secrets")]
    Mismatch,
}

impl Signature {
    /// Reads GitHub's `sha256=<64 lower-case hexadecimal digits>`. GitHub writes no other form, so
    /// none is accepted: not `sha1=`, no upper case, no white space.
    pub fn parse(header: &str) -> Result<Self, SignatureError> {
        Self::parse_hex(header.strip_prefix("sha256=").ok_or(SignatureError::Malformed)?)
    }

    /// Reads bare hexadecimal digits, which is what Sentry sends.
    pub fn parse_hex(digits: &str) -> Result<Self, SignatureError> {
        let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.bytes().all(lower) {
            return Err(SignatureError::Malformed);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| SignatureError::Malformed)?;
        Ok(Self(bytes))
    }

    /// Signs a body, as a sender does.
    pub fn sign(secret: &SecretString, body: &[u8]) -> Self {
        let mut state = keyed(secret);
        state.update(body);
        Self(state.finalize().into_bytes().into())
    }

    /// The form that GitHub sends.
    pub fn to_header(self) -> String {
        format!("sha256={}", self.to_hex())
    }

    /// The form that Sentry sends.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// Hashes a body while it streams in, under every secret at once, so that secrets can rotate with
/// no refused delivery.
pub struct Verifier {
    states: Vec<Hmac<Sha256>>,
}

impl Verifier {
    /// Starts over an empty body. With no secret nothing is ever verified.
    pub fn new(secrets: &[SecretString]) -> Self {
        Self { states: secrets.iter().map(keyed).collect() }
    }

    /// Adds the next part of the body.
    pub fn update(&mut self, chunk: &[u8]) {
        for state in &mut self.states {
            state.update(chunk);
        }
    }

    /// Whether GitHub's header fits what was hashed.
    pub fn verify(self, header: &str) -> Result<(), SignatureError> {
        self.verify_signature(&Signature::parse(header)?)
    }

    /// Whether the signature fits what was hashed. Takes the same time whichever secret fits.
    pub fn verify_signature(self, signature: &Signature) -> Result<(), SignatureError> {
        let mut fits = Choice::from(0);
        for state in self.states {
            let ours: [u8; 32] = state.finalize().into_bytes().into();
            fits |= ours.ct_eq(&signature.0);
        }
        if fits.into() { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

/// HMAC takes keys of any length, so the fallback is never reached.
fn keyed(secret: &SecretString) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.expose_secret().as_bytes())
        .unwrap_or_else(|_| Hmac::new(&Default::default()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PUBLISHED: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets(all: &[&str]) -> Vec<SecretString> {
        all.iter().map(|s| SecretString::from(*s)).collect()
    }

    fn verify(secrets_: &[&str], chunks: &[&str], header: &str) -> Result<(), SignatureError> {
        let mut verifier = Verifier::new(&secrets(secrets_));
        for chunk in chunks {
            verifier.update(chunk.as_bytes());
        }
        verifier.verify(header)
    }

    /// From GitHub's "Validating webhook deliveries".
    #[test]
    fn githubs_published_vector_passes_whole_and_in_pieces() {
        let secret = "It's a Secret to Everybody";
        assert_eq!(verify(&[secret], &["Hello, World!"], PUBLISHED), Ok(()));
        assert_eq!(verify(&[secret], &["Hel", "", "lo, World!"], PUBLISHED), Ok(()));
        assert_eq!(Signature::sign(&secret.into(), b"Hello, World!").to_header(), PUBLISHED);
    }

    #[test]
    fn any_secret_of_the_list_is_enough_and_none_is_not() {
        let secret = "It's a Secret to Everybody";
        assert_eq!(verify(&["new", secret], &["Hello, World!"], PUBLISHED), Ok(()));
        assert_eq!(verify(&[secret, "new"], &["Hello, World!"], PUBLISHED), Ok(()));
        let mismatch = Err(SignatureError::Mismatch);
        assert_eq!(verify(&["new"], &["Hello, World!"], PUBLISHED), mismatch);
        assert_eq!(verify(&[], &["Hello, World!"], PUBLISHED), mismatch);
        assert_eq!(verify(&[secret], &["Hello, World!", "x"], PUBLISHED), mismatch);
    }

    #[rstest]
    #[case::empty("")]
    #[case::prefix_only("sha256=")]
    #[case::sha1("sha1=757107ea0eb2509fc211221cce984b8a37570b6d")]
    #[case::short("sha256=757107ea")]
    #[case::odd("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1")]
    #[case::upper("sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17")]
    #[case::no_hex("sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")]
    #[case::space("sha256= 57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")]
    #[case::two(
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17,sha256=00"
    )]
    fn other_forms_are_malformed(#[case] header: &str) {
        assert_eq!(Signature::parse(header), Err(SignatureError::Malformed));
    }

    #[test]
    fn sentrys_form_has_no_prefix() {
        let bare = PUBLISHED.trim_start_matches("sha256=");
        assert_eq!(Signature::parse_hex(bare), Signature::parse(PUBLISHED));
        assert_eq!(Signature::parse_hex(bare).unwrap().to_hex(), bare);
        assert_eq!(Signature::parse_hex(PUBLISHED), Err(SignatureError::Malformed));
        assert_eq!(Signature::parse(bare), Err(SignatureError::Malformed));
    }
}
