//! From a YAML tree to a `Config`, key by key.

use super::{
    BuilderConfig, CommandSpec, Config, FileCommand, Network, Protect, ProtectPolicy,
    VerifierConfig,
    bounds::{
        BYTES, COMMAND_BYTES, COST_USD, EVIDENCE_BUDGET, FILES, FLAKY_RETRIES, LABEL_CHARS, LINES,
        MAX_PATTERNS, MAX_REGISTRIES, MAX_VARIABLES, ROUNDS, TEXT_BYTES, TIMEOUT, TOKENS, WALL,
    },
    node::{Node, Placed},
    reader::{Map, Reader},
};
use crate::change::{DiffLimits, Protected};

/// A file of the repository must not decide what starts work in it.
const NO_TRIGGER: &str =
    "it is the operator's: the environment variable `TRIGGER_LABEL` names the label";

pub(crate) fn config(reader: &mut Reader, root: &Placed) -> Config {
    let mut config = Config::default();
    let Some(mut map) = reader.map("", root) else { return config };
    match map.take("version") {
        Some(at) if at.value == Node::Integer(1) => {}
        Some(at) => reader.error(at, "`version` must be 1, the only one there is"),
        None => reader.error(root, "`version` is missing; write `version: 1`"),
    }
    if let Some(at) = map.take("language") {
        config.language = reader.word("language", at);
    }
    for (key, spec) in
        [("setup", &mut config.setup), ("check", &mut config.check), ("test", &mut config.test)]
    {
        *spec = map.take(key).and_then(|at| command(reader, key, at));
    }
    for (key, spec) in [("format", &mut config.format), ("lint", &mut config.lint)] {
        *spec = map.take(key).and_then(|at| file_command(reader, key, at));
    }
    if let Some(at) = map.take("limits") {
        limits(reader, at, &mut config.limits);
    }
    if let Some(at) = map.take("protect") {
        config.protect = protect(reader, at);
    }
    if let Some(at) = map.take("network") {
        config.network = network(reader, at);
    }
    if let Some(at) = map.take("builder") {
        config.builder = builder(reader, at);
    }
    if let Some(at) = map.take("verifier") {
        config.verifier = verifier(reader, at);
    }
    map.refuse(reader, &["trigger_label"], NO_TRIGGER);
    reader.finish(map);
    config
}

/// A command is a text, or a mapping with `command` in it.
fn command(reader: &mut Reader, name: &str, at: &Placed) -> Option<CommandSpec> {
    if !matches!(at.value, Node::Map(_)) {
        return reader.text(name, at, COMMAND_BYTES).map(CommandSpec::new);
    }
    let mut map = reader.map(name, at)?;
    let spec = mapping(reader, &mut map, at);
    reader.finish(map);
    Some(spec)
}

/// The same with the files that it is for.
fn file_command(reader: &mut Reader, name: &str, at: &Placed) -> Option<FileCommand> {
    if !matches!(at.value, Node::Map(_)) {
        let command = reader.text(name, at, COMMAND_BYTES).map(CommandSpec::new)?;
        return Some(FileCommand { command, files: Vec::new() });
    }
    let mut map = reader.map(name, at)?;
    let command = mapping(reader, &mut map, at);
    let files = map.take("files").map(|at| patterns(reader, &map.name("files"), at));
    reader.finish(map);
    Some(FileCommand { command, files: files.unwrap_or_default() })
}

fn mapping(reader: &mut Reader, map: &mut Map<'_>, at: &Placed) -> CommandSpec {
    let mut spec = CommandSpec::new("");
    let command_name = map.name("command");
    match map.take("command") {
        Some(at) => {
            spec.command = reader.text(&command_name, at, COMMAND_BYTES).unwrap_or_default()
        }
        None => reader.error(at, format!("`{command_name}` is missing")),
    }
    if let Some(at) = map.take("timeout") {
        spec.timeout = reader.duration(&map.name("timeout"), at, TIMEOUT);
    }
    if let Some(at) = map.take("directory") {
        spec.directory = directory(reader, &map.name("directory"), at).unwrap_or_default();
    }
    if let Some(at) = map.take("env") {
        spec.env = reader.variables(&map.name("env"), at, MAX_VARIABLES);
    }
    map.refuse(
        reader,
        &["working_directory", "working-directory", "workdir", "cwd", "dir"],
        "write `directory`",
    );
    spec
}

fn directory(reader: &mut Reader, name: &str, at: &Placed) -> Option<String> {
    let text = reader.text(name, at, TEXT_BYTES)?;
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if text.starts_with('/') || text.contains('\\') || parts.contains(&"..") {
        reader
            .error(at, format!("`{name}` must be a path in the repository, relative to its root"));
        return None;
    }
    Some(parts.join("/"))
}

fn limits(reader: &mut Reader, at: &Placed, limits: &mut DiffLimits) {
    let Some(mut map) = reader.map("limits", at) else { return };
    let numbers = [
        ("files", FILES, &mut limits.files),
        ("lines", LINES, &mut limits.lines),
        ("bytes", BYTES, &mut limits.bytes),
    ];
    for (key, range, limit) in numbers {
        let name = map.name(key);
        if let Some(number) = map.take(key).and_then(|at| reader.number(&name, at, range)) {
            *limit = number;
        }
    }
    for (key, allowed) in [("binaries", &mut limits.binaries), ("modes", &mut limits.modes)] {
        let name = map.name(key);
        if let Some(value) = map.take(key).and_then(|at| reader.boolean(&name, at)) {
            *allowed = value;
        }
    }
    reader.finish(map);
}

/// Patterns alone, or a mapping of patterns and what becomes of who touches them.
fn protect(reader: &mut Reader, at: &Placed) -> Protect {
    if !matches!(at.value, Node::Map(_)) {
        let patterns = patterns(reader, "protect", at);
        return Protect { patterns, policy: ProtectPolicy::default() };
    }
    let mut protect = Protect::default();
    let Some(mut map) = reader.map("protect", at) else { return protect };
    match map.take("paths") {
        Some(at) => protect.patterns = patterns(reader, &map.name("paths"), at),
        None => reader.error(at, "`protect.paths` is missing"),
    }
    if let Some(at) = map.take("policy") {
        protect.policy = reader.word(&map.name("policy"), at).unwrap_or_default();
    }
    reader.finish(map);
    protect
}

fn patterns(reader: &mut Reader, name: &str, at: &Placed) -> Vec<String> {
    let mut patterns = Vec::new();
    for (pattern, place) in reader.texts(name, at, MAX_PATTERNS) {
        match Protected::with(std::slice::from_ref(&pattern)) {
            Ok(_) => patterns.push(pattern),
            Err(error) => reader.error(place, format!("`{name}`: {error}")),
        }
    }
    // Each of them may be small enough where all of them are not.
    if Protected::with(&patterns).is_err() {
        reader.error(at, format!("`{name}`: all patterns together are too large"));
    }
    patterns
}

/// `none`, or a mapping that names the registries of the setup command.
fn network(reader: &mut Reader, at: &Placed) -> Network {
    match &at.value {
        Node::Map(_) => {}
        Node::Text(text) if text == "none" => return Network::None,
        _ => {
            reader.error(at, "`network` must be `none`, or a mapping such as `{setup: [pypi]}`");
            return Network::default();
        }
    }
    let mut network = Network::default();
    let Some(mut map) = reader.map("network", at) else { return network };
    let name = map.name("setup");
    match map.take("setup") {
        Some(at) => {
            let mut names = reader.words(&name, at, MAX_REGISTRIES);
            names.sort_unstable();
            names.dedup();
            network = match names.is_empty() {
                true => Network::None,
                false => Network::Registries(names),
            };
        }
        None => reader.error(at, format!("`{name}` is missing; write `network: none` for none")),
    }
    const ONLY_SETUP: &str = "only `setup` has a network; all other commands run without";
    map.refuse(reader, &["check", "test"], ONLY_SETUP);
    reader.finish(map);
    network
}

fn builder(reader: &mut Reader, at: &Placed) -> BuilderConfig {
    let mut config = BuilderConfig::default();
    let Some(mut map) = reader.map("builder", at) else { return config };
    if let Some(rounds) =
        map.take("rounds").and_then(|at| reader.number("builder.rounds", at, ROUNDS))
    {
        config.rounds = u32::try_from(rounds).unwrap_or(BuilderConfig::ROUNDS);
    }
    if let Some(mut budget) = map.take("budget").and_then(|at| reader.map(&map.name("budget"), at))
    {
        if let Some(at) = budget.take("tokens") {
            config.budget.tokens = reader.number(&budget.name("tokens"), at, TOKENS);
        }
        if let Some(at) = budget.take("cost_usd") {
            config.budget.cost_usd = reader.decimal(&budget.name("cost_usd"), at, COST_USD);
        }
        if let Some(at) = budget.take("wall") {
            config.budget.wall = reader.duration(&budget.name("wall"), at, WALL);
        }
        reader.finish(budget);
    }
    for (key, wanted) in
        [("generate_tests", &mut config.generate_tests), ("promote", &mut config.promote)]
    {
        let name = map.name(key);
        if let Some(value) = map.take(key).and_then(|at| reader.boolean(&name, at)) {
            *wanted = value;
        }
    }
    map.refuse(reader, &["trigger_label", "label"], NO_TRIGGER);
    reader.finish(map);
    config
}

fn verifier(reader: &mut Reader, at: &Placed) -> VerifierConfig {
    let mut config = VerifierConfig::default();
    let Some(mut map) = reader.map("verifier", at) else { return config };
    let name = map.name("flaky_retries");
    if let Some(retries) =
        map.take("flaky_retries").and_then(|at| reader.number(&name, at, FLAKY_RETRIES))
    {
        config.flaky_retries = u32::try_from(retries).unwrap_or(VerifierConfig::FLAKY_RETRIES);
    }
    if let Some(at) = map.take("evidence") {
        config.evidence = reader.word(&map.name("evidence"), at).unwrap_or_default();
    }
    let name = map.name("evidence_budget");
    if let Some(budget) =
        map.take("evidence_budget").and_then(|at| reader.duration(&name, at, EVIDENCE_BUDGET))
    {
        config.evidence_budget = budget;
    }
    let name = map.name("waiver_label");
    if let Some(label) = map.take("waiver_label").and_then(|at| label(reader, &name, at)) {
        config.waiver_label = label;
    }
    reader.finish(map);
    config
}

/// A name that GitHub takes for a label.
fn label(reader: &mut Reader, name: &str, at: &Placed) -> Option<String> {
    let text = reader.text(name, at, TEXT_BYTES)?;
    let (least, most) = (LABEL_CHARS.start(), LABEL_CHARS.end());
    if !LABEL_CHARS.contains(&text.chars().count()) {
        reader.error(at, format!("`{name}` must have {least} to {most} characters"));
    } else if text.trim() != text || text.chars().any(char::is_control) {
        reader.error(at, format!("`{name}` must be one line without spaces around it"));
    } else {
        return Some(text);
    }
    None
}
