//! The link to Sentry, which comes from outside as everything else does.

use booty_policy::{Redact, Untrusted, redact};
use url::{Position, Url};

/// Where an alert's link may lead when nothing else is set: Sentry's own host and its subdomains.
pub const DEFAULT_LINK_HOST: &str = "sentry.io";

const MAX_CHARS: usize = 1_000;

/// The link in Markdown, its text ours.
pub(super) fn link(url: Option<&Untrusted<String>>, hosts: &[String]) -> String {
    match url {
        None => super::UNKNOWN.to_owned(),
        Some(url) => match target(url.open("checked below"), hosts) {
            Some(target) => format!("[Open in Sentry](<{target}>)"),
            None => "link left out, it leads to no known Sentry".to_owned(),
        },
    }
}

/// The address, if it leads by HTTP to one of the hosts, names nobody, and holds no secret. What
/// means anything in Markdown is percent-encoded.
fn target(url: &str, hosts: &[String]) -> Option<String> {
    // The parser mends much that a browser would mend as well; what needs it is no link of Sentry.
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if url.len() > MAX_CHARS || url.contains(is_odd) {
        return None;
    }
    let url = Url::parse(url).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    let is_known = hosts.iter().any(|known| leads_to(&url, known));
    // The host may be an address: it is the operator's.
    let personal = Redact { emails: true, cards: true, addresses: false };
    if !is_web || !is_anonymous || !is_known || redact(url.as_str(), personal) != url.as_str() {
        return None;
    }
    let mut target = url[..Position::BeforePath].to_owned();
    for c in url[Position::BeforePath..].chars() {
        match c {
            'A'..='Z'
            | 'a'..='z'
            | '0'..='9'
            | '-'
            | '.'
            | '_'
            | '~'
            | '/'
            | ':'
            | '?'
            | '='
            | '&'
            | '%'
            | '#'
            | '+'
            | ',' => target.push(c),
            // The parser left only ASCII.
            c => target.push_str(&format!("%{:02X}", u32::from(c))),
        }
    }
    Some(target)
}

/// Whether an address is on a host, `name` or `name:port`, or on a subdomain of it.
fn leads_to(url: &Url, known: &str) -> bool {
    let (known, port) = match known.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse::<u16>().ok()),
        _ => (known, url.port_or_known_default()),
    };
    let known = known.trim_end_matches('.').to_ascii_lowercase();
    let Some(host) = url.host_str() else { return false };
    let is_below = || {
        let above = host.strip_suffix(&known).and_then(|above| above.strip_suffix('.'));
        url.domain().is_some() && above.is_some_and(|above| !above.is_empty())
    };
    !known.is_empty() && url.port_or_known_default() == port && (host == known || is_below())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn hosts() -> Vec<String> {
        [DEFAULT_LINK_HOST, "Sentry.example.", "self.example:9000", "[2a00::1:5]"]
            .map(str::to_owned)
            .into()
    }

    #[rstest]
    #[case("https://sentry.io/organizations/o/issues/1/events/2/?project=1#x", "same")]
    #[case("http://o.sentry.io/issues/1/", "same")]
    #[case("HTTPS://SENTRY.IO:443/issues/1", "https://sentry.io/issues/1")]
    #[case("https://a.b.sentry.example:8443/", "same")]
    #[case("http://self.example:9000/", "same")]
    #[case("https://[2a00::1:5]/x", "same")]
    #[case(
        "https://sentry.io/a)b(c[d]*e_f@g|h!i'j",
        "https://sentry.io/a%29b%28c%5Bd%5D%2Ae_f%40g%7Ch%21i%27j"
    )]
    #[case("https://sentry.io/é<script>`", "https://sentry.io/%C3%A9%3Cscript%3E%60")]
    fn leads(#[case] url: &str, #[case] expected: &str) {
        let expected = if expected == "same" { url } else { expected };
        assert_eq!(target(url, &hosts()).as_deref(), Some(expected));
    }

    #[rstest]
    #[case("javascript:alert(1)//sentry.io/")]
    #[case("data:text/html,<script>alert(1)</script>")]
    #[case("ftp://sentry.io/")]
    #[case("//sentry.io/x")]
    #[case("sentry.io/x")]
    #[case("https://evil.example/sentry.io")]
    #[case("https://notsentry.io/")]
    #[case("https://sentry.io.evil.example/")]
    #[case("https://.sentry.io/")]
    #[case("https://sentry.io./")]
    #[case("https://user@sentry.io/")]
    #[case("https://user:pass@sentry.io/")]
    #[case("https://sentry.io@evil.example/")]
    #[case("https://sentry.io\\@evil.example/")]
    #[case("https://sentry.io/\n)")]
    #[case("https://sent\try.io/")]
    #[case(" https://sentry.io/")]
    #[case("https://sentry.io/ x")]
    #[case("https://sеntry.io/")]
    #[case("http://self.example/")]
    #[case("https://sentry.io/?token=a1b2c3d4e5f6a7b8")]
    #[case("https://sentry.io/user/jo@mail.example.org")]
    #[case("")]
    fn leads_nowhere(#[case] url: &str) {
        assert_eq!(target(url, &hosts()), None);
        assert_eq!(target("https://sentry.io/", &[String::new()]), None);
    }

    #[test]
    fn nothing_is_too_long() {
        assert_eq!(target(&format!("https://sentry.io/{}", "a".repeat(1_000)), &hosts()), None);
    }
}
