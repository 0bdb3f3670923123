//! Runs a tool that must not be the tree's own, and reads what it printed.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use booty_sandbox::{End, Error, RunResult};

use crate::shell::{Script, Shell};

/// `PATH` may lead into the tree, where an environment of installed packages can be and where
/// anybody can put a `python3`. A function of the shell so that it looks where the script runs.
const FIND: &str = r#"booty_find() {
    booty_here=$(pwd -P)
    booty_rest=$PATH:
    while [ -n "$booty_rest" ]; do
        booty_folder=${booty_rest%%:*}
        booty_rest=${booty_rest#*:}
        case $booty_folder in /*) ;; *) continue ;; esac
        booty_real=$(cd "$booty_folder" 2>/dev/null && pwd -P) || continue
        case $booty_real/ in "$booty_here"/*) continue ;; esac
        [ -f "$booty_folder/$1" ] && [ -x "$booty_folder/$1" ] || continue
        printf '%s\n' "$booty_folder/$1"
        return 0
    done
    return 1
}
"#;
/// The exit code of a script whose tool is nowhere in `PATH`. A shell's own.
pub(super) const NO_TOOL: i32 = 127;
/// Linux takes 128 KiB for one variable.
const MAX_VARIABLE_BYTES: usize = 96 * 1024;
/// Linux takes 2 MiB for arguments and variables together.
pub(super) const MAX_REQUEST_BYTES: usize = 1024 * 1024;
/// An analyser of ours is done in seconds; a tree that makes it think longer is not looked at.
pub(super) const ANALYSIS: Duration = Duration::from_secs(180);
/// Far more than the findings of an analyser of ours can take.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What an analyser of ours said, or why it said nothing.
pub(super) enum Answer {
    /// Its JSON. Made from a stranger's files: to be read as such.
    Json(String),
    /// Its tool is not in the sandbox.
    NoTool,
    /// It ended otherwise.
    Nothing {
        /// How it ended, for people.
        how: String,
    },
}

/// Runs an analyser of ours: `program` is its source, given to `command` in the variable
/// `BOOTY_PROGRAM`, and `request` its question.
pub(super) async fn analyse(
    shell: &Shell,
    tool: &str,
    command: &str,
    program: &str,
    request: &mut serde_json::Value,
) -> Result<Answer, Error> {
    let mark = mark();
    if let Some(request) = request.as_object_mut() {
        request.insert("mark".to_owned(), mark.clone().into());
    }
    let mut script = script(tool, command);
    script.timeout = Some(ANALYSIS.min(shell.limits.wall));
    script.output_bytes = Some(MAX_ANSWER_BYTES);
    script.env.insert("BOOTY_PROGRAM".to_owned(), program.to_owned());
    for (number, part) in pieces(&ascii(&request.to_string())).enumerate() {
        script.env.insert(format!("BOOTY_REQUEST_{number}"), part.to_owned());
    }
    let result = shell.run(&script).await?;
    let line = result.output.lines().rev().find_map(|line| line.strip_prefix(&mark));
    Ok(match (result.end, line) {
        (End::Exited(0), Some(json)) => Answer::Json(json.to_owned()),
        (End::Exited(NO_TOOL), _) => Answer::NoTool,
        (end, _) => Answer::Nothing { how: format!("{end}{}", said(&result)) },
    })
}

/// A script with the path of a tool outside of the tree in `$tool`.
pub(super) fn script(tool: &str, command: &str) -> Script {
    Script {
        text: format!("{FIND}tool=$(booty_find {tool}) || exit {NO_TOOL}\n{command}"),
        // Each makes an interpreter run a file of one's choice before anything else.
        env: BTreeMap::from(
            ["NODE_OPTIONS", "PYTHONSTARTUP", "PYTHONHOME"]
                .map(|name| (name.to_owned(), String::new())),
        ),
        ..Script::default()
    }
}

/// The last line that was printed.
fn said(result: &RunResult) -> String {
    let last = result.output.lines().rev().find(|line| !line.trim().is_empty());
    last.map(|line| format!(" ({})", one_line(line, 200))).unwrap_or_default()
}

/// What starts the line of the answer. Another each time: nothing in a tree can know it.
fn mark() -> String {
    let state = RandomState::new();
    format!("booty-{:016x}{:016x} ", state.hash_one(0), state.hash_one(1))
}

/// JSON without a character that a locale may not know.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn pieces(ascii: &str) -> impl Iterator<Item = &str> {
    let starts = (0..ascii.len()).step_by(MAX_VARIABLE_BYTES);
    starts.filter_map(|at| ascii.get(at..ascii.len().min(at + MAX_VARIABLE_BYTES)))
}

/// A stranger's text as one line of at most `max` characters.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let text = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = text.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// A stranger's text of at most `max` characters, lines kept.
pub(super) fn block(text: &str, max: usize) -> String {
    let text = text.trim_end();
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_any_locale_and_size() {
        let json = serde_json::json!({ "a": format!("é😀\n{}", "x".repeat(MAX_VARIABLE_BYTES)) });
        let parts: Vec<String> = pieces(&ascii(&json.to_string())).map(str::to_owned).collect();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.is_ascii()));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&parts.concat()).unwrap(), json);
    }

    #[test]
    fn strangers_text_is_cut_and_put_in_one_line() {
        assert_eq!(one_line("a\n\x1b[31m  b\tc", 100), "a [31m b c");
        assert_eq!(one_line("äöü", 2), "äö…");
        assert_eq!(block("a\nb\n", 2), "a\n…");
    }
}
