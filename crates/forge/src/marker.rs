//! Markers: how forge knows what it wrote.
//!
//! A marker is an HMAC, so nobody else can make one; it can be copied, so it counts only on objects
//! whose author is the token's own user, and only for the kind and repository it was made for.

use booty_events::{EffectId, RepoName};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How many hexadecimal digits of the HMAC a marker holds: 128 bits.
const DIGITS: usize = 32;

const COMMENT_START: &str = "<!-- booty:v1 ";
const COMMENT_END: &str = " -->";
const TRAILER: &str = "Booty-Effect: ";

/// GitHub's limit on bodies, in characters.
const LONGEST_BODY: usize = 65_536;
const CUT: &str = "\n\n… (cut: longer than GitHub takes)";

/// What a marker stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A pull request's body.
    PullRequest,
    /// A comment.
    Comment,
    /// An issue's body.
    Issue,
    /// A commit's message.
    Commit,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PullRequest => "pull_request",
            Self::Comment => "comment",
            Self::Issue => "issue",
            Self::Commit => "commit",
        }
    }
}

/// Makes and checks markers under `BOOTY_MARKER_KEY`.
#[derive(Clone)]
pub struct Markers {
    key: SecretString,
}

impl Markers {
    /// Under this key.
    pub fn new(key: SecretString) -> Self {
        Self { key }
    }

    /// A body with its marker at the end; cut where GitHub would refuse it for its length.
    pub fn mark(&self, body: &str, kind: Kind, repo: &RepoName, effect: &EffectId) -> String {
        let marker = format!(
            "\n\n{COMMENT_START}{effect} {}{COMMENT_END}\n",
            self.digits(kind, repo, effect)
        );
        let body = body.trim_end();
        let room = LONGEST_BODY - marker.chars().count();
        if body.chars().count() <= room {
            return format!("{body}{marker}");
        }
        let kept: String = body.chars().take(room - CUT.chars().count()).collect();
        format!("{kept}{CUT}{marker}")
    }

    /// The effect that a body is marked with: by its last marker, because the text before it may
    /// quote others.
    pub fn of_body(&self, body: &str, kind: Kind, repo: &RepoName) -> Option<EffectId> {
        let (_, last) = body.rsplit_once(COMMENT_START)?;
        let (marker, after) = last.split_once(COMMENT_END)?;
        if !after.trim().is_empty() {
            return None;
        }
        let (effect, digits) = marker.split_once(' ')?;
        self.checked(effect, digits, kind, repo)
    }

    /// A commit message with its trailer.
    pub fn sign_off(&self, message: &str, repo: &RepoName, effect: &EffectId) -> String {
        let message = message.trim_end();
        // A trailer block is the last paragraph; joining one keeps it one.
        let gap = if ends_with_trailers(message) { "\n" } else { "\n\n" };
        format!("{message}{gap}{TRAILER}{effect}.{}\n", self.digits(Kind::Commit, repo, effect))
    }

    /// The effect that a commit is signed off with: by its last trailer.
    pub fn of_commit(&self, message: &str, repo: &RepoName) -> Option<EffectId> {
        let last = message.trim_end().lines().next_back()?;
        let (effect, digits) = last.strip_prefix(TRAILER)?.split_once('.')?;
        self.checked(effect, digits, Kind::Commit, repo)
    }

    fn checked(&self, effect: &str, digits: &str, kind: Kind, repo: &RepoName) -> Option<EffectId> {
        let effect: EffectId = effect.parse().ok()?;
        let ours = self.digits(kind, repo, &effect);
        bool::from(ours.as_bytes().ct_eq(digits.as_bytes())).then_some(effect)
    }

    fn digits(&self, kind: Kind, repo: &RepoName, effect: &EffectId) -> String {
        // HMAC takes keys of any length, so the fallback is never reached.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret().as_bytes())
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        let repo = repo.as_str().to_ascii_lowercase();
        mac.update(format!("{effect}\n{repo}\n{}", kind.as_str()).as_bytes());
        let mut digits = hex::encode(mac.finalize().into_bytes());
        digits.truncate(DIGITS);
        digits
    }
}

fn ends_with_trailers(message: &str) -> bool {
    let Some((_, last)) = message.rsplit_once("\n\n") else { return false };
    last.lines().all(|line| {
        line.split_once(": ").is_some_and(|(key, _)| {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markers(key: &str) -> Markers {
        Markers::new(key.into())
    }

    fn repo(name: &str) -> RepoName {
        name.parse().unwrap()
    }

    #[test]
    fn a_marker_counts_for_its_kind_repository_and_key_alone() {
        let (ours, effect) = (markers("k"), EffectId::new("7-x", "open_pr"));
        let body = ours.mark("Hello\n", Kind::Comment, &repo("Octo/Hello"), &effect);
        assert!(body.starts_with("Hello\n\n<!-- booty:v1 "), "{body}");
        let read = |m: &Markers, kind, name: &str| m.of_body(&body, kind, &repo(name));
        assert_eq!(read(&ours, Kind::Comment, "octo/hello"), Some(effect));
        assert_eq!(read(&ours, Kind::Issue, "octo/hello"), None);
        assert_eq!(read(&ours, Kind::Comment, "octo/other"), None);
        assert_eq!(read(&markers("other"), Kind::Comment, "octo/hello"), None);
    }

    #[test]
    fn a_quoted_marker_does_not_count() {
        let (ours, repo) = (markers("k"), repo("octo/hello"));
        let (first, second) = (EffectId::new("a", "1"), EffectId::new("b", "1"));
        let quoted = ours.mark("x", Kind::Comment, &repo, &first);
        let body = ours.mark(&quoted, Kind::Comment, &repo, &second);
        assert_eq!(ours.of_body(&body, Kind::Comment, &repo), Some(second));
        let replied = format!("{quoted}\nand my answer");
        assert_eq!(ours.of_body(&replied, Kind::Comment, &repo), None);
    }

    #[test]
    fn long_bodies_keep_their_marker() {
        let (ours, repo, effect) =
            (markers("k"), repo("octo/hello"), EffectId::new("7-x", "open_pr"));
        let body = ours.mark(&"é".repeat(70_000), Kind::Issue, &repo, &effect);
        assert_eq!(body.chars().count(), LONGEST_BODY);
        assert_eq!(ours.of_body(&body, Kind::Issue, &repo), Some(effect));
    }

    #[test]
    fn trailers_join_a_block_of_trailers() {
        let (ours, repo, effect) =
            (markers("k"), repo("octo/hello"), EffectId::new("7-x", "open_pr"));
        for (message, gap) in [
            ("Fix it", "\n\n"),
            ("Fix it\n\nBecause.", "\n\n"),
            ("Fix it\n\nFixes: #7\nCo-authored-by: a <a@b>", "\n"),
        ] {
            let signed = ours.sign_off(message, &repo, &effect);
            assert!(signed.starts_with(&format!("{message}{gap}{TRAILER}")), "{signed}");
            assert_eq!(ours.of_commit(&signed, &repo), Some(effect.clone()));
        }
        assert_eq!(ours.of_commit("Booty-Effect: x.y", &repo), None);
    }
}
