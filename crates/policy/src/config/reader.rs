//! Reading a YAML tree into our types, on and on after an error.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use super::{
    ConfigError,
    bounds::{TEXT_BYTES, VARIABLE_BYTES},
    node::{Node, Placed},
    words::Word,
};

/// More are the same mistake again and again.
const MAX_ERRORS: usize = 50;

/// Collects errors while values are read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) errors: Vec<ConfigError>,
}

/// A mapping whose keys are taken out one by one; what is left is unknown.
pub(crate) struct Map<'a> {
    entries: Vec<(&'a str, &'a Placed, &'a Placed)>,
    /// How the mapping is called in an error: empty at the top, else `limits.` and the like.
    prefix: String,
    known: Vec<&'static str>,
}

impl Reader {
    pub(crate) fn error(&mut self, at: &Placed, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ConfigError::at(at.referenced, message.into()));
        }
    }

    fn expected<T>(&mut self, name: &str, what: &str, at: &Placed) -> Option<T> {
        self.error(at, format!("`{name}` must be {what}, not {}", at.value.kind()));
        None
    }

    pub(crate) fn map<'a>(&mut self, name: &str, at: &'a Placed) -> Option<Map<'a>> {
        let Node::Map(entries) = &at.value else {
            if name.is_empty() {
                self.error(at, format!("the file must be a mapping, not {}", at.value.kind()));
                return None;
            }
            return self.expected(name, "a mapping", at);
        };
        let mut taken = Vec::new();
        for (key, value) in entries {
            match &key.value {
                Node::Text(text) => taken.push((text.as_str(), key, value)),
                other => self.error(key, format!("a key must be text, not {}", other.kind())),
            }
        }
        let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
        Some(Map { entries: taken, prefix, known: Vec::new() })
    }

    /// Reports what nobody took.
    pub(crate) fn finish(&mut self, map: Map<'_>) {
        for (key, at, _) in map.entries {
            let close = map.known.iter().find(|known| distance(known, key) <= 2);
            let advice = match close {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known are {}", quoted(&map.known)),
            };
            self.error(at, format!("unknown key `{}{}`; {advice}", map.prefix, shortened(key)));
        }
    }

    pub(crate) fn text(
        &mut self,
        name: &str,
        at: &Placed,
        lengths: RangeInclusive<usize>,
    ) -> Option<String> {
        let Node::Text(text) = &at.value else {
            return match at.value {
                Node::Bool(_) | Node::Integer(_) | Node::Float(_) => {
                    self.expected(name, "text (put it in quotes)", at)
                }
                _ => self.expected(name, "text", at),
            };
        };
        if text.contains('\0') {
            self.error(at, format!("`{name}` has a NUL character"));
            return None;
        }
        if !lengths.contains(&text.len()) {
            let (least, most) = (lengths.start(), lengths.end());
            self.error(
                at,
                format!("`{name}` must have {least} to {most} bytes, not {}", text.len()),
            );
            return None;
        }
        Some(text.clone())
    }

    pub(crate) fn boolean(&mut self, name: &str, at: &Placed) -> Option<bool> {
        match at.value {
            Node::Bool(value) => Some(value),
            _ => self.expected(name, "true or false", at),
        }
    }

    pub(crate) fn number(
        &mut self,
        name: &str,
        at: &Placed,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let Node::Integer(number) = at.value else {
            return self.expected(name, "a whole number", at);
        };
        match u64::try_from(number) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                self.error(
                    at,
                    format!("`{name}` must be {} to {}, not {number}", range.start(), range.end()),
                );
                None
            }
        }
    }

    /// A number with or without decimals.
    pub(crate) fn decimal(
        &mut self,
        name: &str,
        at: &Placed,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        let number = match at.value {
            // Above 2^53 it is out of any range of ours, exact or not.
            Node::Integer(number) => number as f64,
            Node::Float(number) => number,
            _ => return self.expected(name, "a number", at),
        };
        if range.contains(&number) {
            return Some(number);
        }
        let (least, most) = (range.start(), range.end());
        self.error(at, format!("`{name}` must be {least} to {most}, not {number}"));
        None
    }

    /// One of the words of a kind.
    pub(crate) fn word<W: Word>(&mut self, name: &str, at: &Placed) -> Option<W> {
        let known: Vec<&str> = W::ALL.iter().map(|(word, _)| *word).collect();
        let Node::Text(text) = &at.value else {
            return self.expected(name, &format!("one of {}", quoted(&known)), at);
        };
        let found = W::ALL.iter().find(|(word, _)| word == text).map(|(_, found)| *found);
        if found.is_none() {
            self.error(at, format!("`{name}` must be one of {}", quoted(&known)));
        }
        found
    }

    /// A list of such words; one alone is a list of one.
    pub(crate) fn words<W: Word>(&mut self, name: &str, at: &Placed, most: usize) -> Vec<W> {
        self.items(name, at, most).into_iter().filter_map(|item| self.word(name, item)).collect()
    }

    pub(crate) fn duration(
        &mut self,
        name: &str,
        at: &Placed,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let text = match &at.value {
            Node::Text(text) => text,
            _ => return self.expected(name, "a time with its unit, such as `90s` or `5m`", at),
        };
        match humantime::parse_duration(text) {
            Ok(time) if range.contains(&time) => Some(time),
            Ok(_) => {
                let [least, most] =
                    [range.start(), range.end()].map(|time| humantime::format_duration(*time));
                self.error(
                    at,
                    format!("`{name}` must be {least} to {most}, not {}", shortened(text)),
                );
                None
            }
            Err(error) => {
                self.error(
                    at,
                    format!(
                        "`{name}` must be a time with its unit, such as `90s` or `5m`: {error}"
                    ),
                );
                None
            }
        }
    }

    /// A list of texts; one text alone is a list of one.
    pub(crate) fn texts<'a>(
        &mut self,
        name: &str,
        at: &'a Placed,
        most: usize,
    ) -> Vec<(String, &'a Placed)> {
        self.items(name, at, most)
            .into_iter()
            .filter_map(|item| Some((self.text(name, item, TEXT_BYTES)?, item)))
            .collect()
    }

    fn items<'a>(&mut self, name: &str, at: &'a Placed, most: usize) -> Vec<&'a Placed> {
        let items: Vec<&Placed> = match &at.value {
            Node::List(items) => items.iter().collect(),
            Node::Text(_) => vec![at],
            _ => {
                self.expected::<()>(name, "a list of text", at);
                return Vec::new();
            }
        };
        if items.len() > most {
            self.error(
                at,
                format!("`{name}` must have at most {most} entries, not {}", items.len()),
            );
            return Vec::new();
        }
        items
    }

    /// Names of environment variables and their values.
    pub(crate) fn variables(
        &mut self,
        name: &str,
        at: &Placed,
        most: usize,
    ) -> BTreeMap<String, String> {
        let Some(map) = self.map(name, at) else { return BTreeMap::new() };
        if map.entries.len() > most {
            self.error(
                at,
                format!("`{name}` must have at most {most} entries, not {}", map.entries.len()),
            );
            return BTreeMap::new();
        }
        let mut variables = BTreeMap::new();
        for (key, place, value) in map.entries {
            let starts = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !starts || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let key = shortened(key);
                self.error(
                    place,
                    format!("`{name}.{key}` is not the name of a variable (A-Z a-z 0-9 _)"),
                );
            } else if let Some(value) = self.text(&format!("{name}.{key}"), value, VARIABLE_BYTES) {
                variables.insert(key.to_owned(), value);
            }
        }
        variables
    }
}

impl<'a> Map<'a> {
    /// Takes a key out. A key without a value is as if it were not there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Placed> {
        self.known.push(key);
        let index = self.entries.iter().position(|(name, _, _)| *name == key)?;
        let (_, _, value) = self.entries.remove(index);
        (value.value != Node::Null).then_some(value)
    }

    /// Takes out keys that people expect here and that can't be, each with the reason.
    pub(crate) fn refuse(&mut self, reader: &mut Reader, keys: &[&str], why: &str) {
        let prefix = &self.prefix;
        self.entries.retain(|(key, at, _)| {
            let is_refused = keys.contains(key);
            if is_refused {
                reader.error(at, format!("`{prefix}{key}` is no key; {why}"));
            }
            !is_refused
        });
    }

    /// The key's name in errors.
    pub(crate) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

pub(crate) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Short enough to be in an error, and on one line.
fn shortened(text: &str) -> String {
    let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().count() > 40 { format!("{shown}…") } else { shown }
}

/// Edits from one word to another, for words as long as keys are.
fn distance(known: &str, found: &str) -> usize {
    if found.len() > 40 {
        return usize::MAX;
    }
    let found: Vec<char> = found.chars().collect();
    let mut row: Vec<usize> = (0..=found.len()).collect();
    for (i, a) in known.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in found.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[found.len()]
}
