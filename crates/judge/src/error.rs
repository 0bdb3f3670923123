//! Why there is no judgement.

use thiserror::Error;

/// Why there is no judgement. It says nothing about the change.
#[derive(Debug, Error)]
pub enum Error {
    /// The sandbox could not be set up. Nothing runs without one.
    #[error("sandbox unavailable")]
    Sandbox(#[source] booty_sandbox::Error),
    /// The trees could not be had.
    #[error("the trees to judge can't be had")]
    Workspace(#[source] booty_workspace::Error),
    /// A folder for reports could not be made.
    #[error("a folder for reports can't be made")]
    Scratch(#[source] std::io::Error),
    /// The caches or the way to the registries.
    #[error("dependencies can't be set up")]
    Setup(#[source] booty_setup::SetupError),
    /// A part of the judge itself broke.
    #[error("an analysis broke: {0}")]
    Broken(String),
    /// It was called off.
    #[error("the judgement was called off")]
    Cancelled,
}

impl From<booty_workspace::Error> for Error {
    fn from(error: booty_workspace::Error) -> Self {
        match error {
            booty_workspace::Error::Cancelled => Self::Cancelled,
            error => Self::Workspace(error),
        }
    }
}

impl From<booty_sandbox::Error> for Error {
    fn from(error: booty_sandbox::Error) -> Self {
        Self::Sandbox(error)
    }
}
