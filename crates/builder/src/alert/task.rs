//! A task made of what checks out of an alert.

use std::fmt::Write as _;

use booty_events::v1::{AlertFacts, AlertFrame, BaseChosen};
use booty_github::Client;
use booty_workspace::{BaseFile, Checkout};

use super::{Origin, function, path, release};
use crate::{
    job::{Stop, refused},
    order::Order,
    outcome::Ending,
    shared::Shared,
};

/// Frames that are looked at; forge keeps no more.
const MAX_FRAMES: usize = 7;
/// Nobody writes a larger file by hand.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Characters of an exception's type.
const MAX_TYPE: usize = 100;

/// What a build of an issue is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// What it says.
    Issue,
    /// Of what an event said, what checks out.
    Facts(AlertFacts),
    /// Nothing: there is to be no build.
    Nothing,
}

/// A frame in the tree's own words.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    path: String,
    function: String,
    line: Option<u32>,
    in_app: bool,
}

impl Told {
    /// Whether a build can come of it, as far as that can be known without the tree.
    pub(crate) fn allows_a_build(&self) -> Result<(), Stop> {
        match self {
            Self::Nothing => Err(off()),
            Self::Facts(facts) if facts.frames.is_empty() => Err(nothing_left()),
            Self::Facts(_) | Self::Issue => Ok(()),
        }
    }
}

/// The task of a build that is told this, in a checkout of its base: `task` is what the issue says.
pub(crate) async fn tell(
    github: &Client,
    order: &Order,
    told: &Told,
    tree: &Checkout,
    task: BaseChosen,
) -> Result<BaseChosen, Stop> {
    let facts = match told {
        Told::Issue => return Ok(task),
        Told::Nothing => return Err(off()),
        Told::Facts(facts) => facts,
    };
    let (title, body) = checked(github, order, facts, tree).await?.ok_or_else(nothing_left)?;
    Ok(BaseChosen { title, body, restricted: true, ..task })
}

/// What a further attempt is told that goes back to a change: what the one that made it was, unless that
/// was more than it may be told now.
pub(crate) async fn retell(
    shared: &Shared,
    order: &Order,
    known: &BaseChosen,
) -> Result<Told, Stop> {
    let Some(origin) = Origin::recorded(shared, &order.repository, order.issue).await? else {
        return Ok(Told::Issue);
    };
    Ok(match Origin::Alert(origin).told(shared.settings.auto_build) {
        // What its task was made of has been checked.
        Told::Facts(_) if known.restricted => Told::Issue,
        told => told,
    })
}

fn off() -> Stop {
    Stop::End(Ending::triage(
        "auto_build_off",
        "I do not work on this: the issue was made from an alert, and I am set to build nothing from \
         alerts (`OBSV_AUTO_BUILD=off`).",
    ))
}

fn nothing_left() -> Stop {
    Stop::End(Ending::triage(
        "triage",
        "I did not begin: the issue was made from an alert. Of one I am told only what checks out against \
         the code, and no stack frame of this one names a file and a function that are there.",
    ))
}

/// Title and body, in our words and the repository's; `None` when no frame is left: an exception's type
/// alone says nothing about where to look.
async fn checked(
    github: &Client,
    order: &Order,
    facts: &AlertFacts,
    tree: &Checkout,
) -> Result<Option<(String, String)>, Stop> {
    let mut frames: Vec<Frame> = Vec::new();
    for sent in facts.frames.iter().take(MAX_FRAMES) {
        if let Some(frame) = frame(sent, tree).await?
            && !frames.contains(&frame)
        {
            frames.push(frame);
        }
    }
    tracing::info!(event = "alert_checked", sent = facts.frames.len(), left = frames.len());
    let Some(first) = frames.iter().find(|frame| frame.in_app).or(frames.first()) else {
        return Ok(None);
    };
    let exception = Some(facts.exception_type.as_str()).filter(|name| is_type(name));
    let release = release::find(github, &order.repository, &facts.release).await?;
    let what = exception.unwrap_or("the failure");
    let title = format!("Fix {what} in {} ({})", first.path, first.function);
    Ok(Some((title, body(exception, release.as_deref(), &frames))))
}

async fn frame(sent: &AlertFrame, tree: &Checkout) -> Result<Option<Frame>, Stop> {
    let Some(BaseFile { path, size, .. }) = path::locate(&sent.file, tree.files()) else {
        return Ok(None);
    };
    if *size > MAX_FILE_BYTES {
        return Ok(None);
    }
    let content = tree.base_content(path).await.map_err(|error| refused(&error))?;
    let text = content.and_then(|content| String::from_utf8(content).ok());
    let (Some(text), Ok(path)) = (text, str::from_utf8(path)) else { return Ok(None) };
    let Some(function) = function::find(&sent.function, path, &text) else { return Ok(None) };
    let lines = text.lines().count();
    let is_line = sent.line > 0 && usize::try_from(sent.line).is_ok_and(|line| line <= lines);
    Ok(Some(Frame {
        path: path.to_owned(),
        function: function.to_owned(),
        line: Some(sent.line).filter(|_| is_line),
        in_app: sent.in_app,
    }))
}

/// `[A-Za-z_][A-Za-z0-9_.:]{0,99}`
fn is_type(name: &str) -> bool {
    name.len() <= MAX_TYPE
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:".contains(&b))
}

fn body(exception: Option<&str>, release: Option<&str>, frames: &[Frame]) -> String {
    let mut body = String::new();
    // Writing to a String can't fail.
    if let Some(exception) = exception {
        let _ = writeln!(body, "exception type: `{exception}`");
    }
    if let Some(release) = release {
        let _ = writeln!(body, "release: `{release}`");
    }
    body.push_str("stack frames, the newest first:\n");
    for Frame { path, function, line, in_app } in frames {
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        let of_a_library = if *in_app { "" } else { " (a library's, as far as is known)" };
        let _ = writeln!(body, "- `{path}`{line}, in `{function}`{of_a_library}");
    }
    body.truncate(body.trim_end().len());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_one_word() {
        for name in ["TypeError", "requests.exceptions.Timeout", "std::io::Error", "_X"] {
            assert!(is_type(name), "{name}");
        }
        let long = "a".repeat(101);
        for other in ["", "1x", "a b", "a-b", "a`b", "é", "a\n", &long] {
            assert!(!is_type(other), "{other}");
        }
    }
}
