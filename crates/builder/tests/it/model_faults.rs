//! A model endpoint at its worst, over the real protocols: a job gets through, or ends honestly.

use booty_model::scripted::Script;
use booty_sim::model::{Fault, ModelServer, ModelSettings};
use rstest::rstest;
use secrecy::ExposeSecret as _;

use crate::{
    flow::ending,
    world::{CALC, World, opens},
};

/// Each answer is late, broken or refused in another way before it comes, and some that come are broken.
const AT_ITS_WORST: &str = r#"
scenarios:
  - turns:
      - { faults: [{ kind: rate_limited, retry_after: "1" }], calls: [{ tool: list }] }
      - { faults: [{ kind: overloaded }], calls: [{ tool: read, with: { path: calc.py } }] }
      - { faults: [{ kind: server_error }], calls: [{ tool: read, with: { path: test_calc.py } }] }
      - { faults: [{ kind: dropped }], calls: [{ tool: search, with: { pattern: add } }] }
      - { faults: [{ kind: cut_after_events, events: 2 }], calls: [{ tool: search, with: { pattern: a } }] }
      - { faults: [{ kind: ends_early, events: 2 }], calls: [{ tool: search, with: { pattern: b } }] }
      - { faults: [{ kind: malformed_json, after_events: 1 }], calls: [{ tool: search, with: { pattern: c } }] }
      - { faults: [{ kind: error_event, after_events: 1 }], calls: [{ tool: search, with: { pattern: d } }] }
      - { faults: [{ kind: slow, bytes: 64, millis: 1 }], calls: [{ tool: search, with: { pattern: e } }] }
      - faults: [{ kind: bad_arguments, are: cut }]
        calls: [{ tool: edit, with: { path: calc.py, old: "return a - b", new: "return 0" } }]
      - faults: [{ kind: bad_arguments, are: not_json }]
        calls: [{ tool: edit, with: { path: calc.py, old: "return a - b", new: "return 1" } }]
      - { faults: [{ kind: huge, bytes: 2000000 }], calls: [{ tool: search, with: { pattern: f } }] }
      - calls:
          - { tool: edit, with: { path: calc.py, old: "return a - b", new: "return a + b" } }
          - { tool: finish, with: { summary: "It adds." } }
"#;

async fn asking(spec: &str, script: &str) -> (World, ModelServer) {
    let script = Script::parse(script, false).unwrap();
    let server = ModelServer::start(ModelSettings::new(script)).await.unwrap();
    let mut world = World::new("scenarios: [{ turns: [] }]").await;
    world.set("MODEL", spec);
    world.set("MODEL_API_KEY", server.api_key().unwrap().expose_secret());
    world.set("MODEL_BASE_URL", &server.v1_url());
    (world, server)
}

#[rstest]
#[case::messages("anthropic:claude-sonnet-4-6")]
#[case::responses("openai:gpt-5")]
#[case::chat("openai-chat:gpt-4.1")]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_gets_through_whatever_its_model_does(#[case] spec: &str) {
    let (world, server) = asking(spec, AT_ITS_WORST).await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let ended = world.events.outcome(&job).await;
    assert_eq!(ended.name, "proposal_made", "{ended:?}: {:?}", world.effects().await);
    let effects = world.effects().await;
    let changes = &opens(&effects[0]).changes;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].content.as_ref(), CALC.replace('-', "+").as_bytes());
    // Nine answers were asked for twice, four are answers; none was asked for a third time.
    assert_eq!(server.told().requests.len(), 13 + 8);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_asks_for_the_same_without_end_is_stopped() {
    let turn = "      - calls: [{ tool: read, with: { path: calc.py } }]\n";
    let script = format!("scenarios:\n  - turns:\n{}", turn.repeat(50));
    let (world, server) = asking("openai-chat:gpt-4.1", &script).await;
    let (label, reason, _) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:gave-up", "stuck"));
    assert_eq!(server.told().requests.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_money_ends_the_job_at_once() {
    let script = "scenarios: [{ turns: [{ text: hello }] }]";
    let (world, server) = asking("openai:gpt-5", script).await;
    server.fail_next([Fault::InsufficientQuota]);
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:gave-up", "model_failed"));
    assert!(!comment.contains(server.api_key().unwrap().expose_secret()), "{comment}");
    assert_eq!(server.told().requests.len(), 1, "waiting does not help");
}
