//! GitHub Apps: signed claims, installations, and tokens that hold what they were given.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use booty_sim::{Clock, NewApp};
use chrono::{TimeDelta, Utc};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::house::{House, REPO};

/// Signs claims as an App does.
pub(crate) fn sign(app: &NewApp, claims: &Value) -> String {
    let packed: String =
        app.private_key.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = KeyPair::from_der(&STANDARD.decode(packed).unwrap()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) fn jwt(app: &NewApp) -> String {
    let now = Utc::now().timestamp();
    sign(app, &json!({"iss": app.id, "iat": now - 60, "exp": now + 540}))
}

/// An App that may write checks and statuses and read contents, on the repository.
pub(crate) async fn installed(house: &House) -> (NewApp, u64, String) {
    let permissions = [
        ("checks", "write"),
        ("statuses", "write"),
        ("contents", "read"),
        ("pull_requests", "write"),
    ];
    let app = house.sim.create_app("booty-verifier", &permissions).unwrap();
    let installation = house.sim.install_app(app.id, "acme", &[REPO]).unwrap();
    let token = token(house, &app, installation, json!({})).await;
    (app, installation, token)
}

async fn token(house: &House, app: &NewApp, installation: u64, body: Value) -> String {
    let path = format!("//app/installations/{installation}/access_tokens");
    let answer = house.send_as(&jwt(app), Method::POST, &path, Some(body)).await.unwrap();
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json().await.unwrap();
    body["token"].as_str().unwrap().to_owned()
}

async fn asked(house: &House, token: &str, method: Method, path: &str) -> (u16, Value) {
    let answer = house.send_as(token, method, path, None).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn octocrab_is_an_app_and_an_installation() {
    let house = House::new().await;
    let app = house.sim.create_app("booty-verifier", &[("checks", "write")]).unwrap();
    let installation = house.sim.install_app(app.id, "acme", &[]).unwrap();
    let key = ::octocrab::auth::AppAuth {
        app_id: app.id.into(),
        key: ::octocrab::auth::EncodingKey::from_rsa_pem(app.private_key.as_bytes()).unwrap(),
    };
    let github = ::octocrab::Octocrab::builder()
        .base_uri(house.sim.api_url())
        .unwrap()
        .app(key.app_id, key.key)
        .build()
        .unwrap();
    let me: Value = github.get("/app", None::<&()>).await.unwrap();
    assert_eq!(me["slug"], "booty-verifier");
    assert_eq!(me["installations_count"], 1);
    let all = github.apps().installations().send().await.unwrap();
    assert_eq!(all.items[0].id.0, installation);
    let found = github.apps().get_repository_installation("acme", "shop").await.unwrap();
    assert_eq!(found.id.0, installation);
    github.apps().installation(installation).await.unwrap();

    let github = github.installation(installation.into()).unwrap();
    let repo = github.repos("acme", "shop").get().await.unwrap();
    assert_eq!(repo.name, "shop");
    let head = house.get("/git/ref/heads/main").await["object"]["sha"].clone();
    let checks = github.checks("acme", "shop");
    let made = checks
        .create_check_run("booty/verifier", head.as_str().unwrap())
        .status(::octocrab::params::checks::CheckRunStatus::InProgress)
        .send()
        .await
        .unwrap();
    let done = checks
        .update_check_run(made.id)
        .conclusion(::octocrab::params::checks::CheckRunConclusion::Success)
        .send()
        .await
        .unwrap();
    assert_eq!(done.conclusion.as_deref(), Some("success"));
    let reference = ::octocrab::params::repos::Commitish("main".to_owned());
    let listed = checks.list_check_runs_for_git_ref(reference).send().await.unwrap();
    assert_eq!(listed.total_count, 1);
}

#[rstest]
#[case::late(json!({"iat": -60, "exp": 601}), "'Expiration time' claim ('exp') is too far in the future")]
#[case::over(json!({"iat": -60, "exp": 0}), "'Expiration time' claim ('exp') must be a numeric value")]
#[case::endless(json!({"iat": -60}), "'Expiration time' claim ('exp') must be a numeric value")]
#[case::ahead(json!({"iat": 30, "exp": 300}), "'Issued at' claim ('iat') must be an Integer")]
#[case::unsaid(json!({"exp": 300}), "'Issued at' claim ('iat') must be an Integer")]
#[tokio::test]
async fn claims_are_judged_by_the_clock(#[case] times: Value, #[case] words: &str) {
    let now = Utc::now().timestamp();
    let clock = Clock::from_fn(move || chrono::DateTime::from_timestamp(now, 0).unwrap());
    let house = House::with(|settings| settings.clock = clock).await;
    let app = house.sim.create_app("booty-verifier", &[]).unwrap();
    let mut claims = json!({"iss": app.id.to_string()});
    for (name, seconds) in times.as_object().unwrap() {
        claims[name] = (now + seconds.as_i64().unwrap()).into();
    }
    let (status, body) = asked(&house, &sign(&app, &claims), Method::GET, "//app").await;
    assert_eq!(status, 401);
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with(words), "{message}");
}

#[tokio::test]
async fn who_signed_is_who_it_is() {
    let house = House::new().await;
    let app = house.sim.create_app("one", &[]).unwrap();
    let other = house.sim.create_app("two", &[]).unwrap();
    let now = Utc::now().timestamp();
    let claims = |iss: Value| json!({"iss": iss, "iat": now - 60, "exp": now + 500});
    let by_client = sign(&app, &claims(json!(app.client_id)));
    assert_eq!(asked(&house, &by_client, Method::GET, "//app").await.1["id"], app.id);
    let undecodable = "A JSON web token could not be decoded";
    for (token, status, words) in [
        (sign(&app, &claims(json!(other.id))), 401, undecodable),
        (sign(&app, &claims(json!(1))), 404, "Integration not found"),
        (sign(&app, &claims(json!("x"))), 401, "'Issuer' claim ('iss') must be an Integer"),
        (house.owner.clone(), 401, undecodable),
    ] {
        let (got, body) = asked(&house, &token, Method::GET, "//app").await;
        assert_eq!((got, body["message"].as_str().unwrap()), (status, words));
    }
    let installation = house.sim.install_app(app.id, "acme", &[]).unwrap();
    for path in
        [format!("//app/installations/{installation}"), format!("//repos/{REPO}/installation")]
    {
        assert_eq!(asked(&house, &jwt(&app), Method::GET, &path).await.0, 200);
        assert_eq!(asked(&house, &jwt(&other), Method::GET, &path).await.0, 404);
    }
    let path = format!("//app/installations/{installation}/access_tokens");
    assert_eq!(asked(&house, &jwt(&other), Method::POST, &path).await.0, 404);
}

#[tokio::test]
async fn a_token_holds_what_it_was_given() {
    let house = House::new().await;
    house.sim.create_repo("acme/other", &[("a", "a", "100644")], "main").unwrap();
    let app = house.sim.create_app("booty-verifier", &[("checks", "write")]).unwrap();
    let installation = house.sim.install_app(app.id, "acme", &[]).unwrap();
    let path = format!("//app/installations/{installation}/access_tokens");
    for (body, words) in [
        (json!({"permissions": {"checks": "write", "contents": "read"}}), "permissions requested"),
        (json!({"repositories": ["shop", "nothing"]}), "at least one repository"),
        (json!({"repository_ids": [1]}), "at least one repository"),
    ] {
        let answer = house.send_as(&jwt(&app), Method::POST, &path, Some(body)).await.unwrap();
        assert_eq!(answer.status(), 422);
        assert!(answer.text().await.unwrap().contains(words));
    }
    let narrow = json!({"repositories": ["shop"], "permissions": {"checks": "read"}});
    let narrow = token(&house, &app, installation, narrow).await;
    let (status, seen) = asked(&house, &narrow, Method::GET, "//installation/repositories").await;
    assert_eq!((status, &seen["total_count"]), (200, &json!(1)));
    assert_eq!(seen["repositories"][0]["full_name"], REPO);
    assert_eq!(asked(&house, &narrow, Method::GET, "").await.0, 200);
    assert_eq!(asked(&house, &narrow, Method::GET, "//repos/acme/other").await.0, 404);
    for (method, path) in [
        (Method::GET, "//user"),
        (Method::GET, "/git/ref/heads/main"),
        (Method::POST, "/check-runs"),
        (Method::POST, "/issues"),
    ] {
        let (status, body) = asked(&house, &narrow, method, path).await;
        assert_eq!(status, 403, "{path}");
        assert_eq!(body["message"], "Resource not accessible by integration");
    }
    let (_, bot) = asked(&house, &narrow, Method::GET, "//users/booty-verifier%5Bbot%5D").await;
    assert_eq!(
        (bot["type"].as_str(), bot["login"].as_str()),
        (Some("Bot"), Some("booty-verifier[bot]"))
    );

    house.sim.suspend_installation(installation, true).unwrap();
    assert_eq!(asked(&house, &narrow, Method::GET, "").await.0, 403);
    let (status, body) = asked(&house, &jwt(&app), Method::POST, &path).await;
    assert_eq!(
        (status, body["message"].as_str().unwrap()),
        (403, "This installation has been suspended")
    );
    house.sim.suspend_installation(installation, false).unwrap();
    assert_eq!(asked(&house, &narrow, Method::GET, "").await.0, 200);
    house.sim.uninstall_app(installation).unwrap();
    assert_eq!(asked(&house, &narrow, Method::GET, "").await.0, 401);
}

#[tokio::test]
async fn a_token_lives_for_an_hour() {
    let ahead = Arc::new(AtomicI64::new(0));
    let shared = Arc::clone(&ahead);
    let clock =
        Clock::from_fn(move || Utc::now() + TimeDelta::seconds(shared.load(Ordering::Relaxed)));
    let house = House::with(|settings| settings.clock = clock).await;
    let (_, _, token) = installed(&house).await;
    ahead.store(3500, Ordering::Relaxed);
    assert_eq!(asked(&house, &token, Method::GET, "").await.0, 200);
    ahead.store(3601, Ordering::Relaxed);
    let (status, body) = asked(&house, &token, Method::GET, "").await;
    assert_eq!((status, body["message"].as_str().unwrap()), (401, "Bad credentials"));
}
