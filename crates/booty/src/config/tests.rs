use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;

fn checked(files: &[(&str, &str)], file: Option<&str>, json: bool) -> (String, Exit) {
    let folder = TempDir::new().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let args = ConfigCheck { file: file.map(PathBuf::from), json };
    check(&args, folder.path(), false).unwrap()
}

const WRONG: &str = "version: 1\nlangauge: python\nlimits: { files: 0 }\n";

#[test]
fn errors_are_shown_in_their_lines() {
    let (text, exit) = checked(&[(".booty.yml", WRONG)], None, false);
    assert_eq!(exit, Exit::Failure);
    let expected = "\
.booty.yml:2:1: unknown key `langauge`; did you mean `language`?
  2 | langauge: python
    | ^
.booty.yml:3:18: `limits.files` must be 1 to 500, not 0
  3 | limits: { files: 0 }
    |                  ^
";
    assert_eq!(text, expected);
}

#[test]
fn programs_get_the_same() {
    let (text, exit) = checked(&[("x.yml", WRONG)], Some("x.yml"), true);
    assert_eq!(exit, Exit::Failure);
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list[0]["line"], 2);
    assert_eq!(list[1]["column"], 18);
    assert_eq!(list[1]["message"], "`limits.files` must be 1 to 500, not 0");
    assert_eq!(checked(&[("x.yml", "version: 1\n")], Some("x.yml"), true).0, "[]\n");
}

#[test]
fn a_terminal_is_not_driven_by_a_file() {
    let long = format!("version: 1\ntest: [\"\\e\", {}]\nx\u{1b}[2J: 1\n", "a, ".repeat(200));
    let (text, exit) = checked(&[(".booty.yml", &long)], None, false);
    assert_eq!(exit, Exit::Failure);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let coloured = show::errors(
        "x",
        WRONG.as_bytes(),
        &Config::parse(WRONG.as_bytes()).unwrap_err().errors,
        true,
    );
    assert!(coloured.contains("\u{1b}[31m^\u{1b}[0m"), "{coloured:?}");
}

#[test]
fn a_valid_file_is_told_on_one_line() {
    let file = "version: 1\nlanguage: rust\ntest: |\n  cargo test\n  true\nprotect: {paths: [a, b], policy: warn}\nnetwork: none\n";
    let (text, exit) = checked(&[(".booty.yml", file)], None, false);
    assert_eq!(exit, Exit::Success);
    assert_eq!(
        text,
        ".booty.yml: valid; rust; test `cargo test true`; at most 30 files and 1500 lines; 2 protected \
         patterns (warn); no network; 3 rounds; evidence report\n"
    );
}

#[test]
fn without_a_file_it_says_what_is_detected() {
    let files =
        [("go.mod", "module x\n"), ("a/b.go", ""), (".git/x.py", ""), ("node_modules/a.js", "")];
    let (text, exit) = checked(&files, None, false);
    assert_eq!(
        (text.as_str(), exit),
        ("no .booty.yml; detected Go: go test (go.mod at the root)\n", Exit::Success)
    );
    assert_eq!(checked(&[], None, false).0, "no .booty.yml; nothing was detected\n");
    // One that is named must be there.
    let args = ConfigCheck { file: Some("absent.yml".into()), json: false };
    assert!(check(&args, TempDir::new().unwrap().path(), false).is_err());
}

#[test]
fn a_file_that_is_too_large_is_not_read_to_its_end() {
    let large = "#".repeat(10 << 20);
    let (text, exit) = checked(&[(".booty.yml", &large)], None, false);
    assert_eq!(exit, Exit::Failure);
    assert!(text.contains("at most 65536 are read"), "{text}");
}
