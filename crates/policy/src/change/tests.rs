use std::sync::LazyLock;

use insta::assert_snapshot;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn added(path: &str) -> ChangedPath {
    ChangedPath {
        path: path.as_bytes().to_vec(),
        change: Change::Added,
        old_mode: None,
        new_mode: Some(FileMode::Regular),
        added_lines: 1,
        deleted_lines: 0,
        bytes: 10,
        binary: false,
        symlink_target: None,
    }
}

fn link(path: &str, target: &str) -> ChangedPath {
    let target = Some(target.as_bytes().to_vec());
    ChangedPath { new_mode: Some(FileMode::Symlink), symlink_target: target, ..added(path) }
}

fn check(paths: &[ChangedPath]) -> Result<(), Vec<Violation>> {
    static PROTECTED: LazyLock<Protected> =
        LazyLock::new(|| Protected::with(&["migrations/".to_owned()]).unwrap());
    check_change(paths, &DiffLimits::default(), &PROTECTED)
}

fn said(paths: &[ChangedPath]) -> String {
    let violations = check(paths).unwrap_err();
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

#[rstest]
#[case("src/main.py")]
#[case("docs/deploy/how.md")]
#[case("src/deployment.rs")]
#[case("github/workflows/ci.yml")]
#[case("tests/test_agents.py")]
#[case("src/naïve–file (1).txt")]
#[case(".gitignore")]
#[case("a/.hidden")]
#[case("-rf")]
fn ordinary_paths_pass(#[case] path: &str) {
    check(&[added(path)]).unwrap();
}

/// Paths that must be refused under any spelling.
const PROTECTED: &[&str] = &[
    ".github/workflows/ci.yml",
    ".github/CODEOWNERS",
    ".github",
    ".booty.yml",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".gitmodules",
    "vendor/x/.gitattributes",
    "deploy/deploy.sh",
    "AGENTS.md",
    "crates/x/CLAUDE.md",
    ".cursor/rules/a.mdc",
    ".cursorrules",
    ".github/copilot-instructions.md",
    "GEMINI.md",
    "db/migrations/1.sql",
    ".git/config",
    "sub/.git/hooks/pre-commit",
];

/// Another spelling of a path: each choice changes one thing that some file system, or Git for
/// Windows or macOS, does not see.
fn respell(path: &str, choices: &[(u8, u8)]) -> String {
    let mut path: Vec<String> = path.split('/').map(str::to_owned).collect();
    for (kind, place) in choices {
        let index = usize::from(*place) % path.len();
        let name = &mut path[index];
        match kind % 9 {
            0 => *name = name.to_uppercase(),
            1 => name.push('.'),
            2 => name.push(' '),
            3 => name.push_str("::$INDEX_ALLOCATION"),
            4 => {
                let at =
                    name.char_indices().nth(usize::from(*place) % name.chars().count()).unwrap().0;
                name.insert(
                    at,
                    ['\u{200c}', '\u{feff}', '\u{202e}', '\u{e0067}'][usize::from(*place) % 4],
                );
            }
            5 => *name = name.replace('i', "ı").replace('s', "ſ").replace('k', "\u{212a}"),
            6 => {
                *name = name
                    .chars()
                    .map(|c| match c {
                        '!'..='~' if c != ':' => char::from_u32(u32::from(c) + 0xfee0).unwrap(),
                        c => c,
                    })
                    .collect()
            }
            7 => *name = name.to_lowercase(),
            _ => path.insert(index, ".".to_owned()),
        }
    }
    let separator =
        |n: usize| if choices.get(n).is_some_and(|(kind, _)| kind % 2 == 1) { "\\" } else { "/" };
    let mut joined = path[0].clone();
    for (n, name) in path.iter().enumerate().skip(1) {
        joined.push_str(separator(n));
        joined.push_str(name);
    }
    joined
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_spelling_of_a_protected_path_passes(
        path in proptest::sample::select(PROTECTED),
        choices in proptest::collection::vec((any::<u8>(), any::<u8>()), 0..6),
    ) {
        let spelling = respell(path, &choices);
        prop_assert!(check(&[added(&spelling)]).is_err(), "{spelling:?}");
        // Nor as either side of a rename, nor as the target of a link.
        let from = Change::Renamed { from: spelling.clone().into_bytes() };
        let renamed = ChangedPath { change: from, ..added("src/x") };
        prop_assert!(check(&[renamed]).is_err());
        prop_assert!(check(&[link("link", &spelling)]).is_err(), "{spelling:?}");
        let around = format!("../{spelling}");
        prop_assert!(check(&[link("src/link", &around)]).is_err(), "{around:?}");
    }

    #[test]
    fn no_bytes_make_it_panic(path in proptest::collection::vec(any::<u8>(), 0..300), target in any::<Vec<u8>>()) {
        let changed = ChangedPath { path, symlink_target: Some(target), ..added("") };
        if let Err(violations) = check(&[changed]) {
            for violation in violations {
                prop_assert!(!violation.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn plain_names_pass(path in "[a-z]{1,8}(/[a-z]{1,8}){0,3}\\.(py|rs|js)") {
        prop_assume!(!path.starts_with("deploy/") && !path.contains("migrations"));
        prop_assert_eq!(check(&[added(&path)]), Ok(()));
    }
}

#[test]
fn reasons_say_which_rule_and_what_allows_it() {
    let executable = ChangedPath { new_mode: Some(FileMode::Executable), ..added("run.sh") };
    let paths = [
        added(".GitHub/workflows/ci.yml"),
        added("db/migrations/1.sql"),
        ChangedPath { change: Change::Deleted, new_mode: None, ..added("CODEOWNERS") },
        added("a/../../x"),
        added("line\nbreak"),
        link("x", "../outside"),
        link("y", "/etc/shadow"),
        link("docs/z", "../.github/workflows"),
        link("w", "src/.git/config"),
        executable,
        ChangedPath { binary: true, ..added("logo.png") },
        ChangedPath { new_mode: Some(FileMode::Submodule), ..added("vendor/lib") },
        ChangedPath { new_mode: Some(FileMode::Other(0o010_644)), ..added("fifo") },
    ];
    assert_snapshot!(said(&paths), @r"
    .GitHub/workflows/ci.yml is protected by `/.github/`
    db/migrations/1.sql is protected by `migrations/`
    CODEOWNERS is protected by `CODEOWNERS`
    a/../../x has a component `.` or `..`
    line\nbreak has a control character
    x is a link that leads out of the tree
    y is a link to an absolute path
    docs/z is a link to what is protected by `/.github/`
    w is a link to what has a component that is `.git` to some file system
    run.sh changes its mode; `limits.modes: true` allows that
    logo.png is binary; `limits.binaries: true` allows that
    vendor/lib is a submodule, which no change may touch
    fifo is neither a file nor a link
    ");
}

#[test]
fn the_whole_change_has_limits() {
    let large =
        ChangedPath { added_lines: 1_000, deleted_lines: 501, bytes: 2 << 20, ..added("large") };
    let mut paths: Vec<_> =
        (0..30).map(|n| ChangedPath { added_lines: 0, ..added(&format!("f{n}")) }).collect();
    check(&paths).unwrap();
    paths.push(large);
    assert_snapshot!(said(&paths), @r"
    the change has 31 files; `limits.files` is 30
    the change has 1501 lines; `limits.lines` is 1500
    the change has 2097452 bytes; `limits.bytes` is 1048576
    ");
    let endless = ChangedPath {
        added_lines: u64::MAX,
        deleted_lines: u64::MAX,
        bytes: u64::MAX,
        ..added("a")
    };
    check(&[endless.clone(), endless]).unwrap_err();
}

#[test]
fn what_is_allowed_passes() {
    let limits = DiffLimits { binaries: true, modes: true, ..DiffLimits::default() };
    let paths = [
        ChangedPath { new_mode: Some(FileMode::Executable), ..added("run.sh") },
        ChangedPath { binary: true, ..added("logo.png") },
        link("a/latest", "../b/1.0"),
        link("here", "."),
    ];
    check_change(&paths, &limits, &Protected::always()).unwrap();
}

#[test]
fn a_hundred_reasons_are_enough() {
    let paths: Vec<_> = (0..100_000).map(|n| added(&format!(".github/{n}"))).collect();
    assert_eq!(check(&paths).unwrap_err().len(), 100);
}

#[rstest]
#[case(added(".github/x"), "protected")]
#[case(added("a/../x"), "unsafe_path")]
#[case(link("a", ".github/x"), "link")]
#[case(ChangedPath { new_mode: Some(FileMode::Submodule), ..added("a") }, "submodule")]
#[case(ChangedPath { new_mode: Some(FileMode::Other(1)), ..added("a") }, "special_file")]
#[case(ChangedPath { new_mode: Some(FileMode::Executable), ..added("a") }, "mode")]
#[case(ChangedPath { binary: true, ..added("a") }, "binary")]
#[case(ChangedPath { added_lines: 2_000, ..added("a") }, "too_many_lines")]
#[case(ChangedPath { bytes: 2 << 20, ..added("a") }, "too_many_bytes")]
fn each_rule_has_a_word(#[case] changed: ChangedPath, #[case] expected: &str) {
    let raw = changed.path.clone();
    let violations = check(&[changed]).unwrap_err();
    assert_eq!(violations[0].word(), expected);
    assert!(violations[0].raw_path.as_ref().is_none_or(|path| *path == raw));
}
