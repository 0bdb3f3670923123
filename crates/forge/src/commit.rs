//! A commit through the Git Data API, with no clone and no push.

use base64::{Engine, engine::general_purpose::STANDARD};
use booty_events::v1::{FileChange, FileMode};
use booty_github::{
    Endpoint,
    object::{GitCommit, Sha},
};
use serde_json::{Value, json};

use crate::{outcome::Stop, work::Work};

/// Larger text goes as a blob of its own, so that the tree's request stays small.
const LARGEST_INLINE_BYTES: usize = 512 * 1024;

/// The step's name in the record.
const STEP: &str = "commit";

/// Makes the commit on top of `base_sha` and answers its sha. All of it can be done again without harm: trees and blobs
/// are named by their content, and a commit that no branch has is not seen by anybody.
pub(crate) async fn make(
    work: &mut Work<'_>,
    base_sha: &str,
    message: &str,
    changes: &[FileChange],
) -> Result<String, Stop> {
    if let Some(sha) = work.record.step(STEP) {
        return Ok(sha.to_owned());
    }
    let base = work.github.get_git_commit(&work.repo, base_sha).await;
    let Some(base) = work.read(base).await? else {
        let why = format!("base commit {base_sha} is not in {}", work.repo);
        return Err(Stop::failed("base_gone", why));
    };
    let mut entries = Vec::with_capacity(changes.len());
    for change in changes {
        entries.push(entry(work, change).await?);
    }
    let body = json!({ "base_tree": base.tree.sha, "tree": entries });
    let tree: Sha = post(work, "trees", &body).await?;
    if tree.sha == base.tree.sha {
        return Err(Stop::failed("no_change", "the change leaves the tree as it is"));
    }
    let message = work.core.markers.sign_off(message, &work.repo, &work.id);
    // Neither author nor committer: GitHub takes the token's user, and signs an App's commits.
    let body = json!({ "message": message, "tree": tree.sha, "parents": [base.sha] });
    let commit: GitCommit = post(work, "commits", &body).await?;
    adopt(work, &commit.sha, &tree.sha).await?;
    Ok(commit.sha)
}

/// The tree that this effect's commit has.
pub(crate) fn tree<'a>(work: &'a Work<'_>) -> Option<&'a str> {
    work.record.step("tree")
}

/// Takes a commit for this effect's own.
pub(crate) async fn adopt(work: &mut Work<'_>, commit: &str, tree: &str) -> Result<(), Stop> {
    work.record.done("tree", tree);
    work.done(STEP, commit).await
}

async fn entry(work: &mut Work<'_>, change: &FileChange) -> Result<Value, Stop> {
    let Ok(path) = str::from_utf8(&change.path) else {
        let shown = String::from_utf8_lossy(&change.path).into_owned();
        return Err(Stop::failed("invalid", format!("path {shown:?} is not UTF-8")));
    };
    let mode = match change.mode() {
        FileMode::Regular => "100644",
        FileMode::Executable => "100755",
        FileMode::Symlink => "120000",
        FileMode::Deleted => {
            return Ok(json!({ "path": path, "mode": "100644", "type": "blob", "sha": null }));
        }
        FileMode::Unspecified => {
            return Err(Stop::failed("invalid", format!("{path:?} has no file mode")));
        }
    };
    // NUL is UTF-8, but no JSON that could hold it is safe on its way through GitHub.
    let text = str::from_utf8(&change.content)
        .ok()
        .filter(|text| text.len() <= LARGEST_INLINE_BYTES && !text.contains('\0'));
    if let Some(text) = text {
        return Ok(json!({ "path": path, "mode": mode, "type": "blob", "content": text }));
    }
    let body = json!({ "content": STANDARD.encode(&change.content), "encoding": "base64" });
    let blob: Sha = post(work, "blobs", &body).await?;
    Ok(json!({ "path": path, "mode": mode, "type": "blob", "sha": blob.sha }))
}

async fn post<T: serde::de::DeserializeOwned>(
    work: &mut Work<'_>,
    objects: &str,
    body: &Value,
) -> Result<T, Stop> {
    let at = Endpoint::repo(&work.repo).at("git").at(objects);
    let sent = work.gate.send(|| work.github.post::<T>(at.clone(), body)).await;
    work.repeatable(sent).await
}
