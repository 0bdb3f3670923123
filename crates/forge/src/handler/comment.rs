//! One comment.

use async_trait::async_trait;
use booty_events::v1;
use booty_github::{Endpoint, object::Comment};
use chrono::TimeDelta;
use serde_json::json;

use crate::{
    marker::Kind,
    once::{Creation, Made, once},
    outcome::Stop,
    work::Work,
    writer::NotSent,
};

/// How far the broker's clock and GitHub's may be apart when only newer comments are listed.
const CLOCKS_APART: TimeDelta = TimeDelta::hours(1);

pub(super) async fn apply(work: &mut Work<'_>, write: &v1::Comment) -> Result<(), Stop> {
    let made = post(work, write.issue, &write.body).await?;
    work.record.state.url = made.url;
    Ok(())
}

/// Comments on an issue, once per effect.
pub(super) async fn post(work: &mut Work<'_>, issue: u64, text: &str) -> Result<Made, Stop> {
    let body = work.core.markers.mark(text, Kind::Comment, &work.repo, &work.id);
    once(work, &OnIssue { issue, body: &body }).await
}

struct OnIssue<'a> {
    issue: u64,
    body: &'a str,
}

#[async_trait]
impl Creation for OnIssue<'_> {
    fn step(&self) -> &'static str {
        "comment"
    }

    async fn look_up(&self, work: &Work<'_>) -> Result<Vec<Made>, booty_github::Error> {
        let since = work.asked_at - CLOCKS_APART;
        let (mut found, mut number) = (Vec::new(), 1);
        loop {
            let page =
                work.github.list_comments(&work.repo, self.issue, Some(since), number).await?;
            found.extend(page.items.into_iter().filter(|comment| {
                let body = comment.body.as_deref().unwrap_or_default();
                let marked = work.core.markers.of_body(body, Kind::Comment, &work.repo);
                marked.as_ref() == Some(&work.id) && work.is_ours(comment.user.as_ref())
            }));
            if !page.has_next {
                return Ok(found.into_iter().map(made).collect());
            }
            number += 1;
        }
    }

    async fn create(&self, work: &Work<'_>) -> Result<Made, booty_github::Error> {
        let at = Endpoint::repo(&work.repo).at("issues").at(self.issue).at("comments");
        let sent = work.github.post::<Comment>(at, &json!({ "body": self.body })).await?;
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
