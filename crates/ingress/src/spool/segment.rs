//! The spool's files: `0000000001.jsonl`, `0000000002.jsonl`, … in the order in which they were
//! begun.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use super::line::{self, Key, MAX_LINE_BYTES};

/// A file that nobody appends to any more.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// What a look through one file found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) keys: Vec<Key>,
    /// Lines that can't be read, though they end.
    pub(super) damaged: usize,
    /// Bytes of a last line that does not end: it was being written when the process died, and
    /// nobody was told that it is kept.
    pub(super) torn: u64,
    /// Where the last whole line ends.
    pub(super) whole: u64,
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.jsonl"))
}

/// The files in `dir` with their numbers, oldest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
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
pub(super) fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create_new(true).open(path)?;
    sync_folder_of(path)?;
    Ok(file)
}

/// File names are a folder's content: without this a power cut could take the file away.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Looks through a file, and cuts a torn last line off.
pub(super) fn recover(path: &Path) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let mut lines = Lines::open(path, 0)?;
    while let Some(line) = lines.next()? {
        match line {
            Line::Whole { bytes, end } => {
                match line::read_key(bytes) {
                    Some(key) => survey.keys.push(key),
                    None => survey.damaged += 1,
                }
                survey.whole = end;
            }
            Line::TooLong { end } => {
                survey.damaged += 1;
                survey.whole = end;
            }
            Line::Torn { bytes } => survey.torn = bytes,
        }
    }
    if survey.torn > 0 {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(survey.whole)?;
        file.sync_all()?;
    }
    Ok(survey)
}

/// One step through a file.
pub(super) enum Line<'a> {
    /// A line, without its end.
    Whole {
        bytes: &'a [u8],
        /// Where the next one begins.
        end: u64,
    },
    /// A line that is longer than any of ours, skipped.
    TooLong { end: u64 },
    /// The file's last bytes, which no line end follows.
    Torn { bytes: u64 },
}

/// Reads a file line by line in bounded memory.
pub(super) struct Lines {
    file: BufReader<File>,
    buffer: Vec<u8>,
    at: u64,
}

impl Lines {
    /// From a byte offset where a line begins.
    pub(super) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(64 * 1024, File::open(path)?);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, buffer: Vec::new(), at: offset })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        // A long line's room is not kept for the short ones after it.
        self.buffer.shrink_to(64 * 1024);
        let read = (&mut self.file).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.buffer)?;
        self.at += read as u64;
        if read == 0 {
            return Ok(None);
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            return Ok(Some(Line::Whole { bytes: &self.buffer, end: self.at }));
        }
        let mut bytes = read as u64;
        loop {
            let chunk = self.file.fill_buf()?;
            if chunk.is_empty() {
                return Ok(Some(Line::Torn { bytes }));
            }
            let (used, ended) = match chunk.iter().position(|b| *b == b'\n') {
                Some(end) => (end + 1, true),
                None => (chunk.len(), false),
            };
            self.file.consume(used);
            bytes += used as u64;
            self.at += used as u64;
            if ended {
                return Ok(Some(Line::TooLong { end: self.at }));
            }
        }
    }
}
