//! From a green tree to the effect that opens a pull request.

use std::{fmt::Write as _, time::Duration};

use booty_events::v1::{
    BaseChosen, Effect, FileChange, FileMode, IssueOutcome, OpenPullRequest, Spent,
    UpdatePullRequest, effect::Write,
};
use booty_policy::{
    ChangedPath, DiffLimits, Protected, Redact, Untrusted, check_change, markdown, redact, redacted,
};
use booty_workspace::{Change, ChangeKind, ChangeSet, Mode};
use chrono::{DateTime, Utc};

use super::overlap::Overlaps;
use crate::{
    agent::protocol::{CommandName, Commands, Report, Verdict},
    budget::{self, grouped},
    job::conclusion::Standing,
    order::{FollowUp, Order},
    outcome::{self, Ending, SLOT_OPEN, SLOT_UPDATE},
};

/// GitHub takes 256 characters of a title.
const MAX_TITLE_CHARS: usize = 200;
/// Characters of the model's summary, far below GitHub's 65,536 for a body.
const MAX_SUMMARY_CHARS: usize = 10_000;
/// Changed paths that the body lists.
const MAX_LISTED: usize = 50;

/// What a proposal is made of.
pub(crate) struct Material<'a> {
    pub(crate) order: &'a Order,
    pub(crate) base: &'a BaseChosen,
    pub(crate) overlaps: &'a Overlaps,
    pub(crate) commands: &'a Commands,
    pub(crate) is_configured: bool,
    /// Whether the draft may end by itself.
    pub(crate) promote: bool,
    /// Whether it is a change of Booty itself.
    pub(crate) is_own: bool,
    /// What isolated the commands.
    pub(crate) sandbox: &'a str,
    pub(crate) report: &'a Report,
    pub(crate) standing: &'a Standing,
    pub(crate) rounds: u32,
    /// What all its answers have cost.
    pub(crate) spent: Spent,
    pub(crate) worked: Duration,
    pub(crate) now: DateTime<Utc>,
}

/// Refuses a change that touches what is protected, or is too large. Nothing was pushed then.
pub(crate) fn check(
    changes: &ChangeSet,
    limits: &DiffLimits,
    protected: &Protected,
) -> Result<(), Ending> {
    if changes.changes.is_empty() {
        return Err(Ending::needs_human("no_change", "I ended without a change."));
    }
    let paths: Vec<ChangedPath> = changes.changes.iter().map(ChangedPath::from).collect();
    let Err(violations) = check_change(&paths, limits, protected) else { return Ok(()) };
    // A warning is for whoever reviews: the check run of the pull request has it.
    let refusals: Vec<String> = violations
        .iter()
        .filter(|violation| !violation.only_warns)
        .map(ToString::to_string)
        .collect();
    if refusals.is_empty() {
        return Ok(());
    }
    let ending = Ending::needs_human(
        "refused_change",
        "I have a change that passes, but it is not one that I may propose:",
    );
    Err(ending.quoting(refusals.join("\n")))
}

/// The effect.
pub(crate) fn effect(material: &Material<'_>, changes: ChangeSet) -> Effect {
    let Material { order, base, report, rounds, .. } = material;
    let issue = order.issue.get();
    let title = title(&base.title, issue);
    let paths = paths(&changes);
    // Merged as it is, a change that is known to fail would close its issue.
    let link = match material.standing {
        Standing::Proven | Standing::Unproven(_) => format!("Fixes #{issue}"),
        Standing::Failing(_) => format!("For #{issue}"),
    };
    let body = format!("{link}\n\n{}{}", warning(material), report_of(material, &paths));
    let outcome = match material.standing {
        Standing::Proven | Standing::Unproven(_) => IssueOutcome {
            issue,
            label: booty_events::label::OPENED.to_owned(),
            comment: format!(
                "Opened #{{number}} as a draft. {} Round {} of {rounds}.\n\n{}",
                tested_in_one_sentence(material),
                report.rounds,
                outcome::signature(order),
            ),
            more_labels: Vec::new(),
        },
        Standing::Failing(ending) => ending.showing_the_best(order),
    };
    let write = OpenPullRequest {
        issue,
        base_branch: base.branch.clone(),
        base_sha: base.sha.clone(),
        branch: order.branch(),
        commit_message: format!("{title}\n\n{link}"),
        changes: changes.changes.into_iter().map(file_change).collect(),
        title,
        body,
        draft: true,
        labels: Vec::new(),
        outcome: Some(outcome),
        promote: material.promote && material.standing.may_be_promoted(),
    };
    outcome::effect(order, SLOT_OPEN, Write::OpenPullRequest(write), material.now)
}

/// What a reviewer must know before anything else.
fn warning(material: &Material<'_>) -> String {
    let own = if material.is_own {
        "**This changes Booty itself**, which judges changes, so it stays a draft until a person ends \
         it.\n\n"
    } else {
        ""
    };
    let standing = match material.standing {
        Standing::Proven => String::new(),
        Standing::Unproven(unproven) => {
            let list = redacted(&Untrusted::new(unproven.join("\n")), Redact::default());
            format!(
                "**No test proves all of this.** Everything passes, but it would be good to have \
                 tests for:\n\n{}\n\nSo this stays a draft until a person ends it.\n\n",
                markdown::code_block(&list, 4_000)
            )
        }
        Standing::Failing(ending) => {
            let quoted = ending.quoted.clone().unwrap_or_else(|| "".into());
            let quoted = redacted(&quoted, Redact::default());
            let round = material.report.attempt.as_ref().map_or(0, |attempt| attempt.round);
            format!(
                "**This does not pass.** {}\n\n{}\n\nIt is the best attempt, of round {round}, to go \
                 on from by hand. It stays a draft, and no follow-up is made of it.\n\n",
                ending.sentence,
                markdown::code_block(&quoted, 4_000),
            )
        }
    };
    format!("{own}{standing}")
}

/// The issue's title as one plain line. Titles are shown as text, but land in commit messages, too,
/// where a mention or a closing keyword would count.
fn title(of_issue: &str, issue: u64) -> String {
    let clean = Untrusted::new(redact(of_issue, Redact::default()));
    match markdown::plain(&clean, MAX_TITLE_CHARS) {
        plain if plain.trim().is_empty() => format!("Change for issue {issue}"),
        plain => plain,
    }
}

/// The effect that puts one more commit on the pull request.
pub(crate) fn update(material: &Material<'_>, follow_up: &FollowUp, changes: ChangeSet) -> Effect {
    let order = material.order;
    let issue = order.issue.get();
    let paths = paths(&changes);
    let FollowUp { number, of, head, .. } = follow_up;
    let why = match &follow_up.by {
        None => format!(
            "Follow-up {number} of {of}: the verifier did not accept {head}, so I went back to it."
        ),
        Some(by) => format!(
            "Request {number} of {of}: {} asked for changes to {head}, so I went back to it.",
            outcome::login(by)
        ),
    };
    let comment = format!("{why}\n\n{}", report_of(material, &paths));
    let title = title(&material.base.title, issue);
    let write = UpdatePullRequest {
        pull_request: follow_up.pull_request,
        issue,
        branch: follow_up.branch.clone(),
        head_sha: head.to_string(),
        commit_message: format!("{title}: {}\n\nFor #{issue}", numbered(follow_up)),
        changes: changes.changes.into_iter().map(file_change).collect(),
        comment,
    };
    outcome::effect(order, SLOT_UPDATE, Write::UpdatePullRequest(write), material.now)
}

fn numbered(follow_up: &FollowUp) -> String {
    let kind = if follow_up.by.is_some() { "request" } else { "follow-up" };
    format!("{kind} {}", follow_up.number)
}

pub(crate) fn paths(changes: &ChangeSet) -> Vec<String> {
    let shown = |change: &Change| String::from_utf8_lossy(&change.path).into_owned();
    changes.changes.iter().map(shown).collect()
}

/// What was done, how it was tested, what it cost.
fn report_of(material: &Material<'_>, paths: &[String]) -> String {
    let Material { order, base, commands, report, rounds, spent, .. } = material;
    let summary = Untrusted::new(redact(&report.said, Redact::default()));
    let mut body =
        format!("## What was done\n\n{}\n\n", markdown::inert(&summary, MAX_SUMMARY_CHARS));
    // Writing to a String can't fail.
    let listed: Vec<&str> = paths.iter().take(MAX_LISTED).map(String::as_str).collect();
    let mut list = listed.join("\n");
    if paths.len() > MAX_LISTED {
        let _ = write!(list, "\n… and {} more", paths.len() - MAX_LISTED);
    }
    let list = Untrusted::new(list);
    let _ = write!(body, "{}\n\n## How it was tested\n\n", markdown::code_block(&list, 8_000));

    if report.runs.is_empty() {
        body.push_str(
            "**It was not tested.** The repository names no check or test command, and none was \
             detected.\n\n",
        );
    } else {
        let _ = writeln!(body, "| round | command | ended | seconds |\n|---|---|---|---|");
        for run in &report.runs {
            let seconds = std::time::Duration::from_millis(run.duration_ms).as_secs_f64();
            let _ = writeln!(body, "| {} | {} | {} | {seconds:.1} |", run.round, run.name, run.end);
        }
        let source = if material.is_configured { "`.booty.yml`" } else { "detected" };
        let _ = write!(
            body,
            "\nExit codes decide. The commands ({source}) ran in a sandbox ({}) on commit `{}` of \
             `{}` with this change:\n\n",
            material.sandbox,
            base.sha,
            base.branch.replace('`', ""),
        );
        let named = [
            ("format", commands.format.as_ref().map(|command| &command.line)),
            ("check", commands.check.as_ref()),
            ("lint", commands.lint.as_ref().map(|command| &command.line)),
            ("test", commands.test.as_ref()),
        ];
        let scripts: Vec<String> = named
            .into_iter()
            .filter_map(|(name, line)| Some(format!("{name}: {}", line?.script)))
            .collect();
        let scripts = Untrusted::new(scripts.join("\n"));
        let _ = write!(body, "{}\n\n", markdown::code_block(&scripts, 4_000));
        if report.runs.iter().any(|run| run.name == CommandName::Witness) {
            body.push_str(
                "`witness` is the test command once more, on the code as it was, with the tests of this \
                 change: it is to fail.\n\n",
            );
        }
        body.push_str(&witnesses(report));
    }

    if !base.mentioned_by.is_empty() {
        let others: Vec<String> = base.mentioned_by.iter().map(|n| format!("#{n}")).collect();
        let _ =
            write!(body, "Other open pull requests mention this issue: {}\n\n", others.join(", "));
    }
    body.push_str(&material.overlaps.text());
    let _ = write!(
        body,
        "## Budget\n\n{}\n\n{}",
        budget(spent, &report.model, Some((report.rounds, *rounds)), material.worked),
        outcome::signature(order)
    );
    body
}

/// The tests that prove the change.
fn witnesses(report: &Report) -> String {
    match report.attempt.as_ref().map(|attempt| &attempt.verdict) {
        Some(Verdict::Passed { witnesses, .. }) if !witnesses.is_empty() => {
            let names = Untrusted::new(redact(&witnesses.join("\n"), Redact::default()));
            let names = markdown::code_block(&names, 4_000);
            format!("Fails on the base, passes here:\n\n{names}\n\n")
        }
        _ => String::new(),
    }
}

/// What a run has cost, in one line. `rounds`: how many it took of how many, where that is known.
pub(crate) fn budget(
    spent: &Spent,
    model: &str,
    rounds: Option<(u32, u32)>,
    worked: Duration,
) -> String {
    let model = match markdown::inert(&Untrusted::new(model.to_owned()), 100) {
        model if model.is_empty() => String::new(),
        model => format!(" of {model}"),
    };
    let answers = if spent.calls == 1 { "answer" } else { "answers" };
    let read = [spent.input_tokens, spent.cache_read_tokens, spent.cache_write_tokens];
    let rounds = match rounds {
        Some((rounds, of)) => format!(" {rounds} of {of} rounds;"),
        None => String::new(),
    };
    format!(
        "{} {answers}{model}, {} tokens read ({} of them cached), {} written, {};{rounds} {} s",
        spent.calls,
        grouped(read.into_iter().fold(0, u64::saturating_add)),
        grouped(spent.cache_read_tokens),
        grouped(spent.output_tokens),
        budget::cost(spent),
        worked.as_secs(),
    )
}

fn tested_in_one_sentence(material: &Material<'_>) -> String {
    let report = material.report;
    let round = report.attempt.as_ref().map_or(report.rounds, |attempt| attempt.round);
    let last: Vec<String> = report
        .runs
        .iter()
        .filter(|run| run.round == round && run.name != CommandName::Witness)
        .map(|run| format!("`{}`", run.name))
        .collect();
    let tested = match last.as_slice() {
        [] => "It was not tested: no command is known.".to_owned(),
        passed => format!("Passed: {}.", passed.join(", ")),
    };
    match material.standing {
        Standing::Unproven(_) => format!("{tested} No test proves all of it."),
        Standing::Proven | Standing::Failing(_) => tested,
    }
}

fn file_change(change: Change) -> FileChange {
    let mode = match (change.kind, change.mode) {
        (ChangeKind::Deleted, _) => FileMode::Deleted,
        (_, Mode::Regular) => FileMode::Regular,
        (_, Mode::Executable) => FileMode::Executable,
        (_, Mode::Symlink) => FileMode::Symlink,
    };
    FileChange { path: change.path.into(), mode: mode.into(), content: change.content.into() }
}
