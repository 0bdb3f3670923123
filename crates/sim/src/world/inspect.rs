//! Looking at the state.

use std::collections::BTreeMap;

use super::World;
use super::model::{Issue, Repo};
use crate::answer::Refusal;
use crate::view::{CommentView, IssueView, PullView, RepoView, Snapshot};

impl World {
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Refusal> {
        let mut repos = Vec::with_capacity(self.repos.len());
        for repo in self.repos.values() {
            repos.push(view(repo)?);
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

fn view(repo: &Repo) -> Result<RepoView, Refusal> {
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
    })
}
