//! What runs say together: results made by hand over a study of two trees.

use booty_judge::{
    case::{Outcome, Results, Source, TestCase, Totals},
    evidence::{Comparison, RunOf, Runs, Study, compare},
    report::{Level, Rule},
};
use booty_policy::Language;

use super::world::{said, studied};

const BASE: &str = "\
== calc.py
def add(a, b):
    return a - b
== tests/test_calc.py
from calc import add

def test_add():
    assert add(1, 2) == 3

def test_zero():
    assert add(0, 0) == 0
";

/// A run from lines of `outcome tests/file.py::name`: `.` passed, `F` failed, `E` errored, `s` skipped.
struct Ran {
    results: Results,
    succeeded: bool,
}

fn ran(text: &str) -> Ran {
    let case = |word: &str| {
        let (outcome, id) = word.split_once(':').unwrap();
        let (file, name) = id.split_once("::").map_or((id, id), |(file, name)| (file, name));
        let outcome = match outcome {
            "." => Outcome::Passed,
            "F" => Outcome::Failed,
            "E" => Outcome::Errored,
            _ => Outcome::Skipped,
        };
        TestCase {
            id: id.to_owned(),
            name: name.split('[').next().unwrap().to_owned(),
            file: Some(file.to_owned()),
            line: Some(1),
            outcome,
            message: None,
            detail: None,
        }
    };
    let cases: Vec<TestCase> = text.split_whitespace().map(case).collect();
    let succeeded = !cases.iter().any(|case| case.outcome.is_bad());
    Ran {
        results: Results { source: Source::JUnit, cases, is_whole: true, totals: None },
        succeeded,
    }
}

fn by_exit_code(succeeded: bool) -> Ran {
    Ran { results: Results { is_whole: true, ..Results::default() }, succeeded }
}

fn of(ran: &Ran) -> RunOf<'_> {
    RunOf { results: &ran.results, succeeded: ran.succeeded }
}

#[derive(Default)]
struct World {
    base: Option<Ran>,
    base_tests: Option<Ran>,
    head_tests: Option<Ran>,
}

fn compared(study: &Study, head: &Ran, world: &World) -> Comparison {
    compare(
        study,
        &Runs {
            base: world.base.as_ref().map(of),
            head: of(head),
            base_tests_on_head: world.base_tests.as_ref().map(of),
            head_tests_on_base: world.head_tests.as_ref().map(of),
        },
    )
}

fn study(head: &str) -> Study {
    studied(Language::Python, BASE, head, "python3 -m pytest")
}

fn fixed() -> String {
    BASE.replace("a - b", "a + b")
}

fn has(comparison: &Comparison, level: Level, rule: Rule, text: &str) -> bool {
    comparison
        .findings
        .iter()
        .any(|f| f.level == level && f.rule == rule && f.message.contains(text))
}

fn all(comparison: &Comparison) -> Vec<String> {
    comparison.findings.iter().map(|f| format!("{:?} {}", f.level, said(f))).collect()
}

fn ids(cases: &[TestCase]) -> Vec<&str> {
    cases.iter().map(|case| case.id.as_str()).collect()
}

const ZERO: &str = ".:tests/test_calc.py::test_zero";
const ADD: &str = ".:tests/test_calc.py::test_add";
const ADD_FAILS: &str = "F:tests/test_calc.py::test_add";

#[test]
fn a_test_that_failed_before_is_a_witness() {
    let world = World { base: Some(ran(&format!("{ADD_FAILS} {ZERO}"))), ..World::default() };
    let found = compared(&study(&fixed()), &ran(&format!("{ADD} {ZERO}")), &world);
    assert_eq!(ids(&found.witnesses), ["tests/test_calc.py::test_add"]);
    assert_eq!(found.findings, []);
}

#[test]
fn a_new_test_that_fails_on_the_base_is_a_witness() {
    let head = fixed() + "\ndef test_more():\n    assert add(5, 1) == 6\n";
    let study = study(&head);
    let more = "tests/test_calc.py::test_more";
    let world = World {
        base: Some(ran(&format!("{ADD} {ZERO}"))),
        head_tests: Some(ran(&format!("{ADD} {ZERO} F:{more}"))),
        ..World::default()
    };
    let found = compared(&study, &ran(&format!("{ADD} {ZERO} .:{more}")), &world);
    assert_eq!(ids(&found.witnesses), [more]);
    // The module that it tests is new: its file can't even be read on the base.
    let world = World { head_tests: Some(ran("E:tests/test_calc.py")), ..world };
    let found = compared(&study, &ran(&format!("{ADD} {ZERO} .:{more}")), &world);
    assert_eq!(ids(&found.witnesses), [more]);
}

#[test]
fn new_tests_that_pass_without_the_change_prove_nothing() {
    let head = fixed() + "\ndef test_more():\n    assert add(5, 0) == 5\n";
    let more = ".:tests/test_calc.py::test_more";
    let world = World {
        base: Some(ran(&format!("{ADD} {ZERO}"))),
        head_tests: Some(ran(&format!("{ADD} {ZERO} {more}"))),
        ..World::default()
    };
    let found = compared(&study(&head), &ran(&format!("{ADD} {ZERO} {more}")), &world);
    assert!(has(&found, Level::Warning, Rule::NoWitness, "no test proves"), "{:?}", all(&found));
}

#[test]
fn code_without_tests_is_a_notice_and_words_are_nothing() {
    let world = World { base: Some(ran(&format!("{ADD} {ZERO}"))), ..World::default() };
    let found = compared(&study(&fixed()), &ran(&format!("{ADD} {ZERO}")), &world);
    assert!(has(&found, Level::Notice, Rule::NoWitness, "no test proves"), "{:?}", all(&found));
    let found = compared(
        &study(&format!("{BASE}== README.md\nhello\n")),
        &ran(&format!("{ADD} {ZERO}")),
        &world,
    );
    assert_eq!(found.findings, []);
}

#[test]
fn what_failed_before_is_listed_apart() {
    let world = World { base: Some(ran(&format!("{ADD_FAILS} {ZERO}"))), ..World::default() };
    let head = BASE.replace("def add", "def two():\n    return 2\n\ndef add");
    let found = compared(&study(&head), &ran(&format!("{ADD_FAILS} {ZERO}")), &world);
    assert_eq!(ids(&found.pre_existing), ["tests/test_calc.py::test_add"]);
    assert!(found.only_pre_existing);
    let worse = compared(
        &study(&head),
        &ran(&format!("{ADD_FAILS} {}", ZERO.replace('.', "F").replace("Fpy", ".py"))),
        &world,
    );
    assert_eq!(worse.broken.len(), 1);
    assert!(!worse.only_pre_existing);
}

#[test]
fn a_failure_that_is_new_is_not_pre_existing_by_exit_code() {
    let head = fixed();
    let world = World { base: Some(by_exit_code(true)), ..World::default() };
    assert!(!compared(&study(&head), &by_exit_code(false), &world).only_pre_existing);
    let world = World { base: Some(by_exit_code(false)), ..World::default() };
    assert!(compared(&study(&head), &by_exit_code(false), &world).only_pre_existing);
    let proven = compared(&study(&head), &by_exit_code(true), &world);
    assert_eq!(proven.findings, []);
}

#[test]
fn a_test_that_no_longer_runs_is_named() {
    let world = World { base: Some(ran(&format!("{ADD} {ZERO}"))), ..World::default() };
    for head in [ZERO.to_owned(), format!("s:tests/test_calc.py::test_add {ZERO}")] {
        let found = compared(&study(&fixed()), &ran(&head), &world);
        assert!(
            has(&found, Level::Failure, Rule::TestsDidNotRun, "test_calc.py::test_add"),
            "{:?}",
            all(&found)
        );
        assert_eq!(ids(&found.did_not_run), ["tests/test_calc.py::test_add"]);
    }
}

#[test]
fn many_are_counted() {
    let many: Vec<String> = (0..50).map(|n| format!(".:tests/test_many.py::test_{n}")).collect();
    let world =
        World { base: Some(ran(&format!("{} {ZERO}", many.join(" ")))), ..World::default() };
    let found = compared(&study(&fixed()), &ran(ZERO), &world);
    assert_eq!(found.did_not_run.len(), 50);
    assert!(
        has(&found, Level::Failure, Rule::TestsDidNotRun, "30 more tests"),
        "{:?}",
        all(&found)
    );
    assert_eq!(found.findings.iter().filter(|f| f.rule == Rule::TestsDidNotRun).count(), 21);
}

#[test]
fn a_report_that_is_missing_or_cut_is_named() {
    let world = World { base: Some(ran(&format!("{ADD} {ZERO}"))), ..World::default() };
    let found = compared(&study(&fixed()), &by_exit_code(true), &world);
    assert!(
        has(&found, Level::Failure, Rule::TestsDidNotRun, "reported none"),
        "{:?}",
        all(&found)
    );
    let mut cut = ran(&format!("{ADD} {ZERO}"));
    cut.results.is_whole = false;
    let found = compared(&study(&fixed()), &cut, &world);
    assert!(has(&found, Level::Failure, Rule::TestsDidNotRun, "not whole"), "{:?}", all(&found));
}

#[test]
fn fewer_runs_of_one_test_are_named() {
    let row = |n: u32| format!(".:tests/test_calc.py::test_add[{n}]");
    let world =
        World { base: Some(ran(&format!("{} {} {ZERO}", row(1), row(2)))), ..World::default() };
    let found = compared(&study(&fixed()), &ran(&format!("{} {ZERO}", row(1))), &world);
    assert_eq!(ids(&found.did_not_run), ["tests/test_calc.py::test_add[2]"]);
    // Other parameters, as many.
    let found = compared(&study(&fixed()), &ran(&format!("{} {} {ZERO}", row(3), row(4))), &world);
    assert_eq!(found.did_not_run, []);
}

#[test]
fn a_moved_file_runs_still() {
    let head = fixed().replace("tests/test_calc.py", "tests/unit/test_calc.py");
    let world = World { base: Some(ran(&format!("{ADD_FAILS} {ZERO}"))), ..World::default() };
    let run = format!("{ADD} {ZERO}").replace("tests/", "tests/unit/");
    let found = compared(&study(&head), &ran(&run), &world);
    assert_eq!(found.did_not_run, []);
    assert_eq!(ids(&found.witnesses), ["tests/unit/test_calc.py::test_add"]);
    assert!(!found.findings.iter().any(|f| f.level == Level::Failure), "{:?}", all(&found));
}

#[test]
fn a_test_that_passes_only_under_the_changes_own_configuration_is_named() {
    let head = format!("{BASE}== conftest.py\nimport calc\ncalc.add = lambda a, b: a + b\n");
    let world = World {
        base: Some(ran(&format!("{ADD} {ZERO}"))),
        base_tests: Some(ran(&format!("{ADD_FAILS} {ZERO}"))),
        ..World::default()
    };
    let found = compared(&study(&head), &ran(&format!("{ADD} {ZERO}")), &world);
    assert!(
        has(&found, Level::Failure, Rule::BaseTestBroken, "own test configuration"),
        "{:?}",
        all(&found)
    );
}

#[test]
fn another_expectation_is_a_notice() {
    let head = fixed().replace("add(1, 2) == 3", "add(1, 2) == 4");
    let world = World {
        base: Some(ran(&format!("{ADD} {ZERO}"))),
        base_tests: Some(ran(&format!("{ADD_FAILS} {ZERO}"))),
        ..World::default()
    };
    let found = compared(&study(&head), &ran(&format!("{ADD} {ZERO}")), &world);
    assert!(
        has(&found, Level::Notice, Rule::BaseTestBroken, "expects something else"),
        "{:?}",
        all(&found)
    );
    assert!(!found.findings.iter().any(|f| f.level == Level::Failure), "{:?}", all(&found));
}

#[test]
fn a_deleted_test_weighs_what_its_loss_hides() {
    let head = fixed().replace("def test_add():\n    assert add(1, 2) == 3\n", "");
    let study = study(&head);
    let base = || Some(ran(&format!("{ADD} {ZERO}")));
    let level = |base_tests: Option<Ran>| {
        let found =
            compared(&study, &ran(ZERO), &World { base: base(), base_tests, ..World::default() });
        assert_eq!(found.did_not_run, []);
        found.findings.iter().find(|f| f.rule == Rule::TestDeleted).map(|f| f.level)
    };
    assert_eq!(level(None), Some(Level::Warning));
    assert_eq!(level(Some(ran(&format!("{ADD_FAILS} {ZERO}")))), Some(Level::Failure));
    assert_eq!(level(Some(ran(ZERO))), Some(Level::Failure), "it could not be run");
    assert_eq!(level(Some(ran(&format!("{ADD} {ZERO}")))), Some(Level::Notice));
}

#[test]
fn a_deleted_feature_is_a_notice() {
    let base = format!(
        "{BASE}== sub.py\ndef minus(a, b):\n    return a - b\n== tests/test_sub.py\nfrom sub import minus\n\ndef test_minus():\n    assert minus(2, 1) == 1\n"
    );
    let study = studied(Language::Python, &base, BASE, "python3 -m pytest");
    let minus = ".:tests/test_sub.py::test_minus";
    let world = World {
        base: Some(ran(&format!("{ADD} {ZERO} {minus}"))),
        base_tests: Some(ran(&format!("{ADD} {ZERO}"))),
        ..World::default()
    };
    let found = compared(&study, &ran(&format!("{ADD} {ZERO}")), &world);
    assert!(has(&found, Level::Notice, Rule::TestDeleted, "gone as well"), "{:?}", all(&found));
    assert!(!found.findings.iter().any(|f| f.level > Level::Notice), "{:?}", all(&found));
    assert_eq!(study.base_tests_on_head, [], "it could only stop the others");
}

#[test]
fn a_changed_test_that_runs_fewer_cases_by_exit_code_alone_still_says_something() {
    let world = World {
        base: Some(by_exit_code(true)),
        base_tests: Some(by_exit_code(false)),
        ..World::default()
    };
    let head = format!("{BASE}== conftest.py\nimport calc\n");
    let found = compared(&study(&head), &by_exit_code(true), &world);
    assert!(has(&found, Level::Failure, Rule::BaseTestBroken, "not known"), "{:?}", all(&found));
}

/// What a runner prints for people: it names what failed, and counts the rest.
fn counted(text: &str, passed: u64) -> Ran {
    let mut ran = ran(text);
    ran.results.source = Source::Printed;
    ran.results.is_whole = false;
    ran.results.totals = Some(Totals { passed, ..Totals::of(&ran.results.cases) });
    ran
}

#[test]
fn counts_are_compared_where_names_are_not_said() {
    let world = || World { base: Some(counted("", 2)), ..World::default() };
    let fewer = compared(&study(&fixed()), &counted("", 1), &world());
    let text = "1 tests ran where the base ran 2";
    assert!(has(&fewer, Level::Failure, Rule::TestsDidNotRun, text), "{:#?}", all(&fewer));
    let none = compared(&study(&fixed()), &by_exit_code(true), &world());
    let text = "the base reported 2 tests, the head reported none";
    assert!(has(&none, Level::Failure, Rule::TestsDidNotRun, text), "{:#?}", all(&none));
    let same = compared(&study(&fixed()), &counted("", 2), &world());
    assert!(!has(&same, Level::Failure, Rule::TestsDidNotRun, ""), "{:#?}", all(&same));
}

#[test]
fn what_held_unnamed_on_the_base_must_hold_under_its_own_scripts() {
    let world = World {
        base: Some(counted("", 2)),
        base_tests: Some(counted("F:tests/test_calc.py::test_zero", 1)),
        ..World::default()
    };
    let found = compared(&study(&fixed()), &counted("", 2), &world);
    assert!(has(&found, Level::Failure, Rule::BaseTestBroken, "test_zero"), "{:#?}", all(&found));
}

#[test]
fn what_is_named_only_where_it_fails_is_a_witness() {
    let base = counted("F:tests/test_calc.py::test_add", 1);
    let world = World { base: Some(base), ..World::default() };
    let found = compared(&study(&fixed()), &counted("", 2), &world);
    assert_eq!(ids(&found.witnesses), ["tests/test_calc.py::test_add"]);
    assert_eq!(found.findings, []);
    // It fails still, or it is not known whether it ran.
    let failing = counted("F:tests/test_calc.py::test_add", 1);
    assert_eq!(ids(&compared(&study(&fixed()), &failing, &world).witnesses), Vec::<&str>::new());
    assert_eq!(
        ids(&compared(&study(&fixed()), &by_exit_code(true), &world).witnesses),
        Vec::<&str>::new()
    );

    // A runner that names what passes, too, is taken at its word: what it does not name did not run.
    let named =
        World { base: Some(counted(&format!("{ADD_FAILS} {ZERO}"), 1)), ..World::default() };
    let silent = compared(&study(&fixed()), &counted("", 2), &named);
    assert_eq!(ids(&silent.witnesses), Vec::<&str>::new());
    assert!(has(&silent, Level::Failure, Rule::TestsDidNotRun, "test_zero"), "{:#?}", all(&silent));

    // A base all of whose tests are named because all fail is whole, where the head names none.
    let mut whole = counted(ADD_FAILS, 0);
    whole.results.is_whole = true;
    let world = World { base: Some(whole), ..World::default() };
    let found = compared(&study(&fixed()), &counted("", 2), &world);
    assert_eq!((ids(&found.witnesses).len(), found.findings), (1, vec![]));

    // A new file of tests that the base can't even import.
    let new = "== tests/test_sub.py\nfrom calc import sub\n\ndef test_sub():\n    assert sub(1, 1) == 0\n";
    let head = fixed() + "== calc.py\ndef sub(a, b):\n    return a - b\n" + new;
    let mut errored = counted("E:tests/test_sub.py", 2);
    errored.results.cases[0].name = "tests.test_sub".to_owned();
    errored.results.cases[0].id = "tests.test_sub".to_owned();
    errored.results.cases[0].file = None;
    let world = World { head_tests: Some(errored), ..World::default() };
    let found = compared(&study(&head), &counted("", 3), &world);
    assert_eq!(ids(&found.witnesses), ["test_sub"]);
}

#[test]
fn sources_are_files_of_the_program_that_are_others_now() {
    let base = "== shop/cart.py\ndef total(items):\n    return 0\n== shop/old.py\nx = 1\n== setup.py\nname = 1\n";
    let head = "== shop/cart.py\ndef total(items):\n    return sum(items)\n\nclass Cart:\n    pass\n\
                == shop/tax.py\ndef tax(sum):\n    return sum\n== setup.py\nname = 2\n\
                == shop/empty.py\n# nothing\n== README.md\nx\n== tests/test_cart.py\ndef test_x():\n    assert 1\n";
    let study = studied(Language::Python, base, head, "python3 -m pytest");
    let found: Vec<_> =
        study.sources.iter().map(|s| (s.path.as_str(), s.defines.join(" "))).collect();
    assert_eq!(
        found,
        [("shop/cart.py", "Cart total".to_owned()), ("shop/tax.py", "tax".to_owned())]
    );
    let comments = base.replace("return 0", "return 0  # for now");
    assert_eq!(studied(Language::Python, base, &comments, "").sources, []);
    let rust = "== src/lib.rs\npub fn one() -> u8 { 1 }\n#[cfg(test)]\nmod tests {}\n";
    let tests = rust
        .replace("mod tests {}", "mod tests { #[test] fn one() { assert_eq!(super::one(), 1); } }");
    assert_eq!(
        studied(Language::Rust, rust, &tests, "").sources,
        [],
        "tests beside code are no code"
    );
    assert_eq!(studied(Language::Rust, rust, &rust.replace("{ 1 }", "{ 2 }"), "").sources.len(), 1);
}
