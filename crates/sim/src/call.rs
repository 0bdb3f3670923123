//! One API request, taken apart.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::answer::{Answer, Refusal};
use crate::rest::Caller;
use crate::world::Permission;

/// A request after its route was found.
#[derive(Debug)]
pub(crate) struct Call {
    /// As sent, still percent-encoded, without the query.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// The token's user, in the spelling of the account.
    pub(crate) viewer: String,
    pub(crate) caller: Caller,
    /// The token itself.
    pub(crate) token: String,
    /// What the caller may do in the repository of the path.
    pub(crate) permission: Permission,
    /// Key of the repository in the path.
    pub(crate) repo: String,
    /// What the route's `{names}` stand for, decoded.
    pub(crate) params: Vec<(&'static str, String)>,
    /// The body, when the route takes one.
    pub(crate) body: Map<String, Value>,
    /// Where this server is, for links.
    pub(crate) base: String,
}

impl Call {
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// A number in the path; what is none can't be found.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.param(name).parse().map_err(|_| Refusal::not_found())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn since(&self) -> Option<DateTime<Utc>> {
        self.query("since")?.parse().ok()
    }

    /// A string member; null counts as absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Refusal::malformed(format!(
                "For 'properties/{name}', {other} is not a string."
            ))),
        }
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&str, Refusal> {
        match self.body.get(name) {
            None => Err(Refusal::malformed(format!("\"{name}\" wasn't supplied."))),
            Some(Value::Null) => {
                Err(Refusal::malformed(format!("For 'properties/{name}', nil is not a string.")))
            }
            Some(_) => Ok(self.text(name)?.unwrap_or_default()),
        }
    }

    /// A list; null counts as absent.
    pub(crate) fn list(&self, name: &str) -> Result<Option<&Vec<Value>>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(Refusal::malformed(format!(
                "For 'properties/{name}', {other} is not an array."
            ))),
        }
    }

    /// An object; null counts as absent.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => Err(Refusal::malformed(format!(
                "For 'properties/{name}', {other} is not an object."
            ))),
        }
    }

    /// A point in time; null counts as absent.
    pub(crate) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let wrong = |text: &str| Refusal::malformed(format!("{text} is not a valid date-time."));
        self.text(name)?.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(Refusal::malformed(format!(
                "For 'properties/{name}', {other} is not a boolean."
            ))),
        }
    }

    /// Names of labels: strings, or objects with a `name`.
    pub(crate) fn label_names(&self) -> Result<Option<Vec<String>>, Refusal> {
        match self.body.get("labels") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => label_names(items).map(Some),
            Some(other) => Err(Refusal::malformed(format!(
                "For 'properties/labels', {other} is not an array."
            ))),
        }
    }

    /// One page of `items` below `name`, with how many there are of them in all.
    pub(crate) fn page_in<T>(
        &self,
        name: &'static str,
        items: Vec<T>,
        show: impl FnMut(T) -> Value,
    ) -> Answer {
        let total = items.len();
        let mut answer = self.page(items, show);
        let mut body = Map::from_iter([("total_count".to_owned(), Value::from(total))]);
        body.insert(name.to_owned(), answer.body.take().unwrap_or_default());
        answer.body = Some(Value::Object(body));
        answer
    }

    /// One page of `items` with its `link` header, as `per_page` and `page` ask for.
    pub(crate) fn page<T>(&self, items: Vec<T>, show: impl FnMut(T) -> Value) -> Answer {
        let number = |name: &str, default: usize| {
            self.query(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(default)
        };
        let per_page = number("per_page", 30).clamp(1, 100);
        let page = number("page", 1).max(1);
        let last = items.len().div_ceil(per_page).max(1);
        let shown: Vec<Value> = items
            .into_iter()
            .skip((page - 1).saturating_mul(per_page))
            .take(per_page)
            .map(show)
            .collect();
        let answer = Answer::ok(Value::Array(shown));
        let mut links = Vec::new();
        if page > 1 {
            links.push(self.link(page - 1, "prev"));
        }
        if page < last {
            links.push(self.link(page + 1, "next"));
            links.push(self.link(last, "last"));
        }
        if page > 1 {
            links.push(self.link(1, "first"));
        }
        if links.is_empty() { answer } else { answer.header("link", links.join(", ")) }
    }

    fn link(&self, page: usize, rel: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.query.iter().filter(|(name, _)| name != "page") {
            query.append_pair(name, value);
        }
        query.append_pair("page", &page.to_string());
        format!("<{}{}?{}>; rel=\"{rel}\"", self.base, self.path, query.finish())
    }
}

/// Names of labels from an array of strings or of objects with a `name`.
pub(crate) fn label_names(items: &[Value]) -> Result<Vec<String>, Refusal> {
    items
        .iter()
        .map(|item| {
            item.as_str()
                .or_else(|| item.get("name").and_then(Value::as_str))
                .map(str::to_owned)
                .ok_or_else(|| Refusal::malformed(format!("For 'items', {item} is not a string.")))
        })
        .collect()
}

/// The JSON object in a body; an empty body is an empty object. An array is kept under `labels`,
/// the only member that GitHub also takes bare.
pub(crate) fn parse_body(raw: &Bytes) -> Result<Map<String, Value>, Refusal> {
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(raw) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(items @ Value::Array(_)) => Ok(Map::from_iter([("labels".to_owned(), items)])),
        Ok(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "Body should be a JSON object")),
        Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "Problems parsing JSON")),
    }
}

/// `%2F` and friends; a segment that isn't UTF-8 stays as it is.
pub(crate) fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = segment.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], pair) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| segment.to_owned())
}
