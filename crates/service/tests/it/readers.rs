use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use booty_bus::Bus;
use booty_events::{
    Message as _,
    subject::RPC_FORGE_READ_TOKEN,
    v1::{ReadTokenReply, ReadTokenRequest},
};
use booty_github::{Scope, TokenSource};
use booty_service::{BusTokens, Env, ReadAccess};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_900_000_000, 0).unwrap()
}

fn scope(repo: &str) -> Scope {
    Scope { installation: Some(9), repository: Some(repo.parse().unwrap()) }
}

/// Stands for forge: each answer is numbered and good for an hour from noon and its number in hours.
async fn forge(bus: &Bus) -> (Arc<AtomicUsize>, CancellationToken) {
    let (count, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let (counted, shutdown, bus) = (Arc::clone(&count), stop.clone(), bus.clone());
    let answer = move |question| {
        let counted = Arc::clone(&counted);
        async move {
            let request = ReadTokenRequest::decode(question).unwrap();
            let n = counted.fetch_add(1, Ordering::SeqCst);
            let expires = noon() + TimeDelta::hours(1 + i64::try_from(n).unwrap());
            let mut reply = ReadTokenReply {
                token: format!("{} {n} {}", request.repository, hex::encode(&request.refused)),
                expires: Some(expires.into()),
                ..ReadTokenReply::default()
            };
            if request.repository == "octo/none" {
                reply = ReadTokenReply {
                    error: "not installed".to_owned(),
                    ..ReadTokenReply::default()
                };
            }
            reply.encode_to_vec().into()
        }
    };
    let ready = bus.clone();
    tokio::spawn(async move {
        bus.serve(RPC_FORGE_READ_TOKEN, "forge", answer, shutdown).await.unwrap();
    });
    // Until it is there, nobody is.
    let probe = ReadTokenRequest { repository: "octo/none".to_owned(), ..Default::default() };
    let timeout = std::time::Duration::from_secs(5);
    while ready.call(RPC_FORGE_READ_TOKEN, probe.encode_to_vec().into(), timeout).await.is_err() {
        tokio::task::yield_now().await;
    }
    count.store(0, Ordering::SeqCst);
    (count, stop)
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_before_it_ends() {
    static MINUTES: AtomicI64 = AtomicI64::new(0);
    fn clock() -> DateTime<Utc> {
        noon() + TimeDelta::minutes(MINUTES.load(Ordering::Relaxed))
    }
    let (_server, bus) = crate::broker().await;
    let (asked, _stop) = forge(&bus).await;
    let tokens = Arc::new(BusTokens::new(bus, clock));
    let askers: Vec<_> = (0..20)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { tokens.token(&scope("octo/hello")).await.unwrap() })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap().expose_secret(), "octo/hello 0 ");
    }
    MINUTES.store(55, Ordering::Relaxed);
    assert_eq!(tokens.token(&scope("octo/hello")).await.unwrap().expose_secret(), "octo/hello 0 ");
    MINUTES.store(56, Ordering::Relaxed);
    assert_eq!(tokens.token(&scope("octo/hello")).await.unwrap().expose_secret(), "octo/hello 1 ");
    assert_eq!(tokens.token(&scope("octo/other")).await.unwrap().expose_secret(), "octo/other 2 ");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_refused_token_is_named_to_forge_by_its_hash() {
    let (_server, bus) = crate::broker().await;
    let (_asked, _stop) = forge(&bus).await;
    let tokens = BusTokens::new(bus, noon);
    let first = tokens.token(&scope("octo/hello")).await.unwrap();
    assert!(tokens.refused(&scope("octo/hello"), &first).await);
    let hash = hex::encode(Sha256::digest(first.expose_secret()));
    let second = tokens.token(&scope("octo/hello")).await.unwrap();
    assert_eq!(second.expose_secret(), format!("octo/hello 1 {hash}"));
    // Somebody else's late refusal of the first changes nothing.
    assert!(tokens.refused(&scope("octo/hello"), &first).await);
    let third = tokens.token(&scope("octo/hello")).await.unwrap();
    assert_eq!(third.expose_secret(), second.expose_secret());
}

#[tokio::test]
async fn it_is_said_when_forge_is_away_and_when_it_says_no() {
    let (_server, bus) = crate::broker().await;
    let tokens = BusTokens::new(bus.clone(), noon);
    let error = tokens.token(&scope("octo/hello")).await.unwrap_err();
    assert!(error.retryable && error.to_string().contains("is it running?"), "{error}");

    let (_asked, stop) = forge(&bus).await;
    tokens.token(&scope("octo/hello")).await.unwrap();
    let error = tokens.token(&scope("octo/none")).await.unwrap_err();
    assert!(!error.retryable && error.to_string().contains("not installed"), "{error}");
    let error = tokens.token(&Scope::default()).await.unwrap_err();
    assert!(!error.retryable, "{error}");
    stop.cancel();
    tokens.token(&scope("octo/hello")).await.unwrap();
}

#[tokio::test]
async fn the_operators_token_comes_first() {
    let (_server, bus) = crate::broker().await;
    let mut env = Env::from_map([("GITHUB_READ_TOKEN", "ghp_read")]);
    let access = ReadAccess::from_env(&mut env);
    assert!(!format!("{access:?}").contains("ghp_read"));
    let token = access.source(&bus).token(&scope("octo/hello")).await.unwrap();
    assert_eq!(token.expose_secret(), "ghp_read");
    let mut env = Env::from_map([("GITHUB_READ_TOKEN", "")]);
    assert!(matches!(ReadAccess::from_env(&mut env), ReadAccess::Forge));
}
