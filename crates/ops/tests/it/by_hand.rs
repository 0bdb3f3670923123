//! The procedures of docs/REPLAY.md, word for word, with the official NATS CLI. Without `nats` and `jq`
//! in PATH they are skipped, and say so.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use booty_bus::{ConsumerSettings, Headers, Outgoing};
use booty_events::{
    Lane, Message as _, Service, header, stream, subject,
    v1::{Comment, Effect, effect::Write},
};
use booty_ops::{App, Filter, State};
use chrono::Utc;
use tokio_util::sync::CancellationToken;

use crate::support::{Running, World, builder, eventually};

const DOCUMENT: &str = include_str!("../../../../docs/REPLAY.md");
const ENTRIES: usize = 100;
/// What a payload must survive: the CLI's own templates, line ends, quotes, and bytes that are no text.
const HARD: &str = "{{ default }} {{Random 1 9}} \r\n\t\"'$(date)`\\u0000 \u{1f980}\n\n";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Whether the programs that the document uses are here; says so when they are not.
fn is_equipped() -> bool {
    let missing = |program: &&str| Command::new(program).arg("--version").output().is_err();
    let missing: Vec<_> = ["nats", "jq", "bash", "base64"].into_iter().filter(missing).collect();
    if !missing.is_empty() {
        let line = format!("SKIPPED: docs/REPLAY.md is not run: {} missing", missing.join(", "));
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    missing.is_empty()
}

/// The code block of the document below `<!-- run: name -->`.
fn block(name: &str) -> String {
    let marked = DOCUMENT.split_once(&format!("<!-- run: {name} -->\n")).expect(name).1;
    let code = marked.strip_prefix("```").unwrap().split_once('\n').unwrap().1;
    code.split_once("```").unwrap().0.to_owned()
}

async fn run(world: &World, folder: &Path, script: String) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", &script]).env("NATS_URL", world.server.url()).current_dir(folder);
    // The CLI keeps contexts in the home directory.
    command.env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let _ = std::io::stderr().write_all(&output.stderr);
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn durables() -> [ConsumerSettings; 3] {
    let forge = |durable: &str, stream, filter| ConsumerSettings {
        durable: durable.to_owned(),
        permits: 8,
        ..ConsumerSettings::new(Service::Forge, stream, vec![filter], "forge")
    };
    [
        builder(),
        forge("forge-issue", stream::EFFECTS.name, subject::effect_filter(Lane::Issue)),
        forge("forge-replay", stream::INBOX.name, subject::replay_filter(Service::Forge)),
    ]
}

/// A spool with entries of deliveries and of effects, and what each message was, by its subject.
async fn full_spool() -> (World, BTreeMap<String, Vec<u8>>) {
    let world = World::new().await;
    let running = Running::start(&world.bus, &durables()).await;
    let mut messages = BTreeMap::new();
    for n in 0..ENTRIES / 2 {
        let body = format!("{{\"do\":\"reject\",\"n\":{n}}} {HARD}");
        world.deliver(&format!("d-{n}"), &body).await;
        let subject =
            subject::inbox_github("issues", Some("labeled"), &format!("d-{n}").parse().unwrap());
        messages.insert(subject, body.into_bytes());

        let comment = Comment { issue: n as u64 + 1, body: format!("reject {HARD}") };
        let effect = Effect { write: Some(Write::Comment(comment)), ..Effect::default() };
        let mut payload = effect.encode_to_vec();
        payload.extend([0, 0xff, 0xfe, b'\r', b'\n']);
        let subject = format!("booty.effect.issue.comment.e{n}");
        let headers = [
            (header::CONTENT_TYPE, header::CONTENT_TYPE_PROTOBUF),
            (header::MESSAGE_NAME, "booty.v1.Effect"),
            (header::TRACEPARENT, TRACE),
            (header::LEASE_KEY, "builder.BOOTY_INBOX-1"),
        ];
        let headers = headers.into_iter().collect::<Headers>();
        let message =
            Outgoing { subject: subject.clone(), headers, payload: payload.clone().into() };
        world.bus.publish(message).await.unwrap();
        messages.insert(subject, payload);
    }
    eventually("all are spooled", async || world.list().await.len() == ENTRIES).await;
    running.stop().await;
    (world, messages)
}

/// The services work again, and are given each message as it was, once.
async fn assert_replayed(world: &World, messages: &BTreeMap<String, Vec<u8>>) {
    let mut running = Running::start_as(&world.bus, &durables(), true).await;
    let mut seen = BTreeMap::new();
    for _ in 0..messages.len() {
        let given = running.next().await;
        assert!(given.replay_of.is_some());
        assert_eq!(given.headers.get(header::TRACEPARENT), Some(TRACE));
        assert_eq!(given.headers.get(header::SPOOL_ERROR), None);
        assert!(given.headers.get(header::CONTENT_TYPE).is_some());
        assert!(seen.insert(given.subject, given.payload.to_vec()).is_none(), "twice");
    }
    assert!(seen == *messages, "the payloads are not what they were");
    eventually("all are replayed", async || {
        world.list().await.iter().all(|entry| entry.state == State::Replayed)
    })
    .await;
    running.stop().await;
    let replays = world.bus.backlog(&durables()[2]).await.unwrap();
    assert_eq!(replays.waiting, 0, "there are no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_ops_service() {
    if !is_equipped() {
        return;
    }
    let (world, messages) = full_spool().await;
    let folder = tempfile::tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let ops = tokio::spawn(App::build(world.bus.clone(), Utc::now).run(shutdown.clone()));
    eventually("the CLI sees it", async || {
        let found = run(&world, folder.path(), "nats micro ls booty-ops --json".to_owned()).await;
        text(&found).contains("booty-ops")
    })
    .await;

    let output = run(&world, folder.path(), block("micro")).await;
    assert!(output.status.success());
    let counts = format!("{{\n  \"replayed\": {ENTRIES}\n}}");
    assert!(text(&output).ends_with(&counts), "{}", text(&output));
    assert_replayed(&world, &messages).await;

    let output = run(&world, folder.path(), block("micro-after")).await;
    let expected = format!("{ENTRIES}\n{{\n  \"purged\": {ENTRIES}\n}}\ntrue");
    assert_eq!(text(&output), expected);
    for verb in ["info", "stats"] {
        let said = run(&world, folder.path(), format!("nats micro {verb} booty-ops")).await;
        assert!(text(&said).contains("spool-replay"), "{verb}: {}", text(&said));
    }
    shutdown.cancel();
    ops.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_process_of_booty() {
    if !is_equipped() {
        return;
    }
    let (world, messages) = full_spool().await;
    let folder = tempfile::tempdir().unwrap();
    let looked = run(&world, folder.path(), block("alone-look")).await;
    assert!(text(&looked).contains("booty.spool."), "{}", text(&looked));
    assert!(text(&looked).contains("booty-spool-replay-subject: booty.replay."));

    let script = format!("{}\n{}", block("alone-define"), block("alone-all"));
    run(&world, folder.path(), script.clone()).await;
    let again = run(&world, folder.path(), script).await;
    let refused =
        String::from_utf8_lossy(&again.stderr).matches("maximum messages per subject").count();
    assert_eq!(refused, ENTRIES, "the second time does nothing");
    assert_replayed(&world, &messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_of_lines() {
    if !is_equipped() {
        return;
    }
    let (world, messages) = full_spool().await;
    let folder = tempfile::tempdir().unwrap();
    let mut lines = std::fs::File::create(folder.path().join("spool.jsonl")).unwrap();
    world.spool.export(&Filter::default(), &mut lines).await.unwrap();
    // What ingress keeps is in the same form.
    let own = r#"{"time":"2026-01-31T12:00:00.000Z","subject":"booty.inbox.github.issues.labeled.disk","error":"the broker is not connected","headers":{"ce-id":"disk","Nats-Msg-Id":"x"},"body":"{{ b }}\r\n"}"#;
    writeln!(lines, "{own}").unwrap();
    run(&world, folder.path(), block("file")).await;
    run(&world, folder.path(), block("file")).await;
    let disk = world
        .bus
        .last_message(stream::INBOX.name, "booty.inbox.github.issues.labeled.disk")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(disk.payload, "{{ b }}\r\n".as_bytes());
    assert_eq!(disk.headers.get("Nats-Msg-Id"), None);
    world.bus.delete_message(stream::INBOX.name, disk.sequence).await.unwrap();
    assert_replayed(&world, &messages).await;
}
