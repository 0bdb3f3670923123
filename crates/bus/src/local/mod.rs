//! A nats-server of our own, for `booty up`, the demo and every test.

mod find;
mod process;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
    time::Instant,
};

pub use self::find::{ServerSearch, find_server};
use self::process::Process;
use crate::error::Error;

/// The configuration that Booty ships; `sync_interval: always` is the part that a power cut tests.
const CONFIGURATION: &str = include_str!("../../../../deploy/nats/nats.conf");
const SYNC_ALWAYS: &str = "sync_interval: always";
const SYNC_DEFAULT: &str = "sync_interval: 2m";

/// How long a server may take until it is ready; recovering a large store takes seconds.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
/// How long a server may take to stop on SIGTERM before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How many ports are tried when none is given.
const PORT_TRIES: u32 = 50;
/// Below the range from which the kernel takes ports for outgoing connections (32768 and up):
/// otherwise a client that reconnects to a dead server can be given the server's own port, connect
/// to itself, and keep the server from ever coming back.
const FIRST_PORT: u32 = 15_000;
const PORT_COUNT: u32 = 17_000;

/// How to start a server.
#[derive(Debug, Clone)]
pub struct LocalServerSettings {
    /// The program; [`find_server`] knows where to look.
    pub binary: PathBuf,
    /// Configuration, log and JetStream's store.
    pub data_dir: PathBuf,
    /// The port on 127.0.0.1; `None` finds a free one.
    pub port: Option<u16>,
    /// Sync every message to disk before it is acknowledged. Only a benchmark may say no.
    pub sync_always: bool,
}

/// A running nats-server on 127.0.0.1. Dropping it kills it, and so does the death of this process
/// (by the kernel, where the program `setpriv` is installed, as it is on every Debian).
#[derive(Debug)]
pub struct LocalServer {
    binary: PathBuf,
    data_dir: PathBuf,
    port: u16,
    monitor_port: u16,
    process: Option<Process>,
    /// Removed after the process is gone.
    _temporary: Option<TempDir>,
}

impl LocalServer {
    /// Starts a server and waits until JetStream answers.
    ///
    /// # Errors
    /// The program can't be run, exits, or is not ready within 30 s; its last words are in the error.
    pub async fn start(settings: LocalServerSettings) -> Result<Self, Error> {
        Self::start_in(settings, None).await
    }

    /// Starts the server that [`find_server`] finds, on a free port and in a directory that goes away
    /// with it, as shipped (`sync_interval: always`).
    ///
    /// # Errors
    /// As for [`LocalServer::start`], or no server was found.
    pub async fn start_temporary() -> Result<Self, Error> {
        let binary = find_server()?;
        let temporary = tempfile::Builder::new()
            .prefix("booty-nats-")
            .tempdir()
            .map_err(|source| io("make a temporary directory", source))?;
        let data_dir = temporary.path().to_owned();
        let settings = LocalServerSettings { binary, data_dir, port: None, sync_always: true };
        Self::start_in(settings, Some(temporary)).await
    }

    async fn start_in(
        settings: LocalServerSettings,
        temporary: Option<TempDir>,
    ) -> Result<Self, Error> {
        let LocalServerSettings { binary, data_dir, port, sync_always } = settings;
        write_configuration(&data_dir, sync_always)?;
        let tries = if port.is_some() { 1 } else { PORT_TRIES };
        let mut server = Self {
            binary,
            data_dir,
            port: 0,
            monitor_port: 0,
            process: None,
            _temporary: temporary,
        };
        let mut last = None;
        for _ in 0..tries {
            let (client, monitor) = match port {
                Some(port) => (port, free_port()?),
                None => (free_port()?, free_port()?),
            };
            (server.port, server.monitor_port) = (client, monitor);
            match server.launch().await {
                Ok(()) => return Ok(server),
                // Another process took the port between our look and the server's.
                Err(Error::ServerStart { reason, .. })
                    if reason.contains("address already in use") =>
                {
                    last = Some(reason);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::ServerStart {
            data_dir: server.data_dir.clone(),
            reason: last.unwrap_or_else(|| "no free port".to_owned()),
        })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where the server reports on itself.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// The process id; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Where its files are.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Kills it with SIGKILL, and returns when it is gone.
    ///
    /// # Errors
    /// None in practice: a process that is gone already is no error.
    pub async fn kill9(&mut self) -> Result<(), Error> {
        if let Some(mut process) = self.process.take() {
            process.kill();
            process.gone().await;
        }
        Ok(())
    }

    /// Asks it to stop, and kills it after 10 s.
    ///
    /// # Errors
    /// None in practice.
    pub async fn stop(&mut self) -> Result<(), Error> {
        if let Some(mut process) = self.process.take() {
            process.terminate();
            if tokio::time::timeout(STOP_TIMEOUT, process.gone()).await.is_err() {
                process.kill();
                process.gone().await;
            }
        }
        Ok(())
    }

    /// Starts it again on the same port and store, killing it first where it runs.
    ///
    /// # Errors
    /// As for [`LocalServer::start`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.kill9().await?;
        self.launch().await
    }

    /// Waits until the process has ended by itself: for a supervisor.
    pub async fn exited(&mut self) {
        match &mut self.process {
            Some(process) => process.gone().await,
            None => std::future::pending().await,
        }
    }

    async fn launch(&mut self) -> Result<(), Error> {
        let log = self.data_dir.join("nats-server.log");
        let name = format!("booty-{}-{}-{}", std::process::id(), self.port, self.monitor_port);
        let arguments = [
            "-c".into(),
            self.data_dir.join("nats.conf").into_os_string(),
            "-a".into(),
            "127.0.0.1".into(),
            "-p".into(),
            self.port.to_string().into(),
            "-m".into(),
            self.monitor_port.to_string().into(),
            "-sd".into(),
            self.data_dir.clone().into_os_string(),
            "--server_name".into(),
            name.clone().into(),
        ];
        let process = Process::spawn(&self.binary, &arguments, &log)
            .await
            .map_err(|source| io(&format!("run {}", self.binary.display()), source))?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if is_ready(self.port, &name).await {
                self.process = Some(process);
                return Ok(());
            }
            let reason = if process.is_gone() {
                last_lines(&log)
            } else if Instant::now() >= deadline {
                format!("not ready after {} s; {}", START_TIMEOUT.as_secs(), last_lines(&log))
            } else {
                tokio::time::sleep(PROBE_INTERVAL).await;
                continue;
            };
            return Err(Error::ServerStart { data_dir: self.data_dir.clone(), reason });
        }
    }
}

fn write_configuration(data_dir: &Path, sync_always: bool) -> Result<(), Error> {
    fs::create_dir_all(data_dir)
        .map_err(|source| io(&format!("make {}", data_dir.display()), source))?;
    let path = data_dir.join("nats.conf");
    let text = if sync_always {
        CONFIGURATION.to_owned()
    } else {
        CONFIGURATION.replace(SYNC_ALWAYS, SYNC_DEFAULT)
    };
    fs::write(&path, text).map_err(|source| io(&format!("write {}", path.display()), source))
}

/// Whether the server of that name has opened its port, which it does after JetStream has started.
async fn is_ready(port: u16, name: &str) -> bool {
    let greeting = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.ok()?;
        Some(line)
    };
    match tokio::time::timeout(Duration::from_secs(1), greeting).await {
        Ok(Some(line)) => {
            line.contains(&format!("\"server_name\":\"{name}\""))
                && line.contains("\"jetstream\":true")
        }
        Ok(None) | Err(_) => false,
    }
}

fn free_port() -> Result<u16, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORT_COUNT {
        // Processes start at different places, so that parallel test binaries seldom meet.
        let at = std::process::id().wrapping_mul(97) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST_PORT + at % PORT_COUNT).unwrap_or(u16::MAX);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io("find a free port", std::io::ErrorKind::AddrInUse.into()))
}

fn last_lines(log: &Path) -> String {
    const LINES: usize = 5;
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(LINES).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    format!("its log ends with: {}", lines.join(" | "))
}

fn io(doing: &str, source: std::io::Error) -> Error {
    Error::Io { doing: doing.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configuration_syncs_and_takes_large_messages() {
        assert_eq!(CONFIGURATION.matches(SYNC_ALWAYS).count(), 1);
        assert!(CONFIGURATION.contains("max_payload: 32MB"));
    }
}
