//! What went through a proxy, and what did not.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::host::Host;

/// A hostile script asks for millions of hosts.
const MAX_REFUSED: usize = 50;
/// Of what was asked for, in a record.
const MAX_ASKED_BYTES: usize = 200;

/// A host that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Which.
    pub host: Host,
    /// Both ways.
    pub bytes: u64,
}

/// Something that was not reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What was asked for, made printable ASCII and short. From outside: escape it before it is shown.
    pub asked: String,
    /// Why.
    pub why: Why,
}

/// Why something was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is not on the list.
    NotAllowed,
    /// It is on the list, but has come to be in a private network.
    Private,
    /// It is on the list, but does not answer.
    Unreachable,
    /// It was not asked for as a client of a registry asks.
    Malformed,
    /// So much has gone through that no more may.
    TooMuch,
}

/// What went through a proxy, and what did not.
#[derive(Debug, Default)]
pub struct Record {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    reached: BTreeMap<Host, (u64, bool)>,
    refused: Vec<Refused>,
    bytes: u64,
}

impl Record {
    /// The hosts that were reached, each once.
    pub fn reached(&self) -> Vec<Reached> {
        let reached = |(host, (bytes, _)): (&Host, &(u64, bool))| Reached {
            host: host.clone(),
            bytes: *bytes,
        };
        self.lock().reached.iter().map(reached).collect()
    }

    /// What was not, each once and in order; the first fifty.
    pub fn refused(&self) -> Vec<Refused> {
        self.lock().refused.clone()
    }

    /// The hosts that were reached, and whether at a private address.
    pub(crate) fn learned(&self) -> Vec<(Host, bool)> {
        self.lock().reached.iter().map(|(host, (_, private))| (host.clone(), *private)).collect()
    }

    pub(crate) fn reach(&self, host: &Host, private: bool) {
        self.lock().reached.entry(host.clone()).or_default().1 |= private;
    }

    /// Counts bytes, and says how many there are of all hosts together.
    pub(crate) fn add(&self, host: &Host, bytes: u64) -> u64 {
        let mut inner = self.lock();
        if let Some((sum, _)) = inner.reached.get_mut(host) {
            *sum += bytes;
        }
        inner.bytes += bytes;
        inner.bytes
    }

    pub(crate) fn total(&self) -> u64 {
        self.lock().bytes
    }

    pub(crate) fn refuse(&self, asked: &str, why: Why) {
        let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        let asked: String = asked.chars().map(printable).take(MAX_ASKED_BYTES).collect();
        let refused = Refused { asked, why };
        let mut inner = self.lock();
        if inner.refused.len() >= MAX_REFUSED || inner.refused.contains(&refused) {
            return;
        }
        tracing::info!(
            event = "setup_refused",
            asked = refused.asked,
            why = ?refused.why,
            "a setup step asked for what it may not reach"
        );
        inner.refused.push(refused);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
