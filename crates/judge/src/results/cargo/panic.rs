//! What a Rust test printed when it panicked.

use std::sync::LazyLock;

use regex::Regex;

use crate::results::text;

/// Why a test failed, and where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) place: Option<(String, u32)>,
}

/// The panic of the test's own thread, else the last one, else what else is said.
pub(crate) fn find(text: &str, test: &str, directory: &str) -> Panic {
    // Since 1.73 the message is below; since 1.90 the thread has a number.
    static NOW: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?m)^thread '(.*)'(?: \(\d+\))? panicked at (\S.*?):(\d+):\d+:$").ok()
    });
    static BEFORE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?ms)^thread '([^'\n]*)' panicked at '(.*?)', ([^\n']+?):(\d+):\d+$").ok()
    });
    let mut panics: Vec<(bool, String, String, u32)> = Vec::new();
    for found in NOW.iter().flat_map(|regex| regex.captures_iter(text)).take(100) {
        let end = found.get(0).map_or(0, |whole| whole.end());
        let message = message_lines(text.get(end..).unwrap_or_default());
        let line = found[3].parse().unwrap_or(0);
        panics.push((&found[1] == test, message, found[2].to_owned(), line));
    }
    for found in BEFORE.iter().flat_map(|regex| regex.captures_iter(text)).take(100) {
        let line = found[4].parse().unwrap_or(0);
        panics.push((&found[1] == test, found[2].to_owned(), found[3].to_owned(), line));
    }
    let own = panics.iter().rposition(|(is_own, ..)| *is_own);
    let Some((_, message, path, line)) = own.or(panics.len().checked_sub(1)).map(|at| &panics[at])
    else {
        return without_panic(text, directory);
    };
    let note = text.lines().find_map(|line| line.strip_prefix("note: panic did not contain "));
    let message = match note {
        Some(note) => format!("panic did not contain {note}: {message}"),
        None => message.clone(),
    };
    let place = text::tree_path(path, directory)
        .map(|path| (path, *line))
        .or_else(|| in_backtrace(text, directory));
    Panic { message, place }
}

/// Until the note on backtraces or the backtrace.
fn message_lines(text: &str) -> String {
    const MAX_LINES: usize = 12;
    let lines = text.lines().skip(1).take(MAX_LINES);
    let lines = lines.take_while(|line| {
        !line.is_empty() && !line.starts_with("note: ") && *line != "stack backtrace:"
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A panic in a library is placed where the tree called it.
fn in_backtrace(text: &str, directory: &str) -> Option<(String, u32)> {
    let frames = text.lines().filter_map(|line| line.trim_start().strip_prefix("at ./"));
    let mut places = frames.filter_map(|frame| {
        let mut parts = frame.rsplitn(3, ':');
        let (_, line, path) = (parts.next()?, parts.next()?, parts.next()?);
        Some((text::tree_path(path, directory)?, line.parse().ok()?))
    });
    places.next()
}

fn without_panic(text: &str, directory: &str) -> Panic {
    if let Some(rest) = text.lines().find_map(|line| line.strip_prefix("note: test did not panic"))
    {
        let place = text::places(rest, directory).next();
        return Panic { message: format!("test did not panic{rest}"), place };
    }
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let said = lines.iter().rev().find(|line| line.starts_with("Error: ")).or(lines.last());
    Panic { message: said.map_or("", |line| line).to_owned(), place: None }
}
