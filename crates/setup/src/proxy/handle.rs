//! One connection of a client's.

use std::{io, sync::Arc};

use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use url::Url;

use super::{
    Allow, Shared,
    connect::{Connected, Reach},
    hello::{self, Hello},
    record::Why,
    request::{self, Malformed, Request},
};
use crate::host::Host;

const CHUNK_BYTES: usize = 64 * 1024;

pub(super) async fn connection(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Arc<Shared>,
) {
    let end = match request::read(&mut client, shared.limits.connect).await {
        Ok(Some(Request::Connect { host, said })) => {
            connect(&mut client, shared, &host, &said).await
        }
        Ok(Some(Request::Plain { host, method, url, headers })) => {
            plain(&mut client, shared, &host, (method, &url, &headers)).await
        }
        Ok(None) => Ok(()),
        Err(Malformed(what)) => Err((what, Why::Malformed)),
    };
    if let Err((asked, why)) = end {
        shared.record.refuse(&asked, why);
        let _ = client.write_all(answer(why).as_bytes()).await;
    }
    let _ = client.shutdown().await;
}

type Refusal = (String, Why);

async fn connect(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    shared: &Shared,
    host: &Host,
    said: &[u8],
) -> Result<(), Refusal> {
    let mut connected = reach(shared, host, true).await?;
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
        return Ok(());
    }
    let Some(said) = first_said(client, shared, host, said).await else {
        shared.record.refuse(&format!("{host} in the name of another"), Why::Malformed);
        return Ok(());
    };
    if connected.stream.write_all(&said).await.is_ok() {
        shared.record.add(host, said.len() as u64);
        carry(client, &mut connected.stream, shared, host, true).await;
    }
    Ok(())
}

/// Reads until it is clear whom the client means to talk to. `None`: to somebody else. A client to
/// learn from means what it says.
async fn first_said(
    client: &mut (impl AsyncRead + Unpin),
    shared: &Shared,
    host: &Host,
    said: &[u8],
) -> Option<Vec<u8>> {
    let mut said = said.to_vec();
    if shared.allow == Allow::Learn {
        return Some(said);
    }
    let deadline = Instant::now() + shared.limits.connect;
    loop {
        match hello::read(&said) {
            Hello::Other => return Some(said),
            Hello::Tls(name) => {
                let meant = name.map(|name| Host::new(name, host.port()).ok());
                let is_meant = match meant {
                    Some(meant) => meant.as_ref() == Some(host),
                    // Of an address there is nothing to say.
                    None => host.address().is_some(),
                };
                return is_meant.then_some(said);
            }
            Hello::Broken => return None,
            Hello::Partial if said.len() >= hello::MAX_BYTES => return None,
            Hello::Partial => {}
        }
        match timeout_at(deadline, client.read_buf(&mut said)).await {
            // It says nothing more: nothing that could be misunderstood.
            Ok(Ok(0)) if said.is_empty() => return Some(said),
            Ok(Ok(length)) if length > 0 => {}
            _ => return None,
        }
    }
}

async fn plain(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    shared: &Shared,
    host: &Host,
    (method, url, headers): (&str, &Url, &[u8]),
) -> Result<(), Refusal> {
    let mut connected = reach(shared, host, false).await?;
    let mut origin = url.clone();
    origin.set_fragment(None);
    let target = match &connected.relay {
        Some(_) => origin.to_string(),
        None => {
            let query = origin.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{}{query}", origin.path())
        }
    };
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    if let Some(Some(authorization)) = &connected.relay {
        head.push_str(&format!("Proxy-Authorization: {}\r\n", authorization.expose_secret()));
    }
    let start = async {
        connected.stream.write_all(head.as_bytes()).await?;
        connected.stream.write_all(headers).await?;
        connected.stream.write_all(b"\r\n").await
    };
    if start.await.is_ok() {
        carry(client, &mut connected.stream, shared, host, false).await;
    }
    Ok(())
}

/// Connects, if the host is on the list and there is room.
async fn reach(shared: &Shared, host: &Host, tls: bool) -> Result<Connected, Refusal> {
    let refusal = |why| (host.to_string(), why);
    let reach = match &shared.allow {
        Allow::Learn => Reach::Anywhere,
        Allow::Only(hosts) => *hosts.get(host).ok_or_else(|| refusal(Why::NotAllowed))?,
    };
    if shared.record.total() >= shared.limits.bytes {
        return Err(refusal(Why::TooMuch));
    }
    let connected = shared.upstream.connect(host, reach, tls, shared.limits.connect).await;
    let connected = connected.map_err(refusal)?;
    shared.record.reach(host, connected.private);
    Ok(connected)
}

/// Carries bytes until both sides are done, one breaks off, or a limit is passed. With `both` unset,
/// what the client still says is not passed on.
async fn carry(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut TcpStream,
    shared: &Shared,
    host: &Host,
    both: bool,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.split();
    let (mut up, mut down) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let (mut up_open, mut down_open) = (true, true);
    while down_open || (both && up_open) {
        let deadline = Instant::now() + shared.limits.idle;
        let step = async {
            tokio::select! {
                read = from_server.read(&mut down), if down_open => {
                    let length = read?;
                    down_open = length > 0;
                    to_client.write_all(down.get(..length).unwrap_or_default()).await?;
                    if !down_open { to_client.shutdown().await?; }
                    Ok::<_, io::Error>(length)
                }
                read = from_client.read(&mut up), if up_open => {
                    let length = read?;
                    up_open = length > 0;
                    if both {
                        to_server.write_all(up.get(..length).unwrap_or_default()).await?;
                        if !up_open { to_server.shutdown().await?; }
                    }
                    Ok(length)
                }
            }
        };
        let Ok(Ok(length)) = timeout_at(deadline, step).await else { return };
        if shared.record.add(host, length as u64) > shared.limits.bytes {
            shared.record.refuse(&host.to_string(), Why::TooMuch);
            return;
        }
    }
}

fn answer(why: Why) -> String {
    let (status, text) = match why {
        Why::NotAllowed => ("403 Forbidden", "not a registry that setup steps may reach"),
        Why::Private => ("403 Forbidden", "the registry is at a private address"),
        Why::TooMuch => ("403 Forbidden", "setup steps have transferred too much"),
        Why::Malformed => ("403 Forbidden", "not what a client of a registry asks"),
        Why::Unreachable => ("502 Bad Gateway", "the registry cannot be reached"),
    };
    let length = text.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}\n"
    )
}
