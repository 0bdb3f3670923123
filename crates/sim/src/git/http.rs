//! Git's smart HTTP protocol, spoken by the real `git upload-pack`.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::io::AsyncWriteExt;

use super::diff::isolate;

/// What a git client asks for below `/owner/name.git/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitRequest {
    /// `owner/name` as in the path.
    pub(crate) repo: String,
    pub(crate) what: GitVerb,
}

/// The requests of the smart protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GitVerb {
    Advertise,
    UploadPack,
    /// Anything that would push.
    Push,
    /// The dumb protocol, and everything else.
    Other,
}

/// The git request that a path is, if it is one.
pub(crate) fn git_request(method: &Method, path: &str, query: Option<&str>) -> Option<GitRequest> {
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (owner, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let what = match (method.as_str(), rest, query) {
        ("GET", "info/refs", Some("service=git-upload-pack")) => GitVerb::Advertise,
        ("GET", "info/refs", Some("service=git-receive-pack")) => GitVerb::Push,
        ("POST", "git-upload-pack", _) => GitVerb::UploadPack,
        ("POST", "git-receive-pack", _) => GitVerb::Push,
        ("GET", "info/refs" | "HEAD", _) => GitVerb::Other,
        _ => return None,
    };
    let name = name.strip_suffix(".git").unwrap_or(name);
    Some(GitRequest { repo: format!("{owner}/{name}"), what })
}

/// Runs upload-pack; gives status, content type and body.
pub(crate) async fn serve_git(
    verb: GitVerb,
    repository: &Path,
    headers: &HeaderMap,
    body: Bytes,
) -> std::io::Result<(StatusCode, &'static str, Bytes)> {
    let mut command = tokio::process::Command::new("git");
    isolate(command.as_std_mut());
    command.arg("upload-pack").arg("--stateless-rpc");
    if verb == GitVerb::Advertise {
        command.arg("--advertise-refs");
    }
    let version = headers.get("git-protocol").and_then(|value| value.to_str().ok());
    if let Some(version) = version {
        command.env("GIT_PROTOCOL", version);
    }
    let mut child = command
        .arg(repository)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let input = if is_gzip(headers) { gunzip(&body)? } else { body.to_vec() };
    let stdin = child.stdin.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A client that gives up halfway closes the pipe; git's own exit says the rest.
            let _ = stdin.write_all(&input).await;
            let _ = stdin.shutdown().await;
        }
    };
    let ((), out) = tokio::join!(feed, child.wait_with_output());
    let out = out?.stdout;
    Ok(match verb {
        GitVerb::Advertise => {
            // Protocol 2 has no service line; 0 and 1 begin with one.
            let mut answer = Vec::with_capacity(out.len() + 64);
            if !version.is_some_and(|version| version.contains("version=2")) {
                answer.extend_from_slice(b"001e# service=git-upload-pack\n0000");
            }
            answer.extend_from_slice(&out);
            (StatusCode::OK, "application/x-git-upload-pack-advertisement", answer.into())
        }
        _ => (StatusCode::OK, "application/x-git-upload-pack-result", out.into()),
    })
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers.get("content-encoding").is_some_and(|value| value.as_bytes().ends_with(b"gzip"))
}

fn gunzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    // No client of ours asks for more than this many objects in one request.
    flate2::read::GzDecoder::new(body).take(64 << 20).read_to_end(&mut out)?;
    Ok(out)
}
