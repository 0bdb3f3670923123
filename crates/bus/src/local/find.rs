//! Where a nats-server may be, and whether it is recent enough.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{ensure::is_recent, error::Error};

const PROGRAM: &str = "nats-server";
const TOOLS: &str = ".tools/bin";

/// Where to look, in this order.
#[derive(Debug, Clone, Default)]
pub struct ServerSearch {
    /// Named by the operator: this one or none.
    pub explicit: Option<PathBuf>,
    /// A `PATH`.
    pub path: Option<OsString>,
    /// A directory: `.tools/bin` of it and of its parents.
    pub below: Option<PathBuf>,
}

/// Looks at `BOOTY_NATS_SERVER`, at `PATH`, and at `.tools/bin` of the working directory and its
/// parents. Reads the process's environment: for main functions and tests.
///
/// # Errors
/// Nothing of 2.12 or newer; the error says what was wrong where.
pub fn find_server() -> Result<PathBuf, Error> {
    ServerSearch {
        explicit: env::var_os("BOOTY_NATS_SERVER").map(PathBuf::from),
        path: env::var_os("PATH"),
        below: env::current_dir().ok(),
    }
    .find()
}

impl ServerSearch {
    /// The first server that is recent enough.
    ///
    /// # Errors
    /// There is none; the error says what was wrong where. Debian's 2.9 is one of those.
    pub fn find(&self) -> Result<PathBuf, Error> {
        let mut looked_at = Vec::new();
        for candidate in self.candidates() {
            match check(&candidate) {
                Ok(()) => return Ok(candidate),
                Err(why) => looked_at.push(format!("{} ({why})", candidate.display())),
            }
        }
        if looked_at.is_empty() {
            looked_at.push(format!("PATH and {TOOLS} (no {PROGRAM} there)"));
        }
        Err(Error::ServerNotFound { looked_at: looked_at.join(", ") })
    }

    fn candidates(&self) -> Vec<PathBuf> {
        if let Some(explicit) = &self.explicit {
            return vec![explicit.clone()];
        }
        let on_path = self.path.iter().flat_map(env::split_paths).map(|dir| dir.join(PROGRAM));
        let tools = self
            .below
            .iter()
            .flat_map(|dir| dir.ancestors())
            .map(|dir| dir.join(TOOLS).join(PROGRAM));
        on_path.chain(tools).filter(|path| path.is_file()).collect()
    }
}

fn check(program: &Path) -> Result<(), String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `nats-server: v2.15.2`
    let version = text.trim().rsplit([' ', 'v']).next().unwrap_or_default();
    if is_recent(version) {
        Ok(())
    } else if version.is_empty() {
        Err("does not tell its version".to_owned())
    } else {
        Err(format!("is {version}, too old: filters and sync_interval need 2.12"))
    }
}
