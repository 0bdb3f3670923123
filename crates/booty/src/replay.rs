//! `booty replay`: a job's journal, played again beside what it came to then.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use booty_builder::{
    Unfinished,
    replay::{Decision, Question, Replay, replay, repository_of},
};
use booty_bus::Bus;
use booty_events::JobId;
use booty_service::{Env, Exit, common};
use booty_workspace::{WorkspaceSettings, Workspaces};

use crate::{cli::ReplayArgs, operator};

pub(crate) async fn run(args: ReplayArgs) -> anyhow::Result<Exit> {
    let job: JobId = match args.job.parse() {
        Ok(job) => job,
        Err(error) => return operator::usage(&error),
    };
    let played = match play(&args, job).await {
        Ok(played) => played,
        Err(error) => {
            writeln!(io::stderr(), "booty: can't be played: {error:#}")?;
            // 1 would say that it comes to something else.
            return Ok(Exit::CouldNotJudge);
        }
    };
    let mut out = io::stdout();
    if args.json {
        let mut shown = serde_json::to_value(&played)?;
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("same".to_owned(), played.is_same().into());
        }
        writeln!(out, "{shown:#}")?;
    } else {
        write!(out, "{}", text(&played))?;
    }
    Ok(if played.is_same() { Exit::Success } else { Exit::Failure })
}

async fn play(args: &ReplayArgs, job: JobId) -> anyhow::Result<Replay> {
    let mut env = Env::from_process();
    let data = common::data_dir(&mut env);
    let rounds = u32::try_from(env.number_or("BUILDER_ROUNDS", 3, 1..=10)).unwrap_or(3);
    let unfinished = env.parse_or("BUILDER_UNFINISHED", Unfinished::default());
    env.finish()?;
    let config = match &args.config {
        Some(path) => Some(std::fs::read(path).with_context(|| format!("{}", path.display()))?),
        None => None,
    };
    let bus = operator::connect("booty-replay").await?;
    let repository = match &args.repo {
        Some(repository) => repository.clone(),
        None => mirror(&bus, &job, &data.join("workspaces")).await?,
    };
    let folder = tempfile::Builder::new()
        .prefix("booty-replay-")
        .tempdir()
        .context("a folder for the checkout can't be made; set TMPDIR")?;
    let workspaces = Workspaces::open(WorkspaceSettings {
        root: folder.path().to_owned(),
        limits: booty_workspace::TreeLimits::default(),
        fetch_timeout: Duration::from_secs(60),
    })?;
    let question = Question { job, attempt: args.attempt, repository, config, rounds, unfinished };
    Ok(replay(&bus, &workspaces, question).await?)
}

/// The builder's own copy of the job's repository.
async fn mirror(bus: &Bus, job: &JobId, root: &std::path::Path) -> anyhow::Result<PathBuf> {
    let name = repository_of(bus, job).await?;
    Workspaces::find_mirror(root, &name.token())?.with_context(|| {
        format!(
            "there is no mirror of {name} below {}; set BOOTY_DATA_DIR to the builder's, or name a clone \
             with --repo",
            root.display()
        )
    })
}

fn text(played: &Replay) -> String {
    let Replay { run, repository, base, steps, differences, then, now } = played;
    let mut lines = vec![format!("{run}: {steps} steps on {repository} at {base}")];
    lines.extend(differences.iter().map(|difference| format!("  {difference}")));
    match then {
        Some(then) if then == now => lines.push(format!("then and now  {}", told(now))),
        Some(then) => {
            lines.push(format!("then  {}", told(then)));
            lines.push(format!("now   {}", told(now)));
        }
        None => {
            lines.push("then  the job has not ended".to_owned());
            lines.push(format!("now   {}", told(now)));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn told(decision: &Decision) -> String {
    let Decision { outcome, reason, promote, changes } = decision;
    let mut text = outcome.replace('_', " ");
    if !reason.is_empty() {
        text.push_str(&format!(": {reason}"));
    }
    for change in changes {
        let hash =
            change.sha256.as_deref().map_or("deleted", |hash| hash.get(..12).unwrap_or(hash));
        // Names of files come from outside, and this goes to a terminal.
        text.push_str(&format!("\n        {} {hash}", change.path.escape_debug()));
    }
    if !changes.is_empty() {
        text.push_str(if *promote {
            "\n        the draft may end by itself"
        } else {
            "\n        the draft stays one"
        });
    }
    text
}
