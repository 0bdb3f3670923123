//! Text made to break a reader: no panic, whatever is in it; and no more work than its length.

use booty_judge::case::Results;
use booty_judge::evidence::{RunOf, Runs, compare, study};
use booty_policy::Language;
use proptest::prelude::*;
use rstest::rstest;

use super::world::{Tree, changes};

const LANGUAGES: [(Language, &str); 4] = [
    (Language::Python, "tests/test_a.py"),
    (Language::Rust, "src/lib.rs"),
    (Language::Node, "a.test.js"),
    (Language::Go, "a_test.go"),
];

/// The text as a test, and as each file that its runner or the command reads.
fn tree(language: Language, path: &str, text: &str) -> Tree {
    let read: &[&str] = match language {
        Language::Python => &["pyproject.toml", "setup.cfg", "conftest.py"],
        Language::Node => &["package.json", "jest.config.js"],
        Language::Rust => &["Cargo.toml"],
        Language::Go => &["Makefile"],
    };
    let paths = std::iter::once(&path).chain(read);
    Tree(paths.map(|path| ((*path).to_owned(), text.to_owned())).collect())
}

fn look(language: Language, path: &str, base: &str, head: &str) {
    let (base, head) = (tree(language, path, base), tree(language, path, head));
    let command = booty_policy::CommandSpec::new("make test");
    let study = study(language, &base, &head, &changes(&base, &head), Some(&command));
    let nothing = Results::default();
    let run = RunOf { results: &nothing, succeeded: false };
    let runs = Runs {
        base: Some(run),
        head: run,
        base_tests_on_head: Some(run),
        head_tests_on_base: Some(run),
    };
    compare(&study, &runs);
}

/// Pieces that mean something in one of the languages.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "def test_a():",
        "class TestA(B):",
        "assert ",
        "==",
        "pytest.raises(",
        "with ",
        "try:",
        "except:",
        "return",
        "if False:",
        "for x in []:",
        "@pytest.mark.parametrize('a', [",
        "lambda",
        "\n    ",
        "\n",
        "\t",
        "#",
        "\\\n",
        "'",
        "\"",
        "\"\"\"",
        "'''",
        "`",
        "${",
        "r#\"",
        "#[test]",
        "#[cfg(test)] mod tests {",
        "fn a() {",
        "mod x;",
        "assert_eq!(",
        "assert!(",
        "'a",
        "//",
        "/*",
        "*/",
        "it('a', () => {",
        "describe(",
        ".each([",
        "expect(",
        ").toBe(",
        ".not",
        "if (",
        "function f() {",
        "=>",
        "func TestA(t *testing.T) {",
        "t.Errorf(",
        "if x := 1; x != 2 {",
        "//go:build ",
        "package a",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ";",
        ":",
        ".",
        "=",
        "/",
        "é",
        "\u{0}",
        "1e-",
        "0",
        "{\"scripts\":{\"test\":\"",
        "[tool.pytest.ini_options]",
        "[[test]]",
        "[pytest]",
        "test:",
        "addopts = \"-k",
        "\"}}",
    ];
    prop_oneof![
        8 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.join(""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_a_reader(base in text(), head in text()) {
        for (language, path) in LANGUAGES {
            look(language, path, &base, &head);
        }
    }

    /// The same text on both sides says nothing.
    #[test]
    fn what_both_have_is_not_reported(same in text()) {
        for (language, path) in LANGUAGES {
            let base = tree(language, path, &same);
            let head = tree(language, path, &same);
            let changed = [booty_judge::change::ChangedFile {
                path: path.to_owned(),
                kind: booty_judge::change::ChangeKind::Modified,
            }];
            let found = study(language, &base, &head, &changed, None);
            prop_assert_eq!(found.findings, vec![]);
        }
    }
}

/// What is quadratic takes minutes at this length, what is not takes no time.
const LENGTH: usize = 20_000;

/// Were one of these read again and again, this test would not end.
#[rstest]
fn long_files_are_read_once(
    #[values(
        "(",
        "[",
        "{",
        "((((",
        "not ",
        "lambda:",
        "if x:",
        "if x:\n",
        "try:\n",
        "@a\n",
        "a.b",
        "'",
        "\"",
        "`",
        "`${",
        "/",
        "/[",
        "r#\"",
        "r#",
        "/*",
        "//",
        "#[",
        "#![",
        "mod a {",
        "fn a() {",
        "assert!(",
        "assert_eq!(",
        "it('a', () => {",
        "describe('a', () => {",
        "function a() {",
        "const a = () => {",
        "expect(",
        "assert.ok(",
        "t.test(",
        "if (",
        "try {",
        "try {} catch {",
        "func A() {",
        "func Test",
        "t.Errorf(",
        "if ",
        "for ",
        "return ",
        "class A:\n def test_a(): assert x\n",
        "def test_a(): assert x == 1\n",
        "assert x == ",
        "assert x and ",
        "x or ",
        "os.kill(",
        "pytest.raises(",
        "self.assertEqual(",
        "[a]\n",
        "a = 1\n",
        "a:\n",
        "\t",
        " ",
        "\\\n",
        "a: \"b\", ",
        "exclude: [",
        "setattr(",
        "[[a]]\n",
        "a.a.",
        "if (a) ",
        "return a\n"
    )]
    piece: &str,
) {
    let text = piece.repeat(LENGTH / piece.len());
    let mut other = text.clone();
    other.push_str("\nx");
    for (language, path) in LANGUAGES {
        look(language, path, &text, &other);
    }
}
