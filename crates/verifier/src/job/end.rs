//! How a judgement ends, journalled before it is said.

use std::fmt::Write as _;

use booty_bus::{Delivery, Journal, JournalError};
use booty_events::{
    JobId, Lane, Message as _,
    v1::{Annotation, CheckRun, Effect, Event, Job, JobState, JournalEntry, Judged, journal_entry},
};
use booty_judge::{
    Report,
    report::{Finding, Level, markdown},
};
use booty_policy::{Redact, Untrusted, markdown as text, redact};
use chrono::{DateTime, Utc};

use crate::{
    order::{Order, Phase},
    shared::{Pause, Shared, chain},
};

/// Annotations of one check run. GitHub shows no more of a file than people read.
const MAX_ANNOTATIONS: usize = 500;
/// Characters of an annotation's message and of its details; GitHub takes 64 KiB of each.
const MAX_MESSAGE_CHARS: usize = 2_000;
const MAX_DETAIL_CHARS: usize = 16_000;
/// Characters that a model is told of the findings.
const MAX_FINDINGS_CHARS: usize = 12_000;
/// Findings of which it is told.
const MAX_FINDINGS: usize = 40;
/// Characters of why there is no judgement.
const MAX_WHY_CHARS: usize = 4_000;

/// A job's end, as it is journalled.
#[derive(Debug, Clone)]
pub(crate) struct End(Judged);

impl End {
    /// A report is there.
    pub(super) fn judged(order: &Order, report: &Report, now: DateTime<Utc>) -> Self {
        let again = format!("booty verify --repo . --base {} --head {}", report.base, report.head);
        let shown = markdown(report, &again);
        let check = CheckRun {
            conclusion: report.conclusion.as_str().to_owned(),
            title: shown.title,
            summary: shown.summary,
            text: format!("{}\n<sub>{}</sub>\n", shown.text, signature(order)),
            annotations: annotations(report),
            started_at: Some(order.asked_at.into()),
            completed_at: Some(now.into()),
            ..CheckRun::default()
        };
        // The report is plain data, which always has a JSON form.
        let report_json = serde_json::to_vec(report).unwrap_or_default();
        Self::of(order, check, "", findings(report), report_json)
    }

    /// There is no judgement, for no fault of the change.
    pub(super) fn neutral(order: &Order, reason: &str, title: &str, why: &str) -> Self {
        Self::without(order, "neutral", reason, title, why)
    }

    /// A newer head is there.
    pub(super) fn superseded(order: &Order, newest: &str) -> Self {
        let title = "superseded by a newer head";
        Self::without(order, "cancelled", "superseded", title, newest)
    }

    /// A tree that no checkout may have.
    pub(super) fn hostile(order: &Order, why: &str) -> Self {
        Self::without(order, "failure", "hostile", "the tree holds what no checkout may have", why)
    }

    fn without(order: &Order, conclusion: &str, reason: &str, title: &str, why: &str) -> Self {
        let why = Untrusted::new(redact(why, Redact::default()));
        let check = CheckRun {
            conclusion: conclusion.to_owned(),
            title: title.to_owned(),
            summary: format!(
                "{}\n\n<sub>{}</sub>",
                text::code_block(&why, MAX_WHY_CHARS),
                signature(order)
            ),
            started_at: Some(order.asked_at.into()),
            completed_at: Some(order.asked_at.into()),
            ..CheckRun::default()
        };
        Self::of(order, check, reason, String::new(), Vec::new())
    }

    fn of(
        order: &Order,
        check: CheckRun,
        reason: &str,
        findings: String,
        report_json: Vec<u8>,
    ) -> Self {
        Self(Judged {
            conclusion: check.conclusion.clone(),
            reason: reason.to_owned(),
            effect: order.check(Phase::Completed, check).encode_to_vec().into(),
            findings,
            report_json: report_json.into(),
        })
    }
}

/// The journal of one run of a job: one entry, its end.
pub(super) struct JudgedJournal {
    journal: Journal,
    known: Option<End>,
}

impl JudgedJournal {
    pub(super) async fn open(shared: &Shared, order: &Order) -> Result<Self, Pause> {
        let broken =
            |why: String| Pause::Failed { why: format!("the journal can't be read: {why}") };
        let run: JobId = order.run().parse().map_err(|error| broken(format!("{error}")))?;
        let journal = shared.bus.open_journal(&run).await?;
        let known = match journal.entries().last() {
            None => None,
            Some(bytes) => {
                let entry = JournalEntry::decode(bytes.clone()).map_err(|e| broken(chain(&e)))?;
                match entry.step {
                    Some(journal_entry::Step::Judged(judged)) => Some(End(judged)),
                    _ => return Err(broken("its entry is not a judgement's".to_owned())),
                }
            }
        };
        Ok(Self { journal, known })
    }

    pub(super) fn end(&self) -> Option<End> {
        self.known.clone()
    }

    /// Only the first end counts; a worker that was overtaken is refused.
    pub(super) async fn append(&mut self, end: &End) -> Result<(), Pause> {
        let entry = JournalEntry {
            index: 0,
            step: Some(journal_entry::Step::Judged(end.0.clone())),
            ..JournalEntry::default()
        };
        match self.journal.append(entry.encode_to_vec().into()).await {
            Ok(()) => Ok(()),
            Err(error @ JournalError::Fenced) => Err(Pause::away(chain(&error))),
            Err(JournalError::NotDurable(error)) => Err(error.into()),
        }
    }
}

/// Publishes what the journal says is the end; again, if need be.
pub(super) async fn say(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
    end: &End,
) -> Result<(), Pause> {
    let lease = Some((delivery.lease_key.as_str(), delivery.lease_token));
    publish(shared, order, lease, end).await
}

/// Ends a job that nobody works on any more, under no lease: whoever still does, finds the journal's
/// end, and this state of the check is the newest.
pub(crate) async fn say_lost(shared: &Shared, order: &Order) -> Result<(), Pause> {
    let mut journal = JudgedJournal::open(shared, order).await?;
    let end = match journal.end() {
        Some(end) => end,
        None => {
            let why = "nobody has worked on it for too long";
            let end = End::neutral(order, "lost", "could not be judged: it was lost", why);
            journal.append(&end).await?;
            end
        }
    };
    publish(shared, order, None, &end).await
}

async fn publish(
    shared: &Shared,
    order: &Order,
    lease: Option<(&str, u64)>,
    end: &End,
) -> Result<(), Pause> {
    let Judged { conclusion, reason, effect, findings, .. } = &end.0;
    let effect = Effect::decode(effect.clone()).map_err(|error| Pause::Failed {
        why: format!("the journal's effect can't be read: {}", chain(&error)),
    })?;
    shared.outbox.effect(Lane::Check, &effect, lease).await?;
    let attributes =
        [("conclusion".to_owned(), conclusion.clone()), ("findings".to_owned(), findings.clone())];
    let event = Event {
        reason: reason.clone(),
        detail: conclusion.clone(),
        effect_id: effect.id.clone(),
        attributes: attributes.into(),
        ..Event::default()
    };
    shared.say(order, "verdict", "verdict", event).await?;
    shared.jobs.update(&order.job, |job| set_end(job, order, conclusion, reason)).await?;
    Ok(())
}

/// A judgement that could not be made is a job that failed, so that a replay runs it again; one that
/// speaks against the change has done its work.
fn set_end(job: &mut Job, order: &Order, conclusion: &str, reason: &str) {
    let made = reason.is_empty() || matches!(reason, "superseded" | "hostile" | "head_gone");
    job.state = if made { JobState::Completed } else { JobState::Failed }.into();
    conclusion.clone_into(&mut job.step);
    reason.clone_into(&mut job.reason);
    order.head.clone_into(&mut job.head_sha);
    job.pull_request = order.pull;
}

/// Says the end of a job whose state says already that it is over: a worker that was killed between
/// that state and its acknowledgement asked for it under a lease that is an older one by now.
pub(crate) async fn say_end_again(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
) -> Result<(), Pause> {
    match JudgedJournal::open(shared, order).await?.end() {
        Some(end) => say(shared, order, delivery, &end).await,
        None => Ok(()),
    }
}

fn annotations(report: &Report) -> Vec<Annotation> {
    let annotation = |finding: &Finding| {
        let place = finding.place.as_ref()?;
        let message = Untrusted::new(finding.plain());
        Some(Annotation {
            path: place.path.clone(),
            start_line: place.line,
            end_line: place.line,
            level: match finding.level {
                Level::Failure => "failure",
                Level::Warning => "warning",
                Level::Notice => "notice",
            }
            .to_owned(),
            title: finding.title(),
            message: text::plain(&message, MAX_MESSAGE_CHARS),
            raw_details: finding.plain_detail(MAX_DETAIL_CHARS),
        })
    };
    report.findings().into_iter().filter_map(annotation).take(MAX_ANNOTATIONS).collect()
}

/// What a model is told. It is text from outside all the same, and is fenced where it is used.
fn findings(report: &Report) -> String {
    let mut out = String::new();
    for finding in report.findings().into_iter().take(MAX_FINDINGS) {
        let place = match &finding.place {
            Some(place) => format!("{}:{}: ", place.path, place.line),
            None => String::new(),
        };
        // Writing to a String can't fail.
        let _ = writeln!(out, "{place}{}: {}", finding.rule, finding.plain());
        let detail = finding.plain_detail(2_000);
        if !detail.is_empty() {
            let _ = writeln!(out, "{detail}");
        }
    }
    text::head_and_tail(&out, MAX_FINDINGS_CHARS)
}

/// The last line of whatever the verifier writes: job and trace.
fn signature(order: &Order) -> String {
    let trace = match booty_telemetry::current_trace_id() {
        Some(trace) => format!(", trace `{trace}`"),
        None => String::new(),
    };
    format!("Booty, job `{}`{trace}", order.job)
}
