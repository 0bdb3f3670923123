//! What the scripted model answers for each program.

use serde_json::{Value, json};

use super::corpus::Program;

/// Where the model writes down what it was asked, beside its script.
pub(super) const ASKED: &str = "asked.log";

/// Answers of a model that is never right, beyond its first.
const MORE_THAN_ENOUGH: usize = 20;

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

    /// How often a program's model must be asked to repair it.
    pub(super) fn answers(self) -> usize {
        match self {
            Self::WrongThenRight => 3,
            Self::RightWithTests => 1,
            Self::AlwaysWrong => usize::MAX,
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
                // More answers than anybody should ask for.
                let head = format!("def {}(", program.name);
                let again = json!([edit(&head, &format!("# Again.\n{head}")), finish("Now.")]);
                let mut turns = vec![json!([edit(&patch.old, &patch.wrong), finish("Here.")])];
                turns.extend(std::iter::repeat_n(again, MORE_THAN_ENOUGH));
                turns
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
