//! Check runs and the suites that they belong to.

use chrono::{DateTime, Utc};
use gix::ObjectId;
use serde_json::{Value, json};

use super::World;
use super::apps::Access;
use super::model::{Issue, Pull, Repo};
use crate::answer::Refusal;
use crate::show;

/// What a conclusion of a suite is, the worst of its runs first.
const WORST_FIRST: [&str; 8] = [
    "action_required",
    "timed_out",
    "cancelled",
    "failure",
    "stale",
    "success",
    "neutral",
    "skipped",
];

#[derive(Clone, Debug)]
pub(crate) struct CheckSuite {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) head_sha: ObjectId,
    /// `None` for a commit that no branch of this repository ends in.
    pub(crate) head_branch: Option<String>,
    pub(crate) before: Option<ObjectId>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    /// Asked for again, and not answered since.
    pub(crate) again: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) suite: u64,
    pub(crate) app: u64,
    pub(crate) name: String,
    pub(crate) head_sha: ObjectId,
    pub(crate) details_url: Option<String>,
    pub(crate) external_id: String,
    /// `queued`, `in_progress` or `completed`.
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) annotations: Vec<Annotation>,
    pub(crate) updates: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Annotation {
    pub(crate) path: String,
    pub(crate) start_line: u64,
    pub(crate) end_line: u64,
    pub(crate) start_column: Option<u64>,
    pub(crate) end_column: Option<u64>,
    pub(crate) level: String,
    pub(crate) message: String,
    pub(crate) title: Option<String>,
    pub(crate) raw_details: Option<String>,
}

/// What a request says of a check run; absent members stay.
#[derive(Debug, Default)]
pub(crate) struct CheckEdit {
    pub(crate) name: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
    pub(crate) output: Option<CheckOutput>,
}

#[derive(Debug)]
pub(crate) struct CheckOutput {
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) text: Option<String>,
    pub(crate) annotations: Vec<Annotation>,
}

impl CheckRun {
    fn apply(&mut self, edit: CheckEdit, now: DateTime<Utc>) {
        if let Some(name) = edit.name {
            self.name = name;
        }
        self.details_url = edit.details_url.or(self.details_url.take());
        if let Some(external_id) = edit.external_id {
            self.external_id = external_id;
        }
        if let Some(at) = edit.started_at {
            self.started_at = at;
        }
        if let Some(conclusion) = edit.conclusion {
            self.conclusion = Some(conclusion);
            "completed".clone_into(&mut self.status);
            self.completed_at = Some(edit.completed_at.unwrap_or(now));
        } else if let Some(status) = edit.status {
            self.status = status;
            self.conclusion = None;
            self.completed_at = None;
        }
        if let Some(output) = edit.output {
            self.title = Some(output.title);
            self.summary = Some(output.summary);
            self.text = output.text.or(self.text.take());
            self.annotations.extend(output.annotations);
        }
    }
}

impl Repo {
    pub(crate) fn runs_of(&self, suite: u64) -> impl Iterator<Item = &CheckRun> {
        self.checks.values().filter(move |run| run.suite == suite)
    }

    /// Status and conclusion of a suite, from the newest run of every name.
    pub(crate) fn suite_state(&self, suite: &CheckSuite) -> (&'static str, Option<&'static str>) {
        let runs: Vec<&CheckRun> =
            self.runs_of(suite.id).filter(|run| self.is_latest(run)).collect();
        if suite.again || runs.is_empty() {
            return ("queued", None);
        }
        if runs.iter().any(|run| run.status != "completed") {
            let waits = runs.iter().all(|run| run.status == "queued");
            return (if waits { "queued" } else { "in_progress" }, None);
        }
        let worst = WORST_FIRST
            .into_iter()
            .find(|word| runs.iter().any(|run| run.conclusion.as_deref() == Some(word)));
        ("completed", worst)
    }

    /// Whether no newer run of its suite has its name.
    pub(crate) fn is_latest(&self, run: &CheckRun) -> bool {
        !self
            .checks
            .values()
            .any(|other| other.suite == run.suite && other.name == run.name && other.id > run.id)
    }

    /// The open pull requests of this repository's own branches that end in a commit. Those of
    /// forks are never named.
    pub(crate) fn pulls_at(&self, head: ObjectId) -> impl Iterator<Item = (&Issue, &Pull)> {
        self.issues
            .values()
            .filter(|issue| issue.open)
            .filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
            .filter(move |(_, pull)| pull.head_sha == head && pull.head_repo == Some(self.id))
    }
}

impl World {
    pub(crate) fn check_run(&self, repo: &str, id: u64) -> Result<&CheckRun, Refusal> {
        self.repo(repo)?.checks.get(&id).ok_or_else(Refusal::not_found)
    }

    pub(crate) fn create_check_run(
        &mut self,
        repo: &str,
        app: u64,
        head_sha: ObjectId,
        edit: CheckEdit,
    ) -> Result<u64, Refusal> {
        let suite = self.suite_for(repo, app, head_sha, None)?;
        let (id, now) = (self.next_id(), self.now());
        let mut run = CheckRun {
            id,
            suite,
            app,
            name: String::new(),
            head_sha,
            details_url: None,
            external_id: String::new(),
            status: "queued".to_owned(),
            conclusion: None,
            started_at: now,
            completed_at: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
            updates: 0,
        };
        run.apply(edit, now);
        let completed = run.status == "completed";
        self.repo_mut(repo)?.checks.insert(id, run);
        self.touch_suite(repo, suite, false)?;
        let actor = self.app(app)?.bot();
        self.emit_check_run(repo, id, "created", &actor);
        if completed {
            self.emit_completed(repo, id, &actor)?;
        }
        Ok(id)
    }

    pub(crate) fn update_check_run(
        &mut self,
        repo: &str,
        id: u64,
        edit: CheckEdit,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let concludes = edit.conclusion.is_some();
        let run = self.repo_mut(repo)?.checks.get_mut(&id).ok_or_else(Refusal::not_found)?;
        let was = (run.status.clone(), run.conclusion.clone());
        run.apply(edit, now);
        run.updates += 1;
        let changed = was != (run.status.clone(), run.conclusion.clone());
        let (suite, app) = (run.suite, run.app);
        self.touch_suite(repo, suite, false)?;
        if concludes && changed {
            let actor = self.app(app)?.bot();
            self.emit_completed(repo, id, &actor)?;
        }
        Ok(())
    }

    fn emit_completed(&mut self, repo: &str, id: u64, actor: &str) -> Result<(), Refusal> {
        self.emit_check_run(repo, id, "completed", actor);
        let suite = self.check_run(repo, id)?.suite;
        let found = self.repo(repo)?;
        let done =
            found.suites.get(&suite).is_some_and(|one| found.suite_state(one).0 == "completed");
        if done {
            self.emit_check_suite(repo, suite, "completed", actor);
        }
        Ok(())
    }

    /// Somebody wants a run again: only its App is told, and answers or doesn't.
    pub(crate) fn rerequest_check_run(
        &mut self,
        repo: &str,
        id: u64,
        actor: &str,
    ) -> Result<(), Refusal> {
        let suite = self.check_run(repo, id)?.suite;
        self.touch_suite(repo, suite, true)?;
        self.emit_check_run(repo, id, "rerequested", actor);
        Ok(())
    }

    /// Somebody wants everything at a commit again.
    pub(crate) fn rerequest_check_suite(
        &mut self,
        repo: &str,
        head_sha: &str,
        actor: &str,
    ) -> Result<(), Refusal> {
        let head = ObjectId::from_hex(head_sha.as_bytes()).map_err(|_| Refusal::not_found())?;
        let suites: Vec<u64> = self
            .repo(repo)?
            .suites
            .values()
            .filter(|suite| suite.head_sha == head)
            .map(|suite| suite.id)
            .collect();
        if suites.is_empty() {
            return Err(Refusal::not_found());
        }
        for suite in suites {
            self.touch_suite(repo, suite, true)?;
            self.emit_check_suite(repo, suite, "rerequested", actor);
        }
        Ok(())
    }

    /// After a push: every App that may write checks is asked for some.
    pub(super) fn request_suites(
        &mut self,
        repo: &str,
        actor: &str,
        branch: &str,
        before: Option<ObjectId>,
        head: ObjectId,
    ) -> Result<(), Refusal> {
        let found = self.repo(repo)?;
        let apps: Vec<u64> = self
            .installed_on(found)
            .map(|installation| installation.app)
            .filter(|app| self.apps.get(app).is_some_and(|app| app.may("checks", Access::Write)))
            .collect();
        for app in apps {
            let known = |repo: &Repo| {
                repo.suites.values().any(|suite| suite.app == app && suite.head_sha == head)
            };
            if !known(self.repo(repo)?) {
                let suite = self.suite_for(repo, app, head, Some((branch, before)))?;
                self.emit_check_suite(repo, suite, "requested", actor);
            }
        }
        Ok(())
    }

    /// The one suite that an App has at a commit, made if new.
    fn suite_for(
        &mut self,
        repo: &str,
        app: u64,
        head_sha: ObjectId,
        pushed: Option<(&str, Option<ObjectId>)>,
    ) -> Result<u64, Refusal> {
        let found = self.repo(repo)?;
        let known =
            found.suites.values().find(|suite| suite.app == app && suite.head_sha == head_sha);
        if let Some(suite) = known {
            return Ok(suite.id);
        }
        let head_branch = match pushed {
            Some((branch, _)) => Some(branch.to_owned()),
            None => found
                .git
                .references("refs/heads/")?
                .into_iter()
                .find(|(_, id)| *id == head_sha)
                .map(|(name, _)| name.trim_start_matches("refs/heads/").to_owned()),
        };
        let (id, now) = (self.next_id(), self.now());
        let suite = CheckSuite {
            id,
            app,
            head_sha,
            head_branch,
            before: pushed.and_then(|(_, before)| before),
            created_at: now,
            updated_at: now,
            again: false,
        };
        self.repo_mut(repo)?.suites.insert(id, suite);
        Ok(id)
    }

    fn touch_suite(&mut self, repo: &str, suite: u64, again: bool) -> Result<(), Refusal> {
        let now = self.now();
        if let Some(suite) = self.repo_mut(repo)?.suites.get_mut(&suite) {
            suite.updated_at = now;
            suite.again = again;
        }
        Ok(())
    }

    fn emit_check_run(&mut self, repo: &str, id: u64, action: &str, actor: &str) {
        let Ok(found) = self.repo(repo) else { return };
        let Some(run) = found.checks.get(&id) else { return };
        let app = run.app;
        let shown = show::check_run_in_event(self, found, run);
        self.emit_to(repo, "check_run", action, actor, json!({"check_run": shown}), Some(app));
    }

    fn emit_check_suite(&mut self, repo: &str, id: u64, action: &str, actor: &str) {
        let Ok(found) = self.repo(repo) else { return };
        let Some(suite) = found.suites.get(&id) else { return };
        let app = suite.app;
        let shown: Value = show::check_suite_in_event(self, found, suite);
        self.emit_to(repo, "check_suite", action, actor, json!({"check_suite": shown}), Some(app));
    }
}
