//! `booty send`: what its receiver sees, and what it prints.

use std::{
    process::Output,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use booty_github::signature::Signature;
use tokio::{net::TcpListener, process::Command};

const BODY: &str = " {\"action\": \"triggered\",\n\"data\": {}}\n";

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Somebody who answers `status` at both paths.
async fn receiver(status: StatusCode) -> (String, Seen) {
    let seen = Seen::default();
    let take = move |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| async move {
        seen.lock().unwrap().push((headers, body));
        (status, "{\"status\":\"said\"}")
    };
    let router = Router::new()
        .route("/webhooks/sentry", post(take))
        .route("/webhooks/github", post(take))
        .with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, seen)
}

async fn send(args: &[&str], secret: Option<(&str, &str)>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body.json");
    std::fs::write(&file, BODY).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_booty"));
    command.args(["send", args[0]]).arg(&file).args(&args[1..]).env_clear();
    command.envs(secret).output().await.unwrap()
}

#[tokio::test]
async fn sentrys_form_is_signed_over_the_exact_bytes() {
    let (url, seen) = receiver(StatusCode::ACCEPTED).await;
    // The first of several secrets is the one in use.
    let secret = Some(("SENTRY_WEBHOOK_SECRET", "new,old"));
    let sent = send(&["sentry", "--url", &url, "--json"], secret).await;
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(sent.stdout, b"{\"status\":\"said\"}\n");
    let sent = send(&["sentry", "--url", &url, "--resource", "issue"], secret).await;
    assert!(String::from_utf8_lossy(&sent.stdout).contains("issue "), "{sent:?}");

    let seen = seen.lock().unwrap();
    let [(first, body), (second, _)] = &seen[..] else { panic!("{seen:?}") };
    let header = |headers: &HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(body, BODY);
    let expected = Signature::sign(&"new".into(), BODY.as_bytes()).to_hex();
    assert_eq!(header(first, "sentry-hook-signature"), expected);
    assert_eq!(header(first, "sentry-hook-resource"), "event_alert");
    assert_eq!(header(second, "sentry-hook-resource"), "issue");
    assert_eq!(header(first, "content-type"), "application/json");
    assert!(header(first, "sentry-hook-timestamp").parse::<u64>().is_ok());
    assert_ne!(header(first, "request-id"), header(second, "request-id"));
}

#[tokio::test]
async fn githubs_form_is_as_it_was() {
    let (url, seen) = receiver(StatusCode::OK).await;
    let secret = Some(("WEBHOOK_SECRET", "s"));
    let args = ["github", "--url", &url, "--event", "issues", "--delivery", "d-1"];
    let sent = send(&args, secret).await;
    assert!(sent.status.success(), "{sent:?}");
    let seen = seen.lock().unwrap();
    let (headers, body) = &seen[0];
    assert_eq!(body, BODY);
    let expected = Signature::sign(&"s".into(), BODY.as_bytes()).to_header();
    assert_eq!(headers["x-hub-signature-256"].to_str().unwrap(), expected);
    assert_eq!(
        (&headers["x-github-event"], &headers["x-github-delivery"]),
        (&"issues".parse().unwrap(), &"d-1".parse().unwrap())
    );
}

#[tokio::test]
async fn a_refusal_and_a_missing_secret_are_failures() {
    let (url, seen) = receiver(StatusCode::FORBIDDEN).await;
    let refused = send(&["sentry", "--url", &url], Some(("SENTRY_WEBHOOK_SECRET", "s"))).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stdout).contains("403"));
    let secretless = send(&["sentry", "--url", &url], None).await;
    assert!(!secretless.status.success());
    let told = String::from_utf8_lossy(&secretless.stderr).into_owned();
    assert!(told.contains("SENTRY_WEBHOOK_SECRET"), "{told}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}
