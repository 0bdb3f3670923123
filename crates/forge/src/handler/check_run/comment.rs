//! One comment on a pull request that stands for its check runs where there can't be any: edited with
//! each verdict, never repeated.

use std::{
    mem,
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use booty_events::{EffectId, v1::CheckRun};
use booty_github::{Endpoint, object::Comment};
use booty_policy::markdown::head_and_tail;
use serde_json::{Value, json};

use super::title;
use crate::{
    marker::Kind,
    once::{self, Creation, Made, once_ever},
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

const STEP: &str = "comment";

/// Room for the summary, and for all; what is over it is cut in the middle. GitHub takes 65,536
/// characters, marker included.
const LONGEST_SUMMARY: usize = 20_000;
const LONGEST_BODY: usize = 65_000;

/// Makes the comment say this verdict. A verdict on a commit that is not the head any more is said
/// by its status alone.
pub(super) async fn upsert(work: &mut Work<'_>, write: &CheckRun) -> Result<(), Stop> {
    let pull = work.github.get_pull(&work.repo, write.pull_request).await;
    let is_head = |sha: &str| sha == write.head_sha;
    if !work.read(pull).await?.is_some_and(|pull| is_head(&pull.head.sha)) {
        return Ok(());
    }
    let records = &work.core.records;
    let record = records.of_check_comment(&work.repo, write.pull_request, &write.name).await?;
    let run = mem::replace(&mut work.record, record);
    let said = say(work, write).await;
    let comment = mem::replace(&mut work.record, run);
    once::hand_on_audit(&comment, &mut work.record);
    said
}

async fn say(work: &mut Work<'_>, write: &CheckRun) -> Result<(), Stop> {
    // Of the pull request, whatever effect asks for it.
    let repo = work.repo.as_str().to_ascii_lowercase();
    let id =
        EffectId::new("check_comment", &format!("{repo}#{}/{}", write.pull_request, write.name));
    let body = work.core.markers.mark(&body(write), Kind::Comment, &work.repo, &id);
    loop {
        let creation = OnPull { write, id: &id, body: &body, is_created: AtomicBool::new(false) };
        let made = once_ever(work, &creation).await?;
        if creation.is_created.load(Ordering::Relaxed) {
            return Ok(());
        }
        let at = Endpoint::repo(&work.repo).at("issues").at("comments").at(made.id);
        let change = json!({ "body": body });
        let request = || work.github.patch::<Value>(at.clone(), &change);
        match work.gate.send(request).await {
            // Somebody deleted it.
            Err(NotSent::Github(error)) if error.is_not_found() => {
                work.record.state.steps.remove(STEP);
                work.save().await?;
            }
            sent => return work.repeatable(sent).await.map(drop),
        }
    }
}

fn body(write: &CheckRun) -> String {
    let short: String = write.head_sha.chars().take(10).collect();
    let title = title(write);
    let head = format!("**{}: {}** at {short}\n\n{title}", write.name, write.conclusion);
    let summary = head_and_tail(write.summary.trim(), LONGEST_SUMMARY);
    let mut body = format!("{head}\n\n{summary}").trim_end().to_owned();
    let text = write.text.trim();
    if !text.is_empty() {
        let room = LONGEST_BODY.saturating_sub(body.chars().count());
        body = format!("{body}\n\n{}", head_and_tail(text, room));
    }
    body
}

struct OnPull<'a> {
    write: &'a CheckRun,
    id: &'a EffectId,
    body: &'a str,
    is_created: AtomicBool,
}

#[async_trait]
impl Creation for OnPull<'_> {
    fn step(&self) -> &str {
        STEP
    }

    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let (mut found, mut number) = (Vec::new(), 1);
        loop {
            let pull = self.write.pull_request;
            let page = work.github.list_comments(&work.repo, pull, None, number).await?;
            found.extend(page.items.into_iter().filter(|comment| {
                let body = comment.body.as_deref().unwrap_or_default();
                let marked = work.core.markers.of_body(body, Kind::Comment, &work.repo);
                marked.as_ref() == Some(self.id) && work.is_ours(comment.user.as_ref())
            }));
            if !page.has_next {
                return Ok(found.into_iter().map(made).collect());
            }
            number += 1;
        }
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        let at = Endpoint::repo(&work.repo).at("issues").at(self.write.pull_request);
        let body = json!({ "body": self.body });
        let sent = work.github.post::<Comment>(at.at("comments"), &body).await?;
        self.is_created.store(true, Ordering::Relaxed);
        Ok(made(sent.body))
    }

    async fn remove(&self, work: &Work<'_>, surplus: &Made) -> Result<(), NotSent> {
        let at = Endpoint::repo(&work.repo).at("issues").at("comments").at(surplus.id);
        match work.gate.send(|| work.github.delete(at.clone())).await {
            Err(NotSent::Github(error)) if error.is_not_found() => Ok(()),
            sent => sent,
        }
    }
}

fn made(comment: Comment) -> Made {
    Made { id: comment.id, url: comment.html_url }
}
