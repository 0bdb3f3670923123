//! The newest head wins.

use std::time::Duration;

use booty_events::v1::{CheckStatus, JobState};

use crate::world::{CONFIG, FIXED, REPO, TEST_CALC, World};

/// A test that never ends by itself, and says that it began.
const ENDLESS: &str = "import time, unittest\n\n\nclass SlowTest(unittest.TestCase):\n    def test_slow(self):\n        print('CANARY-OF-THE-OLD-HEAD', flush=True)\n        time.sleep(3600)\n";

#[tokio::test]
async fn a_newer_head_stops_the_older_one_and_its_sandbox() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, old) = world.open_pull("fix", &[("test_slow.py", ENDLESS, "100644")]);
    let first = world.deliver("d-1", "opened", pull, &old).await;
    world.state(&first, |job| job.state() == JobState::Running).await;
    let in_tests = || alive("unittest");
    tokio::time::timeout(Duration::from_secs(60), async {
        while !in_tests() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the old head's tests never began");

    let files = [("calc.py", FIXED, "100644"), ("test_slow.py", TEST_CALC, "100644")];
    let new = world.sim.push_files(REPO, "ann", "fix", "again", &files).unwrap();
    let second = world.deliver("d-2", "synchronize", pull, &new).await;
    let (verdict, check) = world.verdict(&first, &old).await;
    assert_eq!((verdict.detail.as_str(), verdict.reason.as_str()), ("cancelled", "superseded"));
    assert_eq!((check.status(), check.conclusion.as_str()), (CheckStatus::Completed, "cancelled"));
    assert!(check.summary.contains(&new), "{}", check.summary);

    let (verdict, check) = world.verdict(&second, &new).await;
    assert_eq!(verdict.detail, "success", "{} {} {}", verdict.reason, check.summary, check.text);
    assert!(!in_tests(), "the old head's sandbox is gone");
    let of_new = world.checks().await.into_iter().filter(|check| check.head_sha == new);
    assert!(of_new.into_iter().all(|check| check.conclusion != "cancelled"));
    running.stop().await;
}

#[tokio::test]
async fn a_queued_head_that_is_superseded_is_cancelled_without_being_run() {
    let files = [
        ("calc.py", FIXED, "100644"),
        ("test_calc.py", TEST_CALC, "100644"),
        (".booty.yml", CONFIG, "100644"),
    ];
    let world = World::with_files(&files).await;
    let (pull, old) = world.open_pull("fix", &[("NEWS", "1\n", "100644")]);
    // The door of a verifier that has no worker for it: then it is gone, and so is the head.
    let first = world.deliver("d-1", "opened", pull, &old).await;
    let new =
        world.sim.push_files(REPO, "ann", "fix", "again", &[("NEWS", "2\n", "100644")]).unwrap();
    let second = world.deliver("d-2", "synchronize", pull, &new).await;
    let running = world.start().await;
    let (verdict, check) = world.verdict(&second, &new).await;
    assert_eq!(verdict.detail, "success", "{} {} {}", verdict.reason, check.summary, check.text);
    // GitHub says what the newest head is, so that the older delivery is about that one, too.
    let reason = world.events.ignored(&first).await;
    assert!(matches!(reason.as_str(), "superseded" | "same_head"), "{reason}");
    assert!(world.checks().await.iter().all(|check| check.head_sha == new));
    running.stop().await;
}

/// Whether a process of any sandbox has this text in its command line.
fn alive(needle: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.starts_with("python3") && line.contains(needle)
    })
}
