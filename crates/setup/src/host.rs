//! A host and a port: what setup steps may reach, and what they asked for.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

/// The port of HTTPS, which a host without one means.
const HTTPS: u16 = 443;
/// As long as a name can be.
const MAX_NAME_BYTES: usize = 253;

/// A host by its name or address, and one port of it. Names are lower case without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Host {
    name: String,
    port: u16,
}

/// What is no host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a host, or host:port")]
pub struct NoHost(pub String);

impl Host {
    /// A name or address (IPv6 with or without brackets) and a port.
    pub fn new(name: &str, port: u16) -> Result<Self, NoHost> {
        let refuse = || Err(NoHost(name.to_owned()));
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self { name: address.to_string(), port });
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if name.len() > MAX_NAME_BYTES || port == 0 || !name.split('.').all(label) {
            return refuse();
        }
        // Resolvers read `127.1` and `0x7f000001` as addresses.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.starts_with(|first: char| first.is_ascii_digit()) {
            return refuse();
        }
        Ok(Self { name, port })
    }

    /// What a URL names, with the default port of its scheme.
    pub fn of_url(url: &Url) -> Option<Self> {
        Self::new(url.host_str()?, url.port_or_known_default()?).ok()
    }

    /// Its name or address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, if that is what it was named by.
    pub fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }
}

impl FromStr for Host {
    type Err = NoHost;

    /// `host:port`; without a port it is that of HTTPS.
    fn from_str(text: &str) -> Result<Self, NoHost> {
        let refuse = || NoHost(text.to_owned());
        let (name, port) = match text.rsplit_once(':') {
            _ if text.parse::<IpAddr>().is_ok() || text.ends_with(']') => (text, HTTPS),
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (name, port.parse().map_err(|_| refuse())?)
            }
            Some(_) => return Err(refuse()),
            None => (text, HTTPS),
        };
        Self::new(name, port).map_err(|_| refuse())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

impl TryFrom<String> for Host {
    type Error = NoHost;

    fn try_from(text: String) -> Result<Self, NoHost> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_operators_write_them() {
        let read = |text: &str| text.parse::<Host>().map(|host| host.to_string());
        assert_eq!(read("Mirror.Example.").as_deref(), Ok("mirror.example:443"));
        assert_eq!(read("mirror.example:8443").as_deref(), Ok("mirror.example:8443"));
        assert_eq!(read("::1").as_deref(), Ok("[::1]:443"));
        assert_eq!(read("[::1]:80").as_deref(), Ok("[::1]:80"));
        assert_eq!(read("192.0.2.1:80").as_deref(), Ok("192.0.2.1:80"));
    }

    #[test]
    fn what_is_read_differently_by_others_is_no_host() {
        for text in [
            "",
            ":80",
            "a:0",
            "a:65536",
            "a b",
            "a/b",
            "a@b",
            "a..b",
            "127.1",
            "0x7f000001",
            "1",
            "a%00b",
            "a:80:80",
            "a\r\nb",
            "http://a",
        ] {
            assert_eq!(text.parse::<Host>(), Err(NoHost(text.to_owned())), "{text}");
        }
    }
}
