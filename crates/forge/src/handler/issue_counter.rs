//! How often what an issue is about came again: one comment for what is counted, edited from version to
//! version; and the issue is opened again when that is asked for.
//!
//! The comment comes first, the opening last. Dying between the two leaves a closed issue that says
//! truly how often it came again; the effect goes on from there. The other way round an issue would be
//! open again with nobody told why, for as long as a comment's pace can take; and whoever closed it in
//! that time would find it opened a second time.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use booty_events::{EffectId, v1::IssueCounter};
use booty_github::{
    Endpoint,
    object::{Comment, Issue},
};
use serde_json::{Value, json};

use super::Applied;
use crate::{
    marker::Kind,
    once::{self, Creation, Made, once_ever},
    outcome::Stop,
    record::Record,
    work::Work,
    writer::NotSent,
};

/// The attribute of an event that says that the issue was opened again; in the counter's record the
/// newest version that did so.
pub(super) const REOPENED: &str = "reopened";

/// The comment, in the counter's record.
const STEP: &str = "comment";
/// The newest version that the comment said, in the counter's record.
const SAID: &str = "said";

pub(super) async fn apply(work: &mut Work<'_>, write: &IssueCounter) -> Result<Applied, Stop> {
    check(write)?;
    let mut counter = work.core.records.of_counter(&work.repo, write.issue, &write.name).await?;
    let newest = counter.state.version;
    let is_overtaken =
        counter.exists() && counter.state.effect_id != work.id.as_str() && write.version <= newest;
    // An overtaken count is said by the one that overtook it. What was to be opened is not.
    if is_overtaken && (!write.reopen || version(&counter, REOPENED) >= write.version) {
        return Ok(Applied::not_newer(write.version, newest));
    }
    let found = work.github.get_issue(&work.repo, write.issue).await;
    let issue = match work.read(found).await? {
        Some(issue) => issue,
        None => return Ok(gone(write, "it is deleted, hidden, or issues are disabled")),
    };
    if issue.pull_request.is_some() {
        return Ok(gone(write, "it is a pull request"));
    }
    if !is_at_home(work, &issue, write.issue).await? {
        return Ok(gone(write, &format!("it moved to {}", issue.html_url)));
    }
    if !is_overtaken && counter.state.effect_id != work.id.as_str() {
        // Taken up: older ones are skipped from now on, also those that were begun.
        counter.state.effect_id = work.id.to_string();
        counter.state.version = write.version;
        once::forget_failures(&mut counter);
        work.core.records.save(&mut counter).await?;
    }
    let effect = std::mem::replace(&mut work.record, counter);
    let brought = bring_up(work, write, &issue, is_overtaken).await;
    let mut counter = std::mem::replace(&mut work.record, effect);
    match brought {
        Ok(reopened) => {
            let said = counter.step(STEP).and_then(Made::from_step);
            work.record.state.url = said.map_or(issue.html_url, |made| made.url);
            if reopened {
                work.record.state.steps.insert(REOPENED.to_owned(), "true".to_owned());
            }
            once::hand_on_audit(&counter, &mut work.record);
            Ok(Applied::Now)
        }
        Err(stop) => {
            if matches!(stop, Stop::Failed { .. }) {
                // The next version, or an operator's replay, has tries of its own.
                once::forget_failures(&mut counter);
                work.core.records.save(&mut counter).await?;
            }
            Err(stop)
        }
    }
}

fn check(write: &IssueCounter) -> Result<(), Stop> {
    let invalid = |why: &str| Err(Stop::failed("invalid", why));
    if write.issue == 0 {
        return invalid("the counter names no issue");
    }
    if write.name.trim().is_empty() {
        return invalid("the counter has no name");
    }
    if write.body.trim().is_empty() {
        return invalid("the counter says nothing");
    }
    Ok(())
}

fn gone(write: &IssueCounter, why: &str) -> Applied {
    Applied::Skipped { reason: "issue_gone", why: format!("#{}: {why}", write.issue) }
}

/// The version that a step is about; 0 where there is none.
fn version(counter: &Record, step: &str) -> u64 {
    counter.step(step).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether the issue is where it was asked for. One that was transferred is answered with a redirect to
/// its new place, as a renamed repository's is to the same issue.
async fn is_at_home(work: &mut Work<'_>, issue: &Issue, number: u64) -> Result<bool, Stop> {
    let Some(home) = issue.repository() else { return Ok(issue.number == number) };
    if home.eq_ignore_ascii_case(work.repo.as_str()) {
        return Ok(issue.number == number);
    }
    let renamed = work.github.get_repository(&work.repo).await;
    let now = work.read(renamed).await?.map(|repository| repository.full_name);
    Ok(issue.number == number && now.is_some_and(|name| name.eq_ignore_ascii_case(&home)))
}

/// With the counter's record in `work`. Whether the issue was opened.
async fn bring_up(
    work: &mut Work<'_>,
    write: &IssueCounter,
    issue: &Issue,
    is_overtaken: bool,
) -> Result<bool, Stop> {
    // What somebody deleted is not said again in the same version.
    if !is_overtaken && version(&work.record, SAID) < write.version {
        say(work, write).await?;
        work.done(SAID, write.version.to_string()).await?;
    }
    if !write.reopen || version(&work.record, REOPENED) >= write.version {
        return Ok(false);
    }
    let is_closed = issue.state == "closed";
    if is_closed {
        let at = Endpoint::repo(&work.repo).at("issues").at(write.issue);
        let change = json!({ "state": "open" });
        let sent = work.gate.send(|| work.github.patch::<Value>(at.clone(), &change)).await;
        work.repeatable(sent).await?;
    }
    work.done(REOPENED, write.version.to_string()).await?;
    Ok(is_closed)
}

/// Makes the comment say this version.
async fn say(work: &mut Work<'_>, write: &IssueCounter) -> Result<(), Stop> {
    // Of the issue and what is counted, whatever effect asks for it.
    let repo = work.repo.as_str().to_ascii_lowercase();
    let id = EffectId::new("issue_counter", &format!("{repo}#{}/{}", write.issue, write.name));
    let body = work.core.markers.mark(&write.body, Kind::Comment, &work.repo, &id);
    loop {
        let creation = Counter { write, id: &id, body: &body, is_created: AtomicBool::new(false) };
        let made = once_ever(work, &creation).await?;
        if creation.is_created.load(Ordering::Relaxed) {
            return Ok(());
        }
        let at = Endpoint::repo(&work.repo).at("issues").at("comments").at(made.id);
        let change = json!({ "body": body });
        match work.gate.send(|| work.github.patch::<Value>(at.clone(), &change)).await {
            // Somebody deleted it: a new version is worth a new one.
            Err(NotSent::Github(error)) if error.is_not_found() => {
                work.record.state.steps.remove(STEP);
                work.save().await?;
            }
            sent => return work.repeatable(sent).await.map(drop),
        }
    }
}

struct Counter<'a> {
    write: &'a IssueCounter,
    id: &'a EffectId,
    body: &'a str,
    is_created: AtomicBool,
}

#[async_trait]
impl Creation for Counter<'_> {
    fn step(&self) -> &str {
        STEP
    }

    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let (mut found, mut number) = (Vec::new(), 1);
        loop {
            let page =
                work.github.list_comments(&work.repo, self.write.issue, None, number).await?;
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
        let at = Endpoint::repo(&work.repo).at("issues").at(self.write.issue);
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
