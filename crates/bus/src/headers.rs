//! A message's headers.

use async_nats::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a message, in the order in which they were set. Names ignore case, each name is
/// there once, and no value can break out of its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sets `name`, replacing what was there. Line breaks and other control characters in the value
    /// become spaces; characters that no header name can have become `-`.
    pub fn insert(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let name = clean_name(name.as_ref());
        let value = clean_value(value.as_ref());
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(&name)) {
            Some((_, present)) => *present = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(self.0.remove(at).1)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps what another stream may carry: the server's own instructions (`Nats-*`: expected
    /// sequences, message ids, what a direct get adds) belong to one publish only.
    pub fn without_broker_headers(&self) -> Self {
        let is_ours = |name: &str| !name.get(..5).is_some_and(|p| p.eq_ignore_ascii_case("nats-"));
        Self(self.0.iter().filter(|(name, _)| is_ours(name)).cloned().collect())
    }

    pub(crate) fn from_nats(map: Option<&HeaderMap>) -> Self {
        let mut headers: Vec<(String, String)> = map
            .into_iter()
            .flat_map(HeaderMap::iter)
            .filter_map(|(name, values)| {
                Some((name.to_string(), clean_value(values.last()?.as_str())))
            })
            .collect();
        // The client keeps a hash map; an order of our own makes spool entries comparable.
        headers.sort();
        Self(headers)
    }

    pub(crate) fn to_nats(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in self.iter() {
            // Both are clean, so neither parse can fail; a failure would only drop the header.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), value.parse::<HeaderValue>())
            {
                map.insert(name, value);
            }
        }
        map
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.insert(name, value);
        }
        headers
    }
}

fn clean_value(value: &str) -> String {
    if !value.contains(char::is_control) {
        return value.trim().to_owned();
    }
    let spaced: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}

fn clean_name(name: &str) -> String {
    let is_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(is_ok) {
        return name.to_owned();
    }
    let clean: String = name.chars().map(|c| if is_ok(c) { c } else { '-' }).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_breaks_out_of_its_header(name in ".*", value in ".*") {
            let mut headers = Headers::new();
            headers.insert(&name, &value);
            let map = headers.to_nats();
            prop_assert_eq!(map.len(), 1);
            prop_assert!(!headers.iter().any(|(n, v)| n.contains(['\r', '\n']) || v.contains(['\r', '\n'])));
            prop_assert_eq!(Headers::from_nats(Some(&map)), headers);
        }
    }

    #[test]
    fn names_ignore_case_and_are_there_once() {
        let mut headers: Headers = [("Traceparent", "a"), ("x", "1")].into_iter().collect();
        headers.insert("traceparent", "b\r\nInjected: yes");
        assert_eq!(headers.get("TRACEPARENT"), Some("b  Injected: yes"));
        assert_eq!(headers.len(), 2);
        assert_eq!(headers.remove("TraceParent").as_deref(), Some("b  Injected: yes"));
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn the_brokers_own_headers_stay_behind() {
        let headers: Headers =
            [("Nats-Msg-Id", "s"), ("nats-expected-last-subject-sequence", "0"), ("ce-id", "1")]
                .into_iter()
                .collect();
        let kept = headers.without_broker_headers();
        assert_eq!(kept.iter().collect::<Vec<_>>(), [("ce-id", "1")]);
    }
}
