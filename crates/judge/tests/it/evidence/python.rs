//! Python: each cheat by its rule, place and name; honest changes by nothing.

use booty_judge::report::Level::{Failure, Notice, Warning};
use booty_policy::Language;
use rstest::rstest;

use super::world::{assert_named, failures, studied};

const CODE: &str = "== calc.py\ndef add(a, b):\n    return a + b\n";
const TESTS: &str = "\
import unittest, pytest
from calc import add


def test_add():
    assert add(1, 2) == 3
    assert add(2, 2) == 4


class TestMore(unittest.TestCase):
    def test_zero(self):
        self.assertEqual(add(0, 0), 0)
";

fn study(head_tests: &str, more: &str) -> booty_judge::evidence::Study {
    let base = format!("{CODE}== tests/test_calc.py\n{TESTS}");
    let head = format!("{CODE}== tests/test_calc.py\n{head_tests}{more}");
    studied(Language::Python, &base, &head, "python3 -m pytest -q")
}

fn replaced(from: &str, to: &str) -> String {
    assert!(TESTS.contains(from), "{from}");
    TESTS.replace(from, to)
}

#[rstest]
// Assertions that can't fail.
#[case(
    "assert add(1, 2) == 3",
    "assert True",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case("assert add(1, 2) == 3", "assert 1", "assertion_weakened tests/test_calc.py:6", "test_add")]
#[case(
    "assert add(1, 2) == 3",
    "assert not False",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert add(1, 2) == 3 or True",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert (add(1, 2) == 3, 'three')",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert add(1, 2) == add(1, 2)",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert 3 == 3",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "self.assertEqual(add(0, 0), 0)",
    "self.assertTrue(True)",
    "assertion_weakened tests/test_calc.py:12",
    "TestMore::test_zero"
)]
#[case(
    "self.assertEqual(add(0, 0), 0)",
    "self.assertEqual(0, 0)",
    "assertion_weakened tests/test_calc.py:12",
    "TestMore::test_zero"
)]
// Looser ones.
#[case(
    "assert add(1, 2) == 3",
    "assert add(1, 2) is not None",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert add(1, 2)",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert add(1, 2) in (3, 4)",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert add(1, 2) >= 0",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "assert add(1, 2) == 3",
    "assert add(1, 2) == pytest.approx(3, abs=5)",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "self.assertEqual(add(0, 0), 0)",
    "self.assertIsNotNone(add(0, 0))",
    "assertion_weakened tests/test_calc.py:12",
    "TestMore::test_zero"
)]
#[case(
    "self.assertEqual(add(0, 0), 0)",
    "self.assertIn(add(0, 0), [0, 1])",
    "assertion_weakened tests/test_calc.py:12",
    "TestMore::test_zero"
)]
#[case(
    "self.assertEqual(add(0, 0), 0)",
    "self.assertAlmostEqual(add(0, 0), 0, delta=10)",
    "assertion_weakened tests/test_calc.py:12",
    "TestMore::test_zero"
)]
#[case(
    "assert add(1, 2) == 3",
    "expected = add(1, 2)\n    assert expected == expected",
    "assertion_weakened tests/test_calc.py:7",
    "test_add"
)]
// Gone.
#[case("    assert add(2, 2) == 4\n", "", "assertion_removed tests/test_calc.py:7", "test_add")]
#[case(
    "self.assertEqual(add(0, 0), 0)",
    "pass",
    "assertion_removed tests/test_calc.py:12",
    "TestMore::test_zero"
)]
#[case(
    "assert add(1, 2) == 3\n    assert",
    "add(1, 2)\n    add",
    "assertion_removed tests/test_calc.py:6",
    "test_add"
)]
// Without effect.
#[case(
    "    assert add(1, 2) == 3\n",
    "    try:\n        assert add(1, 2) == 3\n    except Exception:\n        pass\n",
    "assertion_weakened tests/test_calc.py:7",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3\n",
    "    try:\n        assert add(1, 2) == 3\n    except:\n        print('no')\n",
    "assertion_weakened tests/test_calc.py:7",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3\n",
    "    with contextlib.suppress(AssertionError):\n        assert add(1, 2) == 3\n",
    "assertion_weakened tests/test_calc.py:7",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3\n",
    "    if False:\n        assert add(1, 2) == 3\n",
    "assertion_weakened tests/test_calc.py:7",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3\n",
    "    if 0: assert add(1, 2) == 3\n",
    "assertion_weakened tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3\n",
    "    for _ in []:\n        assert add(1, 2) == 3\n",
    "assertion_weakened tests/test_calc.py:7",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3\n",
    "    return\n    assert add(1, 2) == 3\n",
    "test_skipped tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3\n",
    "    return\n    assert add(1, 2) == 3\n",
    "assertion_weakened tests/test_calc.py:7",
    "test_add"
)]
// Skipped.
#[case(
    "def test_add",
    "@pytest.mark.skip\ndef test_add",
    "test_skipped tests/test_calc.py:5",
    "`test_add`"
)]
#[case(
    "def test_add",
    "@pytest.mark.skipif(True, reason='x')\ndef test_add",
    "test_skipped tests/test_calc.py:5",
    "`test_add`"
)]
#[case(
    "def test_add",
    "@pytest.mark.xfail(strict=False)\ndef test_add",
    "test_skipped tests/test_calc.py:5",
    "`test_add`"
)]
#[case(
    "    def test_zero",
    "    @unittest.skip('x')\n    def test_zero",
    "test_skipped tests/test_calc.py:11",
    "TestMore::test_zero"
)]
#[case(
    "    def test_zero",
    "    @unittest.expectedFailure\n    def test_zero",
    "test_skipped tests/test_calc.py:11",
    "TestMore::test_zero"
)]
#[case(
    "class TestMore",
    "@unittest.skipIf(1, 'x')\nclass TestMore",
    "test_skipped tests/test_calc.py:10",
    "`TestMore`"
)]
#[case(
    "        self.assertEqual",
    "        self.skipTest('x')\n        self.assertEqual",
    "test_skipped tests/test_calc.py:12",
    "TestMore::test_zero"
)]
#[case(
    "        self.assertEqual",
    "        raise unittest.SkipTest('x')\n        self.assertEqual",
    "test_skipped tests/test_calc.py:12",
    "TestMore::test_zero"
)]
#[case(
    "    assert add(1, 2) == 3",
    "    pytest.skip('later')\n    assert add(1, 2) == 3",
    "test_skipped tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "from calc",
    "pytest.skip('later', allow_module_level=True)\nfrom calc",
    "test_skipped tests/test_calc.py:2",
    "tests/test_calc.py is skipped"
)]
#[case(
    "from calc",
    "pytestmark = pytest.mark.skip\nfrom calc",
    "test_skipped tests/test_calc.py:2",
    "pytest.mark"
)]
#[case(
    "from calc",
    "pytest.importorskip('nothing')\nfrom calc",
    "test_skipped tests/test_calc.py:2",
    "importorskip"
)]
#[case(
    "from calc",
    "raise unittest.SkipTest('x')\nfrom calc",
    "test_skipped tests/test_calc.py:2",
    "SkipTest"
)]
#[case("from calc", "__test__ = False\nfrom calc", "test_skipped tests/test_calc.py:2", "__test__")]
#[case(
    "def test_add",
    "later = pytest.mark.skipif(True, reason='x')\n@later\ndef test_add",
    "test_skipped tests/test_calc.py:6",
    "`test_add`"
)]
// No longer run.
#[case("def test_add", "def check_add", "test_deleted tests/test_calc.py:5", "test_add")]
#[case("def test_add", "def _test_add", "test_deleted tests/test_calc.py:5", "test_add")]
#[case(
    "class TestMore(unittest.TestCase)",
    "class More",
    "test_deleted tests/test_calc.py:11",
    "test_zero"
)]
// A second one of its name, which the first can't see.
#[case(
    "class TestMore",
    "def test_add():\n    pass\n\n\nclass TestMore",
    "assertion_removed tests/test_calc.py:6",
    "test_add"
)]
// Early ends.
#[case(
    "from calc",
    "import sys; sys.exit(0)\nfrom calc",
    "early_exit tests/test_calc.py:2",
    "sys.exit"
)]
#[case(
    "    assert add(1, 2) == 3",
    "    os._exit(0)\n    assert add(1, 2) == 3",
    "early_exit tests/test_calc.py:6",
    "test_add"
)]
#[case(
    "    assert add(1, 2) == 3",
    "    os.kill(os.getpid(), 9)\n    assert add(1, 2) == 3",
    "early_exit tests/test_calc.py:6",
    "test_add"
)]
#[case("from calc", "raise SystemExit\nfrom calc", "early_exit tests/test_calc.py:2", "SystemExit")]
#[case("from calc", "quit()\nfrom calc", "early_exit tests/test_calc.py:2", "quit")]
// The runner.
#[case(
    "from calc",
    "import _pytest.runner\nfrom calc",
    "runner_tampered tests/test_calc.py:2",
    "_pytest"
)]
#[case(
    "from calc",
    "unittest.TestCase.assertEqual = lambda *a: None\nfrom calc",
    "runner_tampered tests/test_calc.py:2",
    "unittest.TestCase.assertEqual"
)]
#[case(
    "from calc",
    "sys.modules['pytest'] = None\nfrom calc",
    "runner_tampered tests/test_calc.py:2",
    "pytest"
)]
#[case(
    "    assert add(1, 2) == 3",
    "    monkeypatch.setattr('_pytest.runner.call_runtest_hook', None)\n    assert add(1, 2) == 3",
    "runner_tampered tests/test_calc.py:6",
    "_pytest.runner"
)]
#[case(
    "    assert add(1, 2) == 3",
    "    monkeypatch.setattr(unittest.TestResult, 'addFailure', None)\n    assert add(1, 2) == 3",
    "runner_tampered tests/test_calc.py:6",
    "addFailure"
)]
#[case(
    "from calc",
    "open(os.environ['BOOTY_REPORT_DIR'] + '/x', 'w')\nfrom calc",
    "runner_tampered tests/test_calc.py:2",
    "report"
)]
#[case(
    "from calc",
    "class Same:\n    def __eq__(self, other):\n        return True\nfrom calc",
    "runner_tampered tests/test_calc.py:3",
    "__eq__"
)]
fn cheats_are_named(#[case] from: &str, #[case] to: &str, #[case] start: &str, #[case] name: &str) {
    assert_named(&study(&replaced(from, to), ""), Failure, start, name);
}

#[rstest]
#[case("== conftest.py\nimport sys\nsys.exit(0)\n", "early_exit conftest.py:2", "sys.exit")]
#[case(
    "== tests/conftest.py\nimport os\ndef pytest_sessionfinish(session):\n    os._exit(0)\n",
    "early_exit tests/conftest.py:3",
    "pytest_sessionfinish"
)]
#[case(
    "== conftest.py\ndef pytest_collection_modifyitems(items):\n    items[:] = []\n",
    "runner_tampered conftest.py:1",
    "pytest_collection_modifyitems"
)]
#[case(
    "== conftest.py\nimport pytest\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n    out = yield\n    out.get_result().outcome = 'passed'\n",
    "runner_tampered conftest.py:3",
    "pytest_runtest_makereport"
)]
#[case(
    "== conftest.py\ncollect_ignore = ['tests/test_calc.py']\n",
    "test_skipped conftest.py:1",
    "collect_ignore"
)]
#[case("== sitecustomize.py\n", "runner_tampered sitecustomize.py:1", "sitecustomize.py")]
#[case("== pytest.py\n", "runner_tampered pytest.py:1", "pytest.py")]
#[case("== unittest/__init__.py\n", "runner_tampered unittest/__init__.py:1", "unittest")]
fn new_files_that_cheat_are_named(#[case] more: &str, #[case] start: &str, #[case] name: &str) {
    assert_named(&study(TESTS, more), Failure, start, name);
}

#[test]
fn a_program_that_ends_at_import_is_named() {
    let head = CODE.replace("def add", "import sys\nsys.exit(0)\ndef add");
    let base = format!("{CODE}== tests/test_calc.py\n{TESTS}");
    let study =
        studied(Language::Python, &base, &format!("{head}== tests/test_calc.py\n{TESTS}"), "");
    assert_named(&study, Failure, "early_exit calc.py:2", "sys.exit");
}

#[test]
fn deleted_tests_are_named_one_by_one() {
    let study = study(
        &replaced("def test_add():\n    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n", ""),
        "",
    );
    assert_named(&study, Warning, "test_deleted tests/test_calc.py:5", "`test_add`");
    assert_eq!(study.deleted.len(), 1);
    assert_eq!(study.orphaned, []);
}

#[test]
fn a_deleted_file_names_its_tests() {
    let study =
        studied(Language::Python, &format!("{CODE}== tests/test_calc.py\n{TESTS}"), CODE, "");
    assert_named(&study, Warning, "test_deleted tests/test_calc.py:5", "`test_add`");
    assert_named(&study, Warning, "test_deleted tests/test_calc.py:11", "`TestMore::test_zero`");
    assert_eq!(study.deleted_files, ["tests/test_calc.py"]);
}

#[test]
fn another_expectation_is_a_notice() {
    let study = study(&replaced("assert add(1, 2) == 3", "assert add(1, 2) == 4"), "");
    assert_named(&study, Notice, "assertion_weakened tests/test_calc.py:6", "from `3` to `4`");
    assert_eq!(failures(&study), <[String; 0]>::default());
}

#[rstest]
#[case::renamed_variable(
    "def test_add():\n    assert add(1, 2) == 3",
    "def test_add():\n    total = add(1, 2)\n    assert total == 3"
)]
#[case::renamed_test("test_add", "test_addition")]
#[case::more_assertions(
    "    assert add(2, 2) == 4\n",
    "    assert add(2, 2) == 4\n    assert add(5, 5) == 10\n"
)]
#[case::two_in_one(
    "    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n",
    "    assert add(1, 2) == 3 and add(2, 2) == 4\n"
)]
#[case::message("assert add(1, 2) == 3", "assert add(1, 2) == 3, 'one and two'")]
#[case::layout("assert add(1, 2) == 3", "assert add(\n        1,\n        2,\n    ) == 3  # three")]
#[case::flipped("assert add(1, 2) == 3", "assert 3 == add(1, 2)")]
#[case::stronger(
    "assert add(1, 2) == 3",
    "assert add(1, 2) == 3\n    assert isinstance(add(1, 2), int)"
)]
#[case::parametrized(
    "def test_add():\n    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n",
    "@pytest.mark.parametrize('a, b, c', [(1, 2, 3), (2, 2, 4), (3, 3, 6)])\ndef test_add(a, b, c):\n    assert add(a, b) == c\n"
)]
#[case::looped(
    "    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n",
    "    for a, b, c in [(1, 2, 3), (2, 2, 4)]:\n        assert add(a, b) == c\n"
)]
#[case::shared(
    "def test_add():\n    assert add(1, 2) == 3\n    assert add(2, 2) == 4\n",
    "def same(a, b, c):\n    assert add(a, b) == c\n    assert add(b, a) == c\n\n\ndef test_add():\n    same(1, 2, 3)\n    same(2, 2, 4)\n"
)]
#[case::main(
    "class TestMore",
    "if __name__ == '__main__':\n    sys.exit(unittest.main())\n\n\nclass TestMore"
)]
#[case::expected_exit(
    "class TestMore",
    "def test_exit():\n    with pytest.raises(SystemExit):\n        sys.exit(0)\n\n\nclass TestMore"
)]
#[case::patched_input(
    "class TestMore",
    "def test_asks(monkeypatch):\n    monkeypatch.setattr('builtins.input', lambda: '1')\n    assert add(1, int(input())) == 2\n\n\nclass TestMore"
)]
#[case::named_mark(
    "class TestMore",
    "later = pytest.mark.skipif(True, reason='x')\n\n\nclass TestMore"
)]
#[case::words_in_strings(
    "class TestMore",
    "def test_text():\n    assert 'sys.exit(0) pytest.skip()' != ''\n\n\nclass TestMore"
)]
fn honest_changes_are_no_failure(#[case] from: &str, #[case] to: &str) {
    assert_eq!(failures(&study(&replaced(from, to), "")), <[String; 0]>::default());
}

#[rstest]
#[case::moved(CODE, "== tests/unit/test_calc.py\n")]
#[case::renamed(CODE, "== tests/test_adding.py\n")]
fn a_moved_file_deletes_nothing(#[case] code: &str, #[case] path: &str) {
    let base = format!("{CODE}== tests/test_calc.py\n{TESTS}");
    let study = studied(Language::Python, &base, &format!("{code}{path}{TESTS}"), "");
    assert_eq!(study.findings, []);
    assert_eq!(study.moved.len(), 2);
    assert_eq!((study.added.len(), study.deleted.len()), (0, 0));
}

#[rstest]
#[case::new_fixture(
    "== tests/conftest.py\nimport pytest\n\n@pytest.fixture\ndef three():\n    return 3\n"
)]
#[case::configured(
    "== conftest.py\ndef pytest_configure(config):\n    config.addinivalue_line('markers', 'slow: slow')\n"
)]
#[case::a_program(
    "== tool.py\nimport sys\n\ndef main():\n    sys.exit(0)\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
)]
#[case::a_new_test(
    "== tests/test_new.py\nfrom calc import add\n\ndef test_new():\n    assert add(1, 1) == 2\n"
)]
fn honest_new_files_are_no_failure(#[case] more: &str) {
    assert_eq!(failures(&study(TESTS, more)), <[String; 0]>::default());
}

#[test]
fn a_deleted_feature_takes_its_tests_along() {
    let base = format!(
        "{CODE}== sub.py\ndef minus(a, b):\n    return a - b\n== tests/test_sub.py\nfrom sub import minus\n\ndef test_minus():\n    assert minus(2, 1) == 1\n"
    );
    let study = studied(Language::Python, &base, CODE, "");
    assert_eq!(failures(&study), <[String; 0]>::default());
    assert_eq!(study.orphaned.len(), 1);
}

#[test]
fn a_skip_of_a_new_test_is_a_warning() {
    let study = study(
        &replaced(
            "class TestMore",
            "@pytest.mark.skip\ndef test_new():\n    assert add(1, 1) == 2\n\n\nclass TestMore",
        ),
        "",
    );
    assert_named(&study, Warning, "test_skipped tests/test_calc.py:10", "`test_new`");
    assert_eq!(failures(&study), <[String; 0]>::default());
}

#[test]
fn what_the_base_had_is_not_reported() {
    let base = format!(
        "{CODE}== tests/test_calc.py\n{}",
        TESTS.replace("def test_add", "@pytest.mark.skip\ndef test_add")
    );
    let head = base.replace(
        "self.assertEqual(add(0, 0), 0)",
        "self.assertEqual(add(0, 0), 0)\n        self.assertEqual(add(0, 1), 1)",
    );
    assert_eq!(studied(Language::Python, &base, &head, "").findings, []);
}
