//! The one redactor: logs, spans, comments, checks and the spool use it.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

use crate::{unicode::shown, untrusted::Untrusted};

mod found;
mod personal;

pub use found::{FoundSecret, new_secrets};

/// What to redact besides secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redact {
    /// E-mail addresses too.
    pub emails: bool,
    /// Numbers of payment cards too: those of 13 to 19 digits, alone or in groups, that begin as an
    /// issuer's do and whose check digit is right.
    pub cards: bool,
    /// Addresses of the public internet too. Those of private networks are nobody's.
    pub addresses: bool,
}

impl Redact {
    /// All that is known about people.
    pub const PERSONAL: Self = Self { emails: true, cards: true, addresses: true };
}

/// One kind of secret. What a group named `keep` matched stays in front of the mark.
struct Kind {
    name: &'static str,
    pattern: Option<Regex>,
}

/// Formats with a sign of their own. Sources: the providers' documentation of their token formats.
const KINDS: &[(&str, &str)] = &[
    (
        "private key",
        r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    ("github token", r"(?:gh[pousr]_[A-Za-z0-9_.-]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    ("aws key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    (
        "provider key",
        r"\b(?:sk-[A-Za-z0-9_-]{20,}|[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}|AIza[A-Za-z0-9_-]{35}|glpat-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,}|hf_[A-Za-z0-9]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|sntry[su]_[A-Za-z0-9_+/=.-]{20,}|dop_v1_[a-f0-9]{64}|cio[A-Za-z0-9]{32})",
    ),
    ("slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}"),
    ("webhook", r"https://hooks\.slack\.com/services/[A-Za-z0-9/_-]+"),
    ("nats seed", r"\bS[ACNOUX][A-Z2-7]{56}\b"),
    (
        "authorization",
        r#"(?i)(?<keep>\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:basic|bearer|token|digest|apikey|negotiate|ntlm|dpop|bot|key|jwt|aws4-hmac-sha256)\s+)?)[^\s"',;\[][^\s"',;]*"#,
    ),
    ("authorization", r"(?i)(?<keep>\bbearer\s+)[A-Za-z0-9._~+/-]{16,}=*"),
    (
        "cookie",
        r#"(?i)(?<keep>\b(?:set-)?cookies?["']?\s{0,3}[:=,]\s{0,3}["']?)[a-z0-9_.!%*+^~-]{1,100}=[^\s;"',\[][^\s;"',]*(?:;\s{0,3}[^\s;"',=]{1,100}(?:=[^\s;"',]*)?)*"#,
    ),
    (
        "password",
        r"(?<keep>\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@]{0,200}:)[^\s/@\[][^\s/@]*(?<after>@)",
    ),
    (
        "password",
        r#"(?i)(?<keep>\b[a-z0-9_.-]{0,40}(?:password|passwd|passphrase|pwd)["']?\s{0,3}[:=]\s{0,3}["']?)[^\s"',;()=\[\]{}<>]{3,}"#,
    ),
];

/// `token = …` is ordinary code; only a value that looks made by a machine is taken.
const NAMED: &str = r#"(?i)(?<keep>\b[a-z0-9_.-]{0,40}(?:secret|token|sess(?:ion)?[_-]?id|csrf|api[_-]?key|access[_-]?key|private[_-]?key|credential)[a-z0-9_-]{0,20}["']?\s{0,3}[:=]\s{0,3}["']?)(?<value>[A-Za-z0-9_+/=.~-]{12,})"#;
static COMPILED: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    KINDS.iter().map(|(name, pattern)| Kind { name, pattern: compile(pattern) }).collect()
});
static NAMED_COMPILED: LazyLock<Option<Regex>> = LazyLock::new(|| compile(NAMED));

/// A secret beside a letter of another script is as secret: words are ASCII's here.
fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(&pattern.replace(r"\b", r"(?-u:\b)")).ok()
}

/// Replaces secrets by `[redacted: kind]`. Time is linear in the text.
pub fn redact(text: &str, what: Redact) -> String {
    let mut text = Cow::Borrowed(text);
    for kind in COMPILED.iter() {
        if let Some(pattern) = &kind.pattern {
            text = replace(text, pattern, |found| mark(found, kind.name));
        }
    }
    if let Some(pattern) = NAMED_COMPILED.as_ref() {
        text = replace(text, pattern, |found| match found.name("value") {
            Some(value) if looks_made(value.as_str()) => mark(found, "secret"),
            _ => found[0].to_owned(),
        });
    }
    if what.emails {
        text = personal::without_emails(text);
    }
    if what.cards {
        text = personal::without_cards(text);
    }
    if what.addresses {
        text = personal::without_addresses(text);
    }
    text.into_owned()
}

/// The same for text from outside, and without what nobody sees in it: a colour or a zero-width
/// space within a secret would hide it here, and be taken out later.
pub fn redacted(text: &Untrusted<String>, what: Redact) -> Untrusted<String> {
    Untrusted::new(redact(&shown(text.open("it stays untrusted")), what))
}

fn replace<'a>(
    text: Cow<'a, str>,
    pattern: &Regex,
    with: impl Fn(&Captures<'_>) -> String,
) -> Cow<'a, str> {
    match pattern.replace_all(&text, |found: &Captures<'_>| with(found)) {
        Cow::Borrowed(_) => text,
        Cow::Owned(changed) => Cow::Owned(changed),
    }
}

fn mark(found: &Captures<'_>, kind: &str) -> String {
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    format!("{}[redacted: {kind}]{}", part("keep"), part("after"))
}

/// Letters and digits both: neither a name in code nor a number.
fn looks_made(value: &str) -> bool {
    let has = |of: fn(&u8) -> bool| value.as_bytes().iter().any(of);
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn clean(text: &str) -> String {
        redact(text, Redact::PERSONAL)
    }

    #[test]
    fn every_pattern_compiles() {
        assert!(COMPILED.iter().all(|kind| kind.pattern.is_some()));
        assert!(NAMED_COMPILED.is_some() && personal::compiles());
    }

    // The samples are put together here, so that no scanner takes this file for a leak.
    #[rstest]
    #[case(format!("x ghp_{} y", "a1B2".repeat(9)), "x [redacted: github token] y")]
    #[case(format!("ghs_{}", "a1B2".repeat(9)), "[redacted: github token]")]
    #[case(format!("github_pat_{}", "11AAA_bcd".repeat(9)), "[redacted: github token]")]
    #[case(format!("id AKIA{}", "ABCDEFGH12345678"), "id [redacted: aws key]")]
    #[case(format!("AWS_SECRET_ACCESS_KEY={}", "wJalrXUt/nFEMI7K+".repeat(2)), "AWS_SECRET_ACCESS_KEY=[redacted: secret]")]
    #[case(format!("-----BEGIN RSA {k}-----\nMIIE\n-----END RSA {k}-----\nrest", k = "PRIVATE KEY"), "[redacted: private key]\nrest")]
    #[case(format!("-----BEGIN {}-----\nMIIE", "PRIVATE KEY"), "[redacted: private key]")]
    #[case(format!("eyJ{0}.eyJ{0}.sig-_", "hbGciOiJIUzI1"), "[redacted: jwt]")]
    #[case("Authorization: Bearer abc.def-123".into(), "Authorization: Bearer [redacted: authorization]")]
    #[case("'authorization': 'Basic dXNlcjpwYXNz'".into(), "'authorization': 'Basic [redacted: authorization]'")]
    #[case("curl -H 'Bearer 0123456789abcdef=='".into(), "curl -H 'Bearer [redacted: authorization]'")]
    #[case("postgres://me:hunter2@db/x".into(), "postgres://me:[redacted: password]@db/x")]
    #[case("password=hunter2 and DB_PASSWORD: \"s3cret\"".into(), "password=[redacted: password] and DB_PASSWORD: \"[redacted: password]\"")]
    #[case(format!("sk-ant-{}", "api03-abcDEF".repeat(3)), "[redacted: provider key]")]
    #[case(format!("xoxb-{}", "123456789-abc"), "[redacted: slack token]")]
    #[case(format!("SU{}", "A2B3C4D5".repeat(7)), "[redacted: nats seed]")]
    #[case("api_key: 'a1b2c3d4e5f6a7b8'".into(), "api_key: '[redacted: secret]'")]
    #[case("mail jo.doe+x@mail.example.org!".into(), "mail [redacted: e-mail]!")]
    #[case("Cookie: sid=abc; theme=dark; x".into(), "Cookie: [redacted: cookie]")]
    #[case("set-cookie: a=b; Path=/, next".into(), "set-cookie: [redacted: cookie], next")]
    #[case(r#"["Cookie", "a=b; c=d"], {"cookie":"e=f"}"#.into(), r#"["Cookie", "[redacted: cookie]"], {"cookie":"[redacted: cookie]"}"#)]
    #[case("PHPSESSID=1a2b3c4d5e6f7a8b".into(), "PHPSESSID=[redacted: secret]")]
    #[case("Authorization: NTLM TlRMTVNTUAABAAAA".into(), "Authorization: NTLM [redacted: authorization]")]
    fn secrets_go(#[case] text: String, #[case] expected: &str) {
        assert_eq!(clean(&text), expected);
    }

    #[rstest]
    #[case("let token = parser.next_token();")]
    #[case("assert password == expected")]
    #[case("the password is wrong")]
    #[case("def check(password: str) -> bool:\n  secret_count = 1234567890123")]
    #[case("https://example.org:8080/path@v1")]
    #[case("sk-learn and task-force")]
    #[case("cookie = jar.get(name) # the cookie: str | None")]
    #[case("0123456789abcdef0123456789abcdef01234567")]
    fn ordinary_text_stays(#[case] text: &str) {
        if text.contains("password: str") {
            // Annotations read as a value; that much is lost.
            assert!(clean(text).contains("secret_count = 1234567890123"));
        } else {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn personal_data_stays_unless_asked() {
        let text = "a@b.example 4111 1111 1111 1111 203.0.114.9";
        assert_eq!(redact(text, Redact::default()), text);
    }

    #[test]
    fn what_nobody_sees_hides_no_secret() {
        let text = "password=\u{1b}[31mhunter2\u{1b}[0m 4111\u{200b} 1111 1111 1111";
        let clean = redacted(&Untrusted::new(text.to_owned()), Redact::PERSONAL);
        assert_eq!(clean.open("a test"), "password=[redacted: password] [redacted: card]");
    }

    #[test]
    fn hostile_text_takes_no_longer_than_other_text() {
        for piece in [
            "-----BEGIN PRIVATE KEY",
            "eyJaaaaaaaaa.",
            "password:",
            "a@a.",
            "x://a:",
            "token=aaaaaaaaaaaaaaaa",
            "cookie: a=b; ",
            "4111 ",
            "41-",
            "1.1.1.",
            "1:",
        ] {
            let text = piece.repeat(200_000 / piece.len());
            let started = std::time::Instant::now();
            let _ = clean(&text);
            assert!(started.elapsed() < std::time::Duration::from_secs(10), "{piece}");
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(text in "(password|token|=|: |Bearer |ghp_|[a-zA-Z0-9]{1,24}|\"|//|@|:){0,30}") {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once);
        }

        #[test]
        fn a_token_is_found_wherever_it_is(before in "\\PC{0,20}[^A-Za-z0-9_]", after in "[^A-Za-z0-9_.-]\\PC{0,20}") {
            let token = format!("ghp_{}", "Zz9".repeat(12));
            let cleaned = clean(&format!("{before}{token}{after}"));
            prop_assert!(!cleaned.contains("Zz9Zz9"), "{}", cleaned);
        }
    }
}
