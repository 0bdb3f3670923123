//! How a job ends, said on its issue: exactly one label and one comment.

use std::fmt::Write as _;

use booty_events::{
    label,
    v1::{Comment, Effect, IssueOutcome, effect::Write},
};
use booty_policy::{Redact, Untrusted, markdown, redact, redacted};
use chrono::{DateTime, Utc};

use crate::{
    order::Order,
    ours::is_unfinished,
    stop::{How, Stopped},
};

/// The slot of the effect that opens a pull request.
pub(crate) const SLOT_OPEN: &str = "open_pr";
/// The slot of the effect that puts one more commit on its branch.
pub(crate) const SLOT_UPDATE: &str = "update_pr";
/// The slot of the effect that says another outcome.
pub(crate) const SLOT_OUTCOME: &str = "outcome";

/// The slot of the effect that says that there will be no further follow-up.
const SLOT_USED_UP: &str = "follow_ups_used";
/// The slot of the effect that says on a pull request that it is left alone.
const SLOT_LEFT: &str = "left_alone";

/// Characters of one piece of outside text in a comment.
const MAX_QUOTED_CHARS: usize = 4_000;

/// GitHub's logins have 39 characters at most, and may be followed by `[bot]`.
const MAX_LOGIN_CHARS: usize = 50;

/// The end of a job that opens no pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// One of [`booty_events::label`]'s.
    pub(crate) label: &'static str,
    /// One word: how it ended.
    pub(crate) outcome: &'static str,
    /// One word: why, for events and job states.
    pub(crate) reason: &'static str,
    /// One sentence for people. Ours: no word in it comes from outside.
    pub(crate) sentence: String,
    /// Text from outside that belongs to it: output, paths, what the model said.
    pub(crate) quoted: Option<Untrusted<String>>,
    /// Labels that the issue gets besides.
    pub(crate) more_labels: &'static [&'static str],
}

impl Ending {
    pub(crate) fn gave_up(reason: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(label::GAVE_UP, reason, sentence.into())
    }

    pub(crate) fn needs_human(reason: &'static str, sentence: impl Into<String>) -> Self {
        Self::new(label::NEEDS_HUMAN, reason, sentence.into())
    }

    /// The end of a job of an alert's issue that is to be worked on by nobody but a person.
    pub(crate) fn triage(reason: &'static str, sentence: impl Into<String>) -> Self {
        Self { more_labels: &[label::TRIAGE], ..Self::needs_human(reason, sentence) }
    }

    /// The end that somebody has put to it.
    pub(crate) fn stopped(stopped: &Stopped) -> Self {
        let by = login(&stopped.by);
        let sentence = match stopped.how {
            How::Command => format!("Stopped: {by} wrote `/booty stop`."),
            How::LabelRemoved => format!("Stopped: {by} took the trigger label away."),
            How::IssueClosed => format!("Stopped: {by} closed this issue."),
            How::PullRequestClosed => format!("Stopped: {by} closed the pull request."),
            How::Withdrawn => format!("Stopped: {by} has taken back what was asked for."),
        };
        Self { outcome: "stopped", ..Self::gave_up(stopped.how.word(), sentence) }
    }

    fn new(label: &'static str, reason: &'static str, sentence: String) -> Self {
        let outcome = if label == label::NEEDS_HUMAN { "needs_human" } else { "gave_up" };
        Self { label, outcome, reason, sentence, quoted: None, more_labels: &[] }
    }

    pub(crate) fn quoting(mut self, text: impl Into<Untrusted<String>>) -> Self {
        self.quoted = Some(text.into());
        self
    }

    /// The effect that says it. `footer` names job, budget and trace.
    pub(crate) fn effect(&self, order: &Order, footer: &str, now: DateTime<Utc>) -> Effect {
        let mut comment = self.sentence.clone();
        if let Some(quoted) = &self.quoted {
            let clean = redacted(quoted, Redact::default());
            // Cannot fail: a String takes everything.
            let _ = write!(comment, "\n\n{}", markdown::code_block(&clean, MAX_QUOTED_CHARS));
        }
        let (label, next) = match &order.follow_up {
            None if !self.more_labels.is_empty() => (
                self.label,
                "A person has to look at it: to set the trigger label again does not change this."
                    .to_owned(),
            ),
            None => (
                self.label,
                "To try again, take the trigger label off this issue and set it again, or write \
                 `/booty retry`."
                    .to_owned(),
            ),
            // There is a change, and it is not good: that is a person's to decide.
            Some(follow_up) => {
                let (number, counted) = (follow_up.pull_request, follow_up.counted());
                let next = match &follow_up.by {
                    None => format!(
                        "#{number} stays as it is: the verifier did not accept it, and this was \
                         {counted}."
                    ),
                    Some(by) => format!(
                        "#{number} stays as it is: this was {counted}, which {} asked for.",
                        login(by)
                    ),
                };
                (label::NEEDS_HUMAN, next)
            }
        };
        let _ = write!(comment, "\n\nNothing was pushed. {next}\n\n{footer}");
        let more_labels = self.more_labels.iter().map(|&label| label.to_owned()).collect();
        let outcome = IssueOutcome { more_labels, ..said(order, label, comment) };
        effect(order, SLOT_OUTCOME, Write::IssueOutcome(outcome), now)
    }
}

impl Ending {
    /// The outcome of a job that gives up and shows its best attempt. Forge fills the number in.
    pub(crate) fn showing_the_best(&self, order: &Order) -> IssueOutcome {
        let mut comment = self.sentence.clone();
        if let Some(quoted) = &self.quoted {
            let clean = redacted(quoted, Redact::default());
            let _ = write!(comment, "\n\n{}", markdown::code_block(&clean, MAX_QUOTED_CHARS));
        }
        let _ = write!(
            comment,
            "\n\nMy best attempt is the draft #{{number}}. It does not pass, and nothing will be made of \
             it unless a person goes on. To try again, close it, take the trigger label off this issue \
             and set it again.\n\n{}",
            signature(order)
        );
        said(order, label::NEEDS_HUMAN, comment)
    }
}

/// An account's name in a comment, so that nobody is called by it.
pub(crate) fn login(login: &str) -> String {
    match markdown::name(&Untrusted::new(login.to_owned()), MAX_LOGIN_CHARS) {
        name if name.is_empty() => "somebody".to_owned(),
        name => name,
    }
}

/// An outcome with no further labels.
fn said(order: &Order, label: &str, comment: String) -> IssueOutcome {
    IssueOutcome {
        issue: order.issue.get(),
        label: label.to_owned(),
        comment,
        more_labels: Vec::new(),
    }
}

/// An effect of the order's in a slot.
pub(crate) fn effect(order: &Order, slot: &str, write: Write, now: DateTime<Utc>) -> Effect {
    Effect {
        id: order.effect_id(slot).to_string(),
        cause: order.job.to_string(),
        slot: order.slot(slot),
        repository: order.repository.to_string(),
        installation: order.installation,
        created: Some(now.into()),
        requested_by: "builder".to_owned(),
        dry_run: false,
        write: Some(write),
    }
}

/// What is said when the pull request could not be opened. It depends on the report alone, so that
/// saying it twice says the same.
pub(crate) fn not_opened(order: &Order, failed: &Effect, why: &str) -> Effect {
    let why = Untrusted::new(redact(why, Redact::default()));
    let had = match &failed.write {
        Some(Write::OpenPullRequest(open)) if is_unfinished(open) => {
            "I gave up, and could not even show my best attempt, which does not pass, because"
        }
        _ => "I have a change for this, but gave up because",
    };
    let comment = format!(
        "{had} the pull request could not be opened:\n\n{}\
         \n\n{}",
        markdown::code_block(&why, MAX_QUOTED_CHARS),
        signature(order),
    );
    let outcome = said(order, label::GAVE_UP, comment);
    Effect {
        id: order.effect_id(SLOT_OUTCOME).to_string(),
        slot: order.slot(SLOT_OUTCOME),
        write: Some(Write::IssueOutcome(outcome)),
        ..failed.clone()
    }
}

/// What is said when the commit for a pull request could not be made. It depends on the report alone.
pub(crate) fn not_updated(order: &Order, failed: &Effect, pull_request: u64, why: &str) -> Effect {
    let why = Untrusted::new(redact(why, Redact::default()));
    let comment = format!(
        "I have a further change for #{pull_request}, but it could not be pushed, and I need a \
         person:\n\n{}\n\n{}",
        markdown::code_block(&why, MAX_QUOTED_CHARS),
        signature(order),
    );
    let outcome = said(order, label::NEEDS_HUMAN, comment);
    Effect {
        id: order.effect_id(SLOT_OUTCOME).to_string(),
        slot: order.slot(SLOT_OUTCOME),
        write: Some(Write::IssueOutcome(outcome)),
        ..failed.clone()
    }
}

/// What is said on a pull request that moved on while a further change for it was made.
pub(crate) fn left_alone(order: &Order, skipped: &Effect, pull_request: u64) -> Effect {
    let body = format!(
        "I had a further change for this, but the pull request is not where it was when I began. I \
         leave it alone.\n\n{}",
        signature(order),
    );
    Effect {
        id: order.effect_id(SLOT_LEFT).to_string(),
        slot: order.slot(SLOT_LEFT),
        write: Some(Write::Comment(Comment { issue: pull_request, body })),
        ..skipped.clone()
    }
}

/// What is said when a pull request is not accepted and was gone back to as often as is allowed.
pub(crate) fn used_up(order: &Order, pull_request: u64, of: u32, now: DateTime<Utc>) -> Effect {
    let tried = match of {
        0 => "I make no follow-ups".to_owned(),
        1 => "my one follow-up is used up".to_owned(),
        of => format!("my {of} follow-ups are used up"),
    };
    let comment = format!(
        "I need a person: the verifier does not accept #{pull_request}, and {tried}. It stays as it \
         is; its check says what is wrong.\n\n{}",
        signature(order),
    );
    let outcome = said(order, label::NEEDS_HUMAN, comment);
    effect(order, SLOT_USED_UP, Write::IssueOutcome(outcome), now)
}

/// The last line of whatever Booty writes: job and trace.
pub(crate) fn signature(order: &Order) -> String {
    let trace = match booty_telemetry::current_trace_id() {
        Some(trace) => format!(", trace `{trace}`"),
        None => String::new(),
    };
    format!("<sub>Booty, job `{}`{trace}</sub>", order.job)
}
