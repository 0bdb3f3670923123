//! The names of the headers on our messages, and the few fixed values.

/// CloudEvents in binary style: id, source, type and time of what the payload is.
pub const CE_ID: &str = "ce-id";
/// Who said it: `https://github.com/webhooks`, …
pub const CE_SOURCE: &str = "ce-source";
/// `com.github.issues.labeled`, …
pub const CE_TYPE: &str = "ce-type";
/// When ingress had it whole, RFC 3339.
pub const CE_TIME: &str = "ce-time";
/// CloudEvents' version.
pub const CE_SPECVERSION: &str = "ce-specversion";
/// The value of [`CE_SPECVERSION`].
pub const CE_SPECVERSION_VALUE: &str = "1.0";

/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context.
pub const TRACESTATE: &str = "tracestate";

/// What the payload is made of.
pub const CONTENT_TYPE: &str = "content-type";
/// Content type of everything between our own services.
pub const CONTENT_TYPE_PROTOBUF: &str = "application/protobuf";
/// Content type of webhook bodies.
pub const CONTENT_TYPE_JSON: &str = "application/json";
/// The protobuf message's full name, e.g. `booty.v1.Event`.
pub const MESSAGE_NAME: &str = "booty-message";
/// The version of the schema: `1` for `booty.v1`.
pub const SCHEMA_VERSION: &str = "booty-schema";
/// The value of [`SCHEMA_VERSION`].
pub const SCHEMA_VERSION_VALUE: &str = "1";

/// sha256 of a delivery's body, 64 hexadecimal digits.
pub const BODY_SHA256: &str = "booty-body-sha256";
/// The job that the sender was told of.
pub const JOB_ID: &str = "booty-job-id";
/// The delivery's id as the sender named it.
pub const DELIVERY_ID: &str = "booty-delivery-id";

/// What Sentry's `Request-ID` said, if it is an id: its own name of one try. Nothing signs it.
pub const SENTRY_REQUEST_ID: &str = "booty-sentry-request-id";
/// What Sentry's `Sentry-Hook-Timestamp` said, if it is a time in seconds. Nothing signs it.
pub const SENTRY_TIMESTAMP: &str = "booty-sentry-timestamp";

/// The lease under which an effect was asked for.
pub const LEASE_KEY: &str = "booty-lease-key";
/// That lease's fencing token.
pub const LEASE_TOKEN: &str = "booty-lease-token";

/// On a replayed message: the sequence of the spool entry it comes from.
pub const REPLAY_OF: &str = "booty-replay-of";

/// On a spooled message: the subject it had.
pub const SPOOL_SUBJECT: &str = "booty-spool-subject";
/// On a spooled message: the stream and sequence it had, `<stream>-<sequence>`.
pub const SPOOL_ORIGIN: &str = "booty-spool-origin";
/// On a spooled message: how often it was tried.
pub const SPOOL_ATTEMPTS: &str = "booty-spool-attempts";
/// On a spooled message: the last error.
pub const SPOOL_ERROR: &str = "booty-spool-error";
/// On a spooled message: when, RFC 3339.
pub const SPOOL_TIME: &str = "booty-spool-time";
/// On a spooled message: where to publish it for a replay.
pub const SPOOL_REPLAY_SUBJECT: &str = "booty-spool-replay-subject";
