//! Whether a release that an event names is a commit or tag of the repository.

use booty_events::RepoName;
use booty_github::Client;

use crate::shared::Pause;

/// Characters of a tag's name that are looked up.
const MAX_TAG: usize = 100;
/// GitHub takes no fewer digits of a commit's id for it.
const SHORTEST_SHA: usize = 7;
const SHA: usize = 40;

/// The release in the repository's own words: `commit <sha>` or `tag <name>`.
///
/// SDKs send `<package>@<version>` as well as the version alone; either may be what the repository knows.
pub(super) async fn find(
    github: &Client,
    repository: &RepoName,
    sent: &str,
) -> Result<Option<String>, Pause> {
    let version = sent.rsplit_once('@').map(|(_, version)| version);
    for candidate in std::iter::once(sent).chain(version) {
        if is_sha(candidate) {
            let wanted = candidate.to_ascii_lowercase();
            let commit = known(github.get_commit(repository, &wanted).await)?;
            // A branch may be called like the start of a commit.
            if let Some(commit) = commit.filter(|commit| commit.sha.starts_with(&wanted)) {
                return Ok(Some(format!("commit {}", commit.sha)));
            }
        }
        if is_tag(candidate) {
            let tag = known(github.get_tag(repository, candidate).await)?;
            let name = tag.as_ref().and_then(|tag| tag.name.strip_prefix("refs/tags/"));
            if let Some(name) = name.filter(|name| *name == candidate) {
                return Ok(Some(format!("tag {name}")));
            }
        }
    }
    Ok(None)
}

/// GitHub answers 422 for a commit that it does not know.
fn known<T>(found: Result<Option<T>, booty_github::Error>) -> Result<Option<T>, Pause> {
    match found {
        Err(booty_github::Error::Validation { .. }) => Ok(None),
        found => Ok(found?),
    }
}

fn is_sha(text: &str) -> bool {
    (SHORTEST_SHA..=SHA).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether it may be looked up as a tag: far fewer names than Git allows.
fn is_tag(text: &str) -> bool {
    text.len() <= MAX_TAG
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+@/-".contains(&b))
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_name_is_looked_up() {
        for tag in ["v1.2.3", "calc@1.2.3", "release/2026-01", "1.0.0+build.5"] {
            assert!(is_tag(tag), "{tag}");
        }
        for other in ["", "-x", "a b", "a/../b", "a//b", "a/", "a/.b", "a?b", "é", "a`b"] {
            assert!(!is_tag(other), "{other}");
        }
        assert!(is_sha("0123abc") && is_sha(&"A".repeat(40)));
        assert!(!is_sha("0123ab") && !is_sha(&"a".repeat(41)) && !is_sha("0123abg"));
    }
}
