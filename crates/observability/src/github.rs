//! How an issue is on GitHub. Only read; an answer that does not come holds nothing up.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use booty_bus::Bus;
use booty_events::{RepoName, v1::AlertState};
use booty_github::{Client, ClientSettings, Scope};
use booty_service::chain;
use tokio::time::{Instant, timeout};

use crate::{Error, Settings, state::Look};

/// Reads issues.
pub(crate) struct Github {
    client: Client,
    allowed: booty_service::AllowList,
    patience: Duration,
    pause: Duration,
    /// Until when it is not asked, because it gave no answer.
    away: Mutex<Option<Instant>>,
}

impl Github {
    pub(crate) fn new(settings: &Settings, bus: &Bus) -> Result<Self, Error> {
        let client = ClientSettings {
            timeout: settings.look_patience,
            connect_timeout: settings.look_patience,
            // Asked again by the sweep, not while an alert waits.
            read_retry_delays: Vec::new(),
            ..ClientSettings::new(settings.api_url.clone())
        };
        Ok(Self {
            client: Client::new(client, settings.read_access.source(bus))?,
            allowed: settings.allowed.clone(),
            patience: settings.look_patience,
            pause: settings.look_interval,
            away: Mutex::default(),
        })
    }

    /// Like [`Github::look`], but not while it was found away not long ago: an alert does not wait for
    /// what the one before it waited for in vain.
    pub(crate) async fn look_unless_away(&self, state: &AlertState) -> Option<Look> {
        let away = *self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.look(state).await
    }

    /// How the state's issue is; `None`: there is no answer to be had.
    pub(crate) async fn look(&self, state: &AlertState) -> Option<Look> {
        let repository: Option<RepoName> = state.repository.parse().ok();
        let Some(repository) = repository.filter(|name| self.allowed.allows(name)) else {
            // Nothing is written there any more.
            return Some(Look::Gone);
        };
        let asked = timeout(self.patience, self.ask(&repository, state.issue)).await;
        let why = match asked {
            Ok(Ok(look)) => {
                self.set_away(None);
                return look;
            }
            Ok(Err(error)) => chain(&error),
            Err(elapsed) => elapsed.to_string(),
        };
        tracing::warn!(why, issue = state.issue, "GitHub does not say how the issue is");
        self.set_away(Some(Instant::now() + self.pause));
        None
    }

    async fn ask(
        &self,
        repository: &RepoName,
        number: u64,
    ) -> Result<Option<Look>, booty_github::Error> {
        let scope = Scope { installation: None, repository: Some(repository.clone()) };
        let github = self.client.scoped(scope);
        let Some(issue) = github.get_issue(repository, number).await? else {
            // "Not found" is also what a token is told that may not see the repository.
            let is_seen = github.get_repository(repository).await?.is_some();
            return Ok(is_seen.then_some(Look::Gone));
        };
        Ok(Some(if issue.number != number {
            // Moved: the redirect led to its new place.
            Look::Gone
        } else if issue.state == "closed" {
            Look::Closed(issue.closed_at)
        } else {
            Look::Open
        }))
    }

    fn set_away(&self, until: Option<Instant>) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}
