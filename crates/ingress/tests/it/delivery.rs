//! Deliveries as GitHub sends them.

use booty_github::signature::Signature;
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "It's a Secret to Everybody";
pub(crate) const LABEL: &str = "agent:builder";
pub(crate) const REPOSITORY: &str = "octo/hello";

/// One delivery; each method changes one thing about a good one.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) body: Vec<u8>,
    pub(crate) secret: String,
}

impl Delivery {
    /// A good one about issue 7, under an id of its own.
    pub(crate) fn good() -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            event: "issues".to_owned(),
            body: labelled(7).to_string().into_bytes(),
            secret: SECRET.to_owned(),
        }
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub(crate) fn event(mut self, event: &str) -> Self {
        self.event = event.to_owned();
        self
    }

    pub(crate) fn id(mut self, id: &str) -> Self {
        self.id = id.to_owned();
        self
    }

    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secret = secret.to_owned();
        self
    }

    /// A good one whose body has exactly this many bytes.
    pub(crate) fn of_size(bytes: usize) -> Self {
        let mut body = labelled(7);
        let room = bytes - body.to_string().len() - r#","padding":"""#.len();
        body["padding"] = Value::String("x".repeat(room));
        let delivery = Self::good().json(&body);
        assert_eq!(delivery.body.len(), bytes);
        delivery
    }

    pub(crate) fn signature(&self) -> String {
        Signature::sign(&SecretString::from(self.secret.as_str()), &self.body).to_header()
    }

    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "GitHub-Hookshot/044aadd".to_owned()),
            ("x-github-event", self.event.clone()),
            ("x-github-delivery", self.id.clone()),
            ("x-hub-signature-256", self.signature()),
        ]
    }

    /// The request as bytes of HTTP/1.1.
    pub(crate) fn http1(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("content-length: {}\r\n", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Its head, with more lines at its end.
    pub(crate) fn head(&self, more: &str) -> Vec<u8> {
        let mut head = "POST /webhooks/github HTTP/1.1\r\nhost: booty\r\n".to_owned();
        for (name, value) in self.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        format!("{head}{more}\r\n").into_bytes()
    }

    pub(crate) fn inbox_subject(&self) -> String {
        format!("booty.inbox.github.issues.labeled.{}", self.id)
    }

    pub(crate) fn ignored_subject(&self) -> String {
        format!("booty.event.ingress.ignored.{}", self.id)
    }
}

/// The body of `issues.labeled`, as far as anybody reads it.
pub(crate) fn labelled(issue: u64) -> Value {
    json!({
        "action": "labeled",
        "issue": {
            "number": issue, "title": "It breaks", "body": "See the log.", "state": "open",
            "user": {"login": "octocat", "id": 1, "type": "User"},
            "labels": [{"name": LABEL}], "updated_at": "2026-01-01T00:00:00Z",
        },
        "label": {"name": LABEL},
        "repository": {"id": 1, "full_name": REPOSITORY, "default_branch": "main", "private": false},
        "sender": {"login": "octocat", "id": 1, "type": "User"},
        "installation": {"id": 5},
    })
}
