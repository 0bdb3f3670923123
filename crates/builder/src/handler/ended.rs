//! What ends work without a word: the trigger label is taken away, the issue or the pull request closed.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{IssueNumber, RepoName, fact, v1::Event};
use booty_github::payload::{Envelope, Label};
use tracing::Instrument as _;

use super::{
    ending::{Met, Target},
    heard::{Heard, kind},
    request,
};
use crate::{
    order::Asked,
    person::{Author, Least},
    shared::{Pause, Shared},
    stop::{How, Stopped, time},
};

/// Handles `issues.unlabeled`, `issues.closed` and `pull_request.closed`.
pub(crate) struct Ended {
    shared: Arc<Shared>,
}

/// What the payload says, as far as it is used.
#[derive(Debug)]
struct Payload {
    how: How,
    repository: RepoName,
    installation: u64,
    number: IssueNumber,
    /// A pull request that is seen as an issue.
    is_pull_request: bool,
    /// Of the label that was taken away, or of those that are there, the trigger is one.
    has_trigger: bool,
    sender: Option<Author>,
    asked: Asked,
}

#[async_trait]
impl Handler for Ended {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let unreadable = |why| Verdict::Reject { reason: "unreadable".to_owned(), why };
        let payload = match read(delivery, &self.shared.settings.trigger_label) {
            Ok(payload) => payload,
            Err(why) => return unreadable(why),
        };
        let Payload { repository, installation, number, asked, .. } = &payload;
        let is_pull_request = payload.how == How::PullRequestClosed;
        let heard = Heard::new(
            &self.shared,
            delivery,
            repository,
            *installation,
            *number,
            is_pull_request,
            *asked,
        );
        let Some(heard) = heard else {
            return unreadable("neither headers nor subject name the delivery".to_owned());
        };
        let span = heard.span();
        match Box::pin(self.hear(delivery, &payload, &heard).instrument(span)).await {
            Ok(None) => Verdict::Done,
            Ok(Some(reason)) => Verdict::Ignore { reason: reason.to_owned() },
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }
}

impl Ended {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    async fn hear(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
    ) -> Result<Option<&'static str>, Pause> {
        let shared = &self.shared;
        if !shared.settings.allowed.allows(&payload.repository) {
            return Ok(Some(heard.ignored("repository").await?));
        }
        let (issue, pull_request) = match self.target(delivery, payload, heard).await? {
            Ok(target) => target,
            Err(reason) => return Ok(Some(heard.ignored(reason).await?)),
        };
        let target = Target {
            repository: &payload.repository,
            installation: payload.installation,
            issue,
            pull_request,
        };
        // Issues are closed all day: only where there is, or may soon be, a job is it worth a note.
        if payload.how != How::LabelRemoved
            && !payload.has_trigger
            && !target.is_claimed(shared).await?
        {
            return Ok(Some(heard.ignored(Met::Nothing.word()).await?));
        }
        let by = payload.sender.as_ref().map(|sender| sender.login.clone()).unwrap_or_default();
        let stopped = Stopped { how: payload.how, by: by.clone(), asked: payload.asked };
        stopped.keep(shared, &payload.repository, issue, pull_request).await?;
        let met = target.meet(shared, &stopped).await?;
        let event = Event {
            reason: met.word().to_owned(),
            detail: payload.how.word().to_owned(),
            attributes: [("by".to_owned(), by), ("issue".to_owned(), issue.to_string())].into(),
            ..Event::default()
        };
        shared.say(&heard.order, fact::STOP, "stop", event).await?;
        if met == Met::Job {
            target.end(shared, delivery, &stopped).await?;
        }
        Ok(None)
    }

    /// The issue, and the pull request alone whose work ends; a word when nothing is to end.
    async fn target(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
    ) -> Result<Result<(IssueNumber, Option<u64>), &'static str>, Pause> {
        let shared = &self.shared;
        let github = shared.github(&heard.order);
        let (repository, number) = (&payload.repository, payload.number.get());
        match payload.how {
            How::LabelRemoved if !payload.has_trigger => Ok(Err("label")),
            _ if payload.is_pull_request => Ok(Err("pull_request")),
            How::LabelRemoved => {
                let sender = payload.sender.as_ref();
                let no = Author::refused(sender, shared, &github, repository, Least::Triage);
                Ok(no.await?.map_or(Ok((payload.number, None)), Err))
            }
            // Whoever may close it (its author may): there is nothing to work on any more.
            How::PullRequestClosed => {
                let found = request::issue_of(shared, repository, number, delivery).await?;
                let issue = match found {
                    Ok(issue) => issue,
                    Err(reason) => return Ok(Err(reason)),
                };
                let now = github.get_pull(repository, number).await?;
                let is_open = now.is_some_and(|now| now.state == "open");
                Ok(if is_open { Err("reopened") } else { Ok((issue, Some(number))) })
            }
            _ => {
                let now = github.get_issue(repository, number).await?;
                let is_open = now.is_some_and(|now| now.number == number && now.state == "open");
                Ok(if is_open { Err("reopened") } else { Ok((payload.number, None)) })
            }
        }
    }
}

fn read(delivery: &Delivery, trigger: &str) -> Result<Payload, String> {
    let missing = |what: &str| format!("the body has no usable {what}");
    let envelope = Envelope::parse(&delivery.payload).map_err(|error| error.to_string())?;
    let repository = envelope.repository_name().and_then(|name| name.parse().ok());
    let kind = kind(delivery).ok_or_else(|| missing("event"))?;
    let is_trigger = |name: &str| name.eq_ignore_ascii_case(trigger);
    let (how, number, is_pull_request, has_trigger, at) = match (kind.0.as_str(), kind.1.as_str()) {
        ("pull_request", _) => {
            let pull = envelope.pull_request.value().ok_or_else(|| missing("pull request"))?;
            (How::PullRequestClosed, pull.number, false, false, pull.updated_at.as_deref())
        }
        (_, action) => {
            let issue = envelope.issue.value().ok_or_else(|| missing("issue"))?;
            let is_closed = action == "closed";
            let taken = envelope.label.value().and_then(|label: &Label<'_>| label.name.as_deref());
            let has_trigger = if is_closed {
                issue.label_names().any(is_trigger)
            } else {
                taken.is_some_and(is_trigger)
            };
            let how = if is_closed { How::IssueClosed } else { How::LabelRemoved };
            let at = issue.updated_at.as_deref();
            (how, issue.number, issue.is_pull_request(), has_trigger, at)
        }
    };
    Ok(Payload {
        how,
        repository: repository.ok_or_else(|| missing("repository"))?,
        installation: envelope.installation.value().map_or(0, |installation| installation.id),
        number: IssueNumber::new(number).ok_or_else(|| missing("number"))?,
        is_pull_request,
        has_trigger,
        sender: Author::of(envelope.sender.value()),
        asked: Asked::new(time(at, delivery.published), delivery.sequence),
    })
}
