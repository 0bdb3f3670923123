//! Requirements as Poetry and Pipenv write them, turned into what pip reads.

use toml::{Table, Value};

/// One requirement for each package of a list that comes from a registry.
pub(super) fn requirements(list: &Table) -> Vec<String> {
    list.iter()
        .filter(|(name, _)| name.as_str() != "python")
        .filter_map(|(name, wanted)| requirement(name, wanted))
        .collect()
}

fn requirement(name: &str, wanted: &Value) -> Option<String> {
    let table = match wanted {
        Value::String(version) => return Some(format!("{name}{}", constraints(version))),
        Value::Table(table) => table,
        // One entry for each version of Python: pip finds out what fits.
        Value::Array(_) => return Some(name.to_owned()),
        _ => return None,
    };
    if ["path", "git", "url", "file"].iter().any(|key| table.contains_key(*key))
        || table.get("optional").and_then(Value::as_bool) == Some(true)
    {
        return None;
    }
    let extras: Vec<&str> = table
        .get("extras")
        .and_then(Value::as_array)
        .map(|extras| extras.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
    let version = table.get("version").and_then(Value::as_str).map(constraints);
    let marker = table.get("markers").and_then(Value::as_str).map(|marker| format!("; {marker}"));
    Some(format!("{name}{extras}{}{}", version.unwrap_or_default(), marker.unwrap_or_default()))
}

/// `^1.2`, `~1.2`, `1.2` and `*` in pip's words. What has no such words is left open.
fn constraints(text: &str) -> String {
    if text.contains("||") {
        return String::new();
    }
    let parts: Vec<String> = text.split(',').filter_map(|part| constraint(part.trim())).collect();
    parts.join(",")
}

fn constraint(text: &str) -> Option<String> {
    if text.is_empty() || text == "*" {
        return None;
    }
    if let Some(version) = text.strip_prefix('^') {
        // The first part that is not zero may not change.
        return range(version, |parts| {
            parts.iter().position(|part| *part > 0).unwrap_or(parts.len() - 1)
        });
    }
    if let Some(version) = text.strip_prefix('~').filter(|rest| !rest.starts_with('=')) {
        return range(version, |parts| usize::from(parts.len() > 1));
    }
    match text.starts_with(|c: char| c.is_ascii_digit()) {
        true => Some(format!("=={text}")),
        false => Some(text.to_owned()),
    }
}

/// From a version up to the next one of a part.
fn range(version: &str, part: impl Fn(&[u64]) -> usize) -> Option<String> {
    let version = version.trim();
    let parts: Vec<u64> = version.split('.').map_while(|part| part.parse().ok()).collect();
    if parts.is_empty() {
        return None;
    }
    let kept = part(&parts).min(parts.len() - 1);
    let mut next = parts[..=kept].to_vec();
    next[kept] = next[kept].saturating_add(1);
    let next: Vec<String> = next.iter().map(u64::to_string).collect();
    Some(format!(">={version},<{}", next.join(".")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a = '^1.2.3'", "a>=1.2.3,<2")]
    #[case("a = '^0.3'", "a>=0.3,<0.4")]
    #[case("a = '^0.0'", "a>=0.0,<0.1")]
    #[case("a = '~1.2.3'", "a>=1.2.3,<1.3")]
    #[case("a = '~2'", "a>=2,<3")]
    #[case("a = '~=2.1'", "a~=2.1")]
    #[case("a = '2.1'", "a==2.1")]
    #[case("a = '*'", "a")]
    #[case("a = '>=1,<3,!=2.0'", "a>=1,<3,!=2.0")]
    #[case("a = '^1 || ^2'", "a")]
    #[case("a = {version = '^1', extras = ['x', 'y']}", "a[x,y]>=1,<2")]
    #[case(r#"a = {version = "1", markers = "os_name == 'nt'"}"#, "a==1; os_name == 'nt'")]
    #[case("a = {path = '../a'}\nb = {version = '1', optional = true}\npython = '^3.9'", "")]
    #[case("a = '^'", "a")]
    fn reads_as_pip_does(#[case] list: &str, #[case] expected: &str) {
        assert_eq!(requirements(&list.parse().unwrap()).join(" | "), expected);
    }
}
