//! Messages of rustc, as cargo passes them on. Any line of them may be forged.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::manifest::Manifests;
use crate::{
    imports::{
        MAX_FINDINGS,
        tool::{block, one_line},
    },
    report::{Finding, Rule},
};

/// A macro in a macro in a macro.
const MAX_EXPANSIONS: usize = 32;
/// What rustc says before the name of a crate that is not there; its words changed over the years.
const NO_CRATE: [&str; 5] = [
    "unlinked crate `",
    "can't find crate for `",
    "a missing crate `",
    "undeclared crate or module `",
    "undeclared crate `",
];

#[derive(Debug, Deserialize)]
struct Line {
    reason: String,
    message: Option<Message>,
}

#[derive(Debug, Deserialize)]
struct Message {
    message: String,
    level: String,
    code: Option<Code>,
    #[serde(default)]
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    is_primary: bool,
    label: Option<String>,
    expansion: Option<Box<Expansion>>,
}

#[derive(Debug, Deserialize)]
struct Expansion {
    span: Span,
}

/// Adds the errors of a run that failed.
pub(super) fn read(
    output: &str,
    manifests: &Manifests,
    paths: &BTreeSet<String>,
    findings: &mut Vec<Finding>,
) {
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let Ok(Line { reason, message: Some(message) }) = serde_json::from_str(line) else {
            continue;
        };
        if reason != "compiler-message" || message.level != "error" {
            continue;
        }
        let finding = message.finding(manifests, paths);
        // A library is compiled again for its tests, and says all again.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
        if findings.len() > MAX_FINDINGS * 5 {
            break;
        }
    }
}

impl Message {
    fn finding(&self, manifests: &Manifests, paths: &BTreeSet<String>) -> Finding {
        let code = self.code.as_ref().map(|code| code.code.as_str());
        let missing = self.missing_crate().filter(|name| !manifests.knows(name));
        let mut message = one_line(&self.message, 400);
        if let Some(code) = code {
            message = format!("{message} ({})", one_line(code, 10));
        }
        let rule = match (missing, code) {
            (Some(name), _) => {
                let name = one_line(&name, 100);
                message = format!("{message}: no Cargo.toml names a crate `{name}`");
                Rule::HallucinatedDependency
            }
            (None, Some(code)) => rule(code),
            (None, None) => codeless(&self.message),
        };
        let mut finding = Finding::failure(rule, message);
        if let Some((path, line)) = self.place(paths) {
            finding = finding.at(path, line);
        }
        match &self.rendered {
            Some(text) => finding.with_detail(block(text, 3_000)),
            None => finding,
        }
    }

    /// The crate that the code names and the build has not.
    fn missing_crate(&self) -> Option<String> {
        let labels = self.spans.iter().filter_map(|span| span.label.as_deref());
        let mut texts = labels.chain([self.message.as_str()]);
        texts.find_map(|text| {
            let rest = NO_CRATE.iter().find_map(|start| Some(text.split_once(start)?.1))?;
            Some(rest.split_once('`')?.0.to_owned())
        })
    }

    /// The first primary span in the tree; of a macro of somebody else's, where it is called.
    fn place(&self, paths: &BTreeSet<String>) -> Option<(String, u32)> {
        let primary = self.spans.iter().filter(|span| span.is_primary);
        primary.chain(&self.spans).find_map(|span| {
            let mut span = span;
            for _ in 0..MAX_EXPANSIONS {
                let path = span.file_name.strip_prefix("/workspace/").unwrap_or(&span.file_name);
                if paths.contains(path) {
                    return Some((path.to_owned(), span.line_start));
                }
                span = &span.expansion.as_ref()?.span;
            }
            None
        })
    }
}

fn rule(code: &str) -> Rule {
    match code {
        "E0432" | "E0433" | "E0463" | "E0583" => Rule::UnresolvedImport,
        "E0405" | "E0407" | "E0412" | "E0422" | "E0425" | "E0426" | "E0437" | "E0438" | "E0531"
        | "E0559" | "E0560" | "E0576" | "E0599" | "E0609" | "E0026" | "E0027" => {
            Rule::UnknownSymbol
        }
        _ => Rule::CompileError,
    }
}

/// The parser's errors have no code, nor have a few others.
fn codeless(message: &str) -> Rule {
    let syntax = [
        "expected ",
        "unexpected ",
        "mismatched closing",
        "unclosed delimiter",
        "unterminated",
        "unknown start of token",
        "this file contains an",
        "missing ",
        "invalid suffix",
        "stream did not",
        "unknown character",
        "leading `",
        "found single",
        "non-item",
        "prefix `",
        "unmatched",
    ];
    if syntax.iter().any(|start| message.starts_with(start)) {
        Rule::SyntaxError
    } else if message.starts_with("cannot find ") {
        Rule::UnknownSymbol
    } else {
        Rule::CompileError
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read_one(json: serde_json::Value) -> Vec<Finding> {
        let paths = BTreeSet::from(["src/lib.rs".to_owned()]);
        let line = serde_json::json!({ "reason": "compiler-message", "message": json });
        let mut findings = Vec::new();
        let output = format!("{{ nonsense\n{line}\n{line}\n{}", "{".repeat(200_000));
        read(&output, &Manifests::default(), &paths, &mut findings);
        findings
    }

    #[rstest]
    #[case::import("E0432", "unresolved import `crate::a`", Rule::UnresolvedImport)]
    #[case::symbol("E0425", "cannot find function `f`", Rule::UnknownSymbol)]
    #[case::other("E0308", "mismatched types", Rule::CompileError)]
    #[case::no_crate(
        "E0433",
        "use of undeclared crate or module `fastx`",
        Rule::HallucinatedDependency
    )]
    fn a_message_becomes_one_finding(
        #[case] code: &str,
        #[case] message: &str,
        #[case] rule: Rule,
    ) {
        let span = serde_json::json!({ "file_name": "/rustc/x.rs", "line_start": 9, "is_primary": true,
            "expansion": { "span": { "file_name": "src/lib.rs", "line_start": 3, "is_primary": false } } });
        let found = read_one(serde_json::json!({
            "message": message, "level": "error", "code": { "code": code }, "spans": [span],
            "rendered": "error: …",
        }));
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(finding.rule, rule);
        assert_eq!(finding.place.as_ref().map(|place| place.line), Some(3));
    }

    #[test]
    fn what_is_outside_of_the_tree_has_no_place_and_warnings_are_none() {
        let outside =
            serde_json::json!({ "file_name": "/etc/passwd", "line_start": 1, "is_primary": true });
        let found = read_one(
            serde_json::json!({ "message": "expected one of", "level": "error", "spans": [outside] }),
        );
        assert_eq!((found[0].rule, &found[0].place), (Rule::SyntaxError, &None));
        assert_eq!(read_one(serde_json::json!({ "message": "unused", "level": "warning" })), []);
    }
}
