//! From a path where the program ran to the file of the tree that it means.

use booty_policy::strip_hidden;
use booty_workspace::{BaseFile, Mode};

/// What a stack frame's path may have; longer ones are no source file's.
const MAX_PATH_BYTES: usize = 1_024;
const MAX_PARTS: usize = 40;

/// The one regular file of the tree that a frame's path can mean: the file whose path has the longest tail
/// of it. `None` when there is none, or more than one.
///
/// What comes before the tail is where the program was put (`/app/`, `webpack:///`), what the file's path
/// has before it is the folder that was put there. A file's bare name alone says too little for that,
/// unless it is all that was sent, or the file lies at the tree's top.
pub(super) fn locate<'a>(sent: &str, files: &'a [BaseFile]) -> Option<&'a BaseFile> {
    if sent.len() > MAX_PATH_BYTES || sent.chars().any(char::is_control) {
        return None;
    }
    let sent = sent.replace('\\', "/");
    let (rest, is_relative) = match sent.split_once("://") {
        // Of an address, the query is no part of the file's name.
        Some((_, rest)) => (rest.split(['?', '#']).next().unwrap_or_default(), false),
        None => (sent.as_str(), !sent.starts_with('/')),
    };
    let parts: Vec<&str> =
        rest.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() || parts.len() > MAX_PARTS || parts.contains(&"..") {
        return None;
    }
    for start in 0..parts.len() {
        let tail = parts.get(start..)?.join("/");
        let is_all = start == 0 && is_relative;
        let may_lie_deeper = is_all || parts.len() - start > 1;
        let mut found = files.iter().filter(|file| {
            is_usable(file)
                && (file.path == tail.as_bytes() || (may_lie_deeper && lies_deeper(file, &tail)))
        });
        let Some(first) = found.next() else { continue };
        let mut all = std::iter::once(first).chain(found);
        return if is_all && let Some(exact) = all.clone().find(|f| f.path == tail.as_bytes()) {
            Some(exact)
        } else {
            all.next().filter(|_| all.next().is_none())
        };
    }
    None
}

fn lies_deeper(file: &BaseFile, tail: &str) -> bool {
    file.path.strip_suffix(tail.as_bytes()).is_some_and(|folder| folder.ends_with(b"/"))
}

/// Whether it is a regular file whose path can be said as it is.
fn is_usable(file: &BaseFile) -> bool {
    matches!(file.mode, Mode::Regular | Mode::Executable)
        && str::from_utf8(&file.path).is_ok_and(|path| {
            path.len() <= MAX_PATH_BYTES
                && !path.contains(|c: char| c == '`' || c.is_control())
                && strip_hidden(path) == path
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Vec<BaseFile> {
        let file =
            |path: &&str| BaseFile { path: path.as_bytes().to_vec(), mode: Mode::Regular, size: 1 };
        paths.iter().map(file).collect()
    }

    fn found(sent: &str, paths: &[&str]) -> Option<String> {
        let files = tree(paths);
        locate(sent, &files).map(|file| String::from_utf8(file.path.clone()).unwrap())
    }

    #[test]
    fn where_the_program_ran_is_taken_off() {
        let tree = ["src/calc.py", "static/x.js", "src/x.ts", "main.go", "lib/deep/er.rb"];
        for (sent, expected) in [
            ("src/calc.py", Some("src/calc.py")),
            ("/app/src/calc.py", Some("src/calc.py")),
            ("./src/calc.py", Some("src/calc.py")),
            ("calc.py", Some("src/calc.py")),
            ("/srv/main.go", Some("main.go")),
            ("C:\\app\\src\\calc.py", Some("src/calc.py")),
            ("app:///static/x.js", Some("static/x.js")),
            ("webpack:///./src/x.ts?a1b2", Some("src/x.ts")),
            ("https://cdn.example/assets/static/x.js#L1", Some("static/x.js")),
            ("deep/er.rb", Some("lib/deep/er.rb")),
            // The name alone, of a file somewhere else.
            ("/usr/lib/python3/calc.py", None),
            ("/app/src/other.py", None),
            ("src", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(found(sent, &tree).as_deref(), expected, "{sent}");
        }
    }

    #[test]
    fn what_could_be_two_files_is_none() {
        let tree = ["src/calc.py", "old/src/calc.py", "a/util.py", "b/util.py"];
        assert_eq!(found("/app/src/calc.py", &tree), None);
        assert_eq!(found("util.py", &tree), None);
        // The whole path as it was sent is the tree's own.
        assert_eq!(found("src/calc.py", &tree).as_deref(), Some("src/calc.py"));
        assert_eq!(found("/app/old/src/calc.py", &tree).as_deref(), Some("old/src/calc.py"));
    }

    #[test]
    fn nothing_leads_out_of_the_tree_or_into_links() {
        let tree = tree(&["src/calc.py", "`x`.py", "a\u{202e}b.py", "<!-- c -->.py"]);
        for sent in ["/app/../src/calc.py", "src/../calc.py", "..\\src\\calc.py"] {
            assert_eq!(locate(sent, &tree), None, "{sent}");
        }
        for sent in ["`x`.py", "a\u{202e}b.py", "<!-- c -->.py", "src/calc.py\n", "src/calc.py\0"] {
            assert_eq!(locate(sent, &tree), None, "{sent:?}");
        }
        let odd = [BaseFile { path: b"a\nb/src/calc.py".to_vec(), mode: Mode::Regular, size: 1 }];
        assert_eq!(locate("/app/src/calc.py", &odd), None);
        let link = [BaseFile { path: b"src/calc.py".to_vec(), mode: Mode::Symlink, size: 1 }];
        assert_eq!(locate("src/calc.py", &link), None);
        let long = format!("/{}/src/calc.py", "a/".repeat(600));
        assert_eq!(locate(&long, &tree), None);
    }
}
