//! One new issue, and what it was made from.
//!
//! The issue comes without labels. Its origin is written down next, and the labels come last: they are
//! what starts a build, and a build must know by then what the issue was made from. A crash between two
//! steps leaves an issue that nothing is done about, until the effect goes on.

use std::sync::OnceLock;

use async_trait::async_trait;
use booty_events::v1::{AlertOrigin, CreateIssue};
use booty_github::{Endpoint, object::Issue};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    labels,
    marker::Kind,
    once::{Creation, Made, once},
    origin,
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

/// GitHub's limit on titles, in characters.
const LONGEST_TITLE: usize = 256;

/// How far the broker's clock and GitHub's may be apart when only newer issues are listed.
const CLOCKS_APART: TimeDelta = TimeDelta::hours(1);

pub(super) async fn apply(work: &mut Work<'_>, write: &CreateIssue) -> Result<(), Stop> {
    if write.title.trim().is_empty() {
        return Err(Stop::failed("invalid", "the issue has no title"));
    }
    let creation = NewIssue { write, author: OnceLock::new() };
    let made = once(work, &creation).await?;
    (work.record.state.number, work.record.state.url) = (made.id, made.url);
    if let Some(asked) = &write.origin {
        let author = creation.author.get().cloned();
        let origin = filled_in(work, asked, made.id, author).await?;
        origin::write(work.core, &work.repo, made.id, &origin).await?;
    }
    labels::add(work, made.id, &write.labels, &write.label_looks).await
}

/// The origin as it is written down: the effect and the author are forge's to say.
async fn filled_in(
    work: &mut Work<'_>,
    asked: &AlertOrigin,
    issue: u64,
    seen: Option<String>,
) -> Result<AlertOrigin, Stop> {
    let ours = &work.account.login;
    let author = match seen {
        Some(author) => author,
        None if work.record.is_account(ours) => ours.clone(),
        // Begun with another token: one of the two accounts has made it.
        None => {
            let found = work.github.get_issue(&work.repo, issue).await;
            let author = work.read(found).await?.and_then(|issue| issue.user);
            author.map_or_else(|| ours.clone(), |user| user.login)
        }
    };
    Ok(AlertOrigin { effect_id: work.id.to_string(), author, ..asked.clone() })
}

struct NewIssue<'a> {
    write: &'a CreateIssue,
    /// Who made it, once it was seen.
    author: OnceLock<String>,
}

impl NewIssue<'_> {
    fn made(&self, issue: Issue) -> Made {
        if let Some(user) = issue.user {
            let _ = self.author.set(user.login);
        }
        Made { id: issue.number, url: issue.html_url }
    }
}

#[async_trait]
impl Creation for NewIssue<'_> {
    fn step(&self) -> &'static str {
        "issue"
    }

    /// Only among those that were changed since it was asked for: an old repository has thousands.
    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let since = work.asked_at - CLOCKS_APART;
        let (mut found, mut number) = (Vec::new(), 1);
        loop {
            let page = work.github.list_issues(&work.repo, Some(since), number).await?;
            found.extend(page.items.into_iter().filter(|issue| {
                let body = issue.body.as_deref().unwrap_or_default();
                let marked = work.core.markers.of_body(body, Kind::Issue, &work.repo);
                marked.as_ref() == Some(&work.id) && work.is_ours(issue.user.as_ref())
            }));
            if !page.has_next {
                return Ok(found.into_iter().map(|issue| self.made(issue)).collect());
            }
            number += 1;
        }
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        let title: String = self.write.title.chars().take(LONGEST_TITLE).collect();
        let marked = work.core.markers.mark(&self.write.body, Kind::Issue, &work.repo, &work.id);
        let at = Endpoint::repo(&work.repo).at("issues");
        let body = json!({ "title": title, "body": marked });
        Ok(self.made(work.github.post::<Issue>(at, &body).await?.body))
    }

    /// Nobody can delete an issue over this API. It is closed, and known for what it is all the same,
    /// because a person may label it.
    async fn remove(&self, work: &Work<'_>, surplus: &Made) -> Result<(), NotSent> {
        if let Some(asked) = &self.write.origin {
            let author = work.account.login.clone();
            let origin = AlertOrigin { effect_id: work.id.to_string(), author, ..asked.clone() };
            origin::write(work.core, &work.repo, surplus.id, &origin).await?;
        }
        let at = Endpoint::repo(&work.repo).at("issues").at(surplus.id);
        let body = json!({ "state": "closed", "state_reason": "not_planned" });
        work.gate.send(|| work.github.patch::<Value>(at.clone(), &body)).await.map(drop)
    }
}
