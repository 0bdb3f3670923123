//! One new issue.

use async_trait::async_trait;
use booty_events::v1::CreateIssue;
use booty_github::{Endpoint, object::Issue};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    labels,
    marker::Kind,
    once::{Creation, Made, once},
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

/// GitHub's limit on titles, in characters.
const LONGEST_TITLE: usize = 256;

/// How far the broker's clock and GitHub's may be apart when only newer issues are listed.
const CLOCKS_APART: TimeDelta = TimeDelta::hours(1);

pub(super) async fn apply(work: &mut Work<'_>, write: &CreateIssue) -> Result<(), Stop> {
    let made = once(work, &NewIssue { write }).await?;
    (work.record.state.number, work.record.state.url) = (made.id, made.url);
    // Afterwards, so that a label that is missing is made with its colour and description.
    labels::add(work, made.id, &write.labels).await
}

struct NewIssue<'a> {
    write: &'a CreateIssue,
}

#[async_trait]
impl Creation for NewIssue<'_> {
    fn step(&self) -> &'static str {
        "issue"
    }

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
                return Ok(found.into_iter().map(made).collect());
            }
            number += 1;
        }
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        let title: String = self.write.title.chars().take(LONGEST_TITLE).collect();
        let marked = work.core.markers.mark(&self.write.body, Kind::Issue, &work.repo, &work.id);
        let at = Endpoint::repo(&work.repo).at("issues");
        let body = json!({ "title": title, "body": marked });
        Ok(made(work.github.post::<Issue>(at, &body).await?.body))
    }

    async fn remove(&self, work: &Work<'_>, surplus: &Made) -> Result<(), NotSent> {
        let at = Endpoint::repo(&work.repo).at("issues").at(surplus.id);
        let body = json!({ "state": "closed", "state_reason": "not_planned" });
        work.gate.send(|| work.github.patch::<Value>(at.clone(), &body)).await.map(drop)
    }
}

fn made(issue: Issue) -> Made {
    Made { id: issue.number, url: issue.html_url }
}
