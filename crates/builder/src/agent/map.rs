//! A map of the repository for the model's first look: files, what they define, and the tests that
//! touch them, the likeliest first, within a budget. A model that has one asks for less.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

use booty_judge::evidence::is_test_file;
use booty_policy::{config::Language, detect::SKIPPED};
use regex::Regex;

use super::tree::{Kind, Tree, TreePath};

/// Entries of the tree that are looked at.
const MAX_ENTRIES: usize = 20_000;
/// A larger source file is listed without what it defines.
const MAX_FILE_BYTES: usize = 256 * 1024;
/// Bytes of source that are read in all.
const MAX_READ_BYTES: usize = 16 * 1024 * 1024;
/// Names that are shown of one file.
const MAX_SYMBOLS: usize = 25;
/// Tests that are shown of one file.
const MAX_TESTS: usize = 3;

/// A file of the map.
struct File {
    path: String,
    language: Option<Language>,
    is_test: bool,
    symbols: Vec<String>,
    /// All words of a test file.
    words: BTreeSet<String>,
}

/// The map in at most `budget` bytes; empty for a tree without files. `task` says what is looked for.
/// All of it comes from outside.
pub(crate) fn map(tree: &Tree, task: &str, budget: usize) -> String {
    let files = files(tree);
    let wanted = words(task);
    let (tests, mut sources): (Vec<&File>, Vec<&File>) =
        files.iter().partition(|file| file.is_test && file.language.is_some());
    sources.sort_by_cached_key(|file| {
        let is_named = task.contains(&file.path);
        let hits = file.symbols.iter().filter(|symbol| wanted.contains(*symbol)).count();
        let stem = usize::from(stem(&file.path).is_some_and(|stem| wanted.contains(stem)));
        // Code before words and data; then what lies near the top.
        let is_code = file.language.is_some();
        (Reverse((is_named, hits + stem, is_code)), file.path.matches('/').count())
    });
    let mut shown = String::new();
    let mut left_out = 0_usize;
    let touching = touching(&sources, &tests);
    let lines = sources.iter().map(|file| (file, false));
    // Tests are named beside what they touch; those that touch nothing known come last.
    let named: BTreeSet<&str> =
        touching.values().flatten().map(|test| test.path.as_str()).collect();
    let alone = tests.iter().filter(|test| !named.contains(test.path.as_str()));
    for (file, is_alone) in lines.chain(alone.map(|test| (test, true))) {
        // Not even its name has room.
        if shown.len() + file.path.len() + 1 > budget {
            left_out += 1;
            continue;
        }
        let line = if is_alone { file.path.clone() } else { line(file, &touching) };
        if shown.len() + line.len() + 1 > budget {
            left_out += 1;
            continue;
        }
        shown.push_str(&line);
        shown.push('\n');
    }
    if left_out > 0 {
        shown.push_str(&format!("… and {left_out} more files; `list` and `search` show them\n"));
    }
    shown.trim_end().to_owned()
}

fn files(tree: &Tree) -> Vec<File> {
    let mut paths: Vec<TreePath> = Vec::new();
    let Ok(top) = TreePath::parse("") else { return Vec::new() };
    // What can't be walked has no map; the tools will say why.
    let _ = tree.walk(&top, MAX_ENTRIES, true, &mut |path, kind| {
        let text = path.to_string();
        let is_skipped = text.split('/').any(|part| SKIPPED.contains(&part));
        if kind == Kind::File && !is_skipped {
            paths.push(path.clone());
        }
        true
    });
    let mut left = MAX_READ_BYTES;
    paths
        .into_iter()
        .map(|path| {
            let name = path.to_string();
            let language = language(&name);
            let is_test = language.is_some_and(|language| is_test_file(language, &name));
            let text = language
                .filter(|_| left > 0)
                .and_then(|_| tree.read(&path, MAX_FILE_BYTES).ok())
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_default();
            left = left.saturating_sub(text.len());
            File {
                symbols: if is_test { Vec::new() } else { symbols(language, &text) },
                words: if is_test { words(&text) } else { BTreeSet::new() },
                path: name,
                language,
                is_test,
            }
        })
        .collect()
}

/// Tests by the module that they name, as whoever imports it must.
type Touching<'a> = HashMap<(Option<Language>, &'a str), Vec<&'a File>>;

fn touching<'a>(sources: &[&'a File], tests: &[&'a File]) -> Touching<'a> {
    let mut touching: Touching<'a> = sources
        .iter()
        .filter_map(|file| Some(((file.language, stem(&file.path)?), Vec::new())))
        .collect();
    for test in tests {
        for word in &test.words {
            if let Some(found) = touching.get_mut(&(test.language, word.as_str())) {
                found.push(test);
            }
        }
    }
    touching
}

fn line(file: &File, touching: &Touching<'_>) -> String {
    let mut line = file.path.clone();
    let symbols: Vec<&str> = file.symbols.iter().take(MAX_SYMBOLS).map(String::as_str).collect();
    if !symbols.is_empty() {
        line.push_str(": ");
        line.push_str(&symbols.join(", "));
    }
    if file.symbols.len() > MAX_SYMBOLS {
        line.push_str(", …");
    }
    let tests = stem(&file.path).and_then(|stem| touching.get(&(file.language, stem)));
    let tests = tests.map(Vec::as_slice).unwrap_or_default();
    let touching: Vec<&str> = tests.iter().take(MAX_TESTS).map(|test| test.path.as_str()).collect();
    if !touching.is_empty() {
        line.push_str(&format!(" (tests: {})", touching.join(", ")));
    }
    line
}

/// A file's name without its ending; of a package's own file, the package's.
fn stem(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    match stem {
        "__init__" | "mod" | "index" => folder.rsplit('/').next().filter(|name| !name.is_empty()),
        // Of these there is one in every crate.
        "" | "lib" | "main" => None,
        stem => Some(stem),
    }
}

fn language(path: &str) -> Option<Language> {
    Some(match path.rsplit_once('.')?.1 {
        "py" | "pyi" => Language::Python,
        "rs" => Language::Rust,
        "go" => Language::Go,
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" => Language::Node,
        _ => return None,
    })
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.len() > 1)
        .map(str::to_owned)
        .collect()
}

/// What a file defines at its top level and in its classes, in the order of the file.
fn symbols(language: Option<Language>, text: &str) -> Vec<String> {
    let Some(pattern) = language.and_then(definitions) else { return Vec::new() };
    let mut known = BTreeSet::new();
    pattern
        .captures_iter(text)
        .filter_map(|found| found.get(1))
        .map(|name| name.as_str())
        .filter(|name| known.insert(*name))
        .map(str::to_owned)
        .collect()
}

/// Definitions as people indent them: what is deeper is of no use on a map.
fn definitions(language: Language) -> Option<&'static Regex> {
    type Pattern = LazyLock<Option<Regex>>;
    static PYTHON: Pattern = LazyLock::new(|| {
        Regex::new(r"(?m)^(?: {4}|\t)?(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)").ok()
    });
    static RUST: Pattern = LazyLock::new(|| {
        let before = r"(?m)^(?: {4}|\t)?(?:pub(?:\([^)]*\))?[ \t]+)?(?:(?:async|unsafe|const|default)[ \t]+)*";
        let word = r"(?:fn|struct|enum|trait|type|macro_rules!)[ \t]+(\w+)";
        Regex::new(&format!("{before}{word}")).ok()
    });
    static GO: Pattern = LazyLock::new(|| {
        Regex::new(r"(?m)^(?:func[ \t]+(?:\([^)\n]*\)[ \t]*)?|type[ \t]+)(\w+)").ok()
    });
    static NODE: Pattern = LazyLock::new(|| {
        let before = r"(?m)^(?:export[ \t]+)?(?:default[ \t]+)?(?:declare[ \t]+)?(?:abstract[ \t]+|async[ \t]+)?";
        let word = r"(?:function[ \t]*\*?|class|interface|type|enum|const|let|var)[ \t]+([\w$]+)";
        Regex::new(&format!("{before}{word}")).ok()
    });
    match language {
        Language::Python => PYTHON.as_ref(),
        Language::Rust => RUST.as_ref(),
        Language::Go => GO.as_ref(),
        Language::Node => NODE.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> (TempDir, Tree) {
        let dir = TempDir::new().unwrap();
        for (path, content) in files {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), content).unwrap();
        }
        let tree = Tree::open(dir.path()).unwrap();
        (dir, tree)
    }

    #[test]
    fn what_the_task_speaks_of_comes_first() {
        let (_dir, tree) = tree(&[
            ("README.md", "words"),
            ("shop/__init__.py", ""),
            ("shop/cart.py", "class Cart:\n    def total(self):\n        def inner(): pass\n"),
            (
                "shop/tax.py",
                "RATE = 1\n\ndef vat(net):\n    return net\n\nasync def fetch(): ...\n",
            ),
            ("tests/test_tax.py", "from shop.tax import vat\n"),
            ("tests/test_all.py", "import shop.cart, shop.tax\n"),
            ("tests/data.py", "x = 1\n"),
            ("node_modules/a/index.js", "function a() {}"),
        ]);
        insta::assert_snapshot!(map(&tree, "`vat` is wrong", 10_000), @r"
        shop/tax.py: vat, fetch (tests: tests/test_all.py, tests/test_tax.py)
        shop/__init__.py (tests: tests/test_all.py, tests/test_tax.py)
        shop/cart.py: Cart, total (tests: tests/test_all.py)
        README.md
        tests/data.py
        ");
        let short = map(&tree, "`vat` is wrong", 80);
        assert!(short.starts_with("shop/tax.py: vat"), "{short}");
        assert!(short.ends_with("… and 3 more files; `list` and `search` show them"), "{short}");
        assert!(map(&tree, "see shop/cart.py", 10_000).starts_with("shop/cart.py"));
    }

    #[test]
    fn definitions_are_found_in_each_language() {
        for (path, text, expected) in [
            (
                "a.rs",
                "pub(crate) struct A;\nimpl A {\n    pub async fn go(&self) {\n        fn deep() {}\n    }\n}\nmacro_rules! m { () => {} }\n",
                "A, go, m",
            ),
            ("a.go", "type T struct{}\nfunc (t *T) Do() {}\nfunc Free() {}\n", "T, Do, Free"),
            (
                "a.ts",
                "export default class K {}\nexport const f = () => 1;\ninterface I {}\n  const deep = 1;\n",
                "K, f, I",
            ),
        ] {
            assert_eq!(symbols(language(path), text).join(", "), expected, "{path}");
        }
    }
}
