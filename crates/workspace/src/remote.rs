//! Where a repository lies, and what is wanted from it.

use gix::bstr::ByteSlice;
use secrecy::SecretString;
use url::{Host, Url};

use crate::Error;

/// A repository on a server.
#[derive(Debug, Clone)]
pub struct Remote {
    /// `https://host/owner/name.git`; plain http is accepted for loopback only. No user, password or query.
    pub url: Url,
    /// Sent as the password of `x-access-token`, to this host only.
    pub token: Option<SecretString>,
}

/// What to check out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// The branch's newest commit.
    Branch(String),
    /// Exactly this commit; the branch is only a name that goes with it.
    Commit {
        /// The target branch.
        branch: String,
        /// 40 hexadecimal digits.
        sha: String,
    },
}

impl Want {
    /// The target branch.
    pub fn branch(&self) -> &str {
        match self {
            Self::Branch(branch) | Self::Commit { branch, .. } => branch,
        }
    }
}

/// The commit that is to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// 40 hexadecimal digits. Exactly this commit is taken, also when the ref has moved on.
    pub sha: String,
    /// The full name of a ref that leads to it, such as `refs/pull/7/head`: a fork's commits are on no branch of the base's
    /// repository.
    pub reference: String,
}

/// The longest name of a mirror or job.
const MAX_TOKEN: usize = 200;

impl Remote {
    /// Refuses what would send the token in clear, or is no plain address.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let url = &self.url;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(url) => {}
            "http" => return Err(Error::invalid("plain http is for loopback only; use https")),
            scheme => {
                return Err(Error::invalid(format!(
                    "{scheme} is no way to fetch a repository; use https"
                )));
            }
        }
        if url.host().is_none() {
            return Err(Error::invalid("the remote's URL names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid(
                "the remote's URL holds a user or password; give the token apart from it",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::invalid("the remote's URL holds a query or fragment"));
        }
        Ok(())
    }
}

impl Want {
    /// Refuses what is no branch name or no full sha.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let branch = self.branch();
        let full = format!("refs/heads/{branch}");
        if gix::validate::reference::name(full.as_bytes().as_bstr()).is_err() {
            return Err(Error::invalid(format!("{branch:?} is no branch name")));
        }
        match self {
            Self::Commit { sha, .. } => check_sha(sha),
            Self::Branch(_) => Ok(()),
        }
    }
}

impl Head {
    /// Refuses what is no full sha or no full name of a ref.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let name = &self.reference;
        if !name.starts_with("refs/")
            || gix::validate::reference::name(name.as_bytes().as_bstr()).is_err()
        {
            return Err(Error::invalid(format!("{name:?} is no full name of a ref")));
        }
        check_sha(&self.sha)
    }
}

fn check_sha(sha: &str) -> Result<(), Error> {
    if sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(Error::invalid("a commit is named by its full sha, 40 hexadecimal digits"))
    }
}

/// Refuses what is no safe name for a folder.
pub(crate) fn check_token(what: &str, token: &str) -> Result<(), Error> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if token.is_empty()
        || token.len() > MAX_TOKEN
        || token.starts_with('.')
        || !token.bytes().all(safe)
    {
        return Err(Error::invalid(format!(
            "{token:?} is no {what}: 1 to {MAX_TOKEN} letters, digits, _, - and ., not starting with a dot"
        )));
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://github.com/a/b.git", true)]
    #[case("http://127.0.0.1:8080/a/b.git", true)]
    #[case("http://[::1]/a/b.git", true)]
    #[case("http://localhost/a/b.git", true)]
    #[case("http://github.com/a/b.git", false)]
    #[case("http://127.0.0.1.evil.example/a/b.git", false)]
    #[case("https://x-access-token:secret@github.com/a/b.git", false)]
    #[case("https://user@github.com/a/b.git", false)]
    #[case("https://github.com/a/b.git?token=x", false)]
    #[case("file:///etc", false)]
    #[case("ext::sh -c whoami", false)]
    #[case("ssh://git@github.com/a/b.git", false)]
    #[case("git://github.com/a/b.git", false)]
    fn urls(#[case] url: &str, #[case] fine: bool) {
        let remote = Remote { url: Url::parse(url).unwrap(), token: None };
        let result = remote.check();
        assert_eq!(result.is_ok(), fine, "{result:?}");
        assert!(!format!("{result:?}").contains("secret"));
    }

    #[rstest]
    #[case("main", true)]
    #[case("feature/$(id)", true)]
    #[case("--upload-pack=x", true)]
    #[case("ünïcode", true)]
    #[case("", false)]
    #[case("a b", false)]
    #[case("a..b", false)]
    #[case("*", false)]
    #[case("a:b", false)]
    #[case("x.lock", false)]
    #[case("a\nb", false)]
    #[case("@{-1}", false)]
    fn branches(#[case] branch: &str, #[case] fine: bool) {
        assert_eq!(Want::Branch(branch.into()).check().is_ok(), fine);
    }

    #[rstest]
    #[case("0123456789abcdef0123456789abcdef01234567", true)]
    #[case("0123456", false)]
    #[case("HEAD", false)]
    #[case("0123456789abcdef0123456789abcdef0123456g", false)]
    fn shas(#[case] sha: &str, #[case] fine: bool) {
        assert_eq!(Want::Commit { branch: "main".into(), sha: sha.into() }.check().is_ok(), fine);
    }

    #[rstest]
    #[case("owner_name", true)]
    #[case("x--6162", true)]
    #[case("..", false)]
    #[case(".hidden", false)]
    #[case("a/b", false)]
    #[case("", false)]
    #[case("a\0", false)]
    fn tokens(#[case] token: &str, #[case] fine: bool) {
        assert_eq!(check_token("key", token).is_ok(), fine);
    }
}
