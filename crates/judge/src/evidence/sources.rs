//! Files of the program that a change makes others: what its tests are to be of.

use booty_policy::Language;

use super::{
    files::{self, FileKind},
    study::File,
};
use crate::change::ChangeKind;

/// A file of the program whose code a change makes another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRef {
    /// Relative to the root.
    pub path: String,
    /// Functions, classes and types that it defines in the head.
    pub defines: Vec<String>,
}

/// Those of a change. Neither what is deleted nor what only differs in comments is among them.
pub(super) fn of(language: Language, files: &[File]) -> Vec<SourceRef> {
    let is_one = |file: &&File| {
        file.kind == FileKind::Code
            && files::has_tests(language, &file.path)
            && file.change != ChangeKind::Deleted
            && !file.head.code.trim().is_empty()
            && (file.base_text.is_none() || file.base.code != file.head.code)
            && !is_exempt(language, &file.path)
    };
    let reference = |file: &File| {
        let mut defines = file.head.defines.clone();
        defines.sort_unstable();
        defines.dedup();
        SourceRef { path: file.path.clone(), defines }
    };
    files.iter().filter(is_one).map(reference).collect()
}

/// What nobody writes tests of: build scripts and configuration, migrations, examples, types alone; and
/// modules of tests that Rust keeps beside code.
fn is_exempt(language: Language, path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_below = |names: &[&str]| folder.split('/').any(|part| names.contains(&part));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_aside = is_below(&["examples", "benches", "benchmarks", "migrations"]);
    is_aside
        || match language {
            Language::Python => matches!(name, "setup.py" | "conf.py"),
            Language::Node => stem.ends_with(".config") || stem.ends_with(".d"),
            Language::Rust => {
                name == "build.rs"
                    || matches!(stem, "test" | "tests")
                    || stem.ends_with("_test")
                    || stem.ends_with("_tests")
            }
            Language::Go => name == "doc.go",
        }
}
