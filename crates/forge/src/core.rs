//! What all lanes share.

use std::sync::Arc;

use booty_bus::{Bus, Leases};
use booty_github::{Client, pace::Pace};
use booty_service::Outbox;

use crate::{lanes::Turns, marker::Markers, record::Records, settings::Settings};

/// The parts of forge, without the role of the writer.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) bus: Bus,
    pub(crate) leases: Leases,
    pub(crate) outbox: Outbox,
    pub(crate) records: Records,
    pub(crate) markers: Markers,
    pub(crate) github: Client,
    pub(crate) pace: Pace,
    pub(crate) turns: Arc<Turns>,
}
