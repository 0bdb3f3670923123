//! What the test command runs: scripts, and the scripts that they run in turn.

use std::collections::{BTreeSet, HashSet};

use booty_policy::{CommandSpec, TreeView};
use serde_json::Value;

use super::command::{is_makefile, recipes};

/// Scripts that are followed in all.
const MAX_SCRIPTS: usize = 64;
/// What runs the file that is named behind it.
const INTERPRETERS: [&str; 19] = [
    "sh", "bash", "dash", "zsh", "exec", "source", ".", "env", "time", "python", "python3", "node",
    "bun", "deno", "tsx", "ts-node", "ruby", "perl", "include",
];

/// Files that the test command runs or reads, as the base has them: what a script of the base runs
/// counts as much as what the command names.
#[derive(Debug, Default)]
pub(in crate::evidence) struct Used {
    paths: BTreeSet<String>,
}

impl Used {
    /// Follows the command through the base's scripts.
    pub(in crate::evidence) fn of(command: &CommandSpec, base: &dyn TreeView) -> Self {
        let all: HashSet<String> = base.paths().collect();
        let mut search = Search { base, all, command, used: Self::default(), left: MAX_SCRIPTS };
        search.script(&command.command, &command.directory);
        search.used
    }

    /// Whether it is one of them.
    pub(in crate::evidence) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }
}

struct Search<'a> {
    base: &'a dyn TreeView,
    all: HashSet<String>,
    command: &'a CommandSpec,
    used: Used,
    left: usize,
}

impl Search<'_> {
    /// One script, that stands in this folder.
    fn script(&mut self, text: &str, folder: &str) {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let words: Vec<&str> = line
                .split([' ', '\t', ';', '&', '|', '(', ')', '@'])
                .map(|word| word.trim_matches(['"', '\'', '`', '{', '}']))
                .filter(|word| !word.is_empty())
                .collect();
            for (n, word) in words.iter().enumerate() {
                let before = words.get(..n).unwrap_or_default();
                match *word {
                    "make" | "gmake" => self.makefiles(),
                    "npm" | "pnpm" | "yarn" | "bun" => {
                        self.package(words.get(n + 1..).unwrap_or_default(), folder);
                    }
                    word => self.file(word, before, folder),
                }
            }
        }
    }

    /// A word that may name a file which is run.
    fn file(&mut self, word: &str, before: &[&str], folder: &str) {
        let word = word.trim_start_matches("./");
        let starts = [self.command.directory.clone(), folder.to_owned(), String::new()];
        let paths = starts.iter().map(|start| join(start, word));
        let Some(path) = paths.into_iter().find(|path| self.all.contains(path)) else { return };
        let name = path.rsplit('/').next().unwrap_or(&path);
        let last = before.iter().rev().find(|word| !word.starts_with('-'));
        let is_run = last.is_none_or(|word| {
            INTERPRETERS.contains(&word.rsplit('/').next().unwrap_or(word)) || word.contains('=')
        });
        // What is named among the arguments of something else is read at most, and a program that is
        // run is what is tested, unless it stands where tools do.
        if is_shell(name) || is_run && (!name.contains('.') || is_tool(&path)) {
            self.add(path);
        }
    }

    fn makefiles(&mut self) {
        let directory = self.command.directory.clone();
        for name in ["GNUmakefile", "makefile", "Makefile"] {
            let path = join(&directory, name);
            if self.all.contains(&path) {
                self.add(path);
                return;
            }
        }
    }

    /// The scripts that a package manager was told to run.
    fn package(&mut self, words: &[&str], folder: &str) {
        let path = join(&self.command.directory, "package.json");
        let package = self.base.read(&path).and_then(|text| serde_json::from_str(&text).ok());
        let Some(package): Option<Value> = package else { return };
        let named = words.iter().find(|word| !word.starts_with('-') && !word.starts_with("run"));
        let name = match named.copied() {
            None | Some("t" | "tst") => "test",
            Some(name) => name,
        };
        for name in [format!("pre{name}"), name.to_owned(), format!("post{name}")] {
            let script = package.get("scripts").and_then(|scripts| scripts.get(name)?.as_str());
            if let Some(script) = script.filter(|_| self.left > 0) {
                self.left -= 1;
                self.script(script, folder);
            }
        }
    }

    /// Follows what is a script itself.
    fn add(&mut self, path: String) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let (folder, name) = (folder.to_owned(), name.to_owned());
        if self.left == 0 || !self.used.paths.insert(path.clone()) {
            return;
        }
        self.left -= 1;
        let Some(text) = self.base.read(&path) else { return };
        if is_makefile(&name) {
            self.script(&recipes(&text, &self.command.command), &folder);
        } else if is_shell(&name) || text.starts_with("#!") && is_shell_line(&text) {
            self.script(&text, &folder);
        }
    }
}

fn is_shell(name: &str) -> bool {
    let end = name.rsplit_once('.').map(|(_, end)| end);
    matches!(end, Some("sh" | "bash" | "mk" | "just")) || is_makefile(name)
}

/// Whether a program is one that helps to build and test.
fn is_tool(path: &str) -> bool {
    const FOLDERS: [&str; 7] = ["scripts", "script", "tools", "bin", "ci", "build", "hack"];
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    folder.split('/').any(|part| FOLDERS.contains(&part)) || name.contains("test")
}

fn is_shell_line(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.split(['/', ' ']).any(|word| matches!(word, "sh" | "bash" | "dash" | "zsh"))
}

fn join(folder: &str, path: &str) -> String {
    match folder.trim_end_matches('/') {
        "" => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}
