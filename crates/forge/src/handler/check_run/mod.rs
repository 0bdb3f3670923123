//! One check run, as a whole: made once for its commit and name, and brought up to the wanted state.
//!
//! What is known of it is in a record of its own, because several effects want the same run: whoever
//! comes finishes what an earlier one left open, and the newest version wins.

mod annotations;
mod comment;
mod run;
mod status;

use std::mem;

use booty_events::{
    CommitSha,
    v1::{CheckRun, CheckStatus},
};

use booty_policy::markdown::head_and_tail;

use super::Applied;
use crate::{once, outcome::Stop, work::Work};

/// The step under which a run's id and address are known.
pub(super) const RUN: &str = "check_run";

/// GitHub's limit on a run's summary, its text and an annotation's message. Its pages say characters
/// and its refusals bytes: both are kept to.
const LONGEST_TEXT: usize = 65_535;

/// What a completed run may conclude.
const CONCLUSIONS: [&str; 7] =
    ["success", "failure", "neutral", "cancelled", "timed_out", "action_required", "skipped"];

pub(super) async fn apply(work: &mut Work<'_>, write: &CheckRun) -> Result<Applied, Stop> {
    let head = check(write)?;
    let mut target = work.core.records.of_check(&work.repo, &head, &write.name).await?;
    if target.state.effect_id != work.id.as_str() {
        let applied = target.state.version;
        if target.exists() && write.version <= applied {
            return Ok(Applied::not_newer(write.version, applied));
        }
        // Taken up: older ones are skipped from now on, also those that were begun.
        target.state.effect_id = work.id.to_string();
        target.state.version = write.version;
        once::forget_failures(&mut target);
        work.core.records.save(&mut target).await?;
    }
    let effect = mem::replace(&mut work.record, target);
    let brought = match work.account.app {
        Some(app) => run::bring_up(work, write, app).await,
        None => status::say(work, write).await,
    };
    let mut target = mem::replace(&mut work.record, effect);
    match brought {
        Ok(said) => {
            work.record.state.url = said.url;
            work.record.state.steps.insert(said.step.to_owned(), said.id.to_string());
            // Looked at once more, under this effect, before it counts as applied.
            once::hand_on_audit(&target, &mut work.record);
            Ok(Applied::Now)
        }
        Err(stop) => {
            if matches!(stop, Stop::Failed { .. }) {
                // The next version, or an operator's replay, has tries of its own.
                once::forget_failures(&mut target);
                work.core.records.save(&mut target).await?;
            }
            Err(stop)
        }
    }
}

/// What is on GitHub now.
struct Said {
    step: &'static str,
    id: u64,
    url: String,
}

fn check(write: &CheckRun) -> Result<CommitSha, Stop> {
    let invalid = |why: String| Stop::failed("invalid", why);
    let head = write
        .head_sha
        .parse()
        .map_err(|error| invalid(format!("head {:?}: {error}", write.head_sha)))?;
    if write.name.trim().is_empty() {
        return Err(invalid("the check run has no name".to_owned()));
    }
    match write.status() {
        CheckStatus::Unspecified => Err(invalid("the check run has no status".to_owned())),
        CheckStatus::Completed if !CONCLUSIONS.contains(&write.conclusion.as_str()) => {
            let why = format!("{:?} is no conclusion of a check run", write.conclusion);
            Err(invalid(why))
        }
        _ => Ok(head),
    }
}

/// Cuts the middle out of a text that GitHub would refuse for its length.
fn fit(text: &str) -> String {
    let mut room = LONGEST_TEXT;
    loop {
        let cut = head_and_tail(text, room);
        if cut.len() <= LONGEST_TEXT {
            return cut;
        }
        // Some characters have several bytes.
        room = room * LONGEST_TEXT / cut.len();
    }
}

/// What a person reads first.
fn title(write: &CheckRun) -> &str {
    match (write.title.trim(), write.status()) {
        ("", CheckStatus::Queued) => "Queued",
        ("", CheckStatus::InProgress) => "In progress",
        ("", _) => &write.conclusion,
        (title, _) => title,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_to_their_bytes_and_no_further() {
        for (letter, most_lost) in [("x", 0), ("é", 100), ("語", 100), ("🦀", 100)] {
            let text = format!("begin{}end", letter.repeat(70_000));
            let cut = fit(&text);
            assert!(cut.len() <= LONGEST_TEXT, "{letter}: {}", cut.len());
            assert!(cut.len() + most_lost >= LONGEST_TEXT, "{letter}: {}", cut.len());
            assert!(cut.starts_with("begin") && cut.ends_with("end"));
        }
        assert_eq!(fit("short"), "short");
    }
}
