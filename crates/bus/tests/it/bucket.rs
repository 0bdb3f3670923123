//! Compare-and-set.

use booty_bus::BucketError;
use booty_events::bucket::JOBS;
use bytes::Bytes;
use futures_util::future::join_all;

use crate::support::World;

#[tokio::test]
async fn a_key_is_created_once_and_updated_in_turn() {
    let world = World::new().await;
    let bucket = world.bus.bucket(&JOBS);
    assert_eq!(bucket.get("7-x").await.unwrap(), None);
    let first = bucket.create("7-x", "a".into()).await.unwrap();
    let again = bucket.create("7-x", "b".into()).await;
    assert!(matches!(again, Err(BucketError::Conflict)), "{again:?}");
    let second = bucket.update("7-x", "c".into(), first).await.unwrap();
    assert!(second > first);
    let stale = bucket.update("7-x", "d".into(), first).await;
    assert!(matches!(stale, Err(BucketError::Conflict)), "{stale:?}");
    let entry = bucket.get("7-x").await.unwrap().unwrap();
    assert_eq!((entry.value, entry.revision), (Bytes::from("c"), second));

    assert!(matches!(bucket.delete("7-x", first).await, Err(BucketError::Conflict)));
    bucket.delete("7-x", second).await.unwrap();
    assert_eq!(bucket.get("7-x").await.unwrap(), None);
    let anew = bucket.create("7-x", "e".into()).await.unwrap();
    assert!(anew > second, "a deleted key can be created, and its revision still grows");
}

#[tokio::test]
async fn keys_lists_what_has_a_value() {
    let world = World::new().await;
    let bucket = world.bus.bucket(&JOBS);
    assert_eq!(bucket.keys().await.unwrap(), Vec::<String>::new());
    for key in ["a", "b.c", "gone"] {
        bucket.create(key, "v".into()).await.unwrap();
    }
    let revision = bucket.get("gone").await.unwrap().unwrap().revision;
    bucket.delete("gone", revision).await.unwrap();
    let mut keys = bucket.keys().await.unwrap();
    keys.sort();
    assert_eq!(keys, ["a", "b.c"]);
}

#[tokio::test]
async fn racers_lose_no_increment() {
    let mut world = World::new().await;
    let bucket = world.bus.bucket(&JOBS);
    bucket.create("count", "0".into()).await.unwrap();
    let racers = (0..8).map(|_| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                loop {
                    let Ok(Some(entry)) = bucket.get("count").await else { continue };
                    let count: u32 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                    let next = Bytes::from((count + 1).to_string());
                    match bucket.update("count", next, entry.revision).await {
                        Ok(_) => break,
                        Err(BucketError::Conflict) => {}
                        Err(BucketError::Other(error)) => panic!("{error:?}"),
                    }
                }
            }
        })
    });
    let racers = join_all(racers);
    // Answers that get lost on the way must not count twice, either.
    let (raced, restarted) = tokio::join!(racers, world.server.restart());
    restarted.unwrap();
    raced.into_iter().for_each(Result::unwrap);
    assert_eq!(bucket.get("count").await.unwrap().unwrap().value, "40");
}

#[tokio::test]
async fn no_key_reaches_beyond_its_bucket() {
    let world = World::new().await;
    let bucket = world.bus.bucket(&JOBS);
    for key in ["", "a b", "*", ">", "a..b", ".a", "a.", "ü"] {
        assert!(matches!(bucket.get(key).await, Err(BucketError::Other(_))), "{key:?}");
        assert!(matches!(bucket.create(key, "v".into()).await, Err(BucketError::Other(_))));
    }
}
