//! The JSON Schema of `.booty.yml`, for editors.
//!
//! Made of the bounds and words that the reader uses; a test makes instances of it and holds that the
//! reader takes and refuses the same. What a schema can't say, the reader alone knows: the range of a
//! time, whether a glob can be read, and that lengths are counted in bytes.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    BuilderConfig, Config, VerifierConfig,
    bounds::{
        BYTES, COMMAND_BYTES, COST_USD, EVIDENCE_BUDGET, FILES, FLAKY_RETRIES, LABEL_CHARS, LINES,
        MAX_PATTERNS, MAX_REGISTRIES, MAX_VARIABLES, ROUNDS, TEXT_BYTES, TIME_PATTERN, TIMEOUT,
        TOKENS, VARIABLE_BYTES, WALL,
    },
    words::{Language, ProtectPolicy, RegistryName, Word},
};
use crate::change::DiffLimits;

/// No text of the file has a NUL.
const NO_NUL: &str = r"^[^\u0000]*$";
/// Relative, without a backslash and without `..`.
const DIRECTORY: &str = r"^(?!/)(?!([\s\S]*/)?\.\.(/|$))[^\\\u0000]*$";
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
const GLOB: &str = r"^(?!!)[^\u0000]*$";
/// One line without spaces around it.
const LABEL: &str = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";

/// The schema (draft 2020-12), as it is committed and printed.
pub fn schema() -> String {
    let mut text = format!("{:#}", sorted(whole()));
    text.push('\n');
    text
}

fn whole() -> Value {
    let command = || json!({ "$ref": "#/$defs/command" });
    let file_command = || json!({ "$ref": "#/$defs/fileCommand" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": concat!(env!("CARGO_PKG_REPOSITORY"), "/raw/main/docs/booty.schema.json"),
        "title": Config::FILE_NAME,
        "description": "What a repository asks of Booty.",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": about("The version of the format.", json!({ "const": 1 })),
            "language": about("The repository's language; detected when it is left out.", word::<Language>(None)),
            "setup": about("Makes the checkout ready; the only command with a network.", command()),
            "check": about("Finds what does not compile or import, in seconds.", command()),
            "test": about("Runs the tests. Its exit code decides.", command()),
            "format": about("Rewrites the files that a change of the builder's touches; they are its \"$@\".", file_command()),
            "lint": about("Judges the files that a change of the builder's touches; they are its \"$@\". Its exit code decides.", file_command()),
            "limits": limits(),
            "protect": protect(),
            "network": network(),
            "builder": builder(),
            "verifier": verifier(),
        },
        "$defs": {
            "command": command_spec(json!({})),
            "fileCommand": command_spec(files()),
            "pattern": pattern(),
        },
    })
}

/// `more`: keys besides those of every command.
fn command_spec(more: Value) -> Value {
    let mut keys = json!({
        "command": about("Given to a shell in the sandbox.", text(COMMAND_BYTES, NO_NUL)),
        "timeout": time("How long it may take; the sandbox's own limit when it is left out.", TIMEOUT, None),
        "directory": about("Where to start, relative to the root of the repository.", optional(text(TEXT_BYTES, DIRECTORY))),
        "env": about("Added to the sandbox's own environment.", json!({
            "type": ["object", "null"],
            "maxProperties": MAX_VARIABLES,
            "propertyNames": { "pattern": VARIABLE },
            "additionalProperties": text(VARIABLE_BYTES, NO_NUL),
        })),
    });
    if let (Some(keys), Value::Object(more)) = (keys.as_object_mut(), more) {
        keys.extend(more);
    }
    let mapping = object(&["command"], keys);
    json!({ "anyOf": [text(COMMAND_BYTES, NO_NUL), mapping, { "type": "null" }] })
}

fn files() -> Value {
    let pattern = json!({ "$ref": "#/$defs/pattern" });
    let list = json!({ "type": "array", "maxItems": MAX_PATTERNS, "items": pattern });
    json!({
        "files": about(
            "The files that it is given; all that the change touches when it is left out.",
            json!({ "anyOf": [pattern, list, { "type": "null" }] }),
        ),
    })
}

fn pattern() -> Value {
    about("A pattern as in a .gitignore, without exceptions.", text(TEXT_BYTES, GLOB))
}

fn limits() -> Value {
    let DiffLimits { files, lines, bytes, binaries, modes } = DiffLimits::default();
    about(
        "How large a change may be.",
        optional(object(
            &[],
            json!({
                "files": about("Changed paths.", number(FILES, files)),
                "lines": about("Added and deleted lines together.", number(LINES, lines)),
                "bytes": about("Bytes of all new contents together.", number(BYTES, bytes)),
                "binaries": about("Whether binary files may change.", flag(binaries)),
                "modes": about("Whether the executable bit may change, or a file become a link.", flag(modes)),
            }),
        )),
    )
}

fn protect() -> Value {
    let pattern = json!({ "$ref": "#/$defs/pattern" });
    let list = json!({ "type": "array", "maxItems": MAX_PATTERNS, "items": pattern });
    let mapping = object(
        &["paths"],
        json!({
            "paths": about("The patterns.", json!({ "anyOf": [pattern, list] })),
            "policy": about(
                "What becomes of a change that touches one of these paths. Booty's own list always refuses.",
                word(Some(ProtectPolicy::default())),
            ),
        }),
    );
    about(
        "Paths that no change may touch, besides Booty's own list.",
        json!({ "anyOf": [pattern, list, mapping, { "type": "null" }] }),
    )
}

fn network() -> Value {
    let one =
        json!({ "enum": RegistryName::ALL.iter().map(|(word, _)| *word).collect::<Vec<_>>() });
    let list = json!({ "type": "array", "maxItems": MAX_REGISTRIES, "items": one });
    let mapping = object(
        &["setup"],
        json!({
            "setup": about("Kinds of package registries.", json!({ "anyOf": [one, list] })),
        }),
    );
    about(
        "What the setup command may reach; the registry of the repository's language when it is left out.",
        json!({ "anyOf": [{ "const": "none" }, mapping, { "type": "null" }] }),
    )
}

fn builder() -> Value {
    let BuilderConfig { rounds, budget: _, generate_tests, promote } = BuilderConfig::default();
    let cost = json!({
        "type": ["number", "null"],
        "minimum": COST_USD.start(),
        "maximum": COST_USD.end(),
    });
    let budget = object(
        &[],
        json!({
            "tokens": about("Tokens read and written together.", integer(TOKENS)),
            "cost_usd": about("US dollars.", cost),
            "wall": time("Time that is worked on it; waiting does not count.", WALL, None),
        }),
    );
    about(
        "How the builder works here.",
        optional(object(
            &[],
            json!({
                "rounds": about("Attempts of the model, the first one included.", number(ROUNDS, rounds.into())),
                "budget": about("What one job may cost; the operator's limits when it is left out.", optional(budget)),
                "generate_tests": about("Whether the model is asked for tests of what it changes.", flag(generate_tests)),
                "promote": about("Whether a draft of Booty's own is marked ready when its check succeeds.", flag(promote)),
            }),
        )),
    )
}

fn verifier() -> Value {
    let VerifierConfig { flaky_retries, evidence, evidence_budget, waiver_label } =
        VerifierConfig::default();
    let mut label = text(LABEL_CHARS, LABEL);
    label["default"] = waiver_label.into();
    about(
        "How pull requests are judged here.",
        optional(object(
            &[],
            json!({
                "flaky_retries": about(
                    "How often a failed test is run again before it counts as failed.",
                    number(FLAKY_RETRIES, flaky_retries.into()),
                ),
                "evidence": about("How much is asked of the tests themselves.", word(Some(evidence))),
                "evidence_budget": time(
                    "How long the gathering of evidence may take.", EVIDENCE_BUDGET, Some(evidence_budget),
                ),
                "waiver_label": about(
                    "The label by which someone with write access waives limits and protected paths.",
                    optional(label),
                ),
            }),
        )),
    )
}

fn about(description: &str, mut schema: Value) -> Value {
    schema["description"] = description.into();
    schema
}

/// A key without a value is as if it were not there.
fn optional(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn object(required: &[&str], properties: Value) -> Value {
    let mut schema =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn text(lengths: RangeInclusive<usize>, pattern: &str) -> Value {
    json!({
        "type": "string",
        "minLength": lengths.start(),
        "maxLength": lengths.end(),
        "pattern": pattern,
    })
}

fn word<W: Word>(default: Option<W>) -> Value {
    let words = W::ALL.iter().map(|(word, _)| json!(word)).chain([Value::Null]);
    let mut schema = json!({ "enum": words.collect::<Vec<_>>() });
    if let Some(default) = default {
        schema["default"] = default.word().into();
    }
    schema
}

fn integer(range: RangeInclusive<u64>) -> Value {
    json!({ "type": ["integer", "null"], "minimum": range.start(), "maximum": range.end() })
}

fn number(range: RangeInclusive<u64>, default: u64) -> Value {
    let mut schema = integer(range);
    schema["default"] = default.into();
    schema
}

fn flag(default: bool) -> Value {
    json!({ "type": ["boolean", "null"], "default": default })
}

fn time(description: &str, range: RangeInclusive<Duration>, default: Option<Duration>) -> Value {
    let [least, most] = [*range.start(), *range.end()].map(short);
    let mut schema = json!({
        "type": ["string", "null"],
        "pattern": TIME_PATTERN,
        "description": format!("{description} A time from {least} to {most}."),
        "examples": [least, most],
    });
    if let Some(default) = default {
        schema["default"] = short(default).into();
    }
    schema
}

/// As people write it in the file.
fn short(time: Duration) -> String {
    humantime::format_duration(time).to_string().replace("day", "d").replace(' ', "")
}

/// With keys in one order, whatever order other crates of a build ask serde_json for.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(
                entries.into_iter().map(|(key, value)| (key, sorted(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
