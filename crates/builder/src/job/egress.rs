//! The agent's one way out: a Unix socket, and behind it one host and port.
//!
//! The agent's network namespace is empty, so what it connects to is this socket or nothing. Bytes are
//! carried as they are: TLS is between the agent and the model's provider, and no name that the agent
//! says has a part in where they go.

use std::{
    fmt, io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// How long after a failed accept the next one comes: descriptors are short, and some will be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// The host and port of a base URL; an error says what is wrong with it, without showing what may be
    /// a password in it.
    pub(crate) fn of(base_url: &str) -> Result<Self, String> {
        let url = Url::parse(base_url).map_err(|error| format!("it is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{}: is neither http nor https", url.scheme()));
        }
        let port = url.port_or_known_default().ok_or("it has no port")?;
        // An address of version 6 stands in brackets in URLs, and nowhere else.
        let host = match url.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(address)) => address.to_string(),
            Some(url::Host::Ipv6(address)) => address.to_string(),
            None => return Err("it has no host".to_owned()),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How much of it may be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExitLimits {
    /// Connections at one time; more wait. One conversation needs one.
    pub(crate) connections: usize,
    /// How long a connection may carry nothing either way. A model that does not stream thinks for up
    /// to ten minutes.
    pub(crate) idle: Duration,
    /// How long a connection may last. The job's own time ends it earlier or later.
    pub(crate) total: Duration,
    /// How long it may take to connect.
    pub(crate) connect: Duration,
}

impl Default for ExitLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            idle: Duration::from_secs(11 * 60),
            total: Duration::from_secs(60 * 60),
            connect: Duration::from_secs(20),
        }
    }
}

/// An open way out. Dropping it closes it, all connections with it.
#[derive(Debug)]
pub(crate) struct Exit {
    socket: PathBuf,
    _open: DropGuard,
}

impl Exit {
    /// Listens on a new Unix socket in `folder`, which nobody but the owner can connect to.
    pub(crate) fn open(
        folder: &Path,
        name: &str,
        owner: Option<(u32, u32)>,
        to: Endpoint,
        limits: ExitLimits,
    ) -> io::Result<Self> {
        let socket = folder.join(name);
        let listener = bind(folder, name)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::lchown(&socket, Some(user), Some(group))?;
        }
        let stop = CancellationToken::new();
        let open = stop.clone().drop_guard();
        tokio::spawn(async move {
            tokio::select! {
                () = accept(listener, to, limits) => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(Self { socket, _open: open })
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Binds by the folder's descriptor: the path of a Unix socket holds 107 bytes, a data folder's may be
/// longer.
fn bind(folder: &Path, name: &str) -> io::Result<UnixListener> {
    let open = std::fs::File::open(folder)?;
    UnixListener::bind(Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()).join(name))
}

async fn accept(listener: UnixListener, to: Endpoint, limits: ExitLimits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let to = Arc::new(to);
    // Dropped with this future, which ends all of them.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((inside, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let to = Arc::clone(&to);
        connections.spawn(async move {
            if let Err(why) = carry(inside, &to, limits).await {
                tracing::warn!(event = "model_exit", to = %to, why);
            }
            drop(place);
        });
    }
}

/// Carries one connection to its end.
async fn carry(inside: UnixStream, to: &Endpoint, limits: ExitLimits) -> Result<(), String> {
    let connect = TcpStream::connect((to.host.as_str(), to.port));
    let outside = match timeout(limits.connect, connect).await {
        Ok(Ok(outside)) => outside,
        Ok(Err(error)) => return Err(format!("the model can't be reached: {error}")),
        Err(_) => {
            return Err(format!(
                "the model can't be reached within {} s",
                limits.connect.as_secs()
            ));
        }
    };
    let _ = outside.set_nodelay(true);
    let (from_inside, to_inside) = inside.into_split();
    let (from_outside, to_outside) = outside.into_split();
    let moved = Notify::new();
    let both = async {
        tokio::join!(
            one_way(from_inside, to_outside, &moved),
            one_way(from_outside, to_inside, &moved)
        )
    };
    let silence = async { while timeout(limits.idle, moved.notified()).await.is_ok() {} };
    tokio::select! {
        // How either side ended is between the two.
        _ = timeout(limits.total, both) => Ok(()),
        () = silence => Err(format!("closed after {} s without a byte", limits.idle.as_secs())),
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Notify,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(chunk.get(..length).unwrap_or_default()).await?;
        moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;

    #[rstest]
    #[case("https://api.example.com", "api.example.com:443")]
    #[case("http://127.0.0.1:11434/v1/", "127.0.0.1:11434")]
    #[case("https://user:pw@[::1]:8443/x", "::1:8443")]
    fn an_endpoint_is_host_and_port(#[case] url: &str, #[case] expected: &str) {
        assert_eq!(Endpoint::of(url).unwrap().to_string(), expected);
    }

    #[rstest]
    #[case("ftp://x")]
    #[case("unix:/run/x")]
    #[case("nonsense:pw")]
    fn other_urls_are_none(#[case] url: &str) {
        let why = Endpoint::of(url).unwrap_err();
        assert!(!why.contains("pw"), "{why}");
    }

    async fn upstream() -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Endpoint { host: "127.0.0.1".to_owned(), port })
    }

    #[tokio::test]
    async fn bytes_are_carried_both_ways_and_a_half_close_is_one() {
        let folder = TempDir::new().unwrap();
        // Far longer than the path of a socket may be.
        let deep = folder.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let (listener, to) = upstream().await;
        let exit = Exit::open(&deep, "model", None, to, ExitLimits::default()).unwrap();
        let mode = std::fs::metadata(exit.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = folder.path().join("s");
        std::os::unix::fs::symlink(exit.socket(), &link).unwrap();
        let mut inside = UnixStream::connect(&link).await.unwrap();
        inside.write_all(b"question").await.unwrap();
        inside.shutdown().await.unwrap();
        let (mut outside, _) = listener.accept().await.unwrap();
        let mut asked = String::new();
        outside.read_to_string(&mut asked).await.unwrap();
        outside.write_all(b"answer").await.unwrap();
        drop(outside);
        let mut answered = String::new();
        inside.read_to_string(&mut answered).await.unwrap();
        assert_eq!((asked.as_str(), answered.as_str()), ("question", "answer"));
    }

    #[tokio::test]
    async fn what_says_nothing_and_what_is_dropped_is_closed() {
        let folder = TempDir::new().unwrap();
        let (listener, to) = upstream().await;
        let limits = ExitLimits { idle: Duration::from_millis(20), ..ExitLimits::default() };
        let exit = Exit::open(folder.path(), "idle", None, to.clone(), limits).unwrap();
        let mut inside = UnixStream::connect(exit.socket()).await.unwrap();
        let (_held, _) = listener.accept().await.unwrap();
        assert_eq!(inside.read(&mut [0; 8]).await.unwrap(), 0);

        let exit = Exit::open(folder.path(), "dropped", None, to, ExitLimits::default()).unwrap();
        let mut inside = UnixStream::connect(exit.socket()).await.unwrap();
        let (_held, _) = listener.accept().await.unwrap();
        let socket = exit.socket().to_owned();
        drop(exit);
        assert_eq!(inside.read(&mut [0; 8]).await.unwrap(), 0);
        UnixStream::connect(&socket).await.unwrap_err();
    }

    #[tokio::test]
    async fn no_more_connections_than_allowed_are_carried_at_once() {
        let folder = TempDir::new().unwrap();
        let (listener, to) = upstream().await;
        let limits = ExitLimits { connections: 1, ..ExitLimits::default() };
        let exit = Exit::open(folder.path(), "one", None, to, limits).unwrap();
        let first = UnixStream::connect(exit.socket()).await.unwrap();
        let (one, _) = listener.accept().await.unwrap();
        let _second = UnixStream::connect(exit.socket()).await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let none = listener.accept();
        tokio::pin!(none);
        assert!(futures_util::poll!(&mut none).is_pending());
        drop((first, one));
        none.await.unwrap();
    }
}
