//! GitHub fails, for one effect or altogether: what is asked for is applied or in the spool, and once.

use booty_events::{
    Lane,
    v1::{Effect, Event, effect::Write},
};
use booty_sim::{Rule, Trouble};

use crate::world::{REPO, World, ms};

fn comment_on(world: &World, cause: &str, issue: u64) -> Effect {
    let write = booty_events::v1::Comment { issue, body: format!("of {cause}") };
    world.effect(cause, "comment", Write::Comment(write))
}

#[tokio::test]
async fn one_that_fails_holds_nobody_on_its_lane_up_and_its_replay_is_applied() {
    let world = World::start().await;
    let other = world.sim.open_issue(REPO, "ann", "Another", "x").unwrap();
    let stuck_at = format!("*/issues/{}/comments", world.issue);
    let rule = Rule::new(Trouble::Fail { status: 500 }).method("POST").path(&stuck_at);
    world.sim.add_fault(rule).unwrap();
    let mut settings = world.settings();
    settings.retry_delays = vec![ms(400); 3];
    let _forge = world.forge_with(settings).await;
    let stuck = comment_on(&world, "1-d", world.issue);
    let behind: Vec<_> = (2..7).map(|n| comment_on(&world, &format!("{n}-d"), other)).collect();
    world.ask_in(Lane::Issue, &stuck, None).await;
    for effect in &behind {
        world.ask_in(Lane::Issue, effect, None).await;
    }
    let failed = world.event("failed", &stuck).await;
    assert_eq!(failed.reason, "server_error");
    assert!(failed.detail.contains("500") && failed.detail.contains("tried 4 times"));
    let posts: Vec<_> = world
        .snapshot()
        .requests
        .into_iter()
        .filter(|r| r.method == "POST" && r.path.ends_with("/comments"))
        .map(|r| r.status)
        .collect();
    assert_eq!(posts.iter().filter(|status| **status == 500).count(), 4, "{posts:?}");
    let last = posts.iter().rposition(|status| *status == 500).unwrap();
    assert_eq!(last, posts.len() - 1, "all others went in its pauses: {posts:?}");
    assert_eq!(posts.len(), 9);

    world.sim.clear_faults().unwrap();
    world.replay(&failed.attributes["spool_origin"]).await;
    world.applied(&stuck).await;
    let snapshot = world.snapshot();
    assert_eq!(snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments.len(), 1);
}

/// The connection breaks on all, for longer than an effect is tried: each ends in one of the two places,
/// and what is in the spool is applied by its replay.
#[tokio::test]
async fn after_a_long_outage_each_is_applied_or_in_the_spool_and_once() {
    let world = World::start().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    let causes: Vec<String> = (0..24).map(|n| format!("alert-{n}")).collect();
    let effects: Vec<_> = causes.iter().map(|cause| world.alert_issue(cause)).collect();
    // The first ones are under way when it begins, also some whose answer is lost.
    world.sim.add_fault(Rule::new(Trouble::DropAfterCommit).probability(0.3)).unwrap();
    for effect in &effects {
        world.ask_in(Lane::Issue, effect, None).await;
    }
    world.count_reaches("applied", 4).await;
    world.sim.set_down(true).unwrap();
    world.count_reaches("failed", 2).await;
    world.sim.clear_faults().unwrap();

    let mut spooled = 0;
    for effect in &effects {
        let ended = world.ended(effect).await;
        if ended.name == "failed" {
            let Event { reason, attributes, .. } = ended;
            assert!(["network", "timeout"].contains(&reason.as_str()), "{reason}");
            world.replay(&attributes["spool_origin"]).await;
            world.applied(effect).await;
            spooled += 1;
        }
    }
    assert!(spooled >= 2, "the outage was longer than the tries");
    for (cause, effect) in causes.iter().zip(&effects) {
        let issues = world.issues_of(cause);
        let open: Vec<_> = issues.iter().filter(|issue| issue.open).collect();
        assert_eq!((issues.len(), open.len()), (1, 1), "{cause}");
        assert_eq!(open[0].labels.len(), 2, "{cause}");
        assert_eq!(world.origin(open[0].number).await.unwrap().effect_id, effect.id);
    }
}
