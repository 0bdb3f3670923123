//! pytest's options, the command's own files, and which side's tests judge which code.

use booty_judge::report::Level::{Failure, Notice, Warning};
use booty_policy::Language;
use rstest::rstest;

use super::world::{assert_named, failures, studied};

const FILES: &str = "\
== calc.py
def add(a, b):
    return a + b
== tests/test_calc.py
from calc import add
def test_add():
    assert add(1, 2) == 3
";
const PYPROJECT: &str = "[project]\nname = \"calc\"\n\n[tool.pytest.ini_options]\naddopts = \"-q\"\nxfail_strict = true\n";

fn study(base: &str, head: &str) -> booty_judge::evidence::Study {
    studied(Language::Python, &format!("{FILES}{base}"), &format!("{FILES}{head}"), "make test")
}

#[rstest]
#[case(
    "addopts = \"-q\"",
    "addopts = \"-q -k nothing\"",
    "runner_options_changed pyproject.toml:5",
    "addopts"
)]
#[case(
    "addopts = \"-q\"",
    "addopts = \"-q --deselect tests/test_calc.py::test_add\"",
    "runner_options_changed pyproject.toml:5",
    "--deselect"
)]
#[case(
    "addopts = \"-q\"",
    "addopts = \"-q --ignore=tests\"",
    "runner_options_changed pyproject.toml:5",
    "--ignore"
)]
#[case(
    "addopts = \"-q\"",
    "addopts = [\"-q\", \"-p\", \"no:python\"]",
    "runner_options_changed pyproject.toml:5",
    "no:python"
)]
#[case(
    "addopts = \"-q\"",
    "addopts = \"-q\"\ntestpaths = [\"other\"]",
    "runner_options_changed pyproject.toml:6",
    "testpaths"
)]
#[case(
    "addopts = \"-q\"",
    "addopts = \"-q\"\npython_files = [\"check_*.py\"]",
    "runner_options_changed pyproject.toml:6",
    "python_files"
)]
#[case(
    "addopts = \"-q\"",
    "addopts = \"-q\"\npython_functions = \"check\"",
    "runner_options_changed pyproject.toml:6",
    "python_functions"
)]
#[case(
    "xfail_strict = true",
    "xfail_strict = false",
    "runner_options_changed pyproject.toml:6",
    "xfail_strict"
)]
fn options_that_drop_tests_are_named(
    #[case] from: &str,
    #[case] to: &str,
    #[case] start: &str,
    #[case] name: &str,
) {
    let base = format!("== pyproject.toml\n{PYPROJECT}");
    let study = study(&base, &base.replace(from, to));
    assert_named(&study, Failure, start, name);
    // The base's options judge the head's code.
    let [(path, Some(text))] = study.base_tests_on_head.as_slice() else {
        panic!("{:?}", study.base_tests_on_head)
    };
    assert_eq!((path.as_str(), text.as_str()), ("pyproject.toml", PYPROJECT));
}

#[rstest]
#[case(
    "== pytest.ini\n[pytest]\naddopts = -k nothing\n",
    "runner_options_changed pytest.ini:2",
    "addopts"
)]
#[case(
    "== setup.cfg\n[tool:pytest]\naddopts =\n    -q\n    --ignore tests\n",
    "runner_options_changed setup.cfg:2",
    "addopts"
)]
#[case(
    "== tox.ini\n[pytest]\ntestpaths = other\n",
    "runner_options_changed tox.ini:2",
    "testpaths"
)]
fn a_new_file_that_drops_tests_is_named(
    #[case] head: &str,
    #[case] start: &str,
    #[case] name: &str,
) {
    assert_named(&study("", head), Failure, start, name);
}

#[test]
fn an_empty_file_that_hides_the_options_is_named() {
    let base = format!("== pyproject.toml\n{PYPROJECT}");
    let study = study(&base, &format!("{base}== pytest.ini\n[pytest]\n"));
    assert_named(&study, Failure, "runner_options_changed pytest.ini:1", "xfail_strict");
}

#[rstest]
#[case::moved("== pytest.ini\n[pytest]\naddopts = -q\nxfail_strict = true\n")]
#[case::markers(
    "== pyproject.toml\n[tool.pytest.ini_options]\naddopts = \"-q\"\nxfail_strict = true\nmarkers = [\"slow: slow\"]\n"
)]
#[case::paths(
    "== pyproject.toml\n[tool.pytest.ini_options]\naddopts = \"-q\"\nxfail_strict = true\ntestpaths = [\"tests\"]\n"
)]
#[case::more_output(
    "== pyproject.toml\n[tool.pytest.ini_options]\naddopts = \"-q -ra --strict-markers\"\nxfail_strict = true\n"
)]
#[case::version(
    "== pyproject.toml\n[project]\nname = \"calc\"\nversion = \"2\"\n\n[tool.pytest.ini_options]\naddopts = \"-q\"\nxfail_strict = true\n"
)]
fn honest_options_are_no_failure(#[case] head: &str) {
    let study = study(&format!("== pyproject.toml\n{PYPROJECT}"), head);
    assert_eq!(failures(&study), <[String; 0]>::default());
}

#[rstest]
#[case("pytest -q", "pytest -q || true", Failure)]
#[case("pytest -q", "-pytest -q", Failure)]
#[case("pytest -q", "pytest -q -k add", Failure)]
#[case("pytest -q", "pytest -v", Warning)]
fn the_makefile_of_the_command_counts(
    #[case] was: &str,
    #[case] is: &str,
    #[case] level: booty_judge::report::Level,
) {
    let file =
        |recipe: &str| format!("== Makefile\nall: build\n\ntest:\n\t{recipe}\n\nbuild:\n\ttrue\n");
    let study = study(&file(was), &file(is));
    assert_named(&study, level, "runner_options_changed Makefile:4", "Makefile");
    assert_eq!(study.base_tests_on_head.len(), 1);
}

#[test]
fn another_target_of_the_makefile_does_not_count() {
    let file = |recipe: &str| {
        format!("== Makefile\nall: build\n\ntest:\n\tpytest -q\n\nbuild:\n\t{recipe}\n")
    };
    assert_eq!(study(&file("true"), &file("echo built")).findings, []);
}

#[test]
fn the_rest_of_a_mixed_file_stays_the_heads() {
    let base = format!("== pyproject.toml\n{PYPROJECT}");
    let head = base
        .replace("name = \"calc\"", "name = \"calc\"\nversion = \"2\"")
        .replace("\"-q\"", "\"-v\"");
    let study = study(&base, &head);
    let [(_, Some(text))] = study.base_tests_on_head.as_slice() else {
        panic!("{:?}", study.base_tests_on_head)
    };
    assert!(text.contains("version = \"2\"") && text.contains("addopts = \"-q\""), "{text}");
    let [(_, Some(text))] = study.head_tests_on_base.as_slice() else {
        panic!("{:?}", study.head_tests_on_base)
    };
    assert!(!text.contains("version = \"2\"") && text.contains("addopts = \"-v\""), "{text}");
}

#[test]
fn tests_come_wholly_from_one_side() {
    let base = format!(
        "{FILES}== tests/data.json\n{{}}\n== tests/test_old.py\ndef test_old():\n    assert 1 + 1 == 2\n"
    );
    let head = FILES.replace("add(1, 2) == 3", "add(1, 2) == 4").replace("a + b", "b + a")
        + "== tests/data.json\n[]\n== tests/conftest.py\nimport calc\n";
    let study = studied(Language::Python, &base, &head, "pytest");
    let names: Vec<(&str, bool)> = study
        .base_tests_on_head
        .iter()
        .map(|(path, text)| (path.as_str(), text.is_some()))
        .collect();
    assert_eq!(
        names,
        [
            ("tests/data.json", true),
            ("tests/test_calc.py", true),
            ("tests/test_old.py", true),
            ("tests/conftest.py", false)
        ]
    );
    let names: Vec<(&str, bool)> = study
        .head_tests_on_base
        .iter()
        .map(|(path, text)| (path.as_str(), text.is_some()))
        .collect();
    assert_eq!(
        names,
        [
            ("tests/data.json", true),
            ("tests/test_calc.py", true),
            ("tests/test_old.py", false),
            ("tests/conftest.py", true)
        ]
    );
    assert!(study.touches_code && study.touches_tests);
    assert_named(&study, Notice, "assertion_weakened tests/test_calc.py:3", "test_add");
}
