//! A report for a terminal or a log.

use std::fmt::Write as _;

use booty_policy::{Redact, redact, strip_hidden};

use super::{Conclusion, Finding, Level, Report, State};

/// Lines of a finding's detail that are shown: its beginning says what ran, its end why it failed.
const HEAD_LINES: usize = 10;
const TAIL_LINES: usize = 30;

/// Writes a report as lines; with colours when `ansi`.
pub fn terminal(report: &Report, ansi: bool) -> String {
    let paint = Paint(ansi);
    let mut out = String::new();
    for section in &report.sections {
        let mark = match section.state {
            State::Passed => paint.green("ok     "),
            State::Skipped => paint.dim("skipped"),
            State::Neutral => paint.yellow("neutral"),
            State::Failed => paint.red("FAILED "),
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            out,
            "{mark} {:<18} {}  {}",
            section.stage.title(),
            line(&section.headline),
            paint.dim(&seconds(section.duration_ms))
        );
        for said in &section.said {
            let _ = writeln!(out, "          {}", line(said));
        }
        for run in &section.runs {
            let text = format!("$ {}: {} ({})", line(&run.name), run.end, seconds(run.duration_ms));
            let _ = writeln!(out, "          {}", paint.dim(&text));
        }
        let mut findings: Vec<&Finding> = section.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        for finding in findings {
            finding_text(&mut out, finding, paint);
        }
    }
    let conclusion = match report.conclusion {
        Conclusion::Success => paint.green("success"),
        Conclusion::Neutral => paint.yellow("neutral"),
        Conclusion::Failure => paint.red("failure"),
    };
    let _ = writeln!(out, "\n{conclusion}: {}", line(&report.title));
    out
}

fn finding_text(out: &mut String, finding: &Finding, paint: Paint) {
    let level = match finding.level {
        Level::Failure => paint.red("error"),
        Level::Warning => paint.yellow("warning"),
        Level::Notice => paint.dim("note"),
    };
    let place = match &finding.place {
        Some(place) => format!("{}:{}: ", line(&place.path), place.line),
        None => String::new(),
    };
    let _ = writeln!(out, "          {place}{level}[{}]: {}", finding.rule, line(&finding.message));
    let Some(detail) = &finding.detail else { return };
    let detail = strip_hidden(&redact(detail, Redact::default()));
    let lines: Vec<&str> = detail.trim_end().lines().collect();
    let mut show = |text: &str| {
        let _ = writeln!(out, "            {}", paint.dim(&format!("| {text}")));
    };
    // One line in the place of one is no shorter.
    let left_out = lines.len().saturating_sub(HEAD_LINES + TAIL_LINES);
    let left_out = if left_out > 1 { left_out } else { 0 };
    for (number, text) in lines.iter().enumerate() {
        if left_out > 0 && number == HEAD_LINES {
            show(&format!("… {left_out} lines"));
        }
        if left_out == 0 || number < HEAD_LINES || number >= HEAD_LINES + left_out {
            show(text);
        }
    }
}

/// One line, in which nothing from outside can move the cursor.
fn line(text: &str) -> String {
    strip_hidden(&redact(text, Redact::default())).replace(['\n', '\t'], " ")
}

fn seconds(millis: u64) -> String {
    format!("{:.1}s", std::time::Duration::from_millis(millis).as_secs_f64())
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn red(self, text: &str) -> String {
        self.with("31;1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}
