//! `booty jobs`: what became of every job.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use booty_bus::Bus;
use booty_events::{
    JobId,
    v1::{Job, JobState},
};
use booty_service::{Env, Exit, JobStore, common};
use comfy_table::{ContentArrangement, Table, presets};

use crate::cli::JobsArgs;

pub(crate) async fn run(args: JobsArgs) -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let settings = common::bus(&mut env, "booty-jobs");
    env.finish()?;
    let limit = settings.request_timeout;
    let bus = Bus::connect(settings).await?;
    tokio::time::timeout(limit, bus.client().flush())
        .await
        .ok()
        .and_then(Result::ok)
        // Not the URL itself: it may hold a password.
        .context("no NATS server answers; is it running, and is NATS_URL right?")?;
    let store = JobStore::new(&bus);

    let mut out = std::io::stdout().lock();
    let Some(id) = args.id else {
        let jobs = store.list().await?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&jobs)?)?;
        } else if jobs.is_empty() {
            writeln!(
                out,
                "no service has taken up a job yet; `booty jobs ID` also finds one that waits"
            )?;
        } else {
            writeln!(out, "{}", table(&jobs))?;
        }
        return Ok(Exit::Success);
    };

    let id: JobId = id.parse()?;
    let Some(job) = store.find(&id).await? else {
        bail!("no job {id} is known; `booty jobs` lists them");
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&job)?)?;
    } else {
        for (name, value) in facts(&job) {
            writeln!(out, "{name:<14}{value}")?;
        }
    }
    Ok(Exit::Success)
}

fn table(jobs: &[Job]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["JOB", "STATE", "STEP", "ISSUE", "PULL REQUEST", "UPDATED"]);
    for job in jobs {
        let pull = if job.pull_request > 0 { format!("#{}", job.pull_request) } else { "-".into() };
        table.add_row([
            job.id.clone(),
            state(job).to_owned(),
            [job.step.as_str(), job.reason.as_str()].join(" ").trim().to_owned(),
            format!("{}#{}", job.repository, job.issue),
            pull,
            time(job.updated.as_ref()),
        ]);
    }
    table
}

fn facts(job: &Job) -> Vec<(&'static str, String)> {
    let all = [
        ("job", job.id.clone()),
        ("state", state(job).to_owned()),
        ("step", job.step.clone()),
        ("reason", job.reason.clone()),
        (
            "issue",
            if job.issue > 0 { format!("{}#{}", job.repository, job.issue) } else { String::new() },
        ),
        ("title", job.title.clone()),
        ("pull request", job.url.clone()),
        ("attempt", if job.attempt > 0 { job.attempt.to_string() } else { String::new() }),
        ("follow-ups", if job.follow_ups > 0 { job.follow_ups.to_string() } else { String::new() }),
        ("verdict", job.verdict.clone()),
        ("delivery", job.delivery_id.clone()),
        ("created", time(job.created.as_ref())),
        ("updated", time(job.updated.as_ref())),
        ("trace", job.trace_id.clone()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn state(job: &Job) -> &'static str {
    match job.state() {
        JobState::Unspecified => "UNKNOWN",
        JobState::Queued => "QUEUED",
        JobState::Running => "RUNNING",
        JobState::Completed => "COMPLETED",
        JobState::Failed => "FAILED",
    }
}

fn time(timestamp: Option<&booty_events::Timestamp>) -> String {
    timestamp
        .and_then(|t| chrono::DateTime::from_timestamp(t.seconds, u32::try_from(t.nanos).ok()?))
        .map(|t| t.format("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_default()
}
