//! The programs below `tests/programs`.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::process::Command;

/// When set, all forty are taken; else [`HANDFUL`].
const ALL: &str = "BOOTY_TEST_ALL";
/// One that never ends, one on lists, one that overflows the stack, one repair of several lines, one with
/// long tests.
const HANDFUL: [&str; 5] = ["bitcount", "detect_cycle", "gcd", "shunting_yard", "wrap"];
/// For a program that never ends. Repaired, its tests take a few milliseconds.
const ENDLESS_LIMIT: Duration = Duration::from_secs(5);
/// Only a program that never ends takes this long.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one that must not end is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// One program.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: String,
    /// As published, with its defect.
    pub(super) buggy: String,
    pub(super) tests: String,
    /// What programs on graphs are tested with.
    node: Option<String>,
    pub(super) patch: Patch,
}

/// What can be made of a program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    /// What is wrong; once in the program.
    pub(super) old: String,
    /// Instead of it, and wrong as well.
    pub(super) wrong: String,
    /// Instead of it, and right.
    pub(super) right: String,
    /// Unless it is repaired, the program never ends.
    #[serde(default)]
    pub(super) endless: bool,
}

impl Program {
    /// All of them, by name.
    pub(super) fn all() -> Vec<Self> {
        let mut folders: Vec<PathBuf> = fs::read_dir(corpus())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        folders.into_iter().map(Self::read).collect()
    }

    /// All of them, or a handful where nobody asked for all.
    pub(super) fn chosen() -> Vec<Self> {
        let mut programs = Self::all();
        if std::env::var_os(ALL).is_none() {
            programs.retain(|program| HANDFUL.contains(&program.name.as_str()));
        }
        programs
    }

    fn read(folder: PathBuf) -> Self {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let text = |name: String| fs::read_to_string(folder.join(name)).unwrap();
        let tests = text(format!("test_{name}.py"));
        let needs_node = tests.contains("from node import");
        let node = needs_node.then(|| fs::read_to_string(corpus().join("node.py")).unwrap());
        let program = Self {
            buggy: text(format!("{name}.py")),
            patch: serde_json::from_str(&text("patch.json".to_owned())).unwrap(),
            name,
            tests,
            node,
        };
        assert_eq!(program.buggy.matches(&program.patch.old).count(), 1, "{}", program.name);
        program
    }

    pub(super) fn file(&self) -> String {
        format!("{}.py", self.name)
    }

    pub(super) fn test_file(&self) -> String {
        format!("test_{}.py", self.name)
    }

    /// How long its tests may take.
    pub(super) fn limit(&self) -> Duration {
        if self.patch.endless { ENDLESS_LIMIT } else { LIMIT }
    }

    /// Path and content of what there is besides the program and its tests.
    pub(super) fn surroundings(&self) -> Vec<(String, String)> {
        let node = self.node.iter().map(|node| ("node.py".to_owned(), node.clone()));
        let config = format!(
            "version: 1\nsetup: 'true'\ntest:\n  command: python3 -B -m unittest -v\n  timeout: {}s\n",
            self.limit().as_secs()
        );
        node.chain([(".booty.yml".to_owned(), config)]).collect()
    }

    fn with(&self, instead: &str) -> String {
        self.buggy.replacen(&self.patch.old, instead, 1)
    }

    pub(super) fn repaired(&self) -> String {
        self.with(&self.patch.right)
    }

    /// How its tests end on this text of it, within a time.
    async fn test(&self, text: &str, limit: Duration) -> Tests {
        let folder = tempfile::tempdir().unwrap();
        let mut files = self.surroundings();
        files.push((self.file(), text.to_owned()));
        files.push((self.test_file(), self.tests.clone()));
        for (path, content) in files {
            fs::write(folder.path().join(path), content).unwrap();
        }
        let mut python = Command::new("python3");
        python.args(["-B", "-m", "unittest"]).current_dir(folder.path()).kill_on_drop(true);
        python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match tokio::time::timeout(limit, python.status()).await {
            Ok(status) if status.as_ref().unwrap().success() => Tests::Pass,
            Ok(_) => Tests::Fail,
            Err(_) => Tests::NeverEnd,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Tests {
    Pass,
    Fail,
    NeverEnd,
}

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_forty_fails_its_tests_until_it_is_repaired() {
    let programs = Program::all();
    assert_eq!(programs.len(), 40);
    assert_eq!(programs.iter().filter(|program| program.patch.endless).count(), 3);
    let checks = programs.into_iter().map(|program| async move {
        let (broken, limit) =
            if program.patch.endless { (Tests::NeverEnd, WATCHED) } else { (Tests::Fail, LIMIT) };
        let name = &program.name;
        assert_eq!(program.test(&program.buggy, limit).await, broken, "{name} as published");
        let wrong = program.with(&program.patch.wrong);
        assert_eq!(program.test(&wrong, limit).await, broken, "{name}, wrongly repaired");
        assert_eq!(program.test(&program.repaired(), LIMIT).await, Tests::Pass, "{name}, repaired");
    });
    stream::iter(checks).buffer_unordered(2).collect::<()>().await;
}
