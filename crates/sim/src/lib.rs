#![doc = include_str!("../README.md")]
#![recursion_limit = "256"]

mod answer;
mod call;
mod client;
mod control;
mod error;
mod faults;
mod git;
mod hooks;
mod limits;
pub mod model;
mod record;
mod rest;
pub mod sentry;
mod server;
mod settings;
mod show;
mod sim;
mod verbs;
mod view;
mod world;

pub use client::SimClient;
pub use error::Error;
pub use faults::{Rule, Trouble};
pub use settings::{Clock, Paces, SimSettings, Webhook};
pub use sim::Sim;
pub use verbs::File;
pub use view::{
    AnnotationView, CheckRunView, CommentView, DeliveryView, IssueView, NewApp, PullView, RepoView,
    RequestView, Snapshot, StatusView,
};
pub use world::{Permission, ReviewState, Scope};
