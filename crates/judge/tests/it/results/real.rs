//! Real runners in a real sandbox, asked for their reports.

use std::path::Path;

use booty_judge::{
    case::{Outcome, Results, Source},
    results::{Runner, failures, instrument, instrument_package, locate, read},
};
use booty_policy::config::CommandSpec;
use booty_sandbox::{Command, RunResult, Sandbox, SandboxSettings};
use rstest::rstest;
use tempfile::TempDir;

const FOLDER: &str = ".reports";

/// A tree, and what running its tests left.
async fn judged(
    runner: Runner,
    spec: &CommandSpec,
    files: &[(&str, &str)],
) -> (TempDir, RunResult, Results) {
    let tree = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = tree.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let folder = tree.path().join(FOLDER);
    std::fs::create_dir(&folder).unwrap();
    let sandbox = Sandbox::prepare(SandboxSettings::default()).await.unwrap();
    sandbox.own(tree.path()).unwrap();
    let package = files.iter().find(|(name, _)| *name == "package.json");
    let inside = format!("/workspace/{FOLDER}");
    let instrumented =
        instrument_package(runner, spec, &inside, package.map(|(_, content)| *content));
    let mut command = Command::new(instrumented.script.clone(), tree.path());
    command.directory = instrumented.directory.clone().into();
    command.env = instrumented.env.clone();
    command.limits.output_bytes = instrumented.output_bytes;
    let run = sandbox.run(&command, &Default::default()).await.unwrap();
    let mut results = read(runner, &instrumented, &run.output, &folder);
    locate(&mut results, &instrumented.directory, tree.path());
    (tree, run, results)
}

fn is_there(tool: &str) -> bool {
    let there = Path::new(tool).exists();
    if !there {
        println!("skipped: there is no {tool}");
    }
    there
}

fn outcome_of(results: &Results, id: &str) -> Option<Outcome> {
    results.cases.iter().find(|case| case.id == id).map(|case| case.outcome)
}

#[rstest]
#[case::node("node --test")]
#[case::npm("npm test")]
#[tokio::test]
async fn node_writes_its_report(#[case] script: &str) {
    if !is_there("/usr/bin/node") || (script == "npm test" && !is_there("/usr/bin/npm")) {
        return;
    }
    let files = [
        ("package.json", r#"{"name":"a","type":"module","scripts":{"test":"node --test"}}"#),
        (
            "test/a.test.js",
            "import { test } from 'node:test';\nimport assert from 'node:assert';\ntest('holds', () => {});\ntest('fails', () => {\n  assert.equal(1, 2);\n});\n",
        ),
    ];
    let (_tree, run, results) = judged(Runner::NodeTest, &CommandSpec::new(script), &files).await;
    assert!(!run.succeeded(), "{}", run.output);
    assert_eq!((results.source, results.is_whole), (Source::JUnit, true), "{results:?}");
    assert_eq!(outcome_of(&results, "holds"), Some(Outcome::Passed));
    let findings = failures(&results, &run);
    let place = findings[0].place.as_ref().unwrap();
    assert_eq!((findings.len(), place.path.as_str(), place.line), (1, "test/a.test.js", 5));
}

#[tokio::test]
async fn go_tells_its_events() {
    if !is_there("/usr/local/go/bin/go") {
        return;
    }
    let files = [
        ("go.mod", "module example.org/sums\n\ngo 1.20\n"),
        ("list/list.go", "package list\n"),
        (
            "list/list_test.go",
            "package list\n\nimport \"testing\"\n\nfunc TestHolds(t *testing.T) {}\n\nfunc TestTable(t *testing.T) {\n\tt.Run(\"one\", func(t *testing.T) { t.Error(\"no\") })\n}\n",
        ),
    ];
    let spec = CommandSpec::new("go vet ./... && GOTOOLCHAIN=local GOPROXY=off go test ./...");
    let (_tree, run, results) = judged(Runner::GoTest, &spec, &files).await;
    assert!(!run.succeeded(), "{}", run.output);
    assert_eq!((results.source, results.is_whole), (Source::Machine, true), "{}", run.output);
    assert_eq!(outcome_of(&results, "example.org/sums/list.TestHolds"), Some(Outcome::Passed));
    let findings = failures(&results, &run);
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding.message, "example.org/sums/list.TestTable/one failed: no");
    let place = finding.place.as_ref().unwrap();
    assert_eq!((place.path.as_str(), place.line), ("list/list_test.go", 8));
}

#[tokio::test]
async fn unittest_in_a_folder_is_placed_in_the_tree() {
    if !is_there("/usr/bin/python3") {
        return;
    }
    let files = [(
        "back/test_a.py",
        "import unittest\n\nclass T(unittest.TestCase):\n    def test_holds(self): pass\n    def test_fails(self):\n        self.assertEqual(1, 2)\n",
    )];
    let mut spec = CommandSpec::new("python3 -m unittest discover -v");
    spec.directory = "back".to_owned();
    let (_tree, run, results) = judged(Runner::Unittest, &spec, &files).await;
    assert_eq!((results.source, results.is_whole), (Source::Printed, true), "{}", run.output);
    let findings = failures(&results, &run);
    let place = findings[0].place.as_ref().unwrap();
    assert_eq!((findings.len(), place.path.as_str(), place.line), (1, "back/test_a.py", 6));
}

/// A repository may write a report itself, and its command still decides by how it ends.
#[tokio::test]
async fn a_repository_can_write_a_report_of_its_own() {
    let script = r#"printf '<testsuite tests="1"><testcase classname="a" name="b"/></testsuite>' > "$BOOTY_REPORT_DIR/own.xml"; echo 0 failed; exit 1"#;
    let (_tree, run, results) = judged(Runner::Other, &CommandSpec::new(script), &[]).await;
    assert_eq!((results.source, results.cases.len()), (Source::JUnit, 1));
    let findings = failures(&results, &run);
    assert_eq!(findings.len(), 1);
    let said = "the test command reported 0 failed, 1 passed, and ended with exit code 1";
    assert_eq!(findings[0].message, said);
}

#[test]
fn a_command_stays_what_it_is() {
    let script = |runner, script: &str| instrument(runner, &CommandSpec::new(script), "/r").script;
    for kept in [
        "go test $(go list ./...)",
        "go test -json ./...",
        "go test ./... | tee log",
        "go test -c ./...",
        "make test",
    ] {
        assert_eq!(script(Runner::GoTest, kept), kept);
    }
    assert_eq!(
        script(Runner::GoTest, "cd a && A=b go test -race ./...; go vet ./..."),
        "cd a && A=b go test -json -fullpath -race ./...; go vet ./..."
    );
    assert_eq!(script(Runner::Jest, "npm test"), "npm test");
    assert_eq!(
        script(Runner::Jest, "npx jest"),
        "npx jest --json --outputFile=/r/jest.json --testLocationInResults"
    );
    let node = instrument(Runner::NodeTest, &CommandSpec::new("npm test"), "/r");
    assert!(node.reports.is_empty() && !node.env.contains_key("NODE_OPTIONS"));
    let mut spec = CommandSpec::new("pytest");
    spec.env.insert("PYTEST_ADDOPTS".to_owned(), "-x".to_owned());
    let pytest = instrument(Runner::Pytest, &spec, "/r");
    assert!(pytest.env["PYTEST_ADDOPTS"].starts_with("-x --junitxml=/r/pytest.xml "));
    assert!(pytest.reports[0].is_certain);
    let own = CommandSpec::new("pytest --junitxml=mine.xml");
    assert!(!instrument(Runner::Pytest, &own, "/r").reports[0].is_certain);
}
