//! The simulator, started in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::client::SimClient;
use crate::error::Error;
use crate::hooks::{Outbox, Post};
use crate::record::Recorder;
use crate::server::{self, Shared};
use crate::settings::SimSettings;
use crate::view::{Changed, Snapshot};
use crate::world::World;

/// A running simulator; it ends when this is dropped.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Sim {
    /// Listens at once.
    ///
    /// # Errors
    /// When the address is taken or the recording can't be opened.
    pub async fn start(settings: SimSettings) -> Result<Self, Error> {
        let listen = |source| Error::Listen { addr: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let recorder = match &settings.record_to {
            None => None,
            Some(path) => Some(Arc::new(
                Recorder::open(path)
                    .map_err(|source| Error::Write { path: path.clone(), source })?,
            )),
        };
        let changed = Changed::new();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let (outbox, send_all) = Outbox::new(Post {
            client,
            timeout: settings.delivery_timeout,
            clock: settings.clock.clone(),
            changed: changed.clone(),
            recorder: recorder.clone(),
        });
        let given = settings.control_token.clone();
        let mut world = World::new(format!("http://{addr}"), settings, outbox);
        let control_token = given.unwrap_or_else(|| {
            let bytes: [u8; 16] = world.rng.random();
            SecretString::from(hex::encode(bytes))
        });
        let shared = Arc::new(Shared::new(world, changed, control_token, recorder));
        let stop = CancellationToken::new();
        let accept = server::accept(listener, Arc::clone(&shared), stop.clone());
        let tasks = [
            AbortOnDropHandle::new(tokio::spawn(accept)),
            AbortOnDropHandle::new(tokio::spawn(send_all)),
        ];
        Ok(Self { addr, shared, stop, _tasks: tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base of the API, and of git: `<api_url>/owner/name.git`.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What `/_sim/…` asks for.
    pub fn control_token(&self) -> SecretString {
        self.shared.control_token.clone()
    }

    /// A client for another process, or for code that may only hold one.
    pub fn client(&self) -> SimClient {
        SimClient::new(self.api_url(), self.control_token())
    }

    /// Waits until `found` gives something, or for `patience` at most; looks at every change.
    ///
    /// # Errors
    /// When a repository on disk can't be read.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut found: impl FnMut(&Snapshot) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut changes = self.shared.changed.watch();
        loop {
            changes.mark_unchanged();
            let started = tokio::time::Instant::now();
            if let Some(found) = found(&self.snapshot_quietly()?) {
                return Ok(Some(found));
            }
            // Under load something changes all the time: leave the world to others in between.
            tokio::time::sleep(started.elapsed() * 4).await;
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return Ok(found(&self.snapshot_quietly()?));
            }
        }
    }

    /// Without waking those who wait for a change.
    fn snapshot_quietly(&self) -> Result<Snapshot, Error> {
        Ok(self.shared.world().snapshot()?)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
