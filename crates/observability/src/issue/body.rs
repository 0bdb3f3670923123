//! The text of the issue.

use std::fmt::Write as _;

use booty_alert::{Alert, Breadcrumb, Frame, Location};
use booty_policy::Untrusted;

use super::{Context, UNKNOWN, link::link, number, safe, time};

const MAX_NAME_CHARS: usize = 100;
const MAX_PATH_CHARS: usize = 300;
const MAX_FUNCTION_CHARS: usize = 200;
const MAX_BREADCRUMB_CHARS: usize = 160;

/// The text, in Markdown: severity, environment, release; first and last seen; the link to
/// Sentry; the location; the newest frames; the last breadcrumbs; the traces. What the event does
/// not say is said to be unknown. At most some 20,000 characters, so that forge's marker fits under
/// GitHub's 65,536.
pub fn body(alert: &Alert, context: &Context<'_>) -> String {
    let mut out = String::new();
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(out, "- **{name}:** {value}");
    };
    let first_seen = [alert.first_seen, context.first_seen].into_iter().flatten().min();
    fact("Severity", alert.severity.as_str());
    fact("Environment", &named(alert.environment.as_ref()));
    fact("Release", &named(alert.release.as_ref()));
    fact("First seen", &time(first_seen));
    fact("Last seen", &time(alert.last_seen));
    fact("Sentry", &link(alert.url.as_ref(), context.link_hosts));
    fact("Location", &alert.location.as_ref().map_or_else(|| UNKNOWN.to_owned(), location));

    frames(&mut out, alert);
    breadcrumbs(&mut out, &alert.breadcrumbs);

    let trace = context.trace_id.map_or_else(|| UNKNOWN.to_owned(), |id| format!("`{id}`"));
    let _ = write!(out, "\n---\n**Trace:** {trace}");
    if let Some(id) = &alert.trace_id {
        let _ = write!(out, ", in Sentry `{id}`");
    }
    out.push('\n');
    out
}

fn named(text: Option<&Untrusted<String>>) -> String {
    known(text.map(|text| safe::name(text, MAX_NAME_CHARS)))
}

/// What there is may be empty once it is safe.
fn known(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned())
}

fn location(at: &Location) -> String {
    place(Some(&at.place), at.line, at.function.as_ref())
}

/// `path:line` in `function`, of which anything may be missing.
fn place(
    file: Option<&Untrusted<String>>,
    line: Option<u32>,
    function: Option<&Untrusted<String>>,
) -> String {
    let mut text = known(file.map(|file| safe::name(file, MAX_PATH_CHARS)));
    if let Some(line) = line {
        match text.strip_suffix('`') {
            // Into the code span, so that the whole can be copied.
            Some(path) if path.starts_with('`') => text = format!("{path}:{line}`"),
            _ => {
                let _ = write!(text, ":{line}");
            }
        }
    }
    let function = function.map(|function| safe::name(function, MAX_FUNCTION_CHARS));
    if let Some(function) = function.filter(|text| !text.is_empty()) {
        let _ = write!(text, " in {function}");
    }
    text
}

fn frames(out: &mut String, alert: &Alert) {
    out.push_str("\n### Stack\n");
    if alert.frames.is_empty() {
        let _ = writeln!(out, "\n{UNKNOWN}");
        return;
    }
    if alert.frame_count > alert.frames.len() {
        let (shown, all) = (alert.frames.len(), number(alert.frame_count as u64));
        let _ = writeln!(out, "\nThe newest {shown} of {all} frames, the newest first.");
    } else {
        out.push_str("\nThe newest frame first.\n");
    }
    out.push('\n');
    for (number, frame) in (1..).zip(&alert.frames) {
        let Frame { file, function, line, in_app } = frame;
        let mark = if *in_app { " — **in app**" } else { "" };
        let place = place(file.as_ref(), *line, function.as_ref());
        let _ = writeln!(out, "{number}. {place}{mark}");
    }
}

fn breadcrumbs(out: &mut String, breadcrumbs: &[Breadcrumb]) {
    out.push_str("\n### Breadcrumbs\n");
    if breadcrumbs.is_empty() {
        out.push_str("\nnone\n");
        return;
    }
    out.push_str("\nThe newest last.\n\n");
    for breadcrumb in breadcrumbs {
        let Breadcrumb { time, category, message, level } = breadcrumb;
        let time = time.map(|t| t.format("%H:%M:%S").to_string());
        let level = level.map(|level| level.to_string());
        let category = category.as_ref().map(|text| safe::words(text, 40));
        let head = [time, level, category.filter(|text| !text.is_empty())];
        let head = head.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let message = message.as_ref().map(|text| safe::words(text, MAX_BREADCRUMB_CHARS));
        let message = known(message);
        let parts = [head, message];
        let parts = parts.iter().filter(|part| !part.is_empty());
        let _ = writeln!(out, "- {}", parts.cloned().collect::<Vec<_>>().join(" · "));
    }
}
