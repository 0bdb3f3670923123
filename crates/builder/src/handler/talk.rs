//! What people say on issues and pull requests: commands in comments, and reviews that request changes.
//!
//! Two durables bring the same deliveries. The *door* decides and answers at once, however busy the workers
//! are; the *workers* decide the same again and work. Whose words count is asked of GitHub, and no other
//! words of the conversation are looked at.

use std::sync::Arc;

use async_trait::async_trait;
use booty_bus::{Delivery, Handler, Verdict};
use booty_events::{IssueNumber, RepoName, fact, v1::Event};
use booty_github::payload::Envelope;
use tracing::Instrument as _;

use super::{
    Station,
    ending::{Met, Target},
    heard::{Heard, kind},
    labeled::{Labeled, Way},
    request::{self, BEGUN, Request},
};
use crate::{
    command::Command,
    job,
    order::Asked,
    ours,
    person::{Author, Least, is_marked},
    review,
    shared::{Pause, Shared},
    stop::{How, Stopped, time},
};

/// The slot of the one comment that answers a command.
const SLOT: &str = "reply";

const COMMANDS: &str = "What I understand, as the first line of a comment:\n\n\
    | command | |\n|---|---|\n\
    | `/booty fix <words>`, `/booty <words>` | goes back to the open pull request with these words |\n\
    | `/booty stop` | ends what is at work |\n\
    | `/booty retry` | begins anew on an issue without an open pull request |\n\
    | `/booty help` | says this |";

/// Handles `issue_comment.created` and `pull_request_review.submitted`.
pub(crate) struct Talk {
    shared: Arc<Shared>,
    labeled: Labeled,
    station: Station,
}

/// What the payload says, as far as it is used.
#[derive(Debug)]
struct Payload {
    repository: RepoName,
    installation: u64,
    number: IssueNumber,
    is_pull_request: bool,
    author: Option<Author>,
    asked: Asked,
    said: Said,
}

#[derive(Debug)]
enum Said {
    Comment { id: u64, body: String },
    Review { id: u64, state: String, body: String },
}

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Command { comment: u64, command: Command },
    Changes { review: u64 },
}

impl Wish {
    fn is_work(&self) -> bool {
        match self {
            Self::Command { command, .. } => command.is_work(),
            Self::Changes { .. } => true,
        }
    }
}

#[async_trait]
impl Handler for Talk {
    async fn handle(&self, delivery: &Delivery) -> Verdict {
        let unreadable = |why| Verdict::Reject { reason: "unreadable".to_owned(), why };
        let payload = match read(delivery) {
            Ok(payload) => payload,
            Err(why) => return unreadable(why),
        };
        let Some(heard) = self.heard(delivery, &payload) else {
            return unreadable("neither headers nor subject name the delivery".to_owned());
        };
        let span = heard.span();
        // Boxed: a job's future is large, and would be copied around with its caller's.
        match Box::pin(self.hear(delivery, &payload, &heard).instrument(span)).await {
            Ok(None) => Verdict::Done,
            Ok(Some(reason)) => Verdict::Ignore { reason },
            Err(pause) => pause.verdict(&self.shared.settings.retry_delays, delivery),
        }
    }

    async fn given_up(&self, delivery: &Delivery, why: &str) -> Result<(), String> {
        // The workers get the same delivery, and say what is to be said.
        if self.station == Station::Door {
            return Ok(());
        }
        let Ok(payload) = read(delivery) else { return Ok(()) };
        let Some(heard) = self.heard(delivery, &payload) else { return Ok(()) };
        self.give_up(delivery, &payload, &heard, why).await.map_err(Pause::why)
    }
}

impl Talk {
    pub(crate) fn new(shared: &Arc<Shared>, station: Station) -> Self {
        let labeled = Labeled::new(Arc::clone(shared), station);
        Self { shared: Arc::clone(shared), labeled, station }
    }

    fn heard<'a>(&'a self, delivery: &Delivery, payload: &Payload) -> Option<Heard<'a>> {
        let Payload { repository, installation, number, is_pull_request, asked, .. } = payload;
        Heard::new(
            &self.shared,
            delivery,
            repository,
            *installation,
            *number,
            *is_pull_request,
            *asked,
        )
    }

    async fn hear(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
    ) -> Result<Option<String>, Pause> {
        let no = |reason: &str| Ok(Some(reason.to_owned()));
        let wish = wish(&payload.said);
        if self.station == Station::Work && wish.as_ref().is_ok_and(|wish| !wish.is_work()) {
            return no("no_work");
        }
        // What was decided at the other station stays decided.
        let noted = heard.noted().await?;
        if let Some(noted) = noted.as_ref().filter(|job| job.step == "ignored") {
            return no(&noted.reason);
        }
        if !self.shared.settings.allowed.allows(&payload.repository) {
            return no(heard.ignored("repository").await?);
        }
        let wish = match wish {
            Ok(wish) => wish,
            Err(reason) => return no(heard.ignored(reason).await?),
        };
        let github = self.shared.github(&heard.order);
        let (author, repository) = (payload.author.as_ref(), &payload.repository);
        let refused =
            Author::refused(author, &self.shared, &github, repository, Least::Write).await?;
        if delivery.replay_of.is_none() {
            if self.shared.is_too_old(Some(payload.asked.at)) {
                return no(heard.ignored("too_old").await?);
            }
            if refused.is_none()
                && self.shared.is_duplicate(delivery, &heard.order.delivery).await?
            {
                return no(heard.ignored("duplicate_body").await?);
            }
        }
        // What was begun when it still counted must have an end.
        let is_begun = noted.is_some_and(|job| job.step == BEGUN);
        let Some(author) = author.filter(|_| refused.is_none() || is_begun) else {
            return no(heard.ignored(refused.unwrap_or("no_sender")).await?);
        };
        let by = author.login.as_str();
        let counts = refused.is_none();
        let said = match wish {
            Wish::Changes { review } => self.changes(delivery, heard, by, review, counts).await?,
            Wish::Command { comment, command } => {
                let found = github.get_comment(repository, comment).await?;
                let is_there = counts
                    && found
                        .and_then(|found| found.user)
                        .is_some_and(|user| user.login.eq_ignore_ascii_case(by));
                match command {
                    // What was begun ends as it ends: its own end says that it was taken back.
                    Command::Fix(words) => {
                        let words = is_there.then_some(words);
                        self.fix(delivery, payload, heard, by, words).await?
                    }
                    _ if !is_there => Some(heard.refused("withdrawn").await?),
                    Command::Stop => self.stop(delivery, payload, heard, by).await?,
                    Command::Retry => return self.retry(delivery, payload, heard, by).await,
                    Command::Help | Command::Unknown => {
                        let is_help = command == Command::Help;
                        self.help(delivery, payload, heard, is_help).await?
                    }
                }
            }
        };
        Ok(said.map(str::to_owned))
    }

    /// Lists the commands, on issues and on pull requests of ours.
    async fn help(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
        is_help: bool,
    ) -> Result<Option<&'static str>, Pause> {
        if payload.is_pull_request {
            let (repository, number) = (&payload.repository, payload.number.get());
            let found = request::issue_of(&self.shared, repository, number, delivery).await?;
            if let Err(reason) = found {
                return Ok(Some(heard.refused(reason).await?));
            }
        }
        heard.answer(SLOT, COMMANDS).await?;
        if is_help {
            heard.note("help", "").await?;
            return Ok(None);
        }
        Ok(Some(heard.refused("unknown_command").await?))
    }

    async fn changes(
        &self,
        delivery: &Delivery,
        heard: &Heard<'_>,
        by: &str,
        review: u64,
        counts: bool,
    ) -> Result<Option<&'static str>, Pause> {
        let (shared, order) = (&self.shared, &heard.order);
        let (repository, number) = (&order.repository, order.issue.get());
        let pull = match ours::pull(shared, repository, number, delivery.published).await? {
            Ok(pull) => pull,
            Err(reason) => return Ok(Some(heard.refused(reason).await?)),
        };
        let github = shared.github(order);
        let findings = if counts {
            review::findings(&github, repository, number, review, by).await?
        } else {
            None
        };
        let request = Request { heard, by, findings };
        request.follow(shared, delivery, pull, self.station == Station::Door).await
    }

    async fn fix(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
        by: &str,
        words: Option<String>,
    ) -> Result<Option<&'static str>, Pause> {
        let (shared, order) = (&self.shared, &heard.order);
        let pull = if payload.is_pull_request {
            let (repository, number) = (&order.repository, order.issue.get());
            match ours::pull(shared, repository, number, delivery.published).await? {
                Ok(pull) => pull,
                Err(reason) => return Ok(Some(heard.refused(reason).await?)),
            }
        } else {
            match request::of_issue(shared, order, delivery).await? {
                Some(pull) => pull,
                None => {
                    let text = "I do nothing: this issue has no open pull request of mine. \
                                `/booty retry` begins anew.";
                    heard.answer(SLOT, text).await?;
                    return Ok(Some(heard.refused("no_pull_request").await?));
                }
            }
        };
        let request = Request { heard, by, findings: words };
        request.follow(shared, delivery, pull, self.station == Station::Door).await
    }

    async fn stop(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
        by: &str,
    ) -> Result<Option<&'static str>, Pause> {
        let (shared, order) = (&self.shared, &heard.order);
        let repository = &order.repository;
        let issue = if payload.is_pull_request {
            match request::issue_of(shared, repository, order.issue.get(), delivery).await? {
                Ok(issue) => issue,
                Err(reason) => return Ok(Some(heard.refused(reason).await?)),
            }
        } else {
            order.issue
        };
        let stopped = Stopped { how: How::Command, by: by.to_owned(), asked: payload.asked };
        let target =
            Target { repository, installation: order.installation, issue, pull_request: None };
        stopped.keep(shared, repository, issue, None).await?;
        let met = target.meet(shared, &stopped).await?;
        // Delivered again, it finds what it ended; what it met at first stays true.
        let noted = heard.note(met.word(), "").await?;
        let met = Met::named(&noted.step).unwrap_or(met);
        let event = Event {
            reason: met.word().to_owned(),
            detail: How::Command.word().to_owned(),
            attributes: [("by".to_owned(), by.to_owned()), ("issue".to_owned(), issue.to_string())]
                .into(),
            ..Event::default()
        };
        shared.say(order, fact::STOP, "stop", event).await?;
        let text = match met {
            // The job's own end says it there.
            Met::Job if !payload.is_pull_request => None,
            Met::Job => Some(format!("I stop. #{issue} says what came of it.")),
            Met::Proposed => Some(
                "Too late: the change is on its way. Close the pull request to refuse it."
                    .to_owned(),
            ),
            Met::Later => Some("What is at work was asked for after that; it goes on.".to_owned()),
            Met::Nothing => Some(format!("Nothing is at work for #{issue}.")),
        };
        if let Some(text) = text {
            heard.answer(SLOT, &text).await?;
        }
        if met == Met::Job {
            target.end(shared, delivery, &stopped).await?;
        }
        Ok(None)
    }

    async fn retry(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
        by: &str,
    ) -> Result<Option<String>, Pause> {
        if payload.is_pull_request {
            let text = "I do nothing: `/booty retry` belongs on the issue. `/booty fix <words>` goes \
                        back to this pull request.";
            heard.answer(SLOT, text).await?;
            return Ok(Some(heard.refused("wrong_place").await?.to_owned()));
        }
        match self.labeled.retry(delivery, &heard.order, by).await? {
            Way::No(reason) => {
                heard.answer(SLOT, &format!("I do nothing: {}.", why_not(reason))).await?;
                Ok(Some(reason.to_owned()))
            }
            Way::Ignored(reason) => Ok(Some(reason)),
            Way::Over(order) => {
                if self.station != Station::Door {
                    job::say_end_again(&self.shared, &order, delivery).await?;
                }
                Ok(None)
            }
            Way::Run(order) => {
                heard.answer(SLOT, "I begin anew.").await?;
                if self.station != Station::Door {
                    job::run(&self.shared, &order, delivery).await?;
                }
                Ok(None)
            }
        }
    }

    /// Says the outcome of what failed too often. What was never begun owes nobody any.
    async fn give_up(
        &self,
        delivery: &Delivery,
        payload: &Payload,
        heard: &Heard<'_>,
        why: &str,
    ) -> Result<(), Pause> {
        let (shared, order) = (&self.shared, &heard.order);
        match wish(&payload.said) {
            Ok(Wish::Command { command: Command::Retry, .. }) if !payload.is_pull_request => {
                return self.labeled.give_up(delivery, order.clone(), why).await;
            }
            Ok(wish) if wish.is_work() => {}
            _ => return Ok(()),
        }
        let found = if payload.is_pull_request {
            let number = order.issue.get();
            let pull = ours::pull(shared, &order.repository, number, delivery.published).await;
            pull.map(Result::ok)
        } else {
            request::of_issue(shared, order, delivery).await
        };
        let pull = match found {
            Ok(Some(pull)) => pull,
            Ok(None) => return Ok(()),
            Err(pause) => return job::unless_away(Err::<(), _>(pause)),
        };
        let request = Request { heard, by: "", findings: None };
        if !request.is_begun(&pull.job, delivery) {
            return Ok(());
        }
        let Some(order) = request.order(shared, &pull, &pull.job) else { return Ok(()) };
        let is_over = super::labeled::is_over(&pull.job);
        job::give_up_for_good(shared, &order, delivery, is_over, why).await
    }
}

/// What is wanted; a word when nothing is.
fn wish(said: &Said) -> Result<Wish, &'static str> {
    match said {
        Said::Comment { body, .. } | Said::Review { body, .. } if is_marked(body) => Err("own"),
        Said::Comment { id, body } => match Command::parse(body) {
            Some(command) => Ok(Wish::Command { comment: *id, command }),
            None => Err("no_command"),
        },
        Said::Review { id, state, .. } if state.eq_ignore_ascii_case("changes_requested") => {
            Ok(Wish::Changes { review: *id })
        }
        Said::Review { .. } => Err("review_state"),
    }
}

/// Words for people.
fn why_not(reason: &str) -> String {
    match reason {
        "job_active" => "a job is at work on this issue already",
        "pull_request_open" => {
            "this issue has an open pull request. `/booty fix <words>` goes back to it"
        }
        "issue_closed" => "this issue is closed",
        "too_old" => "that was said too long ago",
        "auto_build_off" => "issues of alerts are not built here",
        "stopped" => "it was stopped after that",
        other => return format!("`{other}`"),
    }
    .to_owned()
}

fn read(delivery: &Delivery) -> Result<Payload, String> {
    let missing = |what: &str| format!("the body has no usable {what}");
    let envelope = Envelope::parse(&delivery.payload).map_err(|error| error.to_string())?;
    let repository = envelope.repository_name().and_then(|name| name.parse().ok());
    let text = |text: Option<&booty_github::payload::Text<'_>>| {
        text.map(|text| (**text).to_owned()).unwrap_or_default()
    };
    let is_review = kind(delivery).is_some_and(|(event, _)| event == "pull_request_review");
    let (number, is_pull_request, user, at, said) = if is_review {
        let pull = envelope.pull_request.value().ok_or_else(|| missing("pull request"))?;
        let review = envelope.review.value().ok_or_else(|| missing("review"))?;
        let said = Said::Review {
            id: review.id.ok_or_else(|| missing("review id"))?,
            state: text(review.state.as_ref()),
            body: text(review.body.as_ref()),
        };
        (pull.number, true, review.user.as_ref(), review.submitted_at.as_deref(), said)
    } else {
        let issue = envelope.issue.value().ok_or_else(|| missing("issue"))?;
        let comment = envelope.comment.value().ok_or_else(|| missing("comment"))?;
        let said = Said::Comment {
            id: comment.id.ok_or_else(|| missing("comment id"))?,
            body: text(comment.body.as_ref()),
        };
        let at = comment.created_at.as_deref();
        (issue.number, issue.is_pull_request(), comment.user.as_ref(), at, said)
    };
    // Whoever replays it asks for it anew; a stop ends no more than it did.
    let is_anew = delivery.replay_of.is_some() && wish(&said).is_ok_and(|wish| wish.is_work());
    let at = time(at.filter(|_| !is_anew), delivery.published);
    Ok(Payload {
        repository: repository.ok_or_else(|| missing("repository"))?,
        installation: envelope.installation.value().map_or(0, |installation| installation.id),
        number: IssueNumber::new(number).ok_or_else(|| missing("number"))?,
        is_pull_request,
        author: Author::of(user),
        asked: Asked::new(at, delivery.sequence),
        said,
    })
}
