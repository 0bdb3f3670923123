//! pytest: its JUnit file, and what it prints when there is none.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use regex::Regex;

use super::{junit, text};
use crate::case::{Outcome, Results, Source, TestCase, Totals};

/// A case of its `xunit1` dialect: `file`, `line` (from 0) and the module with its classes.
pub(super) fn case(case: &junit::Case, directory: &str) -> TestCase {
    let outcome = case.outcome.unwrap_or(Outcome::Passed);
    let file = text::tree_path(&case.file, directory);
    let module = case.file.trim_end_matches(".py").replace('/', ".");
    let id = match case.class.strip_prefix(&module) {
        // A file that could not be collected is a case of its own.
        _ if case.class.is_empty() && case.name == module => case.file.clone(),
        Some(classes) if !case.file.is_empty() => {
            let classes: Vec<_> = classes.split('.').filter(|part| !part.is_empty()).collect();
            let parts = [&[case.file.as_str()], classes.as_slice(), &[case.name.as_str()]];
            parts.concat().join("::")
        }
        _ if case.class.is_empty() => case.name.clone(),
        _ => format!("{}::{}", case.class, case.name),
    };
    let failing = file
        .as_deref()
        .filter(|_| outcome.is_bad())
        .and_then(|file| text::last_line_in(&case.text, file, directory));
    TestCase {
        id: text::name(&id),
        name: text::name(bare_name(&case.name)),
        line: file.as_ref().and(failing.or(case.line.and_then(|line| line.checked_add(1)))),
        file,
        outcome,
        message: message(case),
        detail: text::detail(&case.text).filter(|_| outcome.is_bad()),
    }
}

/// What failed in a collection is in its last line, elsewhere the message says it.
fn message(case: &junit::Case) -> Option<String> {
    let last = || {
        case.text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("E "))
            .map(str::trim)
            .unwrap_or("")
    };
    let said = match case.message.as_str() {
        "collection failure" | "" => last(),
        said => said,
    };
    text::message(if said.is_empty() { &case.message } else { said })
}

/// Without its parameters.
fn bare_name(name: &str) -> &str {
    let name = name.split('[').next().unwrap_or(name);
    name.rsplit(['.', '/']).next().unwrap_or(name)
}

/// The lines that end every session: `=== 1 failed, 2 passed in 0.12s ===`, without the bars with `-q`.
fn summaries(output: &str) -> Vec<Totals> {
    static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?m)^(?:=+ )?((?:\d+ [a-z]+(?: [a-z]+)?(?:, )?)+|no tests ran) in \d+\.\d+s(?: \([\d:]+\))?(?: =+)?$").ok()
    });
    let lines = LINE.iter().flat_map(|line| line.captures_iter(output)).take(1_000);
    lines
        .map(|line| {
            let mut totals = Totals::default();
            for part in line.get(1).map_or("", |part| part.as_str()).split(", ") {
                let Some((number, word)) = part.split_once(' ') else { continue };
                let outcome = match word {
                    "passed" | "xpassed" => Outcome::Passed,
                    "failed" => Outcome::Failed,
                    "error" | "errors" => Outcome::Errored,
                    "skipped" | "xfailed" => Outcome::Skipped,
                    _ => continue,
                };
                let count = totals.of_outcome(outcome);
                *count = count.saturating_add(number.parse().unwrap_or(0));
            }
            totals
        })
        .collect()
}

/// One report file holds the last session only: a script may have had several.
pub(super) fn add_other_sessions(results: &mut Results, output: &str, directory: &str) {
    if summaries(output).len() < 2 {
        return;
    }
    results.is_whole = false;
    let others = printed(output, directory);
    results.totals = others.totals;
    let known: HashSet<_> = results.cases.iter().map(|case| case.id.clone()).collect();
    let new = others.cases.into_iter().filter(|case| !known.contains(&case.id));
    let room = super::MAX_CASES.saturating_sub(results.cases.len());
    results.cases.extend(new.take(room));
}

/// What it prints for people: the lines of `-v`, or the short summary that names what failed.
pub(super) fn printed(output: &str, directory: &str) -> Results {
    static VERBOSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^(?:\[gw\d+\] +\[ *\d+%\] +)?(\S+\.py(?:::.+?)?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: +\(.*\))?(?: +\[ *\d+%\])?$").ok()
    });
    static XDIST: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^\[gw\d+\] +\[ *\d+%\] +(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) +(\S+\.py(?:::.+?)?) *$").ok()
    });
    static SHORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^(?:SUB)?(FAILED|ERROR)(?:[\[(].*?[\])])* (\S+?\.py(?:::.+?)?)(?: - (.*))?$")
            .ok()
    });
    let find = |line: &str| {
        if let Some(found) = VERBOSE.as_ref().and_then(|regex| regex.captures(line)) {
            return Some((found[2].to_owned(), found[1].to_owned(), String::new()));
        }
        if let Some(found) = XDIST.as_ref().and_then(|regex| regex.captures(line)) {
            return Some((found[1].to_owned(), found[2].to_owned(), String::new()));
        }
        let found = SHORT.as_ref().and_then(|regex| regex.captures(line))?;
        let why = found.get(3).map_or("", |why| why.as_str());
        Some((found[1].to_owned(), found[2].to_owned(), why.to_owned()))
    };
    let totals = summaries(output).into_iter().reduce(Totals::plus);
    let sections = sections(output);
    let mut cases = text::Cases::default();
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut running = None;
    for line in output.lines() {
        let Some((word, id, why)) = find(line) else {
            running = started(line).or(running);
            continue;
        };
        running = None;
        let outcome = match word.as_str() {
            "PASSED" | "XPASS" => Outcome::Passed,
            "FAILED" => Outcome::Failed,
            "ERROR" => Outcome::Errored,
            _ => Outcome::Skipped,
        };
        let case = printed_case(&id, outcome, &why, &sections, directory);
        match at.get(&case.id).copied().and_then(|at| cases.list.get_mut(at)) {
            Some(known) if case.outcome.is_bad() && known.message.is_none() => *known = case,
            Some(_) => {}
            None => {
                at.insert(case.id.clone(), cases.list.len());
                cases.push(case);
            }
        }
    }
    // It ended before it said how: with the process, when no summary follows.
    if let (Some(id), None) = (running, totals) {
        let why = "the test process ended while it ran";
        cases.push(printed_case(&id, Outcome::Errored, why, &sections, directory));
    }
    let is_known = totals.is_some() || !cases.list.is_empty();
    Results {
        source: if is_known { Source::Printed } else { Source::ExitCode },
        is_whole: !cases.is_cut && totals.is_some_and(|totals| totals == Totals::of(&cases.list)),
        cases: cases.list,
        totals,
    }
}

/// With `-v` a test's name is printed when it starts.
fn started(line: &str) -> Option<String> {
    let id = line.strip_suffix(' ').unwrap_or(line);
    let (path, name) = id.split_once("::")?;
    (path.ends_with(".py") && !path.contains(' ') && !name.is_empty()).then(|| id.to_owned())
}

/// What is printed of each failure, by its heading: `____ TestGroup.test_x ____`.
/// Errors of set-up and clean-up have headings of their own: `true` with the name.
fn sections(output: &str) -> HashMap<(bool, &str), &str> {
    static HEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?m)^_{3,} (ERROR (?:at setup of|at teardown of|collecting) )?(.+?) _{3,}$")
            .ok()
    });
    static END: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^={3,} .+ ={3,}$").ok());
    let headings: Vec<_> = HEADING
        .iter()
        .flat_map(|heading| heading.captures_iter(output))
        .filter_map(|found| {
            let whole = found.get(0)?;
            Some((whole.start(), whole.end(), (found.get(1).is_some(), found.get(2)?.as_str())))
        })
        .collect();
    let mut sections = HashMap::new();
    for (n, (_, start, name)) in headings.iter().enumerate() {
        let end = headings.get(n + 1).map_or(output.len(), |(start, ..)| *start);
        let text = &output[*start..end];
        let end = END.as_ref().and_then(|end| end.find(text)).map_or(text.len(), |end| end.start());
        sections.entry(*name).or_insert(&text[..end]);
    }
    sections
}

fn printed_case(
    id: &str,
    outcome: Outcome,
    why: &str,
    sections: &HashMap<(bool, &str), &str>,
    directory: &str,
) -> TestCase {
    let (said, name) = id.split_once("::").unwrap_or((id, id));
    let (function, parameters) = name.split_at(name.find('[').unwrap_or(name.len()));
    let heading = format!("{}{parameters}", function.replace("::", "."));
    let is_error = outcome == Outcome::Errored;
    let section = [(is_error, heading.as_str()), (is_error, id)]
        .iter()
        .find_map(|key| sections.get(key))
        .copied()
        .filter(|_| outcome.is_bad())
        .unwrap_or_default();
    let name = name.split('[').next().unwrap_or(name).rsplit("::").next().unwrap_or(name);
    let file = text::tree_path(said, directory);
    let line = file.as_deref().and_then(|file| text::last_line_in(section, file, directory));
    TestCase {
        id: text::name(id),
        name: text::name(bare_name(name)),
        line,
        file,
        outcome,
        message: text::message(why),
        detail: text::detail(section),
    }
}
