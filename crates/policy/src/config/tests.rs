use insta::assert_snapshot;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::change::{Change, ChangedPath, FileMode, PatternList, check_change};

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text.as_bytes()).map_err(|errors| errors.to_string())
}

#[test]
fn a_whole_file() {
    let config = parse(
        "version: 1\nlanguage: python\nsetup: pip install -e .\ncheck:\n  command: |\n    python3 -m compileall -q .\n  timeout: 90s\n\
         test: &t\n  command: python3 -m unittest\n  timeout: 5m\n  directory: ./sub//dir/\n  env:\n    A: b\n    N: \"1\"\n\
         limits: {files: 5, lines: 100, bytes: 4096, binaries: true, modes: true}\nprotect: [migrations/, '*.lock']\nbuilder:\n  rounds: 5\n",
    )
    .unwrap();
    assert_eq!(config.language, Some(Language::Python));
    assert_eq!(config.setup, Some(CommandSpec::new("pip install -e .")));
    let check = config.check.unwrap();
    assert_eq!(
        (check.command.as_str(), check.timeout),
        ("python3 -m compileall -q .\n", Some(Duration::from_secs(90)))
    );
    let test = config.test.unwrap();
    assert_eq!(test.directory, "sub/dir");
    assert_eq!(test.env, [("A".into(), "b".into()), ("N".into(), "1".into())].into());
    assert_eq!(
        config.limits,
        DiffLimits { files: 5, lines: 100, bytes: 4096, binaries: true, modes: true }
    );
    assert_eq!(config.protect.patterns, ["migrations/", "*.lock"]);
    assert_eq!(config.builder.rounds, 5);
}

#[test]
fn what_is_not_said_is_the_default() {
    let config = parse("version: 1\ntest:\nlimits: {}\n").unwrap();
    assert_eq!(
        (config.test, config.limits, config.builder),
        (None, DiffLimits::default(), BuilderConfig::default())
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_where() {
    let text = "version: 2\nlangauge: python\nlanguage: cobol\ntest:\n  comand: x\n  timeout: 5\n  directory: ../x\n  env:\n    1A: x\n    B: 1\n\
                check: [a]\nlimits:\n  files: 0\n  lines: many\n  binaries: yes\nprotect:\n  - '[a'\n  - '!b'\n  - 3\nbuilder:\n  rounds: 99\n1: x\nsetup: ''\n";
    assert_snapshot!(parse(text).unwrap_err(), @r"
    .booty.yml:1:10: `version` must be 1, the only one there is
    .booty.yml:2:1: unknown key `langauge`; did you mean `language`?
    .booty.yml:3:11: `language` must be one of `python`, `rust`, `node`, `go`
    .booty.yml:5:3: `test.command` is missing
    .booty.yml:5:3: unknown key `test.comand`; did you mean `command`?
    .booty.yml:6:12: `test.timeout` must be a time with its unit, such as `90s` or `1h30m`, not a number
    .booty.yml:7:14: `test.directory` must be a path in the repository, relative to its root
    .booty.yml:9:5: `test.env.1A` is not the name of a variable (A-Z a-z 0-9 _)
    .booty.yml:10:8: `test.env.B` must be text (put it in quotes), not a number
    .booty.yml:11:8: `check` must be text, not a list
    .booty.yml:13:10: `limits.files` must be 1 to 500, not 0
    .booty.yml:14:10: `limits.lines` must be a whole number, not text
    .booty.yml:15:13: `limits.binaries` must be true or false, not text
    .booty.yml:17:5: `protect`: `[a` is not a valid pattern: unclosed character class; missing ']'
    .booty.yml:18:5: `protect`: `!b` is not a valid pattern: exceptions (`!`) are not known
    .booty.yml:19:5: `protect` must be text (put it in quotes), not a number
    .booty.yml:21:11: `builder.rounds` must be 1 to 10, not 99
    .booty.yml:22:1: a key must be text, not a number
    .booty.yml:23:8: `setup` must have 1 to 4096 bytes, not 0
    ");
}

#[test]
fn the_rest_of_a_whole_file() {
    let config = parse(
        "version: 1\nprotect: {paths: migrations/, policy: warn}\nnetwork: {setup: [npm, pypi, npm]}\n\
         builder: {budget: {tokens: 5000, cost_usd: 0.5, wall: 1h 30m}, generate_tests: false, promote: false}\n\
         verifier: {flaky_retries: 0, evidence: off, evidence_budget: 90s, waiver_label: 'skip: checks'}\n",
    )
    .unwrap();
    let patterns = vec!["migrations/".to_owned()];
    assert_eq!(config.protect, Protect { patterns, policy: ProtectPolicy::Warn });
    let (npm, pypi) = (RegistryName::Npm, RegistryName::Pypi);
    assert_eq!(config.network, Network::Registries(vec![pypi, npm]));
    let budget = BuilderBudget {
        tokens: Some(5_000),
        cost_usd: Some(0.5),
        wall: Some(Duration::from_secs(5_400)),
    };
    let builder =
        BuilderConfig { budget, generate_tests: false, promote: false, ..BuilderConfig::default() };
    assert_eq!(config.builder, builder);
    let verifier = VerifierConfig {
        flaky_retries: 0,
        evidence: Evidence::Off,
        evidence_budget: Duration::from_secs(90),
        waiver_label: "skip: checks".to_owned(),
    };
    assert_eq!(config.verifier, verifier);
}

#[test]
fn commands_for_changed_files() {
    let config = parse(
        "version: 1\nformat: black -q -- \"$@\"\nlint:\n  command: eslint -- \"$@\"\n  files: ['*.ts', /web/]\n  timeout: 1m\n  directory: web\n  env: {A: b}\n",
    )
    .unwrap();
    let format = config.format.unwrap();
    assert_eq!(format.command, CommandSpec::new("black -q -- \"$@\""));
    assert_eq!(format.files, Vec::<String>::new());
    let lint = config.lint.unwrap();
    assert_eq!(lint.files, ["*.ts", "/web/"]);
    assert_eq!(lint.command.timeout, Some(Duration::from_secs(60)));
    assert_eq!((lint.command.directory.as_str(), lint.command.env.len()), ("web", 1));
    let wrong = "version: 1\nlint: {files: ['!a']}\ncheck: {command: x, files: [a]}\n";
    assert_snapshot!(parse(wrong).unwrap_err(), @r"
    .booty.yml:2:7: `lint.command` is missing
    .booty.yml:2:16: `lint.files`: `!a` is not a valid pattern: exceptions (`!`) are not known
    .booty.yml:3:21: unknown key `check.files`; known are `command`, `timeout`, `directory`, `env`
    ");
}

#[rstest]
#[case::said_nothing("language: rust", vec![RegistryName::Crates])]
#[case::none("language: rust\nnetwork: none", vec![])]
#[case::empty("language: rust\nnetwork: {setup: []}", vec![])]
#[case::one("language: rust\nnetwork: {setup: go}", vec![RegistryName::Go])]
#[case::no_language("network:", vec![])]
fn setup_reaches(#[case] text: &str, #[case] expected: Vec<RegistryName>) {
    let config = parse(&format!("version: 1\n{text}\n")).unwrap();
    assert_eq!(config.network.registries(config.language), expected);
}

#[test]
fn what_is_wrong_with_the_rest_is_said_as_well() {
    let text = "version: 1\ntrigger_label: x\nprotect:\n  paths: ['!a']\n  policy: allow\nnetwork: {setup: [pip], test: [npm]}\n\
                builder:\n  trigger_label: go\n  budget: {tokens: 1, cost_usd: 2000, wall: 10, walll: 1m}\n\
                verifier: {flaky_retries: 6, evidence: no, evidence_budget: 2h, waiver_label: ' x'}\n\
                test: {command: a, working_directory: b, timeout: 5min}\n";
    assert_snapshot!(parse(text).unwrap_err(), @r"
    .booty.yml:2:1: `trigger_label` is no key; it is the operator's: the environment variable `TRIGGER_LABEL` names the label
    .booty.yml:4:11: `protect.paths`: `!a` is not a valid pattern: exceptions (`!`) are not known
    .booty.yml:5:11: `protect.policy` must be one of `refuse`, `warn`
    .booty.yml:6:19: `network.setup` must be one of `pypi`, `npm`, `crates`, `go`
    .booty.yml:6:25: `network.test` is no key; only `setup` has a network; all other commands run without
    .booty.yml:8:3: `builder.trigger_label` is no key; it is the operator's: the environment variable `TRIGGER_LABEL` names the label
    .booty.yml:9:20: `builder.budget.tokens` must be 1000 to 100000000, not 1
    .booty.yml:9:33: `builder.budget.cost_usd` must be 0.01 to 1000, not 2000
    .booty.yml:9:45: `builder.budget.wall` must be a time with its unit, such as `90s` or `1h30m`, not a number
    .booty.yml:9:49: unknown key `builder.budget.walll`; did you mean `wall`?
    .booty.yml:10:27: `verifier.flaky_retries` must be 0 to 5, not 6
    .booty.yml:10:40: `verifier.evidence` must be one of `off`, `report`, `required`
    .booty.yml:10:61: `verifier.evidence_budget` must be 1s to 1h, not 2h
    .booty.yml:10:79: `verifier.waiver_label` must be one line without spaces around it
    .booty.yml:11:20: `test.working_directory` is no key; write `directory`
    .booty.yml:11:51: `test.timeout` must be a time with its unit, such as `90s` or `1h30m`, not `5min`
    ");
    assert_snapshot!(parse("version: 1\nnetwork: all\nprotect: {policy: warn}\n").unwrap_err(), @r"
    .booty.yml:2:10: `network` must be `none`, or a mapping such as `{setup: [pypi]}`
    .booty.yml:3:10: `protect.paths` is missing
    ");
}

#[test]
fn a_warning_is_for_the_repositorys_own_paths_alone() {
    let config = parse("version: 1\nprotect: {paths: ['*.md', docs/], policy: warn}\n").unwrap();
    let path = |path: &str| ChangedPath {
        path: path.as_bytes().to_vec(),
        change: Change::Added,
        old_mode: None,
        new_mode: Some(FileMode::Regular),
        added_lines: 1,
        deleted_lines: 0,
        bytes: 1,
        binary: false,
        symlink_target: None,
    };
    // Two hundred warnings, and what is refused comes after them.
    let mut paths: Vec<ChangedPath> = (0..200).map(|n| path(&format!("docs/{n}.txt"))).collect();
    paths.push(path("AGENTS.md"));
    let limits = DiffLimits { files: 500, ..DiffLimits::default() };
    let violations = check_change(&paths, &limits, &config.protected()).unwrap_err();
    assert_eq!(violations.len(), 100);
    let first = &violations[0];
    assert_eq!((first.path.as_deref(), first.word()), (Some("AGENTS.md"), "protected"));
    assert_eq!((first.only_warns, first.pattern_list()), (false, Some(PatternList::Booty)));
    let second = &violations[1];
    assert_eq!((second.only_warns, second.pattern_list()), (true, Some(PatternList::Repository)));
    assert_eq!(second.raw_path.as_deref(), Some(b"docs/0.txt".as_slice()));

    // A link through a path that only warns to one that refuses.
    let link = ChangedPath {
        new_mode: Some(FileMode::Symlink),
        symlink_target: Some(b"docs/../.github/x".to_vec()),
        ..path("link")
    };
    let violations = check_change(&[link], &limits, &config.protected()).unwrap_err();
    assert_eq!((violations[0].word(), violations[0].only_warns), ("link", false));
}

#[rstest]
#[case::nothing("", ".booty.yml: the file is empty; write `version: 1`")]
#[case::comment("# nothing\n", ".booty.yml:2:1: the file must be a mapping, not nothing")]
#[case::list("- a\n", ".booty.yml:1:1: the file must be a mapping, not a list")]
#[case::no_version("test: x\n", ".booty.yml:1:1: `version` is missing; write `version: 1`")]
#[case::twice(
    "version: 1\ntest: a\ntest: b\n",
    ".booty.yml:3:1: not valid YAML: duplicate mapping key: test"
)]
#[case::no_number(
    "version: 1\nbuilder: {budget: {cost_usd: .nan}}\n",
    ".booty.yml:2:30: not valid YAML: non-finite float `.nan`"
)]
#[case::broken("version: 1\ntest: [a\n", ".booty.yml:2:7: not valid YAML: unclosed bracket '['")]
#[case::tab(
    "version: 1\n\ttest: a\n",
    ".booty.yml:1:10: not valid YAML: while scanning a plain scalar, found a tab"
)]
#[case::two_documents(
    "version: 1\n---\nversion: 1\n",
    ".booty.yml:2:1: too many values, levels, aliases or documents (budget breached: Documents { documents: 2 })"
)]
fn said(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(parse(text).unwrap_err(), expected);
}

#[rstest]
#[case::minutes("1h1s")]
#[case::zero("0s")]
#[case::huge("99999999999999999999h")]
fn timeouts_have_a_range(#[case] timeout: &str) {
    let error =
        parse(&format!("version: 1\ntest: {{command: a, timeout: {timeout}}}\n")).unwrap_err();
    assert!(error.contains("`test.timeout` must be"), "{error}");
}

#[test]
fn bombs_do_not_go_off() {
    let mut laughs = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let alias = format!("*a{}", n - 1);
        laughs += &format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    let deep = format!("version: 1\ntest: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let wide =
        format!("version: 1\n{}", (0..5_000).map(|n| format!("k{n}: x\n")).collect::<String>());
    let itself = "version: 1\ntest: &a [*a]\n".to_owned();
    let merge = "version: 1\nbase: &b {command: x}\ntest:\n  <<: *b\n  timeout: 5s\n".to_owned();
    for text in [laughs, deep, wide, itself, merge] {
        let started = std::time::Instant::now();
        let result = Config::parse(text.as_bytes());
        assert!(result.is_err_and(|errors| (1..=50).contains(&errors.errors.len())));
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    let large = vec![b'#'; 10 << 20];
    assert_snapshot!(Config::parse(&large).unwrap_err(), @".booty.yml: the file has 10485760 bytes; at most 65536 are read");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::parse(&bytes);
    }

    #[test]
    fn no_yaml_makes_it_panic(text in "(version: 1\n|test:|limits:|protect:|env:|[\\[\\]{}&*!|>:,#'\"-]|\n|  |[a-z0-9]{1,3}|\t|~){0,40}") {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.is_empty());
        }
    }
}
