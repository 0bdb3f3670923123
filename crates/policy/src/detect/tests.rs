use std::collections::BTreeMap;

use insta::assert_snapshot;
use rstest::rstest;

use super::*;

struct Files(BTreeMap<String, String>);

impl TreeView for Files {
    fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
        Box::new(self.0.keys().cloned())
    }

    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }
}

/// Paths; what follows a `=` is the content.
fn found(files: &str) -> Option<Detected> {
    let file = |file: &str| match file.split_once('=') {
        Some((path, content)) => (path.to_owned(), content.to_owned()),
        None => (file.to_owned(), String::new()),
    };
    detect(&Files(files.split_whitespace().map(file).collect()))
}

fn said(files: &str) -> String {
    let Some(found) = found(files) else { return "nothing".to_owned() };
    let script = |spec: Option<CommandSpec>| {
        spec.map_or("–".to_owned(), |spec| {
            let path = spec
                .env
                .get("PYTHONPATH")
                .map(|path| format!("PYTHONPATH={path} "))
                .unwrap_or_default();
            format!("{path}{}", spec.command)
        })
    };
    format!("{}: {} ({})", found.language, script(found.test), found.why)
}

#[rstest]
#[case("README.md", "nothing")]
#[case(
    "stats.py test_stats.py",
    "python: python3 -m unittest discover -v (Python files but nothing names pytest)"
)]
#[case(
    "stats.py tests/test_stats.py",
    "python: python3 -m unittest discover -v -s ./tests (Python files but nothing names pytest)"
)]
#[case(
    "stats.py tests/__init__.py tests/test_stats.py",
    "python: python3 -m unittest discover -v (Python files but nothing names pytest)"
)]
#[case(
    "pyproject.toml src/p/__init__.py tests/test_p.py",
    "python: PYTHONPATH=src python3 -m unittest discover -v -s ./tests (pyproject.toml but nothing names pytest)"
)]
#[case(
    "pyproject.toml=[tool.pytest.ini_options] a.py",
    "python: python3 -m pytest -q -p no:cacheprovider (pyproject.toml names pytest)"
)]
#[case(
    "requirements-dev.txt=pytest==8 a.py",
    "python: python3 -m pytest -q -p no:cacheprovider (requirements-dev.txt names pytest)"
)]
#[case(
    "a.py tests/conftest.py",
    "python: python3 -m pytest -q -p no:cacheprovider (conftest.py names pytest)"
)]
#[case("requirements.txt=#pytest a.py", "python: – (requirements.txt but nothing names pytest)")]
#[case("a.py $(id)/test_a.py", "python: – (Python files but nothing names pytest)")]
#[case("Cargo.toml src/main.rs", "rust: cargo test --offline (Cargo.toml at the root)")]
#[case(
    "Cargo.toml=[workspace] a/src/lib.rs",
    "rust: cargo test --offline --workspace (Cargo.toml at the root)"
)]
#[case("go.mod main.go", "go: go test ./... (go.mod at the root)")]
#[case(
    r#"package.json={"scripts":{"test":"jest"}} a.js"#,
    "node: npm test (package.json has a test script)"
)]
#[case(
    r#"package.json={"scripts":{"test":"jest"}} yarn.lock a.js"#,
    "node: yarn test (package.json has a test script)"
)]
#[case(
    r#"package.json={"packageManager":"pnpm@9","scripts":{"test":"jest"}} a.js"#,
    "node: pnpm test (package.json has a test script)"
)]
#[case(r#"package.json={} a.test.mjs"#, "node: node --test (package.json has no test script)")]
#[case(r#"package.json={} a.js"#, "node: – (package.json has no test script)")]
#[case(
    r#"package.json={"scripts":[{"test":3}]} a.js"#,
    "node: – (package.json has no test script)"
)]
#[case(r#"package.json={broken a.js"#, "nothing")]
#[case(
    r#"package.json={} docs/x.js a.py b.py test_b.py"#,
    "python: python3 -m unittest discover -v (Python files but nothing names pytest)"
)]
#[case(
    "Cargo.toml src/lib.rs src/a.rs setup.py",
    "rust: cargo test --offline (Cargo.toml at the root)"
)]
#[case(
    "go.mod main.go node_modules/a.js node_modules/b.js vendor/x.py vendor/y.py",
    "go: go test ./... (go.mod at the root)"
)]
fn detects(#[case] files: &str, #[case] expected: &str) {
    assert_eq!(said(files), expected);
}

#[test]
fn checks_write_nothing_into_the_tree() {
    let check = found("a.py").unwrap().check.unwrap();
    assert_eq!(check.env["PYTHONPYCACHEPREFIX"], "/tmp/pycache");
    assert_snapshot!(check.command, @r"python3 -m compileall -q -x '(^|/)(\.[^./][^/]*|node_modules|venv|fixtures|testdata)/' .");
}

#[test]
fn the_npm_placeholder_is_no_test() {
    let package = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
    let files =
        [("package.json".to_owned(), package.to_owned()), ("a.js".to_owned(), String::new())];
    assert_eq!(detect(&Files(files.into())).unwrap().test, None);
}

#[test]
fn a_million_files_are_not_all_looked_at() {
    let files = (0..100_000).map(|n| (format!("d{}/f{n}.py", n % 100), String::new())).collect();
    assert_eq!(detect(&Files(files)).unwrap().language, Language::Python);
}
