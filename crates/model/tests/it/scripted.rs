//! A model that answers from a file, and names that are no model's.

use std::path::PathBuf;

use booty_model::{Class, Error, Message, Model, Options, Part, Request, StopReason, open};
use rstest::rstest;
use tempfile::TempDir;

const SCRIPT: &str = r#"
asked_log: asked.log
scenarios:
  - match: "subtracts"
    turns:
      - text: I read it first.
        calls:
          - { tool: read, with: { path: calc.py } }
          - { tool: list }
      - text: Done.
        usage: { input_tokens: 7, output_tokens: 3 }
  - turns:
      - fail: no idea
"#;

fn script(name: &str, text: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn model(path: &std::path::Path) -> Box<dyn Model> {
    open(&format!("script:{}", path.display()), &Options::default()).unwrap()
}

fn ask(task: &str, answered: Vec<Vec<Part>>) -> Request {
    let mut messages = vec![Message::User { content: task.to_owned() }];
    messages.extend(answered.into_iter().map(|content| Message::Assistant { content }));
    Request { system: String::new(), messages, tools: vec![], max_output_tokens: 100 }
}

#[tokio::test]
async fn the_turn_follows_from_the_conversation_alone() {
    let (dir, path) = script("s.yml", SCRIPT);
    let first = model(&path).answer(&ask("add subtracts", vec![])).await.unwrap();
    assert_eq!(first.stop, StopReason::ToolUse);
    assert_eq!(first.parts.len(), 3);
    assert!(matches!(&first.parts[1], Part::ToolCall { name, arguments, .. }
        if name == "read" && arguments["path"] == "calc.py"));

    // Another process, the same conversation: the next turn.
    let second = model(&path).answer(&ask("add subtracts", vec![first.parts])).await.unwrap();
    assert_eq!((second.text().as_str(), second.stop), ("Done.", StopReason::EndTurn));
    assert_eq!(second.usage.total(), 10);

    let log = std::fs::read_to_string(dir.path().join("asked.log")).unwrap();
    assert_eq!(log.lines().count(), 2);
    assert!(log.lines().nth(1).unwrap().starts_with("scenario=0 turn=1 request="));
}

#[tokio::test]
async fn the_end_of_the_script_is_said_clearly() {
    let (_dir, path) = script("s.yml", SCRIPT);
    let asked = ask("subtracts", vec![vec![], vec![]]);
    let error = model(&path).answer(&asked).await.unwrap_err();
    assert_eq!(error.class(), Class::FailFast);
    assert!(error.to_string().contains("has 2 turns in scenario 0, and turn 2"), "{error}");

    let error = model(&path).answer(&ask("something else", vec![])).await.unwrap_err();
    assert!(error.to_string().contains("no idea"), "{error}");
}

#[tokio::test]
async fn a_task_that_no_scenario_fits_is_said_clearly() {
    let text = r#"{"scenarios": [{"match": "x", "turns": []}]}"#;
    let (_dir, path) = script("s.json", text);
    let error = model(&path).answer(&ask("y", vec![])).await.unwrap_err();
    assert!(error.to_string().contains("fits the task"), "{error}");
}

#[rstest]
#[case::nobody("")]
#[case::no_name("script:")]
#[case::unknown("skynet:t800")]
#[case::no_provider("gpt")]
fn an_unknown_provider_is_told_the_known_ones(#[case] spec: &str) {
    let error = open(spec, &Options::default()).err().unwrap();
    assert!(matches!(error, Error::UnknownProvider { .. }), "{error:?}");
    assert!(error.to_string().contains("script"), "{error}");
}

#[rstest]
#[case::no_scenario("scenarios: []", "no scenario")]
#[case::unknown_key("scenarios: [{turns: [{txt: hello}]}]", "txt")]
#[case::not_yaml("scenarios: [", "not valid")]
fn a_bad_script_is_refused_when_it_is_opened(#[case] text: &str, #[case] expected: &str) {
    let (_dir, path) = script("s.yml", text);
    let error = open(&format!("script:{}", path.display()), &Options::default()).err().unwrap();
    assert!(error.to_string().contains(expected), "{error}");
}
