//! Finding out at start what this machine can do.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    Backend, Command, Error, Limits, Sandbox, SandboxSettings, Unavailable, cgroup::Parents,
    sandbox::Shared, spawn::Spawner,
};

const INSTALL: &str = "install bubblewrap 0.8 or newer (Debian: apt-get install bubblewrap)";
const NAMESPACES: &str = "allow user namespaces to unprivileged users (sysctl user.max_user_namespaces above 0, \
    kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0); in a container run with \
    Booty's seccomp profile, apparmor=unconfined and systempaths=unconfined";
/// Where a program without a slash is looked for. Not the environment's `PATH`: it is not ours to
/// read here.
const PROGRAMS: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/bin"];
/// What no toolchain lives in and what holds the host's secrets or state.
const NEVER: [&str; 11] =
    ["/boot", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/var"];

pub(crate) async fn prepare(mut settings: SandboxSettings) -> Result<Sandbox, Unavailable> {
    for folder in &mut settings.read_only {
        *folder = toolchain(folder)?;
    }
    let root = rustix::process::geteuid().is_root();
    let run_as = match (root, settings.run_as) {
        (false, _) => None,
        (true, Some(ids)) if ids.0 != 0 && ids.1 != 0 => Some(ids),
        (true, _) => {
            let why = "started as root, and there is no other user to become".to_owned();
            return Err(Unavailable {
                why,
                advice: "name an unprivileged user and group".to_owned(),
            });
        }
    };
    let spawner = Spawner::start().map_err(|error| Unavailable {
        why: error.to_string(),
        advice: "raise the limit of threads".to_owned(),
    })?;
    let mut description = "none: commands are NOT isolated (BOOTY_SANDBOX=none)".to_owned();
    let mut groups = Parents::default();
    if let Backend::Bwrap { program } = &mut settings.backend {
        let (found, version) = bubblewrap(program).await?;
        *program = found;
        groups = Parents::find();
        let user = run_as.map_or_else(String::new, |(user, group)| format!(", as {user}:{group}"));
        let memory = if groups.have_memory() { "a control group" } else { "watching" };
        description = format!("{version}{user}; memory held by {memory}");
    }
    let isolated = settings.backend != Backend::None;
    let mut sandbox = Sandbox::from_shared(Shared {
        settings,
        run_as,
        staged: root && isolated,
        groups,
        spawner,
        description,
    });
    if isolated {
        let tried = probe(&sandbox).await;
        // Root in a container may not mount; then every folder must be within the user's reach.
        let tried = match (tried, sandbox.shared()) {
            (Err(_), Some(shared)) if shared.staged => {
                shared.staged = false;
                probe(&sandbox).await
            }
            (tried, _) => tried,
        };
        tried.map_err(unavailable)?;
    }
    Ok(sandbox)
}

/// Runs `true` in an empty folder.
async fn probe(sandbox: &Sandbox) -> Result<(), Error> {
    let probe = Probe::new()?;
    let mut command = Command::new("true", &probe.0);
    command.limits = Limits { wall: Duration::from_secs(20), ..Limits::default() };
    let result = sandbox.run(&command, &CancellationToken::new()).await?;
    if result.succeeded() {
        return Ok(());
    }
    Err(Error::Setup {
        said: format!("`true` ended with {}: {}", result.end, result.output.trim()),
    })
}

struct Probe(PathBuf);

impl Probe {
    fn new() -> Result<Self, Error> {
        let mut last = None;
        for number in 0..100 {
            let path =
                PathBuf::from(format!("/tmp/booty-sandbox-probe-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o755).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(source) => last = Some(Error::Folder { what: "make", path, source }),
            }
        }
        Err(last.unwrap_or(Error::Refused { why: "no folder for the trial".to_owned() }))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The program, and how it calls itself.
async fn bubblewrap(program: &Path) -> Result<(PathBuf, String), Unavailable> {
    let missing = |why: String| Unavailable { why, advice: INSTALL.to_owned() };
    let candidates: Vec<PathBuf> = if program.components().count() > 1 {
        vec![program.to_owned()]
    } else {
        PROGRAMS.iter().map(|folder| Path::new(folder).join(program)).collect()
    };
    let found = candidates.into_iter().find(|path| path.is_file());
    let found =
        found.ok_or_else(|| missing(format!("there is no program {}", program.display())))?;
    let ask = |option: &'static str| {
        let mut command = tokio::process::Command::new(&found);
        command.arg(option).env_clear().kill_on_drop(true);
        async move {
            let output = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
            let output = output.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&output.stdout).into_owned())
        }
    };
    let broken = |error: io::Error| missing(format!("{} does not run: {error}", found.display()));
    let version = ask("--version").await.map_err(broken)?;
    if !ask("--help").await.map_err(broken)?.contains("--disable-userns") {
        return Err(missing(format!("{} is too old: {}", found.display(), version.trim())));
    }
    Ok((found, version.trim().to_owned()))
}

fn unavailable(error: Error) -> Unavailable {
    let why = match &error {
        Error::Setup { said } => said.clone(),
        other => match std::error::Error::source(other) {
            Some(source) => format!("{other}: {source}"),
            None => other.to_string(),
        },
    };
    Unavailable { why, advice: NAMESPACES.to_owned() }
}

/// Checks a folder that an operator wants to be readable inside.
fn toolchain(folder: &Path) -> Result<PathBuf, Unavailable> {
    let refuse = |why: String| {
        let advice = "name the toolchain's own folder in BOOTY_SANDBOX_RO".to_owned();
        Err(Unavailable { why, advice })
    };
    let plain = |part| matches!(part, Component::Normal(_) | Component::RootDir);
    if !folder.is_absolute() || !folder.components().all(plain) {
        return refuse(format!("{} is not a plain absolute path", folder.display()));
    }
    let folder = match folder.canonicalize() {
        Ok(real) if real.is_dir() => real,
        Ok(real) => return refuse(format!("{} is not a folder", real.display())),
        Err(error) => return refuse(format!("{}: {error}", folder.display())),
    };
    let homes = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let homes = homes.lines().filter_map(|line| line.split(':').nth(5)).filter(|home| *home != "/");
    let mut forbidden = NEVER.into_iter().chain(homes).map(Path::new);
    if folder.parent().is_none() || folder.parent() == Some(Path::new("/home")) {
        return refuse(format!("{} holds more than a toolchain", folder.display()));
    }
    if forbidden.any(|home| home.starts_with(&folder)) {
        return refuse(format!("{} is or holds a home or the system's state", folder.display()));
    }
    Ok(folder)
}
