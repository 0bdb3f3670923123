//! What is kept of an output of any length.

use std::collections::VecDeque;

/// Keeps the head and the tail. Memory is bounded by `limit` whatever is pushed.
#[derive(Debug)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    total: u64,
}

impl Capture {
    pub(crate) fn new(limit: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), half: limit / 2, total: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.half)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The text, with a line where bytes were cut.
    pub(crate) fn finish(self) -> String {
        let Self { mut head, tail, total, .. } = self;
        let cut = total - (head.len() + tail.len()) as u64;
        if cut == 0 {
            head.extend(tail);
            return String::from_utf8_lossy(&head).into_owned();
        }
        let mut text = String::from_utf8_lossy(&head).into_owned();
        text.push_str(&format!("\n[… {cut} bytes cut …]\n"));
        text.push_str(&String::from_utf8_lossy(&Vec::from(tail)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(limit: usize, pieces: &[&str]) -> String {
        let mut capture = Capture::new(limit);
        pieces.iter().for_each(|piece| capture.push(piece.as_bytes()));
        capture.finish()
    }

    #[test]
    fn short_output_is_whole() {
        assert_eq!(captured(10, &["01234", "56789"]), "0123456789");
        assert_eq!(captured(10, &[]), "");
    }

    #[test]
    fn long_output_keeps_head_and_tail() {
        assert_eq!(captured(6, &["abc", "d", "efgh", "ij"]), "abc\n[… 4 bytes cut …]\nhij");
        assert_eq!(captured(6, &["abcdefghijklmnop"]), "abc\n[… 10 bytes cut …]\nnop");
    }

    #[test]
    fn memory_is_bounded() {
        let mut capture = Capture::new(1000);
        for _ in 0..10_000 {
            capture.push(&[b'x'; 4096]);
        }
        assert!(capture.head.capacity() + capture.tail.capacity() < 10_000);
        assert_eq!(capture.total(), 40_960_000);
    }

    #[test]
    fn a_limit_of_nothing_keeps_nothing() {
        assert_eq!(captured(0, &["abc"]), "\n[… 3 bytes cut …]\n");
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        let mut capture = Capture::new(100);
        capture.push(b"a\xff\0\x1b[31mb");
        assert_eq!(capture.finish(), "a\u{fffd}\0\u{1b}[31mb");
    }
}
