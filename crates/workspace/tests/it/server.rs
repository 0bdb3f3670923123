//! A smart-HTTP git server over `git upload-pack`, with a token, counters and faults.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{io::AsyncWriteExt, process::Command, sync::Notify};

/// What the server does wrong.
#[derive(Debug, Clone, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    Status(u16),
    RetryAfter,
    /// To this origin, with the same path and query.
    Redirect(String),
    /// Serves `new` for `old`, and redirects `old` there.
    Renamed(String, String),
    /// Half of every pack, and then nothing more.
    Stall,
    /// Half of every pack, and then the end.
    Cut,
    /// A page, as a captive portal serves it.
    Page,
    /// A pack with a wrong byte in its middle.
    Flip,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) served: usize,
}

#[derive(Debug, Default)]
struct Shared {
    root: PathBuf,
    token: Option<String>,
    fault: Mutex<Fault>,
    requests: Mutex<Vec<Request>>,
    stalled: Notify,
}

/// A server on a free port; it ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct GitServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl GitServer {
    pub(crate) async fn start(root: &Path, token: Option<&str>) -> Self {
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            token: token.map(ToOwned::to_owned),
            ..Shared::default()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// What was asked since the last call.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// Returns once a pack was cut in half by [`Fault::Stall`].
    pub(crate) async fn stalled(&self) {
        self.shared.stalled.notified().await;
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().to_owned();
    let authorization =
        headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let note = Request {
        method: method.clone(),
        path: path.clone(),
        authorization: authorization.clone(),
        served: 0,
    };
    let index = {
        let mut requests = shared.requests.lock().unwrap();
        requests.push(note);
        requests.len() - 1
    };
    let fault = shared.fault.lock().unwrap().clone();
    match &fault {
        Fault::Status(status) => return status_only(*status),
        Fault::RetryAfter => {
            return Response::builder()
                .status(403)
                .header(header::RETRY_AFTER, "60")
                .body(Body::empty())
                .unwrap();
        }
        Fault::Redirect(origin) => return redirect(&format!("{origin}{uri}")),
        Fault::Renamed(old, new) if path.contains(old) => {
            return redirect(&uri.to_string().replace(old, new));
        }
        Fault::Page => {
            return Response::builder()
                .header(header::CONTENT_TYPE, "text/html")
                .body("<html>".into())
                .unwrap();
        }
        _ => {}
    }
    if let Some(token) = &shared.token {
        let expected = format!("Basic {}", STANDARD.encode(format!("x-access-token:{token}")));
        if authorization.as_deref() != Some(&expected) {
            return Response::builder()
                .status(401)
                .header(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")
                .body(Body::empty())
                .unwrap();
        }
    }
    let protocol = headers
        .get("git-protocol")
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let (repo, advertise) =
        match (path.strip_suffix("/info/refs"), path.strip_suffix("/git-upload-pack")) {
            (Some(repo), _) => (repo, true),
            (_, Some(repo)) => (repo, false),
            _ => return status_only(404),
        };
    let folder = shared.root.join(repo.trim_start_matches('/'));
    if !folder.join("HEAD").exists() {
        return status_only(404);
    }
    let output = upload_pack(&folder, &protocol, advertise, &body).await;
    if let Some(request) = shared.requests.lock().unwrap().get_mut(index) {
        request.served = output.len();
    }
    let kind = if advertise { "advertisement" } else { "result" };
    let response = Response::builder()
        .header(header::CONTENT_TYPE, format!("application/x-git-upload-pack-{kind}"));
    let has_pack = output.windows(4).any(|window| window == b"PACK");
    let half = output.len() / 2;
    let body = match fault {
        Fault::Stall if has_pack => {
            let shared = shared.clone();
            let first = Bytes::copy_from_slice(&output[..half]);
            let stream = futures_util::stream::unfold(Some(first), move |next| {
                let shared = shared.clone();
                async move {
                    match next {
                        Some(first) => Some((Ok::<_, std::io::Error>(first), None)),
                        None => {
                            shared.stalled.notify_one();
                            std::future::pending().await
                        }
                    }
                }
            });
            Body::from_stream(stream)
        }
        Fault::Cut if has_pack => Body::from(output[..half].to_vec()),
        Fault::Flip if has_pack => {
            let mut output = output;
            output[half] ^= 0x55;
            Body::from(output)
        }
        _ => Body::from(output),
    };
    response.body(body).unwrap()
}

async fn upload_pack(folder: &Path, protocol: &str, advertise: bool, body: &[u8]) -> Vec<u8> {
    let mut command = Command::new("git");
    command.args(["-c", "safe.directory=*", "upload-pack", "--stateless-rpc"]);
    if advertise {
        command.arg("--advertise-refs");
    }
    command
        .arg(folder)
        .env("GIT_PROTOCOL", protocol)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A refusal ends the program before it has read everything.
    let _ = stdin.write_all(body).await;
    drop(stdin);
    let mut output = child.wait_with_output().await.unwrap().stdout;
    if advertise && !protocol.contains("version=2") {
        output.splice(0..0, *b"001e# service=git-upload-pack\n0000");
    }
    output
}

fn status_only(status: u16) -> Response<Body> {
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(Body::empty()).unwrap()
}

fn redirect(to: &str) -> Response<Body> {
    Response::builder().status(301).header(header::LOCATION, to).body(Body::empty()).unwrap()
}
