//! Text from outside as one token of a subject or key.
//!
//! nats-server accepts a publish to a subject that holds `*` or `>`, and a dot would add a level, so
//! nothing from outside enters a subject as it is.

/// What every encoded token starts with, so that no plain token can be mistaken for one.
const ESCAPED: &str = "x--";

/// The token for an absent value.
pub(crate) const ABSENT: &str = "_";

/// Plain tokens stay as they are; everything else becomes `x--` and the hexadecimal of its bytes.
/// Two different texts never share a token.
pub(crate) fn encode(text: &str) -> String {
    if is_plain(text) && !text.starts_with(ESCAPED) && text != ABSENT {
        text.to_owned()
    } else {
        format!("{ESCAPED}{}", hex::encode(text))
    }
}

/// [`encode`], and `_` for nothing.
pub(crate) fn encode_optional(text: Option<&str>) -> String {
    text.map_or_else(|| ABSENT.to_owned(), encode)
}

/// The text that [`encode`] was given; `None` for a token it never makes.
pub(crate) fn decode(token: &str) -> Option<String> {
    match token.strip_prefix(ESCAPED) {
        Some(digits) => String::from_utf8(hex::decode(digits).ok()?).ok(),
        None => is_plain(token).then(|| token.to_owned()),
    }
}

/// One or more of `A-Z a-z 0-9 _ -`.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_one_safe_token_and_comes_back(text in ".*") {
            let token = encode(&text);
            prop_assert!(is_plain(&token));
            prop_assert_ne!(&token, ABSENT);
            prop_assert_eq!(decode(&token), Some(text));
        }

        #[test]
        fn different_texts_have_different_tokens(a in "[a-z._*>-]{0,6}", b in "[a-z._*>-]{0,6}") {
            prop_assume!(a != b);
            prop_assert_ne!(encode(&a), encode(&b));
        }
    }

    #[test]
    fn the_usual_names_stay_readable() {
        assert_eq!(encode("ready_for_review"), "ready_for_review");
        assert_eq!(
            encode("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            "72d3162e-cc78-11e3-81ab-4c9367dc0958"
        );
        assert_eq!(encode("gh.>"), "x--67682e3e");
        assert_eq!(encode_optional(None), "_");
    }
}
