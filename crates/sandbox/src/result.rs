//! How a command ended and what it printed.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How a command ended and what it printed. Journalled as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// How it ended. Nothing that was printed has a say in it.
    pub end: End,
    /// Standard output and standard error as they came, made UTF-8; of a long output the head and
    /// the tail with a line between them that says how much was cut. Colours and other escapes
    /// are still in it.
    pub output: String,
    /// How much was printed altogether.
    pub output_bytes: u64,
    /// How long it took, in milliseconds as JSON.
    #[serde(rename = "duration_ms", with = "millis")]
    pub duration: Duration,
}

impl RunResult {
    /// Whether it ended by itself with exit code 0.
    pub fn succeeded(&self) -> bool {
        self.end == End::Exited(0)
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal. An exit code of 129 to 159 reads the same: it is how a shell says that what
    /// it ran ended by a signal.
    Signalled(i32),
    /// Its wall time was over.
    TimedOut,
    /// It went over this limit and was killed.
    OverLimit(Limit),
    /// The caller asked for its end.
    Cancelled,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signalled(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("killed: its time was over"),
            Self::OverLimit(limit) => write!(f, "killed: over its limit of {limit}"),
            Self::Cancelled => f.write_str("killed: cancelled"),
        }
    }
}

/// What a command had too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Processor time.
    Cpu,
    /// Memory of all its processes.
    Memory,
    /// Bytes written to the work tree or to `/tmp`.
    Disk,
    /// Files and folders in the work tree or in `/tmp`.
    DiskEntries,
    /// Folders within folders.
    Depth,
    /// The size of one file.
    FileSize,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "processor time",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::DiskEntries => "files",
            Self::Depth => "nested folders",
            Self::FileSize => "file size",
        })
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
