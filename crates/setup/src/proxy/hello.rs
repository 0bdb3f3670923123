//! The one thing that TLS says in the clear: which host the client means.
//!
//! Many registries are behind networks that serve thousands of others at the same address. Who may
//! be connected with one of them could otherwise ask there for any.

/// How a client's first bytes read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hello<'a> {
    /// There is more to come before it can be told.
    Partial,
    /// It is not TLS.
    Other,
    /// It is, and this is the host that it means, if it says.
    Tls(Option<&'a str>),
    /// It begins as TLS does, and is not.
    Broken,
}

/// The largest that is read for it: one record of TLS with its head.
pub(super) const MAX_BYTES: usize = 16 * 1024 + 5;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;

/// Reads the first bytes that a client sent. RFC 8446, 4.1.2 and 5.1; RFC 6066, 3.
pub(super) fn read(bytes: &[u8]) -> Hello<'_> {
    match bytes.first() {
        None => return Hello::Partial,
        Some(&HANDSHAKE) => {}
        Some(_) => return Hello::Other,
    }
    let mut record = Bytes(bytes);
    let (Some(_), Some(length)) = (record.take(3), record.number(2)) else { return Hello::Partial };
    if length == 0 || length > MAX_BYTES - 5 {
        return Hello::Broken;
    }
    let Some(record) = record.take(length) else { return Hello::Partial };
    // A hello in several records is allowed, and no client of a registry sends one.
    match name(&mut Bytes(record)) {
        Some(name) => Hello::Tls(name),
        None => Hello::Broken,
    }
}

/// `None`: it is broken.
fn name<'a>(record: &mut Bytes<'a>) -> Option<Option<&'a str>> {
    if record.number(1)? != usize::from(CLIENT_HELLO) {
        return None;
    }
    let mut hello = Bytes(record.sized(3)?);
    hello.take(2 + 32)?;
    hello.sized(1)?;
    hello.sized(2)?;
    hello.sized(1)?;
    if hello.0.is_empty() {
        return Some(None);
    }
    let mut extensions = Bytes(hello.sized(2)?);
    let mut found = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let mut content = Bytes(extensions.sized(2)?);
        if kind == usize::from(SERVER_NAME) {
            let mut list = Bytes(content.sized(2)?);
            // There is one kind of name, and one of each kind. Two extensions would be two meanings.
            if list.number(1)? != 0 || found.is_some() {
                return None;
            }
            found = Some(std::str::from_utf8(list.sized(2)?).ok()?);
            if !list.0.is_empty() {
                return None;
            }
        }
    }
    Some(found)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// In so many bytes.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let taken = self.take(bytes)?;
        Some(taken.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    /// Something after its length in so many bytes.
    fn sized(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.number(bytes)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(bytes: usize, content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        [&length[length.len() - bytes..], content].concat()
    }

    fn server_name(name: &str) -> Vec<u8> {
        let list = [&[0][..], &sized(2, name.as_bytes())].concat();
        [&[0, 0][..], &sized(2, &sized(2, &list))].concat()
    }

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend(sized(1, &[1; 32]));
        body.extend(sized(2, &[0x13, 0x01]));
        body.extend(sized(1, &[0]));
        body.extend(sized(2, extensions));
        let handshake = [&[CLIENT_HELLO][..], &sized(3, &body)].concat();
        [&[HANDSHAKE, 3, 1][..], &sized(2, &handshake)].concat()
    }

    #[test]
    fn the_host_that_is_meant_is_read() {
        let other = [&[0, 10][..], &sized(2, &[0, 2, 0, 29])].concat();
        let bytes = hello(&[other.clone(), server_name("a.example")].concat());
        assert_eq!(read(&bytes), Hello::Tls(Some("a.example")));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), Hello::Partial, "{length}");
        }
        assert_eq!(read(&hello(&other)), Hello::Tls(None));
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Hello::Other);
    }

    #[test]
    fn two_meanings_are_none() {
        let two = [server_name("a.example"), server_name("b.example")].concat();
        assert_eq!(read(&hello(&two)), Hello::Broken);
        assert_eq!(read(&[HANDSHAKE, 3, 1, 0xff, 0xff]), Hello::Broken);
        assert_eq!(read(&[HANDSHAKE, 3, 1, 0, 1, 2]), Hello::Broken);
    }
}
