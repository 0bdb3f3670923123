//! Who says something, and whether that counts: asked of GitHub, never read from a payload.

use std::pin::pin;

use booty_events::{RepoName, bucket};
use booty_github::{Client, payload};
use futures_util::TryStreamExt as _;

use crate::shared::{Pause, Shared};

/// What every marker of forge's begins with. A comment with one is ours, or a copy of ours.
const MARKER: &str = "<!-- booty:";

/// What an account must be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Least {
    /// To push.
    Write,
    /// To set and take away labels.
    Triage,
}

/// The account that a payload names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) login: String,
    /// Whether it is an App's or another machine's.
    is_app: bool,
}

impl Author {
    /// `None` for a deleted account.
    pub(crate) fn of(user: Option<&payload::User<'_>>) -> Option<Self> {
        let user = user?;
        let login = (**user.login.as_ref()?).to_owned();
        let is_app = user.kind.as_deref() == Some("Bot") || login.ends_with("[bot]");
        Some(Self { login, is_app })
    }

    /// Why what the account says does not count; `None` when it does.
    pub(crate) async fn refused(
        author: Option<&Self>,
        shared: &Shared,
        github: &Client,
        repository: &RepoName,
        least: Least,
    ) -> Result<Option<&'static str>, Pause> {
        let Some(author) = author else { return Ok(Some("no_sender")) };
        if author.is_app {
            return Ok(Some("app"));
        }
        if is_own(shared, &author.login).await? {
            return Ok(Some("own"));
        }
        let permission = github.collaborator_permission(repository, &author.login).await?;
        let may = permission.is_some_and(|held| match least {
            Least::Write => held.can_write(),
            Least::Triage => held.can_triage(),
        });
        Ok(match least {
            _ if may => None,
            Least::Write => Some("no_write_access"),
            Least::Triage => Some("no_triage_access"),
        })
    }
}

/// Whether a text is forge's own, or holds a copy of one.
pub(crate) fn is_marked(text: &str) -> bool {
    text.contains(MARKER)
}

/// Whether forge writes, or ever wrote, under this account: each has a lease that is kept for good.
async fn is_own(shared: &Shared, login: &str) -> Result<bool, Pause> {
    let mut writers = pin!(shared.claims.entries(&[bucket::WRITERS.to_owned()]));
    while let Some((key, _)) = writers.try_next().await? {
        if bucket::writer_login(&key).is_some_and(|own| own.eq_ignore_ascii_case(login)) {
            return Ok(true);
        }
    }
    Ok(false)
}
