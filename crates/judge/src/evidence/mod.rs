//! Whether the tests still mean what they meant, and whether any test proves the change.
//!
//! [`study`] reads both trees and names what a change does to the tests. [`compare`] weighs that again
//! with what ran. Neither believes the other alone: text can be made to look harmless, and a run can be
//! made to look whole. [`plant`] puts tests beside the repository's own that can't pass, and [`weigh`]
//! says what it means when they do. All are pure: others read files and run commands.

mod blocks;
mod cases;
mod compare;
mod expression;
mod files;
mod go;
mod ini;
mod lex;
mod node;
mod options;
mod overlay;
mod plant;
mod python;
mod rust;
mod source;
mod sources;
mod study;
mod weaken;

use crate::{
    case::{Results, TestCase},
    report::Finding,
};

pub use compare::compare;
pub(crate) use files::has_tests as is_source;
pub use files::is_test_file;
pub use plant::{Plant, plant, weigh};
pub use sources::SourceRef;
pub use study::study;

/// What a change does to the tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Study {
    /// Deleted, skipped and weakened tests, changed runner options, tampering with the runner, early
    /// exits: each with the test's name, file and line.
    pub findings: Vec<Finding>,
    /// Tests that only the head has.
    pub added: Vec<TestRef>,
    /// Tests that both have, with another body or another table.
    pub changed: Vec<TestRef>,
    /// Tests of touched files that both have, changed or not, as they are called in the head.
    pub kept: Vec<TestRef>,
    /// Tests that only the base has, as they are called there.
    pub deleted: Vec<TestRef>,
    /// Of the deleted: those whose code is gone from the tree as well.
    pub orphaned: Vec<TestRef>,
    /// The same test under another name or in another file: base's, head's.
    pub moved: Vec<(TestRef, TestRef)>,
    /// Test files that only the base has.
    pub deleted_files: Vec<String>,
    /// Test files that both have, with other content.
    pub changed_files: Vec<String>,
    /// Whether files that are neither tests nor test configuration nor documentation are touched.
    pub touches_code: bool,
    /// Files of the program that the change makes others, in a language that tests are read of.
    pub sources: Vec<SourceRef>,
    /// Whether any test file is touched.
    pub touches_tests: bool,
    /// To put over the merged tree: the base's tests and test configuration, so that they judge the
    /// head's code. Empty when the change touches none. `None` deletes the file.
    pub base_tests_on_head: Vec<(String, Option<String>)>,
    /// To put over the base's tree: the head's tests, so that they can show what the base does wrong.
    /// `None` deletes the file.
    pub head_tests_on_base: Vec<(String, Option<String>)>,
}

/// A test in the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TestRef {
    /// Relative to the root.
    pub file: String,
    /// As [`TestCase::name`].
    pub name: String,
    /// Class, module path, or the titles of the blocks around it.
    pub scope: Option<String>,
    /// From 1.
    pub line: u32,
}

/// What ran. `base` and `head` are each tree with its own tests.
#[derive(Debug, Clone, Copy)]
pub struct Runs<'a> {
    /// The base's tree.
    pub base: Option<RunOf<'a>>,
    /// The merged tree.
    pub head: RunOf<'a>,
    /// The merged tree under [`Study::base_tests_on_head`].
    pub base_tests_on_head: Option<RunOf<'a>>,
    /// The base's tree under [`Study::head_tests_on_base`].
    pub head_tests_on_base: Option<RunOf<'a>>,
}

/// One run of the test command.
#[derive(Debug, Clone, Copy)]
pub struct RunOf<'a> {
    /// What it reported.
    pub results: &'a Results,
    /// By its exit code.
    pub succeeded: bool,
}

/// What the runs say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// All findings: the study's, weighed again by what ran, and what the runs alone show. They take
    /// the place of [`Study::findings`].
    pub findings: Vec<Finding>,
    /// Tests that fail on the base and pass on the head: they prove the change.
    pub witnesses: Vec<TestCase>,
    /// Tests that fail on both.
    pub pre_existing: Vec<TestCase>,
    /// Tests that fail on the head alone.
    pub broken: Vec<TestCase>,
    /// Tests that ran on the base, are in the head's tree still, and did not run there.
    pub did_not_run: Vec<TestCase>,
    /// Whether the head fails, every failing test failed before, and nothing else speaks against it.
    pub only_pre_existing: bool,
}
