//! Running a client of the operator's own, on a project of ours.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, process::Command};

use crate::{
    host::Host,
    proxy::{Proxy, ProxyLimits},
};

/// A client on a slow network fetches a small package several times over in this.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a client says about its configuration is some kilobytes.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;

/// What of the operator's environment makes a client what it is. Everything else, secrets of ours
/// among it, is none of its business.
const NAMES: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "NETRC",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "VIRTUAL_ENV",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "COREPACK_NPM_REGISTRY",
    "COREPACK_HOME",
];
const PREFIXES: [&str; 11] = [
    "PIP_",
    "PYENV_",
    "UV_",
    "NPM_CONFIG_",
    "CARGO_",
    "RUSTUP_",
    "GO",
    "SSL_CERT_",
    "XDG_",
    "YARN_",
    "GIT_SSL_",
];

/// The operator's environment, as far as clients of registries read it.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    env: BTreeMap<String, String>,
}

impl Operator {
    /// Takes the variables that clients read out of all. Names are compared as clients do, without
    /// regard to case.
    pub fn new(env: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { env: env.into_iter().filter(|(name, _)| Self::takes(name)).collect() }
    }

    /// Whether a client's behaviour may depend on a variable of this name.
    pub fn takes(name: &str) -> bool {
        let name = name.to_ascii_uppercase();
        NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn home(&self) -> Option<&Path> {
        self.get("HOME").map(Path::new)
    }
}

/// An empty folder to run clients in, so that no project's configuration is theirs.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    operator: &'a Operator,
    folder: TempDir,
}

/// Why a client said nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("there is no {0} on this machine")]
    Missing(String),
    #[error("{program} failed: {said}")]
    Failed { program: String, said: String },
    #[error("{program} could not be run")]
    Io { program: String, source: io::Error },
}

impl<'a> Bench<'a> {
    pub(crate) fn new(operator: &'a Operator) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("booty-setup-").tempdir()?;
        Ok(Self { operator, folder })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> io::Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::write(path, content)
    }

    /// What it prints.
    pub(crate) async fn ask(
        &self,
        program: &str,
        arguments: &[&str],
    ) -> Result<String, ClientError> {
        self.run(program, arguments, &[]).await
    }

    /// Where it goes while it does what it is told, even if that fails.
    pub(crate) async fn watch(
        &self,
        program: &str,
        arguments: &[&str],
        env: &[(&str, OsString)],
    ) -> Result<(Vec<(Host, bool)>, Result<String, ClientError>), ClientError> {
        let io = |source| ClientError::Io { program: program.to_owned(), source };
        let upstream = super::upstream(self.operator);
        let proxy = Proxy::learn(ProxyLimits::default(), upstream).await.map_err(io)?;
        let address = OsString::from(format!("http://127.0.0.1:{}", proxy.port()));
        let mut env = env.to_vec();
        env.extend(PROXY_VARIABLES.map(|name| (name, address.clone())));
        env.extend(["NO_PROXY", "no_proxy", "npm_config_noproxy"].map(|name| (name, "".into())));
        let said = self.run(program, arguments, &env).await;
        let hosts = proxy.record().learned();
        proxy.finish().await;
        match said {
            Err(missing @ ClientError::Missing(_)) => Err(missing),
            said => Ok((hosts, said)),
        }
    }

    async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        env: &[(&str, OsString)],
    ) -> Result<String, ClientError> {
        let io = |source| ClientError::Io { program: program.to_owned(), source };
        let missing = || ClientError::Missing(program.to_owned());
        let search = self.operator.get("PATH").unwrap_or_default();
        // The standard library would look in our own `PATH`.
        let found = std::env::split_paths(search).map(|folder| folder.join(program));
        let found = found.into_iter().find(|path| path.is_file()).ok_or_else(missing)?;
        let mut command = Command::new(found);
        command.args(arguments).env_clear().envs(&self.operator.env).env("CI", "true");
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(io)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let all = async {
            let (out, err, status) = tokio::join!(read(out), read(err), child.wait());
            (out, err, status)
        };
        let (out, err, status) = tokio::time::timeout(PATIENCE, all)
            .await
            .map_err(|_| io(io::ErrorKind::TimedOut.into()))?;
        if status.map_err(io)?.success() {
            return Ok(out);
        }
        // Its URLs may hold credentials.
        let last = err.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let said = last.split_whitespace().filter(|word| !word.contains("://"));
        let said: String = said.collect::<Vec<_>>().join(" ").chars().take(300).collect();
        Err(ClientError::Failed { program: program.to_owned(), said })
    }
}

const PROXY_VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "CARGO_HTTP_PROXY",
    "PIP_PROXY",
];

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = (&mut pipe).take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
