//! The least that a durable webhook receiver can do: HMAC over the body, and a publish that the
//! broker acknowledged, under the same expectation as ingress's.

use std::{convert::Infallible, net::Ipv4Addr};

use anyhow::Result;
use async_nats::{HeaderMap, jetstream};
use booty_github::signature::Verifier;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::SECRET;

pub(crate) async fn serve(url: &str) -> Result<()> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say_where(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let jetstream = jetstream.clone();
        let service = service_fn(move |request| {
            let jetstream = jetstream.clone();
            async move {
                let kept = keep(&jetstream, request).await;
                let (status, text) = match kept {
                    Ok(()) => (StatusCode::ACCEPTED, "{}".to_owned()),
                    Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
                };
                let mut response = Response::new(Full::new(Bytes::from(text)));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn keep(jetstream: &jetstream::Context, request: Request<Incoming>) -> Result<()> {
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (id, signature) = (text("x-github-delivery"), text("x-hub-signature-256").to_owned());
    let subject = format!("booty.inbox.github.issues.labeled.{id}");
    let body = request.into_body().collect().await?.to_bytes();
    let mut verifier = Verifier::new(&[SecretString::from(SECRET)]);
    verifier.update(&body);
    verifier.verify(&signature)?;
    let mut headers = HeaderMap::new();
    if std::env::var_os("PROBE_MSGID").is_some() {
        headers.insert("Nats-Msg-Id", subject.as_str());
    }
    if std::env::var_os("PROBE_HEADERS").is_some() {
        for n in 0..11 {
            headers.insert(
                format!("booty-header-{n}").as_str(),
                "0123456789012345678901234567890123456789",
            );
        }
    }
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    jetstream.publish_with_headers(subject, headers, body).await?.await?;
    Ok(())
}
