//! The tools that look at files and change them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use regex::RegexBuilder;
use sha2::{Digest, Sha256};

use super::{
    tool::{Delete, Edit, List, Read, Search, Write},
    tree::{Kind, Refused, Tree, TreePath},
};

/// Entries that one listing shows.
const MAX_LISTED: usize = 1_000;
/// Entries that one search looks at.
const MAX_SEARCHED: usize = 50_000;
/// Bytes that one search reads.
const MAX_SEARCHED_BYTES: usize = 128 * 1024 * 1024;
/// Lines that one search shows.
const MAX_FOUND: usize = 100;
/// Lines that one read shows unless told otherwise, and at most.
const MAX_LINES: usize = 2_000;
/// Characters of a line that are shown.
const MAX_LINE_CHARS: usize = 500;
/// Memory of a compiled pattern.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;
/// Files that a model may touch in one job; far above any limit on a change.
const MAX_TOUCHED: usize = 2_000;

/// Bytes that are kept of what files held before; far above any limit on a change.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// What a path holds, or held before the model touched it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing is there.
    Nothing,
    File(Arc<[u8]>),
    /// A link, or what can't be read; it can be deleted, and not be put back.
    Other,
}

/// What the touched files held at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot(BTreeMap<TreePath, Content>);

/// The tree that the model works on.
pub(crate) struct Bench {
    tree: Tree,
    file_bytes: usize,
    touched: BTreeMap<TreePath, Content>,
    /// Of those, the ones that could be executed at first. No tool changes that.
    executable: BTreeSet<TreePath>,
    /// Bytes in `touched`.
    kept: usize,
    /// Counts changes.
    version: u64,
    /// The newest digest, and the version that it is of.
    digest: Option<(u64, [u8; 32])>,
}

impl Bench {
    pub(crate) fn new(tree: Tree, file_bytes: usize) -> Self {
        Self {
            tree,
            file_bytes,
            touched: BTreeMap::new(),
            executable: BTreeSet::new(),
            kept: 0,
            version: 0,
            digest: None,
        }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The largest file that is read or written.
    pub(crate) fn file_bytes(&self) -> usize {
        self.file_bytes
    }

    /// The paths that the model touched, with what they hold now (`None`: nothing).
    pub(crate) fn touched(&self) -> impl Iterator<Item = (&TreePath, Option<Vec<u8>>)> {
        self.touched.keys().map(|path| (path, self.tree.read(path, self.file_bytes).ok()))
    }

    /// What the paths that the model touched held before.
    pub(crate) fn before(&self) -> impl Iterator<Item = (&TreePath, &Content)> {
        self.touched.iter()
    }

    /// What is different from what it was at first: path, before, now.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&TreePath, &Content, Content)> {
        let all = self.touched.iter().map(|(path, before)| (path, before, self.content(path)));
        all.filter(|(_, before, now)| *before != now)
    }

    /// Another handle on the tree.
    pub(crate) fn reopened(&self) -> std::io::Result<Tree> {
        self.tree.try_clone()
    }

    /// Writes what a formatter made of a file.
    pub(crate) fn rewrite(&mut self, path: &TreePath, content: &str) -> Result<(), Refused> {
        self.put(path, content.as_bytes())
    }

    /// Whether a touched file could be executed at first.
    pub(crate) fn is_executable(&self, path: &TreePath) -> bool {
        self.executable.contains(path)
    }

    /// Whether anything is different from what it was at first.
    pub(crate) fn is_changed(&self) -> bool {
        self.touched.iter().any(|(path, before)| self.content(path) != *before)
    }

    /// What is different from the first state, by hash. The same state has the same digest, however it
    /// came about.
    pub(crate) fn digest(&mut self) -> [u8; 32] {
        match self.digest {
            Some((version, digest)) if version == self.version => digest,
            _ => {
                let digest = self.digest_now();
                self.digest = Some((self.version, digest));
                digest
            }
        }
    }

    fn digest_now(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, before) in &self.touched {
            let now = self.content(path);
            if now == *before {
                continue;
            }
            let path = path.to_string();
            hash.update(path.len().to_le_bytes());
            hash.update(path);
            match now {
                Content::Nothing => hash.update([0]),
                Content::Other => hash.update([1]),
                Content::File(bytes) => {
                    hash.update([2]);
                    hash.update(bytes.len().to_le_bytes());
                    hash.update(bytes);
                }
            }
        }
        hash.finalize().into()
    }

    /// What the touched files hold now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.touched.keys().map(|path| (path.clone(), self.content(path)));
        Snapshot(now.collect())
    }

    /// Makes the tree hold what it held then, and returns the paths that had to be changed.
    pub(crate) fn restore(&mut self, then: &Snapshot) -> Result<Vec<TreePath>, Refused> {
        // What was touched later was as at first then.
        let wanted = self
            .touched
            .iter()
            .map(|(path, before)| (path.clone(), then.0.get(path).unwrap_or(before).clone()));
        let mut wanted: Vec<_> =
            wanted.filter(|(path, wanted)| self.content(path) != *wanted).collect();
        // A file may stand where a folder is to be, or the other way round.
        wanted.sort_by_key(|(_, wanted)| *wanted != Content::Nothing);
        let mut changed = Vec::new();
        for (path, wanted) in &wanted {
            match wanted {
                Content::File(bytes) => {
                    self.tree.write(path, bytes, self.is_executable(path))?;
                }
                Content::Nothing => self.tree.delete(path)?,
                Content::Other => {
                    return Err(Refused(format!("{path} was a link, and can't be put back")));
                }
            }
            changed.push(path.clone());
        }
        self.version += u64::from(!changed.is_empty());
        Ok(changed)
    }

    fn content(&self, path: &TreePath) -> Content {
        match self.tree.find(path) {
            Ok(Some(Kind::File)) => match self.tree.read(path, self.file_bytes) {
                Ok(bytes) => Content::File(bytes.into()),
                Err(_) => Content::Other,
            },
            Ok(Some(_)) => Content::Other,
            // A folder on the way that is not there yet is no hindrance to writing.
            Ok(None) | Err(_) => Content::Nothing,
        }
    }

    pub(crate) fn list(&self, list: &List) -> Result<String, Refused> {
        let mut lines = Vec::new();
        let path = TreePath::parse(&list.path)?;
        let whole = self.tree.walk(&path, MAX_LISTED, list.recursive, &mut |path, kind| {
            let mark = match kind {
                Kind::File => "",
                Kind::Folder => "/",
                Kind::Link => " (a symbolic link; not followed)",
                Kind::Other => " (not a file)",
            };
            lines.push(format!("{path}{mark}"));
            true
        })?;
        if !whole {
            lines
                .push(format!("… and more; only {MAX_LISTED} entries are shown, list a subfolder"));
        }
        if lines.is_empty() {
            lines.push("(empty)".to_owned());
        }
        Ok(lines.join("\n"))
    }

    pub(crate) fn read(&self, read: &Read) -> Result<String, Refused> {
        let path = TreePath::parse(&read.path)?;
        let text = self.text(&path)?;
        let total = text.lines().count();
        let from = read.from.max(1);
        if from > total.max(1) {
            return Err(Refused(format!("{path} has {total} lines; there is no line {from}")));
        }
        let wanted = read.lines.unwrap_or(MAX_LINES).min(MAX_LINES);
        let mut shown = Vec::new();
        for (index, line) in text.lines().enumerate().skip(from - 1).take(wanted) {
            shown.push(format!("{}\t{}", index + 1, cut(line)));
        }
        let end = from - 1 + shown.len();
        if end < total {
            shown.push(format!("… {} more lines; go on with from={}", total - end, end + 1));
        }
        if shown.is_empty() {
            shown.push("(empty)".to_owned());
        }
        Ok(shown.join("\n"))
    }

    pub(crate) fn search(&self, search: &Search) -> Result<String, Refused> {
        let pattern = RegexBuilder::new(&search.pattern)
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(MAX_PATTERN_BYTES)
            .build()
            .map_err(|error| Refused(format!("the pattern can't be used: {error}")))?;
        let below = TreePath::parse(&search.path)?;
        let mut found = Vec::new();
        let mut bytes_left = MAX_SEARCHED_BYTES;
        let whole = self.tree.walk(&below, MAX_SEARCHED, true, &mut |path, kind| {
            if kind != Kind::File {
                return true;
            }
            // Too large, binary or gone: passed over, as every search tool does.
            let Ok(text) = self.text(path) else { return true };
            let Some(left) = bytes_left.checked_sub(text.len()) else { return false };
            bytes_left = left;
            for (index, line) in text.lines().enumerate() {
                if pattern.is_match(line) {
                    if found.len() == MAX_FOUND {
                        return false;
                    }
                    found.push(format!("{path}:{}: {}", index + 1, cut(line.trim_end())));
                }
            }
            true
        })?;
        if found.is_empty() {
            found.push("nothing matches".to_owned());
        }
        if !whole {
            found.push(
                "… and more was not looked at; search a subfolder or be more exact".to_owned(),
            );
        }
        Ok(found.join("\n"))
    }

    pub(crate) fn edit(&mut self, edit: &Edit) -> Result<String, Refused> {
        let path = TreePath::parse(&edit.path)?;
        let text = self.text(&path)?;
        let refused = |why: String| Err(Refused(format!("{path} is unchanged: {why}")));
        if edit.old.is_empty() {
            return refused("`old` is empty; to make a file use `write`".to_owned());
        }
        if edit.old == edit.new {
            return refused("`old` and `new` are the same".to_owned());
        }
        let places: Vec<usize> = text.match_indices(&edit.old).map(|(at, _)| at).collect();
        match places.len() {
            0 => return refused(not_found(&text, &edit.old)),
            1 => {}
            n if !edit.all => {
                let lines: Vec<String> =
                    places.iter().take(10).map(|at| line_of(&text, *at).to_string()).collect();
                return refused(format!(
                    "`old` is in it {n} times, at lines {}; give more lines around the one you \
                     mean, or set `all`",
                    lines.join(", ")
                ));
            }
            _ => {}
        }
        // Before it is made: a short text with many places grows without bound.
        let grown = places.len().saturating_mul(edit.new.len());
        if grown.saturating_add(text.len()) > self.file_bytes.saturating_mul(2) {
            return refused(format!("the result would be above {} bytes", self.file_bytes));
        }
        let text = text.replace(&edit.old, &edit.new);
        self.put(&path, text.as_bytes())?;
        let at = places.first().map_or(1, |at| line_of(&text, *at));
        Ok(format!("{path}: replaced {} time(s), first at line {at}", places.len()))
    }

    pub(crate) fn write(&mut self, write: &Write) -> Result<String, Refused> {
        let path = TreePath::parse(&write.path)?;
        if write.content.contains('\0') {
            return Err(Refused(format!("{path} is unchanged: binary content is not accepted")));
        }
        self.put(&path, write.content.as_bytes())?;
        Ok(format!("{path}: written, {} lines", write.content.lines().count()))
    }

    pub(crate) fn delete(&mut self, delete: &Delete) -> Result<String, Refused> {
        let path = TreePath::parse(&delete.path)?;
        self.remember(&path)?;
        self.tree.delete(&path)?;
        self.version += 1;
        Ok(format!("{path}: deleted"))
    }

    fn put(&mut self, path: &TreePath, content: &[u8]) -> Result<(), Refused> {
        if content.len() > self.file_bytes {
            return Err(Refused(format!(
                "{path} is unchanged: {} bytes are above the limit of {}",
                content.len(),
                self.file_bytes
            )));
        }
        self.remember(path)?;
        self.tree.write(path, content, self.is_executable(path))?;
        self.version += 1;
        Ok(())
    }

    /// Notes what a path holds before its first change.
    fn remember(&mut self, path: &TreePath) -> Result<(), Refused> {
        if self.touched.contains_key(path) {
            return Ok(());
        }
        if self.touched.len() == MAX_TOUCHED {
            return Err(Refused(format!("{MAX_TOUCHED} files were changed already; no more")));
        }
        // Neither written nor deleted as such: whoever asks for that is refused, and nothing changes.
        if let Ok(Some(Kind::Folder)) = self.tree.find(path) {
            return Ok(());
        }
        let before = self.content(path);
        if let Content::Other = before
            && let Ok(Some(Kind::File)) = self.tree.find(path)
        {
            // A file too large to be read is too large to be replaced.
            self.tree.read(path, self.file_bytes)?;
        }
        if let Content::File(bytes) = &before {
            let kept = self.kept.saturating_add(bytes.len());
            if kept > MAX_KEPT_BYTES {
                return Err(Refused("too much was changed already; no more".to_owned()));
            }
            self.kept = kept;
        }
        if self.tree.is_executable(path) {
            self.executable.insert(path.clone());
        }
        self.touched.insert(path.clone(), before);
        Ok(())
    }

    fn text(&self, path: &TreePath) -> Result<String, Refused> {
        let bytes = self.tree.read(path, self.file_bytes)?;
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(text),
            _ => Err(Refused(format!("{path} is not a text file in UTF-8"))),
        }
    }
}

/// The line that byte `at` is in, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE_CHARS) {
        None => line.to_owned(),
        Some((at, _)) => {
            format!("{}… ({} bytes more)", line.get(..at).unwrap_or_default(), line.len() - at)
        }
    }
}

/// Why `old` was not found, as exactly as can be told: models mostly get white space wrong.
fn not_found(text: &str, old: &str) -> String {
    let wanted: Vec<&str> = old.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some(first) = wanted.first() else {
        return "`old` is only white space, and not in it like that".to_owned();
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let near = lines.iter().enumerate().position(|(index, line)| {
        line == first
            && lines
                .get(index..)
                .unwrap_or_default()
                .iter()
                .filter(|line| !line.is_empty())
                .zip(&wanted)
                .take(wanted.len())
                .all(|(have, want)| have == want)
    });
    if let Some(index) = near {
        return format!(
            "`old` is not in it, but the same words with other white space are at line {}; read it \
             and copy it exactly",
            index + 1
        );
    }
    match lines.iter().position(|line| line == first) {
        Some(index) => format!(
            "`old` is not in it; its first line is at line {}, but what follows differs; read the \
             file again",
            index + 1
        ),
        None => "`old` is not in it; read the file again, and leave out line numbers".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn bench(files: &[(&str, &str)]) -> (TempDir, Bench) {
        let dir = TempDir::new().unwrap();
        for (path, content) in files {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), content).unwrap();
        }
        let bench = Bench::new(Tree::open(dir.path()).unwrap(), 10_000);
        (dir, bench)
    }

    fn edit(path: &str, old: &str, new: &str) -> Edit {
        Edit { path: path.into(), old: old.into(), new: new.into(), all: false }
    }

    #[test]
    fn an_edit_that_does_not_fit_says_why() {
        let (dir, mut bench) =
            bench(&[("a.py", "def f():\n    return 1\n\ndef g():\n    return 1\n")]);
        for (old, new, expected) in [
            ("", "x", "`old` is empty"),
            ("return 1", "return 1", "the same"),
            ("return 1", "return 2", "2 times, at lines 2, 5"),
            ("def f():\n\treturn 1", "x", "other white space are at line 1"),
            ("def g():\n    return 2", "x", "first line is at line 4, but what follows differs"),
            ("def h()", "x", "leave out line numbers"),
            ("\n\n\n", "x", "only white space"),
        ] {
            let why = bench.edit(&edit("a.py", old, new)).unwrap_err().0;
            assert!(why.contains(expected), "{old:?}: {why}");
        }
        assert!(!bench.is_changed());
        bench.edit(&Edit { all: true, ..edit("a.py", "return 1", "return 2") }).unwrap();
        let text = std::fs::read_to_string(dir.path().join("a.py")).unwrap();
        assert_eq!(text, "def f():\n    return 2\n\ndef g():\n    return 2\n");
        assert!(bench.is_changed());
        bench.edit(&Edit { all: true, ..edit("a.py", "return 2", "return 1") }).unwrap();
        assert!(!bench.is_changed(), "and back is no change");
    }

    #[test]
    fn growth_is_bounded() {
        let (_dir, mut bench) = bench(&[("a", &"x".repeat(9_000))]);
        let all = Edit { all: true, ..edit("a", "x", &"y".repeat(5_000)) };
        assert!(bench.edit(&all).unwrap_err().0.contains("above 10000 bytes"));
        let write = Write { path: "b".into(), content: "x".repeat(10_001) };
        assert!(bench.write(&write).unwrap_err().0.contains("above the limit"));
        let write = Write { path: "b".into(), content: "\0".into() };
        assert!(bench.write(&write).unwrap_err().0.contains("binary"));
        assert!(!bench.is_changed());
    }

    #[test]
    fn files_are_shown_in_pieces() {
        let text: String = (1..=5_000).map(|n| format!("line {n}\n")).collect();
        let (_dir, bench) = bench(&[
            ("d/a", &text.replace("line 3\n", &format!("{}\n", "w".repeat(600)))),
            ("e", ""),
        ]);
        let bench = Bench { file_bytes: 1_000_000, ..bench };
        let read = |from, lines| bench.read(&Read { path: "d/a".into(), from, lines });
        assert_eq!(read(2, Some(1)).unwrap(), "2\tline 2\n… 4998 more lines; go on with from=3");
        assert!(read(3, Some(1)).unwrap().contains("(100 bytes more)"));
        assert_eq!(read(1, None).unwrap().lines().count(), 2_001);
        assert!(read(5_001, None).unwrap_err().0.contains("there is no line 5001"));
        assert_eq!(
            bench.read(&Read { path: "e".into(), from: 1, lines: None }).unwrap(),
            "(empty)"
        );

        let search =
            |pattern: &str| bench.search(&Search { pattern: pattern.into(), path: String::new() });
        assert_eq!(search("^line 49$").unwrap(), "d/a:49: line 49");
        assert_eq!(search("line").unwrap().lines().count(), 101);
        assert_eq!(search("nowhere").unwrap(), "nothing matches");
        assert!(search("(").unwrap_err().0.contains("pattern"));
        assert!(search("(a{1000}){1000}").unwrap_err().0.contains("pattern"));
        let list = bench.list(&List { path: String::new(), recursive: true }).unwrap();
        assert_eq!(list, "d/\nd/a\ne");
    }

    #[test]
    fn a_folder_that_was_to_be_deleted_is_no_change() {
        let (_dir, mut bench) = bench(&[("sub/a", "1")]);
        bench.delete(&Delete { path: "sub".into() }).unwrap_err();
        bench.write(&Write { path: "sub".into(), content: "x".into() }).unwrap_err();
        assert!(!bench.is_changed());
        assert_eq!(bench.touched().count(), 0);
    }

    #[test]
    fn new_and_deleted_files_are_changes() {
        let (_dir, mut bench) = bench(&[("a", "1")]);
        bench.delete(&Delete { path: "a".into() }).unwrap();
        assert!(bench.is_changed());
        bench.write(&Write { path: "a".into(), content: "1".into() }).unwrap();
        assert!(!bench.is_changed());
        bench.write(&Write { path: "new/b".into(), content: String::new() }).unwrap();
        let touched: Vec<_> = bench.touched().map(|(path, now)| (path.to_string(), now)).collect();
        assert_eq!(touched, [("a".into(), Some(b"1".to_vec())), ("new/b".into(), Some(vec![]))]);
        assert!(bench.is_changed());
    }

    #[test]
    fn a_state_is_put_back_with_modes_and_whatever_lies_in_the_way() {
        use std::os::unix::fs::PermissionsExt as _;

        let (dir, mut bench) = bench(&[("run.sh", "echo"), ("a", "file"), ("b/c", "deep")]);
        let script = dir.path().join("run.sh");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        bench.write(&Write { path: "run.sh".into(), content: "echo 1".into() }).unwrap();
        let then = bench.snapshot();
        bench.delete(&Delete { path: "run.sh".into() }).unwrap();
        bench.delete(&Delete { path: "a".into() }).unwrap();
        bench.write(&Write { path: "a/b".into(), content: "in a folder".into() }).unwrap();
        bench.delete(&Delete { path: "b/c".into() }).unwrap();
        bench.write(&Write { path: "b".into(), content: "no folder".into() }).unwrap();
        let changed = bench.restore(&then).unwrap();
        assert_eq!(changed.len(), 5, "{changed:?}");
        let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
        assert_eq!(
            (read("run.sh").as_str(), read("a").as_str(), read("b/c").as_str()),
            ("echo 1", "file", "deep")
        );
        assert_eq!(script.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        bench.delete(&Delete { path: "run.sh".into() }).unwrap();
        bench.write(&Write { path: "run.sh".into(), content: "echo 2".into() }).unwrap();
        assert_eq!(script.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    }
}
