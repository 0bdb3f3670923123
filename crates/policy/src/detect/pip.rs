//! Python's packages: which files name them, and how they get into an environment in the tree.
//!
//! The environment is made anew, whatever the tree has at its place, and the project itself is
//! installed as a link to the tree: an installed copy would be tested instead of the change. `-I` keeps
//! the tree's own modules out of the way: one called `venv` or `types` would be run instead of Python's.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use toml::{Table, Value};

use super::{Paths, Runner, Setup, TreeView, command, is_plain, poetry, shell_word, split};

/// Python as the setup command leaves it.
pub(super) const PYTHON: &str = ".venv/bin/python";
/// Where nothing names packages. What the machine has is not fetched.
const PYTEST_ALONE: &str = "rm -rf .venv && python3 -I -m venv --system-site-packages .venv && \
    .venv/bin/python -I -m pip install pytest";
/// Nothing asks, and nothing looks for a newer pip.
const ENV: [(&str, &str); 2] = [("PIP_DISABLE_PIP_VERSION_CHECK", "1"), ("PIP_NO_INPUT", "1")];
/// What people call the packages that tests need.
const FOR_TESTS: [&str; 6] = ["test", "tests", "testing", "dev", "develop", "development"];
/// More requirements than these belong into a file.
const MAX_REQUIREMENTS: usize = 200;
const MAX_FILES: usize = 50;

/// What is to be installed.
#[derive(Default)]
struct Wanted {
    /// Files of requirements.
    files: Vec<String>,
    /// The project itself, with these of its extras.
    project: Option<Vec<&'static str>>,
    /// Requirements by themselves.
    single: Vec<String>,
    /// Whether something of it brings pytest.
    has_pytest: bool,
    /// The files that said so.
    from: Vec<String>,
}

/// The command that installs what the project and its tests need; none when that is nothing.
pub(super) fn setup(tree: &dyn TreeView, paths: &Paths, runner: Runner) -> Option<Setup> {
    let mut wanted = Wanted::default();
    wanted.read_files(tree, paths);
    wanted.read_pyproject(tree, paths);
    wanted.read_setuptools(tree, paths);
    if wanted.from.is_empty() {
        wanted.read_pipfile(tree);
    }
    if wanted.from.is_empty() {
        // What the tests run with, and nothing else: the machine's own will do.
        return (runner == Runner::Pytest).then(|| Setup {
            command: command(PYTEST_ALONE, &ENV),
            from: "what names pytest".to_owned(),
        });
    }
    if runner == Runner::Pytest && !wanted.has_pytest {
        wanted.single.push("pytest".to_owned());
    }
    Some(Setup { command: command(wanted.script(), &ENV), from: wanted.from.join(", ") })
}

impl Wanted {
    fn script(&self) -> String {
        let install = format!("{PYTHON} -I -m pip install");
        let mut steps = vec!["rm -rf .venv".to_owned(), "python3 -I -m venv .venv".to_owned()];
        // On their own: in a file with hashes, pip wants a hash of everything it is given.
        if !self.files.is_empty() {
            let files: Vec<String> = self.files.iter().map(|file| format!(" -r {file}")).collect();
            steps.push(format!("{install}{}", files.concat()));
        }
        let mut rest = String::new();
        if let Some(extras) = &self.project {
            let extras =
                if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
            rest.push_str(&format!(" -e {}", shell_word(&format!(".{extras}"))));
        }
        self.single.iter().for_each(|one| rest.push_str(&format!(" {}", shell_word(one))));
        if !rest.is_empty() {
            steps.push(format!("{install}{rest}"));
        }
        steps.join(" && ")
    }

    fn add(&mut self, requirements: impl IntoIterator<Item = String>) {
        for requirement in requirements {
            // What begins with anything else is an option of pip or a path, and no package.
            let is_package = requirement.starts_with(|c: char| c.is_ascii_alphanumeric())
                && !requirement.chars().any(char::is_control);
            self.has_pytest |= names_pytest(&requirement);
            if is_package && self.single.len() < MAX_REQUIREMENTS {
                self.single.push(requirement);
            }
        }
    }

    fn read_files(&mut self, tree: &dyn TreeView, paths: &Paths) {
        let listed = |of: fn(&str, &str) -> bool| -> Vec<String> {
            let matching = paths.iter().filter(|path| {
                let (folder, name) = split(path);
                of(folder, name) && lines(tree, path).iter().any(|line| !line.is_empty())
            });
            matching.take(MAX_FILES).map(str::to_owned).collect()
        };
        let for_tests = listed(is_for_tests);
        let mut files = listed(is_main);
        files.extend(for_tests);
        let all = included(tree, paths, &files.iter().cloned().collect());
        self.has_pytest |= all
            .iter()
            .chain(&files)
            .flat_map(|file| lines(tree, file))
            .any(|line| names_pytest(&line));
        self.from.extend(files.iter().cloned());
        self.files = files;
    }

    fn read_pyproject(&mut self, tree: &dyn TreeView, paths: &Paths) {
        let read = || tree.read("pyproject.toml")?.parse::<Table>().ok();
        let Some(file) = read() else { return };
        let project = table(&file, &["project"]);
        let poetry = table(&file, &["tool", "poetry"]);
        let mut needed: Vec<String> =
            project.map(|project| strings(project.get("dependencies"))).unwrap_or_default();
        let of_poetry = |path: &[&str]| {
            poetry
                .and_then(|poetry| table(poetry, path))
                .map(poetry::requirements)
                .unwrap_or_default()
        };
        needed.extend(of_poetry(&["dependencies"]));
        let is_dynamic = project.is_some_and(|project| {
            strings(project.get("dynamic")).iter().any(|key| key == "dependencies")
        });

        let optional = project.and_then(|project| table(project, &["optional-dependencies"]));
        let extras: Vec<&str> = FOR_TESTS
            .into_iter()
            .filter(|extra| optional.is_some_and(|optional| optional.contains_key(*extra)))
            .collect();
        let of_extras: Vec<String> = extras
            .iter()
            .flat_map(|extra| strings(optional.and_then(|all| all.get(*extra))))
            .collect();

        let groups = table(&file, &["dependency-groups"]);
        let mut for_tests = groups.map(|groups| of_groups(groups, &FOR_TESTS)).unwrap_or_default();
        for name in FOR_TESTS {
            for_tests.extend(of_poetry(&["group", name, "dependencies"]));
        }
        for_tests.extend(of_poetry(&["dev-dependencies"]));

        if needed.is_empty() && extras.is_empty() && for_tests.is_empty() && !is_dynamic {
            return;
        }
        self.from.push("pyproject.toml".to_owned());
        let builds = file.contains_key("build-system") || paths.has("setup.py");
        let is_package = builds
            && poetry.and_then(|poetry| poetry.get("package-mode")?.as_bool()) != Some(false);
        if is_package {
            self.has_pytest |= needed.iter().chain(&of_extras).any(|one| names_pytest(one));
            self.project = Some(extras);
        } else {
            // Without a way to build it, the project is a folder of modules.
            self.add(needed);
            self.add(of_extras);
        }
        self.add(for_tests);
    }

    fn read_setuptools(&mut self, tree: &dyn TreeView, paths: &Paths) {
        let setup_py = tree.read("setup.py").unwrap_or_default();
        let setup_cfg = tree.read("setup.cfg").unwrap_or_default();
        let from = match (paths.has("setup.py"), setup_cfg.contains("install_requires")) {
            (true, _) => "setup.py",
            (false, true) => "setup.cfg",
            (false, false) => return,
        };
        self.has_pytest |= [&setup_py, &setup_cfg].iter().any(|text| text.contains("pytest"));
        let declares = |extra: &str| {
            let in_py = [format!("\"{extra}\":"), format!("'{extra}':")];
            let in_cfg =
                |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim_end() == extra);
            (setup_py.contains("extras_require") && in_py.iter().any(|key| setup_py.contains(key)))
                || (setup_cfg.contains("extras_require") && setup_cfg.lines().any(in_cfg))
        };
        let known = self.project.get_or_insert_default();
        for extra in FOR_TESTS {
            if declares(extra) && !known.contains(&extra) {
                known.push(extra);
            }
        }
        self.from.push(from.to_owned());
    }

    fn read_pipfile(&mut self, tree: &dyn TreeView) {
        let read = || tree.read("Pipfile")?.parse::<Table>().ok();
        let Some(file) = read() else { return };
        let lists = ["packages", "dev-packages"];
        let needed: Vec<String> = lists
            .iter()
            .filter_map(|list| table(&file, &[list]))
            .flat_map(poetry::requirements)
            .collect();
        if !needed.is_empty() {
            self.from.push("Pipfile".to_owned());
            self.add(needed);
        }
    }
}

/// Files of requirements that these ones name, and that are in the tree.
pub(super) fn included(
    tree: &dyn TreeView,
    paths: &Paths,
    files: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<String> = files
        .iter()
        .filter(|file| file.ends_with(".txt") || file.ends_with(".in"))
        .cloned()
        .collect();
    while let Some(file) = waiting.pop() {
        let folder = split(&file).0.to_owned();
        for line in lines(tree, &file) {
            let Some(other) = inclusion(&line).and_then(|other| join(&folder, other)) else {
                continue;
            };
            if found.len() < MAX_FILES
                && paths.has(&other)
                && !files.contains(&other)
                && found.insert(other.clone())
            {
                waiting.push(other);
            }
        }
    }
    found
}

/// What a line of a file of requirements takes in.
fn inclusion(line: &str) -> Option<&str> {
    ["-r", "-c", "--requirement", "--constraint"]
        .iter()
        .find_map(|option| line.strip_prefix(option)?.strip_prefix([' ', '=', '\t']))
        .map(str::trim)
}

fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether a file lists requirements, or may.
pub(super) fn is_requirements(folder: &str, name: &str) -> bool {
    is_plain(name)
        && (name.ends_with(".txt") || name.ends_with(".in"))
        && (name.contains("requirements")
            || name.starts_with("constraints")
            || split(folder).1 == "requirements")
}

fn is_main(folder: &str, name: &str) -> bool {
    match folder {
        "" => name == "requirements.txt",
        "requirements" => {
            matches!(name, "base.txt" | "main.txt" | "common.txt" | "requirements.txt")
        }
        _ => false,
    }
}

fn is_for_tests(folder: &str, name: &str) -> bool {
    // A literal that a test compiles.
    static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let word = "(dev|develop|development|tests?|testing|ci)";
        Regex::new(&format!("^(requirements[-_.]{word}|{word}[-_.]requirements)\\.txt$")).ok()
    });
    match folder {
        "" => NAME.as_ref().is_some_and(|pattern| pattern.is_match(name)),
        "requirements" => {
            name.strip_suffix(".txt").is_some_and(|stem| FOR_TESTS.contains(&stem) || stem == "ci")
        }
        "test" | "tests" => name == "requirements.txt",
        _ => false,
    }
}

/// A file's lines without comments.
fn lines(tree: &dyn TreeView, path: &str) -> Vec<String> {
    let text = tree.read(path).unwrap_or_default();
    let bare = |line: &str| {
        // A `#` inside a word is part of a URL.
        let end = if line.starts_with('#') { Some(0) } else { line.find(" #") };
        line[..end.unwrap_or(line.len())].trim().to_owned()
    };
    text.lines().map(bare).collect()
}

/// Whether a requirement is pytest, or a plugin, which brings it.
fn names_pytest(requirement: &str) -> bool {
    let requirement = requirement.trim().to_ascii_lowercase();
    requirement
        .strip_prefix("pytest")
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn table<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(table, |table, key| table.get(*key)?.as_table())
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The requirements of these groups, and of those that they include.
fn of_groups(groups: &Table, names: &[&str]) -> Vec<String> {
    let mut waiting: Vec<&str> = names.iter().rev().copied().collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(name) = waiting.pop() {
        if seen.len() >= MAX_FILES || !seen.insert(name) {
            continue;
        }
        found.extend(strings(groups.get(name)));
        let list = groups.get(name).and_then(Value::as_array);
        waiting.extend(
            list.into_iter().flatten().filter_map(|item| item.get("include-group")?.as_str()),
        );
    }
    found
}
