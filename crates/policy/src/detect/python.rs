//! Python: pytest where it is configured or declared, else unittest.

use std::collections::BTreeSet;

use super::{Found, Paths, Runner, TreeView, command, is_plain, pip, split};
use crate::config::{CommandSpec, Language};

/// Compiled files go where they are no part of a change.
const ENV: [(&str, &str); 1] = [("PYTHONPYCACHEPREFIX", "/tmp/pycache")];
const CHECK: &str =
    r"-m compileall -q -x '(^|/)(\.[^./][^/]*|node_modules|venv|fixtures|testdata)/' .";
const PROJECT_FILES: [&str; 7] = [
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "Pipfile",
    "tox.ini",
    "pytest.ini",
];
/// Test files that are asked for what they import.
const MAX_ASKED: usize = 200;
/// With more roots than these, what the right command is must be said by the repository.
const MAX_TEST_ROOTS: usize = 5;

pub(super) fn detect(tree: &dyn TreeView, paths: &Paths, with_setup: bool) -> Option<Found> {
    let project = PROJECT_FILES.into_iter().find(|file| paths.has(file));
    if !paths.iter().any(|path| path.ends_with(".py")) {
        return None;
    }
    let seen = project.unwrap_or("Python files");
    let (runner, why) = match wants_pytest(tree, paths) {
        // The name alone: folders are called as their authors like.
        Some(file) => (Runner::Pytest, format!("{} names pytest", split(&file).1)),
        None => (Runner::Unittest, format!("{seen} but nothing names pytest")),
    };
    let setup = pip::setup(tree, paths, runner).filter(|_| with_setup);
    let python = if setup.is_some() { pip::PYTHON } else { "python3" };
    let test = match runner {
        Runner::Pytest => Some(pytest(python, paths)),
        _ => unittest(python, paths),
    };
    let check = Some(command(format!("{python} {CHECK}"), &ENV));
    Some(Found { language: Language::Python, setup, check, test, runner, why })
}

/// The file that asks for pytest.
fn wants_pytest(tree: &dyn TreeView, paths: &Paths) -> Option<String> {
    if let Some(path) =
        paths.iter().find(|path| matches!(split(path).1, "conftest.py" | "pytest.ini"))
    {
        return Some(path.to_owned());
    }
    let is_listed = |path: &&str| {
        let (folder, name) = split(path);
        let lists = name.starts_with("requirements")
            || name.ends_with("requirements.txt")
            || name == "Pipfile";
        (folder.is_empty() || folder == "requirements")
            && is_plain(name)
            && (lists || matches!(name, "pyproject.toml" | "setup.cfg" | "tox.ini" | "setup.py"))
    };
    let names_pytest = |path: &&str| {
        let text = tree.read(path).unwrap_or_default();
        text.lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .any(|line| line.contains("pytest"))
    };
    let imports_pytest = |path: &&str| {
        let text = tree.read(path).unwrap_or_default();
        text.lines().any(|line| {
            let words = line.strip_prefix("import ").or_else(|| line.strip_prefix("from "));
            words.is_some_and(|words| words.split([' ', '.', ',']).next() == Some("pytest"))
        })
    };
    let listed = paths.iter().filter(is_listed).find(names_pytest);
    let tests = || paths.iter().filter(|path| is_test_file(path)).take(MAX_ASKED);
    listed.or_else(|| tests().find(imports_pytest)).map(str::to_owned)
}

fn is_test_file(path: &str) -> bool {
    let name = split(path).1;
    name.ends_with(".py") && (name.starts_with("test") || name.ends_with("_test.py"))
}

fn pytest(python: &str, paths: &Paths) -> CommandSpec {
    let script = format!("{python} -m pytest -q -p no:cacheprovider");
    with_source_folder(command(script, &ENV), paths)
}

/// One discovery for each folder that tests are below. Discovery only goes into packages, so a
/// folder of tests that is none is a start of its own.
fn unittest(python: &str, paths: &Paths) -> Option<CommandSpec> {
    let is_test = |path: &&str| {
        let name = split(path).1;
        name.starts_with("test") && name.ends_with(".py")
    };
    let mut starts = BTreeSet::new();
    for path in paths.iter().filter(is_test) {
        let mut start = split(path).0;
        // `tests.py` of an application is a test; `test.py` in a package may be, and does no harm.
        while !start.is_empty() && paths.has(&format!("{start}/__init__.py")) {
            start = split(start).0;
        }
        starts.insert(start);
    }
    if starts.is_empty() || starts.len() > MAX_TEST_ROOTS {
        return None;
    }
    if !starts
        .iter()
        .all(|start| start.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c)))
    {
        return None;
    }
    let commands: Vec<String> = starts
        .iter()
        .map(|start| match *start {
            "" => format!("{python} -m unittest discover -v"),
            start => format!("{python} -m unittest discover -v -s ./{start}"),
        })
        .collect();
    Some(with_source_folder(command(commands.join(" && "), &ENV), paths))
}

/// Packages below `src` are not found from the root unless they are installed.
fn with_source_folder(mut spec: CommandSpec, paths: &Paths) -> CommandSpec {
    let is_package = |path: &str| {
        path.strip_prefix("src/")
            .is_some_and(|rest| rest.ends_with("/__init__.py") && rest.matches('/').count() == 1)
    };
    if paths.iter().any(is_package) && !paths.has("src/__init__.py") {
        spec.env.insert("PYTHONPATH".to_owned(), "src".to_owned());
    }
    spec
}
