//! Why forge can't run.

use thiserror::Error as ThisError;

/// Why forge can't run. What goes wrong with a single effect is an event and a spool entry instead.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The API's address is none.
    #[error("GITHUB_API_URL {url:?} is not an address")]
    Address {
        /// What was set.
        url: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// The HTTP client can't be set up.
    #[error("the GitHub client can't be set up")]
    Client(#[source] booty_github::Error),
    /// GitHub does not take the token.
    #[error("GitHub refuses GITHUB_TOKEN; forge writes nothing without a valid one")]
    Token(#[source] booty_github::Error),
    /// GitHub does not take the App's key.
    #[error(
        "GitHub refuses GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY; forge writes nothing without them"
    )]
    App(#[source] booty_github::Error),
    /// A consumer can't be made or read.
    #[error("the effects can't be consumed")]
    Bus(#[from] booty_bus::Error),
    /// A task ended by a panic.
    #[error("a lane ended unexpectedly")]
    Lane(#[from] tokio::task::JoinError),
}
