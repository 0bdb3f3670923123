//! The commands for operators, as processes against a real broker.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

use booty_bus::{
    Bus, BusSettings, ConsumerSettings, Headers, Outgoing, ensure_consumer, local::LocalServer,
};
use booty_events::{JobId, Service, stream, subject, v1::JobState};
use booty_service::JobStore;
use futures_util::StreamExt as _;

struct World {
    server: LocalServer,
    bus: Bus,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let server = LocalServer::start_temporary().await.unwrap();
        let settings = BusSettings {
            max_bytes: Some(64 << 20),
            ..BusSettings::new(server.url(), "booty-operator-test")
        };
        let bus = Bus::connect(settings).await.unwrap();
        bus.ensure().await.unwrap();
        Self { server, bus, folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
        command.args(args).stdin(Stdio::null()).env("NATS_URL", self.server.url());
        command.env("BOOTY_DATA_DIR", self.folder.path()).env_remove("INGRESS_SPOOL_DIR");
        command
    }

    async fn booty(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        told(output)
    }
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn line(n: u32) -> String {
    format!(
        r#"{{"time":"2026-01-31T12:00:00.000Z","subject":"booty.spool.builder.broken.BOOTY_INBOX-{n}","error":"it broke","headers":{{"booty-spool-subject":"booty.inbox.github.issues.labeled.d-{n}","booty-spool-error":"it broke","booty-spool-time":"2026-01-31T12:00:00.000Z"}},"body":"{{\"n\":{n}}}"}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spool_from_import_to_purge_with_exit_codes_that_scripts_can_use() {
    let world = World::new().await;
    let file = world.folder.path().join("spool.jsonl");
    std::fs::write(&file, format!("{}\n{}\n", line(1), line(2))).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(world.booty(&["spool", "list"]).await.0, 0, "an empty list is no failure");
    assert_eq!(world.booty(&["spool", "replay", "--all"]).await.0, 1, "none fits");
    assert_eq!(world.booty(&["spool", "import", path]).await.1, "2 imported\n");
    assert_eq!(world.booty(&["spool", "import", path]).await.1, "2 already\n");

    let (code, out, _) = world.booty(&["spool", "list"]).await;
    let columns: Vec<&str> = out.lines().next().unwrap().split('\t').collect();
    assert_eq!((code, out.lines().count()), (0, 2));
    assert_eq!(columns[..5], ["1", "spooled", "builder", "broken", "BOOTY_INBOX-1"]);
    let (_, out, _) = world.booty(&["spool", "list", "--since", "1h", "--json"]).await;
    assert!(out.contains(r#""total": 0"#), "they are older: {out}");
    let (code, out, _) = world.booty(&["spool", "show", "BOOTY_INBOX-2"]).await;
    assert!(code == 0 && out.contains("\"n\": 2") && out.contains("it broke"), "{out}");
    assert_eq!(world.booty(&["spool", "show", "9"]).await.0, 1);

    for wrong in [
        &["spool", "replay"][..],
        &["spool", "replay", "--since", "yesterday"],
        &["spool", "purge", "--all"],
        &["spool", "list", "--state", "odd"],
        &["spool"],
    ] {
        let (code, _, error) = world.booty(wrong).await;
        assert!(code == 64 && !error.is_empty(), "{wrong:?}: {code} {error}");
    }
    let (code, _, error) = world.booty(&["spool", "replay", "--service", "bulider"]).await;
    assert!(code != 0 && error.contains("builder"), "{error}");

    let exported = world.booty(&["spool", "export"]).await;
    assert_eq!((exported.0, exported.1.lines().count()), (0, 2));
    let (code, out, _) = world.booty(&["spool", "replay", "--id", "1", "--json"]).await;
    assert!(code == 0 && out.contains(r#""replayed": 1"#), "{out}");
    let replay = world.bus.last_message(stream::INBOX.name, subject::REPLAYS).await.unwrap();
    assert_eq!(replay.unwrap().payload, r#"{"n":1}"#.as_bytes());
    let (code, out, _) = world.booty(&["spool", "purge", "--all", "--yes"]).await;
    assert!(code == 1 && out.ends_with("2 refused\n"), "{out}");
    let (code, out, _) = world.booty(&["spool", "purge", "--all", "--yes", "--force"]).await;
    assert_eq!((code, out.as_str()), (0, "2 purged\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_fails_when_something_was_lost_and_names_it() {
    let mut world = World::new().await;
    let filter = subject::inbox_github_filter("issues", Some("labeled"));
    let settings =
        ConsumerSettings::new(Service::Builder, stream::INBOX.name, vec![filter], "nobody");
    ensure_consumer(&world.bus, &settings).await.unwrap();
    let subject = subject::inbox_github("issues", Some("labeled"), &"d-1".parse().unwrap());
    let message = Outgoing { subject, headers: Headers::new(), payload: "{}".into() };
    world.bus.publish(message).await.unwrap();
    std::fs::create_dir(world.folder.path().join("spool")).unwrap();
    let disk = world.folder.path().join("spool/0000000001.jsonl");
    std::fs::write(disk, "{}\n{}\n{\"torn").unwrap();

    let (code, out, _) = world.booty(&["audit"]).await;
    assert!(code == 0 && out.contains("everything adds up"), "{out}");
    assert!(out.contains("not on the bus yet: 2 in"), "{out}");

    let stream = world.bus.jetstream().get_stream(stream::INBOX.name).await.unwrap();
    let durable: async_nats::jetstream::consumer::PullConsumer =
        stream.get_consumer("builder").await.unwrap();
    let mut batch = durable.fetch().max_messages(1).messages().await.unwrap();
    batch.next().await.unwrap().unwrap().double_ack().await.unwrap();
    let (code, out, _) = world.booty(&["audit"]).await;
    assert_eq!(code, 1);
    let named = "lost\tBOOTY_INBOX-1\tbuilder\tbooty.inbox.github.issues.labeled.d-1\t";
    assert!(out.contains(named), "{out}");
    let (code, out, _) = world.booty(&["audit", "--json"]).await;
    assert!(code == 1 && out.contains(r#""problem_count": 1"#), "{out}");

    world.server.stop().await.unwrap();
    assert_eq!(world.booty(&["audit"]).await.0, 69);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_follows_a_job_to_its_end() {
    let world = World::new().await;
    let store = JobStore::new(&world.bus);
    for (id, end, code) in [("1-d", JobState::Completed, 0), ("2-d", JobState::Failed, 1)] {
        let job: JobId = id.parse().unwrap();
        store.update(&job, |job| job.set_state(JobState::Running)).await.unwrap();
        let mut command = world.command(&["jobs", id, "--watch", "--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::task::spawn_blocking(move || (rest.next(), rest));
        let (first, rest) = first.await.unwrap();
        assert!(first.unwrap().unwrap().contains("JOB_STATE_RUNNING"));
        store.update(&job, |job| job.set_state(end)).await.unwrap();
        let ended = tokio::task::spawn_blocking(move || {
            let rest: Vec<String> = rest.map(Result::unwrap).collect();
            (rest, child.wait().unwrap())
        });
        let (rest, status) = ended.await.unwrap();
        assert_eq!((rest.len(), status.code()), (1, Some(code)), "{rest:?}");
        assert!(rest[0].contains(end.as_str_name()), "{rest:?}");
    }
    assert_eq!(world.booty(&["jobs", "9-d", "--watch"]).await.0, 1, "nobody knows it");
    assert_eq!(world.booty(&["jobs", "1-d", "--watch"]).await.0, 0, "it has ended before");
}
