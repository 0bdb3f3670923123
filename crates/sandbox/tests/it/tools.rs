//! What people's repositories run must still run in all these limits.

use std::path::{Path, PathBuf};

use booty_sandbox::{Command, End, Limits, Sandbox, SandboxSettings};
use rstest::rstest;

use crate::world::World;

#[rstest]
#[case::python(
    "/usr/bin/python3",
    &[("stats.py", "def mean(x): return sum(x) / len(x)\n"),
      ("test_stats.py", "import unittest, multiprocessing, tempfile, threading, ssl, sqlite3\nfrom stats import mean\nclass T(unittest.TestCase):\n    def test(self):\n        with multiprocessing.Pool(2) as p:\n            self.assertEqual(p.map(mean, [[1, 3]]), [2])\n")],
    "python3 -m compileall -q . && python3 -m unittest discover -v",
)]
#[case::node(
    "/usr/bin/node",
    &[("sum.test.mjs", "import test from 'node:test'; import assert from 'node:assert';\nimport { Worker } from 'node:worker_threads';\ntest('sum', () => { new Worker('1', { eval: true }); assert.equal(1 + 1, 2) })\n")],
    "node --test",
)]
#[case::go(
    "/usr/local/go/bin/go",
    &[("go.mod", "module example.org/sum\n\ngo 1.20\n"), ("sum.go", "package sum\n\nfunc Sum(a, b int) int { return a + b }\n")],
    "GOTOOLCHAIN=local GOPROXY=off go build ./...",
)]
#[case::git("/usr/bin/git", &[("a", "a")], "git init -q . && git add a && git -c user.name=a -c user.email=a@b commit -qm a && git log --oneline")]
#[tokio::test]
async fn tools_of_the_system_work(
    #[case] tool: &str,
    #[case] files: &[(&str, &str)],
    #[case] script: &str,
) {
    if !Path::new(tool).exists() {
        println!("skipped: there is no {tool}");
        return;
    }
    let world = World::new().await;
    for (name, content) in files {
        std::fs::write(world.tree().join(name), content).unwrap();
    }
    world.own();
    let mut command = world.command(script);
    command.limits = Limits::default();
    let result = world.run(&command).await;
    assert_eq!(result.end, End::Exited(0), "{}", result.output);
}

#[tokio::test]
async fn a_rust_toolchain_in_a_home_works() {
    let Some(toolchain) = toolchain() else {
        println!("skipped: this test was not built by a toolchain of rustup's");
        return;
    };
    let settings =
        SandboxSettings { read_only: vec![toolchain.clone()], ..SandboxSettings::default() };
    let Ok(sandbox) = Sandbox::prepare(settings).await else {
        println!("skipped: {} is not this user's to read", toolchain.display());
        return;
    };
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("src")).unwrap();
    std::fs::write(
        tree.path().join("Cargo.toml"),
        "[package]\nname = 'sum'\nversion = '0.1.0'\nedition = '2021'\n",
    )
    .unwrap();
    std::fs::write(
        tree.path().join("src/lib.rs"),
        "#[test]\nfn sums() { assert_eq!(1 + 1, 2); }\n",
    )
    .unwrap();
    sandbox.own(tree.path()).unwrap();
    let command = Command::new("cargo test --offline", tree.path());
    let result = sandbox.run(&command, &Default::default()).await.unwrap();
    assert_eq!(result.end, End::Exited(0), "{}", result.output);
}

/// The toolchain that runs this test, which rustup keeps in a home.
fn toolchain() -> Option<PathBuf> {
    let cargo = PathBuf::from(std::env::var_os("CARGO")?);
    let folder = cargo.parent()?.parent()?;
    folder.join("lib/rustlib").is_dir().then(|| folder.to_owned())
}
