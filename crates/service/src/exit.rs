//! Exit codes, as `sysexits.h` numbers them where it has a number.

use std::process::ExitCode;

/// How a process of ours ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well, a shutdown by SIGTERM included.
    Success,
    /// What was asked for did not come true.
    Failure,
    /// It could not be found out whether it is true: nothing was judged, or not everything.
    CouldNotJudge,
    /// Settings or arguments are wrong (`EX_USAGE`); starting again without a change is useless, and
    /// the supervisor does not.
    Usage,
    /// A service the process needs is not to be had (`EX_UNAVAILABLE`).
    Unavailable,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::CouldNotJudge => 2,
            Self::Usage => 64,
            Self::Unavailable => 69,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
