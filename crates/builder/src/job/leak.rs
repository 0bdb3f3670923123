//! No change brings a secret with it: neither in what it adds, nor in a file's name.

use booty_policy::{FoundSecret, new_secrets};
use booty_workspace::{ChangeKind, ChangeSet, Checkout};

use super::{Stop, workplace};
use crate::outcome::Ending;

/// Findings that the outcome lists.
const MAX_LISTED: usize = 20;

/// Refuses a change that holds a secret which the base's versions of the changed files do not hold.
/// The outcome says where it is and of which kind, and never what it is.
pub(crate) async fn check(source: &Checkout, changes: &ChangeSet) -> Result<(), Stop> {
    let mut before = Vec::new();
    for change in changes.changes.iter().filter(|change| change.kind != ChangeKind::Added) {
        let content = source.base_content(&change.path).await;
        let content = content.map_err(|error| workplace::refused(&error))?.unwrap_or_default();
        before.push(String::from_utf8_lossy(&content).into_owned());
    }
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let found: Vec<String> = changes
        .changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Deleted)
        .flat_map(|change| found(&change.path, &change.content, &before))
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    let listed: Vec<&str> = found.iter().take(MAX_LISTED).map(String::as_str).collect();
    let ending = Ending::needs_human(
        "secret_in_change",
        "I have a change, but it adds what looks like a secret, so I do not propose it:",
    );
    Err(Stop::End(ending.quoting(listed.join("\n"))))
}

fn found(path: &[u8], content: &[u8], before: &[&str]) -> Vec<String> {
    let path = String::from_utf8_lossy(path);
    if let [FoundSecret { kind, .. }, ..] = new_secrets(&path, before).as_slice() {
        return vec![format!("a file's name: {kind}")];
    }
    new_secrets(&String::from_utf8_lossy(content), before)
        .into_iter()
        .map(|FoundSecret { line, kind }| format!("{path}, line {line}: {kind}"))
        .collect()
}
