//! The conservation law: each message is, for each durable that wants it, exactly one of done,
//! ignored, spooled and in flight.
//!
//! Read while everything moves: how far the durables are is read first, and what proves an end last,
//! because services write the proof before they acknowledge. What looks like a hole all the same is
//! looked for again, and only what stays is said.

mod judge;
mod snapshot;

use std::collections::BTreeMap;

use booty_bus::{Bus, Error};
use booty_events::subject;
use chrono::{DateTime, Utc};
use serde::Serialize;

use self::snapshot::Snapshot;

/// How often a look that finds holes is repeated; only holes that are in each are said.
const LOOKS: u32 = 3;
/// Problems that are listed; the others are counted.
pub const LISTED: usize = 1_000;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// When it was begun.
    pub time: DateTime<Utc>,
    /// Whether everything adds up.
    pub ok: bool,
    /// One row a durable.
    pub rows: Vec<Row>,
    /// The same for replays, which are messages of their own.
    pub replays: Vec<Row>,
    /// Deliveries and effects that no durable on the server wants, by subject without its last token.
    pub unwanted: BTreeMap<String, u64>,
    /// What does not add up, at most [`LISTED`].
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: usize,
}

/// What became of the messages that one durable wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The stream.
    pub stream: String,
    /// The durable.
    pub durable: String,
    /// Its service.
    pub service: String,
    /// How many messages it wants, of those that the stream holds.
    pub messages: u64,
    /// Handled.
    pub done: u64,
    /// None of the service's business.
    pub ignored: u64,
    /// Why, as far as it is known.
    pub ignored_for: BTreeMap<String, u64>,
    /// In the spool.
    pub spooled: u64,
    /// Was in the spool, and an operator purged it.
    pub purged: u64,
    /// Waits, runs, or is to be tried again.
    pub in_flight: u64,
    /// None of these, or more than one.
    pub problems: u64,
}

/// One message that does not add up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The stream.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// The service that it is about.
    pub service: String,
    /// The durable.
    pub durable: String,
    /// What kind of hole.
    pub kind: ProblemKind,
    /// The proof, or what of it is missing.
    pub why: String,
}

/// What kind of hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Settled, and nothing says how.
    Lost,
    /// Done or ignored, and in the spool as well.
    Double,
    /// In the spool more than once.
    SpooledTwice,
}

impl ProblemKind {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Double => "double",
            Self::SpooledTwice => "spooled_twice",
        }
    }
}

/// Looks at every stream that has durables.
///
/// # Errors
/// The broker is not there or refuses.
pub async fn audit(bus: &Bus, clock: fn() -> DateTime<Utc>) -> Result<Report, Error> {
    let mut report = judge::judge(&Snapshot::take(bus).await?, clock());
    for _ in 1..LOOKS {
        if report.problems.is_empty() {
            break;
        }
        let mut next = judge::judge(&Snapshot::take(bus).await?, report.time);
        let (stayed, passed): (Vec<_>, Vec<_>) = std::mem::take(&mut next.problems)
            .into_iter()
            .partition(|found| report.problems.iter().any(|known| is_same(known, found)));
        for problem in passed {
            let row = next.row_of(&problem);
            row.problems -= 1;
            // It was moving while it was looked at.
            row.in_flight += 1;
        }
        next.problems = stayed;
        report = next;
    }
    report.problems.sort();
    report.problem_count = report.problems.len();
    report.problems.truncate(LISTED);
    report.ok = report.problem_count == 0;
    Ok(report)
}

impl Report {
    fn row_of(&mut self, problem: &Problem) -> &mut Row {
        let is_replay = problem.subject.starts_with(subject::REPLAYS.trim_end_matches('>'));
        let rows = if is_replay { &mut self.replays } else { &mut self.rows };
        let is_it = |row: &Row| row.durable == problem.durable && row.stream == problem.stream;
        let at = rows.iter().position(is_it).unwrap_or_else(|| {
            rows.push(Row { problems: 1, ..Row::default() });
            rows.len() - 1
        });
        &mut rows[at]
    }
}

fn is_same(one: &Problem, other: &Problem) -> bool {
    (one.sequence, one.kind) == (other.sequence, other.kind)
        && one.durable == other.durable
        && one.stream == other.stream
}
