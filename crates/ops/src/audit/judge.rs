//! Where each message belongs, from what was read. Pure.

use std::collections::HashSet;

use booty_bus::{Durable, MessageState, Outcome, Progress};
use booty_events::Service;
use chrono::{DateTime, Utc};

use super::{
    Problem, ProblemKind, Report, Row,
    snapshot::{MessageShot, Snapshot, StreamShot},
};

/// What one durable has made of one message.
enum Place {
    Done,
    Ignored(String),
    Spooled,
    Purged,
    /// It was not given to anybody, or somebody is known to be at it.
    InFlight,
    /// It was given to somebody, and nothing is written yet, or not since.
    Unproven,
    Problem(ProblemKind, String),
}

/// The places of one durable's messages.
struct Count<'a> {
    row: Row,
    replays: Row,
    problems: Vec<Problem>,
    unproven: Vec<&'a MessageShot>,
}

pub(super) fn judge(snapshot: &Snapshot, time: DateTime<Utc>) -> Report {
    let mut report = Report {
        time,
        ok: false,
        rows: Vec::new(),
        replays: Vec::new(),
        unwanted: std::collections::BTreeMap::new(),
        problems: Vec::new(),
        problem_count: 0,
    };
    for shot in &snapshot.streams {
        for (service, durable) in &shot.durables {
            let count = judge_durable(snapshot, shot, *service, durable);
            report.rows.push(count.row);
            if count.replays.messages > 0 {
                report.replays.push(count.replays);
            }
            report.problems.extend(count.problems);
        }
        if shot.is_whole {
            for message in &shot.messages {
                if !shot.durables.iter().any(|(_, d)| d.wants(&message.subject)) {
                    *report.unwanted.entry(kind_of(&message.subject)).or_default() += 1;
                }
            }
        }
    }
    report
}

/// The subject without what makes it one message's.
fn kind_of(subject: &str) -> String {
    let mut tokens: Vec<&str> = subject.split('.').collect();
    let kept = if subject.starts_with("booty.replay.") { 3 } else { tokens.len() - 1 };
    tokens.truncate(kept);
    format!("{}.>", tokens.join("."))
}

fn judge_durable<'a>(
    snapshot: &Snapshot,
    shot: &'a StreamShot,
    service: Service,
    durable: &Durable,
) -> Count<'a> {
    let row = Row {
        stream: shot.name.to_owned(),
        durable: durable.name.clone(),
        service: service.as_str().to_owned(),
        ..Row::default()
    };
    let mut count = Count { replays: row.clone(), row, problems: Vec::new(), unproven: Vec::new() };
    for message in shot.messages.iter().filter(|message| durable.wants(&message.subject)) {
        let place = place(snapshot, shot, service, durable, message);
        let row = count.row_for(message);
        row.messages += 1;
        match place {
            Place::Done => row.done += 1,
            Place::Ignored(reason) => {
                row.ignored += 1;
                *row.ignored_for.entry(reason).or_default() += 1;
            }
            Place::Spooled => row.spooled += 1,
            Place::Purged => row.purged += 1,
            Place::InFlight => row.in_flight += 1,
            Place::Unproven => count.unproven.push(message),
            Place::Problem(kind, why) => {
                row.problems += 1;
                count.problems.push(problem(shot, service, durable, message, kind, why));
            }
        }
    }
    count.place_unproven(shot, service, durable);
    count
}

impl<'a> Count<'a> {
    fn row_for(&mut self, message: &MessageShot) -> &mut Row {
        if message.first_subject.is_some() || message.subject.starts_with("booty.replay.") {
            &mut self.replays
        } else {
            &mut self.row
        }
    }

    /// The server says how many messages are given to somebody and not settled, not which. So many
    /// of those without a proof may be; if there are more, some of them are lost, and all are named.
    fn place_unproven(&mut self, shot: &StreamShot, service: Service, durable: &Durable) {
        let unproven = std::mem::take(&mut self.unproven);
        let open = usize::try_from(durable.unsettled).unwrap_or(usize::MAX);
        let lost = unproven.len().saturating_sub(open);
        for message in &unproven {
            let row = self.row_for(message);
            if lost == 0 {
                row.in_flight += 1;
                continue;
            }
            row.problems += 1;
            let why = format!(
                "{lost} of these {} were settled without a proof: the broker waits for {open} of them",
                unproven.len()
            );
            let lost = ProblemKind::Lost;
            self.problems.push(problem(shot, service, durable, message, lost, why));
        }
    }
}

fn problem(
    shot: &StreamShot,
    service: Service,
    durable: &Durable,
    message: &MessageShot,
    kind: ProblemKind,
    why: String,
) -> Problem {
    Problem {
        stream: shot.name.to_owned(),
        sequence: message.sequence,
        subject: message.subject.clone(),
        service: service.as_str().to_owned(),
        durable: durable.name.clone(),
        kind,
        why,
    }
}

fn place(
    snapshot: &Snapshot,
    shot: &StreamShot,
    service: Service,
    durable: &Durable,
    message: &MessageShot,
) -> Place {
    let name = format!("{}-{}", shot.name, message.sequence);
    let progress = progress_of(snapshot, durable, &name, message);
    let key = (service, name);
    let first = message.first_subject.as_ref().unwrap_or(&message.subject);
    // An entry that was imported from elsewhere may bear the same number, but not the same subject.
    let entries: Vec<_> = snapshot.spooled.get(&key).into_iter().flatten().collect();
    let entries: Vec<_> = entries.into_iter().filter(|entry| entry.subject == *first).collect();
    let was_purged = snapshot.purged.get(&key).is_some_and(|all| all.contains(first));

    // Two durables of one service may want the same message; its entry tells not whose it is.
    let siblings = || {
        shot.durables.iter().filter(|(of, other)| {
            *of == service && other.name != durable.name && other.wants(&message.subject)
        })
    };
    let may_be_a_siblings = || {
        siblings().any(|(_, other)| match progress_of(snapshot, other, &key.1, message) {
            Some(Progress::Ended(Some(Outcome::Done | Outcome::Ignored { .. }))) => false,
            Some(_) | None => true,
        })
    };

    let reasons: HashSet<_> = entries.iter().map(|entry| &entry.reason).collect();
    if reasons.len() > 1 + siblings().count() {
        let all: Vec<_> = entries.iter().map(|entry| entry.sequence.to_string()).collect();
        let why = format!("entries {} of the spool are all of this one", all.join(", "));
        return Place::Problem(ProblemKind::SpooledTwice, why);
    }
    let is_settled = message.sequence <= durable.settled_to;
    match progress {
        Some(Progress::Ended(Some(Outcome::Done | Outcome::Ignored { .. })))
            if !entries.is_empty() && !may_be_a_siblings() =>
        {
            let why = format!("it was handled, and is entry {} of the spool", entries[0].sequence);
            Place::Problem(ProblemKind::Double, why)
        }
        Some(Progress::Ended(Some(Outcome::Done))) => Place::Done,
        Some(Progress::Ended(Some(Outcome::Ignored { reason }))) => Place::Ignored(reason.clone()),
        _ if !entries.is_empty() && given_up(progress, is_settled, may_be_a_siblings()) => {
            Place::Spooled
        }
        Some(Progress::Ended(None)) => Place::Done,
        Some(
            Progress::Ended(Some(Outcome::Spooled { .. }))
            | Progress::GivingUp { spooled: true, .. },
        ) => {
            if was_purged {
                Place::Purged
            } else {
                let why =
                    "it was given up, its spool entry is gone, and nobody purged it with booty";
                Place::Problem(ProblemKind::Lost, why.to_owned())
            }
        }
        Some(Progress::Open { .. } | Progress::GivingUp { .. }) | None if is_settled => {
            let why = match progress {
                None => "it was settled, but nobody ever wrote that he took it up",
                Some(_) => "it was settled while somebody was at it, and no end is written",
            };
            Place::Problem(ProblemKind::Lost, why.to_owned())
        }
        _ if message.sequence > durable.delivered_to => Place::InFlight,
        Some(Progress::Open { .. } | Progress::GivingUp { .. }) | None => Place::Unproven,
    }
}

/// Whether an entry can be this durable's. One that a person imported beside a message that still
/// runs is not.
fn given_up(progress: Option<&Progress>, is_settled: bool, may_be_a_siblings: bool) -> bool {
    match progress {
        Some(Progress::Ended(_) | Progress::GivingUp { .. }) => true,
        Some(Progress::Open { .. }) | None => is_settled && !may_be_a_siblings,
    }
}

fn progress_of<'a>(
    snapshot: &'a Snapshot,
    durable: &Durable,
    name: &str,
    message: &MessageShot,
) -> Option<&'a Progress> {
    let state: &MessageState = snapshot.leases.get(&format!("{}.{name}", durable.name))?;
    // Another stream's message of the same number has another time.
    (state.published == message.time).then_some(&state.progress)
}
