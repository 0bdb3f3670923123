//! Reads files of lines, in bounded memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use crate::line::{BadLine, Line, MAX_LINE_BYTES};

/// What a file has at one place.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A message.
    Line(Line),
    /// A line that is none of ours.
    Damaged {
        /// Its number in the file, from 1.
        number: u64,
        /// What is wrong with it.
        error: BadLine,
    },
    /// The file's end, which no line end follows: it was being written when a process died, and nobody
    /// was told that it is kept.
    Torn {
        /// How many bytes that is.
        bytes: u64,
    },
}

/// The lines of a file, in its order.
pub struct FileLines {
    lines: Lines,
    number: u64,
}

/// Reads a file of a spool's, or one that was exported; a file that a running process appends to may
/// have a torn end.
///
/// # Errors
/// The file can't be opened. Each step may fail to read on; then it is over.
pub fn read_file(path: &Path) -> io::Result<FileLines> {
    Ok(FileLines { lines: Lines::open(path, 0)?, number: 0 })
}

impl Iterator for FileLines {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        self.number += 1;
        let number = self.number;
        let damaged = |error| Found::Damaged { number, error };
        Some(self.lines.next().transpose()?.map(|step| match step {
            Step::Whole { bytes, .. } => Line::read(bytes).map_or_else(damaged, Found::Line),
            Step::TooLong { .. } => damaged(BadLine::TooLong),
            Step::Torn { bytes } => Found::Torn { bytes },
        }))
    }
}

/// One step through a file.
pub(crate) enum Step<'a> {
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
pub(crate) struct Lines {
    file: BufReader<File>,
    buffer: Vec<u8>,
    at: u64,
}

impl Lines {
    /// From a byte offset where a line begins.
    pub(crate) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(64 * 1024, File::open(path)?);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, buffer: Vec::new(), at: offset })
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Step<'_>>> {
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
            return Ok(Some(Step::Whole { bytes: &self.buffer, end: self.at }));
        }
        let mut bytes = read as u64;
        loop {
            let chunk = self.file.fill_buf()?;
            if chunk.is_empty() {
                return Ok(Some(Step::Torn { bytes }));
            }
            let (used, ended) = match chunk.iter().position(|b| *b == b'\n') {
                Some(end) => (end + 1, true),
                None => (chunk.len(), false),
            };
            self.file.consume(used);
            bytes += used as u64;
            self.at += used as u64;
            if ended {
                return Ok(Some(Step::TooLong { end: self.at }));
            }
        }
    }
}
