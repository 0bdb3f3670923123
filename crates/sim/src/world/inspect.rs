//! Looking at the state.

use std::collections::BTreeMap;

use super::World;
use super::checks::CheckRun;
use super::model::{Issue, Repo};
use super::statuses::Status;
use crate::answer::Refusal;
use crate::view::{
    AnnotationView, CheckRunView, CommentView, IssueView, PullView, RepoView, Snapshot, StatusView,
};

impl World {
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Refusal> {
        let mut repos = Vec::with_capacity(self.repos.len());
        for repo in self.repos.values() {
            repos.push(view(self, repo)?);
        }
        Ok(Snapshot {
            repos,
            deliveries: self.outbox.views(),
            requests: self.requests.iter().cloned().collect(),
            writes: self.writes.clone(),
            faults_struck: self.faults.hits(),
        })
    }

    pub(crate) fn read_file(
        &self,
        repo: &str,
        at: &str,
        path: &str,
    ) -> Result<Option<String>, Refusal> {
        let git = &self.repo(repo)?.git;
        let commit = git.resolve_commit(at).ok_or_else(Refusal::not_found)?;
        let mut tree = git.commit(commit)?.tree;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let entries = git.tree_entries(tree)?;
            let Some((_, mode, id)) = entries.into_iter().find(|(name, _, _)| name == part) else {
                return Ok(None);
            };
            if parts.peek().is_none() {
                return Ok(Some(String::from_utf8_lossy(&git.blob(id)?).into_owned()));
            }
            if !mode.is_tree() {
                return Ok(None);
            }
            tree = id;
        }
        Ok(None)
    }
}

fn view(world: &World, repo: &Repo) -> Result<RepoView, Refusal> {
    let names = |issue: &Issue| -> Vec<String> {
        repo.labels_of(issue).into_iter().map(|label| label.name.clone()).collect()
    };
    let comments = |issue: &Issue| -> Vec<CommentView> {
        repo.comments_of(issue.number)
            .map(|comment| CommentView {
                id: comment.id,
                author: comment.author.clone(),
                body: comment.body.clone(),
            })
            .collect()
    };
    let (mut issues, mut pulls) = (Vec::new(), Vec::new());
    for issue in repo.issues.values() {
        match &issue.pull {
            None => issues.push(IssueView {
                number: issue.number,
                title: issue.title.clone(),
                body: issue.body.clone().unwrap_or_default(),
                author: issue.author.clone(),
                open: issue.open,
                labels: names(issue),
                comments: comments(issue),
            }),
            Some(pull) => pulls.push(PullView {
                number: issue.number,
                title: issue.title.clone(),
                body: issue.body.clone().unwrap_or_default(),
                author: issue.author.clone(),
                open: issue.open,
                draft: pull.draft,
                merged: pull.merged_at.is_some(),
                head: pull.head.clone(),
                head_repo: pull.head_repo.and_then(|id| world.repo_by_id(id)).map(Repo::full_name),
                head_sha: pull.head_sha.to_string(),
                base: pull.base.clone(),
                labels: names(issue),
                comments: comments(issue),
            }),
        }
    }
    let refs: BTreeMap<String, String> = repo
        .git
        .references("refs/")?
        .into_iter()
        .map(|(name, id)| (name, id.to_string()))
        .collect();
    Ok(RepoView {
        name: repo.full_name(),
        default_branch: repo.default_branch.clone(),
        labels: repo.labels.iter().map(|label| label.name.clone()).collect(),
        issues,
        pulls,
        refs,
        checks: repo.checks.values().map(|run| check_run(world, repo, run)).collect(),
        statuses: repo.statuses.iter().map(status).collect(),
    })
}

fn check_run(world: &World, repo: &Repo, run: &CheckRun) -> CheckRunView {
    let same = |other: &&CheckRun| other.suite == run.suite && other.name == run.name;
    CheckRunView {
        id: run.id,
        app: world.apps.get(&run.app).map(|app| app.slug.clone()).unwrap_or_default(),
        name: run.name.clone(),
        head_sha: run.head_sha.to_string(),
        status: run.status.clone(),
        conclusion: run.conclusion.clone(),
        external_id: run.external_id.clone(),
        details_url: run.details_url.clone(),
        title: run.title.clone(),
        summary: run.summary.clone(),
        text: run.text.clone(),
        annotations: run
            .annotations
            .iter()
            .map(|found| AnnotationView {
                path: found.path.clone(),
                start_line: found.start_line,
                end_line: found.end_line,
                level: found.level.clone(),
                title: found.title.clone(),
                message: found.message.clone(),
                raw_details: found.raw_details.clone(),
            })
            .collect(),
        updates: run.updates,
        created: repo.checks.values().filter(same).count() as u64,
    }
}

fn status(status: &Status) -> StatusView {
    StatusView {
        sha: status.sha.to_string(),
        state: status.state.clone(),
        context: status.context.clone(),
        description: status.description.clone(),
        target_url: status.target_url.clone(),
        creator: status.creator.clone(),
    }
}
