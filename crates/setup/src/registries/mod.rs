//! Which registries setup steps may reach: those that the operator's own clients use.
//!
//! No host is named here. Each client is asked for its configuration, and then watched: it fetches
//! one small package through a proxy that lets everything through and writes down where it went. So
//! a mirror, a file host beside an index and a redirect are found as the client finds them.

mod cargo;
mod certificates;
mod client;
mod go;
mod npm;
mod pip;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use url::Url;

pub use self::client::Operator;
use crate::{
    host::Host,
    kind::Kind,
    proxy::{Reach, Upstream},
};

/// What one kind of client uses on the operator's machine.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// Where it goes: index, files, and checksums.
    pub hosts: BTreeMap<Host, Reach>,
    /// Variables that make the same client in a sandbox go there too. Without credentials.
    pub env: BTreeMap<String, String>,
    /// Lines of an npm configuration, likewise.
    pub(crate) npmrc: String,
    /// A cargo configuration, likewise.
    pub(crate) cargo_config: String,
    /// Files with certificates that the client trusts.
    pub(crate) certificates: BTreeSet<PathBuf>,
    /// What was left out or not found, for the operator.
    pub notes: Vec<String>,
}

impl Registry {
    /// Asks a client of the operator's. Takes seconds: it fetches a small package.
    pub async fn discover(kind: Kind, operator: &Operator) -> Self {
        let mut registry = match kind {
            Kind::Python => pip::discover(operator).await,
            Kind::Node => npm::discover(operator).await,
            Kind::Rust => cargo::discover(operator).await,
            Kind::Go => go::discover(operator).await,
        };
        registry.certificates.extend(certificates::of_env(operator));
        for note in &registry.notes {
            tracing::info!(event = "setup_registry_note", client = %kind, note, "about its registry");
        }
        registry
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Where a client was seen to go.
    fn saw(&mut self, hosts: Vec<(Host, bool)>) {
        for (host, private) in hosts {
            let reach = if private { Reach::Anywhere } else { Reach::Public };
            self.hosts.insert(host, reach);
        }
    }

    /// A URL of a client's configuration: its host is allowed, and the URL is returned without the
    /// credentials that may be in it. A registry that wants them is the operator's to open.
    async fn configured(&mut self, what: &str, text: &str) -> Option<String> {
        let mut url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url,
            _ => {
                self.note(format!("{what} is not a URL of a registry; it is left out"));
                return None;
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            // Neither can fail for a URL with a host.
            let _ = (url.set_username(""), url.set_password(None));
            self.note(format!("{what} holds credentials, which no setup step gets"));
        }
        if let Some(host) = Host::of_url(&url) {
            let reach = reach_of(&host).await;
            self.hosts.entry(host).or_insert(reach);
        }
        Some(url.into())
    }
}

/// Whether a host that the operator names is in a private network today; then it may stay there.
pub(crate) async fn reach_of(host: &Host) -> Reach {
    let private = match host.address() {
        Some(address) => crate::proxy::is_private(address),
        None => tokio::net::lookup_host((host.name(), host.port()))
            .await
            .is_ok_and(|mut found| found.any(|address| crate::proxy::is_private(address.ip()))),
    };
    if private { Reach::Anywhere } else { Reach::Public }
}

/// What all kinds of one setup step need.
#[derive(Debug)]
pub struct Registries {
    /// Everything that may be reached.
    pub hosts: BTreeMap<Host, Reach>,
    /// Variables for the clients.
    pub env: BTreeMap<String, String>,
    /// What was left out or not found.
    pub notes: Vec<String>,
    pub(crate) cargo_config: String,
    /// Holds the files below.
    _folder: tempfile::TempDir,
    /// What is mounted at [`INSIDE`].
    pub(crate) files: PathBuf,
}

/// Where the files for clients are inside.
pub(crate) const INSIDE: &str = "/booty/setup";
const BUNDLE: &str = "ca.pem";
const NPMRC: &str = "npmrc";

/// Every client's own name for a file with certificates.
const BUNDLE_VARIABLES: [&str; 9] = [
    "SSL_CERT_FILE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "CARGO_HTTP_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "YARN_HTTPS_CA_FILE_PATH",
];

impl Registries {
    /// Puts together what one setup step needs: the clients' registries, and the operator's list.
    pub async fn merge(
        registries: impl IntoIterator<Item = Registry>,
        listed: &[Host],
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("booty-setup-").tempdir()?;
        let mut merged = Self {
            hosts: BTreeMap::new(),
            env: BTreeMap::new(),
            notes: Vec::new(),
            cargo_config: String::new(),
            files: folder.path().join("files"),
            _folder: folder,
        };
        let (mut certificates, mut npmrc) = (BTreeSet::new(), String::new());
        for registry in registries {
            merged.hosts.extend(registry.hosts);
            merged.env.extend(registry.env);
            merged.notes.extend(registry.notes);
            merged.cargo_config.push_str(&registry.cargo_config);
            npmrc.push_str(&registry.npmrc);
            certificates.extend(registry.certificates);
        }
        for host in listed {
            let reach = reach_of(host).await;
            merged.hosts.insert(host.clone(), reach);
        }
        std::fs::create_dir(&merged.files)?;
        let bundle = certificates::bundle(&certificates);
        if !bundle.is_empty() {
            merged.file(BUNDLE, &bundle)?;
            let path = inside(BUNDLE);
            merged.env.extend(BUNDLE_VARIABLES.map(|name| (name.to_owned(), path.clone())));
        }
        if !npmrc.is_empty() {
            merged.file(NPMRC, npmrc.as_bytes())?;
            merged.env.insert("npm_config_globalconfig".to_owned(), inside(NPMRC));
        }
        readable(&merged.files, 0o755)?;
        Ok(merged)
    }

    fn file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.files.join(name);
        std::fs::write(&path, content)?;
        readable(&path, 0o644)
    }
}

fn inside(name: &str) -> String {
    format!("{INSIDE}/{name}")
}

/// The sandbox's user is another than ours when started as root.
fn readable(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// How this machine reaches the network, as its clients are told.
pub(crate) fn upstream(operator: &Operator) -> Upstream {
    Upstream::from_env(|name| operator.get(name).map(str::to_owned))
}
