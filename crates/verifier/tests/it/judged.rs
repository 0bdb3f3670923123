//! What is concluded of a head.

use booty_events::v1::{CheckStatus, JobState};

use crate::world::{CALC, CONFIG, FIXED, REPO, TEST_CALC, World};

#[tokio::test]
async fn a_fix_is_queued_judged_and_green() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, head) = world.open_pull("fix", &[("calc.py", FIXED, "100644")]);
    let job = world.deliver("d-1", "opened", pull, &head).await;
    let (verdict, check) = world.verdict(&job, &head).await;
    assert_eq!(verdict.detail, "success", "{}", check.text);
    assert_eq!((verdict.number, verdict.attributes["head"].as_str()), (pull, head.as_str()));

    let checks = world.checks().await;
    // A worker may be faster than the door: forge goes by the versions.
    let mut by_version: Vec<_> =
        checks.iter().map(|check| (check.version, check.status())).collect();
    by_version.sort_unstable_by_key(|(version, _)| *version);
    let phases: Vec<CheckStatus> = by_version.into_iter().map(|(_, status)| status).collect();
    assert_eq!(phases, [CheckStatus::Queued, CheckStatus::InProgress, CheckStatus::Completed]);
    assert!(checks.iter().all(|check| check.head_sha == head && check.pull_request == pull));
    for stage in ["Policy", "Setup", "Import and compile", "Tests", "Evidence"] {
        assert!(check.text.contains(&format!("{stage}\n")), "{stage}: {}", check.text);
    }
    let job = world.state(&job, |job| job.state() == JobState::Completed).await;
    assert_eq!((job.step.as_str(), job.head_sha.as_str()), ("success", head.as_str()));
    running.stop().await;
}

#[tokio::test]
async fn a_bug_is_red_and_its_test_is_named() {
    let files = [
        ("calc.py", FIXED, "100644"),
        ("test_calc.py", TEST_CALC, "100644"),
        (".booty.yml", CONFIG, "100644"),
    ];
    let world = World::with_files(&files).await;
    let running = world.start().await;
    let (pull, head) = world.open_pull("bug", &[("calc.py", CALC, "100644")]);
    let job = world.deliver("d-1", "opened", pull, &head).await;
    let (verdict, check) = world.verdict(&job, &head).await;
    assert_eq!(verdict.detail, "failure", "{}", check.text);
    let failing = check.annotations.iter().find(|annotation| annotation.title == "test failed");
    let failing = failing.unwrap_or_else(|| panic!("{:#?}", check.annotations));
    assert_eq!((failing.path.as_str(), failing.start_line), ("test_calc.py", 8));
    assert!(failing.message.contains("test_add"), "{}", failing.message);
    assert!(check.text.contains(&format!("--head {head}")), "how to see it again: {}", check.text);
    assert!(verdict.attributes["findings"].contains("test_calc.py:8"), "for the builder");
    running.stop().await;
}

#[tokio::test]
async fn a_conflict_names_its_files() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, head) = world.open_pull("fix", &[("calc.py", FIXED, "100644")]);
    let other = CALC.replace("a - b", "a * b");
    world
        .sim
        .push_files(REPO, "ann", "main", "meanwhile", &[("calc.py", &other, "100644")])
        .unwrap();
    let job = world.deliver("d-1", "opened", pull, &head).await;
    let (verdict, check) = world.verdict(&job, &head).await;
    assert_eq!(verdict.detail, "failure");
    assert_eq!(check.annotations[0].path, "calc.py");
    assert!(check.text.contains("was changed on both sides"), "{}", check.text);
    running.stop().await;
}

#[tokio::test]
async fn the_change_does_not_rule_its_own_judgement() {
    let world = World::new().await;
    let running = world.start().await;
    let (pull, head) =
        world.open_pull("cheat", &[(".booty.yml", "version: 1\ntest: 'true'\n", "100644")]);
    let job = world.deliver("d-1", "opened", pull, &head).await;
    let (verdict, check) = world.verdict(&job, &head).await;
    assert_eq!(verdict.detail, "failure");
    assert!(check.annotations.iter().any(|a| a.title == "protected path"), "{}", check.text);
    assert!(check.text.contains("unittest"), "the base's command ran: {}", check.text);
    running.stop().await;
}

#[tokio::test]
async fn a_head_that_is_gone_is_neutral() {
    let world = World::new().await;
    let (pull, head) = world.open_pull("fix", &[("calc.py", FIXED, "100644")]);
    let mut settings = world.settings();
    // A place where nothing is: as after a force push whose objects were collected.
    settings.git_url = format!("{}/nowhere/", world.sim.api_url()).parse().unwrap();
    let running = world.start_with(settings).await;
    let job = world.deliver("d-1", "opened", pull, &head).await;
    let (verdict, check) = world.verdict(&job, &head).await;
    assert_eq!((verdict.detail.as_str(), verdict.reason.as_str()), ("neutral", "head_gone"));
    assert_eq!(check.status(), CheckStatus::Completed);
    running.stop().await;
}
