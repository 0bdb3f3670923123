//! Reads both trees and says what became of each test.

use std::collections::{HashMap, HashSet};

use booty_policy::{CommandSpec, Language, TreeView};

use super::{
    Study, TestRef,
    files::{self, FileKind},
    go, node,
    options::{self, Change, Used},
    overlay, python, rust,
    source::{Sign, Source, Unit},
    sources, weaken,
};
use crate::{
    change::{ChangeKind, ChangedFile},
    report::{Finding, Level, Rule},
};

/// What a change does to the tests, by reading both trees. `base_test_command` is the one that the
/// base's configuration names: files that it runs are part of how tests are run.
pub fn study(
    language: Language,
    base: &dyn TreeView,
    head: &dyn TreeView,
    changed: &[ChangedFile],
    base_test_command: Option<&CommandSpec>,
) -> Study {
    let mut out = Study::default();
    let files: Vec<File> =
        changed.iter().map(|file| File::read(language, base, head, file, &mut out)).collect();
    for file in &files {
        file.say_kind(&mut out);
    }
    say_left_out(head, &files, &mut out);
    let tests = match_tests(&files);
    say_tests(&files, &tests, &mut out);
    say_signs(&files, &tests, &mut out);
    let change = Change { base, head, files: &files };
    let used = base_test_command.map(|command| Used::of(command, base)).unwrap_or_default();
    options::say(language, &change, base_test_command, &used, &mut out);
    overlay::fill(language, &files, base_test_command, &used, &mut out);
    out.sources = sources::of(language, &files);
    out.findings.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.place.cmp(&b.place)));
    out.findings.dedup();
    out
}

/// A changed file in both versions.
pub(super) struct File {
    pub(super) path: String,
    pub(super) kind: FileKind,
    pub(super) change: ChangeKind,
    pub(super) base_text: Option<String>,
    pub(super) head_text: Option<String>,
    pub(super) base: Source,
    pub(super) head: Source,
}

impl File {
    fn read(
        language: Language,
        base: &dyn TreeView,
        head: &dyn TreeView,
        file: &ChangedFile,
        out: &mut Study,
    ) -> Self {
        let path = file.path.clone();
        let kind = files::kind(language, &path);
        let base_text = (file.kind != ChangeKind::Added).then(|| base.read(&path)).flatten();
        let head_text = (file.kind != ChangeKind::Deleted).then(|| head.read(&path)).flatten();
        let is_source = files::has_tests(language, &path);
        if is_source && head_text.is_none() && file.kind != ChangeKind::Deleted {
            let message =
                format!("{path} is too large or no text: what it does to the tests is not known");
            out.findings.push(Finding::warning(Rule::CutShort, message).at(&path, 1));
        }
        let read = |text: &Option<String>| match text {
            Some(text) if is_source => read_source(language, kind, &path, text),
            _ => Source::default(),
        };
        let (base_source, head_source) = (read(&base_text), read(&head_text));
        Self {
            kind,
            change: file.kind,
            base: base_source,
            head: head_source,
            base_text,
            head_text,
            path,
        }
    }

    fn say_kind(&self, out: &mut Study) {
        match self.kind {
            FileKind::Test => {
                out.touches_tests = true;
                match self.change {
                    ChangeKind::Deleted => out.deleted_files.push(self.path.clone()),
                    ChangeKind::Modified => out.changed_files.push(self.path.clone()),
                    ChangeKind::Added => {}
                }
            }
            FileKind::Shadow => {
                out.touches_code = true;
                if self.change != ChangeKind::Deleted {
                    let message = format!("{} takes the place of what runs the tests", self.path);
                    out.findings
                        .push(Finding::failure(Rule::RunnerTampered, message).at(&self.path, 1));
                }
            }
            FileKind::Code => {
                let is_same = self.base_text.is_some() && self.base.code == self.head.code;
                // Tests beside code are no code.
                let only_tests =
                    is_same && (!self.base.regions.is_empty() || !self.head.regions.is_empty());
                out.touches_code |= !only_tests;
                out.touches_tests |= only_tests || tests(&self.base) != tests(&self.head);
            }
            FileKind::Mixed | FileKind::TestConfig | FileKind::Docs => {}
        }
    }
}

fn tests(source: &Source) -> Vec<(String, &str)> {
    let tests = source.units.iter().filter(|unit| unit.is_test);
    tests.map(|unit| (unit.full(), unit.body.as_str())).collect()
}

fn read_source(language: Language, kind: FileKind, path: &str, text: &str) -> Source {
    match language {
        Language::Python => {
            let name = path.rsplit('/').next().unwrap_or(path);
            let role = match kind {
                _ if name == "conftest.py" => python::Role::Conftest,
                FileKind::Test if is_collected(name) => python::Role::Test,
                FileKind::Test => python::Role::Shared,
                _ => python::Role::Code,
            };
            python::read(text, role)
        }
        Language::Rust => rust::read(text, kind == FileKind::Test),
        Language::Node => node::read(text, kind == FileKind::Test),
        Language::Go => go::read(text, kind == FileKind::Test),
    }
}

/// By the names that pytest and unittest look for.
fn is_collected(name: &str) -> bool {
    name.starts_with("test") || name.ends_with("_test.py")
}

/// A file of tests that is there still, and that nothing names as a module any more.
fn say_left_out(head: &dyn TreeView, files: &[File], out: &mut Study) {
    for file in files.iter().filter(|file| file.head_text.is_some()) {
        let named: HashSet<&str> =
            file.head.modules.iter().map(|(name, _)| name.as_str()).collect();
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let root = match name {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => file.path.trim_end_matches(".rs").to_owned(),
        };
        for (module, line) in &file.base.modules {
            if named.contains(module.as_str()) {
                continue;
            }
            // A file of `tests/` is the root of a crate of its own.
            let paths = [root.as_str(), folder]
                .map(|root| [format!("{root}/{module}.rs"), format!("{root}/{module}/mod.rs")]);
            let mut paths = paths.iter().flatten();
            let text = paths.find_map(|path| head.read(path));
            let tests = text.map_or(0, |text| {
                rust::read(&text, true).units.iter().filter(|unit| unit.is_test).count()
            });
            if tests > 0 {
                let message = format!(
                    "the module `{module}` is no longer part of {}: its {tests} tests do not run",
                    file.path
                );
                out.findings
                    .push(Finding::failure(Rule::TestDeleted, message).at(&file.path, *line));
            }
        }
    }
}

/// A unit by its file and its place there.
type At = (usize, usize);

/// Which test became which.
struct Tests {
    kept: Vec<(At, At)>,
    deleted: Vec<At>,
    added: Vec<At>,
}

fn match_tests(files: &[File]) -> Tests {
    let list = |pick: fn(&File) -> &Source| -> Vec<At> {
        let of_file = |(n, file): (usize, &File)| {
            let units = pick(file).units.iter().enumerate();
            units.filter(|(_, unit)| unit.is_test).map(|(m, _)| (n, m)).collect::<Vec<_>>()
        };
        files.iter().enumerate().flat_map(of_file).collect()
    };
    let mut tests = Tests {
        kept: Vec::new(),
        deleted: list(|file| &file.base),
        added: list(|file| &file.head),
    };
    let base = |at: &At| &files[at.0].base.units[at.1];
    let head = |at: &At| &files[at.0].head.units[at.1];
    // The surest first: the same place, the same body, the same name elsewhere.
    tests.take(|at| (Some(at.0), base(at).full()), |at| (Some(at.0), head(at).full()));
    // A body without an assertion is anybody's.
    let body = |unit: &Unit| {
        if unit.checks.is_empty() { String::new() } else { unit.body.clone() }
    };
    tests.take(
        |at| (None::<usize>, format!("{} {}", base(at).full(), body(base(at)))),
        |at| (None, format!("{} {}", head(at).full(), body(head(at)))),
    );
    tests.take_if(|at| body(base(at)), |at| body(head(at)), |key| !key.is_empty());
    let mut names: HashMap<String, u32> = HashMap::new();
    for at in &tests.added {
        *names.entry(head(at).full()).or_default() += 1;
    }
    tests.take_if(|at| base(at).full(), |at| head(at).full(), |key| names.get(key) == Some(&1));
    tests
}

impl Tests {
    fn take<K: std::hash::Hash + Eq>(&mut self, base: impl Fn(&At) -> K, head: impl Fn(&At) -> K) {
        self.take_if(base, head, |_| true);
    }

    /// Pairs what has the same key.
    fn take_if<K: std::hash::Hash + Eq>(
        &mut self,
        base: impl Fn(&At) -> K,
        head: impl Fn(&At) -> K,
        counts: impl Fn(&K) -> bool,
    ) {
        let mut by_key: HashMap<K, Vec<At>> = HashMap::new();
        for at in self.added.iter().rev() {
            by_key.entry(head(at)).or_default().push(*at);
        }
        let mut taken: HashSet<At> = HashSet::new();
        let kept = &mut self.kept;
        self.deleted.retain(|at| {
            let key = base(at);
            match by_key.get_mut(&key).filter(|_| counts(&key)).and_then(Vec::pop) {
                Some(other) => {
                    kept.push((*at, other));
                    taken.insert(other);
                    false
                }
                None => true,
            }
        });
        self.added.retain(|at| !taken.contains(at));
    }
}

fn reference(file: &File, unit: &Unit) -> TestRef {
    TestRef {
        file: file.path.clone(),
        name: unit.name.clone(),
        scope: unit.scope.clone(),
        line: unit.line,
    }
}

fn say_tests(files: &[File], tests: &Tests, out: &mut Study) {
    let (base_lent, head_lent) = (lent(files, |file| &file.base), lent(files, |file| &file.head));
    let sum = |lent: &HashMap<&str, usize>, unit: &Unit| -> usize {
        let own = unit.name.as_str();
        unit.words
            .iter()
            .filter(|word| *word != own)
            .filter_map(|word| lent.get(word.as_str()))
            .sum()
    };
    for &(base_at, head_at) in &tests.kept {
        let (base_file, head_file) = (&files[base_at.0], &files[head_at.0]);
        let (base, head) = (&base_file.base.units[base_at.1], &head_file.head.units[head_at.1]);
        let (was, is) = (reference(base_file, base), reference(head_file, head));
        if base.body != head.body || base.table != head.table {
            let lent = (sum(&base_lent, base), sum(&head_lent, head));
            out.findings.extend(weaken::compare(&head_file.path, base, head, lent));
            out.changed.push(is.clone());
        }
        out.kept.push(is.clone());
        if was.file != is.file || was.name != is.name || was.scope != is.scope {
            out.moved.push((was, is));
        }
    }
    say_shared(files, out);
    out.added = tests
        .added
        .iter()
        .map(|at| reference(&files[at.0], &files[at.0].head.units[at.1]))
        .collect();
    let gone = gone(files);
    let unrun = Unrun::of(files);
    for at in &tests.deleted {
        let unit = &files[at.0].base.units[at.1];
        let test = reference(&files[at.0], unit);
        out.findings.push(unrun.deleted(&files[at.0], unit));
        if unit.words.iter().any(|word| gone.contains(word.as_str())) {
            out.orphaned.push(test.clone());
        }
        out.deleted.push(test);
    }
}

/// How many assertions each shared function makes.
fn lent(files: &[File], pick: fn(&File) -> &Source) -> HashMap<&str, usize> {
    let shared =
        files.iter().filter(|file| file.kind != FileKind::Code).flat_map(|file| &pick(file).units);
    let mut out = HashMap::new();
    for unit in shared.filter(|unit| !unit.is_test) {
        let live = unit.checks.iter().filter(|check| weaken::is_live(check)).count();
        if live > 0 {
            out.insert(unit.name.as_str(), live);
        }
    }
    out
}

/// Functions that tests share, where both trees have them.
fn say_shared(files: &[File], out: &mut Study) {
    for file in files.iter().filter(|file| file.kind == FileKind::Test) {
        let head: HashMap<String, &Unit> =
            file.head.units.iter().map(|unit| (unit.full(), unit)).collect();
        for base in file.base.units.iter().filter(|unit| !unit.is_test) {
            if let Some(head) =
                head.get(&base.full()).filter(|head| !head.is_test && head.body != base.body)
            {
                out.findings.extend(weaken::compare(&file.path, base, head, (0, 0)));
            }
        }
    }
}

/// What the code defined and defines no more.
fn gone(files: &[File]) -> HashSet<&str> {
    let code = || files.iter().filter(|file| file.kind == FileKind::Code);
    let mut gone: HashSet<&str> =
        code().flat_map(|file| &file.base.defines).map(String::as_str).collect();
    for name in code().flat_map(|file| &file.head.defines) {
        gone.remove(name.as_str());
    }
    gone
}

/// Functions of the head that no runner runs, by their bodies, and what its tests name.
struct Unrun<'a> {
    by_body: HashMap<&'a str, &'a Unit>,
    named: HashSet<&'a str>,
}

impl<'a> Unrun<'a> {
    fn of(files: &'a [File]) -> Self {
        let units = || files.iter().flat_map(|file| &file.head.units);
        let words = units().filter(|unit| unit.is_test).flat_map(|unit| &unit.words);
        Self {
            by_body: units()
                .filter(|unit| !unit.is_test)
                .map(|unit| (unit.body.as_str(), unit))
                .collect(),
            named: words.map(String::as_str).collect(),
        }
    }

    fn deleted(&self, file: &File, unit: &Unit) -> Finding {
        let name = unit.full();
        let other = self.by_body.get(unit.body.as_str()).filter(|_| !unit.checks.is_empty());
        let finding = if let Some(other) = other {
            let message =
                format!("the test `{name}` is no longer run: it became `{}`", other.full());
            // A test may be shared by several others now.
            let is_used = self.named.contains(other.name.as_str());
            let level = if is_used { Level::Warning } else { Level::Failure };
            Finding { level, ..Finding::failure(Rule::TestDeleted, message) }
        } else {
            let with = if file.change == ChangeKind::Deleted {
                format!(" with {}", file.path)
            } else {
                String::new()
            };
            Finding::warning(Rule::TestDeleted, format!("the test `{name}` is deleted{with}"))
        };
        finding.at(&file.path, unit.line)
    }
}

fn say_signs(files: &[File], tests: &Tests, out: &mut Study) {
    let mut renamed: HashMap<(usize, String), (usize, String)> = HashMap::new();
    for &(base, head) in &tests.kept {
        let key = (head.0, files[head.0].head.units[head.1].full());
        renamed.insert(key, (base.0, files[base.0].base.units[base.1].full()));
    }
    type Key<'a> = (usize, Rule, &'a str, &'a str, Option<&'a str>);
    let mut before: HashMap<Key<'_>, u32> = HashMap::new();
    for (n, file) in files.iter().enumerate() {
        for sign in &file.base.signs {
            let key = (n, sign.rule, sign.what.as_str(), sign.text.as_str(), sign.owner.as_deref());
            *before.entry(key).or_default() += 1;
        }
    }
    // Where a new file's tests were before.
    let mut origin: HashMap<usize, usize> = HashMap::new();
    for &(base, head) in &tests.kept {
        if files[head.0].change == ChangeKind::Added {
            origin.entry(head.0).or_insert(base.0);
        }
    }
    let has_kept: HashSet<usize> = tests.kept.iter().map(|(_, head)| head.0).collect();
    let added: HashSet<(usize, String)> =
        tests.added.iter().map(|at| (at.0, files[at.0].head.units[at.1].full())).collect();
    for (n, file) in files.iter().enumerate() {
        for sign in &file.head.signs {
            let owner = sign.owner.clone();
            let was = owner.and_then(|owner| renamed.get(&(n, owner)));
            let is_added =
                sign.owner.as_deref().is_some_and(|owner| added.contains(&(n, owner.to_owned())));
            let (from, owner) = match was {
                Some((from, owner)) => (*from, Some(owner.as_str())),
                None => (origin.get(&n).copied().unwrap_or(n), sign.owner.as_deref()),
            };
            let key = (from, sign.rule, sign.what.as_str(), sign.text.as_str(), owner);
            match before.get_mut(&key) {
                Some(count) if *count > 0 => *count -= 1,
                _ => out.findings.push(say_sign(
                    file,
                    sign,
                    was.is_some() || (!is_added && has_kept.contains(&n)),
                )),
            }
        }
    }
}

fn say_sign(file: &File, sign: &Sign, about_old: bool) -> Finding {
    let what = &sign.what;
    let by = match &sign.owner {
        Some(owner) => format!("`{owner}`"),
        None => file.path.clone(),
    };
    let message = match sign.rule {
        Rule::TestSkipped => format!("{by} is skipped: {what}"),
        Rule::EarlyExit => format!("{by} ends the process early: {what}"),
        _ => format!("{by} bends how tests run: {what}"),
    };
    let is_new_test = sign.rule == Rule::TestSkipped
        && !about_old
        && (file.change == ChangeKind::Added || sign.owner.is_some())
        && file.kind == FileKind::Test
        && !file.path.ends_with("conftest.py");
    let level = if is_new_test { Level::Warning } else { sign.level };
    Finding { level, ..Finding::failure(sign.rule, message) }.at(&file.path, sign.line)
}
