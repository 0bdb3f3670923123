//! An App's tokens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{self, KeyPair as _, UnparsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use booty_events::RepoName;
use booty_github::{AppKey, AppTokens, Client, ClientSettings, Scope, TokenError, TokenSource};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::server::{Answer, Scripted, answer, settings};

/// Where a PKCS#8 envelope ends and the PKCS#1 key begins, for 2048 bits.
const PKCS8_HEAD: usize = 26;

struct Key {
    pkcs8: String,
    pkcs1: String,
    public: Vec<u8>,
}

fn key() -> Key {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let pem = |what: &str, der: &[u8]| {
        let packed = STANDARD.encode(der);
        let lines: Vec<_> =
            packed.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
    };
    Key {
        pkcs8: pem("PRIVATE KEY", der.as_ref()),
        pkcs1: pem("RSA PRIVATE KEY", &der.as_ref()[PKCS8_HEAD..]),
        public: key.public_key().as_ref().to_vec(),
    }
}

fn repo() -> RepoName {
    "octo/hello".parse().unwrap()
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_900_000_000, 0).unwrap()
}

fn minted(token: &str, minutes: i64) -> Answer {
    let expires = noon() + TimeDelta::minutes(minutes);
    answer(201, &json!({ "token": token, "expires_at": expires }).to_string())
}

fn found(installation: u64) -> Answer {
    answer(200, &json!({ "id": installation }).to_string())
}

fn tokens(server: &Scripted, clock: fn() -> DateTime<Utc>) -> AppTokens {
    AppTokens::new(settings(&server.url), AppKey::new("7", &key().pkcs1.into()).unwrap(), clock)
        .unwrap()
}

fn scope(installation: Option<u64>) -> Scope {
    Scope { installation, repository: Some(repo()) }
}

#[test]
fn a_key_comes_in_each_form_that_people_have_and_a_bad_one_is_told_at_once() {
    let key = key();
    for pem in [&key.pkcs1, &key.pkcs8, &key.pkcs1.replace('\n', "\\n")] {
        assert!(AppKey::new("7", &pem.as_str().into()).is_ok());
    }
    let cut: String = key.pkcs1.lines().take(5).chain(key.pkcs1.lines().last()).collect();
    for bad in ["", "not a key", cut.as_str(), &key.pkcs1.replace("RSA PRIVATE", "EC PRIVATE")] {
        let error = AppKey::new("7", &bad.into()).unwrap_err().to_string();
        assert!(bad.is_empty() || !error.contains(bad), "{error}");
    }
    let shown = format!("{:?}", AppKey::new("7", &key.pkcs8.into()).unwrap());
    assert_eq!(shown, "AppKey { id: \"7\", .. }");
}

#[tokio::test]
async fn the_app_proves_itself_by_its_signature() {
    let server =
        Scripted::start(vec![answer(200, r#"{"id":7,"slug":"booty","name":"Booty"}"#)]).await;
    let key = key();
    let app_key = AppKey::new("7", &key.pkcs8.as_str().into()).unwrap();
    let app = AppTokens::new(settings(&server.url), app_key, noon).unwrap().app().await.unwrap();
    assert_eq!((app.id, app.login().as_str()), (7, "booty[bot]"));

    let seen = server.seen();
    assert_eq!(seen[0].path, "/app");
    let jwt = seen[0].headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key.public)
        .verify(signed.as_bytes(), &signature)
        .unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let now = noon().timestamp();
    assert_eq!(claims, json!({ "iss": "7", "iat": now - 60, "exp": now + 540 }));
}

#[tokio::test]
async fn a_token_is_minted_once_for_all_who_ask_at_the_same_time() {
    let server = Scripted::start(vec![found(9), minted("ghs_one", 60)]).await;
    let tokens = Arc::new(tokens(&server, noon));
    let askers: Vec<_> = (0..50)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { tokens.token(&scope(None)).await.unwrap() })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap().expose_secret(), "ghs_one");
    }
    let seen = server.seen();
    let calls: Vec<_> =
        seen.iter().map(|seen| (seen.method.as_str(), seen.path.as_str())).collect();
    assert_eq!(
        calls,
        [("GET", "/repos/octo/hello/installation"), ("POST", "/app/installations/9/access_tokens")]
    );
    let body: Value = serde_json::from_slice(&seen[1].body).unwrap();
    assert_eq!(body, json!({ "repositories": ["hello"] }), "all that the App may, there alone");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    static MINUTES: AtomicI64 = AtomicI64::new(0);
    fn clock() -> DateTime<Utc> {
        noon() + TimeDelta::minutes(MINUTES.load(Ordering::Relaxed))
    }
    let server =
        Scripted::start(vec![minted("ghs_one", 60), minted("ghs_two", 120), minted("x", 0)]).await;
    let tokens = tokens(&server, clock);
    for (minutes, expected) in [(0, "ghs_one"), (54, "ghs_one"), (55, "ghs_two"), (110, "ghs_two")]
    {
        MINUTES.store(minutes, Ordering::Relaxed);
        let token = tokens.token(&scope(Some(9))).await.unwrap();
        assert_eq!(token.expose_secret(), expected, "after {minutes} minutes");
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_readers_token_can_only_read_one_repository() {
    let server = Scripted::start(vec![minted("ghs_read", 60), minted("ghs_all", 60)]).await;
    let tokens = tokens(&server, noon);
    let granted = tokens.read_token(&repo(), Some(9)).await.unwrap();
    assert_eq!(granted.expires, noon() + TimeDelta::hours(1));
    assert_eq!(tokens.token(&scope(Some(9))).await.unwrap().expose_secret(), "ghs_all");
    let body: Value = serde_json::from_slice(&server.seen()[0].body).unwrap();
    let permissions = json!({
        "contents": "read", "issues": "read", "pull_requests": "read", "checks": "read",
        "metadata": "read",
    });
    assert_eq!(body, json!({ "repositories": ["hello"], "permissions": permissions }));
    assert!(!format!("{granted:?}").contains("ghs_read"));
}

#[tokio::test]
async fn a_refused_token_is_replaced_and_the_request_sent_again() {
    let server = Scripted::start(vec![
        minted("ghs_one", 60),
        answer(401, r#"{"message":"Bad credentials"}"#),
        minted("ghs_two", 60),
        answer(201, r#"{"id":3}"#),
    ])
    .await;
    let tokens = Arc::new(tokens(&server, noon));
    let client = Client::new(settings(&server.url), tokens).unwrap().scoped(scope(Some(9)));
    let at = booty_github::Endpoint::repo(&repo()).at("issues");
    let made = client.post::<Value>(at, &json!({ "title": "t" })).await.unwrap();
    assert_eq!(made.body["id"], 3);
    let bearers: Vec<_> = server.seen()[1..]
        .iter()
        .map(|seen| seen.headers["authorization"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!((bearers[0].as_str(), bearers[2].as_str()), ("Bearer ghs_one", "Bearer ghs_two"));
    assert_eq!(server.seen()[1].body, server.seen()[3].body);
}

/// Takes its time.
struct Slow(Duration);

#[async_trait::async_trait]
impl TokenSource for Slow {
    async fn token(&self, _scope: &Scope) -> Result<SecretString, TokenError> {
        tokio::time::sleep(self.0).await;
        Ok("ghs_slow".into())
    }
}

#[tokio::test]
async fn nothing_is_sent_when_the_token_took_all_the_time() {
    let server = Scripted::start(vec![answer(201, r#"{"id":3}"#)]).await;
    let settings = settings(&server.url);
    let slow = Arc::new(Slow(settings.timeout + Duration::from_millis(1)));
    let client = Client::new(settings, slow).unwrap();
    let at = booty_github::Endpoint::repo(&repo()).at("issues");
    let error = client.post::<Value>(at, &json!({ "title": "t" })).await.unwrap_err();
    assert!(matches!(error, booty_github::Error::Timeout { sent: false, .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn two_refusals_are_enough() {
    let server = Scripted::start(vec![
        minted("ghs_one", 60),
        answer(401, "{}"),
        minted("ghs_two", 60),
        answer(401, "{}"),
    ])
    .await;
    let client = Client::new(settings(&server.url), Arc::new(tokens(&server, noon))).unwrap();
    let error = client.scoped(scope(Some(9))).get_issue(&repo(), 7).await.unwrap_err();
    assert_eq!(error.word(), "unauthorized");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn an_app_that_was_installed_anew_is_found() {
    let gone = answer(404, "{}");
    let server = Scripted::start(vec![
        gone.clone(),
        found(10),
        minted("ghs_one", 1),
        gone,
        found(11),
        minted("ghs_two", 60),
    ])
    .await;
    let tokens = tokens(&server, noon);
    // The effect names an installation of before; and the one that was found goes, too.
    for (installation, expected) in [(Some(9), "ghs_one"), (None, "ghs_two")] {
        let token = tokens.token(&scope(installation)).await.unwrap();
        assert_eq!(token.expose_secret(), expected);
    }
    assert_eq!(server.seen()[5].path, "/app/installations/11/access_tokens");
}

#[tokio::test]
async fn why_there_is_no_token_is_said_and_whether_it_may_pass() {
    let server = Scripted::start(vec![answer(404, "{}")]).await;
    let error = tokens(&server, noon).token(&scope(None)).await.unwrap_err();
    assert!(!error.retryable && error.to_string().contains("not installed"), "{error}");
    let server = Scripted::start(vec![answer(503, "{}")]).await;
    let error = tokens(&server, noon).token(&scope(Some(9))).await.unwrap_err();
    assert!(error.retryable, "{error}");
    let nobody = ClientSettings {
        connect_timeout: Duration::from_millis(200),
        ..settings(&"http://127.0.0.1:1".parse().unwrap())
    };
    let key = AppKey::new("7", &key().pkcs1.into()).unwrap();
    let error = AppTokens::new(nobody, key, noon).unwrap().token(&scope(Some(9))).await;
    assert!(error.unwrap_err().retryable);
}
