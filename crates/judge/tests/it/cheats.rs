//! Changes that cheat: each is named, with its place, and none is a success.

use std::os::unix::fs::PermissionsExt as _;

use booty_judge::{
    Conclusion,
    report::{Level, Rule},
};
use rstest::rstest;

use crate::whole::{Change, World, found, rust_toolchain};

const CONFIG: &str = "version: 1\ntest: python3 -B -m unittest -v\n";
const CALC: &str = "def add(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    return a * b\n";
const TESTS: &str = "import unittest\n\nfrom calc import add, mul\n\n\nclass CalcTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n\n    def test_mul(self):\n        self.assertEqual(mul(2, 3), 6)\n";
const WITHOUT_ADD: &str = "import unittest\n\nfrom calc import mul\n\n\nclass CalcTest(unittest.TestCase):\n    def test_mul(self):\n        self.assertEqual(mul(2, 3), 6)\n";
const ALWAYS_TRUE: &str = "import unittest\n\nfrom calc import add, mul\n\n\nclass CalcTest(unittest.TestCase):\n    def test_add(self):\n        self.assertTrue(True)\n\n    def test_mul(self):\n        self.assertEqual(mul(2, 3), 6)\n";
const PATCHES_UNITTEST: &str = "import unittest\n\nunittest.TestResult.wasSuccessful = lambda self: True\nunittest.TestResult.addFailure = unittest.TestResult.addSuccess\n\n\nclass Cheat(unittest.TestCase):\n    def test_nothing(self):\n        self.assertEqual(1, 1)\n";
const EXITS: &str = "import os\nimport unittest\n\nos._exit(0)\n\nfrom calc import add\n\n\nclass CalcTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n";

fn world() -> World {
    World::new(&[
        ("calc.py", CALC),
        ("test_calc.py", TESTS),
        (".booty.yml", CONFIG),
        ("deploy/run.sh", "echo\n"),
        ("tool.sh", "echo\n"),
    ])
}

#[rstest]
#[case::deleted_failing_test(&[("test_calc.py", Some(WITHOUT_ADD))], Rule::TestDeleted, "test_add")]
#[case::deleted_test_file(&[("test_calc.py", None)], Rule::TestDeleted, "test_add")]
#[case::assertion_to_true(&[("test_calc.py", Some(ALWAYS_TRUE))], Rule::AssertionWeakened, "test_add")]
#[case::runner_patched(&[("test_aaa.py", Some(PATCHES_UNITTEST))], Rule::RunnerTampered, "unittest")]
#[case::early_exit(&[("test_calc.py", Some(EXITS))], Rule::EarlyExit, "os._exit")]
#[case::own_rules(&[(".booty.yml", Some("version: 1\ntest: 'true'\n"))], Rule::ProtectedPath, ".booty.yml")]
#[case::invented_package(&[("calc.py", Some("import fastcalcx\n\n\ndef add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n"))], Rule::HallucinatedDependency, "fastcalcx")]
#[case::invented_function(&[("calc.py", Some("def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n")), ("use.py", Some("from calc import subtract\n"))], Rule::UnknownSymbol, "subtract")]
#[tokio::test]
async fn python(#[case] changes: &[Change<'_>], #[case] rule: Rule, #[case] named: &str) {
    let report = world().judge(changes).await;
    let finding = found(&report, rule);
    assert!(finding.message.contains(named), "{finding:#?}");
    assert_eq!(finding.level, Level::Failure, "{report:#?}");
    assert!(finding.place.is_some(), "{finding:#?}");
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}

const BAD: &str =
    "\n\ndef add(a, b):\n    return a - b + 1\n\n\ndef mul(a, b):\n    return a * b\n";
const FIXED: &str = "def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n";
const GREEN_OUTPUT: &str = "import os\n\nw = os.write\nw(2, b'test_add (test_calc.CalcTest.test_add) ... ok\\ntest_mul (test_calc.CalcTest.test_mul) ... ok\\n\\n----------------------------------------------------------------------\\nRan 2 tests in 0.000s\\n\\nOK\\n')\ngetattr(os, '_ex' + 'it')(0)\n";

/// By whatever words it is done: a test that can't pass does not fail.
#[rstest]
#[case::by_another_name("import unittest as u\nu.TestCase.assertEqual = lambda *a: None\n")]
#[case::by_its_class("from unittest import TestCase as T\nT.assertEqual = lambda *a: None\n")]
#[case::by_parts(
    "import importlib\nm = importlib.import_module('unit' + 'test')\nsetattr(m.TestCase, 'assertEqual', lambda *a: None)\n"
)]
#[case::by_its_modules(
    "import sys\nm = sys.modules['unit' + 'test']\nm.TestResult.wasSuccessful = lambda self: True\nm.TestCase.assertEqual = lambda *a: None\n"
)]
#[case::by_its_runs(
    "from unittest import TestCase as T\nT.__call__ = lambda self, r: (r.startTest(self), r.addSuccess(self), r.stopTest(self))\n"
)]
#[case::by_all_objects(
    "import gc\nfor o in gc.get_objects():\n    if isinstance(o, type) and o.__name__ == 'TestCase':\n        o.assertEqual = lambda *a: None\n"
)]
#[case::by_output_of_its_own(GREEN_OUTPUT)]
#[tokio::test]
async fn a_planted_test_shows_a_run_that_is_made_to_look_good(#[case] code: &str) {
    let world = World::new(&[("calc.py", FIXED), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let report = world.judge(&[("calc.py", Some(&format!("{code}{BAD}")))]).await;
    let finding = found(&report, Rule::RunnerTampered);
    assert!(finding.message.contains("a planted test that can't pass"), "{finding:#?}");
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}

/// What is tested must be what the change brings, and not what it makes of itself meanwhile.
#[rstest]
#[case::code_by_a_new_test(&[("calc.py", BAD), ("test_aaa.py", "open('calc.py', 'w').write('def add(a, b):\\n    return a + b\\n\\n\\ndef mul(a, b):\\n    return a * b\\n')\n")], "calc.py")]
#[case::tests_by_the_code(&[("calc.py", "def add(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    return a * b\n\n\nopen('test_calc.py', 'w').write('import unittest\\n')\n")], "test_calc.py")]
#[tokio::test]
async fn sources_that_the_run_rewrites(#[case] files: &[(&str, &str)], #[case] rewritten: &str) {
    let world = World::new(&[("calc.py", FIXED), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let changes: Vec<Change<'_>> = files.iter().map(|(path, text)| (*path, Some(*text))).collect();
    let report = world.judge(&changes).await;
    let finding = found(&report, Rule::RunnerTampered);
    assert!(finding.message.contains("was rewritten"), "{report:#?}");
    assert_eq!(finding.place.as_ref().unwrap().path, rewritten, "{report:#?}");
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}

#[tokio::test]
async fn a_build_script_that_mends_the_source() {
    if rust_toolchain().is_none() {
        println!("skipped: there is no Rust toolchain to show to the sandbox");
        return;
    }
    let lib = LIB.replace("a - b", "a + b");
    let world = World::new(&[
        ("Cargo.toml", CRATE),
        ("src/lib.rs", &lib),
        (".gitignore", "target\nCargo.lock\n"),
    ]);
    let build = "fn main() {\n    let text = std::fs::read_to_string(\"src/lib.rs\").unwrap();\n    std::fs::write(\"src/lib.rs\", text.replace(\"a - b\", \"a + b\")).unwrap();\n}\n";
    let report = world.judge(&[("src/lib.rs", Some(LIB)), ("build.rs", Some(build))]).await;
    let finding = found(&report, Rule::RunnerTampered);
    assert_eq!(finding.place.as_ref().unwrap().path, "src/lib.rs", "{report:#?}");
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}

const SCRIPT: &str = "#!/bin/sh\nexec python3 -B -m unittest -v\n";

/// What the base's command runs in the end is the base's to say.
#[rstest]
#[case::script_of_a_script(&[("test.sh", "#!/bin/sh\nsh scripts/run.sh\n"), ("scripts/run.sh", SCRIPT)], "sh test.sh", ("scripts/run.sh", "#!/bin/sh\nexit 0\n"))]
#[case::included(&[("Makefile", "include mk/test.mk\n"), ("mk/test.mk", "test:\n\tpython3 -B -m unittest -v\n")], "make test", ("mk/test.mk", "test:\n\ttrue\n"))]
#[case::needed(&[("Makefile", "test: unit\nunit:\n\tpython3 -B -m unittest -v\n")], "make test", ("Makefile", "test: unit\nunit:\n\ttrue\n"))]
#[tokio::test]
async fn scripts_behind_the_command(
    #[case] scripts: &[(&str, &str)],
    #[case] command: &str,
    #[case] (path, text): (&str, &str),
) {
    if !std::path::Path::new("/usr/bin/make").exists() {
        println!("skipped: there is no make");
        return;
    }
    let config = format!("version: 1\nlanguage: python\ntest: {command}\n");
    let mut files = vec![("calc.py", FIXED), ("test_calc.py", TESTS), (".booty.yml", &config)];
    files.extend(scripts);
    let report = World::new(&files).judge(&[("calc.py", Some(BAD)), (path, Some(text))]).await;
    let finding = found(&report, Rule::RunnerOptionsChanged);
    assert_eq!(finding.place.as_ref().unwrap().path, path, "{report:#?}");
    assert_eq!(finding.level, Level::Failure, "{report:#?}");
    found(&report, Rule::TestsDidNotRun);
    found(&report, Rule::RunnerTampered);
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}

#[tokio::test]
async fn a_protected_file_by_rename() {
    let report =
        world().judge_as(None, |world| world.git(&["mv", "deploy/run.sh", "run.sh"])).await;
    let finding = found(&report, Rule::ProtectedPath);
    assert_eq!(finding.place.as_ref().unwrap().path, "deploy/run.sh");
    assert_eq!(report.conclusion, Conclusion::Failure);
}

#[tokio::test]
async fn a_protected_file_by_symlink() {
    let link = |world: &World| {
        std::os::unix::fs::symlink("deploy/run.sh", world.repository().join("link.sh")).unwrap();
    };
    let report = world().judge_as(None, link).await;
    let finding = found(&report, Rule::ProtectedPath);
    assert_eq!(finding.place.as_ref().unwrap().path, "link.sh");
    assert_eq!(report.conclusion, Conclusion::Failure);
}

#[tokio::test]
async fn three_thousand_lines() {
    let long: String = (0..3_000).map(|n| format!("x{n} = {n}\n")).collect();
    let report = world().judge(&[("long.py", Some(&long))]).await;
    assert!(found(&report, Rule::TooLarge).message.contains("3000 lines"), "{report:#?}");
    assert_eq!(report.conclusion, Conclusion::Failure);
}

#[tokio::test]
async fn a_mode_alone() {
    let executable = |world: &World| {
        let path = world.repository().join("tool.sh");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let report = world().judge_as(None, executable).await;
    assert_eq!(found(&report, Rule::ModeChange).place.as_ref().unwrap().path, "tool.sh");
    assert_eq!(report.conclusion, Conclusion::Failure);
}

/// No file changes, and yet another repository's code comes in.
#[tokio::test]
async fn a_submodule_that_moves() {
    let world = world();
    let one = "1".repeat(40);
    world.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{one},lib")]);
    world.git(&["commit", "-q", "-m", "a submodule"]);
    let two = "2".repeat(40);
    let report = world
        .judge_index(|world| {
            world.git(&["update-index", "--cacheinfo", &format!("160000,{two},lib")]);
        })
        .await;
    assert_eq!(found(&report, Rule::FileKind).place.as_ref().unwrap().path, "lib");
    assert_eq!(report.conclusion, Conclusion::Failure);
}

const CRATE: &str = "[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
const LIB: &str = "pub fn add(a: i32, b: i32) -> i32 {\n    a - b\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn adds() {\n        assert_eq!(add(2, 3), 5);\n    }\n\n    #[test]\n    fn adds_nothing() {\n        assert_eq!(add(2, 0), 2);\n    }\n}\n";

#[rstest]
#[case::ignored(
    "    #[test]\n    fn adds() {",
    "    #[test]\n    #[ignore]\n    fn adds() {",
    Rule::TestSkipped,
    "adds"
)]
#[case::asserts_nothing(
    "assert_eq!(add(2, 3), 5)",
    "assert!(true)",
    Rule::AssertionWeakened,
    "adds"
)]
#[tokio::test]
async fn rust(#[case] from: &str, #[case] to: &str, #[case] rule: Rule, #[case] named: &str) {
    if rust_toolchain().is_none() {
        println!("skipped: there is no Rust toolchain to show to the sandbox");
        return;
    }
    let world = World::new(&[
        ("Cargo.toml", CRATE),
        ("src/lib.rs", LIB),
        (".gitignore", "target\nCargo.lock\n"),
    ]);
    let changed = LIB.replace(from, to);
    assert_ne!(changed, LIB);
    let report = world.judge(&[("src/lib.rs", Some(&changed))]).await;
    let finding = found(&report, rule);
    assert!(finding.message.contains(named), "{finding:#?}");
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}
