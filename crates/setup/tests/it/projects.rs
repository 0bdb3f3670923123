//! Projects that really have dependencies.

use booty_setup::{Kind, NotInstalledWhy, SetupOutcome};

use crate::world::{World, installed, operator, step, toolchain};

/// Whether this machine's client reaches its registry; says so if not.
async fn reaches(kind: Kind) -> bool {
    let registry = booty_setup::Registry::discover(kind, &operator()).await;
    println!("{kind}: {:?} {:?}", registry.hosts, registry.notes);
    let reached =
        !registry.hosts.is_empty() && registry.notes.iter().all(|n| !n.contains("failed"));
    if !reached {
        println!("skipped: {kind} reaches no registry here: {:?}", registry.notes);
    }
    reached
}

struct Project {
    kind: Kind,
    files: &'static [(&'static str, &'static str)],
    setup: &'static str,
    test: &'static str,
    /// What a commit changes that installs nothing new.
    change: (&'static str, &'static str),
}

async fn installs_tests_and_installs_again_from_the_cache(project: &Project) {
    let world = World::new().await;
    let setup = world.setup();
    let tree = world.tree(project.files);
    let first = installed(world.run(&setup, &step(project.kind, tree.path(), project.setup)).await);
    println!("{}: filled in {:?}, {:?}", project.kind, first.result.duration, first.reached);
    assert!(!first.cache_hit);
    assert!(first.reached.iter().any(|reached| reached.bytes > 0), "{:?}", first.reached);
    assert_eq!(first.refused, [], "{}", first.result.output);
    let result = world.after(&first, tree.path(), project.test).await;
    assert!(result.succeeded(), "{}", result.output);

    // What a test tries to leave behind for the next.
    let poison = "for f in $(find /cache -type f | head -50) /cache/x; do \
        (echo poison >> \"$f\") 2>/dev/null && echo \"wrote $f\"; done; rm -rf /cache/* 2>/dev/null; true";
    let result = world.after(&first, tree.path(), poison).await;
    assert_eq!(result.output, "");
    drop(first);

    // Another tree with the same lock: the same packages, and no network, as nothing is reached.
    let tree = world.tree(project.files);
    let (name, content) = project.change;
    std::fs::write(tree.path().join(name), content).unwrap();
    world.sandbox.own(tree.path()).unwrap();
    let again = world.setup();
    let second =
        installed(world.run(&again, &step(project.kind, tree.path(), project.setup)).await);
    assert!(second.cache_hit, "{}", second.result.output);
    println!("{}: from the cache in {:?}", project.kind, second.result.duration);
    assert_eq!((second.reached.len(), second.refused.len()), (0, 0));
    let result = world.after(&second, tree.path(), project.test).await;
    assert!(result.succeeded(), "{}", result.output);
    drop(second);

    // By the operator's word, nothing is reached; then what is missing is said to be missing.
    let tree = world.tree(project.files);
    let outcome =
        world.run(&world.offline(), &step(project.kind, tree.path(), project.setup)).await;
    let SetupOutcome::NotInstalled(not) = outcome else { panic!("installed from nothing") };
    assert_eq!(not.why, NotInstalledWhy::NetworkOff);
    assert!(!not.result.unwrap().succeeded());
}

#[tokio::test]
async fn python() {
    if reaches(Kind::Python).await {
        installs_tests_and_installs_again_from_the_cache(&Project {
            kind: Kind::Python,
            files: &[
                ("requirements.txt", "attrs==23.2.0\nsix==1.16.0\npytest==8.3.3\n"),
                ("stats.py", "import attr, six\n\n@attr.s\nclass Mean:\n    xs = attr.ib()\n\n    def value(self):\n        return sum(six.moves.map(float, self.xs)) / len(self.xs)\n"),
                ("test_stats.py", "from stats import Mean\n\ndef test_mean():\n    assert Mean([1, 3]).value() == 2\n"),
            ],
            setup: "/usr/bin/python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
            test: ".venv/bin/python -m pytest -q",
            change: ("stats.py", "import attr, six\n\n@attr.s\nclass Mean:\n    xs = attr.ib()\n\n    def value(self):\n        return 2\n"),
        })
        .await;
    }
}

#[tokio::test]
async fn npm() {
    if reaches(Kind::Node).await {
        installs_tests_and_installs_again_from_the_cache(&Project {
            kind: Kind::Node,
            files: &[
                ("package.json", "{\"name\": \"x\", \"version\": \"1.0.0\", \"dependencies\": {\"isarray\": \"2.0.5\", \"ms\": \"2.1.3\"}}\n"),
                ("package-lock.json", LOCK),
                ("x.test.js", "const test = require('node:test');\nconst assert = require('node:assert');\ntest('x', () => { assert.ok(require('isarray')([])); assert.equal(require('ms')('1s'), 1000) });\n"),
            ],
            setup: "npm ci",
            test: "node --test && npm ls",
            change: ("x.js", "module.exports = 1\n"),
        })
        .await;
    }
}

const LOCK: &str = r#"{
  "name": "x", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {"name": "x", "version": "1.0.0", "dependencies": {"isarray": "2.0.5", "ms": "2.1.3"}},
    "node_modules/isarray": {"version": "2.0.5", "integrity": "sha512-xHjhDr3cNBK0BzdUJSPXZntQUx/mwMS5Rw4A7lPJ90XGAO6ISP/ePDNuo0vhqOZU+UD5JoodwCAAoZQd3FeAKw=="},
    "node_modules/ms": {"version": "2.1.3", "integrity": "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="}
  }
}
"#;

#[tokio::test]
async fn a_script_alone_can_name_packages() {
    const SETUP: &str =
        "rm -rf .venv && python3 -m venv .venv && .venv/bin/pip install six==1.16.0";
    if reaches(Kind::Python).await {
        installs_tests_and_installs_again_from_the_cache(&Project {
            kind: Kind::Python,
            files: &[("a.py", "import six\n")],
            setup: SETUP,
            test: ".venv/bin/python a.py",
            change: ("a.py", "import six  # still\n"),
        })
        .await;
    }
    // What needs no package asks no registry.
    let world = World::new().await;
    let tree = world.tree(&[("a.py", "")]);
    let made = installed(world.run(&world.setup(), &step(Kind::Python, tree.path(), "true")).await);
    assert_eq!((made.cache_hit, made.reached.len()), (false, 0));
}

#[tokio::test]
async fn cargo() {
    if toolchain().is_none() {
        println!("skipped: this test was not built by a toolchain of rustup's");
    } else if reaches(Kind::Rust).await {
        installs_tests_and_installs_again_from_the_cache(&Project {
            kind: Kind::Rust,
            files: &[
                ("Cargo.toml", "[package]\nname = 'sum'\nversion = '0.1.0'\nedition = '2021'\n[dependencies]\nitoa = '=1.0.11'\n"),
                ("src/lib.rs", "#[test]\nfn writes() { assert_eq!(itoa::Buffer::new().format(42), \"42\"); }\n"),
            ],
            setup: "cargo fetch",
            test: "cargo test",
            change: ("src/lib.rs", "#[test]\nfn writes() { assert_eq!(itoa::Buffer::new().format(43), \"43\"); }\n"),
        })
        .await;
    }
}

#[tokio::test]
async fn go() {
    if !std::path::Path::new("/usr/local/go/bin/go").exists() {
        println!("skipped: there is no go where sandboxes see it");
    } else if reaches(Kind::Go).await {
        installs_tests_and_installs_again_from_the_cache(&Project {
            kind: Kind::Go,
            files: &[
                ("go.mod", "module example.org/x\n\ngo 1.20\n\nrequire github.com/pkg/errors v0.9.1\n"),
                ("go.sum", "github.com/pkg/errors v0.9.1 h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=\ngithub.com/pkg/errors v0.9.1/go.mod h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=\n"),
                ("x.go", "package x\n\nimport \"github.com/pkg/errors\"\n\nfunc Fail() error { return errors.New(\"no\") }\n"),
                ("x_test.go", "package x\n\nimport \"testing\"\n\nfunc TestFail(t *testing.T) {\n\tif Fail().Error() != \"no\" {\n\t\tt.Fail()\n\t}\n}\n"),
            ],
            setup: "go mod download",
            test: "go test ./...",
            change: ("x.go", "package x\n\nimport \"github.com/pkg/errors\"\n\nfunc Fail() error { e := errors.New(\"no\"); return e }\n"),
        })
        .await;
    }
}
