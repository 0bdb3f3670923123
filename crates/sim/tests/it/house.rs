//! A simulator with a repository, two people and their tokens; and a receiver of webhooks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use booty_sim::{Paces, Permission, Scope, Sim, SimSettings};
use reqwest::{Method, Response};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) const REPO: &str = "acme/shop";
pub(crate) const SECRET: &str = "a secret that signs";

pub(crate) struct House {
    pub(crate) sim: Sim,
    pub(crate) dir: TempDir,
    /// Of `acme`, the owner.
    pub(crate) owner: String,
    /// Of `robot`, who may write.
    pub(crate) writer: String,
    /// Of `robot`, but only to read.
    pub(crate) reader: String,
    /// Of `stranger`, who may do nothing special.
    pub(crate) stranger: String,
    pub(crate) http: reqwest::Client,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut SimSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = SimSettings::new(dir.path().join("github"));
        settings.paces = Paces::unlimited();
        settings.seed = 7;
        // `make contract` keeps what the tests say.
        settings.record_to = std::env::var_os("BOOTY_SIM_RECORD").map(PathBuf::from);
        change(&mut settings);
        let sim = Sim::start(settings).await.unwrap();
        let files = [
            ("README.md", "# Shop\n", "100644"),
            ("src/price.py", "def total(a, b):\n    return a - b\n", "100644"),
            ("bin/run", "#!/bin/sh\n", "100755"),
        ];
        sim.create_repo(REPO, &files, "main").unwrap();
        sim.set_permission(REPO, "robot", Permission::Write).unwrap();
        let owner = sim.create_token("acme", Scope::Write).unwrap();
        let writer = sim.create_token("robot", Scope::Write).unwrap();
        let reader = sim.create_token("robot", Scope::Read).unwrap();
        let stranger = sim.create_token("stranger", Scope::Write).unwrap();
        let http = reqwest::Client::builder().user_agent("booty-sim-tests").build().unwrap();
        Self { sim, dir, owner, writer, reader, stranger, http }
    }

    /// Path below the repository, with the writer's token.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        self.send_as(&self.writer, method, path, body).await.unwrap()
    }

    pub(crate) async fn send_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let url = match path.strip_prefix("//") {
            Some(path) => format!("{}/{path}", self.sim.api_url()),
            None => format!("{}/repos/{REPO}{path}", self.sim.api_url()),
        };
        let mut request = self.http.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.send(Method::GET, path, None).await;
        assert_eq!(response.status(), 200, "GET {path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let response = self.send(Method::POST, path, Some(body)).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert!(status.is_success(), "POST {path}: {status} {body}");
        body
    }

    /// A branch with one commit that changes one file; gives the commit.
    pub(crate) async fn branch(&self, name: &str, path: &str, content: &str) -> String {
        let main = self.get("/git/ref/heads/main").await;
        let parent = main["object"]["sha"].as_str().unwrap().to_owned();
        let tree = self
            .post(
                "/git/trees",
                serde_json::json!({
                    "base_tree": parent,
                    "tree": [{"path": path, "mode": "100644", "type": "blob", "content": content}],
                }),
            )
            .await;
        let commit = self
            .post(
                "/git/commits",
                serde_json::json!({
                    "message": format!("Change {path}"), "tree": tree["sha"], "parents": [parent],
                }),
            )
            .await;
        let reference = serde_json::json!({
            "ref": format!("refs/heads/{name}"), "sha": commit["sha"],
        });
        self.post("/git/refs", reference).await;
        commit["sha"].as_str().unwrap().to_owned()
    }
}

/// One request that a receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn what(&self) -> String {
        let json = self.json();
        format!("{}.{}", self.header("x-github-event"), json["action"].as_str().unwrap_or("_"))
    }
}

/// A plain socket that keeps every byte it gets and answers 202.
pub(crate) struct Receiver {
    pub(crate) addr: SocketAddr,
    pub(crate) got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let mut buffer = [0; 16 * 1024];
                    loop {
                        let read = stream.read(&mut buffer).await.unwrap_or(0);
                        if read == 0 {
                            return;
                        }
                        bytes.extend_from_slice(&buffer[..read]);
                        while let Some((got, rest)) = parse(&bytes) {
                            kept.lock().unwrap().push(got);
                            bytes = rest;
                            let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok";
                            stream.write_all(answer).await.unwrap();
                        }
                    }
                });
            }
        });
        Self { addr, got }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhook", self.addr)
    }

    /// The bodies of an event, as they came.
    pub(crate) fn bodies(&self, event: &str) -> Vec<Value> {
        let is_it = |got: &Got| {
            got.headers
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("x-github-event") && value == event)
        };
        let got = self.all().into_iter().filter(is_it);
        got.map(|got| serde_json::from_slice(&got.body).unwrap()).collect()
    }

    pub(crate) fn all(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

fn parse(bytes: &[u8]) -> Option<(Got, Vec<u8>)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let body = bytes.get(end..end + length)?.to_vec();
    Some((Got { headers, body }, bytes[end + length..].to_vec()))
}

pub(crate) fn secret() -> SecretString {
    SecretString::from(SECRET)
}
