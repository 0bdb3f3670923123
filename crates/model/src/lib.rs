#![doc = include_str!("../README.md")]

mod error;
mod message;
mod open;
pub mod price;
mod remote;
pub mod scripted;

use async_trait::async_trait;

pub use error::{Class, Error, Setting};
pub use message::{Answer, Message, Part, Request, StopReason, ToolResult, ToolSpec, Usage};
pub use open::{KNOWN_PROVIDERS, Options, check, open, usual_base_url};
pub use price::{Price, Prices, price_of};

/// Something that answers requests.
#[async_trait]
pub trait Model: Send + Sync {
    /// `provider:name`, for logs, spans and prices.
    fn name(&self) -> &str;

    /// Asks once.
    ///
    /// # Errors
    /// [`Error::class`] says whether the same request may be asked again.
    async fn answer(&self, request: &Request) -> Result<Answer, Error>;
}
