//! Tests that prove a change, in the languages whose tests are read: found, missing, weakened; and what
//! format and lint do on the way.

use std::{io::Write as _, path::PathBuf, process::Command};

use booty_bus::{Bus, BusSettings};
use booty_events::{
    Message as _,
    v1::{JournalEntry, OpenPullRequest, journal_entry::Step},
};
use futures_util::StreamExt as _;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    crash,
    world::{CALC, CONFIG, PATIENCE, TEST_CALC, World, opens},
};

/// A repository, what a model does to it, and what is seen of that.
#[derive(Clone, Copy)]
struct Case {
    /// What must be there for its tests to run.
    tool: &'static str,
    config: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// The repair.
    code: (&'static str, &'static str, &'static str),
    /// A file of tests with one that needs the repair.
    test: (&'static str, &'static str),
    /// The new test, as its runner calls it.
    witness: &'static str,
    /// How an existing test is made to say nothing: file, old, new.
    weaken: (&'static str, &'static str, &'static str),
}

const SUMS: &str = "def add(a, b):\n    return a + b\n\n\ndef double(a):\n    return a + 2\n";
const TEST_SUMS: &str = "import unittest\n\nfrom sums import add\n\n\nclass AddTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n";
const TEST_DOUBLE: &str = "import unittest\n\nfrom sums import double\n\n\nclass DoubleTest(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(double(5), 10)\n";

const PYTHON: Case = Case {
    tool: "/usr/bin/python3",
    config: "version: 1\ntest: python3 -B -m unittest\n",
    files: &[("sums.py", SUMS), ("test_sums.py", TEST_SUMS)],
    code: ("sums.py", "a + 2", "a * 2"),
    test: ("test_double.py", TEST_DOUBLE),
    witness: "test_double.DoubleTest.test_double",
    weaken: ("test_sums.py", "self.assertEqual(add(2, 3), 5)", "self.assertTrue(True)"),
};

const NODE: Case = Case {
    tool: "/usr/bin/node",
    config: "version: 1\ntest: node --test\n",
    files: &[
        ("package.json", "{\"name\": \"sums\"}\n"),
        (
            "sums.js",
            "exports.add = (a, b) => a + b;\nexports.double = function double(a) { return a + 2; };\n",
        ),
        (
            "test/sums.test.js",
            "const test = require('node:test');\nconst assert = require('node:assert');\nconst { add } = require('../sums');\n\ntest('adds', () => { assert.strictEqual(add(2, 3), 5); });\n",
        ),
    ],
    code: ("sums.js", "a + 2", "a * 2"),
    test: (
        "test/double.test.js",
        "const test = require('node:test');\nconst assert = require('node:assert');\nconst { double } = require('../sums');\n\ntest('doubles', () => { assert.strictEqual(double(5), 10); });\n",
    ),
    witness: "doubles",
    weaken: ("test/sums.test.js", "test('adds',", "test.skip('adds',"),
};

const GO: Case = Case {
    tool: "/usr/local/go/bin/go",
    config: "version: 1\ntest: go test ./...\n",
    files: &[
        ("go.mod", "module example.org/sums\n\ngo 1.20\n"),
        (
            "sums.go",
            "package sums\n\nfunc Add(a, b int) int { return a + b }\n\nfunc Double(a int) int { return a + 2 }\n",
        ),
        (
            "sums_test.go",
            "package sums\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n\tif Add(2, 3) != 5 {\n\t\tt.Fatal(\"no sum\")\n\t}\n}\n",
        ),
    ],
    code: ("sums.go", "a + 2", "a * 2"),
    test: (
        "double_test.go",
        "package sums\n\nimport \"testing\"\n\nfunc TestDouble(t *testing.T) {\n\tif Double(5) != 10 {\n\t\tt.Fatal(\"not the double\")\n\t}\n}\n",
    ),
    witness: "TestDouble",
    weaken: ("sums_test.go", "t.Fatal(\"no sum\")", "t.Log(\"no sum\")"),
};

const RUST: Case = Case {
    tool: "cargo",
    config: "version: 1\ntest: cargo test --offline -q\n",
    files: &[
        ("Cargo.toml", "[package]\nname = \"sums\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
        (
            "src/lib.rs",
            "pub fn add(a: u32, b: u32) -> u32 {\n    a + b\n}\n\npub fn double(a: u32) -> u32 {\n    a + 2\n}\n",
        ),
        ("tests/sums.rs", "#[test]\nfn adds() {\n    assert_eq!(sums::add(2, 3), 5);\n}\n"),
    ],
    code: ("src/lib.rs", "a + 2", "a * 2"),
    test: ("tests/double.rs", "#[test]\nfn doubles() {\n    assert_eq!(sums::double(5), 10);\n}\n"),
    witness: "doubles",
    weaken: ("tests/sums.rs", "#[test]\n", "#[test]\n#[ignore]\n"),
};

impl Case {
    /// `None`, and a line that says so: its tools are not here.
    async fn world(&self, turns: &[Value]) -> Option<World> {
        let toolchain = match self.tool {
            "cargo" => rust_toolchain(),
            tool => PathBuf::from(tool).exists().then(PathBuf::new),
        };
        let Some(toolchain) = toolchain else {
            let _ = writeln!(std::io::stderr(), "left out: there is no {} here", self.tool);
            return None;
        };
        let mut world = world_with(self.config, self.files, turns).await;
        if self.tool == "cargo" {
            world.set("BOOTY_SANDBOX_RO", toolchain.to_str().unwrap());
        }
        Some(world)
    }
}

fn rust_toolchain() -> Option<PathBuf> {
    let printed = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(printed.stdout).ok()?.trim());
    path.join("bin/cargo").exists().then_some(path)
}

async fn world_with(config: &str, files: &[(&str, &str)], turns: &[Value]) -> World {
    let script = json!({
        "told_log": "told.jsonl",
        "scenarios": [{ "turns": turns }],
    });
    let mut all: Vec<_> = files.iter().map(|(path, text)| (*path, *text, "100644")).collect();
    all.push((".booty.yml", config, "100644"));
    World::with_files(&script.to_string(), &all).await
}

fn edit((path, old, new): (&str, &str, &str)) -> Value {
    json!({ "tool": "edit", "with": { "path": path, "old": old, "new": new } })
}

fn write((path, content): (&str, &str)) -> Value {
    json!({ "tool": "write", "with": { "path": path, "content": content } })
}

/// One answer: these calls, and that it is done.
fn done(calls: &[Value]) -> Value {
    let finish = json!({ "tool": "finish", "with": { "summary": "Done." } });
    let calls = [calls, &[finish]].concat();
    json!({ "calls": calls })
}

/// Runs a job to its proposal.
async fn proposal(world: &World) -> OpenPullRequest {
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let event = world.events.outcome(&job).await;
    assert_eq!(event.name, "proposal_made", "{event:?}: {:#?}", outputs(world));
    let effects = world.effects().await;
    let open = opens(effects.last().unwrap()).clone();
    running.stop().await;
    open
}

/// How many runs of each command there were, in order, and how each ended.
fn runs(world: &World) -> Vec<String> {
    let ran = world.events.all().into_iter().filter(|event| event.name == "command_ran");
    ran.map(|event| event.detail).collect()
}

fn outputs(world: &World) -> Vec<String> {
    let ran = world.events.all().into_iter().filter(|event| event.name == "command_ran");
    ran.map(|event| format!("{}: {}", event.detail, event.attributes["output"])).collect()
}

/// What the model was told last.
fn told(world: &World) -> String {
    let log = std::fs::read_to_string(world.dir.path().join("told.jsonl")).unwrap();
    log.lines().last().unwrap().to_owned()
}

fn changed(open: &OpenPullRequest, path: &str) -> Option<String> {
    let change = open.changes.iter().find(|change| change.path.as_ref() == path.as_bytes())?;
    Some(String::from_utf8(change.content.to_vec()).unwrap())
}

#[rstest]
#[case::python(PYTHON)]
#[case::node(NODE)]
#[case::go(GO)]
#[case::rust(RUST)]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_test_that_fails_without_the_change_proves_it(#[case] case: Case) {
    let turns = [done(&[edit(case.code), write(case.test)])];
    let Some(world) = case.world(&turns).await else { return };
    let open = proposal(&world).await;
    assert!(open.promote, "{}", open.body);
    let (_, proven) = open.body.split_once("Fails on the base, passes here:").unwrap();
    assert!(proven.contains(case.witness), "{}", open.body);
    assert!(!proven.contains("adds") && !proven.contains("Add"), "{}", open.body);
    let runs = runs(&world);
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!(runs[0], "test: exit code 0");
    assert!(runs[1].starts_with("witness: exit code ") && !runs[1].ends_with(" 0"), "{runs:?}");
    assert!(open.body.contains("| 1 | witness | exit code"), "{}", open.body);
    assert_eq!(open.changes.len(), 2, "what the base was in the meantime is no change");
}

#[rstest]
#[case::python(PYTHON, "test_sums.py")]
#[case::node(NODE, "test/sums.test.js")]
#[case::go(GO, "sums_test.go")]
#[case::rust(RUST, "below `#[cfg(test)]`")]
#[tokio::test(flavor = "multi_thread")]
async fn what_no_test_proves_is_asked_for_and_then_proven(#[case] case: Case, #[case] place: &str) {
    let turns = [done(&[edit(case.code)]), done(&[write(case.test)])];
    let Some(world) = case.world(&turns).await else { return };
    let open = proposal(&world).await;
    let told = told(&world);
    for part in ["no test proves it", "No test fails without this change", case.code.0, place] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (_, proven) = open.body.split_once("Fails on the base, passes here:").unwrap();
    assert!(proven.contains(case.witness) && open.promote, "{}", open.body);
    assert_eq!(runs(&world).len(), 4, "a run more for each round that passes: {:?}", runs(&world));
}

#[rstest]
#[case::python(PYTHON)]
#[case::node(NODE)]
#[case::go(GO)]
#[case::rust(RUST)]
#[tokio::test(flavor = "multi_thread")]
async fn weakened_tests_are_refused_whatever_passes(#[case] case: Case) {
    let (path, old, new) = case.weaken;
    let turns = [
        done(&[edit(case.code), write(case.test), edit(case.weaken)]),
        done(&[edit((path, new, old))]),
    ];
    let Some(world) = case.world(&turns).await else { return };
    let open = proposal(&world).await;
    let told = told(&world);
    assert!(told.contains("`test guard` failed (found by reading"), "{told}");
    assert!(told.contains(&format!("{path}:")), "{told}");
    assert_eq!(changed(&open, path), None, "it is as it was");
    assert!(open.body.contains(case.witness) && open.promote, "{}", open.body);
    // Nothing was run for a change that is refused anyway.
    assert_eq!(runs(&world).len(), 2, "{:?}", runs(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_weakens_to_the_end_is_never_proposed() {
    let delete = json!({ "tool": "delete", "with": { "path": "test_sums.py" } });
    // Asked for no tests, it may not take any away either.
    let config =
        "version: 1\ntest: python3 -B -m unittest\nbuilder: { rounds: 2, generate_tests: false }\n";
    let still = done(&[edit(("sums.py", "a * 2", "2 * a"))]);
    let turns = [done(&[edit(PYTHON.code), write(PYTHON.test), delete]), still];
    let world = world_with(config, PYTHON.files, &turns).await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "not_green"));
    assert_eq!(runs(&world), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_that_run_without_the_change_alone_refuse_it() {
    let config = "version: 1\ntest: python3 -B -m unittest -v\n";
    // The code under test says that its test does not count.
    let skips = "    from importlib import import_module as load\n    raise load('unitt' + 'est').SkipTest('not here')";
    let turns = [
        done(&[edit(("sums.py", "    return a + b", skips))]),
        done(&[
            edit(("sums.py", skips, "    return a + b")),
            edit(PYTHON.code),
            write(PYTHON.test),
        ]),
    ];
    let world = world_with(config, PYTHON.files, &turns).await;
    let open = proposal(&world).await;
    let told = told(&world);
    let refused = "`test_sums.AddTest.test_add` ran on the base and was skipped on the head";
    assert!(told.contains("`test guard` failed") && told.contains(refused), "{told}");
    assert!(open.promote && open.body.contains(PYTHON.witness), "{}", open.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_failed_before_is_witness_enough() {
    let turns = [done(&[edit(("calc.py", "a - b", "a + b"))])];
    let files = [("calc.py", CALC), ("test_calc.py", TEST_CALC)];
    let world = world_with(CONFIG, &files, &turns).await;
    let open = proposal(&world).await;
    let (_, proven) = open.body.split_once("Fails on the base, passes here:").unwrap();
    assert!(proven.contains("test_calc.AddTest.test_add") && !proven.contains("test_zero"));
    assert!(open.promote);
    assert_eq!(runs(&world), ["test: exit code 0", "witness: exit code 1"]);
}

#[rstest]
#[case::named("python3 -B -m unittest -v", "test_down.DownTest.test_down")]
#[case::unnamed("python3 -B -m unittest", "without this change it does not end")]
#[tokio::test(flavor = "multi_thread")]
async fn code_that_never_ends_fails_its_test_too(#[case] command: &str, #[case] witness: &str) {
    let config = format!("version: 1\ntest: {{ command: {command}, timeout: 3s }}\n");
    let down = "def down(n):\n    while n > 0:\n        n += 1\n    return n\n";
    let test = "import unittest\n\nfrom down import down\n\n\nclass DownTest(unittest.TestCase):\n    def test_down(self):\n        self.assertEqual(down(2), 0)\n";
    let turns = [done(&[edit(("down.py", "n += 1", "n -= 1"))])];
    let world = world_with(&config, &[("down.py", down), ("test_down.py", test)], &turns).await;
    let open = proposal(&world).await;
    let (_, proven) = open.body.split_once("Fails on the base, passes here:").unwrap();
    assert!(proven.contains(witness) && open.promote, "{}", open.body);
    assert_eq!(runs(&world), ["test: exit code 0", "witness: killed: its time was over"]);
}

/// Python takes what a check compiled for the source when time and size of both are the same, and the base
/// may have both.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_compiled_of_the_change_is_not_taken_for_the_base() {
    let config = "version: 1\ncheck: touch -d @1 calc.py; python3 -m compileall -q .\n\
                  test: touch -d @1 calc.py; python3 -m unittest\n";
    let turns = [done(&[edit(("calc.py", "a - b", "a + b"))])];
    let files = [("calc.py", CALC), ("test_calc.py", TEST_CALC)];
    let world = world_with(config, &files, &turns).await;
    let open = proposal(&world).await;
    assert!(open.promote && open.body.contains("test_calc.AddTest.test_add"), "{}", open.body);
    assert_eq!(runs(&world)[2], "witness: exit code 1");
}

#[rstest]
#[case::passes("product", false)]
#[case::fails("difference", true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_names_no_test_counts_by_its_exit_code(
    #[case] word: &str,
    #[case] is_proven: bool,
) {
    let config = format!("version: 1\nlanguage: python\ntest: '! grep -q {word} sums.py'\n");
    let base = "def difference(a):\n    return a\n";
    let turns = [done(&[edit(("sums.py", "difference", "total"))]), done(&[])];
    let world = world_with(&config, &[("sums.py", base)], &turns).await;
    let open = proposal(&world).await;
    assert_eq!(open.promote, is_proven, "{}", open.body);
    assert_eq!(open.body.contains("it names no test"), is_proven, "{}", open.body);
    assert_eq!(open.body.contains("all that there are pass without it"), !is_proven);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tests_run_on_the_base_once() {
    let turns = [done(&[edit(PYTHON.code)]), done(&[edit(("sums.py", "a * 2", "2 * a"))])];
    let world = world_with(PYTHON.config, PYTHON.files, &turns).await;
    let open = proposal(&world).await;
    assert_eq!(runs(&world), ["test: exit code 0", "witness: exit code 0", "test: exit code 0"]);
    assert!(!open.promote && open.body.contains("all that there are pass"), "{}", open.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_unproven_is_a_draft_that_says_so() {
    let idle = TEST_DOUBLE.replace("double(5), 10", "double(2), 4");
    let turns = [done(&[edit(PYTHON.code)]), done(&[write(("test_double.py", &idle))]), done(&[])];
    let world = world_with(PYTHON.config, PYTHON.files, &turns).await;
    let open = proposal(&world).await;
    assert!(!open.promote && open.draft, "{}", open.body);
    for part in [
        "No test proves all of this",
        "No test fails without this change and passes with it: without it, these pass as well: test_double.py::DoubleTest::test_double.",
    ] {
        assert!(open.body.contains(part), "{part}: {}", open.body);
    }
    assert!(!open.body.contains("Fails on the base"), "{}", open.body);
    let ran = runs(&world);
    let passed = "witness: exit code 0";
    assert_eq!(ran, ["test: exit code 0", passed, "test: exit code 0", passed], "asked for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_changed_source_file_needs_a_test_that_refers_to_it() {
    let files = [
        ("shop/__init__.py", ""),
        ("shop/sums.py", SUMS),
        ("shop/names.py", "def title(text):\n    return text\n"),
        ("tests/__init__.py", ""),
        (
            "tests/test_sums.py",
            "from shop.sums import add\nimport unittest\n\n\nclass AddTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n",
        ),
    ];
    let double = TEST_DOUBLE.replace("from sums", "from shop.sums");
    let title = "import unittest\n\nfrom shop import names\n\n\nclass TitleTest(unittest.TestCase):\n    def test_title(self):\n        self.assertEqual(names.title('a'), 'A')\n";
    let turns = [
        done(&[
            edit(("shop/sums.py", "a + 2", "a * 2")),
            edit(("shop/names.py", "return text", "return text.title()")),
            write(("tests/test_double.py", &double)),
        ]),
        done(&[write(("tests/test_names.py", title))]),
    ];
    let world = world_with(PYTHON.config, &files, &turns).await;
    let open = proposal(&world).await;
    let told = told(&world);
    for part in [
        "shop/names.py: no new or changed test refers to it.",
        "Such a test belongs in tests/test_names.py; tests/test_",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("shop/sums.py: no"), "{told}");
    for witness in ["test_double.DoubleTest.test_double", "test_names.TitleTest.test_title"] {
        assert!(open.body.contains(witness), "{witness}: {}", open.body);
    }
    assert!(open.promote);
}

#[rstest]
#[case::words("README.md", "", "Sums things.\n")]
#[case::not_asked(
    "sums.py",
    "builder: { generate_tests: false }\n",
    "def add(a, b):\n    return b + a\n"
)]
#[tokio::test(flavor = "multi_thread")]
async fn no_test_is_asked_for(#[case] path: &str, #[case] more: &str, #[case] content: &str) {
    let config = format!("{}{more}", PYTHON.config);
    let turns = [done(&[write((path, content))])];
    let world = world_with(&config, PYTHON.files, &turns).await;
    let open = proposal(&world).await;
    assert_eq!(runs(&world), ["test: exit code 0"]);
    assert!(open.promote && !open.body.contains("No test proves"), "{}", open.body);
}

/// Takes away what is behind lines; and does what it should not.
const FORMAT: &str = "format:\n  command: |\n    sed -i 's/[ ]*$//' -- \"$@\"\n    echo 'spoiled(' > other.py; echo x > new.txt\n  files: ['*.py']\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_format_does_to_changed_files_is_taken_back_and_nothing_else() {
    let config =
        format!("{}{FORMAT}", PYTHON.config.replace("python3", "python3 other.py && python3"));
    let files = [PYTHON.files, &[("other.py", "print(1)\n")]].concat();
    let messy = TEST_DOUBLE.replace("double(5), 10)", "double(5), 10)   ");
    let turns =
        [done(&[edit(PYTHON.code), write(("test_double.py", &messy)), write(("a.txt", "b  \n"))])];
    let world = world_with(&config, &files, &turns).await;
    let open = proposal(&world).await;
    assert_eq!(changed(&open, "test_double.py").as_deref(), Some(TEST_DOUBLE));
    assert_eq!(changed(&open, "a.txt").as_deref(), Some("b  \n"), "it is not for this file");
    let paths: Vec<_> = open.changes.iter().map(|change| change.path.as_ref()).collect();
    assert_eq!(paths, [&b"a.txt"[..], b"sums.py", b"test_double.py"]);
    assert_eq!(
        runs(&world),
        ["format: exit code 0", "test: exit code 0", "witness: exit code 1"],
        "the tests saw other.py as it is: {:#?}",
        outputs(&world)
    );
    assert!(open.body.contains("Passed") || open.body.contains("| 1 | format | exit code 0 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_fails_and_a_lint_that_complains_fail_the_round() {
    let config = format!(
        "{}format: '! grep -n BAD -- \"$@\"'\nlint:\n  command: '! grep -n TODO -- \"$@\"'\n  files: '*.py'\n",
        PYTHON.config
    );
    // What is unchanged is not looked at.
    let files = [PYTHON.files, &[("old.py", "# TODO BAD\n")]].concat();
    let turns = [
        done(&[edit((PYTHON.code.0, "a + 2", "a * 2  # BAD")), write(PYTHON.test)]),
        done(&[edit((PYTHON.code.0, "BAD", "TODO"))]),
        done(&[edit((PYTHON.code.0, "  # TODO", ""))]),
    ];
    let world = world_with(&config, &files, &turns).await;
    let open = proposal(&world).await;
    assert_eq!(
        runs(&world),
        [
            "format: exit code 1",
            "format: exit code 0",
            "lint: exit code 1",
            "format: exit code 0",
            "lint: exit code 0",
            "test: exit code 0",
            "witness: exit code 1"
        ]
    );
    assert!(told(&world).contains("`lint` failed (exit code 1"), "{}", told(&world));
    assert!(open.promote);
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_tests_are_named_and_counted() {
    let turns = [
        done(&[edit(("calc.py", "a - b", "a * b"))]),
        done(&[edit(("calc.py", "a * b", "a + b"))]),
    ];
    let files = [("calc.py", CALC), ("test_calc.py", TEST_CALC)];
    let world = world_with(CONFIG, &files, &turns).await;
    proposal(&world).await;
    let told = told(&world);
    let first = "test_calc.py:8: test_calc.AddTest.test_add failed: AssertionError: 6 != 5";
    assert!(told.contains(first), "{told}");
}

/// A builder that is killed at these journal entries, counted from 0, proves what an undisturbed one does.
#[rstest]
#[case::before_and_while_it_formats(&[2, 3])]
#[case::between_tests_and_witness(&[4, 5])]
#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_job_takes_its_proof_from_the_journal(#[case] deaths: &[usize]) {
    let config = format!("{}{FORMAT}", PYTHON.config);
    let messy = TEST_DOUBLE.replace("double(5), 10)", "double(5), 10)   ");
    let turns = [done(&[edit(PYTHON.code), write(("test_double.py", &messy))])];
    let mut world = world_with(&config, PYTHON.files, &turns).await;
    world.set("LEASE", "2s");
    let watcher = Bus::connect(BusSettings::new(world.server.url(), "watcher")).await.unwrap();
    let mut entries = watcher.client().subscribe("booty.journal.>").await.unwrap();
    watcher.client().flush().await.unwrap();

    let (_, job) = world.labelled_issue("d-1").await;
    let mut builder = crash::start(&world);
    let mut steps = Vec::new();
    while steps.last().is_none_or(|step| step != "proposed") {
        let entry = tokio::time::timeout(PATIENCE, entries.next()).await;
        let entry = entry.unwrap_or_else(|_| panic!("nothing came after {steps:?}")).unwrap();
        let entry = JournalEntry::decode(entry.payload.as_ref()).unwrap();
        steps.push(match entry.step.unwrap() {
            Step::BaseChosen(_) => "base".to_owned(),
            Step::ModelAnswered(_) => "answer".to_owned(),
            Step::ToolsRan(_) => "tools".to_owned(),
            Step::CommandRan(ran) => ran.name,
            Step::Proposed(_) => "proposed".to_owned(),
            other => panic!("{other:?}"),
        });
        if deaths.contains(&(steps.len() - 1)) {
            builder.kill().await.unwrap();
            builder = crash::start(&world);
        }
    }
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    builder.kill().await.unwrap();
    let expected = ["base", "answer", "tools", "format", "test", "witness", "proposed"];
    assert_eq!(steps, expected, "each run was journalled once");
    let effects = world.effects().await;
    let open = opens(&effects[0]);
    assert_eq!(changed(open, "test_double.py").as_deref(), Some(TEST_DOUBLE));
    assert_eq!(open.changes.len(), 2);
    assert!(open.promote && open.body.contains(PYTHON.witness), "{}", open.body);
}
