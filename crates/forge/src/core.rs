//! What all lanes share.

use std::sync::Arc;

use booty_bus::{Bus, Leases};
use booty_github::{AppTokens, Client};
use booty_service::Outbox;

use crate::{lanes::Turns, marker::Markers, record::Records, settings::Settings};

/// Whose token forge has.
pub(crate) struct Account {
    /// The login that everything of ours is written by.
    pub(crate) login: String,
    /// The App's id; `None` for a personal token, which can't write checks.
    pub(crate) app: Option<u64>,
}

/// The parts of forge, without the role of the writer.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) bus: Bus,
    pub(crate) leases: Leases,
    pub(crate) outbox: Outbox,
    pub(crate) records: Records,
    pub(crate) markers: Markers,
    pub(crate) github: Client,
    /// Where the tokens come from, unless there is one personal token.
    pub(crate) app: Option<Arc<AppTokens>>,
    pub(crate) turns: Arc<Turns>,
}
