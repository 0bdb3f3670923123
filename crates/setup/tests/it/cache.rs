//! Caches: whole or not at all, one filler, and never one for another.

use std::fs;

use booty_setup::{Cache, CacheKey, Caches, Kind};
use tokio_util::sync::CancellationToken;

const MIB: u64 = 1024 * 1024;

fn key(name: &str) -> CacheKey {
    CacheKey::new(&[Kind::Rust], "owner/name", "base", &[name.as_bytes()])
}

async fn get(caches: &Caches, key: &CacheKey) -> Cache {
    caches.cache_for(key, &CancellationToken::new()).await.unwrap()
}

async fn fill(caches: &Caches, name: &str, bytes: u64) -> booty_setup::CacheFolder {
    let Cache::Filling(filling) = get(caches, &key(name)).await else { panic!("there already") };
    fs::write(filling.path().join("file"), vec![7; bytes as usize]).unwrap();
    filling.seal().unwrap()
}

async fn is_there(caches: &Caches, name: &str) -> bool {
    matches!(get(caches, &key(name)).await, Cache::Sealed(_))
}

#[tokio::test]
async fn a_cache_is_whole_or_not_there() {
    let root = tempfile::tempdir().unwrap();
    let caches = Caches::open(root.path(), MIB).unwrap();
    let Cache::Filling(filling) = get(&caches, &key("a")).await else { panic!() };
    fs::write(filling.path().join("half"), "half").unwrap();
    drop(filling);
    // As after a crash in the middle of a fill, with folders that deny their removal.
    let Cache::Filling(filling) = get(&caches, &key("a")).await else { panic!() };
    fs::create_dir(filling.path().join("go")).unwrap();
    fs::write(filling.path().join("go/half"), "half").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    fs::set_permissions(filling.path().join("go"), mode).unwrap();
    let left = filling.path();
    // The process is gone, and its lock with it; nothing was dropped in order.
    let lock = fs::read_dir(root.path())
        .unwrap()
        .flatten()
        .find(|e| e.path().extension().is_some_and(|e| e == "lock"));
    fs::remove_file(lock.unwrap().path()).unwrap();
    std::mem::forget(filling);
    assert!(left.join("go/half").exists());
    let Cache::Filling(filling) = get(&caches, &key("a")).await else { panic!() };
    assert_eq!(fs::read_dir(filling.path()).unwrap().count(), 0);
    fs::write(filling.path().join("whole"), "whole").unwrap();
    let sealed = filling.seal().unwrap();
    assert!(sealed.path().join("whole").exists());
    assert!(is_there(&caches, "a").await);
    assert!(!is_there(&caches, "b").await);
}

#[tokio::test]
async fn one_fills_and_the_others_wait() {
    let root = tempfile::tempdir().unwrap();
    let caches = Caches::open(root.path(), MIB).unwrap();
    let Cache::Filling(filling) = get(&caches, &key("a")).await else { panic!() };
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let caches = caches.clone();
        waiting.spawn(async move { is_there(&caches, "a").await });
    }
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(caches.cache_for(&key("a"), &cancel).await.is_err());
    fs::write(filling.path().join("file"), "file").unwrap();
    let sealed = filling.seal().unwrap();
    assert_eq!(waiting.join_all().await, [true; 4]);
    // Filled anew, it is not there for anybody until it is whole again.
    let filling = caches.refill(&key("a"), sealed, &CancellationToken::new()).await.unwrap();
    drop(filling);
    assert!(!is_there(&caches, "a").await);
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room() {
    let root = tempfile::tempdir().unwrap();
    let caches = Caches::open(root.path(), 3 * MIB).unwrap();
    let in_use = fill(&caches, "in use", MIB).await;
    for name in ["old", "used again"] {
        drop(fill(&caches, name, MIB * 3 / 4).await);
        // The clock of a file system ticks some hundred times a second.
        let before = std::time::SystemTime::now();
        while std::time::SystemTime::now() < before + std::time::Duration::from_millis(20) {
            tokio::task::yield_now().await;
        }
    }
    assert!(is_there(&caches, "old").await && is_there(&caches, "used again").await);
    drop(fill(&caches, "new", MIB).await);
    assert!(!is_there(&caches, "old").await);
    for name in ["in use", "used again", "new"] {
        assert!(is_there(&caches, name).await, "{name}");
    }
    drop(in_use);
}

#[test]
fn every_part_of_a_key_counts() {
    let base = CacheKey::new(&[Kind::Rust], "owner/name", "base", &[b"lock", b"script"]);
    for other in [
        CacheKey::new(&[Kind::Go], "owner/name", "base", &[b"lock", b"script"]),
        CacheKey::new(&[Kind::Rust, Kind::Go], "owner/name", "base", &[b"lock", b"script"]),
        CacheKey::new(&[Kind::Rust], "owner/other", "base", &[b"lock", b"script"]),
        CacheKey::new(&[Kind::Rust], "owner/name", "7", &[b"lock", b"script"]),
        CacheKey::new(&[Kind::Rust], "owner/nameb", "ase", &[b"lock", b"script"]),
        CacheKey::new(&[Kind::Rust], "owner/name", "base", &[b"locks", b"cript"]),
        CacheKey::new(&[Kind::Rust], "owner/name", "base", &[b"lock"]),
    ] {
        assert_ne!(base, other);
    }
}
