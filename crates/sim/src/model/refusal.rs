//! An error answer.

use http::StatusCode;
use serde_json::{Value, json};

use super::api::Api;

/// What both providers say of an error, in the one that fits.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Anthropic's and OpenAI's `error.type`.
    pub(super) kind: &'static str,
    /// OpenAI's `error.code`.
    pub(super) code: Option<&'static str>,
    /// OpenAI's `error.param`.
    pub(super) param: Option<String>,
    pub(super) message: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            kind,
            code: None,
            param: None,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    /// 400 `invalid_request_error`.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Anthropic: <https://platform.claude.com/docs/en/api/errors>, OpenAI: the schema `ErrorResponse` of
    /// <https://github.com/openai/openai-openapi>.
    pub(super) fn body(&self, api: Api, request_id: &str) -> Value {
        match api {
            Api::Messages => json!({
                "type": "error",
                "error": {"type": self.kind, "message": self.message},
                "request_id": request_id,
            }),
            Api::Chat | Api::Responses => json!({"error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }}),
        }
    }
}
