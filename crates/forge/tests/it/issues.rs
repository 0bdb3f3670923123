//! Issues made from alerts: once, with their origin known before their first label.

use booty_events::{Lane, bucket, v1::effect::Write};
use booty_sim::{Permission, Rule, Trouble};
use rstest::rstest;

use crate::{
    receiver::watch_labels,
    world::{BOT, REPO, TRIGGER, World, ms},
};

#[tokio::test]
async fn an_alerts_issue_has_its_origin_and_its_labels_their_looks() {
    let world = World::start().await;
    let labelled = watch_labels(&world).await;
    let effect = world.alert_issue("alert-1");
    let _forge = world.forge().await;
    world.ask_in(Lane::Issue, &effect, None).await;
    let applied = world.applied(&effect).await;
    let issue = world.issues_of("alert-1").remove(0);
    assert_eq!(
        (issue.number, issue.labels.as_slice()),
        (applied.number, ["agent:builder", "sentry"].map(str::to_owned).as_slice())
    );
    let origin = world.origin(issue.number).await.unwrap();
    assert_eq!((origin.effect_id.as_str(), origin.author.as_str()), (effect.id.as_str(), BOT));
    assert_eq!(origin.facts.unwrap().exception_type, "ValueError");
    let (github, repo) = (world.github(), REPO.parse().unwrap());
    let label = github.get_label(&repo, TRIGGER).await.unwrap().unwrap();
    assert_eq!(
        (label.color.as_str(), label.description.as_deref()),
        ("0366d6", Some("Created by Booty Observability"))
    );
    let other = github.get_label(&repo, "sentry").await.unwrap().unwrap();
    assert_eq!(other.description.as_deref(), Some("Created by Booty"), "forge's own look");
    let created = world.requests("POST", "/issues");
    assert_eq!(created, 1);
    world.until(|_| labelled.lock().unwrap().len() == 2).await;
    assert_eq!(*labelled.lock().unwrap(), [(issue.number, true); 2]);
}

#[tokio::test]
async fn no_label_comes_while_the_origin_can_not_be_written_down() {
    let world = World::start().await;
    let stream = format!("KV_{}", bucket::ORIGINS.name);
    world.bus.jetstream().delete_stream(&stream).await.unwrap();
    let effect = world.alert_issue("alert-1");
    let _forge = world.forge().await;
    world.ask_in(Lane::Issue, &effect, None).await;
    world.until(|_| !world.issues_of("alert-1").is_empty()).await;
    // What comes later in the lane is tried after it.
    let other = world.comment("2-d", "applied meanwhile");
    world.ask_in(Lane::Issue, &other, None).await;
    world.applied(&other).await;
    assert_eq!(world.requests("POST", "/labels"), 0);
    world.bus.ensure().await.unwrap();
    world.applied(&effect).await;
    assert_eq!(world.issues_of("alert-1").len(), 1);
    assert_eq!(world.issues_of("alert-1")[0].labels.len(), 2);
    assert!(world.origin(world.issues_of("alert-1")[0].number).await.is_some());
}

/// Dies right after each of the steps.
#[rstest]
#[case::issue("POST", "*/issues", Trouble::DropAfterCommit)]
#[case::before_the_label_is_made("POST", "*/hello/labels", Trouble::DropBeforeCommit)]
#[case::label_made("POST", "*/hello/labels", Trouble::DropAfterCommit)]
#[case::before_the_labels_are_set("POST", "*/issues/*/labels", Trouble::DropBeforeCommit)]
#[case::labels_set("POST", "*/issues/*/labels", Trouble::DropAfterCommit)]
#[tokio::test]
async fn killed_after_any_step_it_ends_with_one_issue(
    #[case] method: &str,
    #[case] path: &str,
    #[case] trouble: Trouble,
) {
    let world = World::start().await;
    let labelled = watch_labels(&world).await;
    world.sim.delay_lists(300).unwrap();
    world.sim.add_fault(Rule::new(trouble).method(method).path(path).times(1)).unwrap();
    let mut patient = world.settings();
    patient.resend_delays = vec![ms(60_000)];
    let forge = world.forge_with(patient).await;
    let effect = world.alert_issue("alert-1");
    world.ask_in(Lane::Issue, &effect, None).await;
    world.struck().await;
    forge.kill();
    let _next = world.forge().await;
    let applied = world.applied(&effect).await;
    let issues = world.issues_of("alert-1");
    assert_eq!(issues.len(), 1);
    assert_eq!((issues[0].number, issues[0].labels.len()), (applied.number, 2));
    assert!(world.origin(applied.number).await.is_some());
    world.until(|_| labelled.lock().unwrap().len() == 2).await;
    assert!(labelled.lock().unwrap().iter().all(|(_, known)| *known));
}

#[tokio::test]
async fn with_a_third_of_all_answers_lost_each_alert_has_one_issue() {
    let world = World::start().await;
    let labelled = watch_labels(&world).await;
    let mut forge = world.forge().await;
    forge.writing().await;
    world.sim.add_fault(Rule::new(Trouble::DropAfterCommit).probability(0.3)).unwrap();
    let causes: Vec<String> = (0..40).map(|n| format!("alert-{n}")).collect();
    let effects: Vec<_> = causes.iter().map(|cause| world.alert_issue(cause)).collect();
    for effect in &effects {
        world.ask_in(Lane::Issue, effect, None).await;
    }
    for effect in &effects {
        world.applied(effect).await;
    }
    assert!(world.snapshot().faults_struck > 40);
    for (cause, effect) in causes.iter().zip(&effects) {
        let issues = world.issues_of(cause);
        assert_eq!(issues.len(), 1, "{cause}");
        assert_eq!(issues[0].labels.len(), 2, "{cause}");
        let origin = world.origin(issues[0].number).await.unwrap();
        assert_eq!(origin.effect_id, effect.id);
    }
    assert_eq!(world.count_events("failed"), 0);
    world.until(|_| labelled.lock().unwrap().len() == 80).await;
    assert!(labelled.lock().unwrap().iter().all(|(_, known)| *known));
}

#[tokio::test]
async fn a_second_issue_that_shows_up_late_is_closed_and_known_for_what_it_is() {
    let world = World::start().await;
    let mut settings = world.settings();
    settings.lookup_delays = vec![ms(100), ms(1500)];
    world.sim.delay_lists(2500).unwrap();
    let rule = Rule::new(Trouble::DropAfterCommit).method("POST").path("*/issues").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge_with(settings).await;
    let effect = world.alert_issue("alert-1");
    world.ask_in(Lane::Issue, &effect, None).await;
    let told = world.applied(&effect).await.number;
    world.event("duplicate_removed", &effect).await;
    let issues = world.issues_of("alert-1");
    assert_eq!(issues.len(), 2);
    for issue in issues {
        assert_eq!(
            (issue.open, issue.labels.len()),
            if issue.number == told { (true, 2) } else { (false, 0) }
        );
        assert!(world.origin(issue.number).await.is_some(), "a person may label it");
    }
}

#[tokio::test]
async fn an_issue_is_looked_for_among_the_new_ones_only() {
    let world = World::start().await;
    let rule = Rule::new(Trouble::DropBeforeCommit).method("POST").path("*/issues").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge().await;
    let effect = world.alert_issue("alert-1");
    world.ask_in(Lane::Issue, &effect, None).await;
    world.applied(&effect).await;
    let requests = world.snapshot().requests;
    let mut listings =
        requests.iter().filter(|r| r.method == "GET" && r.path.contains("/issues?")).peekable();
    assert!(listings.peek().is_some());
    assert!(listings.all(|listing| listing.path.contains("since=")));
}

#[tokio::test]
async fn a_label_that_is_deleted_at_the_wrong_moment_is_made_again() {
    let world = World::start().await;
    // GitHub's answer where the label is gone between the two requests.
    let rule =
        Rule::new(Trouble::Fail { status: 404 }).method("POST").path("*/issues/*/labels").times(1);
    world.sim.add_fault(rule).unwrap();
    let _forge = world.forge().await;
    let effect = world.alert_issue("alert-1");
    world.ask_in(Lane::Issue, &effect, None).await;
    world.applied(&effect).await;
    assert_eq!(world.issues_of("alert-1")[0].labels.len(), 2);
}

#[rstest]
#[case::disabled(|world: &World| world.sim.set_has_issues(REPO, false).unwrap(), "gone", "no issues")]
#[case::archived(|world: &World| world.sim.set_archived(REPO, true).unwrap(), "archived", "unarchive")]
#[case::forbidden(|world: &World| world.sim.set_permission(REPO, BOT, Permission::None).unwrap(), "not_found", "not for this token")]
#[tokio::test]
async fn a_refusal_is_told_at_once_and_replayed_later(
    #[case] spoil: fn(&World),
    #[case] reason: &str,
    #[case] word: &str,
) {
    let world = World::start().await;
    spoil(&world);
    let _forge = world.forge().await;
    let effect = world.alert_issue("alert-1");
    world.ask_in(Lane::Issue, &effect, None).await;
    let failed = world.event("failed", &effect).await;
    assert_eq!(failed.reason, reason);
    assert!(failed.detail.contains(word), "{}", failed.detail);
    assert!(world.spooled(reason).await);
    assert_eq!(world.requests("POST", "/issues"), 1, "asked once");
    world.sim.set_has_issues(REPO, true).unwrap();
    world.sim.set_archived(REPO, false).unwrap();
    world.sim.set_permission(REPO, BOT, Permission::Write).unwrap();
    world.replay(&failed.attributes["spool_origin"]).await;
    world.applied(&effect).await;
    assert_eq!(world.issues_of("alert-1").len(), 1);
}

#[tokio::test]
async fn what_is_too_long_is_cut_and_what_is_missing_is_refused() {
    let world = World::start().await;
    let _forge = world.forge().await;
    let mut long = world.alert_issue("alert-1");
    let mut untitled = world.alert_issue("alert-2");
    let (Some(Write::CreateIssue(l)), Some(Write::CreateIssue(u))) =
        (&mut long.write, &mut untitled.write)
    else {
        unreachable!()
    };
    (l.title, l.body) = ("é".repeat(400), "語".repeat(90_000));
    u.title = "  ".to_owned();
    world.ask_in(Lane::Issue, &long, None).await;
    world.ask_in(Lane::Issue, &untitled, None).await;
    assert_eq!(world.event("failed", &untitled).await.reason, "invalid");
    let number = world.applied(&long).await.number;
    let snapshot = world.snapshot();
    let issue = snapshot.repo(REPO).unwrap().issue(number).unwrap();
    assert_eq!((issue.title.chars().count(), issue.body.chars().count()), (256, 65_536));
    assert!(issue.body.contains("cut"), "and it says so");
}
