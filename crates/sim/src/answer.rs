//! What a request gets back: an answer, or a refusal in GitHub's words.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Value>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body), headers: Vec::new() }
    }

    /// 201, with the new object's address in `location`.
    pub(crate) fn created(body: Value) -> Self {
        let location = body.get("url").and_then(Value::as_str).map(str::to_owned);
        Self {
            status: StatusCode::CREATED,
            body: Some(body),
            headers: location.map(|url| ("location", url)).into_iter().collect(),
        }
    }

    pub(crate) fn accepted(body: Value) -> Self {
        Self { status: StatusCode::ACCEPTED, body: Some(body), headers: Vec::new() }
    }

    pub(crate) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, headers: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.body.as_ref().map(|body| Bytes::from(body.to_string())).unwrap_or_default()
    }
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) errors: Vec<Value>,
    pub(crate) documentation: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            documentation: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// The fine-grained token may not do this.
    pub(crate) fn not_accessible() -> Self {
        Self::forbidden("Resource not accessible by personal access token")
    }

    /// The App or its token may not do this.
    pub(crate) fn not_accessible_by_integration() -> Self {
        Self::forbidden("Resource not accessible by integration")
    }

    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 422 `Validation Failed` about one field.
    pub(crate) fn invalid(resource: &str, field: &str, code: &str) -> Self {
        let mut refusal = Self::unprocessable("Validation Failed");
        refusal.errors.push(json!({"resource": resource, "field": field, "code": code}));
        refusal
    }

    /// 422 `Validation Failed` with a sentence about one field.
    pub(crate) fn custom(resource: &str, field: Option<&str>, message: impl Into<String>) -> Self {
        let mut refusal = Self::unprocessable("Validation Failed");
        let mut error = json!({"resource": resource, "code": "custom", "message": message.into()});
        if let (Some(field), Some(error)) = (field, error.as_object_mut()) {
            error.insert("field".to_owned(), field.into());
        }
        refusal.errors.push(error);
        refusal
    }

    /// 422 for a body that lacks a member or has one of the wrong type.
    pub(crate) fn malformed(what: impl AsRef<str>) -> Self {
        Self::unprocessable(format!("Invalid request.\n\n{}", what.as_ref()))
    }

    pub(crate) fn server(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "the simulator failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("Server Error: {error}"))
    }

    pub(crate) fn documented(mut self, url: &'static str) -> Self {
        self.documentation = Some(url);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The message with the sentences of its errors, for people.
    pub(crate) fn full_message(&self) -> String {
        let mut text = self.message.clone();
        for error in &self.errors {
            text.push_str("; ");
            match error.get("message").and_then(Value::as_str) {
                Some(message) => text.push_str(message),
                None => text.push_str(&error.to_string()),
            }
        }
        text
    }

    /// As GitHub writes it; `documentation` is the route's page when the refusal names none.
    pub(crate) fn into_answer(self, documentation: &str) -> Answer {
        let page = self.documentation.unwrap_or(documentation);
        let mut body = json!({
            "message": self.message,
            "documentation_url": page,
            "status": self.status.as_u16().to_string(),
        });
        if let (false, Some(body)) = (self.errors.is_empty(), body.as_object_mut()) {
            body.insert("errors".to_owned(), Value::Array(self.errors));
        }
        Answer { status: self.status, body: Some(body), headers: self.headers }
    }
}
