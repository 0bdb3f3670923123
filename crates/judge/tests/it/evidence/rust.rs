//! Rust: cheats by rule, place and name; honest changes by nothing.

use booty_judge::{
    evidence::Study,
    report::Level::{Failure, Notice, Warning},
};
use booty_policy::Language;
use rstest::rstest;

use super::world::{assert_named, failures, studied};

const LIB: &str = "\
pub fn add(a: i32, b: i32) -> i32 {
    a + b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds() {
        assert_eq!(add(1, 2), 3);
        assert_eq!(add(2, 2), 4);
    }

    #[test]
    fn parses() {
        assert_eq!(\"3\".parse::<i32>(), Ok(3));
    }
}
";

fn study(head: &str) -> Study {
    let package = "== Cargo.toml\n[package]\nname = \"calc\"\n";
    studied(
        Language::Rust,
        &format!("{package}== src/lib.rs\n{LIB}"),
        &format!("{package}== src/lib.rs\n{head}"),
        "cargo test --offline",
    )
}

fn replaced(from: &str, to: &str) -> String {
    assert!(LIB.contains(from), "{from}");
    LIB.replace(from, to)
}

#[rstest]
#[case(
    "    #[test]\n    fn adds",
    "    #[test]\n    #[ignore]\n    fn adds",
    "test_skipped src/lib.rs:10",
    "tests::adds"
)]
#[case(
    "    #[test]\n    fn adds",
    "    #[test]\n    #[ignore = \"slow\"]\n    fn adds",
    "test_skipped src/lib.rs:10",
    "tests::adds"
)]
#[case(
    "    #[test]\n    fn adds",
    "    #[cfg(target_os = \"plan9\")]\n    #[test]\n    fn adds",
    "test_skipped src/lib.rs:9",
    "tests::adds"
)]
#[case(
    "    #[test]\n    fn adds",
    "    #[test]\n    #[should_panic]\n    fn adds",
    "test_skipped src/lib.rs:10",
    "should_panic"
)]
#[case(
    "    #[test]\n    fn adds",
    "    #[test]\n    #[cfg_attr(all(), ignore)]\n    fn adds",
    "test_skipped src/lib.rs:10",
    "tests::adds"
)]
#[case(
    "    #[test]\n    fn adds",
    "    #[allow(dead_code)]\n    fn adds",
    "test_deleted src/lib.rs:10",
    "tests::adds"
)]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        assert!(true);",
    "assertion_weakened src/lib.rs:11",
    "tests::adds"
)]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        assert_eq!(3, 3);",
    "assertion_weakened src/lib.rs:11",
    "tests::adds"
)]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        assert_eq!(add(1, 2), add(1, 2));",
    "assertion_weakened src/lib.rs:11",
    "tests::adds"
)]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        assert!(add(1, 2) > 0);",
    "assertion_weakened src/lib.rs:11",
    "tests::adds"
)]
#[case("        assert_eq!(add(1, 2), 3);\n", "", "assertion_removed src/lib.rs:11", "tests::adds")]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        if false { assert_eq!(add(1, 2), 3); }",
    "assertion_weakened src/lib.rs:11",
    "tests::adds"
)]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        return;\n        assert_eq!(add(1, 2), 3);",
    "test_skipped src/lib.rs:11",
    "tests::adds"
)]
#[case(
    "assert_eq!(\"3\".parse::<i32>(), Ok(3));",
    "assert!(\"3\".parse::<i32>().is_ok());",
    "assertion_weakened src/lib.rs:17",
    "tests::parses"
)]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        std::process::exit(0);\n        assert_eq!(add(1, 2), 3);",
    "early_exit src/lib.rs:11",
    "tests::adds"
)]
#[case(
    "        assert_eq!(add(1, 2), 3);",
    "        std::panic::set_hook(Box::new(|_| ()));\n        assert_eq!(add(1, 2), 3);",
    "runner_tampered src/lib.rs:11",
    "tests::adds"
)]
fn cheats_are_named(#[case] from: &str, #[case] to: &str, #[case] start: &str, #[case] name: &str) {
    assert_named(&study(&replaced(from, to)), Failure, start, name);
}

#[rstest]
#[case::more(
    "        assert_eq!(add(2, 2), 4);",
    "        assert_eq!(add(2, 2), 4);\n        assert_eq!(add(3, 3), 6);"
)]
#[case::variable(
    "        assert_eq!(add(1, 2), 3);",
    "        let sum = add(1, 2);\n        assert_eq!(sum, 3, \"{sum}\");"
)]
#[case::renamed("fn adds", "fn adds_numbers")]
#[case::moved_module("mod tests {", "mod test {")]
#[case::fixed("assert_eq!(add(1, 2), 3);", "assert_eq!(add(1, 2), 4);")]
#[case::a_new_function("#[cfg(test)]", "pub fn two() -> i32 {\n    2\n}\n\n#[cfg(test)]")]
#[case::strings("add(1, 2), 3);", "add(1, 2), 3, \"#[ignore] process::exit(0)\");")]
fn honest_changes_are_no_failure(#[case] from: &str, #[case] to: &str) {
    assert_eq!(failures(&study(&replaced(from, to))), <[String; 0]>::default());
}

#[test]
fn another_expectation_is_a_notice() {
    let study = study(&replaced("add(1, 2), 3)", "add(1, 2), 4)"));
    assert_named(&study, Notice, "assertion_weakened src/lib.rs:11", "from `3` to `4`");
}

#[test]
fn a_deleted_test_is_named() {
    let study = study(&replaced(
        "    #[test]\n    fn parses() {\n        assert_eq!(\"3\".parse::<i32>(), Ok(3));\n    }\n",
        "",
    ));
    assert_named(&study, Warning, "test_deleted src/lib.rs:16", "tests::parses");
}

#[test]
fn tests_beside_code_change_places_alone() {
    let head = replaced("add(1, 2), 3)", "add(1, 2), 4)").replace("a + b", "b + a");
    let study = study(&head);
    assert!(study.touches_code && study.touches_tests);
    let [(path, Some(text))] = study.base_tests_on_head.as_slice() else {
        panic!("{:?}", study.base_tests_on_head)
    };
    assert_eq!(path, "src/lib.rs");
    assert_eq!(*text, LIB.replace("a + b", "b + a"));
    let [(_, Some(text))] = study.head_tests_on_base.as_slice() else {
        panic!("{:?}", study.head_tests_on_base)
    };
    assert_eq!(*text, LIB.replace("add(1, 2), 3)", "add(1, 2), 4)"));
}

#[test]
fn a_module_of_tests_that_nothing_names_is_named() {
    let files = "== tests/it/adds.rs\n#[test]\nfn adds() {\n    assert_eq!(1 + one(), 2);\n}\n";
    let base = format!("== tests/it/main.rs\nmod adds;\nmod world;\n{files}");
    let head = format!("== tests/it/main.rs\nmod world;\n{files}");
    let study = studied(Language::Rust, &base, &head, "cargo test");
    assert_named(&study, Failure, "test_deleted tests/it/main.rs:1", "`adds`");
}

#[test]
fn tests_alone_are_no_code() {
    let study = study(&replaced("add(1, 2), 3)", "add(1, 2), 4)"));
    assert!(!study.touches_code && study.touches_tests);
}

#[test]
fn new_tests_beside_code_come_along() {
    let (code, _) = LIB.split_once("#[cfg(test)]").unwrap();
    let package = "== Cargo.toml\n[package]\nname = \"calc\"\n";
    let study = studied(
        Language::Rust,
        &format!("{package}== src/lib.rs\n{code}"),
        &format!("{package}== src/lib.rs\n{}", LIB.replace("a + b", "b + a")),
        "cargo test",
    );
    assert_eq!(study.added.len(), 2);
    let [(_, Some(text))] = study.head_tests_on_base.as_slice() else {
        panic!("{:?}", study.head_tests_on_base)
    };
    assert!(text.contains("a + b") && text.contains("fn adds()"), "{text}");
    let [(_, Some(text))] = study.base_tests_on_head.as_slice() else {
        panic!("{:?}", study.base_tests_on_head)
    };
    assert!(text.contains("b + a") && !text.contains("fn adds()"), "{text}");
}

#[rstest]
#[case(
    "== Cargo.toml\n[package]\nname = \"calc\"\n[lib]\ntest = false\n",
    "runner_options_changed Cargo.toml:4",
    "lib.test"
)]
#[case(
    "== Cargo.toml\n[package]\nname = \"calc\"\nautotests = false\n",
    "runner_options_changed Cargo.toml:3",
    "autotests"
)]
#[case(
    "== Cargo.toml\n[package]\nname = \"calc\"\n[[test]]\nname = \"it\"\nharness = false\n",
    "runner_options_changed Cargo.toml:5",
    "harness"
)]
#[case(
    "== .config/nextest.toml\n[profile.default]\ndefault-filter = \"none()\"\n",
    "runner_options_changed .config/nextest.toml:2",
    "default-filter"
)]
#[case(
    "== .cargo/config.toml\n[target.x86_64-unknown-linux-gnu]\nrunner = \"true\"\n",
    "runner_options_changed .cargo/config.toml:2",
    "runner"
)]
fn options_that_drop_tests_are_named(#[case] head: &str, #[case] start: &str, #[case] name: &str) {
    let base = format!("== Cargo.toml\n[package]\nname = \"calc\"\n== src/lib.rs\n{LIB}");
    let head = format!("== Cargo.toml\n[package]\nname = \"calc\"\n== src/lib.rs\n{LIB}{head}");
    assert_named(&studied(Language::Rust, &base, &head, "cargo test"), Failure, start, name);
}
