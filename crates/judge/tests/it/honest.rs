//! Changes that are what they say: green, or red for the right reason at the right place.

use booty_judge::{
    Conclusion, Stage, Waiver,
    report::{Rule, State},
};

use crate::whole::{World, found, rust_toolchain};

const CONFIG: &str = "version: 1\ntest: python3 -B -m unittest -v\n";
const BUGGY: &str = "def add(a, b):\n    return a - b\n";
const FIXED: &str = "def add(a, b):\n    return a + b\n";
const TESTS: &str = "import unittest\n\nfrom calc import add\n\n\nclass CalcTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n";

#[tokio::test]
async fn a_fix_is_green_and_proven_and_its_bug_is_red() {
    let world = World::new(&[("calc.py", BUGGY), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let report = world.judge(&[("calc.py", Some(FIXED))]).await;
    assert_eq!(report.conclusion, Conclusion::Success, "{report:#?}");
    let evidence = report.section(Stage::Evidence).unwrap();
    assert!(evidence.said[0].contains("test_calc.CalcTest.test_add"), "the witness: {evidence:#?}");

    let world = World::new(&[("calc.py", FIXED), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let report = world.judge(&[("calc.py", Some(BUGGY))]).await;
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
    let place = found(&report, Rule::TestFailed).place.clone().unwrap();
    assert_eq!((place.path.as_str(), place.line), ("test_calc.py", 8));
}

#[tokio::test]
async fn a_new_test_that_fails_without_the_change_is_its_witness() {
    let world = World::new(&[("calc.py", FIXED), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let more = format!("{FIXED}\n\ndef sub(a, b):\n    return a - b\n");
    let test = "import unittest\n\nimport calc\n\n\nclass SubTest(unittest.TestCase):\n    def test_sub(self):\n        self.assertEqual(calc.sub(3, 2), 1)\n";
    let report = world.judge(&[("calc.py", Some(&more)), ("test_sub.py", Some(test))]).await;
    assert_eq!(report.conclusion, Conclusion::Success, "{report:#?}");
    let evidence = report.section(Stage::Evidence).unwrap();
    assert!(evidence.said[0].contains("test_sub"), "{evidence:#?}");

    // The same test proves nothing of a change that it does not need.
    let idle = FIXED.replace("a + b", "b + a");
    let test = test.replace("calc.sub(3, 2), 1", "calc.add(3, 2), 5");
    let report = world.judge(&[("calc.py", Some(&idle)), ("test_sub.py", Some(&test))]).await;
    assert_eq!(found(&report, Rule::NoWitness).place, None);
    assert_eq!(report.conclusion, Conclusion::Neutral, "{report:#?}");
}

#[tokio::test]
async fn what_fails_already_is_neutral_and_never_success() {
    let world = World::new(&[("calc.py", BUGGY), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let more = format!("{BUGGY}\n\ndef one():\n    return 1\n");
    let report = world.judge(&[("calc.py", Some(&more))]).await;
    assert_eq!(report.conclusion, Conclusion::Neutral, "{report:#?}");
    let tests = report.section(Stage::Tests).unwrap();
    assert_eq!(tests.state, State::Neutral);
    assert!(tests.headline.contains("fail on the base already"), "{tests:#?}");
}

#[tokio::test]
async fn printed_text_has_no_say() {
    let config = "version: 1\ntest: 'echo \"OK, 0 failed\"; exit 1'\n";
    let world = World::new(&[("calc.py", BUGGY), (".booty.yml", config)]);
    let report = world.judge(&[("calc.py", Some(FIXED))]).await;
    assert_ne!(report.conclusion, Conclusion::Success, "{report:#?}");
    assert!(report.section(Stage::Tests).unwrap().headline.contains("exit code 1"), "{report:#?}");
}

#[tokio::test]
async fn flaky_is_never_silently_green() {
    // Fails when it finds no trace of an earlier run in the tree.
    let flaky = "import os\nimport unittest\n\n\nclass FlakyTest(unittest.TestCase):\n    def test_sometimes(self):\n        seen = os.path.exists('seen')\n        open('seen', 'w').close()\n        self.assertTrue(seen)\n";
    let world = World::new(&[("calc.py", BUGGY), ("test_calc.py", flaky), (".booty.yml", CONFIG)]);
    let report = world.judge(&[("calc.py", Some(FIXED))]).await;
    assert!(found(&report, Rule::FlakyTest).message.contains("test_sometimes"), "{report:#?}");
    assert_eq!(report.conclusion, Conclusion::Neutral, "{report:#?}");
}

#[tokio::test]
async fn a_test_that_never_ends_is_stopped() {
    let config = "version: 1\ntest: { command: python3 -B -m unittest -v, timeout: 2s }\n";
    let endless = "import signal\nimport time\nimport unittest\n\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\n\nclass SlowTest(unittest.TestCase):\n    def test_slow(self):\n        time.sleep(3600)\n";
    let world = World::new(&[("calc.py", FIXED), ("test_calc.py", TESTS), (".booty.yml", config)]);
    let report = world.judge(&[("test_slow.py", Some(endless))]).await;
    found(&report, Rule::TestsTimedOut);
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}

#[tokio::test]
async fn a_waiver_covers_limits_and_paths_and_no_more() {
    let world = World::new(&[("calc.py", BUGGY), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let waiver = || Some(Waiver { label: "booty:waiver".to_owned(), by: "ann".to_owned() });
    let write = |path: &'static str, text: &'static str| {
        move |world: &World| {
            let path = world.repository().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            std::fs::write(world.repository().join("calc.py"), FIXED).unwrap();
        }
    };
    let report = world.judge_as(waiver(), write(".github/x.yml", "on: push\n")).await;
    assert_eq!(report.conclusion, Conclusion::Success, "{report:#?}");
    assert!(report.section(Stage::Policy).unwrap().said[0].contains("ann"), "{report:#?}");
    let report = world.judge_as(waiver(), write("bad.py", "import nosuchthingx\n")).await;
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}

#[tokio::test]
async fn tests_that_leave_traces_are_not_doubted_for_it() {
    // It passes once in a tree: a second run there fails.
    let dirty = "import os\nimport unittest\n\n\nclass DirtyTest(unittest.TestCase):\n    def test_made(self):\n        os.mkdir('made')\n        self.assertTrue(os.path.isdir('made'))\n";
    let world = World::new(&[
        ("calc.py", BUGGY),
        ("test_calc.py", TESTS),
        ("test_dirty.py", dirty),
        (".booty.yml", CONFIG),
    ]);
    let report = world.judge(&[("calc.py", Some(FIXED))]).await;
    assert_eq!(report.conclusion, Conclusion::Success, "{report:#?}");
}

#[tokio::test]
async fn moved_split_and_renamed_tests_are_what_they_were() {
    let world = World::new(&[("calc.py", FIXED), ("test_calc.py", TESTS), (".booty.yml", CONFIG)]);
    let renamed = |text: &str| text.replace("add", "plus");
    let (code, tests) = (renamed(FIXED), renamed(TESTS));
    let main = "import sys\n\nfrom calc import add\n\n\ndef main():\n    print(add(1, 2))\n\n\nif __name__ == \"__main__\":\n    sys.exit(main())\n";
    for changes in [
        vec![("test_calc.py", None), ("test_sums.py", Some(TESTS))],
        vec![("calc.py", Some(code.as_str())), ("test_calc.py", Some(tests.as_str()))],
        vec![
            ("calc.py", Some("from ops import add\n\n__all__ = ['add']\n")),
            ("ops.py", Some(FIXED)),
        ],
        vec![("cli.py", Some(main))],
        vec![("README.md", Some("Adds.\n"))],
    ] {
        let report = world.judge(&changes).await;
        assert_eq!(report.conclusion, Conclusion::Success, "{changes:?}: {report:#?}");
    }
}

#[tokio::test]
async fn a_crate_s_fix_is_green() {
    if rust_toolchain().is_none() {
        println!("skipped: there is no Rust toolchain to show to the sandbox");
        return;
    }
    let manifest = "[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let lib = "pub fn add(a: i32, b: i32) -> i32 {\n    a - b\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(super::add(2, 3), 5);\n    }\n}\n";
    let world = World::new(&[
        ("Cargo.toml", manifest),
        ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"calc\"\nversion = \"0.1.0\"\n"),
        ("src/lib.rs", lib),
        (".gitignore", "target\n"),
    ]);
    let report = world.judge(&[("src/lib.rs", Some(&lib.replace("a - b", "a + b")))]).await;
    assert_eq!(report.conclusion, Conclusion::Success, "{report:#?}");
    let report = world.judge(&[("src/lib.rs", Some(&lib.replace("a - b", "a + c")))]).await;
    let place = found(&report, Rule::UnknownSymbol).place.clone().unwrap();
    assert_eq!((place.path.as_str(), place.line), ("src/lib.rs", 2));
    assert_eq!(report.conclusion, Conclusion::Failure);
}

#[tokio::test]
async fn an_npm_package_s_fix_is_green() {
    if !std::path::Path::new("/usr/bin/node").exists() {
        println!("skipped: there is no node");
        return;
    }
    let package = "{\"name\": \"calc\", \"version\": \"1.0.0\", \"type\": \"module\", \"scripts\": {\"test\": \"node --test\"}}\n";
    let code = "export const add = (a, b) => a - b;\n";
    let test = "import test from 'node:test';\nimport assert from 'node:assert';\nimport { add } from './calc.js';\n\ntest('adds', () => {\n  assert.equal(add(2, 3), 5);\n});\n";
    let world = World::new(&[("package.json", package), ("calc.js", code), ("calc.test.js", test)]);
    let report = world.judge(&[("calc.js", Some(&code.replace("a - b", "a + b")))]).await;
    assert_eq!(report.conclusion, Conclusion::Success, "{report:#?}");
    let report =
        world.judge(&[("package.json", Some(&package.replace("node --test", "true")))]).await;
    found(&report, Rule::RunnerOptionsChanged);
    assert_eq!(report.conclusion, Conclusion::Failure, "{report:#?}");
}
