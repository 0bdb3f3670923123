//! Where a test of a file belongs, as the repository's own tests are called and kept.

use booty_judge::evidence::is_test_file;
use booty_policy::{Language, TreeView};

/// What a test file's name has before and after the name of what it tests.
struct Style<'a> {
    before: &'a str,
    after: &'a str,
}

/// In words, with an example where there is one.
pub(super) fn place(language: Language, head: &dyn TreeView, source: &str) -> String {
    let beside_code = language == Language::Rust
        && head.read(source).is_some_and(|text| text.contains("#[cfg(test)]"));
    if beside_code {
        return format!("Its tests are in {source} itself, below `#[cfg(test)]`.");
    }
    let tests: Vec<String> = head.paths().filter(|path| is_named(language, path)).collect();
    let stem = stem(source);
    let of_it = |path: &&String| {
        let (_, name) = split(path);
        styles(language).iter().any(|style| {
            base(name).strip_prefix(style.before).and_then(|rest| rest.strip_suffix(style.after))
                == Some(stem)
        })
    };
    if let Some(known) = nearest(source, tests.iter().filter(of_it)) {
        return format!("Its tests are in {known}.");
    }
    let like = nearest(source, tests.iter());
    // The root of a crate gives its tests no name.
    if let Some(like) =
        like.filter(|_| language == Language::Rust && matches!(stem, "lib" | "main"))
    {
        return format!(
            "Such a test belongs in a file like {like}, or in {source} itself, below `#[cfg(test)]`."
        );
    }
    let path = called(language, source, like.map(String::as_str));
    match like {
        Some(like) => format!("Such a test belongs in {path}; {like} shows how they are written."),
        None => format!("Such a test belongs in {path}."),
    }
}

/// The test file whose folders are most like those of the source.
fn nearest<'a>(source: &str, tests: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let (folder, _) = split(source);
    let shared = |path: &String| {
        split(path).0.split('/').filter(|part| folder.split('/').any(|own| own == *part)).count()
    };
    // Of equals, the one that comes first by name.
    tests
        .map(|path| (shared(path), path))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, path)| path)
}

/// The path of a new test file.
fn called(language: Language, source: &str, like: Option<&str>) -> String {
    let (folder, name) = split(source);
    let (stem, end) = (stem(source), name.rsplit_once('.').map_or("", |(_, end)| end));
    let below = |folder: &str, name: String| match folder {
        "" => name,
        folder => format!("{folder}/{name}"),
    };
    let default = || match language {
        Language::Python => format!("tests/test_{stem}.py"),
        Language::Node => below(folder, format!("{stem}.test.{end}")),
        Language::Rust => format!("{source} itself, below `#[cfg(test)]`"),
        Language::Go => below(folder, format!("{stem}_test.go")),
    };
    let Some(like) = like.filter(|_| language != Language::Go) else { return default() };
    let (like_folder, like_name) = split(like);
    let like_end = like_name.rsplit_once('.').map_or("", |(_, end)| end);
    let style = styles(language).iter().find(|style| {
        let base = base(like_name);
        base.len() > style.before.len() + style.after.len()
            && base.starts_with(style.before)
            && base.ends_with(style.after)
    });
    let Some(Style { before, after }) = style else { return default() };
    // Beside its source: beside this one, too. In a folder of tests: there.
    let is_apart =
        like_folder.split('/').any(|part| matches!(part, "tests" | "test" | "__tests__" | "spec"));
    let folder = if is_apart { like_folder } else { folder };
    below(folder, format!("{before}{stem}{after}.{like_end}"))
}

fn styles(language: Language) -> &'static [Style<'static>] {
    const fn style(before: &'static str, after: &'static str) -> Style<'static> {
        Style { before, after }
    }
    const PYTHON: &[Style<'static>] = &[style("test_", ""), style("", "_test")];
    const NODE: &[Style<'static>] = &[
        style("", ".test"),
        style("", ".spec"),
        style("", "-test"),
        style("", "_test"),
        style("test-", ""),
        style("", ""),
    ];
    const RUST: &[Style<'static>] = &[style("", "")];
    const GO: &[Style<'static>] = &[style("", "_test")];
    match language {
        Language::Python => PYTHON,
        Language::Node => NODE,
        Language::Rust => RUST,
        Language::Go => GO,
    }
}

/// Whether a file is one of tests, and not what tests share.
fn is_named(language: Language, path: &str) -> bool {
    let base = base(split(path).1);
    is_test_file(language, path)
        && match language {
            Language::Python => base.starts_with("test_") || base.ends_with("_test"),
            Language::Rust => base != "main" && base != "mod",
            Language::Node | Language::Go => true,
        }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A name without its last extension.
fn base(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(base, _)| base)
}

/// What a file is about: its name, or for one that stands for its folder the folder's.
fn stem(path: &str) -> &str {
    let (folder, name) = split(path);
    match base(name) {
        "__init__" | "index" | "mod" if !folder.is_empty() => split(folder).1,
        stem => stem,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;

    struct Files(BTreeMap<&'static str, &'static str>);

    impl TreeView for Files {
        fn paths(&self) -> Box<dyn Iterator<Item = String> + '_> {
            Box::new(self.0.keys().map(|path| (*path).to_owned()))
        }

        fn read(&self, path: &str) -> Option<String> {
            self.0.get(path).map(|text| (*text).to_owned())
        }
    }

    const PYTHON: Language = Language::Python;
    const NODE: Language = Language::Node;

    #[rstest]
    #[case::known(PYTHON, "shop/cart.py", &["tests/test_cart.py"], "Its tests are in tests/test_cart.py.")]
    #[case::apart(PYTHON, "shop/cart.py", &["tests/test_tax.py"], "in tests/test_cart.py; tests/test_tax.py shows")]
    #[case::mirrored(PYTHON, "shop/cart.py", &["tests/a/test_a.py", "tests/shop/test_tax.py"], "in tests/shop/test_cart.py;")]
    #[case::beside(PYTHON, "shop/cart.py", &["shop/tax_test.py"], "in shop/cart_test.py;")]
    #[case::none(PYTHON, "shop/cart.py", &["tests/conftest.py"], "belongs in tests/test_cart.py.")]
    #[case::package(PYTHON, "shop/__init__.py", &["test_a.py"], "in shop/test_shop.py;")]
    #[case::jest(NODE, "src/cart.ts", &["src/__tests__/tax.test.ts"], "in src/__tests__/cart.test.ts;")]
    #[case::spec(NODE, "src/cart.ts", &["src/tax.spec.ts"], "in src/cart.spec.ts;")]
    #[case::mocha(NODE, "lib/cart.js", &["test/tax.js"], "in test/cart.js;")]
    #[case::node_none(NODE, "lib/cart.js", &[], "belongs in lib/cart.test.js.")]
    #[case::go(Language::Go, "shop/cart.go", &["tax/tax_test.go"], "in shop/cart_test.go;")]
    #[case::rust_apart(Language::Rust, "src/cart.rs", &["tests/tax.rs"], "in tests/cart.rs;")]
    #[case::rust_none(Language::Rust, "src/cart.rs", &[], "in src/cart.rs itself, below `#[cfg(test)]`.")]
    #[case::rust_inside(Language::Rust, "src/tax.rs", &["tests/a.rs"], "are in src/tax.rs itself")]
    fn tests_belong_where_the_repository_has_them(
        #[case] language: Language,
        #[case] source: &str,
        #[case] tests: &[&'static str],
        #[case] expected: &str,
    ) {
        let mut files: BTreeMap<_, _> = tests.iter().map(|path| (*path, "")).collect();
        files.insert("src/tax.rs", "#[cfg(test)]\nmod tests {}\n");
        let said = place(language, &Files(files), source);
        assert!(said.contains(expected), "{said}");
    }
}
