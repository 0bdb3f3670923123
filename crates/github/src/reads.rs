//! The reads, by name. "Not there" is `None` where a caller has to expect it.

use booty_events::RepoName;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    client::{Client, Page, has_next},
    endpoint::Endpoint,
    error::Error,
    object::{
        CheckRun, Comment, Commit, GitCommit, GitRef, Issue, IssueEvent, Label, Permission,
        PullFile, PullRequest, Repository, Review, ReviewComment, Status, User,
    },
};

/// Only what was changed at or after this time.
pub type Since = DateTime<Utc>;

/// No listing is followed for longer: 10,000 entries.
const MOST_PAGES: u32 = 100;

impl Client {
    /// The account that the token belongs to.
    pub async fn current_user(&self) -> Result<User, Error> {
        self.get_json(Endpoint::new(["user"])).await
    }

    /// A repository; `None` when it is gone or hidden from the token.
    pub async fn get_repository(&self, repo: &RepoName) -> Result<Option<Repository>, Error> {
        self.find_json(Endpoint::repo(repo)).await
    }

    /// What an account may do in the repository; `None` for an account that does not exist.
    pub async fn collaborator_permission(
        &self,
        repo: &RepoName,
        login: &str,
    ) -> Result<Option<Permission>, Error> {
        let at = Endpoint::repo(repo).at("collaborators").at(login).at("permission");
        self.find_json(at).await
    }

    /// An issue or pull request; `None` when it is gone.
    pub async fn get_issue(&self, repo: &RepoName, number: u64) -> Result<Option<Issue>, Error> {
        self.find_json(Endpoint::repo(repo).at("issues").at(number)).await
    }

    /// One page of the repository's issues and pull requests, oldest first.
    pub async fn list_issues(
        &self,
        repo: &RepoName,
        since: Option<Since>,
        page: u32,
    ) -> Result<Page<Issue>, Error> {
        let at = Endpoint::repo(repo)
            .at("issues")
            .query("state", "all")
            .query("sort", "created")
            .query("direction", "asc");
        self.get_page(with_since(at, since), page).await
    }

    /// One page of an issue's comments, oldest first.
    pub async fn list_comments(
        &self,
        repo: &RepoName,
        issue: u64,
        since: Option<Since>,
        page: u32,
    ) -> Result<Page<Comment>, Error> {
        let at = Endpoint::repo(repo).at("issues").at(issue).at("comments");
        self.get_page(with_since(at, since), page).await
    }

    /// The labels that an issue or pull request has.
    pub async fn list_labels_of_issue(
        &self,
        repo: &RepoName,
        issue: u64,
    ) -> Result<Vec<Label>, Error> {
        let at = Endpoint::repo(repo).at("issues").at(issue).at("labels");
        self.get_all(at).await
    }

    /// What happened to an issue, oldest first.
    pub async fn list_issue_events(
        &self,
        repo: &RepoName,
        issue: u64,
    ) -> Result<Vec<IssueEvent>, Error> {
        self.get_all(Endpoint::repo(repo).at("issues").at(issue).at("events")).await
    }

    /// A label of the repository's.
    pub async fn get_label(&self, repo: &RepoName, name: &str) -> Result<Option<Label>, Error> {
        self.find_json(Endpoint::repo(repo).at("labels").at(name)).await
    }

    /// Pull requests; `state` is `open`, `closed` or `all`, `head` a branch of this repository's.
    pub async fn list_pulls(
        &self,
        repo: &RepoName,
        head: Option<&str>,
        state: &str,
    ) -> Result<Vec<PullRequest>, Error> {
        let mut at = Endpoint::repo(repo).at("pulls").query("state", state);
        if let Some(branch) = head {
            at = at.query("head", format!("{}:{branch}", repo.owner()));
        }
        self.get_all(at).await
    }

    /// A pull request.
    pub async fn get_pull(
        &self,
        repo: &RepoName,
        number: u64,
    ) -> Result<Option<PullRequest>, Error> {
        self.find_json(Endpoint::repo(repo).at("pulls").at(number)).await
    }

    /// One page of the open pull requests, the newest first.
    pub async fn newest_pulls(
        &self,
        repo: &RepoName,
        page: u32,
    ) -> Result<Page<PullRequest>, Error> {
        let at = Endpoint::repo(repo)
            .at("pulls")
            .query("state", "open")
            .query("sort", "created")
            .query("direction", "desc");
        self.get_page(at, page).await
    }

    /// One page of the files that a pull request changes; `None` when it is gone.
    pub async fn pull_files(
        &self,
        repo: &RepoName,
        number: u64,
        page: u32,
    ) -> Result<Option<Page<PullFile>>, Error> {
        let at = Endpoint::repo(repo).at("pulls").at(number).at("files");
        found(self.get_page(at, page).await)
    }

    /// A review of a pull request; `None` when it is gone.
    pub async fn get_review(
        &self,
        repo: &RepoName,
        pull_request: u64,
        review: u64,
    ) -> Result<Option<Review>, Error> {
        let at = Endpoint::repo(repo).at("pulls").at(pull_request).at("reviews").at(review);
        self.find_json(at).await
    }

    /// One page of the comments on lines of a pull request, of all reviews, the newest first; `None` when
    /// the pull request is gone. (GitHub's list of one review's comments leaves the lines out.)
    pub async fn newest_review_comments(
        &self,
        repo: &RepoName,
        pull_request: u64,
        page: u32,
    ) -> Result<Option<Page<ReviewComment>>, Error> {
        let at = Endpoint::repo(repo)
            .at("pulls")
            .at(pull_request)
            .at("comments")
            .query("sort", "created")
            .query("direction", "desc");
        found(self.get_page(at, page).await)
    }

    /// A comment on an issue or pull request; `None` when it is gone.
    pub async fn get_comment(&self, repo: &RepoName, id: u64) -> Result<Option<Comment>, Error> {
        self.find_json(Endpoint::repo(repo).at("issues").at("comments").at(id)).await
    }

    /// The pull requests, open and closed, that a commit is in: also those of forks.
    pub async fn pulls_of_commit(
        &self,
        repo: &RepoName,
        sha: &str,
    ) -> Result<Vec<PullRequest>, Error> {
        self.get_all(Endpoint::repo(repo).at("commits").at(sha).at("pulls")).await
    }

    /// All check runs of a name on a commit, superseded ones included.
    pub async fn list_check_runs(
        &self,
        repo: &RepoName,
        sha: &str,
        name: &str,
    ) -> Result<Vec<CheckRun>, Error> {
        #[derive(serde::Deserialize)]
        struct Wrapped {
            check_runs: Vec<CheckRun>,
        }
        let at = Endpoint::repo(repo)
            .at("commits")
            .at(sha)
            .at("check-runs")
            .query("check_name", name)
            .query("filter", "all")
            .query("per_page", 100);
        let mut all = Vec::new();
        for number in 1..=MOST_PAGES {
            let answer = self.get::<Wrapped>(at.clone().query("page", number)).await?;
            all.extend(answer.body.check_runs);
            if !has_next(&answer.headers) {
                break;
            }
        }
        Ok(all)
    }

    /// A check run.
    pub async fn get_check_run(&self, repo: &RepoName, id: u64) -> Result<Option<CheckRun>, Error> {
        self.find_json(Endpoint::repo(repo).at("check-runs").at(id)).await
    }

    /// The statuses of a commit, newest first.
    pub async fn list_statuses(&self, repo: &RepoName, sha: &str) -> Result<Vec<Status>, Error> {
        self.get_all(Endpoint::repo(repo).at("commits").at(sha).at("statuses")).await
    }

    /// A branch's tip.
    pub async fn get_branch(&self, repo: &RepoName, branch: &str) -> Result<Option<GitRef>, Error> {
        let at = Endpoint::repo(repo).at("git").at("ref").at("heads").at_each(branch);
        self.find_json(at).await
    }

    /// A tag's ref.
    pub async fn get_tag(&self, repo: &RepoName, tag: &str) -> Result<Option<GitRef>, Error> {
        self.find_json(Endpoint::repo(repo).at("git").at("ref").at("tags").at_each(tag)).await
    }

    /// A commit as Git has it.
    pub async fn get_git_commit(
        &self,
        repo: &RepoName,
        sha: &str,
    ) -> Result<Option<GitCommit>, Error> {
        self.find_json(Endpoint::repo(repo).at("git").at("commits").at(sha)).await
    }

    /// A commit with the account that wrote it.
    pub async fn get_commit(&self, repo: &RepoName, sha: &str) -> Result<Option<Commit>, Error> {
        self.find_json(Endpoint::repo(repo).at("commits").at(sha)).await
    }

    /// All pages of a listing.
    pub async fn get_all<T: serde::de::DeserializeOwned>(
        &self,
        at: Endpoint,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        for number in 1..=MOST_PAGES {
            let page = self.get_page(at.clone(), number).await?;
            all.extend(page.items);
            if !page.has_next {
                break;
            }
        }
        Ok(all)
    }
}

fn found<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_since(at: Endpoint, since: Option<Since>) -> Endpoint {
    match since {
        Some(since) => at.query("since", since.to_rfc3339_opts(SecondsFormat::Secs, true)),
        None => at,
    }
}
