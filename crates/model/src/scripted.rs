//! A model that answers from a file: for tests, the demo, and offline replays.
//!
//! ```yaml
//! asked_log: asked.log          # optional; one line per question, beside the script
//! told_log: told.jsonl          # optional; each question whole, one JSON object a line
//! scenarios:
//!   - match: "adds instead of subtracting"   # found in the conversation's first message
//!     turns:
//!       - text: I read the file first.
//!         calls:
//!           - tool: read
//!             with: { path: calc.py }
//!       - text: Done.
//!   - turns: [{ text: "I do not know this task." }]   # without `match`: the default
//! ```
//! The first scenario that matches is taken. Its turn is the number of answers that the conversation
//! already holds, so the model remembers nothing and a resumed job goes on where it stopped. A file
//! that ends in `.json` is read as JSON, anything else as YAML.
//!
//! A conversation that follows up a verdict begins with the same task, what the verifier found, and the
//! words `follow-up 1 of 2`: a scenario that matches those comes before the task's own.
//!
//! A simulated endpoint plays the same files; its turns may have `faults` besides.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use crate::{Answer, Error, Message, Model, Part, Request, StopReason, Usage};

/// Answers from a file.
#[derive(Debug)]
pub struct ScriptedModel {
    name: String,
    path: PathBuf,
    script: Script,
}

/// The file. Whoever plays it beside [`ScriptedModel`] (a simulated endpoint) picks the same answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Where each question leaves one line, relative to the script.
    #[serde(default)]
    pub asked_log: Option<PathBuf>,
    /// Where each question is written as it came, relative to the script.
    #[serde(default)]
    pub told_log: Option<PathBuf>,
    /// The first one that matches is played.
    pub scenarios: Vec<Scenario>,
}

/// The answers to one task.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What the task must contain; none: any task.
    #[serde(default, rename = "match")]
    pub matches: Option<String>,
    /// The answers, in order.
    pub turns: Vec<Turn>,
}

/// One answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// What is said.
    pub text: Option<String>,
    /// The tools that are called.
    pub calls: Vec<Call>,
    /// How long the answer takes, in milliseconds.
    pub wait_ms: u64,
    /// No answer but an error of the kind that is not tried again.
    pub fail: Option<String>,
    /// Why the answer ends; by default what the calls imply.
    pub stop: Option<StopReason>,
    /// What it costs; by default an estimate of four bytes a token.
    pub usage: Option<Usage>,
    /// What an endpoint does wrong before it answers, one each time it is asked. Only a simulated
    /// endpoint can; [`ScriptedModel`] refuses a script that has any.
    pub faults: Vec<Value>,
}

/// One tool call of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    #[serde(default)]
    pub with: Value,
}

impl Script {
    /// Reads and checks a script.
    ///
    /// # Errors
    /// When the file can't be read, or is no script.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::ScriptUnreadable { path: path.to_owned(), source })?;
        let invalid = |why: String| Error::ScriptInvalid { path: path.to_owned(), why };
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        Self::parse(&text, is_json).map_err(invalid)
    }

    /// Reads a script from YAML or JSON; what is wrong with it otherwise.
    ///
    /// # Errors
    /// When the text is no script.
    pub fn parse(text: &str, is_json: bool) -> Result<Self, String> {
        let script: Self = if is_json {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            serde_saphyr::from_str(text).map_err(|error| error.to_string())?
        };
        if script.scenarios.is_empty() {
            return Err("it has no scenario".to_owned());
        }
        Ok(script)
    }

    /// The first scenario that a task fits, and its index.
    pub fn scenario_for(&self, task: &str) -> Option<(usize, &Scenario)> {
        let fits = |scenario: &Scenario| match &scenario.matches {
            Some(wanted) => task.contains(wanted.as_str()),
            None => true,
        };
        self.scenarios.iter().enumerate().find(|(_, scenario)| fits(scenario))
    }
}

impl ScriptedModel {
    /// Reads and checks a script.
    ///
    /// # Errors
    /// When the file can't be read, or is no script.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let script = Script::load(path)?;
        if script.scenarios.iter().flat_map(|s| &s.turns).any(|turn| !turn.faults.is_empty()) {
            let why = "it has `faults`, which only a simulated endpoint can play".to_owned();
            return Err(Error::ScriptInvalid { path: path.to_owned(), why });
        }
        Ok(Self { name: format!("script:{}", path.display()), path: path.to_owned(), script })
    }

    /// The files that questions are written to.
    pub fn logs(&self) -> Vec<PathBuf> {
        let logs = [&self.script.asked_log, &self.script.told_log];
        logs.into_iter().flatten().map(|log| self.beside(log)).collect()
    }

    /// A path as the script means it.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new(".")).join(path)
    }

    fn scenario(&self, request: &Request) -> Result<(usize, &Scenario), Error> {
        let task = match request.messages.first() {
            Some(Message::User { content }) => content.as_str(),
            _ => "",
        };
        self.script.scenario_for(task).ok_or_else(|| Error::FailFast {
            why: format!("no scenario of {} fits the task", self.path.display()),
        })
    }

    /// What is logged of a question: a test can prove that none was asked twice, and what it held.
    fn log_question(&self, scenario: usize, turn: usize, request: &Request) -> Result<(), Error> {
        if let Some(log) = &self.script.asked_log {
            let hash = hex::encode(request.hash());
            self.append(log, &format!("scenario={scenario} turn={turn} request={hash}\n"))?;
        }
        if let Some(log) = &self.script.told_log {
            // A struct of strings, numbers and JSON values always has a JSON form.
            let whole = serde_json::to_string(request).unwrap_or_default();
            self.append(log, &format!("{whole}\n"))?;
        }
        Ok(())
    }

    fn append(&self, log: &Path, line: &str) -> Result<(), Error> {
        let log = self.beside(log);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|source| Error::ScriptUnreadable { path: log, source })
    }
}

#[async_trait]
impl Model for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Error> {
        let (index, scenario) = self.scenario(request)?;
        let number = request.turns();
        let turn = scenario.turns.get(number).ok_or_else(|| Error::FailFast {
            why: format!(
                "the script {} has {} turns in scenario {index}, and turn {number} (counted from \
                 0) was asked for",
                self.path.display(),
                scenario.turns.len(),
            ),
        })?;
        self.log_question(index, number, request)?;
        if turn.wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(turn.wait_ms)).await;
        }
        if let Some(why) = &turn.fail {
            return Err(Error::FailFast { why: why.clone() });
        }
        Ok(turn.answer(number, request))
    }
}

impl Turn {
    fn answer(&self, number: usize, request: &Request) -> Answer {
        let text = self.text.iter().map(|text| Part::Text { text: text.clone() });
        let calls = self.calls.iter().enumerate().map(|(index, call)| Part::ToolCall {
            id: format!("call_{number}_{index}"),
            name: call.tool.clone(),
            arguments: call.with.clone(),
        });
        let parts: Vec<Part> = text.chain(calls).collect();
        let implied = if self.calls.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse };
        Answer {
            usage: self.usage.unwrap_or_else(|| Usage {
                is_estimated: false,
                ..Usage::estimate(request, &parts)
            }),
            parts,
            stop: self.stop.unwrap_or(implied),
            model: "script".to_owned(),
            id: format!("turn_{number}"),
        }
    }
}
