//! The least that a durable webhook receiver can do: HMAC over the body, and a publish that the
//! broker acknowledged, under the same expectation as ingress's.

use std::{convert::Infallible, net::Ipv4Addr};

use anyhow::Result;
use async_nats::{HeaderMap, jetstream};
use booty_events::header;
use booty_github::signature::Verifier;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::SECRET;

/// What a probe puts on its message besides the expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    Bare,
    AsIngress,
}

pub(crate) async fn serve(url: &str, kind: Headers) -> Result<()> {
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
                let kept = keep(&jetstream, request, kind).await;
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

async fn keep(
    jetstream: &jetstream::Context,
    request: Request<Incoming>,
    kind: Headers,
) -> Result<()> {
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (id, signature) =
        (text("x-github-delivery").to_owned(), text("x-hub-signature-256").to_owned());
    let subject = format!("booty.inbox.github.issues.labeled.{id}");
    let body = request.into_body().collect().await?.to_bytes();
    let mut verifier = Verifier::new(&[SecretString::from(SECRET)]);
    verifier.update(&body);
    verifier.verify(&signature)?;
    let mut headers = HeaderMap::new();
    if kind == Headers::AsIngress {
        let job = format!("7-{id}");
        for (name, value) in [
            ("Nats-Msg-Id", subject.as_str()),
            (header::CE_ID, &id),
            (header::CE_SOURCE, "https://github.com/webhooks"),
            (header::CE_TYPE, "com.github.issues.labeled"),
            (header::CE_TIME, "2026-01-01T00:00:00.000Z"),
            (header::CE_SPECVERSION, header::CE_SPECVERSION_VALUE),
            (header::CONTENT_TYPE, header::CONTENT_TYPE_JSON),
            (header::BODY_SHA256, &signature[7..]),
            (header::JOB_ID, &job),
            (header::DELIVERY_ID, &id),
            (header::TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ] {
            headers.insert(name, value);
        }
    }
    headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
    jetstream.publish_with_headers(subject, headers, body).await?.await?;
    Ok(())
}
