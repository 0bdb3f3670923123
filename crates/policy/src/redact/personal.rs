//! What is known about people: e-mail addresses, payment cards, addresses of the internet.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use regex::Regex;

use super::compile;

const EMAIL: &str =
    r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,200}\.[A-Za-z]{2,24}\b";
/// Digits with at most one space or dash between two of them.
const DIGITS: &str = r"[0-9](?:[ -]?[0-9]){12,}";
const ADDRESS: &str =
    r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|\b)";

static EMAILS: LazyLock<Option<Regex>> = LazyLock::new(|| compile(EMAIL));
static DIGIT_RUNS: LazyLock<Option<Regex>> = LazyLock::new(|| compile(DIGITS));
static ADDRESSES: LazyLock<Option<Regex>> = LazyLock::new(|| compile(ADDRESS));

#[cfg(test)]
pub(super) fn compiles() -> bool {
    EMAILS.is_some() && DIGIT_RUNS.is_some() && ADDRESSES.is_some()
}

pub(super) fn without_emails(text: Cow<'_, str>) -> Cow<'_, str> {
    without(text, EMAILS.as_ref(), "e-mail", |text, start, end| {
        let domain = text[start..end].rsplit('@').next().unwrap_or_default();
        let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
        // `package@1.2.0-rc.beta` is how releases are named.
        let is_version = domain.split('.').take(2).all(is_number);
        if is_version { Vec::new() } else { vec![(start, end)] }
    })
}

pub(super) fn without_cards(text: Cow<'_, str>) -> Cow<'_, str> {
    without(text, DIGIT_RUNS.as_ref(), "card", cards)
}

pub(super) fn without_addresses(text: Cow<'_, str>) -> Cow<'_, str> {
    without(text, ADDRESSES.as_ref(), "address", |text, start, end| {
        if is_public_address(text, start, end) { vec![(start, end)] } else { Vec::new() }
    })
}

/// Marks the ranges that `choose` takes of each match; they are in order and apart.
fn without<'a>(
    text: Cow<'a, str>,
    pattern: Option<&Regex>,
    kind: &str,
    choose: impl Fn(&str, usize, usize) -> Vec<(usize, usize)>,
) -> Cow<'a, str> {
    let Some(pattern) = pattern else { return text };
    let mut out = String::new();
    let mut copied = 0;
    for found in pattern.find_iter(&text) {
        for (start, end) in choose(&text, found.start(), found.end()) {
            out.push_str(&text[copied..start]);
            out.push_str("[redacted: ");
            out.push_str(kind);
            out.push(']');
            copied = end;
        }
    }
    if copied == 0 {
        return text;
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The cards' numbers in a run of digits and separators. They begin and end with whole groups.
fn cards(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let is_fraction = is_after_point(&text.as_bytes()[..start]);
    let run = &text.as_bytes()[start..end];
    let digits: Vec<usize> = (0..run.len()).filter(|at| run[*at].is_ascii_digit()).collect();
    let begins = |n: usize| digits[n] == 0 || !run[digits[n] - 1].is_ascii_digit();
    let ends = |n: usize| digits[n] + 1 == run.len() || !run[digits[n] + 1].is_ascii_digit();
    let mut found = Vec::new();
    let mut n = 0;
    while n < digits.len() {
        let length = if begins(n) && !(is_fraction && n == 0) {
            (13..=19).rev().find(|length| {
                let last = n + length - 1;
                last < digits.len() && ends(last) && {
                    let number: Vec<u8> =
                        digits[n..=last].iter().map(|at| run[*at] - b'0').collect();
                    is_issued(&number) && checks(&number)
                }
            })
        } else {
            None
        };
        match length {
            Some(length) => {
                found.push((start + digits[n], start + digits[n + length - 1] + 1));
                n += length;
            }
            None => n += 1,
        }
    }
    found
}

/// Whether what follows is the fraction of a number, whose whole part is no card's end.
fn is_after_point(before: &[u8]) -> bool {
    let Some(before) = before.strip_suffix(b".") else { return false };
    let whole = before.iter().rev().take_while(|b| b.is_ascii_digit()).take(7).count();
    let is_grouped = matches!(before[..before.len() - whole], [.., b'0'..=b'9', b' ' | b'-']);
    (1..7).contains(&whole) && !is_grouped
}

/// Whether a number begins as an issuer's do, and is as long (ISO/IEC 7812 ranges in use).
fn is_issued(number: &[u8]) -> bool {
    let prefix = |digits| number.iter().take(digits).fold(0_u32, |n, d| n * 10 + u32::from(*d));
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match number.len() {
        14 => matches!(two, 36 | 38 | 39) || matches!(three, 300..=305),
        15 if matches!(two, 34 | 37) => true,
        16 if matches!(two, 51..=55) || matches!(four, 2221..=2720) => true,
        13 | 16 | 19 if number.first() == Some(&4) => true,
        16.. if matches!(four, 3528..=3589) => true,
        _ => matches!(two, 50 | 56..=69),
    }
}

/// Luhn's check digit.
fn checks(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (1, digit @ 5..) => digit * 2 - 9,
            (1, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_public_address(text: &str, start: usize, end: usize) -> bool {
    let before = &text.as_bytes()[..start];
    let joins = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b':' | b'.' | b'@');
    // `Chrome/120.0.0.0`, `v1.2.3.4` and `package@1.2.3.4` are versions.
    let is_version = matches!(before, [.., b, b'/'] if *b != b'/' && *b != b' ');
    let goes_on = match &text.as_bytes()[end..] {
        [b'.', next, ..] => next.is_ascii_digit(),
        [b':', ..] => false,
        [next, ..] => joins(next),
        [] => false,
    };
    if before.last().is_some_and(joins) || is_version || goes_on {
        return false;
    }
    match text[start..end].parse() {
        Ok(IpAddr::V4(address)) => is_public(address),
        Ok(IpAddr::V6(address)) => is_public_6(&text[start..end], address),
        Err(_) => false,
    }
}

fn is_public(address: Ipv4Addr) -> bool {
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation())
}

fn is_public_6(text: &str, address: Ipv6Addr) -> bool {
    // `abc::def` is a path in some languages.
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    let is_written_as_one = groups >= 3 && text.bytes().any(|b| b.is_ascii_digit());
    is_written_as_one
        && !(address.is_loopback()
            || address.is_unique_local()
            || address.is_unicast_link_local()
            || matches!(address.segments(), [0x2001, 0xdb8, ..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::super::{Redact, redact};

    fn clean(text: &str) -> String {
        redact(text, Redact::PERSONAL)
    }

    // Numbers that the networks publish for tests.
    #[rstest]
    #[case("4111111111111111", "[redacted: card]")]
    #[case("card 4111 1111 1111 1111, please", "card [redacted: card], please")]
    #[case("4111-1111-1111-1111", "[redacted: card]")]
    #[case("5555555555554444 and 2223003122003222", "[redacted: card] and [redacted: card]")]
    #[case("3782 822463 10005", "[redacted: card]")]
    #[case("30569309025904", "[redacted: card]")]
    #[case("6011111111111117", "[redacted: card]")]
    #[case("3530111333300000", "[redacted: card]")]
    #[case("6200000000000005", "[redacted: card]")]
    #[case("id 7 4111 1111 1111 1111 12 30", "id 7 [redacted: card] 12 30")]
    #[case("x4111111111111111y", "x[redacted: card]y")]
    #[case(
        "203.0.114.9 and [2a00:1450:4001:81b::200e]",
        "[redacted: address] and [[redacted: address]]"
    )]
    #[case(
        "http://198.41.0.4/x, 198.41.0.4:8080",
        "http://[redacted: address]/x, [redacted: address]:8080"
    )]
    #[case("me@163.com", "[redacted: e-mail]")]
    fn it_goes(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(clean(text), expected);
    }

    #[rstest]
    #[case("4111111111111112")]
    #[case("0.4111111111111111")]
    #[case("1566248777677000000 2026112712000000000")]
    #[case("41111111111111111111111111111111")]
    #[case("order 1234-5678-9012-3456")]
    #[case("127.0.0.1 10.1.2.3 192.168.0.1 ::1 fe80::1 fd00:1:2::3 0.0.0.0")]
    #[case("Chrome/120.0.0.0 v1.2.3.4 app@1.2.3.4 1.2.3.4.5")]
    #[case("at 12:03:04, abc::def, a:b:c, std::vec::Vec, dead::beef::cafe")]
    #[case("web@1.0.0-rc.beta")]
    fn it_stays(#[case] text: &str) {
        assert_eq!(clean(text), text);
    }

    proptest! {
        #[test]
        fn twice_is_once(text in "([0-9]{1,4}|[ .:@-]|4111 1111 1111 1111|[a-f]){0,30}") {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once);
        }

        #[test]
        fn a_card_is_found_in_any_grouping(cuts in proptest::collection::vec(any::<bool>(), 15)) {
            let mut text = String::from("4");
            for (digit, cut) in "242424242424242".chars().zip(cuts) {
                text.extend(cut.then_some('-'));
                text.push(digit);
            }
            prop_assert_eq!(clean(&text), "[redacted: card]");
        }
    }
}
