//! The micro service, asked as the NATS CLI asks.

use std::{sync::Mutex, time::Duration};

use booty_bus::Bus;
use booty_ops::App;
use chrono::Utc;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Running, World, builder, connect, eventually, soon};

struct Ops {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), booty_ops::Error>>,
}

impl Ops {
    fn start(bus: &Bus) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(App::build(bus.clone(), Utc::now).run(shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        soon("the end", self.task).await.unwrap().unwrap();
    }
}

struct Answer {
    body: Value,
    error: Option<(String, String)>,
}

async fn ask(bus: &Bus, subject: &str, question: &str) -> Option<Answer> {
    let asked = bus.client().request(subject.to_owned(), question.to_owned().into()).await.ok()?;
    let header = |name: &str| Some(asked.headers.as_ref()?.get(name)?.to_string());
    Some(Answer {
        body: serde_json::from_slice(&asked.payload).unwrap_or(Value::Null),
        error: header("Nats-Service-Error").zip(header("Nats-Service-Error-Code")),
    })
}

async fn ask_until_there(bus: &Bus, subject: &str, question: &str) -> Answer {
    let answer = Mutex::new(None);
    eventually("an answer", async || {
        let asked = ask(bus, subject, question).await;
        let is_there = asked.is_some();
        *answer.lock().unwrap() = asked;
        is_there
    })
    .await;
    answer.into_inner().unwrap().unwrap()
}

#[tokio::test]
async fn the_spool_is_listed_replayed_and_purged_over_nats() {
    let world = World::new().await;
    let running = Running::start(&world.bus, &[builder()]).await;
    for n in 0..3 {
        world.deliver(&format!("d-{n}"), "reject").await;
    }
    eventually("all are spooled", async || world.list().await.len() == 3).await;
    let ops = Ops::start(&world.bus);
    let operator = connect(&world.server.url()).await;

    let list = ask_until_there(&operator, "booty.ops.spool.list", "").await;
    assert_eq!((list.body["total"].as_u64(), list.error), (Some(3), None));
    assert_eq!(list.body["entries"][0]["state"], "spooled");
    let page = ask(&operator, "booty.ops.spool.list", r#"{"limit":1,"after":1}"#).await.unwrap();
    assert_eq!(page.body["entries"][0]["sequence"], 2);
    assert_eq!(page.body["next_after"], 2);

    running.mend();
    let all = r#"{"all":true}"#;
    let answer = ask(&operator, "booty.ops.spool.replay", all).await.unwrap();
    assert_eq!(answer.body["counts"], json!({"replayed": 3}));
    let answer = ask(&operator, "booty.ops.spool.replay", all).await.unwrap();
    assert_eq!(answer.body["counts"], json!({"already": 3}));
    eventually("all are replayed", async || {
        let asked = ask(&operator, "booty.ops.spool.list", r#"{"state":"replayed"}"#).await;
        asked.unwrap().body["total"] == 3
    })
    .await;
    let answer = ask(&operator, "booty.ops.spool.purge", all).await.unwrap();
    assert_eq!(answer.body["counts"], json!({"purged": 3}));
    let answer = ask(&operator, "booty.ops.audit", "").await.unwrap();
    assert_eq!(answer.body["ok"], true);
    ops.stop().await;
    running.stop().await;
}

#[tokio::test]
async fn a_bad_question_is_answered_with_the_error_headers_of_micro() {
    let world = World::new().await;
    let ops = Ops::start(&world.bus);
    for (subject, question, code, says) in [
        ("booty.ops.spool.replay", "", "400", "all"),
        ("booty.ops.spool.purge", "{}", "400", "all"),
        ("booty.ops.spool.list", "not json", "400", "read"),
        ("booty.ops.spool.list", r#"{"servcie":"x"}"#, "400", "servcie"),
        ("booty.ops.spool.list", r#"{"service":"x"}"#, "400", "builder"),
        ("booty.ops.jobs.get", r#"{"id":"7-nothing"}"#, "404", "7-nothing"),
        ("booty.ops.jobs.get", "{\"id\":\"\\n\u{1f980}\"}", "404", "no job"),
    ] {
        let answer = ask_until_there(&world.bus, subject, question).await;
        let (why, found) = answer.error.unwrap_or_default();
        assert_eq!(found, code, "{subject} {question}");
        assert!(why.contains(says), "{why}");
        assert!(answer.body["error"].as_str().unwrap().contains(says), "{}", answer.body);
    }
    ops.stop().await;
}

#[tokio::test]
async fn one_of_several_answers_and_a_restarted_broker_finds_them_again() {
    let mut world = World::new().await;
    let second_bus = connect(&world.server.url()).await;
    let (one, two) = (Ops::start(&world.bus), Ops::start(&second_bus));
    let found = async |bus: &Bus| {
        let mut answers = bus.client().subscribe("here").await.unwrap();
        bus.client().publish_with_reply("$SRV.PING.booty-ops", "here", "".into()).await.unwrap();
        let mut found = 0;
        let quiet = Duration::from_millis(300);
        while let Ok(Some(_)) =
            tokio::time::timeout(quiet, futures_util::StreamExt::next(&mut answers)).await
        {
            found += 1;
        }
        found
    };
    let operator = connect(&world.server.url()).await;
    eventually("both are there", async || found(&operator).await == 2).await;

    let mut answers = operator.client().subscribe("answers").await.unwrap();
    operator
        .client()
        .publish_with_reply("booty.ops.spool.list", "answers", "".into())
        .await
        .unwrap();
    soon("one answer", futures_util::StreamExt::next(&mut answers)).await.unwrap();
    // Whoever answered a later question would have answered this one before.
    ask_until_there(&operator, "booty.ops.spool.list", "").await;
    ask_until_there(&operator, "booty.ops.spool.list", "").await;
    let more = futures_util::FutureExt::now_or_never(futures_util::StreamExt::next(&mut answers));
    assert!(more.is_none(), "both answered");

    world.server.restart().await.unwrap();
    eventually("both are there again", async || found(&operator).await == 2).await;
    assert_eq!(ask_until_there(&operator, "booty.ops.spool.list", "").await.body["total"], 0);
    one.stop().await;
    eventually("one is left", async || found(&operator).await == 1).await;
    assert_eq!(ask_until_there(&operator, "booty.ops.spool.list", "").await.body["total"], 0);
    two.stop().await;
}
