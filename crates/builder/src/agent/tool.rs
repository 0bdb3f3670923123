//! The tools a model may call, and how their arguments are read.

use booty_model::ToolSpec;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::protocol::CommandName;

/// The tool that runs a command.
pub(crate) const RUN: &str = "run";

/// A call that could be understood.
#[derive(Debug, PartialEq)]
pub(crate) enum Tool {
    List(List),
    Read(Read),
    Search(Search),
    Edit(Edit),
    Write(Write),
    Delete(Delete),
    Run(Run),
    Finish(Finish),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    #[serde(default)]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) recursive: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    pub(crate) path: String,
    /// The first line, from 1.
    #[serde(default = "one")]
    pub(crate) from: usize,
    #[serde(default)]
    pub(crate) lines: Option<usize>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pub(crate) pattern: String,
    #[serde(default)]
    pub(crate) path: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    pub(crate) path: String,
    pub(crate) old: String,
    pub(crate) new: String,
    #[serde(default)]
    pub(crate) all: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Write {
    pub(crate) path: String,
    pub(crate) content: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    pub(crate) path: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) command: RunCommand,
    /// Of the tests, those with this in their name.
    #[serde(default)]
    pub(crate) only: Option<TestName>,
}

/// The commands that a model may have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunCommand {
    Check,
    Test,
}

impl From<RunCommand> for CommandName {
    fn from(command: RunCommand) -> Self {
        match command {
            RunCommand::Check => Self::Check,
            RunCommand::Test => Self::Test,
        }
    }
}

/// What names a test. It becomes an argument of the repository's own command, so it can be no option
/// and nothing to a shell.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TestName(String);

impl TestName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TestName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        // pytest's `file::Class::test[parameter]`: its filter takes the last part.
        let last = name.rsplit("::").next().unwrap_or_default();
        let last = last.split('[').next().unwrap_or_default();
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ' | '/');
        let is_word = last.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if is_word && last.len() <= 200 && last.chars().all(fits) {
            Ok(Self(last.to_owned()))
        } else {
            Err("`only` is the name of a test: letters, digits, `_`, `.`, `-`, `/` and spaces")
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finish {
    pub(crate) summary: String,
}

fn one() -> usize {
    1
}

impl Tool {
    /// Reads a call; the error is written for the model.
    pub(crate) fn parse(name: &str, arguments: &Value) -> Result<Self, String> {
        Ok(match name {
            "list" => Self::List(read(name, arguments)?),
            "read" => Self::Read(read(name, arguments)?),
            "search" => Self::Search(read(name, arguments)?),
            "edit" => Self::Edit(read(name, arguments)?),
            "write" => Self::Write(read(name, arguments)?),
            "delete" => Self::Delete(read(name, arguments)?),
            RUN => Self::Run(read(name, arguments)?),
            "finish" => Self::Finish(read(name, arguments)?),
            _ => {
                let names: Vec<_> = specs().into_iter().map(|spec| spec.name).collect();
                let unknown: String = name.chars().take(60).collect();
                return Err(format!(
                    "there is no tool {unknown:?}; there are: {}",
                    names.join(", ")
                ));
            }
        })
    }
}

fn read<T: DeserializeOwned>(name: &str, arguments: &Value) -> Result<T, String> {
    // No arguments at all is how models call a tool that needs none.
    let arguments = if arguments.is_null() { json!({}) } else { arguments.clone() };
    serde_json::from_value(arguments).map_err(|error| {
        let spec = specs().into_iter().find(|spec| spec.name == name);
        let fields = spec.map_or(Value::Null, |spec| spec.parameters["properties"].clone());
        format!("the arguments of {name} can't be read: {error}. They are: {fields}")
    })
}

/// All tools as they are offered to the model. They are sent with every question, so they say no more
/// than a model needs; a call that does not fit is told more.
pub(crate) fn specs() -> Vec<ToolSpec> {
    let text = json!({"type": "string"});
    let yes = json!({"type": "boolean"});
    let count = json!({"type": "integer"});
    vec![
        spec("list", "Lists a folder.", json!({"path": text, "recursive": yes}), &[]),
        spec(
            "read",
            "Shows a file with line numbers: `lines` lines, beginning with line `from`.",
            json!({"path": text, "from": count, "lines": count}),
            &["path"],
        ),
        spec(
            "search",
            "Finds lines below `path` by a regular expression (no look-around).",
            json!({"pattern": text, "path": text}),
            &["pattern"],
        ),
        spec(
            "edit",
            "Replaces `old`, which must be in the file exactly once, by `new`; or `all` of them.",
            json!({"path": text, "old": text, "new": text, "all": yes}),
            &["path", "old", "new"],
        ),
        spec(
            "write",
            "Makes a file, or replaces all of it.",
            json!({"path": text, "content": text}),
            &["path", "content"],
        ),
        spec("delete", "Deletes a file.", json!({"path": text}), &["path"]),
        spec(
            RUN,
            "Runs a command of the repository; `only`: one test by name.",
            json!({"command": {"enum": ["check", "test"]}, "only": text}),
            &["command"],
        ),
        spec(
            "finish",
            "Ends the work; `summary` is for the reviewer.",
            json!({"summary": text}),
            &["summary"],
        ),
    ]
}

fn spec(name: &str, description: &str, properties: Value, required: &[&str]) -> ToolSpec {
    let mut parameters = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        parameters["required"] = json!(required);
    }
    ToolSpec { name: name.to_owned(), description: description.to_owned(), parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_calls_teach() {
        let error = Tool::parse("bash", &json!({"command": "ls"})).unwrap_err();
        assert!(error.contains("no tool \"bash\"") && error.contains("search"), "{error}");
        let error = Tool::parse("read", &json!({"file": "x"})).unwrap_err();
        assert!(error.contains("unknown field `file`") && error.contains("\"path\""), "{error}");
        for malformed in [json!("{\"path\": "), json!([1]), json!(null), json!({"path": 7})] {
            assert!(Tool::parse("read", &malformed).is_err(), "{malformed}");
        }
        let error = Tool::parse("run", &json!({"command": "rm -rf /"})).unwrap_err();
        assert!(error.contains("rm -rf"), "{error}");
        assert!(Tool::parse("list", &Value::Null).is_ok());
        for (name, expected) in [
            ("tests/test_a.py::TestA::test_x[1-2]", Some("test_x")),
            ("a::tests::it_adds", Some("it_adds")),
            ("adds two numbers", Some("adds two numbers")),
            ("-c", None),
            ("x; curl http://x", None),
            ("$(id)", None),
            ("x\n", None),
            ("", None),
        ] {
            let read = Tool::parse("run", &json!({"command": "test", "only": name}));
            let read = read.ok().and_then(|tool| match tool {
                Tool::Run(Run { only, .. }) => only,
                _ => None,
            });
            assert_eq!(read.as_ref().map(TestName::as_str), expected, "{name}");
        }
    }

    #[test]
    fn what_is_sent_with_every_question_is_small() {
        let bytes = serde_json::to_vec(&specs()).unwrap().len();
        assert!(bytes < 1_700, "{bytes}");
    }

    #[test]
    fn every_tool_on_offer_is_known() {
        for spec in specs() {
            let error = Tool::parse(&spec.name, &json!({"nonsense": 1})).unwrap_err();
            assert!(error.contains("can't be read"), "{error}");
        }
    }
}
