//! What the operator decides about setup steps.

use std::{path::PathBuf, str::FromStr};

use crate::{host::Host, proxy::ProxyLimits};

const GIB: u64 = 1024 * 1024 * 1024;

/// What setup steps may reach (`SETUP_NETWORK`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SetupNetwork {
    /// The registries of the operator's clients, and `SETUP_REGISTRY_HOSTS`.
    #[default]
    Registries,
    /// Nothing: what is not in the repository is not installed.
    Off,
}

impl FromStr for SetupNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "registries" => Ok(Self::Registries),
            "off" => Ok(Self::Off),
            other => Err(format!("{other:?} is neither \"registries\" nor \"off\"")),
        }
    }
}

/// Reads `SETUP_REGISTRY_HOSTS`: hosts with or without a port, between commas.
pub fn parse_hosts(text: &str) -> Result<Vec<Host>, crate::NoHost> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
}

/// What the operator decides about setup steps.
#[derive(Debug, Clone)]
pub struct SetupSettings {
    /// `SETUP_NETWORK`.
    pub network: SetupNetwork,
    /// `SETUP_REGISTRY_HOSTS`, besides what the clients' own configuration names.
    pub hosts: Vec<Host>,
    /// Where caches are kept.
    pub cache_root: PathBuf,
    /// What all caches together may take.
    pub cache_bytes: u64,
    /// What one setup step may transfer.
    pub proxy: ProxyLimits,
}

impl SetupSettings {
    /// Twenty caches of a middling project.
    pub const CACHE_BYTES: u64 = 10 * GIB;

    /// The defaults, with caches in this folder.
    pub fn new(cache_root: impl Into<PathBuf>) -> Self {
        Self {
            network: SetupNetwork::default(),
            hosts: Vec::new(),
            cache_root: cache_root.into(),
            cache_bytes: Self::CACHE_BYTES,
            proxy: ProxyLimits::default(),
        }
    }
}
