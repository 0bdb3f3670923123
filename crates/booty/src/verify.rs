//! `booty verify`: the verifier's stages on a local repository, with no GitHub and no broker.

use std::{
    error::Error as _,
    io::{IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use booty_judge::{Conclusion, Judge, Order, Report, Stage, Waiver, report};
use booty_sandbox::{Limits, Sandbox, SandboxSettings};
use booty_service::{Env, Exit, common};
use booty_setup::{Operator, Setup};
use booty_workspace::{Merge, WorkspaceSettings, Workspaces};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{children, cli::VerifyArgs};

/// The job's folders; one process has one job.
const JOB: &str = "verify";
/// Whose caches are filled: changes that a person judges on their own machine.
const SCOPE: &str = "local";
/// How often, and after which pause each, it is tried to remove the folder.
const REMOVALS: u32 = 100;
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn run(args: VerifyArgs) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
    let _stop = stop.clone().drop_guard();
    let report = match judge(&args, &stop).await {
        Ok(report) => report,
        Err(error) => {
            not_judged(&error, args.json)?;
            // 1 would say that the change is bad.
            return Ok(Exit::CouldNotJudge);
        }
    };
    let mut out = std::io::stdout();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        let ansi = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        write!(out, "{}", report::terminal(&report, ansi))?;
    }
    Ok(match report.conclusion {
        Conclusion::Success => Exit::Success,
        Conclusion::Failure => Exit::Failure,
        Conclusion::Neutral => Exit::CouldNotJudge,
    })
}

/// Says why there is no report; for a script too, which reads stdout.
fn not_judged(error: &anyhow::Error, json: bool) -> anyhow::Result<()> {
    let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    let mut text = format!("booty: could not judge: {error}");
    for cause in &causes {
        text.push_str(&format!("\n  because: {cause}"));
    }
    writeln!(std::io::stderr(), "{text}")?;
    if json {
        let said = serde_json::json!({ "error": error.to_string(), "causes": causes });
        writeln!(std::io::stdout(), "{said:#}")?;
    }
    Ok(())
}

async fn judge(args: &VerifyArgs, stop: &CancellationToken) -> anyhow::Result<Report> {
    let folder = tempfile::Builder::new()
        .prefix("booty-verify-")
        .tempdir()
        .context("a folder for the checkouts can't be made; set TMPDIR")?;
    let judged = judge_in(folder.path(), args, stop).await;
    remove(folder).await;
    judged
}

/// A judgement that was called off may still be clearing its own folders away.
async fn remove(folder: TempDir) {
    let path = folder.keep();
    for _ in 0..REMOVALS {
        match tokio::fs::remove_dir_all(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tokio::time::sleep(REMOVAL_PAUSE).await;
            }
            _ => return,
        }
    }
    let _ = writeln!(std::io::stderr(), "booty: can't remove {}", path.display());
}

async fn judge_in(
    folder: &Path,
    args: &VerifyArgs,
    stop: &CancellationToken,
) -> anyhow::Result<Report> {
    let scratch = folder.join("reports");
    std::fs::create_dir(&scratch).context("a folder for reports can't be made")?;
    let workspaces = Workspaces::open(WorkspaceSettings {
        root: folder.join("workspaces"),
        limits: booty_workspace::TreeLimits::default(),
        fetch_timeout: Duration::from_secs(60),
    })?;
    let read_only = std::env::var("BOOTY_SANDBOX_RO").unwrap_or_default();
    let backend = std::env::var("BOOTY_SANDBOX").ok();
    let mut settings = SandboxSettings::from_words(backend.as_deref(), &read_only)
        .map_err(|path| anyhow::anyhow!("BOOTY_SANDBOX_RO: {path:?} is not an absolute path"))?;
    settings.forwarder = Some(std::env::current_exe()?);
    let sandbox = Sandbox::prepare(settings).await?;
    let merge = workspaces.merge_local(&args.repo, &args.base, &args.head, stop.clone()).await?;
    let proposal = match merge {
        Merge::Clean(proposal) => proposal,
        Merge::Conflict { base, head, paths } => {
            return Ok(booty_judge::conflict(&base, &head, &paths));
        }
    };
    let judge = Judge {
        sandbox,
        setup: setup(folder)?,
        env: Default::default(),
        limits: Limits::default(),
        scratch,
    };
    let show = !args.json && std::io::stderr().is_terminal();
    let progress = |stage: Stage| {
        if show {
            // Progress that can't be shown is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{} …", stage.doing());
        }
    };
    let repository = repository(&args.repo);
    let waiver = args.waive.then(|| Waiver { label: "--waive".to_owned(), by: "you".to_owned() });
    let order = Order {
        proposal: &proposal,
        repository: &repository,
        scope: SCOPE,
        name: JOB,
        waiver,
        cancel: stop.clone(),
        progress: &progress,
    };
    Ok(judge.judge(&order).await?)
}

/// Dependencies are kept from one run to the next, as the verifier keeps them.
fn setup(folder: &Path) -> anyhow::Result<Setup> {
    let mut env = Env::from_process();
    let data_dir = common::data_dir(&mut env);
    let mut settings = booty_verifier::settings::setup(&mut env, &data_dir);
    env.finish()?;
    let operator = Operator::new(children::environment());
    match Setup::new(settings.clone(), operator.clone()) {
        Ok(setup) => Ok(setup),
        // A home that can't be written to is no reason not to judge.
        Err(error) => {
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            let place = settings.cache_root.display();
            writeln!(
                std::io::stderr(),
                "booty: dependencies are not kept for the next run: {place}: {why} \
                 (BOOTY_DATA_DIR names another folder)"
            )?;
            settings.cache_root = folder.join("setup");
            Ok(Setup::new(settings, operator)?)
        }
    }
}

/// A name for the repository, by where it is.
fn repository(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..16])
}
