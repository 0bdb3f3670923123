//! The durables of a stream, as the server lists them.

use futures_util::TryStreamExt as _;

use crate::{connect::Bus, error::Error, stored::from_unix_nanos};
use chrono::{DateTime, Utc};

/// A durable, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    /// Its name.
    pub name: String,
    /// The subjects that it wants; none: all.
    pub filters: Vec<String>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// All that it wants up to this sequence is settled.
    pub settled_to: u64,
    /// It was given nothing above this sequence yet.
    pub delivered_to: u64,
    /// Messages that it was given and that are not settled.
    pub unsettled: u64,
    /// Messages that it was not given yet.
    pub waiting: u64,
}

impl Durable {
    /// Whether it wants messages on the subject.
    pub fn wants(&self, subject: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| matches(filter, subject))
    }
}

impl Bus {
    /// The durables of a stream; readings and other consumers that pass by themselves are left out.
    ///
    /// # Errors
    /// The broker is not there or refuses.
    pub async fn durables(&self, stream: &str) -> Result<Vec<Durable>, Error> {
        let unavailable = |source: crate::error::BoxError| Error::Unavailable {
            doing: format!("list the consumers of stream {stream}"),
            source,
        };
        self.connected().await.map_err(|e| unavailable(e.into()))?;
        let handle = self.jetstream().get_stream_no_info(stream).await;
        let handle = handle.map_err(|e| unavailable(e.into()))?;
        let all: Vec<_> =
            handle.consumers().try_collect().await.map_err(|e| unavailable(e.into()))?;
        let durables = all.into_iter().filter(|info| info.config.durable_name.is_some());
        let mut durables: Vec<Durable> = durables
            .map(|info| {
                let mut filters = info.config.filter_subjects;
                if !info.config.filter_subject.is_empty() {
                    filters.push(info.config.filter_subject);
                }
                Durable {
                    name: info.name,
                    filters,
                    created: from_unix_nanos(info.created.unix_timestamp_nanos()),
                    settled_to: info.ack_floor.stream_sequence,
                    delivered_to: info.delivered.stream_sequence,
                    unsettled: u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX),
                    waiting: info.num_pending,
                }
            })
            .collect();
        durables.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(durables)
    }
}

/// Whether a subject matches a filter, as the server sees it.
pub fn matches(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_server_matches() {
        for (filter, subject, expected) in [
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("a.b", "a.b", true),
        ] {
            assert_eq!(matches(filter, subject), expected, "{filter} {subject}");
        }
    }
}
