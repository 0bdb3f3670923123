//! What keeps the builder from starting or running.

use thiserror::Error;

/// Why the builder does not run. What goes wrong with one delivery is a verdict, not this.
#[derive(Debug, Error)]
pub enum Error {
    /// The bus.
    #[error("the builder can't use the bus")]
    Bus(#[from] booty_bus::Error),
    /// The GitHub client.
    #[error("the builder can't set up its GitHub client")]
    Github(#[from] booty_github::Error),
    /// The folder for mirrors and checkouts.
    #[error("the builder can't use its folder for checkouts; see BOOTY_DATA_DIR")]
    Workspaces(#[from] booty_workspace::Error),
    /// The metrics.
    #[error("the builder can't make its metrics")]
    Metrics(#[from] prometheus::Error),
    /// The budgets.
    #[error("the builder can't note its budgets: {0}")]
    Budgets(String),
}
