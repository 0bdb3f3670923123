//! One form of a path for all its spellings, and paths that no tree may have.

use crate::unicode::fold;

/// Linux's longest path and name.
const MAX_PATH_BYTES: usize = 4096;
const MAX_NAME_BYTES: usize = 255;

/// A path in the forms that patterns are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NormalPath {
    /// As Windows and macOS would take it: folded, without trailing dots, spaces and streams.
    pub(crate) normal: String,
    /// Folded only, for patterns that have such things in them.
    pub(crate) folded: String,
}

/// Takes a path apart, or says why no tree may have it.
pub(crate) fn normal_path(path: &[u8]) -> Result<NormalPath, &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.len() > MAX_PATH_BYTES {
        return Err("is longer than 4096 bytes");
    }
    if path.contains(&0) {
        return Err("has a NUL byte");
    }
    let Ok(text) = std::str::from_utf8(path) else {
        return Err("is not UTF-8, which GitHub's API cannot take");
    };
    if text.chars().any(char::is_control) {
        return Err("has a control character");
    }
    // Windows takes both for a separator.
    let mut parts = Vec::new();
    let mut folded_parts = Vec::new();
    for part in text.split(['/', '\\']) {
        if part.len() > MAX_NAME_BYTES {
            return Err("has a name longer than 255 bytes");
        }
        let folded = fold(part);
        parts.push(normal_name(&folded)?);
        folded_parts.push(folded);
    }
    Ok(NormalPath { normal: parts.join("/"), folded: folded_parts.join("/") })
}

/// A folded name as Windows would take it.
fn normal_name(folded: &str) -> Result<String, &'static str> {
    // Folding can make separators out of their full-width forms.
    if folded.contains(['/', '\\']) {
        return Err("has a disguised separator");
    }
    // What follows a colon names a stream of the same file (`.git::$INDEX_ALLOCATION`).
    let name = folded.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ', '\u{a0}']);
    if name.is_empty() {
        return Err(match folded {
            "" => "is absolute or has an empty component",
            "." | ".." => "has a component `.` or `..`",
            _ => "has a component of nothing but dots and spaces",
        });
    }
    if name.trim_start_matches([' ', '\u{a0}']) == ".git" {
        return Err("has a component that is `.git` to some file system");
    }
    if is_short_name(name) {
        return Err("has a component that may be a Windows short name (`NAME~1`)");
    }
    Ok(name.to_owned())
}

/// `GIT~1` is `.git`, `GITHUB~1` is `.github`, `GI7EBA~1` is `.gitmodules`. Which one depends on
/// what else is in the folder, so all are refused: up to six characters, a tilde, a number, and at
/// most three characters after a dot.
fn is_short_name(name: &str) -> bool {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let Some((start, number)) = base.rsplit_once('~') else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && base.chars().count() <= 8 && extension.chars().count() <= 3 && !start.is_empty()
}

/// Where a link leads, from the folder that it is in: a path in the tree; `None` for its root.
pub(crate) fn link_target(link: &[u8], target: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    if target.is_empty() || target.len() > MAX_PATH_BYTES || target.contains(&0) {
        return Err("is a link with an impossible target");
    }
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    if target.first().is_some_and(is_separator) || target.get(1) == Some(&b':') {
        return Err("is a link to an absolute path");
    }
    let mut place: Vec<&[u8]> = link.split(is_separator).collect();
    place.pop();
    for part in target.split(is_separator) {
        match part {
            b"" | b"." => {}
            b".." => {
                if place.pop().is_none() {
                    return Err("is a link that leads out of the tree");
                }
            }
            name => place.push(name),
        }
    }
    Ok((!place.is_empty()).then(|| place.join(&b'/')))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("src/Lib.rs", "src/lib.rs")]
    #[case("a\\B. . ", "a/b")]
    #[case("notes.txt:stream", "notes.txt")]
    #[case("naïve/ÉTÉ", "naïve/été")]
    #[case("back~up", "back~up")]
    #[case(".gitignore", ".gitignore")]
    fn has_one_form(#[case] path: &str, #[case] normal: &str) {
        assert_eq!(normal_path(path.as_bytes()).unwrap().normal, normal);
    }

    #[rstest]
    #[case(b"".as_slice())]
    #[case(b"/etc/passwd")]
    #[case(b"a//b")]
    #[case(b"a/")]
    #[case(b"./a")]
    #[case(b"a/../b")]
    #[case(b"a/.. /b")]
    #[case(b"a\\..\\b")]
    #[case(b"a/...")]
    #[case(b"a\0b")]
    #[case(b"a\nb")]
    #[case(b"\xff")]
    #[case(b".git/config")]
    #[case(b"sub/.git")]
    #[case(b".GiT/hooks/pre-commit")]
    #[case(b".git . /config")]
    #[case(b".git::$INDEX_ALLOCATION/config")]
    #[case(b"a\\.git\\config")]
    #[case(b"GIT~1/config")]
    #[case(b"git~2")]
    #[case(b"GITHUB~1/workflows/x.yml")]
    #[case(b"GI7EBA~1")]
    #[case(b"BOOTY~1.YML")]
    #[case(".g\u{200c}it/config".as_bytes())]
    #[case("\u{200d}.git/config".as_bytes())]
    #[case("．git/config".as_bytes())]
    #[case("a／..／b".as_bytes())]
    fn is_refused(#[case] path: &[u8]) {
        normal_path(path).unwrap_err();
    }

    #[test]
    fn lengths() {
        normal_path("n".repeat(255).as_bytes()).unwrap();
        normal_path("n".repeat(256).as_bytes()).unwrap_err();
        normal_path("n/".repeat(3000).as_bytes()).unwrap_err();
    }

    #[rstest]
    #[case("link", "a/b", Ok(Some("a/b")))]
    #[case("a/b/link", "../c", Ok(Some("a/c")))]
    #[case("a/link", "..", Ok(None))]
    #[case("a/link", "../..", Err(()))]
    #[case("link", "a/../../x", Err(()))]
    #[case("link", "/etc/passwd", Err(()))]
    #[case("link", "C:\\Windows", Err(()))]
    #[case("link", "..\\x", Err(()))]
    #[case("link", "", Err(()))]
    fn links(#[case] link: &str, #[case] target: &str, #[case] leads: Result<Option<&str>, ()>) {
        let found = link_target(link.as_bytes(), target.as_bytes());
        let leads = leads.map(|path| path.map(|path| path.as_bytes().to_vec()));
        assert_eq!(found.map_err(|_| ()), leads);
    }
}
