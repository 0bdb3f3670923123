//! Which repositories and installations are served at all.

use std::collections::BTreeSet;

use booty_events::RepoName;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The allow-lists. Matched against the signed body only.
#[derive(Debug, Clone)]
pub struct AllowList {
    repositories: GlobSet,
    /// `None`: any installation, and deliveries without one.
    installations: Option<BTreeSet<u64>>,
}

/// Why a glob over `owner/name` can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{glob:?} {problem}")]
pub struct BadGlob {
    glob: String,
    problem: String,
}

impl AllowList {
    /// Globs over `owner/name` (`*` does not cross the slash; case is ignored, as GitHub does).
    /// No glob allows nothing.
    ///
    /// # Errors
    /// The first glob that can't be used.
    pub fn new(globs: &[String], installations: Option<BTreeSet<u64>>) -> Result<Self, BadGlob> {
        let bad = |glob: &str, problem: String| BadGlob { glob: glob.to_owned(), problem };
        let mut set = GlobSetBuilder::new();
        for text in globs {
            if text.split('/').count() != 2 {
                return Err(bad(text, "is not of the form owner/name".to_owned()));
            }
            let glob = GlobBuilder::new(text)
                .case_insensitive(true)
                .literal_separator(true)
                .build()
                .map_err(|e| bad(text, format!("is not a glob: {}", e.kind())))?;
            set.add(glob);
        }
        let repositories = set.build().map_err(|e| bad("", format!("can't be used: {e}")))?;
        Ok(Self { repositories, installations })
    }

    /// Nobody is served.
    pub fn nobody() -> Self {
        Self { repositories: GlobSet::empty(), installations: None }
    }

    /// Whether a repository is served.
    pub fn repository(&self, name: &RepoName) -> bool {
        self.repositories.is_match(name.as_str())
    }

    /// Whether an installation is served; `None` for a delivery that names none.
    pub fn installation(&self, id: Option<u64>) -> bool {
        match (&self.installations, id) {
            (None, _) => true,
            (Some(allowed), Some(id)) => allowed.contains(&id),
            (Some(_), None) => false,
        }
    }

    /// True: no repository can ever be served.
    pub fn is_empty(&self) -> bool {
        self.repositories.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(globs: &[&str]) -> AllowList {
        AllowList::new(&globs.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>(), None).unwrap()
    }

    #[test]
    fn globs_ignore_case_and_stay_within_their_half() {
        let allowed = list(&["Octo/hello-*", "*/booty"]);
        for (name, expected) in [
            ("octo/Hello-World", true),
            ("octo/hello", false),
            ("anyone/BOOTY", true),
            ("octo/booty-2", false),
        ] {
            assert_eq!(allowed.repository(&name.parse().unwrap()), expected, "{name}");
        }
        assert!(list(&[]).is_empty());
        assert!(!list(&[]).repository(&"a/b".parse().unwrap()));
    }

    #[test]
    fn a_list_of_installations_needs_one() {
        let some = AllowList::new(&[], Some([7].into())).unwrap();
        assert!(some.installation(Some(7)));
        assert!(!some.installation(Some(8)));
        assert!(!some.installation(None));
        assert!(list(&[]).installation(None));
    }

    #[test]
    fn globs_that_can_never_match_are_mistakes() {
        for bad in ["octo", "https://github.com/a/b", "a/[", "a/b/c"] {
            assert!(AllowList::new(&[bad.to_owned()], None).is_err(), "{bad}");
        }
    }
}
