//! Text of test runs, made fit to be kept: bounded, without colours and control characters.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::TestCase;

/// A check's annotation has room for one such line.
pub const MAX_MESSAGE_CHARS: usize = 300;
/// The end of a failure says why; what comes before is seldom read.
pub const MAX_DETAIL_BYTES: usize = 8 * 1024;
/// Parametrised tests can have the name of their data.
pub const MAX_ID_CHARS: usize = 500;
/// A file's path.
const MAX_PATH_CHARS: usize = 500;
/// Where the tree is inside the sandbox.
const TREE: &str = "/workspace/";

/// Without colours, other escapes and control characters; lines end with a newline.
pub(crate) fn clean(text: &str) -> String {
    if !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return text.to_owned();
    }
    let plain = anstream::adapter::strip_str(text).to_string();
    let lines = plain.replace("\r\n", "\n");
    lines.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// One line of at most [`MAX_MESSAGE_CHARS`]; `None` when nothing is left.
pub(crate) fn message(text: &str) -> Option<String> {
    one_line(text, MAX_MESSAGE_CHARS)
}

/// Several lines of at most [`MAX_DETAIL_BYTES`]: the head and more of the tail.
pub(crate) fn detail(text: &str) -> Option<String> {
    let text = clean(text);
    let text = text.trim_matches('\n').trim_end();
    (!text.trim().is_empty()).then(|| head_and_tail(text, MAX_DETAIL_BYTES))
}

/// The end of a text, from the start of a line on.
pub(crate) fn tail(text: &str, bytes: usize) -> String {
    let text = clean(text);
    let text = text.trim_end();
    if text.len() <= bytes {
        return text.to_owned();
    }
    let tail = &text[text.ceil_char_boundary(text.len() - bytes)..];
    tail.split_once('\n').map_or(tail, |(_, rest)| rest).to_owned()
}

/// A name that fits: one line, bounded.
pub(crate) fn name(text: &str) -> String {
    one_line(text, MAX_ID_CHARS).unwrap_or_default()
}

fn one_line(text: &str, chars: usize) -> Option<String> {
    // Nothing beyond this can be part of the answer, whatever is taken out.
    let head = &text[..text.floor_char_boundary(chars * 64)];
    let words: Vec<_> = clean(head).split_whitespace().map(str::to_owned).collect();
    let line = words.join(" ");
    match line.char_indices().nth(chars) {
        _ if line.is_empty() => None,
        None => Some(line),
        Some(_) => Some(line.chars().take(chars - 1).chain(['…']).collect()),
    }
}

fn head_and_tail(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    const LINE_BYTES: usize = 64;
    let head = &text[..text.floor_char_boundary(bytes / 4)];
    let tail = &text[text.ceil_char_boundary(text.len() - (bytes - bytes / 4 - LINE_BYTES))..];
    let cut = text.len() - head.len() - tail.len();
    format!("{head}\n[… {cut} bytes left out …]\n{tail}")
}

/// A path as a report says it, made relative to the tree; `None` when it leads out of it.
/// `directory` is where the command started, relative to the tree.
pub(crate) fn tree_path(said: &str, directory: &str) -> Option<String> {
    let said = said.trim();
    let said = said.strip_prefix("file://").unwrap_or(said);
    let (base, rest) = match said.strip_prefix(TREE) {
        Some(rest) => ("", rest),
        None if said.starts_with('/') => return None,
        None => (directory, said),
    };
    let mut parts: Vec<&str> = base.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    let is_sound = !path.is_empty()
        && path.chars().count() <= MAX_PATH_CHARS
        && !path.contains(|c: char| c.is_control() || matches!(c, '\\' | '<' | '>' | '"'));
    is_sound.then_some(path)
}

/// The last place in `text` that is in this file, said as `path:line` or as Python says it.
pub(crate) fn last_line_in(text: &str, file: &str, directory: &str) -> Option<u32> {
    places(text, directory).filter(|(path, _)| is_same(path, file)).map(|(_, line)| line).last()
}

/// All places that a text names, in its order: at most 1,000.
pub(crate) fn places<'a>(
    text: &'a str,
    directory: &'a str,
) -> impl Iterator<Item = (String, u32)> + 'a {
    static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?:File "([^"\n]+)", line (\d{1,7}))|(?:^|[\s(\[@])((?:file://)?[^\s:()\[\]"'`]+\.[A-Za-z]{1,4}):(\d{1,7})\b"#)
            .ok()
    });
    PLACE.iter().flat_map(|place| place.captures_iter(text)).take(1_000).filter_map(|found| {
        let path = found.get(1).or_else(|| found.get(3))?;
        let line = found.get(2).or_else(|| found.get(4))?;
        Some((tree_path(path.as_str(), directory)?, line.as_str().parse().ok()?))
    })
}

/// Whether two paths can be one file, said from two folders.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    ends(one, other) || ends(other, one)
}

/// Gathers cases within bounds.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    pub(crate) list: Vec<TestCase>,
    /// Some were left out.
    pub(crate) is_cut: bool,
    detail_bytes: usize,
}

impl Cases {
    /// More tests than any repository that Booty is for.
    pub(crate) const MAX: usize = 20_000;
    /// A run where everything fails must not fill the memory with its tracebacks.
    const MAX_DETAIL_BYTES: usize = 4 * 1024 * 1024;

    pub(crate) fn push(&mut self, mut case: TestCase) {
        if self.list.len() >= Self::MAX {
            self.is_cut = true;
            return;
        }
        let bytes = case.detail.as_ref().map_or(0, String::len);
        if self.detail_bytes + bytes > Self::MAX_DETAIL_BYTES {
            case.detail = None;
        } else {
            self.detail_bytes += bytes;
        }
        self.list.push(case);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("tests/test_a.py", "", Some("tests/test_a.py"))]
    #[case("./a//b.py", "", Some("a/b.py"))]
    #[case("/workspace/a.py", "back", Some("a.py"))]
    #[case("a.py", "back", Some("back/a.py"))]
    #[case("../a.py", "back/end", Some("back/a.py"))]
    #[case("file:///workspace/a.mjs", "", Some("a.mjs"))]
    #[case("../a.py", "", None)]
    #[case("a/../../b.py", "", None)]
    #[case("/etc/passwd", "", None)]
    #[case("/workspace/../etc/passwd", "", None)]
    #[case("/workspace/", "", None)]
    #[case("a\nb.py", "", None)]
    fn paths_stay_in_the_tree(
        #[case] said: &str,
        #[case] directory: &str,
        #[case] path: Option<&str>,
    ) {
        assert_eq!(tree_path(said, directory).as_deref(), path);
    }

    #[test]
    fn text_is_made_plain() {
        assert_eq!(
            clean("\u{1b}[31mred\u{1b}[0m\ttab\r\nnext\u{0}\u{7}\u{9b}1m"),
            "red\ttab\nnext1m"
        );
        assert_eq!(message(" a\n  b\u{1b}[1mc "), Some("a bc".to_owned()));
        assert_eq!(message("\n \u{1b}[31m"), None);
        assert_eq!(message(&"x ".repeat(4_000)).map(|text| text.chars().count()), Some(300));
        let long = detail(&"äöü\n".repeat(40_000)).unwrap_or_default();
        assert!(
            long.len() <= MAX_DETAIL_BYTES && long.contains("bytes left out"),
            "{}",
            long.len()
        );
    }

    #[test]
    fn places_are_found() {
        let text = "tests/a.py:3: in f\n  File \"/workspace/b.py\", line 7, in g\n    at t (file:///workspace/c.mjs:9:1)\n at /usr/x.js:1:1 http://localhost:80";
        let found: Vec<_> = places(text, "").collect();
        let said = [("tests/a.py", 3), ("b.py", 7), ("c.mjs", 9)];
        assert_eq!(found, said.map(|(path, line)| (path.to_owned(), line)));
        assert_eq!(last_line_in("a.py:1: x\nt/a.py:2: y\nb.py:3:", "t/a.py", ""), Some(2));
    }
}
