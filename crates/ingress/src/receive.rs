//! One request, from its head to its answer. What may be answered before the body is read is; then
//! the signature over the raw bytes; only then is anything parsed.

use std::sync::Arc;

use booty_bus::{Headers, Outgoing};
use booty_events::header;
use booty_service::Outbox;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};

use crate::{
    answer::{Answer, AnswerBody, Refusal},
    body::{Body, BodyReader},
    durable::{Durable, Kept},
    metrics::Metrics,
    server::{Framing, Handle},
    source::{Accepted, Decision, Ignored, Source},
};

/// Above this size parsing goes to a thread where they hold nobody up.
const BLOCKING_FROM: usize = 256 * 1024;

/// Answers requests on the public port.
pub(crate) struct Receiver {
    pub(crate) sources: Vec<Arc<dyn Source>>,
    pub(crate) bodies: BodyReader,
    pub(crate) keeper: Keeper,
    pub(crate) metrics: Metrics,
}

/// Turns decisions into durable messages.
pub(crate) struct Keeper {
    pub(crate) durable: Durable,
    pub(crate) outbox: Outbox,
    pub(crate) clock: fn() -> DateTime<Utc>,
}

impl Handle for Receiver {
    async fn handle(
        &self,
        request: Request<Incoming>,
        framing: Option<Framing>,
    ) -> Response<AnswerBody> {
        let started = Instant::now();
        let version = request.version();
        let whole = request.body().is_end_stream();
        let source = self.source(request.uri().path()).map(|source| source.name());
        let span = self.span(&request);
        let answered = self.answer(request, framing).instrument(span.clone());
        let Answered { answer, body_read } = answered.await;
        let status = answer.status();
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("error.type", status.as_str());
            span.record("otel.status_code", "ERROR");
        }
        self.metrics.answered(source, &answer, started.elapsed());
        if let Answer::Refused(refusal) = &answer {
            // Strangers cause most of these, as often as they like.
            span.in_scope(|| {
                tracing::debug!(
                    event = "refused",
                    status = status.as_u16(),
                    reason = refusal.reason
                );
            });
        }
        // HTTP/2 has a way of its own to say that the rest of a body is not wanted.
        let close = !body_read && !whole && version < Version::HTTP_2;
        answer.into_response(close)
    }
}

struct Answered {
    answer: Answer,
    body_read: bool,
}

impl Receiver {
    fn source(&self, path: &str) -> Option<&Arc<dyn Source>> {
        self.sources.iter().find(|source| source.path() == path)
    }

    /// A root: a `traceparent` from outside is not trusted as a parent.
    fn span(&self, request: &Request<Incoming>) -> Span {
        let path = request.uri().path();
        let route = self.sources.iter().map(|s| s.path()).chain([HEALTH]).find(|p| *p == path);
        let method = method_name(request.method());
        tracing::info_span!(
            parent: None,
            "request",
            otel.name = span_name(request.method(), route),
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = field::Empty,
            url.scheme = "http",
            url.path = route.unwrap_or("(other)"),
            network.protocol.version = protocol(request.version()),
            error.r#type = field::Empty,
            delivery_id = field::Empty,
            job_id = field::Empty,
        )
    }

    async fn answer(&self, request: Request<Incoming>, framing: Option<Framing>) -> Answered {
        let (head, body) = request.into_parts();
        let early = |answer: Answer| Answered { answer, body_read: false };
        let path = head.uri.path();
        if path == HEALTH {
            return early(match head.method {
                Method::GET | Method::HEAD => Answer::Healthy,
                _ => not_allowed("GET, HEAD").into(),
            });
        }
        let Some(source) = self.source(path) else {
            let message = "there is nothing at this path";
            return early(Refusal::new(StatusCode::NOT_FOUND, "path", message).into());
        };
        if head.method != Method::POST {
            return early(not_allowed("POST").into());
        }
        if let Err(refusal) = check_framing(&head.headers, framing) {
            return early(refusal.into());
        }
        let mut signature = match source.signature(&head.headers) {
            Ok(signature) => signature,
            Err(refusal) => return early(refusal.into()),
        };
        let checked = self.bodies.check_size(&body).and_then(|()| check_content(&head.headers));
        if let Err(refusal) = checked {
            return early(refusal.into());
        }
        let body = match self.bodies.read(body, &mut signature).await {
            Ok(body) => body,
            Err(refusal) => return early(refusal.into()),
        };
        let answer = match signature.finish() {
            Ok(()) => self.verified(source, head.headers, body).await,
            Err(refusal) => refusal.into(),
        };
        Answered { answer, body_read: true }
    }

    /// From here on the sender is known to hold a secret.
    async fn verified(&self, source: &Arc<dyn Source>, headers: HeaderMap, body: Body) -> Answer {
        let decision = judge(Arc::clone(source), headers, body.bytes.clone(), body.sha256).await;
        match decision {
            Decision::Pong => Answer::Pong,
            Decision::Refuse(refusal) => {
                tracing::warn!(
                    event = "refused",
                    source = source.name(),
                    reason = refusal.reason,
                    "a signed delivery can't be understood: {}",
                    refusal.message
                );
                refusal.into()
            }
            Decision::Accept(accepted) => {
                let span = Span::current();
                span.record("delivery_id", &accepted.delivery_id);
                span.record("job_id", accepted.job_id.as_str());
                self.keeper.accept(accepted, body).await
            }
            Decision::Ignore(ignored) => {
                Span::current().record("delivery_id", &ignored.key);
                // Its content is done with: only the reason is kept.
                let complete = body.complete;
                drop(body);
                self.keeper.ignore(ignored, complete).await
            }
        }
    }
}

async fn judge(
    source: Arc<dyn Source>,
    headers: HeaderMap,
    body: Bytes,
    sha256: [u8; 32],
) -> Decision {
    if body.len() < BLOCKING_FROM {
        return source.decide(&headers, &body, &sha256);
    }
    let work = tokio::task::spawn_blocking(move || source.decide(&headers, &body, &sha256));
    work.await.unwrap_or_else(|error| {
        tracing::error!(event = "request_failed", %error, "a bug in ingress");
        let message = "ingress failed; send it again";
        Decision::Refuse(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message))
    })
}

impl Keeper {
    async fn accept(&self, accepted: Accepted, body: Body) -> Answer {
        let Body { bytes, sha256, complete, memory: _memory } = body;
        let mut headers = Headers::new();
        headers.insert(header::CE_ID, &accepted.delivery_id);
        headers.insert(header::CE_SOURCE, accepted.ce_source);
        headers.insert(header::CE_TYPE, &accepted.ce_type);
        headers
            .insert(header::CE_TIME, (self.clock)().to_rfc3339_opts(SecondsFormat::Millis, true));
        headers.insert(header::CE_SPECVERSION, header::CE_SPECVERSION_VALUE);
        headers.insert(header::CONTENT_TYPE, header::CONTENT_TYPE_JSON);
        headers.insert(header::BODY_SHA256, hex::encode(sha256));
        headers.insert(header::JOB_ID, accepted.job_id.as_str());
        headers.insert(header::DELIVERY_ID, &accepted.delivery_id);
        for (name, value) in &accepted.headers {
            headers.insert(*name, value);
        }
        // Here and not only by the bus: a spooled delivery keeps its trace.
        booty_bus::trace::inject(&mut headers);
        let message = Outgoing { subject: accepted.subject, headers, payload: bytes };
        match self.durable.keep(message, complete).await {
            Ok(Kept::New) => {
                // The service that takes it says so at `info`.
                tracing::debug!(event = "accepted", "the delivery is kept");
                Answer::Accepted { job_id: accepted.job_id }
            }
            Ok(Kept::Duplicate) => {
                tracing::debug!(event = "already_processed", "the delivery was kept before");
                Answer::AlreadyProcessed
            }
            Err(error) => not_kept(&error),
        }
    }

    async fn ignore(&self, ignored: Ignored, complete: Instant) -> Answer {
        let mut message = self.outbox.event_message("ignored", &ignored.key, ignored.event);
        booty_bus::trace::inject(&mut message.headers);
        match self.durable.keep(message, complete).await {
            Ok(_) => {
                tracing::info!(
                    event = "ignored",
                    reason = ignored.reason,
                    "nobody wants the delivery"
                );
                Answer::Ignored { reason: ignored.reason }
            }
            Err(error) => not_kept(&error),
        }
    }
}

fn not_kept(error: &crate::durable::NotKept) -> Answer {
    tracing::error!(event = "not_kept", %error, "a delivery was refused");
    let message = "the delivery can't be kept now; send it again later";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_durable", message).into()
}

const HEALTH: &str = "/health";

/// A body whose length is said twice, or was perhaps said twice where nobody looked.
fn check_framing(headers: &HeaderMap, framing: Option<Framing>) -> Result<(), Refusal> {
    let chunked = headers.contains_key(http::header::TRANSFER_ENCODING);
    let twice = match framing {
        Some(framing) => framing.content_length && framing.transfer_encoding,
        None => chunked,
    };
    if twice {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "framing",
            "Content-Length and Transfer-Encoding must not both be there",
        ));
    }
    Ok(())
}

/// The signature is over the bytes as they come, so nothing is decoded.
fn check_content(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |reason, message: &str| {
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason, message))
    };
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text(http::header::CONTENT_ENCODING).is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
        return refuse("content_encoding", "the body must not be compressed");
    }
    let media_type = text(http::header::CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return refuse(
            "content_type",
            "the body must be application/json; choose that in the webhook's settings",
        );
    }
    Ok(())
}

fn not_allowed(allow: &'static str) -> Refusal {
    let message = format!("only {allow} is answered at this path");
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", message);
    Refusal { allow: Some(allow), ..refusal }
}

/// OpenTelemetry's names: an unknown method is `_OTHER`.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// A span's name: the method, and the route if there is one. One text for all that is usual.
fn span_name(method: &Method, route: Option<&'static str>) -> &'static str {
    match (method, route) {
        (&Method::POST, Some("/webhooks/github")) => "POST /webhooks/github",
        (&Method::POST, Some("/webhooks/sentry")) => "POST /webhooks/sentry",
        (&Method::GET, Some(HEALTH)) => "GET /health",
        _ => method_name(method),
    }
}
