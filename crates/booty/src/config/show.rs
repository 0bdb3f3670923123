//! A configuration and its errors as people read them.

use std::fmt::Write as _;

use booty_policy::{CommandSpec, Config, ConfigError, Network};
use serde_json::json;

/// Characters of a line that are shown, with the place in question among them.
const MAX_SHOWN: usize = 100;
/// Characters of a command on the one line of a summary.
const MAX_COMMAND: usize = 60;

/// Each error with its line and a mark under the place.
pub(crate) fn errors(name: &str, bytes: &[u8], errors: &[ConfigError], coloured: bool) -> String {
    let paint = |code: &str, text: &str| match coloured {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let source = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = source.lines().collect();
    let name = clean(name);
    let mut shown = String::new();
    for error in errors {
        let place = match error.line {
            0 => name.clone(),
            line => format!("{name}:{line}:{}", error.column),
        };
        // Writing to a String can't fail.
        let _ = writeln!(shown, "{}: {}", paint("1", &place), error.message);
        let index = usize::try_from(error.line).ok().and_then(|line| line.checked_sub(1));
        let Some(line) = index.and_then(|index| lines.get(index)) else { continue };
        let column = usize::try_from(error.column).unwrap_or(1).max(1) - 1;
        let start = column.saturating_sub(MAX_SHOWN / 2);
        let line: String = clean(line).chars().skip(start).take(MAX_SHOWN).collect();
        let number = error.line.to_string();
        let margin = " ".repeat(number.len());
        let _ = writeln!(shown, "  {} {line}", paint("34", &format!("{number} |")));
        let mark = format!("{}{}", " ".repeat(column - start), paint("31", "^"));
        let _ = writeln!(shown, "  {} {mark}", paint("34", &format!("{margin} |")));
    }
    shown
}

/// The same for programs.
pub(crate) fn json(errors: &[ConfigError]) -> String {
    let list: Vec<serde_json::Value> = errors
        .iter()
        .map(
            |error| json!({ "line": error.line, "column": error.column, "message": error.message }),
        )
        .collect();
    format!("{:#}\n", serde_json::Value::from(list))
}

/// What a valid file says, on one line.
pub(crate) fn config(config: &Config) -> String {
    let mut said = vec!["valid".to_owned()];
    said.extend(config.language.map(|language| language.to_string()));
    for (name, spec) in [("setup", &config.setup), ("check", &config.check), ("test", &config.test)]
    {
        said.extend(spec.as_ref().map(|spec| format!("{name} `{}`", command(spec))));
    }
    if config.test.is_none() {
        said.push("no test command".to_owned());
    }
    let limits = &config.limits;
    said.push(format!("at most {} files and {} lines", limits.files, limits.lines));
    if !config.protect.patterns.is_empty() {
        let (count, policy) = (config.protect.patterns.len(), config.protect.policy);
        said.push(format!("{count} protected patterns ({policy})"));
    }
    said.push(match &config.network {
        Network::OfLanguage => "setup reaches its language's registry".to_owned(),
        Network::None => "no network".to_owned(),
        Network::Registries(names) => {
            let names: Vec<&str> = names.iter().map(|name| name.name()).collect();
            format!("setup reaches {}", names.join(", "))
        }
    });
    said.push(format!("{} rounds", config.builder.rounds));
    said.push(format!("evidence {}", config.verifier.evidence));
    said.join("; ")
}

fn command(spec: &CommandSpec) -> String {
    let line = clean(spec.command.trim());
    match line.char_indices().nth(MAX_COMMAND) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Text of a file in which nothing moves a terminal's cursor; each character stays one.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' => ' ',
            c if c.is_control() => '\u{fffd}',
            // Direction marks and the like, which make text look like another.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}
