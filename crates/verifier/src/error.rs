//! Why the verifier can't start or go on.

use thiserror::Error;

/// Why the verifier can't start or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// The bus.
    #[error("the bus can't be used")]
    Bus(#[from] booty_bus::Error),
    /// GitHub's client could not be set up.
    #[error("the client of GitHub's API can't be set up")]
    Github(#[from] booty_github::Error),
    /// The folder for mirrors and checkouts.
    #[error("the folder for checkouts can't be used")]
    Workspaces(#[from] booty_workspace::Error),
    /// The folder for installed dependencies.
    #[error("the folder for dependencies can't be used")]
    Caches(#[from] booty_setup::CacheError),
    /// The folder for reports.
    #[error("the folder for reports can't be made")]
    Scratch(#[source] std::io::Error),
}
