//! A spool's files. In a folder they are `0000000001.jsonl`, `0000000002.jsonl`, … in the order in
//! which they were begun.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    line::Key,
    lines::{Lines, Step},
};

/// A file that nobody appends to any more.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// What a look through one file found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) keys: Vec<Key>,
    /// Lines that can't be read, though they end.
    pub(crate) damaged: usize,
    /// Bytes of a last line that does not end: it was being written when the process died, and
    /// nobody was told that it is kept.
    pub(crate) torn: u64,
    /// Where the last whole line ends.
    pub(crate) whole: u64,
}

pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.jsonl"))
}

/// The files in `dir` with their numbers, oldest first.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == "jsonl")
            && let Some(number) = path.file_stem().and_then(|s| s.to_str()?.parse::<u64>().ok())
        {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Makes a new file; its name is on disk when this returns.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create_new(true).open(path)?;
    sync_folder_of(path)?;
    Ok(file)
}

/// File names are a folder's content: without this a power cut could take the file away.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Looks through a file, and cuts a torn last line off.
pub(crate) fn recover(path: &Path) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let mut lines = Lines::open(path, 0)?;
    while let Some(line) = lines.next()? {
        match line {
            Step::Whole { bytes, end } => {
                match Key::read(bytes) {
                    Some(key) => survey.keys.push(key),
                    None => survey.damaged += 1,
                }
                survey.whole = end;
            }
            Step::TooLong { end } => {
                survey.damaged += 1;
                survey.whole = end;
            }
            Step::Torn { bytes } => survey.torn = bytes,
        }
    }
    if survey.torn > 0 {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(survey.whole)?;
        file.sync_all()?;
    }
    Ok(survey)
}

/// Takes a spool for this process, for as long as the file is open; `None`: another one has it.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let lock = File::options().write(true).create(true).truncate(false).open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Appends a line, given without its end; it is on disk when this returns.
pub(crate) fn append_durably(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    sync_folder_of(path)
}
