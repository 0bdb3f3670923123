//! A report as GitHub shows it. Whatever came from outside is redacted and made inert here, at the one
//! place where it is shown.

use std::fmt::Write as _;

use booty_policy::{Redact, Untrusted, markdown, redact};

use super::{Conclusion, Finding, Level, Ran, Report, Section, Stage, State};

/// Findings of one stage that are shown; annotations have them all.
const MAX_SHOWN: usize = 60;
/// Lines of a stage that are shown.
const MAX_SAID: usize = 60;
/// Characters of one line from outside.
const MAX_LINE_CHARS: usize = 600;
/// Characters of one finding's detail: a failing test's own text.
const MAX_DETAIL_CHARS: usize = 3_000;
/// Details that are shown; further failures seldom say something new.
const MAX_DETAILS: usize = 12;

/// A check run's three texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub title: String,
    /// The stages at a glance.
    pub summary: String,
    /// One section a stage.
    pub text: String,
}

/// Writes a report for GitHub. `again` is the command that repeats the judgement on one's own machine.
pub fn markdown(report: &Report, again: &str) -> Text {
    Text { title: report.title.clone(), summary: summary(report), text: text(report, again) }
}

fn summary(report: &Report) -> String {
    let mut out = format!("{}\n\n", line(&report.commands));
    out.push_str("| stage | | seconds |\n|---|---|---|\n");
    for section in &report.sections {
        let seconds = seconds(section.duration_ms);
        // Writing to a String can't fail.
        let _ = writeln!(
            out,
            "| {} {} | {} | {seconds} |",
            mark(section.state),
            section.stage.title(),
            line(&section.headline).replace('\n', " "),
        );
    }
    let _ = write!(out, "\nBase `{}`, head `{}`", report.base, report.head);
    if let Some(tree) = &report.merged_tree {
        let _ = write!(out, ", merged tree `{tree}`");
    }
    out.push_str(".\n");
    out
}

fn text(report: &Report, again: &str) -> String {
    let mut out = String::new();
    for section in &report.sections {
        section_text(&mut out, section);
    }
    if report.conclusion != Conclusion::Success {
        let _ = write!(
            out,
            "## See it again\n\nOn a clone that has both commits:\n\n```\n{again}\n```\n"
        );
    }
    out
}

fn section_text(out: &mut String, section: &Section) {
    let _ = write!(
        out,
        "## {} {}\n\n{}\n\n",
        mark(section.state),
        section.stage.title(),
        line(&section.headline)
    );
    for said in section.said.iter().take(MAX_SAID) {
        let _ = writeln!(out, "- {}", line(said));
    }
    if section.said.len() > MAX_SAID {
        let _ = writeln!(out, "- … and {} more", section.said.len() - MAX_SAID);
    }
    if !section.said.is_empty() {
        out.push('\n');
    }
    runs(out, &section.runs);
    findings(out, section);
}

fn runs(out: &mut String, runs: &[Ran]) {
    if runs.is_empty() {
        return;
    }
    out.push_str("| command | ended | seconds |\n|---|---|---|\n");
    for run in runs {
        let _ =
            writeln!(out, "| {} | {} | {} |", line(&run.name), run.end, seconds(run.duration_ms));
    }
    let scripts: Vec<String> = distinct(runs);
    let _ = write!(out, "\n{}\n\n", markdown::code_block(&clean(&scripts.join("\n")), 2_000));
}

/// The scripts, each once.
fn distinct(runs: &[Ran]) -> Vec<String> {
    let mut scripts: Vec<String> = Vec::new();
    for run in runs {
        if !scripts.contains(&run.script) {
            scripts.push(run.script.clone());
        }
    }
    scripts
}

fn findings(out: &mut String, section: &Section) {
    let mut sorted: Vec<&Finding> = section.findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let mut details = 0;
    for finding in sorted.iter().take(MAX_SHOWN) {
        let place = match &finding.place {
            Some(place) => format!(" {}:{}", line(&place.path), place.line),
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "- {} `{}`{place}: {}",
            level(finding.level),
            finding.rule,
            line(&finding.message)
        );
        if let Some(detail) = finding.detail.as_ref().filter(|_| details < MAX_DETAILS) {
            details += 1;
            let block = markdown::code_block(&clean(detail), MAX_DETAIL_CHARS);
            // Indented, so that it belongs to its list item.
            for text in block.lines() {
                let _ = writeln!(out, "  {text}");
            }
        }
    }
    if sorted.len() > MAX_SHOWN {
        let _ = writeln!(out, "- … and {} more", sorted.len() - MAX_SHOWN);
    }
    if !sorted.is_empty() {
        out.push('\n');
    }
}

/// A line that may hold text from outside.
fn line(text: &str) -> String {
    markdown::inert(&clean(text), MAX_LINE_CHARS).replace('\n', " ")
}

fn clean(text: &str) -> Untrusted<String> {
    Untrusted::new(redact(text, Redact::default()))
}

fn seconds(millis: u64) -> String {
    format!("{:.1}", std::time::Duration::from_millis(millis).as_secs_f64())
}

fn mark(state: State) -> &'static str {
    match state {
        State::Passed => "✅",
        State::Skipped => "⏭️",
        State::Neutral => "⚪",
        State::Failed => "❌",
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Failure => "❌",
        Level::Warning => "⚠️",
        Level::Notice => "ℹ️",
    }
}

/// What an annotation is called.
impl Finding {
    /// Its heading: the stage's own word for it.
    pub fn title(&self) -> String {
        self.rule.to_string().replace('_', " ")
    }

    /// Its message as plain text that does nothing: redacted, without control and hidden characters.
    pub fn plain(&self) -> String {
        markdown::plain(&clean(&self.message), MAX_LINE_CHARS)
    }

    /// Its detail as plain text, redacted and cut to so many characters.
    pub fn plain_detail(&self, max_chars: usize) -> String {
        let detail = self.detail.as_deref().unwrap_or_default();
        let detail = booty_policy::strip_hidden(&redact(detail, Redact::default()));
        markdown::head_and_tail(&detail, max_chars)
    }
}

/// Stages at a glance, for a line of progress.
impl Stage {
    /// What is being done in it.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Merge => "merging",
            Self::Policy => "checking what the change touches",
            Self::Setup => "installing dependencies",
            Self::Imports => "checking imports and compiling",
            Self::Tests => "running the tests",
            Self::Evidence => "comparing with the base",
        }
    }
}
