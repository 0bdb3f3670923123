//! `booty jobs`: what became of every job.

use std::{collections::HashMap, io::Write as _, pin::pin, time::Duration};

use anyhow::bail;
use booty_events::{
    JobId,
    v1::{Job, JobState},
};
use booty_service::{Exit, JobStore};
use comfy_table::{ContentArrangement, Table, presets};
use futures_util::StreamExt as _;

use crate::{cli::JobsArgs, operator};

pub(crate) async fn run(args: JobsArgs) -> anyhow::Result<Exit> {
    let bus = operator::connect("booty-jobs").await?;
    let store = JobStore::new(&bus);
    if args.watch {
        return watch(&store, args).await;
    }

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

/// The pause before a watch that broke is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells every change; ends with the one job.
async fn watch(store: &JobStore, args: JobsArgs) -> anyhow::Result<Exit> {
    let id: Option<JobId> = args.id.as_deref().map(str::parse).transpose()?;
    let mut known: HashMap<String, Job> = HashMap::new();
    if let Some(id) = &id {
        let Some(job) = store.find(id).await? else {
            bail!("no job {id} is known; `booty jobs` lists them");
        };
        if let Some(exit) = told(&mut known, job, &args)? {
            return Ok(exit);
        }
    }
    loop {
        let mut watch = pin!(store.watch(id.as_ref()).await?);
        while let Some(change) = watch.next().await {
            let job = match change {
                Ok(job) => job,
                Err(error) => {
                    writeln!(std::io::stderr(), "booty: {error}; watches again")?;
                    break;
                }
            };
            if let Some(exit) = told(&mut known, job, &args)? {
                return Ok(exit);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints what is new; the exit code when the one job that is watched has ended.
fn told(
    known: &mut HashMap<String, Job>,
    job: Job,
    args: &JobsArgs,
) -> anyhow::Result<Option<Exit>> {
    if known.get(&job.id) != Some(&job) {
        let mut out = std::io::stdout().lock();
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&job)?)?;
        } else {
            let what = [job.step.as_str(), job.reason.as_str(), job.url.as_str()].join(" ");
            let when = time(job.updated.as_ref());
            writeln!(out, "{when}  {:<9}  {}  {}", state(&job), job.id, what.trim())?;
        }
        out.flush()?;
        known.insert(job.id.clone(), job.clone());
    }
    Ok(match job.state() {
        _ if args.id.is_none() => None,
        JobState::Completed => Some(Exit::Success),
        JobState::Failed => Some(Exit::Failure),
        JobState::Unspecified | JobState::Queued | JobState::Running => None,
    })
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
