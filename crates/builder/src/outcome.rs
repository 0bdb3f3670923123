//! How a job ends, said on its issue: exactly one label and one comment.

use std::fmt::Write as _;

use booty_events::{
    label,
    v1::{Effect, IssueOutcome, effect::Write},
};
use booty_policy::{Redact, Untrusted, markdown, redact};
use chrono::{DateTime, Utc};

use crate::order::Order;

/// The slot of the effect that opens a pull request.
pub(crate) const SLOT_OPEN: &str = "open_pr";
/// The slot of the effect that puts one more commit on its branch.
pub(crate) const SLOT_UPDATE: &str = "update_pr";
/// The slot of the effect that says another outcome.
pub(crate) const SLOT_OUTCOME: &str = "outcome";

/// Characters of one piece of outside text in a comment.
const MAX_QUOTED_CHARS: usize = 4_000;

/// The end of a job that opens no pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// One of [`booty_events::label`]'s.
    pub(crate) label: &'static str,
    /// One word, for events and job states.
    pub(crate) reason: &'static str,
    /// One sentence for people. Ours: no word in it comes from outside.
    pub(crate) sentence: String,
    /// Text from outside that belongs to it: output, paths, what the model said.
    pub(crate) quoted: Option<String>,
}

impl Ending {
    pub(crate) fn gave_up(reason: &'static str, sentence: impl Into<String>) -> Self {
        Self { label: label::GAVE_UP, reason, sentence: sentence.into(), quoted: None }
    }

    pub(crate) fn needs_human(reason: &'static str, sentence: impl Into<String>) -> Self {
        Self { label: label::NEEDS_HUMAN, reason, sentence: sentence.into(), quoted: None }
    }

    pub(crate) fn quoting(mut self, text: impl Into<String>) -> Self {
        self.quoted = Some(text.into());
        self
    }

    /// The word that the journal and the job's state hold.
    pub(crate) fn outcome(&self) -> &'static str {
        if self.label == label::NEEDS_HUMAN { "needs_human" } else { "gave_up" }
    }

    /// The effect that says it. `footer` names job, budget and trace.
    pub(crate) fn effect(&self, order: &Order, footer: &str, now: DateTime<Utc>) -> Effect {
        let mut comment = self.sentence.clone();
        if let Some(quoted) = &self.quoted {
            let clean = Untrusted::new(redact(quoted, Redact::default()));
            // Cannot fail: a String takes everything.
            let _ = write!(comment, "\n\n{}", markdown::code_block(&clean, MAX_QUOTED_CHARS));
        }
        let _ = write!(
            comment,
            "\n\nNothing was pushed. To try again, take the trigger label off this issue and set it \
             again.\n\n{footer}"
        );
        let outcome =
            IssueOutcome { issue: order.issue.get(), label: self.label.to_owned(), comment };
        effect(order, SLOT_OUTCOME, Write::IssueOutcome(outcome), now)
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
    let comment = format!(
        "I have a change for this, but gave up because the pull request could not be opened:\n\n{}\
         \n\n{}",
        markdown::code_block(&why, MAX_QUOTED_CHARS),
        signature(order),
    );
    let outcome =
        IssueOutcome { issue: order.issue.get(), label: label::GAVE_UP.to_owned(), comment };
    Effect {
        id: order.effect_id(SLOT_OUTCOME).to_string(),
        slot: order.slot(SLOT_OUTCOME),
        write: Some(Write::IssueOutcome(outcome)),
        ..failed.clone()
    }
}

/// The last line of whatever Booty writes: job and trace.
pub(crate) fn signature(order: &Order) -> String {
    let trace = match booty_telemetry::current_trace_id() {
        Some(trace) => format!(", trace `{trace}`"),
        None => String::new(),
    };
    format!("<sub>Booty, job `{}`{trace}</sub>", order.job)
}
