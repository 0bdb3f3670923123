//! Which program runs the tests in the end, read from a command and from what it calls.

use serde_json::Value;

use super::{Runner, TreeView};
use crate::config::{CommandSpec, Language};

/// A script may call a script.
const MAX_DEPTH: usize = 4;
/// Commands that are looked at in all.
const MAX_COMMANDS: usize = 200;

/// The runner of a configured command: from its words, from the scripts of `package.json` and the
/// targets of a `Makefile` that it names, and from script files of the tree. Nothing is run.
pub fn runner_of(language: Option<Language>, command: &CommandSpec, tree: &dyn TreeView) -> Runner {
    let mut search =
        Search { tree, folder: &command.directory, left: MAX_COMMANDS, found: Vec::new() };
    search.script(&command.command, 0);
    // Where several are called, the one of the repository's language; else what is said goes.
    let of_language = search.found.iter().find(|runner| runner.language() == language);
    of_language.or(search.found.first()).copied().unwrap_or(Runner::Other)
}

struct Search<'a> {
    tree: &'a dyn TreeView,
    folder: &'a str,
    left: usize,
    found: Vec<Runner>,
}

impl Search<'_> {
    fn script(&mut self, script: &str, depth: usize) {
        let script = script.replace("\\\n", " ");
        for line in script.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for command in line.split([';', '|', '&', '(', ')']) {
                if self.left == 0 {
                    return;
                }
                let words: Vec<&str> = command
                    .split_whitespace()
                    .map(|word| word.trim_matches(['"', '\'', '`', '@', '$', '{', '}']))
                    .filter(|word| !word.is_empty())
                    .collect();
                if !words.is_empty() {
                    self.left -= 1;
                    self.command(&words, depth);
                }
            }
        }
    }

    fn command(&mut self, words: &[&str], depth: usize) {
        // What is installed or printed is not run.
        if words.iter().any(|word| matches!(*word, "install" | "add" | "ci" | "uninstall"))
            || words[0] == "echo"
        {
            return;
        }
        for (n, word) in words.iter().enumerate() {
            let name = word.rsplit('/').next().unwrap_or(word);
            let rest = &words[n + 1..];
            let next = || rest.iter().copied().find(|word| !word.starts_with(['-', '+']));
            let runner = match name {
                "pytest" | "py.test" => Some(Runner::Pytest),
                "unittest" if n > 0 && words[n - 1] == "-m" => Some(Runner::Unittest),
                "cargo" => match next() {
                    Some("nextest") => Some(Runner::Nextest),
                    Some("test" | "t") => Some(Runner::CargoTest),
                    _ => None,
                },
                "go" if next() == Some("test") => Some(Runner::GoTest),
                "node" if rest.contains(&"--test") => Some(Runner::NodeTest),
                "jest" | "jest.js" => Some(Runner::Jest),
                "react-scripts" if next() == Some("test") => Some(Runner::Jest),
                "vitest" | "vitest.mjs" => Some(Runner::Vitest),
                "mocha" | "_mocha" => Some(Runner::Mocha),
                _ => None,
            };
            if runner.is_some() {
                self.found.extend(runner);
                return;
            }
            if depth < MAX_DEPTH && self.called(name, word, n == 0, rest, depth) {
                return;
            }
        }
    }

    /// Follows a word that calls a script.
    fn called(
        &mut self,
        name: &str,
        word: &str,
        is_first: bool,
        rest: &[&str],
        depth: usize,
    ) -> bool {
        let mut names = rest.iter().copied().filter(|word| !word.starts_with('-'));
        let script = match name {
            "npm" | "pnpm" | "yarn" | "bun" => match names.next() {
                Some("run" | "run-script") => {
                    names.next().and_then(|name| self.package_script(name))
                }
                Some("t" | "tst") => self.package_script("test"),
                // `pnpm exec jest` goes on with its next word.
                Some(name) => self.package_script(name),
                None => None,
            },
            "make" => names.next().and_then(|target| self.target(target)),
            _ if is_first || matches!(word.rsplit_once('.'), Some((_, "sh" | "bash"))) => {
                let is_file = word.contains('/') || word.ends_with(".sh");
                is_file.then(|| self.read(word)).flatten()
            }
            _ => None,
        };
        let Some(script) = script else { return false };
        self.script(&script, depth + 1);
        true
    }

    fn read(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix("./").unwrap_or(path);
        match self.folder {
            "" => self.tree.read(path),
            folder => self.tree.read(&format!("{folder}/{path}")),
        }
    }

    fn package_script(&self, name: &str) -> Option<String> {
        let package: Value = serde_json::from_str(&self.read("package.json")?).ok()?;
        Some(package.get("scripts")?.get(name)?.as_str()?.to_owned())
    }

    /// The recipe of a target: the indented lines after its name.
    fn target(&self, name: &str) -> Option<String> {
        let text = self.read("Makefile").or_else(|| self.read("makefile"))?;
        let starts = |line: &&str| {
            line.split_once(':').is_some_and(|(targets, _)| {
                !line.starts_with('\t') && targets.split_whitespace().any(|target| target == name)
            })
        };
        let mut lines = text.lines().skip_while(|line| !starts(line));
        lines.next()?;
        let recipe: Vec<&str> = lines.take_while(|line| line.starts_with('\t')).collect();
        Some(recipe.join("\n"))
    }
}
