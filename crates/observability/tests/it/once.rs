//! One issue, however many alerts at a time.

use std::collections::BTreeMap;

use booty_events::v1::{AlertPhase, JobState};

use crate::world::{LABEL, World, alert, fingerprint};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_parallel_alerts_on_two_replicas_make_one_issue() {
    const ALERTS: u32 = 64;
    let world = World::new().await;
    let _forge = world.forge().await;
    let replicas = [
        world.start_with(world.settings("observability-1")).await,
        world.start_with(world.settings("observability-2")).await,
    ];
    let bodies: Vec<_> = (1..=ALERTS).map(|nth| alert("7", nth)).collect();
    let delivered =
        futures_util::future::join_all(bodies.iter().map(|body| world.deliver(body))).await;

    let decided = world.facts("decided", ALERTS as usize).await;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for event in &decided {
        *reasons.entry(event.reason.clone()).or_default() += 1;
    }
    let expected = [("count_only", ALERTS as usize - 1), ("create", 1)];
    assert_eq!(reasons, expected.map(|(word, count)| (word.to_owned(), count)).into());
    let state = world.until(&fingerprint("7"), |state| state.phase() == AlertPhase::Open).await;
    assert_eq!((state.count, state.generation), (u64::from(ALERTS), 1));
    let issues = world.issues();
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].number, state.issue);
    assert_eq!(issues[0].labels, [LABEL]);

    let created = world.facts("issue_created", 1).await;
    assert_eq!((created.len(), created[0].issue), (1, state.issue));
    let asker = decided.iter().find(|event| event.reason == "create").unwrap();
    assert_eq!(created[0].job_id, asker.job_id);
    assert_eq!(created[0].delivery_id, asker.delivery_id);
    for delivered in &delivered {
        let job = world.job(&delivered.job, |job| job.state() == JobState::Completed).await;
        if delivered.job.as_str() == asker.job_id {
            assert_eq!((job.step.as_str(), job.issue), ("created", state.issue));
            assert_eq!(job.url, state.url);
        } else {
            assert_eq!(job.step, "counted");
        }
    }
    for replica in replicas {
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_have_issues_of_their_own_with_the_label_as_it_is_described() {
    let mut world = World::new().await;
    world.set("OBSV_AUTO_BUILD", "off");
    let _forge = world.forge().await;
    let _running = world.start().await;
    for issue in ["1", "2", "3"] {
        world.deliver(&alert(issue, 1)).await;
    }
    for issue in ["1", "2", "3"] {
        world.until(&fingerprint(issue), |state| state.phase() == AlertPhase::Open).await;
    }
    let issues = world.issues();
    assert_eq!(issues.len(), 3);
    assert!(issues.iter().all(|issue| issue.labels == ["triage"]), "{issues:#?}");
    for effect in world.effects().await {
        let Some(booty_events::v1::effect::Write::CreateIssue(wanted)) = effect.write else {
            continue;
        };
        let look = &wanted.label_looks[0];
        assert_eq!((look.colour.as_str(), look.name.as_str()), ("0366d6", "triage"));
        assert_eq!(look.description, "Created by Booty Observability");
        let origin = wanted.origin.unwrap();
        assert_eq!(origin.effect_id, effect.id);
        assert_eq!(origin.facts.unwrap().exception_type, "ZeroDivisionError");
    }
}
