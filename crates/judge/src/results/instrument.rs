//! Asks a runner for a report.

use std::{collections::BTreeMap, time::Duration};

use booty_policy::config::CommandSpec;

use super::{Runner, npm};

/// What a runner that reports to a file may print, since it is for people only.
const OUTPUT_BYTES: usize = 256 * 1024;
/// What is kept of an output that the results are read from: of each of 20,000 tests a line.
const READ_OUTPUT_BYTES: usize = 4 * 1024 * 1024;
/// Events of `go test` have a line for each line that a test prints.
const EVENTS_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// Jest's own JSON.
pub(super) const JEST: &str = "jest.json";
const VITEST: &str = "vitest.xml";
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
    instrument_package(runner, command, folder, None)
}

/// The same with the `package.json` that `npm test` would read, so that what it runs is known.
pub fn instrument_package(
    runner: Runner,
    command: &CommandSpec,
    folder: &str,
    package: Option<&str>,
) -> Instrumented {
    let mut instrumented = Instrumented {
        env: command.env.clone(),
        script: command.command.clone(),
        directory: command.directory.clone(),
        reports: Vec::new(),
        output_bytes: READ_OUTPUT_BYTES,
    };
    instrumented.default(FOLDER_VARIABLE, folder);
    match runner {
        Runner::Pytest => instrumented.pytest(folder, command.timeout),
        Runner::CargoTest => instrumented.default("CARGO_TERM_COLOR", "never"),
        Runner::Nextest => {
            instrumented.default("CARGO_TERM_COLOR", "never");
            instrumented.default("NEXTEST_STATUS_LEVEL", "all");
            instrumented.default("NEXTEST_HIDE_PROGRESS_BAR", "1");
        }
        Runner::NodeTest => instrumented.node(folder, package),
        Runner::Jest => {
            let options = format!("--json --outputFile={folder}/{JEST} --testLocationInResults");
            if !instrumented.append("jest", &options, package, JEST) {
                // For those who have configured jest-junit.
                instrumented.default("JEST_JUNIT_OUTPUT_FILE", &format!("{folder}/jest.xml"));
                instrumented.default("JEST_JUNIT_ADD_FILE_ATTRIBUTE", "true");
                instrumented.expect("jest.xml", false);
            }
        }
        Runner::Vitest => {
            let options =
                format!("--reporter=default --reporter=junit --outputFile.junit={folder}/{VITEST}");
            instrumented.append("vitest", &options, package, VITEST);
        }
        Runner::GoTest => instrumented.go(),
        Runner::Unittest | Runner::Mocha | Runner::Other => {}
    }
    instrumented
}

impl Instrumented {
    fn pytest(&mut self, folder: &str, timeout: Option<Duration>) {
        const FILE: &str = "pytest.xml";
        let own = self.env.get("PYTEST_ADDOPTS").cloned().unwrap_or_default();
        let says = |word: &str| own.contains(word) || self.script.contains(word);
        // Without the plugin the option would be an error.
        if says("no:junitxml") {
            return;
        }
        let is_certain = !says("--junit") && !says("PYTEST_ADDOPTS");
        let options =
            format!("{own} --junitxml={folder}/{FILE} -o junit_family=xunit1 -o junit_logging=no");
        // Says where a test that never ends is, while there is time to.
        let options = match timeout {
            Some(timeout) if !says("faulthandler") => {
                format!("{options} -o faulthandler_timeout={:.1}", timeout.as_secs_f64() * 0.8)
            }
            _ => options,
        };
        self.env.insert("PYTEST_ADDOPTS".to_owned(), options.trim().to_owned());
        self.expect(FILE, is_certain);
        self.output_bytes = OUTPUT_BYTES;
    }

    /// Node refuses reporters without a destination each, so none may be named elsewhere. All of what
    /// is run must be known for that.
    fn node(&mut self, folder: &str, package: Option<&str>) {
        const FILE: &str = "node.xml";
        let own = self.env.get("NODE_OPTIONS").cloned().unwrap_or_default();
        let Some(script) = npm::expanded(&self.script, package) else { return };
        if own.contains("--test-") || script.contains("--test-reporter") {
            return;
        }
        let is_certain = !script.contains("NODE_OPTIONS");
        let options = format!(
            "{own} --test-reporter=spec --test-reporter-destination=stdout \
             --test-reporter=junit --test-reporter-destination={folder}/{FILE}"
        );
        self.env.insert("NODE_OPTIONS".to_owned(), options.trim().to_owned());
        self.expect(FILE, is_certain);
    }

    /// Options behind a command that is this runner and nothing else. Whether it was one.
    fn append(&mut self, runner: &str, options: &str, package: Option<&str>, file: &str) -> bool {
        let Some(between) = npm::place_for_options(&self.script, runner, package) else {
            return false;
        };
        self.script = format!("{}{between}{options}", self.script.trim_end());
        self.expect(file, true);
        true
    }

    /// `-json` behind every `go test`. Not by `GOFLAGS`: there it would be for `go list` and `go vet`
    /// as well, and change what they print and how they end.
    fn go(&mut self) {
        const NO_EVENTS: [&str; 5] = ["-json", "-c", "-list", "-n", "-h"];
        self.output_bytes = EVENTS_OUTPUT_BYTES;
        if self.script.contains(['|', '<', '>', '(', '{', '`', '$', '"', '\'', '\\', '#', '\n']) {
            return;
        }
        let mut parts: Vec<String> = Vec::new();
        for part in self.script.split_inclusive(['&', ';']) {
            let words: Vec<_> = part.trim_end_matches(['&', ';']).split_whitespace().collect();
            let is_setting = |word: &&&str| word.contains('=') && !word.starts_with('-');
            let settings = words.iter().take_while(is_setting).count();
            let is_test = matches!(words.get(settings..settings + 2), Some(["go", "test"]));
            let option = |word: &&str| word.trim_end_matches("=true").replace("--", "-");
            if is_test && !words.iter().any(|word| NO_EVENTS.contains(&option(word).as_str())) {
                // Files by their whole path, since a name alone does not say its folder.
                parts.push(part.replacen("test", "test -json -fullpath", 1));
            } else {
                parts.push(part.to_owned());
            }
        }
        self.script = parts.concat();
    }

    /// Sets a variable that the command does not set itself.
    fn default(&mut self, name: &str, value: &str) {
        self.env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    fn expect(&mut self, file: &str, is_certain: bool) {
        self.reports.push(Expected { file: file.to_owned(), is_certain });
    }
}
