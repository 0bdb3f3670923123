//! A path of the REST API, encoded piece by piece.

use std::fmt;

use booty_events::RepoName;
use url::Url;

use crate::error::{Call, Error};

/// Where a request goes, relative to the base URL. Each piece is percent-encoded, so a label called
/// `a/b?c` stays one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    is_graphql: bool,
}

/// What an Enterprise server's REST API ends with; its GraphQL API is beside it.
const ENTERPRISE_REST: [&str; 2] = ["api", "v3"];

impl Endpoint {
    /// From its first pieces: `["user"]`.
    pub fn new<const N: usize>(segments: [&str; N]) -> Self {
        Self {
            segments: segments.map(str::to_owned).to_vec(),
            query: Vec::new(),
            is_graphql: false,
        }
    }

    /// `/repos/<owner>/<name>`.
    pub fn repo(repo: &RepoName) -> Self {
        Self::new(["repos", repo.owner(), repo.name()])
    }

    /// The GraphQL API: `/graphql`, and `/api/graphql` where the REST API is `/api/v3`.
    pub(crate) fn graphql() -> Self {
        Self { is_graphql: true, ..Self::new(["graphql"]) }
    }

    /// Adds a piece.
    pub fn at(mut self, segment: impl ToString) -> Self {
        self.segments.push(segment.to_string());
        self
    }

    /// Adds the pieces of a slash-separated name, such as a branch's.
    pub fn at_each(mut self, name: &str) -> Self {
        self.segments.extend(name.split('/').map(str::to_owned));
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// The address under `base`. A piece that a URL would drop (empty, `.`, `..`) is refused: the
    /// request would go to another place.
    pub(crate) fn url(&self, base: &Url, method: &http::Method) -> Result<Url, Error> {
        let invalid = || Error::Address { call: Call::new(method.clone(), self.to_string()) };
        if self.segments.iter().any(|s| matches!(s.as_str(), "" | "." | "..")) {
            return Err(invalid());
        }
        let mut url = base.clone();
        let is_enterprise = || {
            let segments = base.path_segments().into_iter().flatten();
            segments.filter(|segment| !segment.is_empty()).eq(ENTERPRISE_REST)
        };
        let beside = self.is_graphql && is_enterprise();
        {
            let mut path = url.path_segments_mut().map_err(|()| invalid())?;
            path.pop_if_empty();
            if beside {
                path.pop();
            }
            path.extend(&self.segments);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &Endpoint) -> Result<String, Error> {
        let base = Url::parse("https://ghe.example/api/v3/").unwrap();
        endpoint.url(&base, &http::Method::GET).map(String::from)
    }

    #[test]
    fn pieces_stay_pieces() {
        let repo: RepoName = "octo/hello.world".parse().unwrap();
        let label = Endpoint::repo(&repo).at("labels").at("a/b?c#d é");
        assert_eq!(
            url(&label).unwrap(),
            "https://ghe.example/api/v3/repos/octo/hello.world/labels/a%2Fb%3Fc%23d%20%C3%A9"
        );
        let branch = Endpoint::repo(&repo).at("git").at("ref").at("heads").at_each("agent/issue-7");
        assert_eq!(
            url(&branch.query("page", 2)).unwrap(),
            "https://ghe.example/api/v3/repos/octo/hello.world/git/ref/heads/agent/issue-7?page=2"
        );
    }

    #[test]
    fn graphql_is_beside_the_rest_api_of_an_enterprise_server() {
        for (base, expected) in [
            ("https://api.github.com", "https://api.github.com/graphql"),
            ("https://ghe.example/api/v3/", "https://ghe.example/api/graphql"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/graphql"),
        ] {
            let url = Endpoint::graphql().url(&base.parse().unwrap(), &http::Method::POST);
            assert_eq!(url.unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_piece_that_would_vanish_is_refused() {
        let repo: RepoName = "octo/hello".parse().unwrap();
        for piece in ["", ".", ".."] {
            assert!(url(&Endpoint::repo(&repo).at("labels").at(piece)).is_err(), "{piece:?}");
        }
    }
}
