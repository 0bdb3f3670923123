//! The verifier's verdicts: one for the head of a draft of ours ends the draft.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{
    CommitSha, Message as _, RepoName,
    v1::{Event, JobState},
};

use crate::{
    ours::{self, Pull, Whose},
    promotion,
    shared::{Pause, Shared},
};

/// What the verifier concluded, as far as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    /// The verifier's job.
    pub(super) job: String,
    pub(super) repository: RepoName,
    pub(super) pull_request: u64,
    pub(super) head: CommitSha,
    pub(super) conclusion: String,
    /// Why there is no judgement; empty when there is one.
    pub(super) reason: String,
    pub(super) findings: String,
}

impl Judged {
    pub(super) fn read(delivery: &Delivery) -> Result<Self, String> {
        let event = Event::decode(delivery.payload.clone()).map_err(|error| error.to_string())?;
        let attribute = |name: &str| event.attributes.get(name).cloned().unwrap_or_default();
        Ok(Self {
            repository: event.repository.parse().map_err(|error| format!("{error}"))?,
            head: attribute("head").parse().map_err(|error| format!("head: {error}"))?,
            findings: attribute("findings"),
            job: event.job_id,
            pull_request: event.number,
            conclusion: event.detail,
            reason: event.reason,
        })
    }

    /// Whether the change itself was found wrong.
    pub(super) fn is_red(&self) -> bool {
        self.conclusion == "failure" && self.reason.is_empty()
    }
}

/// Handles verdicts that ask for no work.
pub(crate) struct Verdicts {
    shared: Arc<Shared>,
}

#[async_trait]
impl Handler for Verdicts {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let judged = match Judged::read(delivery) {
            Ok(judged) => judged,
            Err(why) => return Verdict::Reject { reason: "unreadable".to_owned(), why },
        };
        match self.follow(delivery, &judged).await {
            Ok(None) => Verdict::Done,
            Ok(Some(reason)) => Verdict::Ignore { reason: reason.to_owned() },
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }
}

impl Verdicts {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn follow(
        &self,
        delivery: &Delivery,
        judged: &Judged,
    ) -> Result<Option<&'static str>, Pause> {
        if judged.is_red() {
            return Ok(Some("red"));
        }
        let shared = &self.shared;
        let pull = match find(shared, judged, delivery).await? {
            Ok(pull) => pull,
            Err(reason) => return Ok(Some(reason)),
        };
        // What is under way may be this very head's: forge knows its commit only afterwards.
        wait_for_end(&pull)?;
        let no = match pull.whose(&judged.head) {
            Whose::Older => Some("older_head"),
            Whose::Foreign => Some("foreign_head"),
            Whose::Newest if judged.conclusion != "success" || !judged.reason.is_empty() => {
                Some(judged.conclusion.as_str())
            }
            Whose::Newest if !pull.opened.promote => Some("promote_off"),
            Whose::Newest => None,
        };
        match no {
            None => promotion::ask(shared, &pull, &judged.head).await?,
            Some(reason) => {
                let (order, head) = (&pull.opener, judged.head.as_str());
                let why = &judged.reason;
                promotion::refuse(shared, order, pull.number, head, reason, why).await?;
            }
        }
        Ok(None)
    }
}

/// The pull request of ours that was judged; else a word.
pub(super) async fn find(
    shared: &Shared,
    judged: &Judged,
    delivery: &Delivery,
) -> Result<Result<Pull, &'static str>, Pause> {
    // Known by its head alone, and ours are never.
    if judged.pull_request == 0 {
        return Ok(Err("no_pull_request"));
    }
    if !shared.settings.allowed.allows(&judged.repository) {
        return Ok(Err("repository"));
    }
    ours::pull(shared, &judged.repository, judged.pull_request, delivery.published).await
}

/// Hands the verdict back while the job behind the pull request is at work.
pub(super) fn wait_for_end(pull: &Pull) -> Result<(), Pause> {
    match pull.job.state() {
        JobState::Completed | JobState::Failed => Ok(()),
        _ => Err(Pause::away("the pull request's job is at work")),
    }
}
