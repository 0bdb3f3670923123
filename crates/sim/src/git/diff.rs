//! Diffs and merges, made by the git program so that they read as GitHub's do.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, PoisonError};

use gix::ObjectId;

use super::{GitError, Store};

/// Diffs remembered in a repository.
const DIFFS_KEPT: usize = 4096;

/// One file of a diff.
#[derive(Clone, Debug)]
pub(crate) struct FileDiff {
    pub(crate) path: String,
    pub(crate) previous: Option<String>,
    /// `added`, `removed`, `modified` or `renamed`.
    pub(crate) status: &'static str,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
    pub(crate) sha: String,
    /// The hunks without the file's header; `None` for what isn't text.
    pub(crate) patch: Option<String>,
}

/// A git program on one repository.
pub(super) fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    isolate(&mut command).arg("--git-dir").arg(repository).stdin(std::process::Stdio::null());
    command
}

/// Keeps the machine's, the user's and a calling git's configuration away from a git program.
pub(super) fn isolate(command: &mut Command) -> &mut Command {
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG_PARAMETERS",
        "GIT_NAMESPACE",
        "GIT_PROTOCOL",
    ] {
        command.env_remove(name);
    }
    command
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
}

impl Store {
    /// The whole diff between two commits or trees as unified text.
    pub(crate) fn unified(&self, from: ObjectId, to: ObjectId) -> Result<String, GitError> {
        let out = self.run(&["diff", "--no-color", "-M", &from.to_string(), &to.to_string()])?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// The same by file; made once, for commits never change.
    pub(crate) fn file_diffs(
        &self,
        from: ObjectId,
        to: ObjectId,
    ) -> Result<Arc<Vec<FileDiff>>, GitError> {
        let known =
            self.diffs.lock().unwrap_or_else(PoisonError::into_inner).get(&(from, to)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let range = [from.to_string(), to.to_string()];
        let out = self.run(&[
            "diff",
            "--raw",
            "-p",
            "-z",
            "-M",
            "--no-color",
            "--no-abbrev",
            &range[0],
            &range[1],
        ])?;
        let files = Arc::new(parse(&String::from_utf8_lossy(&out)));
        let mut diffs = self.diffs.lock().unwrap_or_else(PoisonError::into_inner);
        if diffs.len() >= DIFFS_KEPT {
            diffs.clear();
        }
        diffs.insert((from, to), Arc::clone(&files));
        Ok(files)
    }

    /// The tree of a three-way merge; `None` on a conflict.
    pub(crate) fn merge_trees(
        &self,
        ours: ObjectId,
        theirs: ObjectId,
    ) -> Result<Option<ObjectId>, GitError> {
        let out = git(self.path())
            .args(["merge-tree", "--write-tree", &ours.to_string(), &theirs.to_string()])
            .output()
            .map_err(GitError::new)?;
        if !out.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        ObjectId::from_hex(text.trim().as_bytes()).map(Some).map_err(GitError::new)
    }

    fn run(&self, args: &[&str]) -> Result<Vec<u8>, GitError> {
        let out = git(self.path()).args(args).output().map_err(GitError::new)?;
        if out.status.success() {
            Ok(out.stdout)
        } else {
            Err(GitError(String::from_utf8_lossy(&out.stderr).trim().to_owned()))
        }
    }
}

/// First one line a file, ended by NUL; then the hunks of all files in the same order.
fn parse(out: &str) -> Vec<FileDiff> {
    let mut files = Vec::new();
    let mut rest = out;
    while let Some((head, after)) = rest.strip_prefix(':').and_then(|rest| rest.split_once('\0')) {
        let words: Vec<&str> = head.split(' ').collect();
        let letter = words.get(4).and_then(|word| word.chars().next()).unwrap_or('M');
        let (first, mut after) = after.split_once('\0').unwrap_or((after, ""));
        let (mut path, mut previous) = (first, None);
        if matches!(letter, 'R' | 'C') {
            previous = Some(first.to_owned());
            (path, after) = after.split_once('\0').unwrap_or((after, ""));
        }
        rest = after;
        files.push(FileDiff {
            path: path.to_owned(),
            previous,
            status: match letter {
                'A' => "added",
                'D' => "removed",
                'R' => "renamed",
                _ => "modified",
            },
            additions: 0,
            deletions: 0,
            sha: words
                .get(if letter == 'D' { 2 } else { 3 })
                .copied()
                .unwrap_or_default()
                .to_owned(),
            patch: None,
        });
    }
    let text = rest.trim_start_matches('\0');
    let mut starts: Vec<usize> =
        text.match_indices("\ndiff --git ").map(|(at, _)| at + 1).collect();
    if text.starts_with("diff --git ") {
        starts.insert(0, 0);
    }
    for (index, file) in files.iter_mut().enumerate() {
        let Some(start) = starts.get(index) else { break };
        let end = starts.get(index + 1).copied().unwrap_or(text.len());
        let section = &text[*start..end];
        // Without hunks it is binary, or only its mode or its name changed.
        let Some(hunks) = section.find("\n@@ ") else { continue };
        let patch = section[hunks + 1..].trim_end_matches('\n');
        let count = |sign| patch.lines().filter(|line| line.starts_with(sign)).count() as u64;
        file.additions = count('+');
        file.deletions = count('-');
        file.patch = Some(patch.to_owned());
    }
    files
}
