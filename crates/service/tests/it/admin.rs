//! Jobs over HTTP, asked with odd ids.

use std::sync::Arc;

use booty_events::{
    JobId,
    v1::{Job, JobState},
};
use booty_service::{
    JobStore,
    admin::{self, Admin, BusReadiness},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

/// Status and body, asked byte for byte: a client would mend a path.
async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn a_job_is_asked_for_by_its_id_and_odd_ids_are_unknown() {
    let (mut server, bus) = crate::broker().await;
    let store = JobStore::new(&bus);
    let job: JobId = "7-72d3162e".parse().unwrap();
    let failed = |job: &mut Job| {
        job.set_state(JobState::Failed);
        job.reason = "no \"change\"".to_owned();
    };
    store.update(&job, failed).await.unwrap();
    let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = admin.address().unwrap();
    let router = admin::router(Arc::new(BusReadiness(bus.clone())), store);
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(admin.serve(router, shutdown.clone()));

    let (status, body) = get(address, "/jobs/7-72d3162e").await;
    assert_eq!(status, 200, "{body}");
    for part in ["JOB_STATE_FAILED", r#"no \"change\""#, "7-72d3162e"] {
        assert!(body.contains(part), "{body}");
    }
    let (status, body) = get(address, "/jobs").await;
    assert!(status == 200 && body.starts_with('[') && body.contains("7-72d3162e"), "{body}");
    let long = "a".repeat(4_000);
    for odd in [
        "7-other",
        "%37-other",
        "x",
        "*",
        ">",
        "7-72d3162e.",
        "..%2f..",
        "%2e%2e",
        "a%2fb",
        "%00",
        "%F0%9F%A6%80",
        "%ff",
        "7%20",
        "alert-x",
        "7-72d3162e%0d%0a",
        "_",
        long.as_str(),
    ] {
        let (status, body) = get(address, &format!("/jobs/{odd}")).await;
        assert!(status == 404 || status == 400, "{odd}: {status} {body}");
        assert!(!body.contains("72d3162e\""), "{odd}: {body}");
    }
    assert_eq!(
        get(address, "/jobs/7-other").await.1,
        r#"{"reason":"unknown_job","status":"error"}"#
    );

    server.stop().await.unwrap();
    let (status, body) = get(address, "/jobs/7-72d3162e").await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(get(address, "/health").await.0, 200);
    assert_eq!(get(address, "/ready").await.0, 503);
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
