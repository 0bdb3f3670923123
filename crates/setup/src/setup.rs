//! Running a setup step: from the cache if there is one, else through the proxy.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use booty_sandbox::{Command, End, Mount, Network, ProxyExit, RunResult, Sandbox};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    cache::{Cache, CacheError, CacheFolder, CacheKey, Caches, Filling},
    inputs::{self, Packages},
    kind::Kind,
    outcome::{After, Installed, NotInstalled, NotInstalledWhy, SetupOutcome},
    places,
    proxy::{Proxy, Reached, Refused, Why},
    registries::{self, Operator, Registries, Registry},
    settings::{SetupNetwork, SetupSettings},
};

/// What installs dependencies, for one operator. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Setup {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: SetupSettings,
    operator: Operator,
    caches: Caches,
    /// What was learned, by kind. Asking takes seconds, so it waits until a setup step needs it.
    known: Mutex<BTreeMap<Kind, Registry>>,
}

/// A setup step of a repository.
#[derive(Debug, Clone)]
pub struct SetupStep {
    /// What to run, and where. Its mounts and network are set here.
    pub command: Command,
    /// Whose registries it may reach, and whose files name the packages.
    pub kinds: Vec<Kind>,
    /// Which repository it is of.
    pub repo: String,
    /// Who may fill its cache. The tree's own code runs in a setup step, so that a cache is as
    /// trustworthy as the tree: one pull request's must not serve another's, nor the base branch.
    pub scope: String,
    /// Whose caches it may use besides, without filling them: the base branch's, for a pull request
    /// that leaves its packages alone.
    pub also_from: Vec<String>,
}

/// Why nothing can be said about a setup step.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The caller asked for its end.
    #[error("the setup step was cancelled")]
    Cancelled,
    /// The sandbox could not be used.
    #[error(transparent)]
    Sandbox(#[from] booty_sandbox::Error),
    /// The caches cannot be used.
    #[error(transparent)]
    Cache(CacheError),
    /// The proxy or its files could not be set up.
    #[error("the way to the registries could not be set up")]
    Network(#[source] std::io::Error),
}

impl From<CacheError> for SetupError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Cancelled => Self::Cancelled,
            error => Self::Cache(error),
        }
    }
}

impl Setup {
    /// Makes the folder for caches. Asks no client yet.
    pub fn new(settings: SetupSettings, operator: Operator) -> Result<Self, CacheError> {
        let caches = Caches::open(&settings.cache_root, settings.cache_bytes)?;
        let known = Mutex::default();
        Ok(Self { shared: Arc::new(Shared { settings, operator, caches, known }) })
    }

    /// Runs a setup step. Everything that its tests need later comes with the outcome.
    pub async fn run(
        &self,
        sandbox: &Sandbox,
        step: &SetupStep,
        cancel: &CancellationToken,
    ) -> Result<SetupOutcome, SetupError> {
        if self.shared.settings.network == SetupNetwork::Off {
            return offline(sandbox, step, NotInstalledWhy::NetworkOff, Vec::new(), cancel).await;
        }
        let Some(packages) = packages(step).await else {
            // Nothing to know an installation by.
            return offline(sandbox, step, NotInstalledWhy::NoNetwork, Vec::new(), cancel).await;
        };
        if step.kinds.is_empty() {
            return offline(sandbox, step, NotInstalledWhy::NoNetwork, Vec::new(), cancel).await;
        }
        let Packages { hash: packages, are_named } = packages;
        if !are_named && !self.is_kept(step, &packages)? {
            // Most such scripts fetch nothing, or what the machine has.
            let why = NotInstalledWhy::NoNetwork;
            let alone = offline(sandbox, step, why, Vec::new(), cancel).await?;
            if matches!(alone, SetupOutcome::Installed(_)) {
                return Ok(alone);
            }
        }
        for scope in &step.also_from {
            if let Some(cache) = self.shared.caches.find(&key(step, scope, &packages))?
                && let Some(installed) = from_cache(sandbox, step, &cache, cancel).await?
            {
                return Ok(installed);
            }
        }
        let key = key(step, &step.scope, &packages);
        let filling = match self.shared.caches.cache_for(&key, cancel).await? {
            Cache::Filling(filling) => filling,
            Cache::Sealed(cache) => {
                if let Some(installed) = from_cache(sandbox, step, &cache, cancel).await? {
                    return Ok(installed);
                }
                // What was fetched in one way is not always found in another.
                tracing::info!(event = "setup_cache_useless", "a cache is filled anew");
                self.shared.caches.refill(&key, cache, cancel).await?
            }
        };
        self.fill(sandbox, step, filling, cancel).await
    }

    /// Whether there is a cache that it may use.
    fn is_kept(&self, step: &SetupStep, packages: &[u8; 32]) -> Result<bool, SetupError> {
        for scope in step.also_from.iter().chain([&step.scope]) {
            if self.shared.caches.find(&key(step, scope, packages))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn fill(
        &self,
        sandbox: &Sandbox,
        step: &SetupStep,
        filling: Filling,
        cancel: &CancellationToken,
    ) -> Result<SetupOutcome, SetupError> {
        let registries = self.registries(&step.kinds).await.map_err(SetupError::Network)?;
        if registries.hosts.is_empty() || !sandbox.has_exits() {
            let notes = registries.notes;
            return offline(sandbox, step, NotInstalledWhy::NoNetwork, notes, cancel).await;
        }
        let upstream = registries::upstream(&self.shared.operator);
        let proxy = Proxy::start(registries.hosts.clone(), self.shared.settings.proxy, upstream);
        let proxy = proxy.map_err(SetupError::Network)?;
        let content = filling.path();
        if step.kinds.contains(&Kind::Rust) && !registries.cargo_config.is_empty() {
            let folder = content.join("cargo");
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(folder.join("config.toml"), &registries.cargo_config))
                .map_err(SetupError::Network)?;
        }
        sandbox.own(&content)?;
        let mut command = with_env(step, places::filling(&step.kinds));
        for (name, value) in &registries.env {
            command.env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        command.mounts = vec![
            Mount::writable(&content, places::CACHE),
            Mount::read_only(&registries.files, registries::INSIDE),
        ];
        command.network = Network::Proxy(ProxyExit { socket: proxy.socket() });
        let result = run(sandbox, &command, cancel).await?;
        if result.succeeded() && step.kinds.contains(&Kind::Python) {
            let collect = Command { script: places::COLLECT_WHEELS.to_owned(), ..command.clone() };
            // What is missing from the cache then is fetched again the next time.
            run(sandbox, &collect, cancel).await?;
        }
        let seen = proxy.finish().await;
        if !result.succeeded() {
            let why = why(&seen.1);
            let (reached, refused) = seen;
            let notes = registries.notes;
            let result = Some(result);
            return Ok(SetupOutcome::NotInstalled(NotInstalled {
                why,
                result,
                reached,
                refused,
                notes,
            }));
        }
        let sealed = tokio::task::spawn_blocking(move || filling.seal()).await;
        let cache = sealed.map_err(|error| SetupError::Network(std::io::Error::other(error)))??;
        let after = after(sandbox, step, cache)?;
        Ok(installed(false, result, after, seen))
    }

    /// What clients of these kinds may reach. Asked once; again if nothing was learned.
    pub async fn registries(&self, kinds: &[Kind]) -> std::io::Result<Registries> {
        let mut known = self.shared.known.lock().await;
        let mut all = Vec::new();
        for kind in kinds {
            let registry = match known.get(kind) {
                Some(registry) => registry.clone(),
                None => Registry::discover(*kind, &self.shared.operator).await,
            };
            if !registry.hosts.is_empty() {
                known.insert(*kind, registry.clone());
            }
            all.push(registry);
        }
        drop(known);
        Registries::merge(all, &self.shared.settings.hosts).await
    }
}

/// Runs it with no network and no cache: it may need neither.
async fn offline(
    sandbox: &Sandbox,
    step: &SetupStep,
    why: NotInstalledWhy,
    notes: Vec<String>,
    cancel: &CancellationToken,
) -> Result<SetupOutcome, SetupError> {
    let env = places::offline(&step.kinds);
    let command = with_env(step, env.clone());
    let result = run(sandbox, &command, cancel).await?;
    if result.succeeded() {
        let after = After { env, ..After::default() };
        return Ok(installed(false, result, after, Default::default()));
    }
    let (reached, refused) = Default::default();
    let result = Some(result);
    Ok(SetupOutcome::NotInstalled(NotInstalled { why, result, reached, refused, notes }))
}

/// Runs it with no network and a sealed cache. `None`: it failed, so the cache may be to blame.
async fn from_cache(
    sandbox: &Sandbox,
    step: &SetupStep,
    cache: &CacheFolder,
    cancel: &CancellationToken,
) -> Result<Option<SetupOutcome>, SetupError> {
    let mut command = with_env(step, places::sealed(&step.kinds));
    command.mounts = vec![Mount::read_only(cache.path(), places::CACHE)];
    let copy = scratch(sandbox, step)?;
    if let Some(copy) = &copy {
        command.mounts.push(Mount::writable(copy.path(), places::NODE_COPY));
        command.script.insert_str(0, places::COPY_NODE);
    }
    let result = run(sandbox, &command, cancel).await?;
    if !result.succeeded() {
        return Ok(None);
    }
    let after = after(sandbox, step, cache.clone())?;
    Ok(Some(installed(true, result, after, Default::default())))
}

fn after(sandbox: &Sandbox, step: &SetupStep, cache: CacheFolder) -> Result<After, SetupError> {
    let mut mounts = vec![Mount::read_only(cache.path(), places::CACHE)];
    // Empty: what tests run is in the work tree by then, and npm only wants a place.
    let scratch = scratch(sandbox, step)?;
    mounts.extend(scratch.iter().map(|copy| Mount::writable(copy.path(), places::NODE_COPY)));
    let env = places::sealed(&step.kinds);
    Ok(After { mounts, env, _cache: Some(cache), _scratch: scratch.map(Arc::new) })
}

/// A folder that npm can write to, if it takes part.
fn scratch(sandbox: &Sandbox, step: &SetupStep) -> Result<Option<TempDir>, SetupError> {
    if !step.kinds.contains(&Kind::Node) {
        return Ok(None);
    }
    let folder = tempfile::Builder::new().prefix("booty-setup-").tempdir();
    let folder = folder.map_err(SetupError::Network)?;
    sandbox.own(folder.path())?;
    Ok(Some(folder))
}

async fn run(
    sandbox: &Sandbox,
    command: &Command,
    cancel: &CancellationToken,
) -> Result<RunResult, SetupError> {
    let result = sandbox.run(command, cancel).await?;
    if result.end == End::Cancelled { Err(SetupError::Cancelled) } else { Ok(result) }
}

/// The step's command; its own variables win over ours.
fn with_env(step: &SetupStep, env: places::Env) -> Command {
    let mut command = step.command.clone();
    for (name, value) in env {
        command.env.entry(name).or_insert(value);
    }
    command
}

/// What its packages are known by.
async fn packages(step: &SetupStep) -> Option<Packages> {
    let (tree, kinds) = (step.command.work_tree.clone(), step.kinds.clone());
    tokio::task::spawn_blocking(move || inputs::read_all(&tree, &kinds)).await.ok().flatten()
}

fn key(step: &SetupStep, scope: &str, packages: &[u8; 32]) -> CacheKey {
    let command = &step.command;
    let env = serde_json::to_vec(&command.env).unwrap_or_default();
    let directory: &Path = &command.directory;
    let inputs: [&[u8]; 4] =
        [packages, command.script.as_bytes(), directory.as_os_str().as_encoded_bytes(), &env];
    CacheKey::new(&step.kinds, &step.repo, scope, &inputs)
}

fn installed(
    cache_hit: bool,
    result: RunResult,
    after: After,
    (reached, refused): (Vec<Reached>, Vec<Refused>),
) -> SetupOutcome {
    SetupOutcome::Installed(Installed { cache_hit, reached, refused, result, after })
}

fn why(refused: &[Refused]) -> NotInstalledWhy {
    match refused {
        [] => NotInstalledWhy::Failed,
        all if all.iter().all(|one| one.why == Why::Unreachable) => NotInstalledWhy::Unreachable,
        _ => NotInstalledWhy::Refused,
    }
}
