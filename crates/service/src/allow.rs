//! Which repositories are served at all: the same answer for every service.

use booty_events::RepoName;
use globset::{GlobBuilder, GlobSet};
use thiserror::Error;

use crate::Env;

/// The repositories of `ALLOWED_REPOS`, or else the one of `TARGET_REPO_URL`.
#[derive(Debug, Clone)]
pub struct AllowList {
    repositories: GlobSet,
}

/// Why a glob over `owner/name` can't be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{glob:?} {problem}")]
pub struct BadGlob {
    glob: String,
    problem: String,
}

impl AllowList {
    /// Reads `ALLOWED_REPOS` and `TARGET_REPO_URL`; every mistake is kept in `env`. Neither set: nothing
    /// is allowed.
    pub fn from_env(env: &mut Env) -> Self {
        let mut globs = env.list("ALLOWED_REPOS");
        if let Some(url) = env.optional("TARGET_REPO_URL") {
            match repository_of(&url) {
                Some(name) if globs.is_empty() => globs.push(globset::escape(name.as_str())),
                Some(_) => {}
                None => env.problem(
                    "TARGET_REPO_URL",
                    "is not the address of a repository such as https://github.com/owner/name",
                ),
            }
        }
        globs.retain(|text| match glob(text) {
            Ok(_) => true,
            Err(error) => {
                env.problem("ALLOWED_REPOS", &error.to_string());
                false
            }
        });
        Self::new(&globs).unwrap_or_else(|error| {
            env.problem("ALLOWED_REPOS", &error.to_string());
            Self::nobody()
        })
    }

    /// Globs over `owner/name` (`*` does not cross the slash; case is ignored, as GitHub does).
    /// No glob allows nothing.
    ///
    /// # Errors
    /// The first glob that can't be used.
    pub fn new<S: AsRef<str>>(globs: &[S]) -> Result<Self, BadGlob> {
        let mut set = GlobSet::builder();
        for text in globs {
            set.add(glob(text.as_ref())?);
        }
        let repositories =
            set.build().map_err(|error| bad("", format!("can't be used: {error}")))?;
        Ok(Self { repositories })
    }

    /// Nobody is served.
    pub fn nobody() -> Self {
        Self { repositories: GlobSet::empty() }
    }

    /// Whether a repository is served.
    pub fn allows(&self, name: &RepoName) -> bool {
        self.repositories.is_match(name.as_str())
    }

    /// True: no repository can ever be served.
    pub fn is_empty(&self) -> bool {
        self.repositories.is_empty()
    }
}

fn glob(text: &str) -> Result<globset::Glob, BadGlob> {
    if text.split('/').count() != 2 {
        return Err(bad(text, "is not of the form owner/name".to_owned()));
    }
    GlobBuilder::new(text)
        .case_insensitive(true)
        .literal_separator(true)
        .build()
        .map_err(|error| bad(text, format!("is not a glob: {}", error.kind())))
}

fn bad(glob: &str, problem: String) -> BadGlob {
    BadGlob { glob: glob.to_owned(), problem }
}

/// The repository of `TARGET_REPO_URL`; `None` when it is unset, or a mistake, which
/// [`AllowList::from_env`] tells.
pub fn target(env: &mut Env) -> Option<RepoName> {
    repository_of(&env.optional("TARGET_REPO_URL")?)
}

/// `owner/name` of a repository's web or clone address.
fn repository_of(url: &str) -> Option<RepoName> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    let path = path.trim_end_matches('/');
    path.strip_suffix(".git").unwrap_or(path).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> (AllowList, Vec<String>) {
        let mut env = Env::from_map(values.iter().copied());
        let allowed = AllowList::from_env(&mut env);
        let problems = env.finish().err().map(|errors| errors.0).unwrap_or_default();
        (allowed, problems.into_iter().map(|problem| problem.name).collect())
    }

    fn allows(list: &AllowList, name: &str) -> bool {
        list.allows(&name.parse().unwrap())
    }

    #[test]
    fn globs_ignore_case_and_stay_within_their_half() {
        let list = AllowList::new(&["Octo/hello-*", "*/booty"]).unwrap();
        for (name, expected) in [
            ("octo/Hello-World", true),
            ("octo/hello", false),
            ("anyone/BOOTY", true),
            ("octo/booty-2", false),
        ] {
            assert_eq!(allows(&list, name), expected, "{name}");
        }
        assert!(read(&[]).0.is_empty());
        assert!(!allows(&AllowList::nobody(), "a/b"));
    }

    #[test]
    fn the_target_repository_is_the_default() {
        let target = ("TARGET_REPO_URL", "https://github.com/Octo/hello.git");
        assert!(allows(&read(&[target]).0, "octo/hello"));
        let both = read(&[target, ("ALLOWED_REPOS", "a/*,b/c")]).0;
        assert!(allows(&both, "a/x") && allows(&both, "b/c"));
        assert!(!allows(&both, "octo/hello"), "an explicit list replaces the default");
    }

    #[test]
    fn globs_that_can_never_match_are_mistakes() {
        for bad in ["octo", "https://github.com/a/b", "a/[", "a/b/c"] {
            assert_eq!(read(&[("ALLOWED_REPOS", bad)]).1, ["ALLOWED_REPOS"], "{bad}");
        }
        for bad in ["octo/hello", "https://github.com/octo", "https://github.com/a/b/c"] {
            assert_eq!(read(&[("TARGET_REPO_URL", bad)]).1, ["TARGET_REPO_URL"], "{bad}");
        }
    }
}
