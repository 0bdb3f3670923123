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
