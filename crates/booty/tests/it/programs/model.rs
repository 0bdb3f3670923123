//! What the scripted model answers for each program.

use serde_json::{Value, json};

use super::corpus::Program;

/// Where the model writes down what it was asked, beside its script.
pub(super) const ASKED: &str = "asked.log";

/// How the model goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// The first repair is none, the second one is.
    WrongThenRight,
    /// No repair is one.
    AlwaysWrong,
    /// The repair comes together with the tests that were missing.
    RightWithTests,
}

impl Model {
    /// The words in an issue's title that its scenario is found by.
    pub(super) fn title(program: &Program) -> String {
        format!("the function {} is wrong", program.name)
    }

    /// One scenario for each program, in their order.
    pub(super) fn script(self, programs: &[Program]) -> String {
        let scenarios: Vec<Value> = programs
            .iter()
            .map(|program| json!({ "match": Self::title(program), "turns": self.turns(program) }))
            .collect();
        json!({ "asked_log": ASKED, "scenarios": scenarios }).to_string()
    }

    /// How often a program's model is asked; more answers than these it has not.
    pub(super) fn answers(self) -> usize {
        match self {
            Self::WrongThenRight | Self::AlwaysWrong => 3,
            Self::RightWithTests => 1,
        }
    }

    fn turns(self, program: &Program) -> Vec<Value> {
        let path = program.file();
        let patch = &program.patch;
        let edit = |old: &str, new: &str| json!({ "tool": "edit", "with": { "path": path, "old": old, "new": new } });
        let finish =
            |summary: &str| json!({ "tool": "finish", "with": { "summary": summary.to_owned() } });
        let turns = match self {
            Self::WrongThenRight => vec![
                json!([{ "tool": "read", "with": { "path": path } }]),
                json!([edit(&patch.old, &patch.wrong), finish("This should be it.")]),
                json!([edit(&patch.wrong, &patch.right), finish("One line was wrong.")]),
            ],
            Self::AlwaysWrong => {
                let head = format!("def {}(", program.name);
                let noted = |text: &str| format!("# {text}\n{head}");
                vec![
                    json!([edit(&patch.old, &patch.wrong), finish("This should be it.")]),
                    json!([edit(&head, &noted("Looked at again.")), finish("This, then.")]),
                    json!([edit(&head, &noted("And again.")), finish("I know no more.")]),
                ]
            }
            Self::RightWithTests => {
                let tests = json!({ "path": program.test_file(), "content": program.tests });
                let write = json!({ "tool": "write", "with": tests });
                vec![json!([edit(&patch.old, &patch.right), write, finish("One line was wrong.")])]
            }
        };
        turns.into_iter().map(|calls| json!({ "text": "I look.", "calls": calls })).collect()
    }
}
