//! Watches the bytes of HTTP/1 request heads go by.
//!
//! A request that gives its body's length twice, as `Content-Length` and as `Transfer-Encoding`, is
//! how requests are smuggled past a proxy. hyper takes the second and drops the first before anybody
//! sees it, so it has to be noticed here.

/// No head of a webhook is near this; hyper refuses longer ones.
pub(crate) const MAX_HEAD_BYTES: usize = 32 * 1024;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// How a head gave its body's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Framing {
    pub(crate) content_length: bool,
    pub(crate) transfer_encoding: bool,
}

/// Where in a connection's bytes we are.
#[derive(Debug)]
pub(crate) enum HeadScan {
    /// In a request's head, of which this much came so far.
    Head(Vec<u8>),
    /// After it, until something is answered.
    Body(Option<Framing>),
    /// Another protocol, with framing of its own.
    Http2,
}

impl Default for HeadScan {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl HeadScan {
    /// Takes bytes as they were read; says whether a head is begun and unfinished.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> bool {
        let Self::Head(begun) = self else { return false };
        if begun.is_empty() {
            if bytes.starts_with(HTTP2_PREFACE) {
                *self = Self::Http2;
                return false;
            }
            if let Some(head) = whole_head(bytes) {
                *self = Self::Body(Some(framing(head)));
                return false;
            }
        }
        let room = (MAX_HEAD_BYTES + 4).saturating_sub(begun.len());
        begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if begun.starts_with(HTTP2_PREFACE) {
            *self = Self::Http2;
            return false;
        }
        if let Some(head) = whole_head(begun) {
            *self = Self::Body(Some(framing(head)));
            return false;
        }
        true
    }

    /// Something was written: the next bytes are a head again.
    pub(crate) fn written(&mut self) {
        if let Self::Body(_) = self {
            *self = Self::Head(Vec::new());
        }
    }

    /// The framing of the head seen last, once.
    pub(crate) fn take_framing(&mut self) -> Option<Framing> {
        match self {
            Self::Body(framing) => framing.take(),
            Self::Head(_) | Self::Http2 => None,
        }
    }

    pub(crate) fn is_http1(&self) -> bool {
        !matches!(self, Self::Http2)
    }
}

/// The bytes up to and with the empty line, if it is there. Bare line feeds count, as they do for
/// hyper's parser.
fn whole_head(bytes: &[u8]) -> Option<&[u8]> {
    // Empty lines before the request line are allowed, and don't end it.
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let mut line_start = start;
    while let Some(length) = bytes[line_start..].iter().position(|b| *b == b'\n') {
        let line = &bytes[line_start..line_start + length];
        if line.is_empty() || line == b"\r" {
            return Some(&bytes[..line_start]);
        }
        line_start += length + 1;
    }
    None
}

fn framing(head: &[u8]) -> Framing {
    let mut framing = Framing::default();
    for line in head.split(|b| *b == b'\n') {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = line[..colon].trim_ascii();
        framing.content_length |= name.eq_ignore_ascii_case(b"content-length");
        framing.transfer_encoding |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    framing
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[u8] =
        b"POST / HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 3\r\nTransfer-Encoding: chunked\r\n\r\n0";

    #[test]
    fn a_head_is_read_whole_or_byte_by_byte() {
        let both = Some(Framing { content_length: true, transfer_encoding: true });
        let mut scan = HeadScan::default();
        assert!(!scan.read(BOTH));
        assert_eq!(scan.take_framing(), both);
        assert_eq!(scan.take_framing(), None);

        let mut scan = HeadScan::default();
        let end = BOTH.len() - 1;
        for (n, byte) in BOTH[..end].iter().enumerate() {
            assert_eq!(scan.read(&[*byte]), n + 1 < end, "byte {n}");
        }
        assert_eq!(scan.take_framing(), both);
    }

    #[test]
    fn a_body_is_not_taken_for_a_head() {
        let mut scan = HeadScan::default();
        scan.read(b"POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\n");
        scan.read(b"x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let length_only = Some(Framing { content_length: true, transfer_encoding: false });
        assert_eq!(scan.take_framing(), length_only);
        scan.written();
        assert!(!scan.read(b"\r\nGET / HTTP/1.1\nTransfer-Encoding: chunked\n\n"));
        assert!(scan.take_framing().is_some_and(|f| f.transfer_encoding && !f.content_length));
    }

    #[test]
    fn what_is_kept_of_an_endless_head_is_bounded() {
        let mut scan = HeadScan::default();
        for _ in 0..100 {
            assert!(scan.read(&[b'a'; 4096]));
        }
        let HeadScan::Head(begun) = scan else { unreachable!("no empty line came") };
        assert!(begun.len() <= MAX_HEAD_BYTES + 4);
    }

    #[test]
    fn http2_is_left_alone() {
        let mut scan = HeadScan::default();
        assert!(!scan.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        assert!(!scan.is_http1());
        scan.written();
        assert_eq!(scan.take_framing(), None);
    }
}
