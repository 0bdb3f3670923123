//! Annotations: GitHub adds what it is sent to what is there, 50 at a time, and takes none away.
//!
//! So each is known by its hash, and none is sent that was sent before. Whether a request with a lost
//! answer was done is seen by how many the run has.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use booty_events::{
    Message,
    v1::{Annotation, CheckRun},
};
use booty_github::pace::Write;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{fit, run};
use crate::{
    once::{Creation, Made, once},
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

/// GitHub takes no more in one request.
const BATCH: usize = 50;
/// Nobody reads more of them, and each batch is a request.
const MOST: usize = 1000;
/// GitHub's limit on an annotation's title, in characters.
const LONGEST_TITLE: usize = 255;

/// How many the run has.
const COUNT: &str = "annotations";
/// The hashes of those that are there.
const SENT: &str = "annotation_hashes";
/// The hashes of those that are under way.
const UNDER_WAY: &str = "annotations_under_way";
/// The step of a batch's request.
const STEP: &str = "annotate";
/// How many hexadecimal digits of a hash are kept.
const DIGITS: usize = 16;

/// Finds out how many a run has that we know nothing of.
pub(super) async fn begin(work: &mut Work<'_>, run: u64, is_created: bool) -> Result<(), Stop> {
    if work.record.step(COUNT).is_some() {
        return Ok(());
    }
    let count = if is_created { 0 } else { count(work, run).await? };
    work.record.state.steps.insert(COUNT.to_owned(), count.to_string());
    work.save().await
}

async fn count(work: &mut Work<'_>, run: u64) -> Result<u64, Stop> {
    let found = work.github.get_check_run(&work.repo, run).await;
    Ok(work.read(found).await?.map_or(0, |run| run.output.annotations_count))
}

/// Sends those that the run has not.
pub(super) async fn add(work: &mut Work<'_>, write: &CheckRun, run: u64) -> Result<(), Stop> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<(String, &Annotation)> = write
        .annotations
        .iter()
        .take(MOST)
        .map(|annotation| (hash(annotation), annotation))
        .filter(|(hash, _)| seen.insert(hash.clone()))
        .collect();
    if write.annotations.len() > MOST {
        tracing::warn!(of = write.annotations.len(), sent = MOST, "annotations were left out");
    }
    loop {
        let sent = hashes(work, SENT);
        // A batch that is under way comes first, also when an older version wanted it.
        let mut batch = hashes(work, UNDER_WAY);
        if batch.is_empty() {
            let unsent = wanted.iter().map(|(hash, _)| hash).filter(|hash| !sent.contains(*hash));
            batch = unsent.take(BATCH).cloned().collect();
        }
        if batch.is_empty() {
            return Ok(());
        }
        let known = work.record.step(COUNT).and_then(|count| count.parse().ok()).unwrap_or(0u64);
        let annotations: Vec<Value> = wanted
            .iter()
            .filter(|(hash, _)| batch.contains(hash))
            .map(|(_, annotation)| as_json(annotation))
            .collect();
        let request = Batch {
            write,
            run,
            reaches: known + u64::try_from(batch.len()).unwrap_or(u64::MAX),
            annotations: &annotations,
            is_sent: AtomicBool::new(false),
        };
        // Saved with the intent, before the request leaves.
        work.record.state.steps.insert(UNDER_WAY.to_owned(), joined(&batch));
        once(work, &request).await?;
        if request.is_sent.load(Ordering::Relaxed) {
            batch.retain(|hash| wanted.iter().any(|(wanted, _)| wanted == hash));
        }
        let count = known + u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let steps = &mut work.record.state.steps;
        steps.insert(COUNT.to_owned(), count.to_string());
        steps.insert(SENT.to_owned(), joined(&sent.union(&batch).cloned().collect()));
        steps.remove(UNDER_WAY);
        steps.remove(STEP);
        work.save().await?;
    }
}

struct Batch<'a> {
    write: &'a CheckRun,
    run: u64,
    /// How many the run has when this is done.
    reaches: u64,
    annotations: &'a [Value],
    is_sent: AtomicBool,
}

#[async_trait]
impl Creation for Batch<'_> {
    fn step(&self) -> &str {
        STEP
    }

    /// A run is no news to anybody when it is changed.
    fn cost(&self) -> Write {
        Write::Other
    }

    fn is_removable(&self) -> bool {
        false
    }

    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let run = work.github.get_check_run(&work.repo, self.run).await?;
        let there = run.filter(|run| run.output.annotations_count >= self.reaches);
        Ok(there.map(|run| Made { id: run.id, url: run.html_url }).into_iter().collect())
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        // What was under way for an older version and is not wanted any more.
        if !self.annotations.is_empty() {
            let mut output = run::output(self.write);
            output.insert("annotations".to_owned(), json!(self.annotations));
            let body = json!({ "output": output });
            work.github.patch::<Value>(run::at(work, self.run), &body).await?;
        }
        self.is_sent.store(true, Ordering::Relaxed);
        Ok(Made { id: self.run, url: String::new() })
    }

    async fn remove(&self, _work: &Work<'_>, _surplus: &Made) -> Result<(), NotSent> {
        Ok(())
    }
}

fn as_json(annotation: &Annotation) -> Value {
    let start = annotation.start_line.max(1);
    let level = match annotation.level.as_str() {
        level @ ("failure" | "warning" | "notice") => level,
        _ => "warning",
    };
    let message = match annotation.message.trim() {
        "" => "(no message)",
        message => message,
    };
    let mut value = json!({
        "path": annotation.path,
        "start_line": start,
        "end_line": annotation.end_line.max(start),
        "annotation_level": level,
        "message": fit(message),
    });
    let title: String = annotation.title.chars().take(LONGEST_TITLE).collect();
    let details = fit(&annotation.raw_details);
    for (name, text) in [("title", title), ("raw_details", details)] {
        if !text.is_empty() {
            value[name] = json!(text);
        }
    }
    value
}

fn hash(annotation: &Annotation) -> String {
    let mut digits = hex::encode(Sha256::digest(annotation.encode_to_vec()));
    digits.truncate(DIGITS);
    digits
}

fn hashes(work: &Work<'_>, step: &str) -> BTreeSet<String> {
    work.record.step(step).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn joined(hashes: &BTreeSet<String>) -> String {
    hashes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
