//! The run itself: created once, and its state set as a whole.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use booty_events::{
    Timestamp,
    v1::{CheckRun, CheckStatus},
};
use booty_github::{Endpoint, object};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::{RUN, Said, annotations, fit, title};
use crate::{
    once::{Creation, Made, once_ever},
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

/// GitHub's limit on a run's title, in characters.
const LONGEST_TITLE: usize = 255;

/// Brings the run to the wanted state. Its annotations come before its conclusion, because people and
/// programs read them when they hear of that.
pub(super) async fn bring_up(
    work: &mut Work<'_>,
    write: &CheckRun,
    app: u64,
) -> Result<Said, Stop> {
    let creation = NewRun { write, app, is_created: AtomicBool::new(false) };
    let made = once_ever(work, &creation).await?;
    let is_created = creation.is_created.load(Ordering::Relaxed);
    annotations::begin(work, made.id, is_created).await?;
    annotations::add(work, write, made.id).await?;
    if !is_created || write.status() == CheckStatus::Completed {
        let now = work.core.records.now();
        let at = at(work, made.id);
        let body = Value::Object(state(write, write.status(), now));
        let request = || work.github.patch::<Value>(at.clone(), &body);
        let sent = work.gate.send(request).await;
        work.repeatable(sent).await?;
    }
    Ok(Said { step: RUN, id: made.id, url: made.url })
}

/// Where a run is changed.
pub(super) fn at(work: &Work<'_>, id: u64) -> Endpoint {
    Endpoint::repo(&work.repo).at("check-runs").at(id)
}

struct NewRun<'a> {
    write: &'a CheckRun,
    app: u64,
    /// By us, just now: its state is the one that was sent along.
    is_created: AtomicBool,
}

#[async_trait]
impl Creation for NewRun<'_> {
    fn step(&self) -> &str {
        RUN
    }

    /// Nobody but our App makes runs in its name, so its name and commit are enough to know it by.
    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let CheckRun { head_sha, name, .. } = self.write;
        let runs = work.github.list_check_runs(&work.repo, head_sha, name).await?;
        let is_ours = |run: &object::CheckRun| {
            run.name == *name && run.app.as_ref().is_some_and(|app| app.id == self.app)
        };
        Ok(runs.into_iter().filter(is_ours).map(made).collect())
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        // It is concluded when its annotations are there.
        let status = match self.write.status() {
            CheckStatus::Completed => CheckStatus::InProgress,
            status => status,
        };
        let mut body = state(self.write, status, work.core.records.now());
        body.insert("name".to_owned(), json!(self.write.name));
        body.insert("head_sha".to_owned(), json!(self.write.head_sha));
        let at = Endpoint::repo(&work.repo).at("check-runs");
        let run = work.github.post::<object::CheckRun>(at, &body).await?.body;
        self.is_created.store(true, Ordering::Relaxed);
        Ok(made(run))
    }

    /// GitHub deletes no run. One of another name stands in nobody's way: where the name is required
    /// for merging, the newest of it decides.
    async fn remove(&self, work: &Work<'_>, surplus: &Made) -> Result<(), NotSent> {
        let now = work.core.records.now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let body = json!({
            "name": format!("{} (made twice)", self.write.name),
            "status": "completed",
            "conclusion": "cancelled",
            "completed_at": now,
        });
        let at = at(work, surplus.id);
        work.gate.send(|| work.github.patch::<Value>(at.clone(), &body)).await.map(drop)
    }
}

fn made(run: object::CheckRun) -> Made {
    Made { id: run.id, url: run.html_url }
}

/// The state as the API takes it, without annotations. A run that was completed is opened again by
/// any other status; GitHub takes its conclusion away then.
fn state(write: &CheckRun, status: CheckStatus, now: DateTime<Utc>) -> Map<String, Value> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| _ = body.insert(name.to_owned(), value);
    put(
        "status",
        json!(match status {
            CheckStatus::Completed => "completed",
            CheckStatus::InProgress => "in_progress",
            CheckStatus::Queued | CheckStatus::Unspecified => "queued",
        }),
    );
    if status == CheckStatus::Completed {
        put("conclusion", json!(write.conclusion));
        put("completed_at", json!(time(write.completed_at).unwrap_or_else(|| text(now))));
    }
    if let Some(started) = time(write.started_at) {
        put("started_at", json!(started));
    }
    for (name, value) in [("external_id", &write.external_id), ("details_url", &write.details_url)]
    {
        if !value.is_empty() {
            put(name, json!(value));
        }
    }
    put("output", Value::Object(output(write)));
    body
}

/// Title, summary and text: all of it, or GitHub takes the rest away.
pub(super) fn output(write: &CheckRun) -> Map<String, Value> {
    let title: String = title(write).chars().take(LONGEST_TITLE).collect();
    let summary = match write.summary.trim() {
        "" => title.clone(),
        summary => fit(summary),
    };
    let mut output = Map::new();
    output.insert("title".to_owned(), json!(title));
    output.insert("summary".to_owned(), json!(summary));
    // Also an empty one, or the text of the state before would stay.
    output.insert("text".to_owned(), json!(fit(&write.text)));
    output
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.and_then(|at| DateTime::<Utc>::try_from(at).ok()).map(text)
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
