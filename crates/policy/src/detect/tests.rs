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
    detect_without_setup(&Files(files.split_whitespace().map(file).collect()))
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
#[case(
    "Cargo.toml src/main.rs",
    "rust: cargo test --no-fail-fast --offline (Cargo.toml at the root)"
)]
#[case(
    "Cargo.toml=[workspace] a/src/lib.rs",
    "rust: cargo test --no-fail-fast --offline --workspace (Cargo.toml at the root)"
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
    "rust: cargo test --no-fail-fast --offline (Cargo.toml at the root)"
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

/// A tree as text: a line `== path` and the file below it.
fn tree(text: &str) -> Files {
    let files = text.split("== ").skip(1).filter_map(|file| file.split_once('\n'));
    Files(files.map(|(path, content)| (path.to_owned(), content.to_owned())).collect())
}

/// What is detected, as people and shells read it.
fn told(text: &str) -> String {
    let Some(found) = detect(&tree(text)) else { return "nothing".to_owned() };
    let line = |name: &str, spec: Option<CommandSpec>| {
        spec.map(|spec| format!("\n{name}: {}", spec.command)).unwrap_or_default()
    };
    format!("{}{}{}", found.what, line("setup", found.setup), line("test", found.test))
}

#[test]
fn tests_that_import_pytest_get_it() {
    let test = "import sys\nimport pytest\n";
    assert_snapshot!(told(&format!("== gcd.py\n\n== test_gcd.py\n{test}")), @r"
    Python: pytest (test_gcd.py names pytest), setup from what names pytest
    setup: rm -rf .venv && python3 -I -m venv --system-site-packages .venv && .venv/bin/python -I -m pip install pytest
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
    for other in ["import pytester\n", "# import pytest\n", "x = 'import pytest'\n"] {
        let told = told(&format!("== gcd.py\n\n== test_gcd.py\n{other}"));
        assert!(told.starts_with("Python: unittest"), "{told}");
    }
}

#[test]
fn python_with_requirements_gets_an_environment() {
    assert_snapshot!(told("== requirements.txt\nrequests==2\n== requirements-dev.txt\n-r requirements.txt\n== a.py\n== conftest.py\n"), @r"
    Python: pytest (conftest.py names pytest), setup from requirements.txt, requirements-dev.txt
    setup: rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install -r requirements.txt -r requirements-dev.txt && .venv/bin/python -I -m pip install pytest
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
    // A file that is taken in can bring pytest; with hashes nothing may be added to its command.
    assert_snapshot!(told("== requirements/test.txt\n-r ../deps/more.txt\n== deps/more.txt\npytest==8 --hash=sha256:00\n== requirements/base.txt\nx\n== conftest.py\n"), @r"
    Python: pytest (conftest.py names pytest), setup from requirements/base.txt, requirements/test.txt
    setup: rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install -r requirements/base.txt -r requirements/test.txt
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
    assert_snapshot!(told("== requirements.txt\n# none yet\n\n== test_a.py\n"), @r"
    Python: unittest (requirements.txt but nothing names pytest)
    test: python3 -m unittest discover -v
    ");
    assert_snapshot!(told("== setup.py\nsetup(extras_require={'test': ['pytest']}, install_requires=[])\n== p/__init__.py\n== test_p.py\n"), @r"
    Python: pytest (setup.py names pytest), setup from setup.py
    setup: rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install -e '.[test]'
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
    assert_snapshot!(told("== Pipfile\n[packages]\nrequests = '*'\n[dev-packages]\npytest = '^8'\n== a.py\n"), @r"
    Python: pytest (Pipfile names pytest), setup from Pipfile
    setup: rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install requests 'pytest>=8,<9'
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
}

#[test]
fn python_with_a_project_file_installs_the_project_as_a_link() {
    assert_snapshot!(told("== pyproject.toml\n[build-system]\nrequires = ['hatchling']\n[project]\nname = 'p'\ndependencies = ['requests']\n[project.optional-dependencies]\ndev = ['pytest>=8']\ndocs = ['sphinx']\n== src/p/__init__.py\n== tests/test_p.py\n"), @r"
    Python: pytest (pyproject.toml names pytest), setup from pyproject.toml
    setup: rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install -e '.[dev]'
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
    assert_snapshot!(told("== pyproject.toml\n[project]\nname = 'p'\ndependencies = ['requests>=2; python_version > \"3\"', '--index-url=http://x', './local']\n[dependency-groups]\ndev = [{include-group = 'test'}]\ntest = ['hypothesis', {include-group = 'dev'}]\n[tool.pytest.ini_options]\n== a.py\n"), @r#"
    Python: pytest (pyproject.toml names pytest), setup from pyproject.toml
    setup: rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install 'requests>=2; python_version > "3"' hypothesis pytest
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    "#);
    assert_snapshot!(told("== pyproject.toml\n[tool.poetry]\nname = 'p'\n[tool.poetry.dependencies]\npython = '^3.9'\nrich = '^13.1'\n[tool.poetry.group.dev.dependencies]\npytest = '^8.0'\n[build-system]\nrequires = ['poetry-core']\n== p/__init__.py\n"), @r"
    Python: pytest (pyproject.toml names pytest), setup from pyproject.toml
    setup: rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install -e . 'pytest>=8.0,<9'
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
    // Tools alone are no dependencies.
    assert_snapshot!(told("== pyproject.toml\n[build-system]\nrequires = ['setuptools']\n[project]\nname = 'p'\n[tool.pytest.ini_options]\n== a.py\n"), @r"
    Python: pytest (pyproject.toml names pytest), setup from what names pytest
    setup: rm -rf .venv && python3 -I -m venv --system-site-packages .venv && .venv/bin/python -I -m pip install pytest
    test: .venv/bin/python -m pytest -q -p no:cacheprovider
    ");
}

#[test]
fn rust_fetches_what_is_not_in_the_tree() {
    assert_snapshot!(told("== Cargo.toml\n[package]\n[dependencies]\nserde = '1'\n== Cargo.lock\n[[package]]\nsource = 'registry+x'\n== src/lib.rs\n"), @r"
    Rust: cargo test (Cargo.toml at the root), setup from Cargo.lock
    setup: cargo fetch --locked
    test: cargo test --no-fail-fast --offline
    ");
    assert_snapshot!(told("== Cargo.toml\n[workspace]\nmembers = ['a']\n== a/Cargo.toml\n[target.'cfg(unix)'.dev-dependencies]\nrand = {version = '1'}\n== a/src/lib.rs\n"), @r"
    Rust: cargo test (Cargo.toml at the root), setup from Cargo.toml
    setup: cargo fetch
    test: cargo test --no-fail-fast --offline --workspace
    ");
    assert_snapshot!(told("== Cargo.toml\n[dependencies]\na = {path = 'a'}\nb = {workspace = true}\n[workspace.dependencies]\nb = {path = 'b'}\n== Cargo.lock\nversion = 4\n== .config/nextest.toml\n== src/lib.rs\n"), @r"
    Rust: cargo nextest (Cargo.toml and .config/nextest.toml)
    test: cargo nextest run --no-fail-fast --offline --workspace
    ");
}

#[test]
fn node_installs_with_its_own_manager() {
    let jest = r#"{"scripts":{"test":"npm run unit","unit":"cross-env X=1 jest --coverage"},"devDependencies":{"jest":"^29"}}"#;
    for lock in ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "none"] {
        let text = format!("== package.json\n{jest}\n== {lock}\nx\n== a.js\n");
        insta::allow_duplicates! {
            match lock {
                "package-lock.json" => assert_snapshot!(told(&text), @r"
    Node: jest (package.json has a test script), setup from package-lock.json
    setup: npm ci
    test: npm test
    "),
                "pnpm-lock.yaml" => assert_snapshot!(told(&text), @r"
    Node: jest (package.json has a test script), setup from pnpm-lock.yaml
    setup: pnpm install --frozen-lockfile
    test: pnpm test
    "),
                "yarn.lock" => assert_snapshot!(told(&text), @r"
    Node: jest (package.json has a test script), setup from yarn.lock
    setup: yarn install --frozen-lockfile --non-interactive
    test: yarn test
    "),
                _ => assert_snapshot!(told(&text), @r"
    Node: jest (package.json has a test script), setup from package.json
    setup: npm install --no-package-lock
    test: npm test
    "),
            }
        }
    }
    assert_snapshot!(told("== package.json\n{\"packageManager\":\"yarn@4.1.0\",\"devDependencies\":{\"vitest\":\"1\"}}\n== yarn.lock\n== a.test.ts\n"), @r"
    Node: vitest (package.json has no test script), setup from yarn.lock
    setup: yarn install --immutable
    test: yarn run vitest run
    ");
    assert_snapshot!(told("== package.json\n{\"scripts\":{\"test\":\"./check\"}}\n== a.js\n"), @r"
    Node: `npm test` (package.json has a test script)
    test: npm test
    ");
}

#[test]
fn go_downloads_its_modules() {
    assert_snapshot!(told("== go.mod\nmodule x\ngo 1.22\nrequire (\n\tgithub.com/a/b v1.2.3 // indirect\n)\n== a.go\n"), @r"
    Go: go test (go.mod at the root), setup from go.mod
    setup: go mod download
    test: go test ./...
    ");
    assert_snapshot!(told("== go.mod\nmodule x\nrequire github.com/a/b v1.2.3\n== vendor/modules.txt\n== a.go\n"), @r"
    Go: go test (go.mod at the root)
    test: go test ./...
    ");
    assert_snapshot!(told("== go.mod\nmodule x\ngo 1.22\ntoolchain go1.22.1\n== a.go\n"), @r"
    Go: go test (go.mod at the root)
    test: go test ./...
    ");
}

#[rstest]
#[case("python -m pytest -x tests", Runner::Pytest)]
#[case("pip install pytest && python3 -m unittest -v", Runner::Unittest)]
#[case("uv run pytest", Runner::Pytest)]
#[case("PYTHONPATH=. coverage run -m pytest", Runner::Pytest)]
#[case("cargo +stable test --workspace", Runner::CargoTest)]
#[case("cargo nextest run", Runner::Nextest)]
#[case("cd sub && go test -race ./...", Runner::GoTest)]
#[case("npx --no-install vitest run", Runner::Vitest)]
#[case("node --test", Runner::NodeTest)]
#[case("node --experimental-vm-modules node_modules/jest/bin/jest.js", Runner::Jest)]
#[case("yarn mocha -R spec", Runner::Mocha)]
#[case("npm test", Runner::Mocha)]
#[case("pnpm -s run unit", Runner::NodeTest)]
#[case("make -s test", Runner::GoTest)]
#[case("bash ./ci/test.sh", Runner::Pytest)]
#[case("npm run loop", Runner::Other)]
#[case("tox", Runner::Other)]
#[case("echo pytest", Runner::Other)]
#[case("", Runner::Other)]
fn a_command_names_its_runner(#[case] command: &str, #[case] expected: Runner) {
    let files = tree(
        "== package.json\n{\"scripts\":{\"test\":\"nyc mocha\",\"unit\":\"node --test x\",\"loop\":\"npm run loop; npm run loop\"}}\n\
         == Makefile\nlint:\n\tcargo test\ntest: lint\n\t@go test ./...\n\nother:\n\tpytest\n== ci/test.sh\n#!/bin/bash\n# cargo test\nexec pytest \\\n  -q\n",
    );
    assert_eq!(runner_of(None, &CommandSpec::new(command), &files), expected);
}

#[test]
fn of_two_runners_the_one_of_the_language_counts() {
    let command = CommandSpec::new("cargo test && python -m pytest");
    let files = Files(BTreeMap::new());
    assert_eq!(runner_of(None, &command, &files), Runner::CargoTest);
    assert_eq!(runner_of(Some(Language::Python), &command, &files), Runner::Pytest);
    assert_eq!(runner_of(Some(Language::Go), &command, &files), Runner::CargoTest);
    let below = CommandSpec { directory: "web".to_owned(), ..CommandSpec::new("npm test") };
    let files = tree("== web/package.json\n{\"scripts\":{\"test\":\"vitest\"}}\n");
    assert_eq!(runner_of(None, &below, &files), Runner::Vitest);
}

#[test]
fn what_decides_a_setup_is_found_wherever_it_is() {
    let files = tree(
        "== requirements.txt\n-r deps/base.in\n--constraint=../outside.txt\n== deps/base.in\n-c pins.txt\n== deps/pins.txt\n-r base.in\n\
         == pyproject.toml\n== Cargo.toml\n== a/Cargo.toml\n== Cargo.lock\n== .cargo/config.toml\n== config.toml\n\
         == go.mod\n== go.sum\n== package.json\n== packages/a/package.json\n== node_modules/x/package.json\n== yarn.lock\n== notes.txt\n",
    );
    let of = |language| manifests_and_locks(language, &files).join(" ");
    assert_eq!(of(Language::Python), "deps/base.in deps/pins.txt pyproject.toml requirements.txt");
    assert_eq!(of(Language::Rust), ".cargo/config.toml Cargo.lock Cargo.toml a/Cargo.toml");
    assert_eq!(of(Language::Node), "package.json packages/a/package.json yarn.lock");
    assert_eq!(of(Language::Go), "go.mod go.sum");
}

#[test]
fn what_a_tree_says_stays_one_word_of_a_command() {
    let text = "== pyproject.toml\n[project]\ndependencies = [\"a; echo '$(id)' > x\", \"b\\nc\", \"-e .\"]\n== a.py\n";
    assert_snapshot!(detect(&tree(text)).unwrap().setup.unwrap().command, @r"rm -rf .venv && python3 -I -m venv .venv && .venv/bin/python -I -m pip install 'a; echo '\''$(id)'\'' > x'");
    assert_eq!(shell_word("a'b"), r"'a'\''b'");
    assert_eq!(shell_word(""), "''");
}
