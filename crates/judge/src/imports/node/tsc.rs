//! What the tree's own TypeScript says.
//!
//! It is the project's program, and so a stranger's: its exit code can make a tree fail, its text
//! only says where.

use std::collections::{BTreeMap, BTreeSet};

use booty_sandbox::{End, Error};

use super::super::{
    Checked, Subject, count,
    tool::{self, NO_TOOL, block, one_line},
};
use crate::{
    change::ChangeKind,
    report::{Finding, Level, Rule},
};

const COMMAND: &str = r#"for program in node_modules/typescript/lib/tsc.js node_modules/.bin/tsc; do
    [ -f "$program" ] && break
done
"$tool" "$program" --version
exec "$tool" "$program" --noEmit --pretty false --incremental false -p "$BOOTY_PROJECT""#;
/// Errors of a middling project that does not compile at all.
const MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// One error, as `--pretty false` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reported {
    path: String,
    line: u32,
    code: u32,
    message: String,
    detail: String,
}

pub(super) async fn check(
    subject: &Subject<'_>,
    projects: &[String],
    has_tsc: bool,
    checked: &mut Checked,
) -> Result<(), Error> {
    let mut skip = |why: &str| checked.unchecked.push(format!("types of TypeScript: {why}"));
    let is_committed = |path: String| path.starts_with("node_modules/");
    if !subject.is_installed || !has_tsc {
        skip("typescript is not installed in node_modules");
        return Ok(());
    }
    if subject.tree.paths().any(is_committed) {
        skip("node_modules is part of the repository, and so is the compiler in it");
        return Ok(());
    }
    if !checked.not_installed.is_empty() {
        skip("packages that it needs are not installed");
        return Ok(());
    }
    let mut all: Vec<Reported> = Vec::new();
    let mut version = String::new();
    for project in projects {
        let mut script = tool::script("node", COMMAND);
        script.env.insert("BOOTY_PROJECT".to_owned(), project.clone());
        script.output_bytes = Some(MAX_OUTPUT_BYTES);
        let result = subject.shell.run(&script).await?;
        let said = result.output.lines().find_map(|line| line.strip_prefix("Version "));
        version = said.map(|text| one_line(text, 20)).unwrap_or(version);
        let found = parse(&result.output);
        match result.end {
            End::Exited(0) => continue,
            End::Exited(NO_TOOL) => {
                checked.unchecked.push("types of TypeScript: no node in the sandbox".to_owned());
                return Ok(());
            }
            // Its own codes for "there are errors".
            End::Exited(1 | 2) if !found.is_empty() => {}
            end => {
                let project = one_line(project, 200);
                let message = format!("`tsc --noEmit -p {project}` ended with {end}");
                let finding = Finding::failure(Rule::CheckFailed, message);
                checked.findings.push(finding.with_detail(tail(&result.output)));
            }
        }
        for reported in found {
            if !all.contains(&reported) {
                all.push(reported);
            }
        }
    }
    let projects = count(projects.len(), "project", "projects");
    let errors = count(all.len(), "error", "errors");
    checked.said.push(format!("TypeScript {version}: {projects} checked, {errors}."));
    judge(subject, &all, checked);
    Ok(())
}

/// Errors in what changed are the change's; elsewhere only those that it plainly made.
fn judge(subject: &Subject<'_>, all: &[Reported], checked: &mut Checked) {
    let paths: BTreeSet<String> = subject.tree.paths().collect();
    let kinds: BTreeMap<&str, ChangeKind> =
        subject.changed.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    let is_blamed = |reported: &Reported| names_changed(reported, &kinds);
    let is_dirty = all
        .iter()
        .any(|reported| !kinds.contains_key(reported.path.as_str()) && !is_blamed(reported));
    for reported in all {
        let rule = rule(reported.code);
        if is_said(checked, reported, rule) {
            continue;
        }
        let level = match kinds.get(reported.path.as_str()) {
            // A project that has errors anyway may have had this one.
            Some(ChangeKind::Modified) if is_dirty && was_there(subject, reported) => {
                Level::Warning
            }
            Some(_) => Level::Failure,
            None if is_blamed(reported) => Level::Failure,
            None => Level::Warning,
        };
        let mut finding = Finding {
            level,
            ..Finding::failure(rule, format!("TS{}: {}", reported.code, reported.message))
        };
        if paths.contains(&reported.path) {
            finding = finding.at(reported.path.clone(), reported.line);
        }
        if !reported.detail.is_empty() {
            finding = finding.with_detail(block(&reported.detail, 2_000));
        }
        checked.findings.push(finding);
    }
}

/// Whether the analyser said the same of that line, and said it better.
fn is_said(checked: &Checked, reported: &Reported, rule: Rule) -> bool {
    let kin = [Rule::UnresolvedImport, Rule::UnknownSymbol, Rule::HallucinatedDependency];
    let same = |finding: &&Finding| {
        finding
            .place
            .as_ref()
            .is_some_and(|place| place.path == reported.path && place.line == reported.line)
            && kin.contains(&finding.rule)
            && finding.level == Level::Failure
    };
    kin.contains(&rule) && checked.findings.iter().any(|finding| same(&finding))
}

/// Whether the line was there before the change, word for word.
fn was_there(subject: &Subject<'_>, reported: &Reported) -> bool {
    let line = |text: &str, number: u32| {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        text.lines().nth(index).map(|line| line.trim().to_owned())
    };
    let now = subject.tree.read(&reported.path).and_then(|text| line(&text, reported.line));
    let before = subject.base.read(&reported.path);
    match (now, before) {
        (Some(now), Some(before)) => before.lines().any(|line| line.trim() == now),
        _ => false,
    }
}

/// Whether the message names a file of the change: a module that it deleted or changed.
fn names_changed(reported: &Reported, kinds: &BTreeMap<&str, ChangeKind>) -> bool {
    let folder = reported.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let quoted = reported.message.split(['\'', '"']).filter(|part| part.starts_with('.'));
    let mut named = quoted.filter_map(|spec| join(folder, spec));
    named.any(|path| {
        let bare = path.strip_suffix(".js").unwrap_or(&path);
        kinds.keys().any(|changed| {
            let rest = changed.strip_prefix(bare);
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('.') || rest.starts_with("/index.")
            })
        })
    })
}

fn join(folder: &str, spec: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in spec.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn rule(code: u32) -> Rule {
    match code {
        1000..=1999 => Rule::SyntaxError,
        2307 | 2306 | 2792 | 2732 | 2834 | 2835 => Rule::UnresolvedImport,
        2304 | 2305 | 2339 | 2459 | 2460 | 2503 | 2551 | 2552 | 2613 | 2614 | 2693 | 2694
        | 2724 => Rule::UnknownSymbol,
        _ => Rule::CompileError,
    }
}

/// `src/a.ts(3,7): error TS2307: Cannot find module 'x'.`, lines that follow are indented.
fn parse(output: &str) -> Vec<Reported> {
    let mut all: Vec<Reported> = Vec::new();
    for line in output.lines() {
        if let Some(reported) = parse_line(line.trim_end()) {
            all.push(reported);
        } else if line.starts_with("  ")
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
    let (place, rest) = line.split_once("): error TS")?;
    let (path, position) = place.rsplit_once('(')?;
    let (code, message) = rest.split_once(": ")?;
    let number = position.split(',').next()?.parse().ok()?;
    Some(Reported {
        path: path.trim_start_matches("./").to_owned(),
        line: number,
        code: code.parse().ok()?,
        message: one_line(message, 400),
        detail: String::new(),
    })
}

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    block(&lines[lines.len().saturating_sub(20)..].join("\n"), 2_000)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("src/a.ts(3,7): error TS2307: Cannot find module 'x'.", Some(("src/a.ts", 3, 2307)))]
    #[case::odd_name("src/a(1,2): b.ts(3,7): error TS1005: ';' expected.", Some(("src/a(1,2): b.ts", 3, 1005)))]
    #[case::no_place("error TS18003: No inputs were found in config file.", None)]
    #[case::nonsense("a.ts(x,y): error TSx: y", None)]
    #[case::too_large("a.ts(99999999999,1): error TS1: y", None)]
    fn a_line_of_the_compiler_is_read(
        #[case] line: &str,
        #[case] expected: Option<(&str, u32, u32)>,
    ) {
        let read = parse_line(line);
        let read = read.as_ref().map(|found| (found.path.as_str(), found.line, found.code));
        assert_eq!(read, expected);
    }

    #[test]
    fn what_follows_indented_explains() {
        let read = parse("a.ts(1,1): error TS2322: no\n  because\nb.ts(2,1): error TS1005: x\n");
        assert_eq!(read[0].detail, "  because\n");
        assert_eq!(read.len(), 2);
    }

    #[rstest]
    #[case("src/b.ts", "Module '\"./a\"' has no exported member 'x'.", true)]
    #[case("src/x/b.ts", "Cannot find module '../a.js'", true)]
    #[case("src/b.ts", "Cannot find module './ab'", false)]
    #[case("src/b.ts", "Property 'x' does not exist on type 'A'", false)]
    fn an_error_elsewhere_is_the_changes_when_it_names_its_file(
        #[case] path: &str,
        #[case] message: &str,
        #[case] expected: bool,
    ) {
        let kinds = BTreeMap::from([("src/a.ts", ChangeKind::Modified)]);
        let reported = Reported {
            path: path.to_owned(),
            line: 1,
            code: 2305,
            message: message.to_owned(),
            detail: String::new(),
        };
        assert_eq!(names_changed(&reported, &kinds), expected);
    }
}
