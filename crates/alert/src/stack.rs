//! The stack, of which the newest frames are kept.

use std::collections::VecDeque;

use booty_policy::Untrusted;

use crate::raw::Raw;

/// The most frames that are kept: the newest.
pub(crate) const MAX_FRAMES: usize = 7;
/// No source file has more lines; what says so counts something else.
const MAX_LINE: u32 = 999_999;

/// One frame of a stack.
#[derive(Debug, Clone)]
pub struct Frame {
    /// As the SDK sent it: relative to the project, or absolute where it ran.
    pub file: Option<Untrusted<String>>,
    /// The function.
    pub function: Option<Untrusted<String>>,
    /// From 1 to 999,999.
    pub line: Option<u32>,
    /// Code of the project's own.
    pub in_app: bool,
}

/// Where the problem is, as far as the event says so.
#[derive(Debug, Clone)]
pub struct Location {
    /// A file, else what Sentry calls the culprit.
    pub place: Untrusted<String>,
    /// From 1 to 999,999.
    pub line: Option<u32>,
    /// The function.
    pub function: Option<Untrusted<String>>,
}

/// What is kept of a stack.
pub(crate) struct Stack {
    /// The newest first.
    pub(crate) frames: Vec<Frame>,
    pub(crate) count: usize,
    pub(crate) location: Option<Location>,
}

impl Stack {
    /// `None` when there is no frame.
    pub(crate) fn read(stacktrace: Raw<'_>) -> Option<Self> {
        let mut newest = VecDeque::with_capacity(MAX_FRAMES + 1);
        let (mut count, mut with_file, mut in_app) = (0, None, None);
        // The oldest comes first.
        stacktrace.field("frames").each(|frame| {
            if !frame.is_object() {
                return;
            }
            let frame = Unread::of(frame);
            count += 1;
            newest.push_front(frame);
            newest.truncate(MAX_FRAMES);
            if frame.file().is_some() {
                with_file = Some(frame);
                in_app = if frame.in_app { Some(frame) } else { in_app };
            }
        });
        let location = in_app.or(with_file).map(Unread::read).and_then(|frame| {
            let Frame { file, function, line, .. } = frame;
            Some(Location { place: file?, line, function })
        });
        (count > 0).then(|| Self {
            frames: newest.into_iter().map(Unread::read).collect(),
            count,
            location,
        })
    }
}

/// A frame of which only the places of its fields are known.
#[derive(Clone, Copy)]
struct Unread<'a> {
    file: Raw<'a>,
    path: Raw<'a>,
    function: Raw<'a>,
    line: Raw<'a>,
    in_app: bool,
}

impl<'a> Unread<'a> {
    fn of(frame: Raw<'a>) -> Self {
        let [file, path, function, line, in_app] =
            frame.fields(["filename", "abs_path", "function", "lineno", "in_app"]);
        Self { file, path, function, line, in_app: in_app.is_true() }
    }

    fn file(&self) -> Option<String> {
        self.file.text().or_else(|| self.path.text())
    }

    fn read(self) -> Frame {
        Frame {
            file: self.file().map(Untrusted::new),
            function: self.function.text().map(Untrusted::new),
            line: self.line.count().filter(|line| *line <= MAX_LINE),
            in_app: self.in_app,
        }
    }
}
