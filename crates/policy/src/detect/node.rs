//! Node: the package's own test script, else node's test runner.

use serde_json::Value;

use super::{Found, Paths, Runner, Setup, TreeView, command, runner_of, split};
use crate::config::{CommandSpec, Language};

/// npm asks the network whether there is a newer npm.
const ENV: [(&str, &str); 3] = [
    ("NO_UPDATE_NOTIFIER", "1"),
    ("npm_config_offline", "true"),
    ("npm_config_update_notifier", "false"),
];
/// `npm init` writes a test script that always fails.
const PLACEHOLDER: &str = "no test specified";

/// Answers nothing, watches nothing, writes no snapshots: for what comes out of packages.
const UNATTENDED: (&str, &str) = ("CI", "true");
const LISTS: [&str; 3] = ["dependencies", "devDependencies", "optionalDependencies"];

pub(super) fn detect(tree: &dyn TreeView, paths: &Paths, with_setup: bool) -> Option<Found> {
    if !paths.has("package.json") {
        return None;
    }
    let package: Value =
        tree.read("package.json").and_then(|text| serde_json::from_str(&text).ok())?;
    let script = |name: &str| {
        let script = package.get("scripts")?.get(name)?.as_str()?;
        (!script.trim().is_empty() && !script.contains(PLACEHOLDER)).then_some(())
    };
    let manager = manager(&package, paths);
    let setup = setup(tree, paths, &package, manager).filter(|_| with_setup);
    let mut env = ENV.to_vec();
    env.extend(setup.as_ref().map(|_| UNATTENDED));
    let (test, why) = match script("test") {
        Some(()) => {
            (Some(command(format!("{manager} test"), &env)), "package.json has a test script")
        }
        None => {
            let installed = setup.as_ref().and_then(|_| installed_runner(&package, manager));
            let test = installed.map(|script| command(script, &env)).or_else(|| own_runner(paths));
            (test, "package.json has no test script")
        }
    };
    let check = ["typecheck", "type-check"]
        .into_iter()
        .find(|name| script(name).is_some())
        .map(|name| command(format!("{manager} run {name}"), &env))
        .or_else(|| syntax(paths));
    let language = Language::Node;
    let runner = test.as_ref().map_or(Runner::Other, |test| runner_of(Some(language), test, tree));
    Some(Found { language, setup, check, test, runner, why: why.to_owned() })
}

/// Installs what the lock file says, and changes none.
fn setup(tree: &dyn TreeView, paths: &Paths, package: &Value, manager: &str) -> Option<Setup> {
    let is_filled = |list: &Value| list.as_object().is_some_and(|list| !list.is_empty());
    // The members of a workspace have lists of their own.
    let has_packages = LISTS.iter().any(|list| package.get(*list).is_some_and(is_filled))
        || package.get("workspaces").is_some()
        || paths.has("pnpm-workspace.yaml");
    if !has_packages {
        return None;
    }
    let locked = |files: &[&'static str]| files.iter().copied().find(|file| paths.has(file));
    let (script, lock) = match manager {
        "pnpm" => match locked(&["pnpm-lock.yaml"]) {
            Some(lock) => ("pnpm install --frozen-lockfile", Some(lock)),
            None => ("pnpm install --no-frozen-lockfile", None),
        },
        "yarn" => match (locked(&["yarn.lock"]), is_yarn_berry(tree, paths, package)) {
            (Some(lock), true) => ("yarn install --immutable", Some(lock)),
            (Some(lock), false) => ("yarn install --frozen-lockfile --non-interactive", Some(lock)),
            (None, true) => ("yarn install --no-immutable", None),
            (None, false) => ("yarn install --non-interactive --pure-lockfile", None),
        },
        _ => match locked(&["package-lock.json", "npm-shrinkwrap.json"]) {
            Some(lock) => ("npm ci", Some(lock)),
            None => ("npm install --no-package-lock", None),
        },
    };
    let env = [
        UNATTENDED,
        ("COREPACK_ENABLE_DOWNLOAD_PROMPT", "0"),
        ("NO_UPDATE_NOTIFIER", "1"),
        ("npm_config_audit", "false"),
        ("npm_config_fund", "false"),
        ("npm_config_update_notifier", "false"),
    ];
    let from = lock.unwrap_or("package.json").to_owned();
    Some(Setup { command: command(script, &env), from })
}

/// Yarn from 2 on has other options than 1.
fn is_yarn_berry(tree: &dyn TreeView, paths: &Paths, package: &Value) -> bool {
    let named = package.get("packageManager").and_then(Value::as_str).unwrap_or_default();
    match named.strip_prefix("yarn@") {
        Some(version) => !version.starts_with("1."),
        None => {
            paths.has(".yarnrc.yml")
                || tree.read("yarn.lock").is_some_and(|lock| lock.contains("\n__metadata:"))
        }
    }
}

/// A runner that the package asks for without a script that runs it.
fn installed_runner(package: &Value, manager: &str) -> Option<String> {
    let has = |name: &str| {
        LISTS.iter().any(|list| package.get(*list).is_some_and(|list| list.get(name).is_some()))
    };
    let runner = [("vitest", "vitest run"), ("jest", "jest"), ("mocha", "mocha")]
        .into_iter()
        .find(|(name, _)| has(name))?
        .1;
    Some(match manager {
        "pnpm" => format!("pnpm exec {runner}"),
        "yarn" => format!("yarn run {runner}"),
        _ => format!("npx --no-install {runner}"),
    })
}

fn manager(package: &Value, paths: &Paths) -> &'static str {
    let named = package.get("packageManager").and_then(Value::as_str).unwrap_or_default();
    match named.split('@').next() {
        Some("pnpm") => "pnpm",
        Some("yarn") => "yarn",
        Some("npm") => "npm",
        _ if paths.has("pnpm-lock.yaml") => "pnpm",
        _ if paths.has("yarn.lock") => "yarn",
        _ => "npm",
    }
}

/// What `node --test` finds by itself.
fn own_runner(paths: &Paths) -> Option<CommandSpec> {
    let is_test = |path: &str| {
        let (folder, name) = split(path);
        let Some((stem, "js" | "mjs" | "cjs")) = name.rsplit_once('.') else { return false };
        let marked = [".test", "-test", "_test"].iter().any(|end| stem.ends_with(end));
        marked
            || stem == "test"
            || stem.starts_with("test-")
            || folder.split('/').any(|part| part == "test")
    };
    paths.iter().any(is_test).then(|| command("node --test", &ENV))
}

/// The syntax of plain JavaScript. TypeScript and JSX need the repository's own tools.
fn syntax(paths: &Paths) -> Option<CommandSpec> {
    let has = |ends: &[&str]| paths.iter().any(|path| ends.iter().any(|end| path.ends_with(end)));
    let find = "find . -name node_modules -prune -o -name '.?*' -prune -o -type f \
        '(' -name '*.js' -o -name '*.mjs' -o -name '*.cjs' ')' -print0 | xargs -0 -r -n 1 node --check";
    (has(&[".js", ".mjs", ".cjs"]) && !has(&[".jsx", ".tsx", ".ts", ".flow"]))
        .then(|| command(find, &ENV))
}
