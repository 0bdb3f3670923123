//! Forty real defects on the whole line: each a repository, a labelled issue, and a model whose first
//! idea is wrong.
//!
//! A handful here; all forty, with `BOOTY_TEST_ALL=1`, in `make programs`.

mod corpus;
mod line;
mod model;
mod table;

use std::time::Duration;

use booty_ops::audit::Report;
use booty_sim::{RepoView, Snapshot};

use self::{
    corpus::Program,
    line::{Line, repo},
    model::Model,
};

const CHECK: &str = "booty/verifier";
const OUTCOMES: &str = "booty:";
/// `BUILDER_ROUNDS` and `BUILDER_FOLLOW_UPS` as they are shipped.
const ROUNDS: usize = 3;
const FOLLOW_UPS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn each_program_ends_as_a_pull_request_that_was_verified() {
    let line = Line::start(Model::WrongThenRight).await;
    let (github, report) = line.settle(is_ready).await;
    for program in &line.programs {
        repaired(&line, &github, program, Model::WrongThenRight, 0);
        assert_eq!(rounds(&line, program), 2, "rounds of {}", program.name);
    }
    added_up(&line, &github, &report);
    table::print(&line, &outcomes(&line, &github));
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builder_and_verifier_are_killed_and_nothing_is_lost_or_done_twice() {
    // A message that was in hand at five deaths would be given up.
    const KILLS: usize = 3;
    let line = Line::with_lease(Model::WrongThenRight, Duration::from_secs(5)).await;
    let killing = async {
        for times in 1..=KILLS {
            line.until_said("builder", "command_ran", times).await;
            line.kill("builder");
            line.until_said("verifier", "job_enqueued", times).await;
            line.kill("verifier");
        }
    };
    let ((github, report), ()) = tokio::join!(line.settle(is_ready), killing);
    for program in &line.programs {
        repaired(&line, &github, program, Model::WrongThenRight, KILLS);
        assert_eq!(rounds(&line, program), 2, "rounds of {}", program.name);
    }
    added_up(&line, &github, &report);
    table::print(&line, &outcomes(&line, &github));
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_comes_with_the_missing_tests_is_verified_by_them() {
    let line = Line::start(Model::RightWithTests).await;
    let (github, report) = line.settle(is_ready).await;
    for program in &line.programs {
        repaired(&line, &github, program, Model::RightWithTests, 0);
        assert_eq!(rounds(&line, program), 1, "rounds of {}", program.name);
    }
    added_up(&line, &github, &report);
    table::print(&line, &outcomes(&line, &github));
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_always_wrong_ends_each_program_honestly() {
    let line = Line::start(Model::AlwaysWrong).await;
    let (github, report) = line.settle(has_ended).await;
    let asked = line.asked();
    for (index, program) in line.programs.iter().enumerate() {
        let name = &program.name;
        let seen = github.repo(&repo(program)).unwrap();
        one_outcome(seen);
        let pulls = &seen.pulls;
        assert!(pulls.len() <= 1, "{name}: {pulls:#?}");
        assert!(pulls.iter().all(|pull| pull.draft), "{name} is offered for merging: {pulls:#?}");
        let successes =
            seen.checks.iter().filter(|run| run.conclusion.as_deref() == Some("success"));
        assert_eq!(successes.count(), 0, "{name}: a wrong change was accepted");
        // With no pull request, nothing is left to say. On a draft, its follow-ups are told of once more.
        let comments = &seen.issues[0].comments;
        let most = if pulls.is_empty() { 1 } else { 2 };
        assert!((1..=most).contains(&comments.len()), "{name}: {comments:#?}");
        let questions = asked.iter().filter(|(of, _)| *of == index).count();
        let most = if pulls.is_empty() { ROUNDS } else { ROUNDS * (1 + FOLLOW_UPS) };
        assert!((ROUNDS..=most).contains(&questions), "{name}: {questions} questions");
    }
    added_up(&line, &github, &report);
    table::print(&line, &outcomes(&line, &github));
    line.stop().await;
}

/// A pull request that is no draft any more. Only a judged one ever becomes that, so that all before
/// it was waited for, too.
fn is_ready(repo: &RepoView) -> bool {
    repo.pulls.first().is_some_and(|pull| !pull.draft)
}

/// An outcome on the issue, and a judgement on its pull request, if there is one.
fn has_ended(repo: &RepoView) -> bool {
    let is_judged = |head: &str| {
        let runs = repo.check_runs(CHECK, head);
        runs.iter().any(|run| run.status == "completed")
    };
    !outcome_labels(repo).is_empty() && repo.pulls.iter().all(|pull| is_judged(&pull.head_sha))
}

fn outcome_labels(repo: &RepoView) -> Vec<&str> {
    let labels = repo.issues[0].labels.iter().map(String::as_str);
    labels.filter(|label| label.starts_with(OUTCOMES)).collect()
}

/// One label, and no comment twice.
fn one_outcome(repo: &RepoView) {
    assert_eq!(repo.issues.len(), 1, "{}", repo.name);
    assert_eq!(outcome_labels(repo).len(), 1, "{}: {:?}", repo.name, repo.issues[0].labels);
    let comments = &repo.issues[0].comments;
    let mut bodies: Vec<_> = comments.iter().map(|comment| &comment.body).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), comments.len(), "{}: said twice: {comments:#?}", repo.name);
}

/// One issue, one pull request with the repair and nothing else, one check run, one label, one comment, and
/// no question asked twice.
fn repaired(line: &Line, github: &Snapshot, program: &Program, model: Model, kills: usize) {
    let name = &program.name;
    let seen = github.repo(&repo(program)).unwrap();
    one_outcome(seen);
    assert_eq!(outcome_labels(seen), ["booty:opened"], "{name}");
    let issue = &seen.issues[0];
    assert_eq!(seen.pulls.len(), 1, "{name}: {:#?}", seen.pulls);
    let pull = &seen.pulls[0];
    assert!(pull.open && !pull.draft, "{name}");
    assert_eq!(pull.head, format!("agent/issue-{}", issue.number), "{name}");
    assert_eq!(issue.comments.len(), 1, "{name}: {:#?}", issue.comments);
    assert!(issue.comments[0].body.contains(&format!("#{}", pull.number)), "{name}");
    assert!(pull.comments.is_empty(), "{name}: {:#?}", pull.comments);

    let runs: Vec<_> = seen.checks.iter().map(|run| (&run.name, &run.head_sha)).collect();
    assert_eq!(runs, [(&CHECK.to_owned(), &pull.head_sha)], "{name}");
    let run = &seen.checks[0];
    assert_eq!(run.conclusion.as_deref(), Some("success"), "{name}: {:?}", run.text);
    assert_eq!(run.created, 1, "{name}");

    let diff = line.sim.pull_diff(&repo(program), pull.number).unwrap();
    let (mut expected, mut has) = (added(&program.buggy, &program.repaired()), changed(&diff, '+'));
    if model == Model::RightWithTests {
        expected.extend(program.tests.lines().map(str::to_owned));
    }
    expected.sort();
    has.sort();
    assert_eq!(has, expected, "{name}: {diff}");

    let index = line.programs.iter().position(|other| other.name == *name).unwrap();
    let mut asked: Vec<_> =
        line.asked().into_iter().filter(|(of, _)| *of == index).map(|(_, turn)| turn).collect();
    asked.sort_unstable();
    // An answer that was on its way is lost with who waited for it.
    assert!(asked.len() <= model.answers() + kills, "{name}: {asked:?}");
    asked.dedup();
    assert_eq!(asked, (0..model.answers()).collect::<Vec<_>>(), "{name}");
}

/// The lines of `new` that are not in `old`, as a diff of a change in one place has them.
fn added(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = |a: &mut dyn Iterator<Item = (&&str, &&str)>| a.take_while(|(a, b)| a == b).count();
    let before = same(&mut old.iter().zip(&new));
    let rest = (&old[before..], &new[before..]);
    let after = same(&mut rest.0.iter().rev().zip(rest.1.iter().rev()));
    new[before..new.len() - after].iter().map(|line| (*line).to_owned()).collect()
}

/// The lines that a diff adds (`+`) or takes away (`-`).
fn changed(diff: &str, sign: char) -> Vec<String> {
    let heads = ["+++ ", "--- "];
    diff.lines()
        .filter(|line| !heads.iter().any(|head| line.starts_with(head)))
        .filter_map(|line| line.strip_prefix(sign))
        .map(str::to_owned)
        .collect()
}

fn rounds(line: &Line, program: &Program) -> usize {
    let said = line.said_of(program);
    said.iter().filter(|event| event.name == "round_started").count()
}

/// Nothing is lost, spooled or written twice.
fn added_up(line: &Line, github: &Snapshot, report: &Report) {
    assert!(report.ok, "{report:#?}");
    for row in &report.rows {
        assert_eq!(row.spooled, 0, "{row:#?}");
    }
    let pulls: usize = github.repos.iter().map(|repo| repo.pulls.len()).sum();
    let made = github.writes("POST /repos/{owner}/{repo}/pulls");
    assert_eq!(made, pulls as u64, "a pull request was made and taken back");
    let comments: usize = github
        .repos
        .iter()
        .flat_map(|repo| {
            let of_pulls = repo.pulls.iter().map(|pull| pull.comments.len());
            repo.issues.iter().map(|issue| issue.comments.len()).chain(of_pulls)
        })
        .sum();
    let made = github.writes("POST /repos/{owner}/{repo}/issues/{number}/comments");
    assert_eq!(made, comments as u64, "a comment was made and taken back");
    assert_eq!(github.repos.len(), line.programs.len());
}

fn outcomes(line: &Line, github: &Snapshot) -> Vec<String> {
    line.programs
        .iter()
        .map(|program| {
            let seen = github.repo(&repo(program)).unwrap();
            let label = outcome_labels(seen).join(", ");
            let pull = seen.pulls.first().map(|pull| if pull.draft { "draft" } else { "ready" });
            let check = seen.checks.last().and_then(|run| run.conclusion.clone());
            [Some(label), pull.map(str::to_owned), check]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", ")
        })
        .collect()
}
