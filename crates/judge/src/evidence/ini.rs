//! INI files, as `setup.cfg` and `tox.ini` are read.

use std::collections::BTreeMap;

use super::options::Setting;

/// The keys of one section; `None` when it is not there.
pub(super) fn section(text: &str, name: &str) -> Option<BTreeMap<String, Setting>> {
    let mut found: Option<BTreeMap<String, Setting>> = None;
    let mut is_inside = false;
    let mut last: Option<String> = None;
    for (line, content) in (1..).zip(text.lines()) {
        if let Some(header) = header(content) {
            is_inside = header == name;
            last = None;
            if is_inside {
                found.get_or_insert_default();
            }
            continue;
        }
        let trimmed = content.trim();
        let Some(settings) = found.as_mut().filter(|_| is_inside) else { continue };
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let is_continuation = content.starts_with([' ', '\t']);
        if let Some(setting) =
            last.as_ref().filter(|_| is_continuation).and_then(|key| settings.get_mut(key))
        {
            setting.value.push(' ');
            setting.value.push_str(trimmed);
        } else if let Some((key, value)) = trimmed.split_once(['=', ':']) {
            let key = key.trim().to_owned();
            settings.insert(key.clone(), Setting { value: value.trim().to_owned(), line });
            last = Some(key);
        }
    }
    found
}

/// The text with these sections taken from another text.
pub(super) fn with_sections(text: &str, from: &str, names: &[&str]) -> String {
    let mut out = String::new();
    for (header, part) in parts(text) {
        if !header.is_some_and(|header| names.contains(&header)) {
            out.push_str(part);
        }
    }
    for (header, part) in parts(from) {
        if header.is_some_and(|header| names.contains(&header)) {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            out.push_str(part);
        }
    }
    out
}

fn header(line: &str) -> Option<&str> {
    let end = line.rfind(']').filter(|_| line.starts_with('['))?;
    line.get(1..end)
}

/// The text in parts, each from its header to the next.
fn parts(text: &str) -> Vec<(Option<&str>, &str)> {
    let mut out = Vec::new();
    let (mut start, mut at, mut name) = (0, 0, None);
    for line in text.split_inclusive('\n') {
        if let Some(next) = header(line.trim_end()) {
            out.push((name, &text[start..at]));
            (start, name) = (at, Some(next));
        }
        at += line.len();
    }
    out.push((name, &text[start..]));
    out
}
