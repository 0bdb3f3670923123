//! `booty sim`: what it prints is what works.

use std::process::Stdio;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const SCRIPT: &str = "scenarios: [{ turns: [{ text: Hello. }] }]";

/// Starts it, and reads until the key's line.
async fn start(folder: &std::path::Path, key: Option<&str>) -> (Child, Vec<String>) {
    let script = folder.join("script.yaml");
    std::fs::write(&script, SCRIPT).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
    command.args(["sim", "--listen", "127.0.0.1:0", "--model-listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(folder.join("github")).arg("--script").arg(script);
    command.env_clear().envs(key.map(|key| ("MODEL_API_KEY", key)));
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let is_last = line.contains("MODEL_API_KEY");
        printed.push(line);
        if is_last {
            break;
        }
    }
    (child, printed)
}

fn after(printed: &[String], mark: &str) -> String {
    let found = printed.iter().find_map(|line| line.split_once(mark));
    found.unwrap_or_else(|| panic!("no {mark:?} in {printed:?}")).1.to_owned()
}

#[tokio::test]
async fn a_model_endpoint_runs_beside_github() {
    let folder = tempfile::tempdir().unwrap();
    let (_child, printed) = start(folder.path(), None).await;
    let url = after(&printed, "openai-chat: MODEL_BASE_URL=");
    let key = after(&printed, "  MODEL_API_KEY=");
    let body = json!({"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi."}]});
    let ask = Client::new().post(format!("{url}/chat/completions")).bearer_auth(key).json(&body);
    let answer: Value = ask.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello.");
}

#[tokio::test]
async fn a_key_that_was_chosen_is_taken_and_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (_child, printed) = start(folder.path(), Some("sk-chosen")).await;
    assert!(!printed.iter().any(|line| line.contains("sk-chosen")), "{printed:?}");
    let url = after(&printed, "anthropic: MODEL_BASE_URL=");
    let told = Client::new().get(format!("{url}/__booty/model/requests"));
    let answer = told.bearer_auth("sk-chosen").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}
