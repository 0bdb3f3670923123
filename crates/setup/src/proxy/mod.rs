//! The one exit of a setup step: an HTTP proxy on a Unix socket that is open to a list of hosts.
//!
//! It looks at nothing inside TLS, but at whom TLS is meant for. Of plain HTTP it passes on one request a connection, without a
//! body, so that nothing can ride behind what was allowed.

mod connect;
mod handle;
mod hello;
mod record;
mod request;

use std::{
    collections::BTreeMap, io, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::connect::is_private;
pub use self::{
    connect::{Reach, Upstream},
    record::{Reached, Record, Refused, Why},
};
use crate::host::Host;

/// What one proxy may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyLimits {
    /// At one time; more are not accepted until one ends.
    pub connections: usize,
    /// Both ways, of all connections together.
    pub bytes: u64,
    /// Without a byte in either direction.
    pub idle: Duration,
    /// To resolve and to connect, and for the head of a request to arrive.
    pub connect: Duration,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        const GIB: u64 = 1024 * 1024 * 1024;
        Self {
            // npm opens some fifty.
            connections: 96,
            // The dependencies of a large project, with room; the disk limit comes first.
            bytes: 8 * GIB,
            idle: Duration::from_secs(120),
            connect: Duration::from_secs(20),
        }
    }
}

/// What a proxy lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Allow {
    /// These alone.
    Only(BTreeMap<Host, Reach>),
    /// Everything: to learn what a client of the operator's own talks to.
    Learn,
}

/// What all connections of a proxy share.
#[derive(Debug)]
struct Shared {
    allow: Allow,
    limits: ProxyLimits,
    upstream: Upstream,
    record: Record,
}

/// A running proxy. Dropping it ends it and all its connections.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    stop: CancellationToken,
    connections: TaskTracker,
    folder: Option<TempDir>,
    port: Option<u16>,
}

impl Proxy {
    /// Listens on a new Unix socket. `upstream` is how this machine itself reaches the network.
    pub fn start(
        allowed: BTreeMap<Host, Reach>,
        limits: ProxyLimits,
        upstream: Upstream,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("booty-setup-").tempdir()?;
        // The sandbox's user is another than ours when started as root. Others do not know the
        // folder's name, and whom they could reach is open to them anyway.
        set_mode(folder.path().to_owned(), 0o711)?;
        let socket = folder.path().join(SOCKET);
        let listener = Arc::new(UnixListener::bind(&socket)?);
        set_mode(socket, 0o666)?;
        let mut proxy = Self::new(Allow::Only(allowed), limits, upstream);
        proxy.folder = Some(folder);
        proxy.accept(move || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await.map(|(stream, _)| stream) }
        });
        Ok(proxy)
    }

    /// Listens on a port of the loopback, for clients that know no Unix socket, and lets them
    /// through wherever they want. For clients of the operator's own, for a moment.
    pub(crate) async fn learn(limits: ProxyLimits, upstream: Upstream) -> io::Result<Self> {
        let listener = Arc::new(TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?);
        let port = listener.local_addr()?.port();
        let mut proxy = Self::new(Allow::Learn, limits, upstream);
        proxy.port = Some(port);
        proxy.accept(move || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await.map(|(stream, _)| stream) }
        });
        Ok(proxy)
    }

    fn new(allow: Allow, limits: ProxyLimits, upstream: Upstream) -> Self {
        let record = Record::default();
        Self {
            shared: Arc::new(Shared { allow, limits, upstream, record }),
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
            folder: None,
            port: None,
        }
    }

    fn accept<S, F>(&self, next: impl Fn() -> F + Send + Sync + 'static)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = io::Result<S>> + Send,
    {
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        let connections = self.connections.clone();
        let places = Arc::new(Semaphore::new(shared.limits.connections));
        self.connections.spawn(async move {
            loop {
                let accepted = async {
                    let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other);
                    Ok::<_, io::Error>((place?, next().await?))
                };
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = accepted => accepted,
                };
                let Ok((place, stream)) = accepted else {
                    // Out of descriptors: those that are open will be closed.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = handle::connection(stream, &shared) => {}
                    }
                    drop(place);
                });
            }
        });
    }

    /// Where it listens, for [`ProxyExit`](booty_sandbox::ProxyExit).
    pub fn socket(&self) -> PathBuf {
        self.folder.as_ref().map(|folder| folder.path().join(SOCKET)).unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or_default()
    }

    /// What went through and what did not, so far.
    pub fn record(&self) -> &Record {
        &self.shared.record
    }

    /// Ends it, and says what went through when all connections are closed.
    pub async fn finish(self) -> (Vec<Reached>, Vec<Refused>) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
        (self.shared.record.reached(), self.shared.record.refused())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const SOCKET: &str = "proxy";
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

fn set_mode(path: PathBuf, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}
