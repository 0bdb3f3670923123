//! Whose deliveries are taken.

use std::collections::BTreeSet;

use booty_events::RepoName;
use booty_service::AllowList as Repositories;
pub use booty_service::BadGlob;

/// Repositories and installations that are served.
#[derive(Debug, Clone)]
pub struct AllowList {
    repositories: Repositories,
    /// `None`: any installation, and deliveries without one.
    installations: Option<BTreeSet<u64>>,
}

impl AllowList {
    /// Repositories as globs over `owner/name`, as [`Repositories::new`] reads them.
    ///
    /// # Errors
    /// The first glob that can't be used.
    pub fn new(globs: &[String], installations: Option<BTreeSet<u64>>) -> Result<Self, BadGlob> {
        Ok(Self::of(Repositories::new(globs)?, installations))
    }

    /// These repositories, of these installations.
    pub fn of(repositories: Repositories, installations: Option<BTreeSet<u64>>) -> Self {
        Self { repositories, installations }
    }

    /// Nobody is served.
    pub fn nobody() -> Self {
        Self::of(Repositories::nobody(), None)
    }

    /// Whether a repository is served.
    pub fn repository(&self, name: &RepoName) -> bool {
        self.repositories.allows(name)
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
