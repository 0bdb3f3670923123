//! The disk spool's files: torn, full, gone, or somebody else's.

use std::{fs, io::Write as _, path::PathBuf};

use booty_ingress::{App, Error};
use tempfile::TempDir;

use crate::{
    delivery::Delivery,
    world::{World, all_in_inbox, connect, eventually, own_broker, settings},
};

/// Nobody listens there.
const NO_BROKER: &str = "nats://127.0.0.1:1";

fn spool_files(dir: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.path().join("spool"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    files
}

/// Three deliveries in the spool of a run that is over.
async fn three_spooled(dir: &TempDir) -> Vec<Delivery> {
    let mut world = World::serve(settings(dir), connect(NO_BROKER).await).await;
    let deliveries: Vec<_> = (0..3).map(|_| Delivery::good()).collect();
    for delivery in &deliveries {
        assert_eq!(world.deliver(delivery).await.0, 202);
    }
    world.stop().await;
    deliveries
}

/// Starts everything on what is in `dir`, and gives what ends up in the inbox.
async fn drained(dir: &TempDir) -> Vec<String> {
    let broker = own_broker(dir).await;
    let world = World::serve(settings(dir), connect(&broker.url()).await).await.ready().await;
    eventually("the spool is empty", || async {
        fs::read_dir(dir.path().join("spool")).unwrap().all(|file| {
            let name = file.unwrap().file_name();
            !name.to_string_lossy().starts_with("0000")
        })
    })
    .await;
    all_in_inbox(&world.bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_read_it() {
    let dir = TempDir::new().unwrap();
    let deliveries = three_spooled(&dir).await;
    let text = fs::read_to_string(&spool_files(&dir)[0]).unwrap();
    assert_eq!(text.lines().count(), 3);
    for (line, delivery) in text.lines().zip(&deliveries) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["subject"], delivery.inbox_subject());
        assert_eq!(line["headers"]["ce-id"], delivery.id.as_str());
        assert_eq!(line["body"].as_str().unwrap().as_bytes(), delivery.body);
        assert_eq!(line["error"], "the broker is not connected");
        assert!(chrono::DateTime::parse_from_rfc3339(line["time"].as_str().unwrap()).is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_last_line_is_cut_off_and_the_rest_is_kept() {
    let dir = TempDir::new().unwrap();
    let deliveries = three_spooled(&dir).await;
    let path = &spool_files(&dir)[0];
    let length = fs::metadata(path).unwrap().len();
    fs::File::options().write(true).open(path).unwrap().set_len(length - 10).unwrap();

    let world = World::serve(settings(&dir), connect(NO_BROKER).await).await;
    assert!(fs::read(path).unwrap().ends_with(b"}\n"), "it is cut off at once");
    for (n, delivery) in deliveries.iter().enumerate() {
        let (_, answer) = world.deliver(delivery).await;
        let expected = if n < 2 { "already_processed" } else { "accepted" };
        assert_eq!(answer["status"], expected, "delivery {n}");
    }
    drop(world);
    eventually("the lock is free", || async {
        App::build(settings(&dir), connect(NO_BROKER).await).is_ok()
    })
    .await;
    let expected: Vec<_> = deliveries.iter().map(Delivery::inbox_subject).collect();
    assert_eq!(drained(&dir).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_is_set_aside_and_holds_nothing_up() {
    let dir = TempDir::new().unwrap();
    let deliveries = three_spooled(&dir).await;
    let path = &spool_files(&dir)[0];
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[1] = "{\"half\": ".to_owned();
    fs::write(path, lines.join("\n") + "\n").unwrap();
    let expected = [deliveries[0].inbox_subject(), deliveries[2].inbox_subject()];
    assert_eq!(drained(&dir).await, expected);
    let set_aside = fs::read_to_string(dir.path().join("spool/set-aside.jsonl")).unwrap();
    assert_eq!(set_aside, "{\"half\": \n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused() {
    let dir = TempDir::new().unwrap();
    let mut world = World::serve(settings(&dir), connect(NO_BROKER).await).await;
    let second = App::build(settings(&dir), connect(NO_BROKER).await);
    let error = second.err().expect("the spool is taken");
    assert!(matches!(error, Error::SpoolTaken { .. }), "{error}");
    assert!(error.to_string().contains("INGRESS_SPOOL_DIR"), "{error}");
    world.stop().await;
    assert!(App::build(settings(&dir), connect(NO_BROKER).await).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_refuses_and_says_so_and_the_broker_is_still_used() {
    let dir = TempDir::new().unwrap();
    let mut small = settings(&dir);
    small.spool.max_bytes = 20_000;
    let world = World::serve(small, connect(NO_BROKER).await).await;
    let mut kept = Vec::new();
    let refused = loop {
        let delivery = Delivery::of_size(2000);
        match world.deliver(&delivery).await {
            (202, _) => kept.push(delivery),
            (status, answer) => break (delivery, status, answer),
        }
    };
    assert_eq!((refused.1, refused.2["reason"].as_str()), (503, Some("not_durable")));
    assert!((5..10).contains(&kept.len()), "{}", kept.len());
    let size: u64 = spool_files(&dir).iter().map(|p| fs::metadata(p).unwrap().len()).sum();
    assert!(size <= 22_000, "{size}");
    let (status, text) = world.admin("/ready").await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(world.admin("/health").await.0, 200);
    drop(world);

    eventually("the lock is free", || async {
        App::build(settings(&dir), connect(NO_BROKER).await).is_ok()
    })
    .await;
    let expected: Vec<_> = kept.iter().map(Delivery::inbox_subject).collect();
    assert_eq!(drained(&dir).await, expected, "the refused one was not promised, so is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_gone_refuses_until_it_is_back() {
    let dir = TempDir::new().unwrap();
    let world = World::serve(settings(&dir), connect(NO_BROKER).await).await;
    let folder = dir.path().join("spool");
    fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
    assert_eq!(world.deliver(&Delivery::good()).await.0, 503);
    assert_eq!(world.admin("/ready").await.0, 503);
    fs::rename(dir.path().join("elsewhere"), &folder).unwrap();
    assert_eq!(world.deliver(&Delivery::good()).await.0, 202);
    assert_eq!(world.admin("/ready").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_a_file_is_a_clear_error() {
    let dir = TempDir::new().unwrap();
    fs::File::create(dir.path().join("spool")).unwrap().write_all(b"x").unwrap();
    let error = App::build(settings(&dir), connect(NO_BROKER).await).err().unwrap();
    assert!(matches!(error, Error::Spool { .. }), "{error}");
}
