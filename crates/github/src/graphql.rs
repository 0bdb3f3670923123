//! The few things that only the GraphQL API can do.

use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    client::{Client, Response},
    endpoint::Endpoint,
    error::{Call, Error, ValidationError},
    limits,
};

#[derive(Serialize)]
struct Question<'a, V> {
    query: &'a str,
    variables: &'a V,
}

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default = "Option::default")]
    data: Option<T>,
    #[serde(default)]
    errors: Vec<Complaint>,
}

/// One of the errors that come with status 200.
#[derive(Deserialize)]
struct Complaint {
    /// `NOT_FOUND`, `FORBIDDEN`, …; absent for mistakes in the query.
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

impl Client {
    /// Asks the GraphQL API. Sent once; `data` is what the query names. An answer that holds errors is
    /// one, whatever data came with it.
    pub async fn graphql<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: &impl Serialize,
    ) -> Result<Response<T>, Error> {
        let at = Endpoint::graphql();
        let call = Call::new(Method::POST, at.to_string());
        let answer = self.post::<Answer<T>>(at, &Question { query, variables }).await?;
        let Response { status, headers, body } = answer;
        match (body.errors.as_slice(), body.data) {
            ([], Some(body)) => Ok(Response { status, headers, body }),
            ([], None) => Err(Error::Unexpected { call, status }),
            (errors, _) => Err(refused(call, status, &headers, errors)),
        }
    }
}

fn refused(call: Call, status: u16, headers: &HeaderMap, errors: &[Complaint]) -> Error {
    let message = errors.iter().map(|e| e.message.as_str()).collect::<Vec<_>>().join("; ");
    let is = |kinds: &[&str]| errors.iter().any(|error| kinds.contains(&error.kind.as_str()));
    if is(&["RATE_LIMITED", "RATE_LIMIT"]) {
        let wait = limits::wait(headers);
        Error::RateLimited { call, wait, secondary: false }
    } else if is(&["NOT_FOUND"]) {
        Error::NotFound { call, gone: false }
    } else if is(&["FORBIDDEN", "INSUFFICIENT_SCOPES", "SAML_FAILURE"]) {
        Error::Forbidden { call, message }
    } else if is(&["INTERNAL", "SERVICE_UNAVAILABLE"]) {
        Error::Server { call, status: 500 }
    } else {
        let complaint = |error: &Complaint| ValidationError {
            resource: None,
            field: None,
            code: Some(error.kind.clone()).filter(|kind| !kind.is_empty()),
            message: Some(error.message.clone()),
        };
        let errors = errors.iter().map(complaint).collect();
        Error::Validation { call, status, message: "GraphQL".to_owned(), errors }
    }
}
