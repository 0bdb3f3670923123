//! How often it came: one comment, edited.

use booty_events::v1::AlertPhase;
use booty_observability::rate::Rhythm;
use chrono::TimeDelta;

use crate::world::{World, alert, fingerprint};

#[tokio::test(flavor = "multi_thread")]
async fn the_last_count_is_told_in_one_comment_though_two_replicas_tell() {
    const ALERTS: u32 = 40;
    let world = World::new().await;
    let _forge = world.forge().await;
    let mut running = Vec::new();
    for holder in ["observability-1", "observability-2"] {
        let mut settings = world.settings(holder);
        settings.rhythm = Rhythm::even(TimeDelta::milliseconds(50));
        running.push(world.start_with(settings).await);
    }
    let fingerprint = fingerprint("1");
    world.deliver(&alert("1", 1)).await;
    world.until(&fingerprint, |state| state.phase() == AlertPhase::Open).await;
    for nth in 2..=ALERTS {
        world.deliver(&alert("1", nth)).await;
        if nth % 10 == 0 {
            let told = u64::from(nth);
            world.until(&fingerprint, |s| s.told >= told && s.effect_id.is_empty()).await;
        }
    }
    let state = world.state(&fingerprint).await.unwrap();
    assert_eq!((state.count, state.told), (u64::from(ALERTS), u64::from(ALERTS)));
    assert!(state.version >= 4);
    let issues = world.issues();
    assert_eq!((issues.len(), issues[0].comments.len()), (1, 1));
    let said = &issues[0].comments[0].body;
    assert!(said.contains(&ALERTS.to_string()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_are_not_told_before_their_time() {
    let world = World::new().await;
    let (_forge, _running) = (world.forge().await, world.start().await);
    world.deliver(&alert("1", 1)).await;
    let fingerprint = fingerprint("1");
    world.until(&fingerprint, |state| state.phase() == AlertPhase::Open).await;
    let more = world.deliver(&alert("1", 2)).await;
    world.job(&more.job, |job| job.step == "counted").await;
    // Swept at least once after that: the sweep asks GitHub about what it has not seen.
    world
        .until(&fingerprint, |state| {
            let at = |at: &Option<_>| booty_observability::state::time(at.as_ref());
            at(&state.looked_at) > at(&state.last_seen)
        })
        .await;
    let state = world.state(&fingerprint).await.unwrap();
    assert_eq!((state.count, state.told), (2, 1));
    assert!(world.issues()[0].comments.is_empty());
}
