#![doc = include_str!("../README.md")]

pub mod app;
mod cache;
mod client;
mod endpoint;
mod error;
mod graphql;
mod limits;
pub mod object;
pub mod pace;
pub mod payload;
mod reads;
pub mod signature;
pub mod token;

pub use app::{AppKey, AppTokens, BadAppKey};
pub use client::{Client, ClientSettings, Page, Response};
pub use endpoint::Endpoint;
pub use error::{Call, Error, Kind, ValidationError};
pub use limits::PointLimit;
pub use reads::Since;
pub use token::{Scope, StaticToken, TokenError, TokenSource};
