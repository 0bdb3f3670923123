//! What the agent can reach of the machine that it runs on: the job's two trees, its model, and the
//! tools that the repository's commands need.

use std::path::{Path, PathBuf};

use booty_model::{scripted::ScriptedModel, usual_base_url};
use booty_policy::Untrusted;
use booty_sandbox::{Backend, Cage, Mount, Sandbox};

use super::{
    Stop,
    child::Agent,
    egress::{Endpoint, Exit, ExitLimits},
};
use crate::{
    agent::protocol::Start,
    outcome::Ending,
    shared::{Shared, chain},
};

/// Where the agent finds the ways to its models.
const SOCKETS: &str = "/run/booty";
const MODEL: &str = "model";
const FALLBACK: &str = "fallback";
/// The name of a model that answers from a file begins with this.
const SCRIPT: &str = "script:";
/// Where the sandbox's program is looked for. The agent's environment holds this and nothing else.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A running agent, and its ways out, which close with it.
pub(crate) struct Confined {
    pub(crate) agent: Agent,
    pub(crate) _exits: Vec<Exit>,
}

/// Starts the agent in its cage; `start` is made to say where things are inside. Without isolation, which
/// an operator has to ask for by name, it is a process like any other.
pub(crate) async fn spawn(shared: &Shared, start: &mut Start) -> Result<Confined, Stop> {
    let program = &shared.settings.agent;
    let started =
        |error: std::io::Error| Stop::failed(format!("the agent can't be started: {error}"));
    if shared.settings.sandbox.backend == Backend::None {
        let agent = Agent::spawn_bare(program, PATH).map_err(started)?;
        return Ok(Confined { agent, _exits: Vec::new() });
    }
    let sandbox = shared.sandbox().await.map_err(|error| unavailable(error.to_string()))?;
    // Both as they were found: inside there are no links to them.
    if let Backend::Bwrap { program } = &sandbox.settings().backend {
        start.sandbox.bwrap = Some(program.clone());
    }
    start.sandbox.read_only.clone_from(&sandbox.settings().read_only);

    let mut cage =
        Cage { program: program.program.clone(), args: program.args.clone(), ..Cage::default() };
    cage.env.insert("PATH".to_owned(), PATH.to_owned());
    cage.mounts.extend(program.files.iter().map(|file| Mount::read_only(file, file)));
    for (name, path) in &program.certificates {
        cage.env.insert(name.clone(), path.display().to_string());
        cage.mounts.push(Mount::read_only(path, path));
    }
    for tree in [&start.source_tree, &start.run_tree] {
        cage.mounts.push(Mount::writable(tree, tree));
    }
    own(sandbox, vec![start.source_tree.clone(), start.run_tree.clone()]).await?;
    let exits = models(sandbox, start, &mut cage)?;
    let agent =
        Agent::spawn_caged(sandbox, &cage).await.map_err(|error| unavailable(chain(&error)))?;
    Ok(Confined { agent, _exits: exits })
}

/// How a job ends that would have to run without isolation.
pub(crate) fn unavailable(why: impl Into<Untrusted<String>>) -> Stop {
    Stop::End(no_sandbox(why))
}

pub(crate) fn no_sandbox(why: impl Into<Untrusted<String>>) -> Ending {
    Ending::needs_human(
        "sandbox_unavailable",
        "I can't run this repository's commands: sandbox unavailable. The operator has to look:",
    )
    .quoting(why)
}

/// As root the agent is somebody else, and so is who runs the commands.
async fn own(sandbox: &Sandbox, trees: Vec<PathBuf>) -> Result<(), Stop> {
    let sandbox = sandbox.clone();
    let owned =
        tokio::task::spawn_blocking(move || trees.iter().try_for_each(|tree| sandbox.own(tree)));
    match owned.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Stop::failed(chain(&error))),
        Err(error) => Err(Stop::failed(error.to_string())),
    }
}

/// Opens the way to each model that the agent may ask.
fn models(sandbox: &Sandbox, start: &mut Start, cage: &mut Cage) -> Result<Vec<Exit>, Stop> {
    let folder = start.source_tree.parent().unwrap_or(&start.source_tree).to_owned();
    let mut exits = Vec::new();
    let wanted = [(Some(&mut start.model), MODEL), (start.model_fallback.as_mut(), FALLBACK)];
    for (choice, name) in wanted {
        let Some(choice) = choice else { continue };
        if let Some(path) = choice.spec.strip_prefix(SCRIPT) {
            let path = script(sandbox, Path::new(path), cage)?;
            choice.spec = format!("{SCRIPT}{}", path.display());
            continue;
        }
        let to = endpoint(&choice.spec, choice.base_url.as_deref())?;
        let exit = exit(sandbox, &folder, name, to)?;
        let inside = Path::new(SOCKETS).join(name);
        cage.mounts.push(Mount::read_only(exit.socket(), &inside));
        choice.socket = Some(inside);
        exits.push(exit);
    }
    Ok(exits)
}

fn exit(sandbox: &Sandbox, folder: &Path, name: &str, to: Endpoint) -> Result<Exit, Stop> {
    Exit::open(folder, name, sandbox.run_as(), to, ExitLimits::default())
        .map_err(|error| Stop::failed(format!("the way to the model can't be opened: {error}")))
}

/// Where a model is asked: at the operator's base URL, or where its provider usually is.
fn endpoint(model: &str, base_url: Option<&str>) -> Result<Endpoint, Stop> {
    let provider = model.split(':').next().unwrap_or_default();
    let found = match base_url.or_else(|| usual_base_url(model)) {
        Some(url) => {
            Endpoint::of(url).map_err(|why| format!("MODEL_BASE_URL can't be used: {why}"))
        }
        None => Err(format!("{provider} has no usual place; set MODEL_BASE_URL")),
    };
    found.map_err(|why| {
        let sentence = "I gave up because the model can't be reached. The operator has to look:";
        Stop::End(Ending::gave_up("model_failed", sentence).quoting(why))
    })
}

/// Lets the agent read one script, and write the logs that it names. Returns where it is.
fn script(sandbox: &Sandbox, path: &Path, cage: &mut Cage) -> Result<PathBuf, Stop> {
    let failed = |error: std::io::Error| Stop::failed(format!("{}: {error}", path.display()));
    let path = std::path::absolute(path).map_err(failed)?;
    // The agent says what is wrong with one that is not there or no script.
    if let Ok(model) = ScriptedModel::load(&path) {
        for log in model.logs() {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(&log);
            opened.map_err(failed)?;
            if let Some((user, group)) = sandbox.run_as() {
                std::os::unix::fs::chown(&log, Some(user), Some(group)).map_err(failed)?;
            }
            cage.mounts.push(Mount::writable(&log, &log));
        }
    }
    if path.is_file() {
        cage.mounts.push(Mount::read_only(&path, &path));
    }
    Ok(path)
}
