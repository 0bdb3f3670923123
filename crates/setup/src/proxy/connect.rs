//! Reaching a host from this machine: by its addresses, or through the operator's own proxy.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use url::Url;

use super::record::Why;
use crate::host::Host;

/// What a proxy answers to CONNECT.
const MAX_ANSWER_BYTES: usize = 8 * 1024;

/// Which addresses a host may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the internet: a name that comes to mean this machine, or one beside it, is refused.
    Public,
    /// Any: the operator's own registry.
    Anywhere,
}

/// How this machine itself reaches the network: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the
/// operator's process.
#[derive(Debug, Clone, Default)]
pub struct Upstream {
    https: Option<Relay>,
    http: Option<Relay>,
    except: Vec<String>,
    /// What could not be used, for the operator.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Relay {
    host: Host,
    authorization: Option<SecretString>,
}

/// A connection to a host, or to a proxy that has to be told which.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    /// Whether a proxy is at the other end, and what it wants to be told about us.
    pub(super) relay: Option<Option<SecretString>>,
    /// Whether it is at an address that is not of the internet.
    pub(super) private: bool,
}

impl Upstream {
    /// From the operator's variables; `get` finds one by its name.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let either = |lower: &str| {
            get(lower).or_else(|| get(&lower.to_ascii_uppercase())).filter(|text| !text.is_empty())
        };
        let mut upstream = Self::default();
        let all = either("all_proxy");
        let mut relay = |name: &str| {
            let text = either(name).or_else(|| all.clone())?;
            let relay = Relay::parse(&text);
            if relay.is_none() {
                // Its value may hold a password.
                upstream
                    .notes
                    .push(format!("{name} is not the URL of an HTTP proxy; it is not used"));
            }
            relay
        };
        (upstream.https, upstream.http) = (relay("https_proxy"), relay("http_proxy"));
        upstream.except = either("no_proxy")
            .unwrap_or_default()
            .split([',', ' '])
            .map(|entry| entry.trim().trim_start_matches("*.").trim_start_matches('.'))
            .filter(|entry| !entry.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        upstream
    }

    fn relay(&self, host: &Host, tls: bool) -> Option<&Relay> {
        let is_excepted = self.except.iter().any(|entry| {
            entry == "*"
                || *entry == host.to_string()
                || *entry == host.name()
                || host.name().strip_suffix(entry.as_str()).is_some_and(|rest| rest.ends_with('.'))
        });
        if is_excepted {
            None
        } else if tls {
            self.https.as_ref()
        } else {
            self.http.as_ref()
        }
    }

    /// Connects. `tls`: it is a tunnel, and the host is at its end even behind a proxy.
    pub(super) async fn connect(
        &self,
        host: &Host,
        reach: Reach,
        tls: bool,
        patience: Duration,
    ) -> Result<Connected, Why> {
        let connecting = async {
            if let Some(relay) = self.relay(host, tls) {
                // Its names are its own to resolve. An address is one wherever it is read.
                if reach == Reach::Public && host.address().is_some_and(is_private) {
                    return Err(Why::Private);
                }
                let mut stream = dial(&relay.host, |_| true).await?.0;
                if tls {
                    relay.tunnel(&mut stream, host).await.map_err(|_| Why::Unreachable)?;
                    return Ok(Connected { stream, relay: None, private: false });
                }
                let relay = Some(relay.authorization.clone());
                return Ok(Connected { stream, relay, private: false });
            }
            let open = |address: IpAddr| reach == Reach::Anywhere || !is_private(address);
            let (stream, address) = dial(host, open).await?;
            Ok(Connected { stream, relay: None, private: is_private(address) })
        };
        timeout(patience, connecting).await.unwrap_or(Err(Why::Unreachable))
    }
}

impl Relay {
    fn parse(text: &str) -> Option<Self> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&text).ok().filter(|url| url.scheme() == "http")?;
        let authorization = (!url.username().is_empty()).then(|| {
            let pair = format!("{}:{}", url.username(), url.password().unwrap_or_default());
            let pair = percent_decoded(&pair);
            SecretString::from(format!("Basic {}", STANDARD.encode(pair)))
        });
        Some(Self { host: Host::of_url(&url)?, authorization })
    }

    /// Asks it for a tunnel to a host.
    async fn tunnel(&self, stream: &mut TcpStream, host: &Host) -> io::Result<()> {
        let mut request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n");
        if let Some(authorization) = &self.authorization {
            let line = format!("Proxy-Authorization: {}\r\n", authorization.expose_secret());
            request.push_str(&line);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MAX_ANSWER_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            // One by one: what comes behind the head is the host's.
            answer.push(stream.read_u8().await?);
        }
        let agreed = answer.starts_with(b"HTTP/1.") && answer.get(8..11) == Some(b" 20");
        if agreed { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }
}

/// Resolves a name and tries its addresses, those that are `open`, one after another.
async fn dial(host: &Host, open: impl Fn(IpAddr) -> bool) -> Result<(TcpStream, IpAddr), Why> {
    let addresses = match host.address() {
        Some(address) => vec![SocketAddr::new(address, host.port())],
        None => tokio::net::lookup_host((host.name(), host.port()))
            .await
            .map_err(|_| Why::Unreachable)?
            .collect(),
    };
    let mut why = Why::Unreachable;
    for address in addresses {
        if !open(address.ip()) {
            why = Why::Private;
            continue;
        }
        if let Ok(stream) = TcpStream::connect(address).await {
            let _ = stream.set_nodelay(true);
            return Ok((stream, address.ip()));
        }
    }
    Err(why)
}

/// Whether an address is of this machine or of one beside it: loopback, private, link-local (where
/// clouds have their metadata), shared, multicast, or none.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            // IPv4 in one of its disguises: mapped, compatible, NAT64, 6to4.
            let inner = match v6.segments() {
                [0, 0, 0, 0, 0, 0 | 0xffff, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => {
                    Some((a, b))
                }
                [0x2002, a, b, ..] => Some((a, b)),
                _ => None,
            };
            let inner = inner.map(|(a, b)| Ipv4Addr::from(u32::from(a) << 16 | u32::from(b)));
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xff80 == 0xfe80
                || inner.is_some_and(is_private_v4)
        }
    }
}

fn is_private_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || a == 0
        || a >= 240
        // Shared by the customers of a provider; some clouds have their metadata there.
        || (a == 100 && b & 0xc0 == 64)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    // The form of a query's value is the same but for `+`.
    let text = text.replace('+', "%2B");
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(name, _)| name.into_owned().into_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_beside_this_machine_are_private_in_any_disguise() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fe80::1",
            "fec0::1",
            "fd00:ec2::254",
            "ff02::1",
        ] {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "203.0.113.80", "100.63.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_operators_proxy_is_read_as_clients_read_it() {
        let env = |name: &str| match name {
            "https_proxy" => Some("http://me:p%40ss+@proxy.example:3128".to_owned()),
            "NO_PROXY" => Some("*.inner.example, mirror.example".to_owned()),
            _ => None,
        };
        let upstream = Upstream::from_env(env);
        let relay = |name: &str| upstream.relay(&name.parse().unwrap(), true).cloned();
        let used = relay("outer.example").unwrap();
        assert_eq!(used.host.to_string(), "proxy.example:3128");
        let authorization = used.authorization.unwrap();
        assert_eq!(authorization.expose_secret(), format!("Basic {}", STANDARD.encode("me:p@ss+")));
        assert!(relay("a.inner.example").is_none() && relay("mirror.example").is_none());
        assert!(relay("notmirror.example").is_some());
        assert!(!format!("{upstream:?}").contains("p@ss"));
        let odd = Upstream::from_env(|name| {
            (name == "https_proxy").then(|| "socks5://x:secret@a".into())
        });
        assert_eq!(odd.notes, ["https_proxy is not the URL of an HTTP proxy; it is not used"]);
    }
}
