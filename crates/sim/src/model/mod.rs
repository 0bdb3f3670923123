//! A model endpoint that answers from a script: Anthropic's Messages, OpenAI's Chat Completions and
//! OpenAI's Responses, streaming and whole.
//!
//! What it refuses, and in which words, is what the real endpoints were seen to say; each file of an API
//! names its sources. Where a real endpoint merely answers badly, a [`Fault`] does.

mod api;
mod cache;
mod chat;
mod chat_reply;
mod fault;
mod flow;
mod json;
mod messages;
mod messages_reply;
mod openai;
mod paces;
mod question;
mod record;
mod refusal;
mod reply;
mod responses;
mod responses_reply;
mod server;
mod settings;

pub use booty_model::scripted::{Call, Scenario, Script, Turn};

pub use api::Api;
pub use fault::{BadArguments, Fault};
pub use record::{Asked, Conversation, Outcome, Told};
pub use server::ModelServer;
pub use settings::ModelSettings;
