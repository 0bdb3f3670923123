//! What a Node command runs in the end, as far as every word of it is known.

use serde_json::Value;

/// Those that run a script of `package.json`.
const MANAGERS: [&str; 4] = ["npm", "pnpm", "yarn", "bun"];
/// Options that already say where results go, or that make no run of it.
const OWN: [&str; 8] = [
    "--json",
    "--outputFile",
    "--reporter",
    "--watch",
    "--listTests",
    "--showConfig",
    "--init",
    "--help",
];

/// The words of one simple command: nothing in it means anything to a shell.
fn words(script: &str) -> Option<Vec<&str>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_./=:@,+%".contains(c);
    script.trim().chars().all(is_plain).then(|| script.split_whitespace().collect())
}

/// The script of `package.json` that these words run, if they are no more than that.
fn script_of<'a>(words: &[&str], package: &'a Value) -> Option<&'a str> {
    let (manager, rest) = words.split_first()?;
    let name = match rest {
        _ if !MANAGERS.contains(manager) => return None,
        ["test" | "t" | "tst"] => "test",
        ["run" | "run-script", name] => name,
        _ => return None,
    };
    let scripts = package.get("scripts")?;
    // npm runs them around it.
    let has = |before: &str| scripts.get(format!("{before}{name}")).is_some();
    if has("pre") || has("post") {
        return None;
    }
    scripts.get(name)?.as_str()
}

/// All that a command runs, if it can be known: a package manager's script is looked up, once.
pub(super) fn expanded(script: &str, package: Option<&str>) -> Option<String> {
    let is_opaque = |script: &str| {
        script.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).any(|word| {
            MANAGERS.contains(&word)
                || matches!(word, "make" | "npx" | "sh" | "bash" | "eval" | "env")
                || word.ends_with(".sh")
        })
    };
    if !is_opaque(script) {
        return Some(script.to_owned());
    }
    let package: Value = serde_json::from_str(package?).ok()?;
    let inner = script_of(&words(script)?, &package)?;
    (!is_opaque(inner)).then(|| inner.to_owned())
}

/// What comes between a command and options for its runner: nothing but that runner may be run.
pub(super) fn place_for_options(
    script: &str,
    runner: &str,
    package: Option<&str>,
) -> Option<&'static str> {
    let words = words(script)?;
    if is_runner(&words, runner) {
        return Some(" ");
    }
    let package: Value = serde_json::from_str(package?).ok()?;
    let inner = script_of(&words, &package)?;
    if !is_runner(&self::words(inner)?, runner) {
        return None;
    }
    // npm alone keeps options to itself.
    Some(if words.first() == Some(&"npm") { " -- " } else { " " })
}

fn is_runner(words: &[&str], runner: &str) -> bool {
    let rest = match words {
        ["npx", "--no-install" | "--no" | "--yes", name, rest @ ..]
        | ["pnpm" | "yarn", "exec", name, rest @ ..]
        | ["npx" | "yarn" | "pnpm", name, rest @ ..]
        | [name, rest @ ..]
            if *name == runner =>
        {
            rest
        }
        _ => return false,
    };
    let is_own =
        |word: &&str| *word == "--" || *word == "-h" || OWN.iter().any(|own| word.starts_with(own));
    // Vitest has other commands, and watches without `run` where there is a terminal.
    let is_run = runner != "vitest"
        || rest.first().is_none_or(|first| *first == "run" || first.starts_with('-'));
    is_run && !rest.iter().any(is_own)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PACKAGE: &str = r#"{"scripts":{"test":"jest --ci","unit":"vitest run","all":"npm run lint && jest","node":"node --test --test-reporter=tap","around":"jest","prearound":"tsc"}}"#;

    #[rstest]
    #[case("jest", "jest", Some(" "))]
    #[case("npx --no-install jest --ci", "jest", Some(" "))]
    #[case("npm test", "jest", Some(" -- "))]
    #[case("yarn test", "jest", Some(" "))]
    #[case("pnpm run unit", "vitest", Some(" "))]
    #[case("npm run around", "jest", None)]
    #[case("npm run all", "jest", None)]
    #[case("npm test -- --json", "jest", None)]
    #[case("jest --json", "jest", None)]
    #[case("jest && echo done", "jest", None)]
    #[case("jest $X", "jest", None)]
    #[case("vitest bench", "vitest", None)]
    #[case("vitest run --reporter=dot", "vitest", None)]
    #[case("npm run absent", "jest", None)]
    fn options_have_a_place(
        #[case] script: &str,
        #[case] runner: &str,
        #[case] place: Option<&str>,
    ) {
        assert_eq!(place_for_options(script, runner, Some(PACKAGE)), place);
    }

    #[test]
    fn what_is_run_is_known_or_not() {
        let node = "node --test --test-reporter=tap";
        assert_eq!(expanded("npm run node", Some(PACKAGE)).as_deref(), Some(node));
        assert_eq!(expanded(node, None).as_deref(), Some(node));
        assert_eq!(expanded("npm run node", None), None);
        assert_eq!(expanded("npm run all", Some(PACKAGE)), None);
        assert_eq!(expanded("make test", Some(PACKAGE)), None);
    }
}
