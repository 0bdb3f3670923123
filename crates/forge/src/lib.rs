#![doc = include_str!("../README.md")]

mod branch;
mod commit;
mod core;
mod error;
mod handler;
mod labels;
mod lanes;
pub mod marker;
mod once;
mod origin;
mod outcome;
mod paces;
mod read_tokens;
mod record;
mod settings;
mod work;
mod writer;

use std::{sync::Arc, time::Duration};

use booty_bus::{Bus, consume, ensure_consumer};
use booty_events::Service;
use booty_github::{AppTokens, Client, ClientSettings, Kind, StaticToken, TokenSource};
use booty_service::Outbox;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use settings::{Credentials, Settings};

use crate::{
    core::{Account, Core},
    handler::Effects,
    lanes::{Queue, Turns},
    marker::Markers,
    paces::Paces,
    record::Records,
    writer::Role,
};

/// How often GitHub is asked who the token belongs to, while it does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long giving the role back may take.
const ROLE_GRACE: Duration = Duration::from_secs(3);

/// What a forge does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does not know yet whose token it has.
    Starting,
    /// Another forge is the writer.
    Standby,
    /// It is the writer.
    Writing,
}

/// Why there are no check runs under a personal token, and what to do about it.
pub fn why_no_checks() -> &'static str {
    "GitHub lets only GitHub Apps write check runs, and forge has a personal token (GITHUB_TOKEN). A \
     verdict is a commit status and a comment on the pull request instead. For check runs register a \
     GitHub App with write permission for checks, contents, issues and pull requests, install it on \
     the repositories, and set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY instead of GITHUB_TOKEN."
}

/// Forge, ready to run.
pub struct App {
    core: Arc<Core>,
    status: watch::Sender<Status>,
}

impl App {
    /// Sets everything up and makes the consumers.
    ///
    /// # Errors
    /// When the settings can't be used, or the broker refuses the consumers.
    pub async fn build(settings: Settings, bus: Bus) -> Result<Self, Error> {
        let base_url = settings.base_url()?;
        let client = ClientSettings {
            timeout: settings.http_timeout,
            connect_timeout: settings.http_timeout / 2,
            read_retry_delays: settings.resend_delays.clone(),
            points: settings.points,
            unnamed_wait: settings.unnamed_wait,
            ..ClientSettings::new(base_url)
        };
        let (app, tokens): (_, Arc<dyn TokenSource>) = match &settings.credentials {
            Credentials::Token(token) => (None, Arc::new(StaticToken::new(token.clone()))),
            Credentials::App(key) => {
                let tokens = AppTokens::new(client.clone(), key.clone(), settings.clock);
                let tokens = Arc::new(tokens.map_err(Error::Client)?);
                (Some(Arc::clone(&tokens)), tokens)
            }
        };
        for queue in Queue::ALL {
            ensure_consumer(&bus, &queue.consumer(&settings)).await?;
        }
        let core = Core {
            github: Client::new(client, tokens).map_err(Error::Client)?,
            app,
            leases: bus.leases(),
            outbox: Outbox::new(bus.clone(), Service::Forge),
            records: Records::new(&bus, settings.clock),
            markers: Markers::new(settings.marker_key.clone()),
            turns: Turns::new(bus.clone(), &settings),
            bus,
            settings,
        };
        Ok(Self { core: Arc::new(core), status: watch::Sender::new(Status::Starting) })
    }

    /// What it does at the moment.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Applies effects until `shutdown`. Waits while another forge is the writer.
    ///
    /// # Errors
    /// When GitHub does not take the token, or a lane can't go on.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        // Also on standby, and while GitHub does not answer: readers don't wait for the writer.
        let serving = tokio::spawn(read_tokens::serve(Arc::clone(&self.core), shutdown.clone()));
        let ended = self.write_in_turn(&shutdown).await;
        if ended.is_err() {
            serving.abort();
            return ended;
        }
        // It ends with the shutdown, once it has answered.
        serving.await??;
        ended
    }

    /// Writes whenever the role is this forge's.
    async fn write_in_turn(&self, shutdown: &CancellationToken) -> Result<(), Error> {
        let Some(account) = self.identify(shutdown).await? else { return Ok(()) };
        let login = account.login.as_str();
        if account.app.is_none() {
            tracing::warn!(event = "no_checks", login, "{}", why_no_checks());
        }
        let key = writer::key(login);
        let (ttl, holder) = (self.core.settings.lease, &self.core.settings.holder);
        while !shutdown.is_cancelled() {
            self.status.send_replace(Status::Standby);
            let taken = writer::acquire(&self.core.bus, &key, holder, ttl, shutdown).await;
            let Some(lease) = taken else { break };
            tracing::info!(login, token = lease.token, "is the writer");
            let end = CancellationToken::new();
            let (role, mut keeper) = writer::keep(lease, ttl, end.clone());
            self.status.send_replace(Status::Writing);
            let written = self.write(&account, role, shutdown).await;
            end.cancel();
            // The bus may be away; the role is free after its deadline anyway.
            match tokio::time::timeout(ROLE_GRACE, &mut keeper).await {
                Ok(ended) => ended?,
                Err(_) => keeper.abort(),
            }
            written?;
        }
        Ok(())
    }

    /// Whose token it is; `None` at shutdown.
    async fn identify(&self, shutdown: &CancellationToken) -> Result<Option<Arc<Account>>, Error> {
        let ask = async || match &self.core.app {
            Some(tokens) => {
                let app = tokens.app().await?;
                Ok(Account { login: app.login(), app: Some(app.id) })
            }
            None => {
                let user = self.core.github.current_user().await?;
                Ok(Account { login: user.login, app: None })
            }
        };
        loop {
            let answer = tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                answer = ask() => answer,
            };
            let pause = match answer {
                Ok(account) => return Ok(Some(Arc::new(account))),
                Err(error) => match booty_github::Error::kind(&error) {
                    Kind::FailFast if self.core.app.is_some() => return Err(Error::App(error)),
                    Kind::FailFast => return Err(Error::Token(error)),
                    Kind::Wait(wait) => wait,
                    Kind::Retryable | Kind::Unknown => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "GitHub does not say whose token this is"
                        );
                        ASK_AGAIN.min(self.core.settings.lease)
                    }
                },
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// All queues, until shutdown or until the role is lost.
    async fn write(
        &self,
        account: &Arc<Account>,
        role: Role,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let stop = shutdown.child_token();
        let mut loops = JoinSet::new();
        // Another one may have written since: what it created is read anew.
        let paces = Paces::new(self.core.settings.pace.clone(), self.core.records.clone());
        let paces = Arc::new(paces);
        for queue in Queue::ALL {
            self.core.turns.begin(queue).await;
        }
        for queue in Queue::ALL {
            let handler = Effects {
                core: Arc::clone(&self.core),
                paces: Arc::clone(&paces),
                queue,
                role: role.clone(),
                account: Arc::clone(account),
                shutdown: stop.clone(),
            };
            let settings = queue.consumer(&self.core.settings);
            loops.spawn(consume(self.core.bus.clone(), settings, Arc::new(handler), stop.clone()));
        }
        let mut first_error = Ok(());
        loop {
            let ended = tokio::select! {
                () = role.lost.cancelled(), if !stop.is_cancelled() => {
                    stop.cancel();
                    continue;
                }
                ended = loops.join_next() => ended,
            };
            let Some(ended) = ended else { return first_error };
            // One that ended takes the others along.
            stop.cancel();
            let ended = ended.map_err(Error::from).and_then(|end| end.map_err(Error::from));
            first_error = first_error.and(ended);
        }
    }
}
