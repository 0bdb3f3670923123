//! Commands that are given the changed files: which, how, and what is kept of what they write.

use std::collections::BTreeMap;

use booty_policy::{FilePatterns, Protected};

use super::{
    bench::{Bench, Content},
    protocol::{CommandLine, FileCommandLine},
    tree::{Kind, Stamp, Tree, TreePath},
};

/// Bytes of a script's names; with the command, below what the sandbox takes as one script.
const MAX_NAMES_BYTES: usize = 56 * 1024;
/// Bytes that one run of `format` may write to the change: it goes into one journal entry.
const MAX_WRITTEN_BYTES: usize = 2 * 1024 * 1024;
/// Files whose change by `format` is noticed; a larger tree has more than a formatter goes through.
const MAX_WATCHED: usize = 50_000;

/// The changed files that a command is given: those that are there, that it is for, and that lie in its
/// directory. With `protect`, none that is protected by it or by Booty.
pub(crate) fn files(
    bench: &Bench,
    command: &FileCommandLine,
    protect: Option<&[String]>,
) -> Result<Vec<TreePath>, String> {
    let patterns = FilePatterns::new(&command.files).map_err(|error| error.to_string())?;
    let protected = protect.map(Protected::with).transpose().map_err(|error| error.to_string())?;
    let mut left = MAX_NAMES_BYTES;
    let mut found = Vec::new();
    for (path, _, now) in bench.changed() {
        let text = path.to_string();
        let is_one = matches!(&now, Content::File(_))
            && patterns.has(&text)
            && protected.as_ref().is_none_or(|protected| !protected.has(&text));
        let Some(name) = below(&text, &command.line.directory).filter(|_| is_one) else { continue };
        let Some(rest) = left.checked_sub(quoted(name).len() + 1) else { break };
        left = rest;
        found.push(path.clone());
    }
    Ok(found)
}

/// The command with its files as `"$@"`.
pub(crate) fn script(line: &CommandLine, files: &[TreePath]) -> String {
    let names: Vec<String> = files
        .iter()
        .filter_map(|path| Some(quoted(below(&path.to_string(), &line.directory)?)))
        .collect();
    format!("set -- {}\n{}", names.join(" "), line.script)
}

/// The files of the tree that are none of the change's, as they are before `format`.
pub(crate) fn others(bench: &Bench, run: &Tree) -> Vec<(TreePath, Stamp)> {
    let mut others = Vec::new();
    let Ok(source) = bench.reopened() else { return others };
    let Ok(top) = TreePath::parse("") else { return others };
    let touched: Vec<&TreePath> = bench.before().map(|(path, _)| path).collect();
    // What can't be walked is not watched: nothing of it becomes part of the change either way.
    let _ = source.walk(&top, MAX_WATCHED, true, &mut |path, kind| {
        if kind == Kind::File
            && touched.binary_search(&path).is_err()
            && let Some(stamp) = run.stamp(path)
        {
            others.push((path.clone(), stamp));
        }
        true
    });
    others
}

/// Throws away what `format` did to files that are none of the change's.
pub(crate) fn put_back(
    bench: &Bench,
    run: &Tree,
    others: &[(TreePath, Stamp)],
) -> Result<(), String> {
    let source = bench.reopened().map_err(|error| error.to_string())?;
    for (path, stamp) in others {
        if run.stamp(path) == Some(*stamp) {
            continue;
        }
        // Too large to be read is too large to be formatted.
        let Ok(content) = source.read(path, bench.file_bytes()) else { continue };
        run.write(path, &content, source.is_executable(path)).map_err(|why| why.0)?;
    }
    Ok(())
}

/// What `format` made of the files that it was given: text of a size that the model may write, too.
pub(crate) fn written(bench: &Bench, run: &Tree, files: &[TreePath]) -> BTreeMap<String, String> {
    let mut left = MAX_WRITTEN_BYTES;
    let mut written = BTreeMap::new();
    let now: BTreeMap<&TreePath, Content> =
        bench.changed().map(|(path, _, now)| (path, now)).collect();
    for path in files {
        let Ok(bytes) = run.read(path, bench.file_bytes()) else { continue };
        if matches!(now.get(path), Some(Content::File(have)) if **have == *bytes) {
            continue;
        }
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let Some(rest) = left.checked_sub(text.len()) else { continue };
        if !text.contains('\0') {
            left = rest;
            written.insert(path.to_string(), text);
        }
    }
    written
}

/// A path as it is called in a folder.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    match directory {
        "" => Some(path),
        directory => path.strip_prefix(directory)?.strip_prefix('/'),
    }
}

/// As one word of a shell that no program takes for an option.
fn quoted(name: &str) -> String {
    let dot = if name.starts_with('-') { "./" } else { "" };
    format!("'{dot}{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{super::tool::Write, *};

    fn bench(files: &[&str]) -> (tempfile::TempDir, Bench) {
        let dir = tempfile::TempDir::new().unwrap();
        std::fs::write(dir.path().join("same.py"), "x").unwrap();
        let mut bench = Bench::new(Tree::open(dir.path()).unwrap(), 1_000);
        for path in files {
            bench.write(&Write { path: (*path).into(), content: "new".into() }).unwrap();
        }
        bench.write(&Write { path: "same.py".into(), content: "x".into() }).unwrap();
        (dir, bench)
    }

    fn command(directory: &str, patterns: &[&str]) -> FileCommandLine {
        FileCommandLine {
            line: CommandLine {
                script: "lint -- \"$@\"".to_owned(),
                timeout_s: None,
                directory: directory.to_owned(),
                env: BTreeMap::new(),
            },
            files: patterns.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn given(bench: &Bench, command: &FileCommandLine, protect: Option<&[String]>) -> String {
        script(&command.line, &files(bench, command, protect).unwrap())
    }

    #[test]
    fn only_changed_files_are_given_and_none_can_be_an_option_or_a_command() {
        let names =
            ["-rf.py", "web/a.ts", "web/b c.py", "it's; $(x).py", ".github/x.py", "db/1.py"];
        let (_dir, bench) = bench(&names);
        assert_eq!(
            given(&bench, &command("", &["*.py"]), None),
            "set -- './-rf.py' '.github/x.py' 'db/1.py' 'it'\\''s; $(x).py' 'web/b c.py'\nlint -- \"$@\""
        );
        let protect = ["db/".to_owned()];
        assert_eq!(
            given(&bench, &command("", &["*.py"]), Some(&protect)),
            "set -- './-rf.py' 'it'\\''s; $(x).py' 'web/b c.py'\nlint -- \"$@\""
        );
        assert_eq!(
            given(&bench, &command("web", &[]), None),
            "set -- 'a.ts' 'b c.py'\nlint -- \"$@\""
        );
        assert_eq!(files(&bench, &command("we", &[]), None).unwrap(), []);
        assert_eq!(files(&bench, &command("", &["*.go"]), None).unwrap(), []);
    }
}
