//! The spool on the broker is full.

use std::{fs, path::Path};

use async_nats::jetstream::stream::Config;
use booty_events::{stream, v1::JobState};
use booty_observability::{App, Error};
use serde_json::json;

use crate::world::{PATIENCE, World};

async fn resize_spool(world: &World, max_bytes: i64) {
    let stream = world.bus.jetstream().get_stream(stream::SPOOL.name).await.unwrap();
    let config = Config { max_bytes, ..stream.cached_info().config.clone() };
    world.bus.jetstream().update_stream(config).await.unwrap();
}

async fn until(path: &Path, wanted: impl Fn(&str) -> bool) -> String {
    let read = async {
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if wanted(&text) {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the file never was so")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_on_is_kept_in_the_file_and_spooled_later() {
    let world = World::new().await;
    resize_spool(&world, 100).await;
    let settings = world.settings("observability-1");
    let path = settings.spool_path.clone();
    let _running = world.start_with(settings).await;
    let delivered = world.deliver_bytes(b"{\"data\": [not json".to_vec(), &json!({})).await;
    world.job(&delivered.job, |job| job.state() == JobState::Failed).await;
    let text = until(&path, |text| text.ends_with('\n')).await;
    assert!(text.contains("booty.spool.observability.unreadable.BOOTY_INBOX-1"), "{text}");
    assert!(text.contains(r#""body":"{\"data\": [not json""#), "{text}");

    resize_spool(&world, 64 << 20).await;
    until(&path, str::is_empty).await;
    let filter = "booty.spool.observability.unreadable.*";
    let entry = world.bus.last_message(stream::SPOOL.name, filter).await.unwrap().unwrap();
    assert_eq!(entry.payload, b"{\"data\": [not json".to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_them_never_share_a_file() {
    let world = World::new().await;
    let settings = world.settings("observability-1");
    let _first = App::build(settings.clone(), world.bus.clone()).await.unwrap();
    let second = App::build(settings, world.bus.clone()).await;
    assert!(matches!(second, Err(Error::Spool(_))));
}
