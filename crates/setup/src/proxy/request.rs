//! What a client asks a proxy for.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use url::Url;

use crate::host::Host;

/// A client of a registry sends some hundred bytes; cookies and tokens take some more.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// To be connected with a host; what it already said to it comes along.
    Connect { host: Host, said: Vec<u8> },
    /// For one thing by plain HTTP: the request as the host is to get it, but for the target.
    Plain { host: Host, method: &'static str, url: Url, headers: Vec<u8> },
}

/// What it asked for instead; told in a record, so it is not taken for true.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) String);

/// Reads the head of a request. `None`: nothing was asked.
pub(super) async fn read(
    client: &mut (impl AsyncRead + Unpin),
    patience: Duration,
) -> Result<Option<Request>, Malformed> {
    let mut head = Vec::with_capacity(1024);
    let reading = async {
        while !ends(&head) {
            if head.len() >= MAX_HEAD_BYTES {
                return Err(Malformed("a head of more than 16 KiB".to_owned()));
            }
            match client.read_buf(&mut head).await {
                Ok(0) | Err(_) if head.is_empty() => return Ok(false),
                Ok(0) | Err(_) => return Err(Malformed("half a head".to_owned())),
                Ok(_) => {}
            }
        }
        Ok(true)
    };
    match tokio::time::timeout(patience, reading).await {
        Ok(Ok(true)) => parse(&head).map(Some),
        Ok(Ok(false)) => Ok(None),
        Ok(Err(malformed)) => Err(malformed),
        Err(_) => Err(Malformed("nothing, for too long".to_owned())),
    }
}

fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|four| four == b"\r\n\r\n")
}

fn parse(bytes: &[u8]) -> Result<Request, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let malformed = |why: &str| Malformed(why.to_owned());
    let Ok(httparse::Status::Complete(length)) = request.parse(bytes) else {
        return Err(malformed("no HTTP"));
    };
    let target = request.path.unwrap_or_default();
    match request.method {
        Some("CONNECT") => {
            // A port is always there: RFC 9110, 9.3.6.
            let host = target.rsplit_once(':').and_then(|(name, port)| {
                Host::new(name, port.parse().ok().filter(|_| is_number(port))?).ok()
            });
            let host = host.ok_or_else(|| malformed(target))?;
            Ok(Request::Connect { host, said: bytes.get(length..).unwrap_or_default().to_vec() })
        }
        Some("GET") => plain("GET", target, request.headers),
        Some("HEAD") => plain("HEAD", target, request.headers),
        Some(method) => Err(Malformed(format!("{method} {target}"))),
        None => Err(malformed("no HTTP")),
    }
}

/// Of headers, only those that a host needs, and none that says where a request ends.
fn plain(
    method: &'static str,
    target: &str,
    headers: &[httparse::Header<'_>],
) -> Result<Request, Malformed> {
    let malformed = || Malformed(target.to_owned());
    if !target.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
        return Err(malformed());
    }
    let url = Url::parse(target).map_err(|_| malformed())?;
    let host = Host::of_url(&url).ok_or_else(malformed)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed());
    }
    let mut passed = Vec::new();
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        match name.as_str() {
            "host" => {
                let said = std::str::from_utf8(header.value)
                    .ok()
                    .and_then(|said| Host::of_url(&Url::parse(&format!("http://{said}/")).ok()?));
                if said.as_ref() != Some(&host) {
                    return Err(Malformed(format!("{host} in the name of another")));
                }
            }
            "content-length" if header.value == b"0" => {}
            "content-length" | "transfer-encoding" | "upgrade" | "expect" => {
                return Err(Malformed(format!("{host} with a body")));
            }
            "connection" | "keep-alive" | "te" | "trailer" => {}
            _ if name.starts_with("proxy-") => {}
            _ => {
                passed.extend_from_slice(header.name.as_bytes());
                passed.extend_from_slice(b": ");
                passed.extend_from_slice(header.value);
                passed.extend_from_slice(b"\r\n");
            }
        }
    }
    Ok(Request::Plain { host, method, url, headers: passed })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(head: &str) -> String {
        match parse(head.as_bytes()) {
            Ok(Request::Connect { host, said }) => format!("connect {host} {}", said.len()),
            Ok(Request::Plain { host, method, url, headers }) => {
                format!("{method} {host} {} {}", url.path(), String::from_utf8_lossy(&headers))
            }
            Err(Malformed(what)) => format!("malformed {what}"),
        }
    }

    #[test]
    fn what_clients_ask_is_understood() {
        assert_eq!(asked("CONNECT A.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\nxyz"), "connect a.b:443 3");
        assert_eq!(
            asked(
                "GET http://a.b/c?d HTTP/1.1\r\nhost: A.b:80\r\nAccept: e\r\nProxy-Connection: x\r\n\r\nGET /"
            ),
            "GET a.b:80 /c Accept: e\r\n"
        );
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for head in [
            "CONNECT a.b HTTP/1.1\r\n\r\n",
            "CONNECT http://a.b:443 HTTP/1.1\r\n\r\n",
            "CONNECT a.b:443/x HTTP/1.1\r\n\r\n",
            "CONNECT a.b:+443 HTTP/1.1\r\n\r\n",
            "CONNECT x@a.b:443 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n",
            "GET http://a.b/ HTTP/1.1\r\nHost: c.d\r\n\r\n",
            "GET http://a.b/ HTTP/1.1\r\nHost: a.b\r\nHost: c.d\r\n\r\n",
            "GET http://a.b@c.d/ HTTP/1.1\r\n\r\n",
            "GET https://a.b/ HTTP/1.1\r\n\r\n",
            "GET http://a.b/ HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            "GET http://a.b/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET http://a.b/ HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
            "POST http://a.b/ HTTP/1.1\r\n\r\n",
            "GET http://a.b/ HTTP/1.1\r\n x: folded\r\n\r\n",
        ] {
            assert!(asked(head).starts_with("malformed "), "{head:?}: {}", asked(head));
        }
    }
}
