//! What a durable has not done yet.

use chrono::{DateTime, Utc};

use crate::{
    connect::Bus,
    consumer::{self, ConsumerSettings},
    error::Error,
    stored,
};

/// What a durable has not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that were never delivered.
    pub waiting: u64,
    /// Messages that were delivered and have no verdict yet, those that wait for a retry included.
    pub unsettled: u64,
    /// When the oldest message without a verdict was stored.
    pub oldest: Option<DateTime<Utc>>,
}

/// How far a durable has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Messages that were never delivered.
    pub waiting: u64,
    /// How many deliveries there were, repeated ones included. Those that are still under way count.
    pub delivered: u64,
}

impl Bus {
    /// How far the durable of these settings has come: one question to the broker.
    ///
    /// # Errors
    /// The broker is not there or refuses, or there is no such durable.
    pub async fn delivered(&self, settings: &ConsumerSettings) -> Result<Delivered, Error> {
        let consumer = consumer::handle(self, settings).await?;
        let info = consumer.cached_info();
        Ok(Delivered { waiting: info.num_pending, delivered: info.delivered.consumer_sequence })
    }

    /// What the durable of these settings has not done yet.
    ///
    /// # Errors
    /// The broker is not there or refuses, or there is no such durable.
    pub async fn backlog(&self, settings: &ConsumerSettings) -> Result<Backlog, Error> {
        let consumer = consumer::handle(self, settings).await?;
        let info = consumer.cached_info();
        let (waiting, unsettled) =
            (info.num_pending, u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX));
        let mut oldest: Option<DateTime<Utc>> = None;
        if waiting + unsettled > 0 {
            let from = info.ack_floor.stream_sequence + 1;
            for filter in &settings.filters {
                let next = stored::next(self, settings.stream, filter, from).await?;
                if let Some(time) = next.map(|message| message.time) {
                    oldest = Some(oldest.map_or(time, |oldest| oldest.min(time)));
                }
            }
        }
        Ok(Backlog { waiting, unsettled, oldest })
    }
}
