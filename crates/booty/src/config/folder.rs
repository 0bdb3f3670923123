//! A folder on this machine as a tree to detect commands in.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use booty_policy::{
    TreeView,
    detect::{MAX_PATHS, SKIPPED},
};

/// Bytes of a file that detection looks at.
const MAX_FILE_BYTES: u64 = 256 * 1024;

pub(crate) struct Folder {
    root: PathBuf,
    paths: Vec<String>,
}

impl Folder {
    /// Lists the folder's files, as far as it can be read. Links are not followed.
    pub(crate) fn open(root: &Path) -> Self {
        let mut paths = Vec::new();
        let mut waiting = vec![String::new()];
        while let Some(folder) = waiting.pop() {
            let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
            for entry in entries.flatten() {
                let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type())
                else {
                    continue;
                };
                let is_skipped = name == ".git" || SKIPPED.contains(&name.as_str());
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if kind.is_dir() && !is_skipped {
                    waiting.push(path);
                } else if kind.is_file() && paths.len() < MAX_PATHS {
                    paths.push(path);
                }
            }
            if paths.len() >= MAX_PATHS {
                break;
            }
        }
        paths.sort();
        Self { root: root.to_owned(), paths }
    }
}

impl TreeView for Folder {
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
        Box::new(self.paths.iter().cloned())
    }

    fn read(&self, path: &str) -> Option<String> {
        let path = self.root.join(path);
        if !std::fs::symlink_metadata(&path).ok()?.is_file() {
            return None;
        }
        let mut text = String::new();
        let file = std::fs::File::open(path).ok()?;
        let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).ok()?;
        (read as u64 <= MAX_FILE_BYTES).then_some(text)
    }
}
