//! Go: all packages are compiled with their tests, and what compiles is vetted.
//!
//! Neither runs code of the repository, and their exit codes decide; what they print says where.

use std::collections::BTreeSet;

use booty_sandbox::{End, Error};
use serde_json::Value;

use super::{
    Checked, Subject, count,
    tool::{self, NO_TOOL, block, one_line},
};
use crate::report::{Finding, Rule};

/// `go list -export` compiles all packages with their tests and links none; `go vet` then finds its
/// export data in the cache. A toolchain that go.mod asks for cannot be fetched: said at once
/// instead of after a timeout.
const COMMAND: &str = r#"export GOTOOLCHAIN=local GOPROXY=off
"$tool" version
"$tool" list -test -export -f '{{""}}' ./... || exit $?
exec "$tool" vet -json ./..."#;
const MAX_OUTPUT_BYTES: usize = 2 * 1024 * 1024;

/// A line of go that names a place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reported {
    path: String,
    line: u32,
    message: String,
    detail: String,
}

pub(super) async fn check(subject: &Subject<'_>) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    if subject.changed.is_empty() {
        checked.said.push("Nothing is changed.".to_owned());
        return Ok(checked);
    }
    let Some(module) = subject.tree.read("go.mod") else {
        checked.unchecked.push("Go: there is no go.mod at the root".to_owned());
        return Ok(checked);
    };
    let module = Module::parse(&module);
    let mut script = tool::script("go", COMMAND);
    script.output_bytes = Some(MAX_OUTPUT_BYTES);
    let result = subject.shell.run(&script).await?;
    if result.end == End::Exited(NO_TOOL) {
        checked.unchecked.push("Go: there is no go in the sandbox".to_owned());
        return Ok(checked);
    }
    let output = &result.output;
    let version = output.lines().find_map(|line| line.strip_prefix("go version "));
    let version = one_line(version.unwrap_or_default(), 40);
    let paths: BTreeSet<String> = subject.tree.paths().collect();
    if result.succeeded() {
        checked.said.push(format!("{version}: all packages and their tests compile."));
        vetted(subject, output, &paths, &mut checked);
        return Ok(checked);
    }
    for reported in parse(output) {
        judge(subject, &module, &paths, reported, &mut checked);
    }
    let errors = checked.findings.len();
    let errors = count(errors, "error", "errors");
    checked.said.push(format!("{version}: compiling ended with {}, {errors}.", result.end));
    if !checked.not_installed.is_empty() {
        checked.unchecked.push("Go: packages that need modules that are not downloaded".to_owned());
    } else if checked.findings.is_empty() {
        let message = format!("compiling `./...` ended with {}", result.end);
        let finding = Finding::failure(Rule::CheckFailed, message);
        checked.findings.push(finding.with_detail(tail(output)));
    }
    Ok(checked)
}

fn judge(
    subject: &Subject<'_>,
    module: &Module,
    paths: &BTreeSet<String>,
    reported: Reported,
    checked: &mut Checked,
) {
    let import = subject
        .tree
        .read(&reported.path)
        .filter(|_| reported.is_about_modules())
        .and_then(|text| imported(&text, reported.line));
    let (rule, message) = match import {
        Some(import) => match module.origin(&import) {
            Origin::Required(needed) => {
                if !checked.not_installed.contains(&needed) {
                    checked.not_installed.push(needed);
                }
                return;
            }
            Origin::Own => (
                Rule::UnresolvedImport,
                format!("`import {import:?}`: the module has no such package"),
            ),
            Origin::Nowhere => (
                Rule::HallucinatedDependency,
                format!(
                    "`import {import:?}`: no such package in the standard library, and no module of go.mod has it"
                ),
            ),
        },
        None => (rule(&reported.message), reported.message.clone()),
    };
    let mut finding = Finding::failure(rule, one_line(&message, 400));
    if paths.contains(&reported.path) {
        finding = finding.at(reported.path.clone(), reported.line);
    } else {
        finding.message = one_line(&format!("{}: {message}", reported.path), 400);
    }
    if !reported.detail.is_empty() {
        finding = finding.with_detail(block(&reported.detail, 2_000));
    }
    // vet and the compiler have a parser each, with words of its own.
    let is_again = checked.findings.iter().any(|other| {
        *other == finding
            || (rule == Rule::SyntaxError && other.rule == rule && other.place == finding.place)
    });
    if !is_again {
        checked.findings.push(finding);
    }
}

/// Where an import comes from, as go.mod says.
enum Origin {
    /// A folder of the tree.
    Own,
    /// This module, which has to be downloaded.
    Required(String),
    Nowhere,
}

/// What go.mod says.
#[derive(Debug, Default)]
struct Module {
    path: String,
    required: Vec<String>,
}

impl Module {
    fn parse(text: &str) -> Self {
        let mut module = Self::default();
        let mut block = "";
        for line in text.lines() {
            let words: Vec<&str> =
                line.split("//").next().unwrap_or_default().split_whitespace().collect();
            match (block, words.as_slice()) {
                (_, [")"]) => block = "",
                ("", ["module", path]) => module.path = unquoted(path),
                ("", ["require", "("]) => block = "require",
                ("", [_, "("]) => block = "other",
                ("", ["require", path, _]) | ("require", [path, _]) => {
                    module.required.push(unquoted(path));
                }
                _ => {}
            }
        }
        module
    }

    fn origin(&self, import: &str) -> Origin {
        let below = |module: &str| {
            import.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !self.path.is_empty() && below(&self.path) {
            return Origin::Own;
        }
        match self.required.iter().find(|module| below(module)) {
            Some(module) => Origin::Required(one_line(module, 200)),
            None => Origin::Nowhere,
        }
    }
}

fn unquoted(word: &str) -> String {
    word.trim_matches(['"', '`']).to_owned()
}

impl Reported {
    fn is_about_modules(&self) -> bool {
        let about = ["package", "module", "go.sum", "lookup disabled", "cannot find", "go get"];
        about.iter().any(|word| self.message.contains(word))
            && !self.message.contains("imported and not used")
    }
}

/// The path of the import on this line.
fn imported(text: &str, line: u32) -> Option<String> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let line = text.lines().nth(index)?;
    let (_, rest) = line.split_once(['"', '`'])?;
    let path = rest.split(['"', '`']).next()?;
    (!path.is_empty() && !path.contains(char::is_whitespace)).then(|| path.to_owned())
}

fn rule(message: &str) -> Rule {
    if message.starts_with("syntax error")
        || message.starts_with("expected ")
        || message.contains("unknown directive")
        || message.starts_with("illegal ")
        || message.contains("not terminated")
        || message.contains("invalid character")
        || message.contains("NUL")
    {
        Rule::SyntaxError
    } else if message.starts_with("undefined: ")
        || message.contains(" undefined (")
        || message.contains("not exported by package")
        || message.contains("unknown field")
    {
        Rule::UnknownSymbol
    } else if message.contains("could not import") {
        Rule::UnresolvedImport
    } else {
        Rule::CompileError
    }
}

/// `vet: ./a/b.go:3:5: undefined: x`; lines that follow begin with a tab.
fn parse(output: &str) -> Vec<Reported> {
    let mut all: Vec<Reported> = Vec::new();
    for line in output.lines() {
        if let Some(reported) = parse_line(line.trim_end()) {
            if !all.iter().any(|other| {
                (&other.path, other.line, &other.message)
                    == (&reported.path, reported.line, &reported.message)
            }) {
                all.push(reported);
            }
        } else if line.starts_with('\t')
            && let Some(last) = all.last_mut()
            && last.detail.len() < 4_000
        {
            last.detail.push_str(line);
            last.detail.push('\n');
        }
    }
    all
}

fn parse_line(line: &str) -> Option<Reported> {
    let line = line.strip_prefix("vet: ").unwrap_or(line);
    let line = line.strip_prefix("go: ").unwrap_or(line);
    let line = line.strip_prefix("can't load test package: ").unwrap_or(line);
    let line = line.strip_prefix("/workspace/").unwrap_or(line);
    let line = line.strip_prefix("./").unwrap_or(line);
    let starts = [".go:", "go.mod:", "go.work:"];
    let (at, start) = starts.iter().filter_map(|start| Some((line.find(start)?, start))).min()?;
    let (path, rest) = line.split_at(at + start.len() - 1);
    let mut parts = rest.strip_prefix(':')?.splitn(2, ':');
    let number = parts.next()?.parse().ok()?;
    let message = parts.next()?;
    // A column may follow or not.
    let message = match message.split_once(':') {
        Some((column, rest)) if column.parse::<u32>().is_ok() => rest,
        _ => message,
    };
    let (path, message) = (path.to_owned(), one_line(message, 400));
    Some(Reported { path, line: number, message, detail: String::new() })
}

/// What vet has against changed files of a tree that compiles.
fn vetted(subject: &Subject<'_>, output: &str, paths: &BTreeSet<String>, checked: &mut Checked) {
    let mut rest = output;
    while let Some(at) = rest.find("\n{\n") {
        rest = &rest[at + 1..];
        let mut documents = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(document)) = documents.next() else { continue };
        let packages = document.as_object().into_iter().flatten().map(|(_, analysers)| analysers);
        for (analyser, found) in packages.filter_map(Value::as_object).flatten() {
            for one in found.as_array().into_iter().flatten() {
                let text = |name: &str| one.get(name).and_then(Value::as_str);
                let (Some(place), Some(message)) = (text("posn"), text("message")) else {
                    continue;
                };
                let Some(reported) = parse_line(&format!("{place}: {message}")) else { continue };
                let is_changed = subject.changed.iter().any(|file| file.path == reported.path);
                if is_changed && paths.contains(&reported.path) {
                    let message = format!("vet {}: {}", one_line(analyser, 40), reported.message);
                    let finding = Finding::warning(Rule::CheckFailed, message);
                    checked.findings.push(finding.at(reported.path, reported.line));
                }
            }
        }
    }
}

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    block(&lines[lines.len().saturating_sub(30)..].join("\n"), 3_000)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("./a.go:5:12: undefined: x", Some(("a.go", 5, "undefined: x")))]
    #[case("vet: b/b_test.go:3:28: undefined: nope", Some(("b/b_test.go", 3, "undefined: nope")))]
    #[case("go: can't load test package: a.go:3:8: x", Some(("a.go", 3, "x")))]
    #[case("go.mod:1: unknown directive: modul", Some(("go.mod", 1, "unknown directive: modul")))]
    #[case("/workspace/go.mod:3: x", Some(("go.mod", 3, "x")))]
    #[case("a.go:4:2: no required module provides package github.com/x/y; to add it:", Some(("a.go", 4, "no required module provides package github.com/x/y; to add it:")))]
    #[case("# example.org/sum", None)]
    #[case("a.go:x:y", None)]
    #[case("a.go:99999999999:1: x", None)]
    fn a_line_of_go_is_read(#[case] line: &str, #[case] expected: Option<(&str, u32, &str)>) {
        let read = parse_line(line);
        let read = read.as_ref().map(|r| (r.path.as_str(), r.line, r.message.as_str()));
        assert_eq!(read, expected);
    }

    #[test]
    fn go_mod_says_where_imports_come_from() {
        let module = Module::parse(
            "module example.org/a // x\nrequire github.com/b/c v1.0.0\nrequire (\n\tgithub.com/d v2.0.0 // indirect\n)\nexclude (\n\tgithub.com/e v1.0.0\n)\n",
        );
        assert!(matches!(module.origin("example.org/a/x"), Origin::Own));
        assert!(
            matches!(module.origin("github.com/d/x"), Origin::Required(name) if name == "github.com/d")
        );
        for nowhere in ["example.org/ab", "github.com/e", "fastjsonx"] {
            assert!(matches!(module.origin(nowhere), Origin::Nowhere), "{nowhere}");
        }
    }
}
