//! The five streams. One place says what they hold, how long and how much.

use std::time::Duration;

/// A stream's definition, as it is created and as start-up compares it with the server's.
///
/// All of them: limits retention, file storage, `discard=new`, `discard_new_per_subject=true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamDefinition {
    /// Its name.
    pub name: &'static str,
    /// The subjects it takes.
    pub subjects: &'static [&'static str],
    /// How long a message is kept; `None`: until it is purged.
    pub max_age: Option<Duration>,
    /// The most bytes it may hold; above it, publishing is refused and ingress uses its disk spool.
    pub max_bytes: i64,
    /// 1 makes the subject the message's identity for good; -1 for the journal, whose subjects are
    /// jobs with many entries.
    pub max_messages_per_subject: i64,
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 60 * 60)
}

const GIB: i64 = 1 << 30;

/// What the outside said, untouched: exact webhook bytes. GitHub's redelivery reaches back 3 days.
pub const INBOX: StreamDefinition = StreamDefinition {
    name: "BOOTY_INBOX",
    subjects: &["booty.inbox.>", "booty.replay.>"],
    max_age: Some(days(7)),
    max_bytes: 8 * GIB,
    max_messages_per_subject: 1,
};

/// What happened.
pub const EVENTS: StreamDefinition = StreamDefinition {
    name: "BOOTY_EVENTS",
    subjects: &["booty.event.>"],
    max_age: Some(days(30)),
    max_bytes: 2 * GIB,
    max_messages_per_subject: 1,
};

/// What should be written to GitHub.
pub const EFFECTS: StreamDefinition = StreamDefinition {
    name: "BOOTY_EFFECTS",
    subjects: &["booty.effect.>"],
    max_age: Some(days(30)),
    max_bytes: 4 * GIB,
    max_messages_per_subject: 1,
};

/// The steps of every job.
pub const JOURNAL: StreamDefinition = StreamDefinition {
    name: "BOOTY_JOURNAL",
    subjects: &["booty.journal.>"],
    max_age: Some(days(30)),
    max_bytes: 4 * GIB,
    max_messages_per_subject: -1,
};

/// What could not be done, until a person replays or purges it.
pub const SPOOL: StreamDefinition = StreamDefinition {
    name: "BOOTY_SPOOL",
    subjects: &["booty.spool.>"],
    max_age: None,
    max_bytes: 4 * GIB,
    max_messages_per_subject: 1,
};

/// All streams, in the order in which they are made.
pub const ALL: [StreamDefinition; 5] = [INBOX, EVENTS, EFFECTS, JOURNAL, SPOOL];

/// How long the inbox remembers a delivery: the longest that `MAX_EVENT_AGE` may be.
pub const INBOX_MAX_AGE: Duration = days(7);

/// The largest message: GitHub's 25 MB bodies and their headers. Our `nats.conf` allows it.
pub const MAX_PAYLOAD_BYTES: usize = 32 * 1024 * 1024;
