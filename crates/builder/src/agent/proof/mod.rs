//! Whether tests prove a change that passes, and whether it left the tests as strong as they were.
//!
//! Both are read by the verifier's own judge, so that builder and verifier agree. The verifier goes
//! further: it believes no run in a tree where others ran before.

mod coverage;
mod place;
mod views;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use booty_judge::{
    case::Source,
    evidence::{self, Comparison, RunOf, Runs, Study},
    report::{Finding, Level, Rule},
};
use booty_sandbox::End;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;

use super::{
    bench::{Bench, Content},
    conversation::Halt,
    judgement::{Failure, Judged, Proof},
    link::Link,
    protocol::{AgentEnd, CommandName, FailureKind, Run},
    runner::{self, Runner, Trees},
    tested::{self, Tested},
    tree::TreePath,
};
use place::place;
use views::{View, Views};

/// Witnesses that are named. One is enough, and a change that breaks a hundred tests is no better proven.
const MAX_WITNESSES: usize = 10;
/// Tests that are named as proving nothing.
const MAX_IDLE: usize = 5;

/// A run on the code as it was may take so many times as long as the one on the change, and so much more:
/// what is repaired may have been that it never ends.
const WITNESS_TIMES: u32 = 3;
const WITNESS_MORE: Duration = Duration::from_secs(30);

/// What is known of runs on the code as it was.
#[derive(Default)]
pub(crate) struct Prover {
    /// By what was put over it: the same tests on the same code say the same.
    witnessed: HashMap<[u8; 32], Tested>,
}

/// What reading both trees says.
pub(crate) struct Read {
    views: Views,
    study: Study,
}

/// Reads what the change does to the tests. `None`: the language is not known.
pub(crate) async fn read(runner: &Runner, bench: &Bench) -> Result<Option<Read>, Halt> {
    let Some(language) = runner.rules().language else { return Ok(None) };
    let views = Views::of(bench).map_err(|error| broken(error.to_string()))?;
    let command = runner.commands().test.as_ref().map(runner::spec);
    let read = tokio::task::spawn_blocking(move || {
        let Views { base, head, changed } = &views;
        let study = evidence::study(language, base, head, changed, command.as_ref());
        Read { views, study }
    });
    read.await.map(Some).map_err(|error| broken(error.to_string()))
}

/// What was done to the tests, when it must not be done.
pub(crate) fn weakened(read: &Read) -> Option<Failure> {
    let found = read.study.findings.iter().filter(|finding| is_refused(&read.study, finding));
    let first: Vec<String> = found.map(tested::said).collect();
    refusal(first)
}

fn refusal(mut first: Vec<String>) -> Option<Failure> {
    const MAX_FIRST: usize = 4;
    const WHAT_TO_DO: &str = "Tests stay as strong as they were: put back what is named here.";
    if first.is_empty() {
        return None;
    }
    first.truncate(MAX_FIRST);
    first.push(WHAT_TO_DO.to_owned());
    Some(Failure { kind: FailureKind::Weakened, result: None, failing: None, first })
}

/// Whether a finding is one for which a change is never proposed.
fn is_refused(study: &Study, finding: &Finding) -> bool {
    let is_about_tests = matches!(
        finding.rule,
        Rule::TestDeleted
            | Rule::TestSkipped
            | Rule::AssertionRemoved
            | Rule::AssertionWeakened
            | Rule::RunnerOptionsChanged
            | Rule::RunnerTampered
            | Rule::EarlyExit
            | Rule::TestsDidNotRun
    );
    // A test whose code is gone as well may go with it.
    let is_orphaned = || {
        finding.place.as_ref().is_some_and(|place| {
            study.orphaned.iter().any(|test| test.file == place.path && test.line == place.line)
        })
    };
    match finding.level {
        Level::Failure => is_about_tests,
        Level::Warning => finding.rule == Rule::TestDeleted && !is_orphaned(),
        Level::Notice => false,
    }
}

/// Finds out what proves a change whose tests pass. At most one more run of the tests, on the code as it
/// was, with the tests of the change.
pub(crate) async fn prove<W: AsyncWrite + Unpin>(
    link: &mut Link<W>,
    runner: &mut Runner,
    bench: &Bench,
    read: &Read,
    head: &Tested,
    (round, runs): (u32, &mut Vec<Run>),
) -> Result<Judged, Halt> {
    let study = &read.study;
    let Some(language) = runner.rules().language else { return Ok(passed(Proof::default())) };
    if !runner.rules().asks_for_tests || study.sources.is_empty() {
        return Ok(passed(Proof::default()));
    }
    let is_link = |(_, before, _): (_, &Content, _)| *before == Content::Other;
    let proof = if bench.changed().any(is_link) {
        let why = "the change takes the place of a link or of a large file, so that its tests can't be \
                   run without it";
        Proof { witnesses: Vec::new(), unproven: vec![why.to_owned()] }
    } else {
        let Some(base) = witness(link, runner, bench, (study, head), (round, runs)).await? else {
            return Ok(passed(Proof::default()));
        };
        let comparison = compare(study, head, &base);
        // What had no room in the journal is no test that did not run.
        let is_known = head.is_kept_whole() && base.is_kept_whole();
        let found = comparison.findings.iter();
        let found = found.filter(|f| is_known && f.rule == Rule::TestsDidNotRun);
        if let Some(failure) =
            refusal(found.filter(|finding| is_refused(study, finding)).map(tested::said).collect())
        {
            return Ok(Judged::Failed(failure));
        }
        let witnesses = Witnesses::of(&comparison, head, &base);
        // Reading the tests of a large repository takes a moment.
        let (view, study) = (read.views.head.clone(), study.clone());
        let unproven = tokio::task::spawn_blocking(move || {
            let unproven = unproven(language, &view, &study, &witnesses);
            (witnesses.names, unproven)
        });
        let (witnesses, unproven) = unproven.await.map_err(|error| broken(error.to_string()))?;
        Proof { witnesses, unproven }
    };
    Ok(passed(proof))
}

fn passed(proof: Proof) -> Judged {
    Judged::Passed(proof)
}

/// The tests of the change on the code as it was. `None`: there is no test command.
async fn witness<W: AsyncWrite + Unpin>(
    link: &mut Link<W>,
    runner: &mut Runner,
    bench: &Bench,
    (study, head): (&Study, &Tested),
    (round, runs): (u32, &mut Vec<Run>),
) -> Result<Option<Tested>, Halt> {
    let mut over: BTreeMap<TreePath, Option<String>> = BTreeMap::new();
    for (path, content) in &study.head_tests_on_base {
        let path = TreePath::parse(path).map_err(|why| broken(why.0))?;
        over.insert(path, content.clone());
    }
    let key = key(&over);
    if let Some(known) = runner.prover.witnessed.get(&key) {
        return Ok(Some(known.clone()));
    }
    let wall = head.result.duration.saturating_mul(WITNESS_TIMES).saturating_add(WITNESS_MORE);
    let trees = Trees::Base { over: &over, wall };
    let Some(tested) = runner.test(link, bench, trees).await? else { return Ok(None) };
    runs.push(Run::of(round, CommandName::Witness, &tested.result));
    runner.prover.witnessed.insert(key, tested.clone());
    Ok(Some(tested))
}

fn key(over: &BTreeMap<TreePath, Option<String>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (path, content) in over {
        let path = path.to_string();
        hash.update(path.len().to_le_bytes());
        hash.update(path);
        hash.update([u8::from(content.is_some())]);
        let content = content.as_deref().unwrap_or_default();
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    hash.finalize().into()
}

fn compare(study: &Study, head: &Tested, base: &Tested) -> Comparison {
    let base = RunOf { results: &base.results, succeeded: base.result.succeeded() };
    let head = RunOf { results: &head.results, succeeded: head.result.succeeded() };
    // Of tests that the change leaves alone, it is a run of the base as well.
    let runs =
        Runs { base: Some(base), head, base_tests_on_head: None, head_tests_on_base: Some(base) };
    evidence::compare(study, &runs)
}

/// What fails without the change and passes with it.
struct Witnesses {
    names: Vec<String>,
    /// Their files, where they are known, and their own names.
    tests: Vec<(Option<String>, String)>,
}

impl Witnesses {
    fn of(comparison: &Comparison, head: &Tested, base: &Tested) -> Self {
        let mut names: Vec<String> =
            comparison.witnesses.iter().take(MAX_WITNESSES).map(|case| case.id.clone()).collect();
        let more = comparison.witnesses.len().saturating_sub(MAX_WITNESSES);
        if more > 0 {
            names.push(format!("… and {more} more"));
        }
        let is_nameless = |tested: &Tested| {
            tested.results.source == Source::ExitCode || tested.results.cases.is_empty()
        };
        let by_end = match base.result.end {
            // How long it may take goes by the head's run, which may have found everything built. Only in the
            // tree of this process it still is.
            End::TimedOut if !head.is_past => {
                Some("the test command as a whole: without this change it does not end")
            }
            End::Exited(code) if code != 0 && is_nameless(head) && is_nameless(base) => {
                Some("the test command as a whole; it names no test")
            }
            _ => None,
        };
        if names.is_empty() {
            names.extend(by_end.map(str::to_owned));
        }
        let tests = comparison
            .witnesses
            .iter()
            .map(|case| (case.file.clone(), case.name.clone()))
            .collect();
        Self { names, tests }
    }
}

/// What no test shows, in words.
fn unproven(
    language: booty_policy::Language,
    head: &View,
    study: &Study,
    witnesses: &Witnesses,
) -> Vec<String> {
    let mut said = Vec::new();
    let tests = coverage::tests(language, head, study, &witnesses.tests);
    let mut missing = coverage::missing(language, study, &tests, !witnesses.names.is_empty());
    // The change of a single file is what its witness needs.
    if !witnesses.names.is_empty() && study.sources.len() == 1 {
        missing.clear();
    }
    if witnesses.names.is_empty() {
        let touched: Vec<String> = study.added.iter().chain(&study.changed).map(named).collect();
        let why = match touched.as_slice() {
            [] => "no test is added or changed, and all that there are pass without it".to_owned(),
            some => {
                let shown: Vec<&str> = some.iter().take(MAX_IDLE).map(String::as_str).collect();
                format!("without it, these pass as well: {}", shown.join(", "))
            }
        };
        said.push(format!("No test fails without this change and passes with it: {why}."));
    }
    for source in &missing {
        let place = place(language, head, &source.path);
        said.push(format!("{}: no new or changed test refers to it. {place}", source.path));
    }
    if said.len() == 1
        && missing.is_empty()
        && let Some(source) = study.sources.first()
    {
        let place = place(language, head, &source.path);
        said = said.into_iter().map(|text| format!("{text} {place}")).collect();
    }
    said
}

fn named(test: &booty_judge::evidence::TestRef) -> String {
    match &test.scope {
        Some(scope) => format!("{}::{scope}::{}", test.file, test.name),
        None => format!("{}::{}", test.file, test.name),
    }
}

fn broken(why: String) -> Halt {
    Halt::End(AgentEnd::Broken { why })
}
