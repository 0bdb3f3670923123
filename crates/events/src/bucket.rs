//! The key-value buckets.

use std::time::Duration;

use crate::{
    id::{CommitSha, EffectId, Fingerprint, IssueNumber, JobId, RepoName},
    token,
};

/// A bucket's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketDefinition {
    /// Its name; the stream behind it is `KV_<name>`.
    pub name: &'static str,
    /// How long a value is kept after its last change; `None`: for good.
    pub max_age: Option<Duration>,
    /// How long what is over (a delete marker, a message's lease) is kept by a time to live of its
    /// own; `None`: as long as everything else.
    pub past_age: Option<Duration>,
    /// The most bytes it may hold.
    pub max_bytes: i64,
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 60 * 60)
}
const GIB: i64 = 1 << 30;

/// The state of every job, by job id.
pub const JOBS: BucketDefinition = BucketDefinition {
    name: "booty_jobs",
    max_age: Some(days(30)),
    past_age: None,
    max_bytes: GIB,
};

/// Who holds which message or issue, until when, and with which fencing token.
///
/// What was not written for longer than any consumed stream keeps a message is about a message that is
/// gone, and so is every effect that carries its token.
pub const LEASES: BucketDefinition = BucketDefinition {
    name: "booty_leases",
    max_age: None,
    past_age: Some(days(35)),
    max_bytes: GIB,
};

/// Which delivery brought a body first, by the body's sha256. A day longer than the inbox.
pub const BODIES: BucketDefinition = BucketDefinition {
    name: "booty_bodies",
    max_age: Some(days(8)),
    past_age: None,
    max_bytes: GIB,
};

/// What forge intended and did, by effect id.
pub const EFFECTS: BucketDefinition = BucketDefinition {
    name: "booty_effects",
    max_age: Some(days(30)),
    past_age: None,
    max_bytes: GIB,
};

/// The state of every alert, by fingerprint. Kept for good: an alert that comes back after a year reopens
/// its issue.
pub const ALERTS: BucketDefinition =
    BucketDefinition { name: "booty_alerts", max_age: None, past_age: None, max_bytes: GIB };

/// Where issues come from that forge made of alerts. Kept for good: the text of such an issue stays
/// text from outside.
pub const ORIGINS: BucketDefinition =
    BucketDefinition { name: "booty_origins", max_age: None, past_age: None, max_bytes: GIB };

/// What models have cost, by day, issue and run of a job. A year and a month after its last change: last
/// year's same month can still be looked at. A run of a job is some 500 bytes, a day 50 for each run.
pub const BUDGETS: BucketDefinition = BucketDefinition {
    name: "booty_budgets",
    max_age: Some(days(400)),
    past_age: None,
    max_bytes: GIB,
};

/// All buckets.
pub const ALL: [BucketDefinition; 7] = [JOBS, LEASES, BODIES, EFFECTS, ALERTS, ORIGINS, BUDGETS];

/// Key of a fingerprint in [`ALERTS`].
pub fn alert_key(fingerprint: &Fingerprint) -> String {
    fingerprint.to_string()
}

/// Key of an issue in [`ORIGINS`].
pub fn origin_key(repo: &RepoName, issue: u64) -> String {
    format!("{}.{issue}", repo.token())
}

/// Key of a job in [`JOBS`].
pub fn job_key(job: &JobId) -> String {
    token::encode(job.as_str())
}

/// Key of what is spent on a day (UTC, `2026-01-31`), in [`BUDGETS`].
pub fn budget_day_key(day: &str) -> String {
    format!("day.{day}")
}

/// Key of what is spent on an issue, by all jobs and follow-ups, in [`BUDGETS`].
pub fn budget_issue_key(repo: &RepoName, issue: u64) -> String {
    format!("issue.{}.{issue}", repo.token())
}

/// Key of what one run of a job has spent, in [`BUDGETS`]. `run` names its journal, too.
pub fn budget_job_key(run: &str) -> String {
    format!("job.{}", token::encode(run))
}

/// Key of the limits that the builder has, in [`BUDGETS`].
pub const BUDGET_LIMITS_KEY: &str = "limits";

/// Key of an effect in [`EFFECTS`].
pub fn effect_key(effect: &EffectId) -> String {
    effect.to_string()
}

/// Key of what forge knows of an object that it made (an issue or a pull request), in [`EFFECTS`].
pub fn object_key(repo: &RepoName, number: u64) -> String {
    format!("object.{}.{number}", repo.token())
}

/// Key of the one active job that an issue may have, in [`LEASES`].
pub fn issue_claim_key(repo: &RepoName, issue: IssueNumber) -> String {
    format!("issue.{}.{issue}", repo.token())
}

/// The filter for all accounts that forge has written under, in [`LEASES`]; see [`writer_login`].
pub const WRITERS: &str = "writer.*";

/// The account, in lower case, in a key that matches [`WRITERS`].
pub fn writer_login(key: &str) -> Option<String> {
    token::decode(key.strip_prefix("writer.")?)
}

/// Key of the newest stop of all work on an issue, or of the work on one pull request for it, in
/// [`LEASES`].
pub fn stop_key(repo: &RepoName, issue: IssueNumber, pull_request: Option<u64>) -> String {
    match pull_request {
        None => format!("stop.{}.{issue}.all", repo.token()),
        Some(number) => format!("stop.{}.{issue}.pr{number}", repo.token()),
    }
}

/// The filter for all of an issue's [`stop_key`]s.
pub fn stop_filter(repo: &RepoName, issue: IssueNumber) -> String {
    format!("stop.{}.{issue}.*", repo.token())
}

/// Key of the newest head of a pull request that is judged, in [`LEASES`].
pub fn pull_claim_key(repo: &RepoName, pull_request: u64) -> String {
    format!("pull.{}.{pull_request}", repo.token())
}

/// Key of what forge knows of a check run, in [`EFFECTS`]. `name` is the run's.
pub fn check_key(repo: &RepoName, head: &CommitSha, name: &str) -> String {
    format!("check.{}.{head}.{}", repo.token(), token::encode(name))
}

/// Key of the comment that stands for a check run where there can't be any, in [`EFFECTS`].
pub fn check_comment_key(repo: &RepoName, pull_request: u64, name: &str) -> String {
    format!("check_comment.{}.{pull_request}.{}", repo.token(), token::encode(name))
}

/// Key of the comment that says on an issue how often something came again, in [`EFFECTS`]. `name` is what
/// is counted.
pub fn counter_key(repo: &RepoName, issue: u64, name: &str) -> String {
    format!("counter.{}.{issue}.{}", repo.token(), token::encode(name))
}

/// Key of when content was created in an account, so that a restart does not forget it, in [`EFFECTS`].
pub fn pace_key(account: &str) -> String {
    format!("pace.{}", token::encode(account))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream;

    #[test]
    fn no_name_of_a_check_run_leaves_its_key() {
        let (repo, head) = ("octo/hello".parse().unwrap(), "a".repeat(40).parse().unwrap());
        let key = check_key(&repo, &head, "booty/verifier > *");
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{key}");
        assert_eq!(key.matches('.').count(), 3);
        assert_ne!(key, check_key(&repo, &head, "booty/other"));
    }

    #[test]
    fn a_writer_is_known_by_its_key() {
        assert_eq!(writer_login("writer.booty-bot").as_deref(), Some("booty-bot"));
        assert_eq!(writer_login("writer.x--615b626f745d").as_deref(), Some("a[bot]"));
        assert_eq!(writer_login("issue.x.1"), None);
    }

    #[test]
    fn a_lease_outlives_its_message() {
        let consumed = [stream::INBOX, stream::EFFECTS, stream::EVENTS];
        let longest = consumed.iter().map(|stream| stream.max_age.unwrap()).max();
        assert!(LEASES.past_age > longest);
    }
}
