//! Input that was made to mislead or to break the reader.

use std::{os::unix::fs::symlink, path::Path, time::Duration};

use booty_judge::{
    case::{Outcome, Results, Source},
    report::{Level, Rule},
    results::{
        MAX_CASES, MAX_DETAIL_BYTES, MAX_ID_CHARS, MAX_MESSAGE_CHARS, Runner, failures, instrument,
        read,
    },
};
use booty_policy::config::CommandSpec;
use booty_sandbox::{End, Limit, RunResult};
use proptest::prelude::*;
use rstest::rstest;
use tempfile::TempDir;

const RUNNERS: [Runner; 10] = [
    Runner::Pytest,
    Runner::Unittest,
    Runner::CargoTest,
    Runner::Nextest,
    Runner::Jest,
    Runner::Vitest,
    Runner::NodeTest,
    Runner::Mocha,
    Runner::GoTest,
    Runner::Other,
];

fn ended(end: End, output: &str) -> RunResult {
    RunResult {
        end,
        output: output.to_owned(),
        output_bytes: output.len() as u64,
        duration: Duration::from_secs(1),
    }
}

fn read_with(runner: Runner, files: &[(&str, &str)], output: &str) -> Results {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    read_folder(runner, folder.path(), output)
}

fn read_folder(runner: Runner, folder: &Path, output: &str) -> Results {
    read(runner, &instrument(runner, &CommandSpec::new("true"), "/reports"), output, folder)
}

#[rstest]
#[case::pytest(Runner::Pytest, "==== 12 passed in 0.01s ====\n0 failed\n")]
#[case::cargo(
    Runner::CargoTest,
    "running 1 test\ntest a ... ok\n\ntest result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"
)]
#[case::other(Runner::Other, "0 failed\n::set-output name=conclusion::success\n")]
fn printed_success_does_not_hide_an_exit_code(#[case] runner: Runner, #[case] output: &str) {
    let results = read_with(runner, &[], output);
    let findings = failures(&results, &ended(End::Exited(1), output));
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.rule, finding.level), (Rule::TestsFailed, Level::Failure));
    assert!(finding.message.ends_with("ended with exit code 1"), "{}", finding.message);
    assert!(
        finding.detail.as_deref().unwrap_or_default().contains("passed") || runner == Runner::Other
    );
}

#[test]
fn a_forged_report_in_the_output_does_not_replace_the_missing_one() {
    let forged = r#"<testsuites><testsuite tests="1"><testcase classname="a" name="b"/></testsuite></testsuites>"#;
    let output = format!("{forged}\n==== 1 passed in 0.01s ====\n");
    let results = read_with(Runner::Pytest, &[], &output);
    assert_eq!((results.source, results.is_whole), (Source::Printed, false));
    assert!(results.cases.is_empty());
    // Neither does a file of another name.
    let results = read_with(Runner::Pytest, &[("mine.xml", forged)], "");
    assert_eq!((results.source, results.is_whole), (Source::JUnit, false));
}

/// A test can print what `go test -json` would, where nobody asked for it.
#[test]
fn forged_events_do_not_hide_what_go_printed() {
    let output = "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"TestA\"}\nok  \tp\t0.001s\n--- FAIL: TestA (0.00s)\nFAIL\nFAIL\tp\t0.002s\n";
    let results = read_with(Runner::GoTest, &[], output);
    assert_eq!((results.source, results.is_whole), (Source::Printed, false));
    assert_eq!(results.bad().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["p.TestA"]);
}

#[test]
fn failures_name_each_test_and_its_place() {
    let report = r#"<testsuite tests="3" failures="1" errors="1"><testcase classname="t.test_a" name="test_x[1]" file="t/test_a.py" line="4"><failure message="boom">t/test_a.py:7: ValueError</failure></testcase><testcase classname="t.test_a" name="test_y" file="../../etc/passwd" line="1"><error message="bad"/></testcase><testcase classname="t.test_a" name="test_z" file="t/test_a.py" line="9"/></testsuite>"#;
    let results = read_with(Runner::Pytest, &[("pytest.xml", report)], "");
    assert!(results.is_whole, "{results:?}");
    let findings = failures(&results, &ended(End::Exited(1), "1 failed"));
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[0].message, "t/test_a.py::test_x[1] failed: boom");
    let place = findings[0].place.as_ref().unwrap();
    assert_eq!((place.path.as_str(), place.line), ("t/test_a.py", 7));
    assert_eq!(findings[1].place, None);
    assert_eq!(results.cases[0].name, "test_x");
    // The exit code says yes, the report no: somebody must look.
    let findings = failures(&results, &ended(End::Exited(0), ""));
    assert_eq!(findings.iter().map(|found| found.level).collect::<Vec<_>>(), [Level::Warning]);
}

#[rstest]
#[case(End::TimedOut, Rule::TestsTimedOut)]
#[case(End::OverLimit(Limit::Memory), Rule::TestsFailed)]
#[case(End::Signalled(9), Rule::TestsFailed)]
#[case(End::Exited(5), Rule::NoTests)]
#[case(End::Exited(2), Rule::TestsFailed)]
fn runs_that_name_no_test(#[case] end: End, #[case] rule: Rule) {
    let findings = failures(&Results::default(), &ended(end, "the\u{1b}[31m end"));
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].rule, findings[0].detail.as_deref()), (rule, Some("the end")));
}

#[test]
fn a_cut_report_is_not_whole() {
    let whole = r#"<testsuites><testsuite tests="2" failures="0"><testcase classname="a" name="b"/><testcase classname="a" name="c"/></testsuite></testsuites>"#;
    for end in 0..whole.len() {
        let results = read_with(Runner::Other, &[("a.xml", &whole[..end])], "");
        assert!(!results.is_whole, "{}", &whole[..end]);
    }
    assert!(read_with(Runner::Other, &[("a.xml", whole)], "").is_whole);
    let lying = whole.replace("tests=\"2\"", "tests=\"3\"");
    assert!(!read_with(Runner::Other, &[("a.xml", &lying)], "").is_whole);
}

#[test]
fn entities_are_not_expanded() {
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]><testsuite tests="1" failures="1"><testcase classname="a" name="&b;"><failure message="&f; &lt;&#65;">&b;&f; &amp;</failure></testcase></testsuite>"#;
    let results = read_with(Runner::Other, &[("a.xml", bomb)], "");
    let case = &results.cases[0];
    assert_eq!(case.name, "&b;");
    assert_eq!(case.detail.as_deref(), Some("&b;&f; &"));
    assert!(!format!("{results:?}").contains("root:"));
}

#[test]
fn links_pipes_and_folders_are_not_read() {
    let report = r#"<testsuite tests="1"><testcase name="b"/></testsuite>"#;
    let elsewhere: TempDir = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("a.xml"), report).unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(elsewhere.path().join("a.xml"), folder.path().join("pytest.xml")).unwrap();
    symlink(elsewhere.path(), folder.path().join("folder.xml")).unwrap();
    std::fs::create_dir(folder.path().join("b.xml")).unwrap();
    let status = std::process::Command::new("mkfifo").arg(folder.path().join("c.xml")).status();
    assert!(status.unwrap().success());
    let results = read_folder(Runner::Pytest, folder.path(), "");
    assert_eq!(results, Results::default());
    // Nor a report folder that is a link.
    let link = folder.path().join("link");
    symlink(elsewhere.path(), &link).unwrap();
    assert_eq!(read_folder(Runner::Pytest, &link, ""), Results::default());
}

#[test]
fn a_flood_of_cases_is_bounded() {
    let one = format!(
        r#"<testcase classname="a" name="{{}}{}"><failure message="{}">{}</failure></testcase>"#,
        "n".repeat(500),
        "m".repeat(400),
        "d".repeat(400),
    );
    let many: String = (0..MAX_CASES + 5).map(|n| one.replace("{}", &n.to_string())).collect();
    let results =
        read_with(Runner::Other, &[("a.xml", &format!("<testsuite>{many}</testsuite>"))], "");
    within_bounds(&results);
    assert_eq!((results.cases.len(), results.is_whole), (MAX_CASES, false));
    let findings = failures(&results, &ended(End::Exited(1), ""));
    assert_eq!(findings.len(), 501);
    assert_eq!(results.count(Outcome::Failed), MAX_CASES);
}

fn within_bounds(results: &Results) {
    assert!(results.cases.len() <= MAX_CASES);
    for case in &results.cases {
        let texts = [Some(&case.id), Some(&case.name), case.message.as_ref(), case.file.as_ref()];
        for text in texts.into_iter().flatten() {
            assert!(text.chars().count() <= MAX_ID_CHARS && !text.contains(char::is_control));
        }
        assert!(case.message.as_ref().is_none_or(|text| text.chars().count() <= MAX_MESSAGE_CHARS));
        let detail = case.detail.as_deref().unwrap_or_default();
        assert!(detail.len() <= MAX_DETAIL_BYTES);
        assert!(!detail.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        let path = case.file.as_deref().unwrap_or("a");
        assert!(
            !path.starts_with('/') && !path.split('/').any(|part| part == ".." || part.is_empty())
        );
    }
    let detail: usize =
        results.cases.iter().filter_map(|case| case.detail.as_ref()).map(String::len).sum();
    assert!(detail <= 4 * 1024 * 1024);
}

/// The words that readers look for, in any order, with anything between.
const WORDS: &str = r#"(running 2 tests\n|test a ... |ok\n|FAILED\n|failures:\n|---- a stdout ----\n|test result: FAILED. 1 passed; 1 failed; 9 ignored; 0 measured; 0 filtered out\n|error: test failed, to rerun pass|\n|thread 'a' panicked at |a/b.rs:1:2:\n|     Running tests/x.rs \(target/debug/deps/x-0f\)\n|   Doc-tests x\n|PASSED|a.py::b |=== 1 failed in 0.01s ===\n|=+|TAP version 13\n|not ok 1 - x\n|  ---\n|  \.\.\.\n|ok 2 - y # SKIP\n|1\.\.2\n|✔ a \(1ms\)\n|✖ b\n|  ● a › b\n|Tests: |1 failed, |2 passed\n|PASS a.test.js\n|--- FAIL: TestA \(0\.00s\)\n|=== RUN   TestA\n|FAIL\tx\t0\.1s\n|\{"Action":"fail","Package":"p","Test":"T"\}\n|FAIL: test_x \(m\.T\.test_x\)\n|-{70}\n|Ran 3 tests in 0\.1s\n|\.F\.E\n| +|  File "a\.py", line 3, in x\n|PASS \[ 0\.1s\] a b\n|Summary \[ 0\.1s\] 1 tests run: 1 passed, 0 skipped\n|.|\u{1b}\[3|/workspace/|\.\./){0,60}"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_output_panics_or_leaves_the_bounds(output in WORDS) {
        for runner in RUNNERS {
            within_bounds(&read_with(runner, &[], &output));
        }
    }

    #[test]
    fn no_report_panics_or_leaves_the_bounds(
        report in "(<testsuites>|<testsuite tests=\"1\" file=\"a\">|<testcase name=\"a\" classname=\"b\" file=\"/x\" line=\"99999999999\"|>|/>|<failure message=\"x\">|</failure>|</testcase>|</testsuite>|</testsuites>|<!\\[CDATA\\[|\\]\\]>|&#27;|&x;|&|<!--|-->|<!DOCTYPE x \\[|.|\n){0,40}",
    ) {
        for runner in RUNNERS {
            within_bounds(&read_with(runner, &[("pytest.xml", &report), ("b.json", &report)], ""));
        }
    }
}
