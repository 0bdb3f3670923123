//! What keeps the service from starting or running.

use thiserror::Error;

/// Why the service does not run. What goes wrong with one alert is a verdict, not this.
#[derive(Debug, Error)]
pub enum Error {
    /// The bus.
    #[error("observability can't use the bus")]
    Bus(#[from] booty_bus::Error),
    /// The GitHub client.
    #[error("observability can't set up its GitHub client")]
    Github(#[from] booty_github::Error),
    /// The file of `OBSV_SPOOL_PATH`.
    #[error("observability can't use the file of OBSV_SPOOL_PATH")]
    Spool(#[from] booty_spool::OpenError),
    /// There is nowhere to make issues.
    #[error("observability has no repository to make issues in; set TARGET_REPO_URL")]
    NoTarget,
}
