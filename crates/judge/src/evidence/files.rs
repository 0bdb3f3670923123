//! What a path is to the tests: a test, how they are run, the program, or words about it.

use booty_policy::config::Language;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Tests, or what only tests use: shared functions, data, snapshots.
    Test,
    /// Says how tests are run, and nothing else.
    TestConfig,
    /// Says how tests are run, and other things too.
    Mixed,
    /// Takes a module's place that a runner is made of.
    Shadow,
    /// Words.
    Docs,
    /// The program; also whatever is not known.
    Code,
}

pub(super) fn kind(language: Language, path: &str) -> FileKind {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if shadows(language, path, name) {
        return FileKind::Shadow;
    }
    let config = match name {
        "pytest.ini" | ".pytest.ini" | "pytest.toml" | ".pytest.toml" | "noxfile.py"
        | "nextest.toml" => Some(FileKind::TestConfig),
        "pyproject.toml" | "setup.cfg" | "tox.ini" => Some(FileKind::Mixed),
        "config.toml" | "config" if folder.ends_with(".cargo") => Some(FileKind::TestConfig),
        ".npmrc" => Some(FileKind::TestConfig),
        "package.json" if language == Language::Node => Some(FileKind::Mixed),
        "Cargo.toml" if language == Language::Rust => Some(FileKind::Mixed),
        "vite.config.js" | "vite.config.ts" | "vite.config.mjs" | "vite.config.mts" => {
            Some(FileKind::TestConfig)
        }
        _ => is_node_config(name).then_some(FileKind::TestConfig),
    };
    if let Some(kind) = config {
        return kind;
    }
    if is_test(language, folder, name) {
        return FileKind::Test;
    }
    if is_docs(path, name) { FileKind::Docs } else { FileKind::Code }
}

fn is_node_config(name: &str) -> bool {
    [
        "jest.config.",
        "vitest.config.",
        "vitest.workspace.",
        "vitest.setup.",
        "jest.setup.",
        ".mocharc",
        "ava.config.",
        "playwright.config.",
        "karma.conf",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

fn is_test(language: Language, folder: &str, name: &str) -> bool {
    let in_folder = |names: &[&str]| folder.split('/').any(|part| names.contains(&part));
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    match language {
        Language::Python => {
            in_folder(&["tests", "test"])
                || name == "conftest.py"
                || (end == "py"
                    && (stem == "test"
                        || stem == "tests"
                        || stem.starts_with("test_")
                        || stem.ends_with("_test")))
        }
        Language::Node => {
            let is_code =
                matches!(end, "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" | "jsx" | "tsx");
            in_folder(&[
                "__tests__",
                "__mocks__",
                "__snapshots__",
                "__fixtures__",
                "test",
                "tests",
                "spec",
            ]) || end == "snap"
                || (is_code
                    && ([".test", ".spec", "-test", "_test"]
                        .iter()
                        .any(|part| stem.ends_with(part))
                        || stem == "test"
                        || stem.starts_with("test-")))
        }
        Language::Rust => in_folder(&["tests", "testdata", "snapshots"]) || end == "snap",
        Language::Go => name.ends_with("_test.go") || in_folder(&["testdata"]),
    }
}

/// Whether a file holds tests of this language, by where it is and how it is called.
pub fn is_test_file(language: Language, path: &str) -> bool {
    kind(language, path) == FileKind::Test && has_tests(language, path)
}

/// Whether a runner's parser reads tests of this file.
pub(crate) fn has_tests(language: Language, path: &str) -> bool {
    let end = path.rsplit_once('.').map_or("", |(_, end)| end);
    match language {
        Language::Python => end == "py",
        Language::Node => {
            matches!(end, "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" | "jsx" | "tsx")
        }
        Language::Rust => end == "rs",
        Language::Go => end == "go",
    }
}

fn shadows(language: Language, path: &str, name: &str) -> bool {
    match language {
        Language::Python => {
            matches!(name, "sitecustomize.py" | "usercustomize.py")
                || name.ends_with(".pth")
                || ["pytest", "_pytest", "unittest", "pluggy"].iter().any(|module| {
                    path == format!("{module}.py")
                        || path == format!("src/{module}.py")
                        || path.starts_with(&format!("{module}/"))
                        || path.starts_with(&format!("src/{module}/"))
                })
        }
        Language::Node => path.split('/').any(|part| part == "node_modules"),
        Language::Rust | Language::Go => false,
    }
}

fn is_docs(path: &str, name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    matches!(end, "md" | "rst" | "adoc")
        || path.starts_with(".github/")
        || matches!(name, ".gitignore" | ".gitattributes" | ".editorconfig")
        || path.starts_with("docs/")
        || ["LICENSE", "README", "CHANGELOG", "CONTRIBUTING", "AUTHORS", "NOTICE", "COPYING"]
            .iter()
            .any(|start| upper.starts_with(start))
}
