//! What a command reaches of the network: nothing, or one Unix socket of the host's.

use std::path::PathBuf;

use crate::{error::Error, forward};

/// What a command reaches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// Its own loopback, and nothing else.
    #[default]
    None,
    /// One exit. The network namespace stays empty; what connects to a port of its loopback is
    /// carried to a Unix socket of the host's, where an HTTP proxy listens.
    Proxy(ProxyExit),
}

/// The one exit of a network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyExit {
    /// Where an HTTP proxy listens on the host. Who is behind it is its to decide: everything in the
    /// sandbox can talk to it.
    pub socket: PathBuf,
}

impl Network {
    /// What clients read to find the proxy. The command's own variables win over them.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        if *self == Self::None {
            return Vec::new();
        }
        let address = format!("http://{}:{}", forward::ADDRESS, forward::PORT);
        PROXY_VARIABLES
            .iter()
            .map(|name| (*name, address.clone()))
            // Tests of what was installed talk to their own servers.
            .chain(["NO_PROXY", "no_proxy"].map(|name| (name, "localhost,127.0.0.1,::1".into())))
            .collect()
    }
}

/// The usual ones, in both spellings as clients differ, and those of clients with one of their own.
const PROXY_VARIABLES: [&str; 11] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "YARN_HTTPS_PROXY",
    "CARGO_HTTP_PROXY",
    "PIP_PROXY",
];

/// What a sandbox with an exit needs, once it is known to be there.
#[derive(Debug)]
pub(crate) struct Exit<'a> {
    pub(crate) forwarder: &'a std::path::Path,
    pub(crate) socket: &'a std::path::Path,
}

impl<'a> Exit<'a> {
    pub(crate) fn find(
        network: &'a Network,
        forwarder: Option<&'a std::path::Path>,
    ) -> Result<Option<Self>, Error> {
        use std::os::unix::fs::FileTypeExt;
        let Network::Proxy(ProxyExit { socket }) = network else { return Ok(None) };
        let refuse = |why: &str| Err(Error::Refused { why: why.to_owned() });
        let Some(forwarder) = forwarder else {
            return refuse("there is no program to carry its connections");
        };
        let found = std::fs::symlink_metadata(socket);
        if !found.is_ok_and(|found| found.file_type().is_socket()) {
            return refuse("the proxy's socket is not there");
        }
        Ok(Some(Self { forwarder, socket }))
    }
}
