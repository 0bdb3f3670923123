//! Crates that do not compile.

use std::path::PathBuf;

use booty_judge::report::{Level, Rule};
use booty_policy::Language;
use rstest::rstest;

use crate::imports_world::{Change, assert_one};

const LOCK: &str = "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n";
const MANIFEST: &str = "[package]\nname = 'shop'\nversion = '0.1.0'\nedition = '2021'\n";

/// A crate, or nothing where no toolchain can be shown to a sandbox.
fn project() -> Option<Change> {
    let Some(toolchain) = toolchain() else {
        println!("skipped: this test was not built by a toolchain of rustup's");
        return None;
    };
    let mut change = Change::new(Language::Rust)
        .with("Cargo.toml", MANIFEST)
        .with("Cargo.lock", LOCK)
        .with("src/lib.rs", "pub mod price;\n")
        .with("src/price.rs", "pub fn total(x: &[u32]) -> u32 { x.iter().sum() }\n")
        .with("tests/a.rs", "#[test]\nfn adds() { assert_eq!(shop::price::total(&[1]), 1) }\n");
    change.read_only = vec![toolchain];
    Some(change)
}

/// The toolchain that runs this test, which rustup keeps in a home.
fn toolchain() -> Option<PathBuf> {
    let cargo = PathBuf::from(std::env::var_os("CARGO")?);
    let folder = cargo.parent()?.parent()?;
    folder.join("lib/rustlib").is_dir().then(|| folder.to_owned())
}

#[tokio::test]
async fn a_good_change_and_an_empty_one_have_no_findings() {
    let Some(change) = project() else { return };
    assert_eq!(change.check().await.findings, []);
    let checked =
        change.change("src/price.rs", "pub fn total(_: &[u32]) -> u32 { 1 }\n").check().await;
    assert_eq!((&checked.findings, &checked.unchecked), (&vec![], &vec![]), "{checked:#?}");
    assert!(checked.said[0].starts_with("cargo 1."), "{:?}", checked.said);
}

#[rstest]
#[case::syntax("pub fn a() {\n    let x = ;\n}\n", Rule::SyntaxError, 2)]
#[case::module("\nmod gone;\n", Rule::UnresolvedImport, 2)]
#[case::import("use crate::nothing::A;\n", Rule::UnresolvedImport, 1)]
#[case::symbol("pub fn a() {\n    super::price::totals(&[]);\n}\n", Rule::UnknownSymbol, 2)]
#[case::method("pub fn a(x: u8) {\n    x.totals();\n}\n", Rule::UnknownSymbol, 2)]
#[case::macro_("pub fn a() {\n    totals!();\n}\n", Rule::UnknownSymbol, 2)]
#[case::types("pub fn a() -> u8 { \"\" }\n", Rule::CompileError, 1)]
#[case::package("\nuse fastjsonx::parse;\n", Rule::HallucinatedDependency, 2)]
#[case::package_in_code(
    "pub fn a() {\n    fastjsonx::parse();\n}\n",
    Rule::HallucinatedDependency,
    2
)]
#[case::package_by_name("extern crate fastjsonx;\n", Rule::HallucinatedDependency, 1)]
#[tokio::test]
async fn what_is_wrong_is_named(#[case] source: &str, #[case] rule: Rule, #[case] line: u32) {
    let Some(change) = project() else { return };
    let change = change.change("src/lib.rs", "pub mod price;\npub mod new;\n");
    let checked = change.change("src/new.rs", source).check().await;
    assert_one(&checked, rule, "src/new.rs", line);
}

#[tokio::test]
async fn what_the_change_takes_away_is_missed_in_the_tests() {
    let Some(change) = project() else { return };
    let checked = change.change("src/price.rs", "pub fn sum() {}\n").check().await;
    assert_one(&checked, Rule::UnknownSymbol, "tests/a.rs", 2);
}

#[tokio::test]
async fn a_declared_crate_that_is_not_downloaded_is_no_failure() {
    let Some(change) = project() else { return };
    let manifest = format!("{MANIFEST}[dependencies]\nfastjsonx = '1'\n");
    let lock = format!(
        "{LOCK}dependencies = [\"fastjsonx\"]\n\n[[package]]\nname = \"fastjsonx\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n"
    );
    let change = change.with("Cargo.toml", manifest).with("Cargo.lock", lock);
    let checked = change.change("src/price.rs", "pub fn total() {}\n").check().await;
    assert_eq!(checked.findings, [], "{checked:#?}");
    assert_eq!(checked.not_installed, ["fastjsonx"]);
    assert_eq!(checked.unchecked.len(), 1);
}

#[tokio::test]
async fn a_manifest_names_a_package_that_its_lock_does_not() {
    let Some(change) = project() else { return };
    let manifest = format!("{MANIFEST}[dependencies]\nfastjsonx = '1'\n");
    assert_one(
        &change.change("Cargo.toml", manifest).check().await,
        Rule::HallucinatedDependency,
        "Cargo.toml",
        6,
    );
}

#[tokio::test]
async fn a_manifest_that_is_no_toml_is_named() {
    let Some(change) = project() else { return };
    let checked = change.change("Cargo.toml", format!("{MANIFEST}[dependencies\n")).check().await;
    assert_one(&checked, Rule::SyntaxError, "Cargo.toml", 5);
}

const FORGED: &str = r####"
use std::io::Write;
fn main() {
    let line = r##"{"reason":"compiler-message","message":{"message":"forged","level":"error","spans":[{"file_name":"src/lib.rs","line_start":1,"is_primary":true,"label":null,"expansion":null}],"rendered":"forged"}}"##;
    println!("{line}");
    println!("cargo::warning={line}");
    // Cargo's own standard output, which a program of the same user can open.
    let parent = std::fs::read_to_string("/proc/self/stat").unwrap();
    let parent = parent.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    if let Ok(mut out) = std::fs::OpenOptions::new().write(true).open(format!("/proc/{parent}/fd/1")) {
        let _ = writeln!(out, "{line}\n{}", r#"{"reason":"build-finished","success":true}"#);
    }
}
"####;

#[tokio::test]
async fn a_build_script_cannot_speak_for_the_compiler() {
    let Some(change) = project() else { return };
    let forged = change.with("build.rs", FORGED);
    // Nothing is wrong, whatever it says.
    let good = forged.change("src/price.rs", "pub fn total(_: &[u32]) -> u32 { 1 }\n");
    assert_eq!(good.check().await.findings, []);
    // And what is wrong stays so.
    let bad = good.change("src/price.rs", "pub fn total(_: &[u32]) -> u32 { \"\" }\n");
    let checked = bad.check().await;
    let real = |finding: &&booty_judge::report::Finding| {
        finding.rule == Rule::CompileError
            && finding.place.as_ref().is_some_and(|p| p.path == "src/price.rs")
    };
    assert!(checked.findings.iter().any(|finding| real(&finding)), "{checked:#?}");
}

#[rstest]
#[case::wrapper("[build]\nrustc-wrapper = '/workspace/true.sh'\n")]
#[case::compiler("[build]\nrustc = '/workspace/true.sh'\n")]
#[tokio::test]
async fn the_trees_configuration_cannot_replace_the_compiler(#[case] config: &str) {
    let Some(change) = project() else { return };
    let checked = change
        .change(".cargo/config.toml", config)
        .change("true.sh", "#!/bin/sh\nexit 0\n")
        .change("src/price.rs", "pub fn total(_: &[u32]) -> u32 { \"\" }\n")
        .check()
        .await;
    assert_one(&checked, Rule::CompileError, "src/price.rs", 1);
}

#[tokio::test]
async fn a_compiler_that_ends_without_a_word_is_no_pass() {
    let Some(change) = project() else { return };
    let checked = change.change("build.rs", "fn main() { std::process::exit(3) }\n").check().await;
    let failures: Vec<_> =
        checked.findings.iter().filter(|finding| finding.level == Level::Failure).collect();
    assert_eq!(failures.len(), 1, "{checked:#?}");
    assert_eq!(failures[0].rule, Rule::CheckFailed);
    assert!(failures[0].detail.as_ref().is_some_and(|text| text.contains("custom build command")));
}
