//! Tests that can't pass, planted beside the repository's own: a run that does not fail by them is made
//! to look good, whatever means it uses.
//!
//! Whether a runner would run and report them is not guessed: only what fails on the base must fail on
//! the head.

use std::collections::{BTreeSet, HashSet};

use booty_policy::{Language, TreeView};

use super::{
    RunOf,
    files::{self, FileKind},
};
use crate::{
    case::Outcome,
    report::{Finding, Rule},
};

/// Files that are looked at to find one with tests.
const MAX_LOOKED_AT: usize = 200;

/// One file of tests with planted ones at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plant {
    /// Relative to the root.
    pub path: String,
    /// What is written behind the file's own text, on either side.
    pub text: String,
    /// A part of the name of each planted test, and of no other.
    pub mark: String,
}

/// Where to plant, and what. `mark` is a word that nobody could know before. `None` when no file on
/// both sides has tests that `head` has run.
pub fn plant(
    language: Language,
    base: &dyn TreeView,
    head: &dyn TreeView,
    run: &RunOf<'_>,
    mark: &str,
) -> Option<Plant> {
    let all: HashSet<String> = base.paths().collect();
    let passed = || run.results.cases.iter().filter(|case| case.outcome == Outcome::Passed);
    let mut looked_at = HashSet::new();
    let said = passed().filter_map(|case| case.file.clone());
    let is_likely =
        |path: &String| files::kind(language, path) == FileKind::Test || language == Language::Rust;
    let paths = said.chain(head.paths().filter(is_likely));
    let fit = |path: &String| all.contains(path) && files::has_tests(language, path);
    let files = paths.filter(fit).filter(|path| looked_at.insert(path.clone())).take(MAX_LOOKED_AT);
    let names: HashSet<&str> = passed().map(|case| case.name.as_str()).collect();
    let mut changed = None;
    for path in files {
        let (Some(was), Some(is)) = (base.read(&path), head.read(&path)) else { continue };
        if !names.is_empty() && !names.iter().any(|name| is.contains(name)) {
            continue;
        }
        let Some(text) = planted(language, &is, mark) else { continue };
        let plant = Plant { path, text, mark: mark.to_owned() };
        // What the change wrote itself may be made for this.
        if was == is {
            return Some(plant);
        }
        changed.get_or_insert(plant);
    }
    changed
}

/// What the planted tests say of the head, when the base's run shows that they fail where nothing is
/// bent.
pub fn weigh(plant: &Plant, base: &RunOf<'_>, head: &RunOf<'_>) -> Option<Finding> {
    let finding = |text: String| Some(Finding::failure(Rule::RunnerTampered, text));
    if base.succeeded {
        return None;
    }
    if head.succeeded {
        return finding(
            "a planted test that can't pass fails the run on the base, and the run on the head \
             succeeds: its result says nothing"
                .to_owned(),
        );
    }
    let (on_base, on_head) = (plant.bad(base), plant.bad(head));
    let missing: Vec<&str> = on_base.difference(&on_head).copied().collect();
    let what = missing.first()?;
    // A run may stop at its first failure, whichever that is.
    if on_head.is_empty() || on_head.len() >= on_base.len() {
        return None;
    }
    finding(format!(
        "a planted test that can't pass (`{}`) fails on the base and not on the head: assertions do \
         not hold what they say",
        what.replace(&plant.mark, "")
    ))
}

impl Plant {
    /// Whether all of the planted tests fail that could: nothing is left to compare with the base.
    pub fn all_failed(&self, run: &RunOf<'_>) -> bool {
        let planted = self.text.matches(self.mark.as_str()).count();
        !run.succeeded && !self.bad(run).is_empty() && self.bad(run).len() >= planted
    }

    fn bad<'a>(&self, run: &RunOf<'a>) -> BTreeSet<&'a str> {
        let bad = run.results.cases.iter().filter(|case| case.outcome.is_bad());
        bad.map(|case| case.name.as_str()).filter(|name| name.contains(&self.mark)).collect()
    }
}

/// The mark is in the text once for each test.
fn planted(language: Language, text: &str, mark: &str) -> Option<String> {
    match language {
        Language::Python => text.contains("def test").then(|| python(text, mark)),
        Language::Rust => text.contains("#[test]").then(|| rust(text, mark)),
        Language::Node => node(text, mark),
        Language::Go => text.contains("*testing.T").then(|| go(mark)),
    }
}

/// An assertion of unittest, and a use of it that fails.
const UNITTEST: [(&str, &str); 20] = [
    ("assertEqual", "(1, 2)"),
    ("assertTrue", "(False)"),
    ("assertFalse", "(True)"),
    ("assertNotEqual", "(1, 1)"),
    ("assertIs", "(1, None)"),
    ("assertIsNone", "(1)"),
    ("assertIsNotNone", "(None)"),
    ("assertIn", "(1, [])"),
    ("assertNotIn", "(1, [1])"),
    ("assertIsInstance", "(1, str)"),
    ("assertAlmostEqual", "(1, 2)"),
    ("assertGreater", "(1, 2)"),
    ("assertLess", "(2, 1)"),
    ("assertRegex", "('a', 'b')"),
    ("assertCountEqual", "([1], [2])"),
    ("assertListEqual", "([1], [2])"),
    ("assertDictEqual", "({1: 1}, {1: 2})"),
    ("assertSequenceEqual", "([1], [2])"),
    ("assertTupleEqual", "((1,), (2,))"),
    ("assertRaises", "(KeyError, int)"),
];

fn python(text: &str, mark: &str) -> String {
    let mut out = "\n\nimport unittest as _unittest\n\n\nclass TestPlanted(_unittest.TestCase):\n\
                   \x20   def test_raise_"
        .to_owned();
    out += &format!("{mark}(self):\n        raise AssertionError('planted')\n");
    for (name, arguments) in UNITTEST {
        if text.contains(&format!(".{name}(")) {
            out +=
                &format!("\n    def test_{name}_{mark}(self):\n        self.{name}{arguments}\n");
        }
    }
    // Only pytest runs a plain function.
    if text.starts_with("def test") || text.contains("\ndef test") {
        out += &format!("\n\ndef test_assert_{mark}():\n    assert 1 == 2\n");
    }
    out
}

fn rust(text: &str, mark: &str) -> String {
    let mut out = "\n#[cfg(test)]\nmod planted {\n".to_owned();
    if text.contains("assert_eq!") {
        // A macro of the file by this name would take its place here too.
        out = "\n#[test]\nfn assert_eq_".to_owned()
            + mark
            + "() {\n    assert_eq!(1, 2);\n}\n"
            + &out;
    }
    out += &format!(
        "    #[test]\n    fn panic_{mark}() {{\n        panic!(\"planted\");\n    }}\n}}\n"
    );
    out
}

/// Assertions of node and of `expect`, and a use that fails.
const NODE: [(&str, &str); 8] = [
    ("expect(", "expect(1).toBe(2)"),
    (".toEqual(", "expect(1).toEqual(2)"),
    ("assert(", "assert(false)"),
    ("assert.ok(", "assert.ok(false)"),
    ("assert.equal(", "assert.equal(1, 2)"),
    ("assert.strictEqual(", "assert.strictEqual(1, 2)"),
    ("assert.deepEqual(", "assert.deepEqual([1], [2])"),
    ("assert.deepStrictEqual(", "assert.deepStrictEqual([1], [2])"),
];

/// With the names by which the file itself calls its runner.
fn node(text: &str, mark: &str) -> Option<String> {
    let test = ["test", "it"]
        .into_iter()
        .find(|name| text.lines().any(|line| line.trim_start().starts_with(&format!("{name}("))))?;
    let mut out =
        format!("\n{test}('throw {mark}', () => {{\n  throw new Error('planted');\n}});\n");
    for (sign, statement) in NODE {
        if text.contains(sign) {
            let name = sign.trim_matches(['.', '(']);
            out += &format!("{test}('{name} {mark}', () => {{\n  {statement};\n}});\n");
        }
    }
    Some(out)
}

fn go(mark: &str) -> String {
    format!(
        "\nfunc TestFatal_{mark}(t *testing.T) {{\n\tt.Fatal(\"planted\")\n}}\n\n\
         func TestError_{mark}(t *testing.T) {{\n\tt.Error(\"planted\")\n}}\n"
    )
}
