//! Asks a runner for a report.

use std::collections::BTreeMap;

use booty_policy::config::CommandSpec;

use super::Runner;

/// What a runner that reports to a file may print, since it is for people only.
const OUTPUT_BYTES: usize = 256 * 1024;
/// What is kept of an output that the results are read from: of each of 20,000 tests a line.
const READ_OUTPUT_BYTES: usize = 4 * 1024 * 1024;
/// Where a repository of its own accord may write JUnit files.
const FOLDER_VARIABLE: &str = "BOOTY_REPORT_DIR";

/// How a test command is run so that its results can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrumented {
    /// The command's own variables, and what asks its runner for a report.
    pub env: BTreeMap<String, String>,
    /// The command as its owner wrote it. Only where every word of it is known does it have an option
    /// more, which changes what is printed and nothing else.
    pub script: String,
    /// Where it starts, relative to the tree.
    pub directory: String,
    /// What is expected in the report folder.
    pub reports: Vec<Expected>,
    /// How much of the output must be kept for [`super::read`].
    pub output_bytes: usize,
}

/// A file that a runner was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name in the report folder.
    pub file: String,
    /// Whether a run that came to its end has written it. It was kept from that when it is missing.
    pub is_certain: bool,
}

/// Asks for a report. `folder` is the path inside the sandbox of a folder outside the work tree that
/// the command may write to; it is empty before the run.
pub fn instrument(runner: Runner, command: &CommandSpec, folder: &str) -> Instrumented {
    let mut instrumented = Instrumented {
        env: command.env.clone(),
        script: command.command.clone(),
        directory: command.directory.clone(),
        reports: Vec::new(),
        output_bytes: READ_OUTPUT_BYTES,
    };
    instrumented.env.entry(FOLDER_VARIABLE.to_owned()).or_insert_with(|| folder.to_owned());
    match runner {
        Runner::Pytest => pytest(&mut instrumented, folder),
        Runner::CargoTest => default(&mut instrumented, "CARGO_TERM_COLOR", "never"),
        _ => {}
    }
    instrumented
}

fn pytest(instrumented: &mut Instrumented, folder: &str) {
    const FILE: &str = "pytest.xml";
    let own = instrumented.env.get("PYTEST_ADDOPTS").cloned().unwrap_or_default();
    let says = |word: &str| own.contains(word) || instrumented.script.contains(word);
    // Without the plugin the option would be an error.
    if says("no:junitxml") {
        return;
    }
    let is_certain = !says("--junit") && !says("PYTEST_ADDOPTS=");
    let options =
        format!("{own} --junitxml={folder}/{FILE} -o junit_family=xunit1 -o junit_logging=no");
    instrumented.env.insert("PYTEST_ADDOPTS".to_owned(), options.trim().to_owned());
    instrumented.reports.push(Expected { file: FILE.to_owned(), is_certain });
    instrumented.output_bytes = OUTPUT_BYTES;
}

/// Sets a variable that the command does not set itself.
fn default(instrumented: &mut Instrumented, name: &str, value: &str) {
    instrumented.env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
}
