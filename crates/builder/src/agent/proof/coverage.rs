//! Which changed source files no test of the change refers to.

use std::collections::{BTreeSet, HashSet};

use booty_judge::evidence::{SourceRef, Study, is_test_file};
use booty_policy::{Language, TreeView};

/// Test files that are searched for a test whose file its runner does not say.
const MAX_SEARCHED: usize = 500;
/// A shorter name says too little: it may be anything's.
const MIN_NAME_CHARS: usize = 3;

/// A test file and its text.
pub(super) struct TestFile {
    path: String,
    text: String,
}

/// The files of new and changed tests, and of witnesses.
pub(super) fn tests(
    language: Language,
    head: &dyn TreeView,
    study: &Study,
    witnesses: &[(Option<String>, String)],
) -> Vec<TestFile> {
    let touched = study.added.iter().chain(&study.changed).map(|test| test.file.clone());
    let mut paths: BTreeSet<String> = touched.collect();
    let mut unplaced: HashSet<&str> = HashSet::new();
    for (file, name) in witnesses {
        let known = study.kept.iter().find(|test| test.name == *name);
        match file.clone().or_else(|| known.map(|test| test.file.clone())) {
            Some(file) => {
                paths.insert(file);
            }
            None => {
                unplaced.insert(name.as_str());
            }
        }
    }
    if !unplaced.is_empty() {
        let all = head.paths().filter(|path| is_test_file(language, path)).take(MAX_SEARCHED);
        let holds = |path: &String| {
            head.read(path).is_some_and(|text| words(&text).any(|word| unplaced.contains(word)))
        };
        paths.extend(all.filter(holds));
    }
    let read = |path: String| head.read(&path).map(|text| TestFile { path, text });
    paths.into_iter().filter_map(read).collect()
}

/// The changed source files that none of these tests refers to.
pub(super) fn missing<'a>(
    language: Language,
    study: &'a Study,
    tests: &[TestFile],
    has_witness: bool,
) -> Vec<&'a SourceRef> {
    let is_covered = |source: &SourceRef| {
        // What only gathers others is tested through them.
        has_witness && is_gatherer(&source.path)
            || tests.iter().any(|test| refers(language, test, source))
    };
    study.sources.iter().filter(|source| !is_covered(source)).collect()
}

fn refers(language: Language, test: &TestFile, source: &SourceRef) -> bool {
    // Tests beside code.
    if test.path == source.path {
        return true;
    }
    // A package is tested from within.
    if language == Language::Go && folder(&test.path) == folder(&source.path) {
        return true;
    }
    let names: HashSet<&str> = source
        .defines
        .iter()
        .map(String::as_str)
        .filter(|name| name.chars().count() >= MIN_NAME_CHARS)
        .collect();
    words(&test.text).any(|word| names.contains(word)) || names_module(language, test, &source.path)
}

/// Whether a test names a file as a module.
fn names_module(language: Language, test: &TestFile, source: &str) -> bool {
    let module = module(source);
    if module.is_empty() {
        return false;
    }
    match language {
        Language::Python => test.text.lines().any(|line| {
            let line = line.trim_start();
            (line.starts_with("import ") || line.starts_with("from "))
                && words(line).any(|word| word == module)
        }),
        Language::Node => test.text.split(['\'', '"', '`']).any(|text| {
            let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or(text);
            let stem = last.split_once('.').map_or(last, |(stem, _)| stem);
            (last == module || stem == module) && (text.contains('/') || text.contains('.'))
        }),
        Language::Rust => words(&test.text).any(|word| word == module),
        // By the path of its package.
        Language::Go => test.text.split('"').any(|text| {
            let package = folder(source).rsplit('/').next().unwrap_or_default();
            !package.is_empty() && text.rsplit('/').next() == Some(package) && text.contains('/')
        }),
    }
}

/// How a file is called where it is imported: by its own name, or by its folder's.
fn module(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    match stem {
        "__init__" | "__main__" | "index" | "mod" | "lib" | "main" => {
            folder(path).rsplit('/').next().unwrap_or_default()
        }
        stem => stem,
    }
}

fn is_gatherer(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    matches!(stem, "__init__" | "index" | "mod" | "lib")
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::python(Language::Python, "shop/cart.py", "from shop import cart\n", true)]
    #[case::python_path(Language::Python, "src/shop/cart.py", "import shop.cart as c\n", true)]
    #[case::python_package(Language::Python, "shop/__init__.py", "import shop\n", true)]
    #[case::python_word(Language::Python, "shop/cart.py", "# the cart\n", false)]
    #[case::by_what_it_defines(
        Language::Python,
        "shop/cart.py",
        "import shop\nshop.total(1)\n",
        true
    )]
    #[case::node(Language::Node, "src/cart.ts", "import { x } from '../src/cart';\n", true)]
    #[case::node_extension(Language::Node, "src/cart.js", "require(\"./cart.js\")\n", true)]
    #[case::node_index(Language::Node, "src/shop/index.js", "require('../shop')\n", true)]
    #[case::node_word(Language::Node, "src/cart.js", "it('cart', f)\n", false)]
    #[case::rust(Language::Rust, "src/cart.rs", "use shop::cart::Cart;\n", true)]
    #[case::go_package(Language::Go, "shop/cart.go", "import \"example.com/shop\"\n", true)]
    #[case::other(Language::Go, "shop/cart.go", "import \"example.com/tax\"\n", false)]
    fn a_test_refers_to_what_it_imports_or_names(
        #[case] language: Language,
        #[case] source: &str,
        #[case] text: &str,
        #[case] expected: bool,
    ) {
        let test = TestFile { path: "tests/test_x".to_owned(), text: text.to_owned() };
        let source =
            SourceRef { path: source.to_owned(), defines: vec!["total".into(), "x".into()] };
        assert_eq!(refers(language, &test, &source), expected);
    }
}
