//! `booty demo`: the whole line on this machine. Everything is real but GitHub and the model.

mod chaos;
mod repository;
mod stage;
mod timeline;
mod verdict;

use std::{io::Write as _, time::Duration};

use anyhow::Context as _;
use booty_service::Exit;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::cli::DemoArgs;
use chaos::Chaos;
use stage::Stage;
use timeline::{Timeline, say};

/// Only a broken line takes this long.
const LIMIT: Duration = Duration::from_secs(60);
/// With everything being killed on the way.
const CHAOS_LIMIT: Duration = Duration::from_secs(180);

pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let folder = tempfile::Builder::new().prefix("booty-demo-").tempdir()?;
    let path = folder.path().to_owned();
    let limit = if args.chaos { CHAOS_LIMIT } else { LIMIT };
    let played = timeout(limit, play(&args, &path, started))
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("not done after {} s", limit.as_secs())));
    let mut out = std::io::stdout();
    if args.keep || played.is_err() {
        writeln!(out, "\nlogs, broker store and repositories: {}", folder.keep().display())?;
    }
    played?;
    writeln!(out, "\nall of it is true, after {:.1} s", started.elapsed().as_secs_f64())?;
    Ok(Exit::Success)
}

async fn play(args: &DemoArgs, folder: &std::path::Path, started: Instant) -> anyhow::Result<()> {
    let mut stage = Stage::set(folder, args.chaos, started).await?;
    let timeline = Timeline::new();
    let events = timeline.subscribe();
    let killed = timeline.subscribe();
    let stop = CancellationToken::new();
    let bus = stage.bus.clone();
    let following = timeline.follow(&bus, started, stop.clone());

    let acting = async {
        stage.alert(started).await?;
        let said = if args.chaos {
            let seed = args.seed.unwrap_or_else(rand::random);
            say(
                started,
                "chaos",
                &format!("seed {seed} (again with: booty demo --chaos --seed {seed})"),
            );
            let done = stage::promoted(events);
            let chaos = Chaos::new(seed).run(started, killed, &stage.children, &mut stage.server);
            let (done, chaos) = tokio::join!(done, chaos);
            chaos?;
            done?
        } else {
            stage::promoted(events).await?
        };
        let job = stage.finished_job().await?;
        verdict::refined(&said)?;
        verdict::once(&stage.sim.snapshot()?, &job, args.chaos)?;
        verdict::nothing_was_told(&stage.bus).await?;
        anyhow::Ok(job)
    };
    let (job, ()) = tokio::join!(
        async {
            let acted = acting.await;
            stop.cancel();
            acted
        },
        following
    );
    let job = job?;
    let diff = stage.pull_request_diff().context("the pull request's diff")?;
    writeln!(std::io::stdout(), "\n{}\n\n{}", job.url, colour(&diff))?;
    anyhow::ensure!(
        diff.lines().any(|line| line == repository::REPAIR),
        "the pull request does not hold the repair"
    );
    stage.clear().await
}

/// Additions green and deletions red, at a terminal.
fn colour(diff: &str) -> String {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        return diff.to_owned();
    }
    let paint = |line: &str| match line.as_bytes().first() {
        Some(b'+') => format!("\x1b[32m{line}\x1b[0m"),
        Some(b'-') => format!("\x1b[31m{line}\x1b[0m"),
        Some(b'@') => format!("\x1b[36m{line}\x1b[0m"),
        _ => line.to_owned(),
    };
    diff.lines().map(paint).collect::<Vec<_>>().join("\n")
}
