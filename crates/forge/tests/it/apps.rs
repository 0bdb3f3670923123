//! Forge as a GitHub App, and the tokens that readers get from it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use booty_events::v1::CheckStatus;
use booty_forge::{Credentials, Error, Status, marker::Kind};
use booty_github::{
    AppKey, Client, ClientSettings, Endpoint, Scope, StaticToken, TokenSource, object::Comment,
};
use booty_service::BusTokens;
use booty_sim::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::world::{APP, REPO, World, ms};

fn scope() -> Scope {
    Scope { installation: None, repository: Some(REPO.parse().unwrap()) }
}

fn bot() -> String {
    format!("{APP}[bot]")
}

#[tokio::test]
async fn a_pull_request_of_an_app_is_the_apps_own() {
    let world = World::with_app().await;
    world.sim.set_drafts(REPO, true).unwrap();
    let forge = world.forge().await;
    let effect = world.open_pull_request("1-d", world.issue);
    world.ask(&effect).await;
    world.applied(&effect).await;
    forge.stop().await;
    let snapshot = world.snapshot();
    let repo = snapshot.repo(REPO).unwrap();
    let [pull] = repo.pulls.as_slice() else { panic!("{:#?}", repo.pulls) };
    assert_eq!(pull.author, bot());
    assert_eq!(repo.issue(world.issue).unwrap().comments[0].author, bot());
    let name = REPO.parse().unwrap();
    let commit = world.github().get_commit(&name, &pull.head_sha).await.unwrap().unwrap();
    assert_eq!(commit.author.unwrap().login, bot());

    // And a forge that remembers nothing knows it for its own.
    world.forget_records(">").await;
    let _forge = world.forge().await;
    let again = world.open_pull_request("1-e", world.issue);
    world.ask(&again).await;
    let applied = world.applied(&again).await;
    assert_eq!(applied.attributes["branch"], "agent/issue-1-2", "the first is open still");
}

#[tokio::test]
async fn a_marker_that_a_person_copied_is_not_the_apps() {
    let world = World::with_app().await;
    let effect = world.comment("1-d", "Hello");
    let id = effect.id.parse().unwrap();
    let forged = world.markers().mark("Hello", Kind::Comment, &REPO.parse().unwrap(), &id);
    world.sim.comment(REPO, world.issue, APP, &forged).unwrap();
    let rule = booty_sim::Rule::new(booty_sim::Trouble::DropBeforeCommit);
    world.sim.add_fault(rule.method("POST").path("*/comments").times(1)).unwrap();
    let _forge = world.forge().await;
    world.ask(&effect).await;
    world.applied(&effect).await;
    let snapshot = world.snapshot();
    let comments = &snapshot.repo(REPO).unwrap().issue(world.issue).unwrap().comments;
    let authors: Vec<_> = comments.iter().map(|comment| comment.author.as_str()).collect();
    assert_eq!(authors, [APP, &bot()]);
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed() {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    fn now() -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(SECONDS.load(Ordering::SeqCst))
    }
    let world = World::with_app_and_clock(Clock::from_fn(now)).await;
    let mut settings = world.settings();
    settings.clock = now;
    let _forge = world.forge_with(settings).await;
    let head = world.base_sha.clone();
    for (version, hours) in [(1, 0), (2, 1), (3, 3)] {
        SECONDS.store(hours * 3601, Ordering::SeqCst);
        let started = world.check(&head, version, CheckStatus::InProgress);
        let effect = world.ask_check(started).await;
        world.applied(&effect).await;
    }
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!(run.summary.as_deref(), Some("State 3."));
    assert_eq!(world.requests("POST", "/access_tokens"), 3);
    let requests = world.snapshot().requests;
    assert!(requests.iter().all(|request| request.status != 401), "renewed before GitHub says so");
}

#[tokio::test]
async fn a_token_that_github_ends_early_is_replaced() {
    let world = World::with_app().await;
    let _forge = world.forge().await;
    let head = world.base_sha.clone();
    let queued = world.ask_check(world.check(&head, 1, CheckStatus::Queued)).await;
    world.applied(&queued).await;
    let rule = booty_sim::Rule::new(booty_sim::Trouble::Fail { status: 401 });
    world.sim.add_fault(rule.method("PATCH").path("*/check-runs/*").times(1)).unwrap();
    let done = world.ask_check(world.completed(&head, 2, "success")).await;
    world.applied(&done).await;
    let [run] = world.runs(&head).try_into().unwrap();
    assert_eq!(run.conclusion.as_deref(), Some("success"));
    assert_eq!(world.requests("POST", "/access_tokens"), 2);
}

#[tokio::test]
async fn all_effects_of_a_repository_share_one_token() {
    let world = World::with_app().await;
    let mut effects = Vec::new();
    for version in 1..=5 {
        let write = world.check(&world.base_sha, version, CheckStatus::InProgress);
        effects.push(world.ask_check(write).await);
    }
    let _forge = world.forge().await;
    world.applied(&effects[4]).await;
    assert_eq!(world.requests("POST", "/access_tokens"), 1);
    assert_eq!(world.requests("GET", "/installation"), 1);
}

#[tokio::test]
async fn a_reader_gets_a_token_that_can_only_read_its_repository() {
    let world = World::with_app().await;
    world.sim.create_repo("octo/other", &[("a", "a", "100644")], "main").unwrap();
    let mut forge = world.forge().await;
    forge.writing().await;
    let tokens = Arc::new(BusTokens::new(world.bus.clone(), Utc::now));
    let token = tokens.token(&scope()).await.unwrap();
    assert!(token.expose_secret().starts_with("ghs_"));

    let settings = ClientSettings::new(world.sim.api_url().parse().unwrap());
    let reader = Client::new(settings, tokens).unwrap().scoped(scope());
    let repo = REPO.parse().unwrap();
    assert!(reader.get_issue(&repo, world.issue).await.unwrap().is_some());
    assert!(reader.get_branch(&repo, "main").await.unwrap().is_some());
    assert!(reader.list_pulls(&repo, None, "all").await.unwrap().is_empty());
    let runs = reader.list_check_runs(&repo, &world.base_sha, "x").await.unwrap();
    assert!(runs.is_empty());
    let permission = reader.collaborator_permission(&repo, "ann").await.unwrap();
    assert!(permission.is_some());

    let before = world.snapshot().writes;
    let at = Endpoint::repo(&repo);
    let comments = at.clone().at("issues").at(world.issue).at("comments");
    for (what, body) in [
        (comments, json!({ "body": "hello" })),
        (at.clone().at("issues"), json!({ "title": "t" })),
        (at.clone().at("check-runs"), json!({ "name": "x", "head_sha": world.base_sha })),
        (at.at("git").at("refs"), json!({ "ref": "refs/heads/x", "sha": world.base_sha })),
    ] {
        let error = reader.post::<Value>(what, &body).await.unwrap_err();
        assert_eq!(error.word(), "forbidden", "{error}");
    }
    let other = "octo/other".parse().unwrap();
    let outside = Client::new(
        ClientSettings::new(world.sim.api_url().parse().unwrap()),
        Arc::new(StaticToken::new(token)),
    )
    .unwrap();
    assert!(outside.get_repository(&other).await.unwrap().is_none());
    assert_eq!(world.snapshot().writes, before);
}

#[tokio::test]
async fn a_forge_on_standby_gives_read_tokens_and_one_without_an_app_says_why_not() {
    let world = World::with_app().await;
    let mut settings = world.settings();
    // The role stays the first one's for long after its end.
    settings.lease = ms(60_000);
    let mut first = world.forge_with(settings.clone()).await;
    first.writing().await;
    settings.holder = "forge-2".to_owned();
    let mut second = world.forge_with(settings).await;
    second.status.wait_for(|status| *status == Status::Standby).await.unwrap();
    let tokens = BusTokens::new(world.bus.clone(), Utc::now);
    first.kill();
    // The question that died with the first is asked again, as every reader does.
    while let Err(error) = tokens.token(&scope()).await {
        assert!(error.retryable, "{error}");
    }
    assert_eq!(*second.status.borrow(), Status::Standby, "it is not the writer yet");
    let elsewhere = Scope { installation: None, repository: Some("octo/none".parse().unwrap()) };
    let error = tokens.token(&elsewhere).await.unwrap_err();
    assert!(!error.retryable && error.to_string().contains("not installed"), "{error}");

    let world = World::start().await;
    let mut forge = world.forge().await;
    forge.writing().await;
    let error = BusTokens::new(world.bus.clone(), Utc::now).token(&scope()).await.unwrap_err();
    assert!(!error.retryable && error.to_string().contains("GITHUB_READ_TOKEN"), "{error}");
    assert!(!error.to_string().contains(&world.token));
}

#[tokio::test]
async fn a_key_that_is_not_the_apps_ends_forge_with_what_to_do() {
    let world = World::with_app().await;
    let other = world.sim.create_app("another", &[]).unwrap();
    let app = world.app.as_ref().unwrap();
    let mut settings = world.settings();
    let key = AppKey::new(&app.id.to_string(), &other.private_key.as_str().into()).unwrap();
    settings.credentials = Credentials::App(key);
    let mut forge = world.forge_with(settings).await;
    let error = forge.ended().await.unwrap_err();
    assert!(matches!(error, Error::App(_)), "{error:?}");
    assert!(error.to_string().contains("GITHUB_APP_PRIVATE_KEY"));
}

#[tokio::test]
async fn an_effect_for_a_repository_without_the_app_fails_with_what_to_do() {
    let world = World::with_app().await;
    let _forge = world.forge().await;
    let mut effect = world.comment("1-d", "Hello");
    effect.repository = "octo/none".to_owned();
    world.ask(&effect).await;
    let failed = world.event("failed", &effect).await;
    assert_eq!(failed.reason, "no_token");
    assert!(failed.detail.contains("not installed"), "{}", failed.detail);
}

#[tokio::test]
async fn people_see_who_wrote_it() {
    let world = World::with_app().await;
    let _forge = world.forge().await;
    let effect = world.comment("1-d", "Hello");
    world.ask(&effect).await;
    world.applied(&effect).await;
    let at = Endpoint::repo(&REPO.parse().unwrap()).at("issues").at(world.issue).at("comments");
    let comments: Vec<Comment> = world.github().get_json(at).await.unwrap();
    assert_eq!(comments[0].user.as_ref().unwrap().kind, "Bot");
}
