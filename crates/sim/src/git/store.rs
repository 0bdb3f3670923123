//! A bare repository: objects and references.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gix::bstr::{BString, ByteSlice};
use gix::objs::{self, Kind};
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};
use gix::{ObjectId, ThreadSafeRepository};

use super::FileDiff;

/// Git refused, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GitError(pub(crate) String);

impl GitError {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<GitError> for crate::answer::Refusal {
    fn from(error: GitError) -> Self {
        Self::server(error)
    }
}

impl From<GitError> for crate::Error {
    fn from(error: GitError) -> Self {
        Self::Git(error.0)
    }
}

/// Whom a commit names, and when.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Seconds east of UTC.
    pub(crate) offset: i32,
}

/// A commit, read.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) sha: ObjectId,
    pub(crate) tree: ObjectId,
    pub(crate) parents: Vec<ObjectId>,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    pub(crate) message: String,
}

/// One bare repository on disk.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    repo: ThreadSafeRepository,
    pub(super) diffs: Mutex<Diffs>,
}

/// By the two commits or trees.
type Diffs = HashMap<(ObjectId, ObjectId), Arc<Vec<FileDiff>>>;

impl Store {
    pub(crate) fn init(path: PathBuf, default_branch: &str) -> Result<Self, GitError> {
        std::fs::create_dir_all(&path).map_err(GitError::new)?;
        ThreadSafeRepository::init_opts(
            &path,
            gix::create::Kind::Bare,
            gix::create::Options::default(),
            gix::open::Options::isolated(),
        )
        .map_err(GitError::new)?;
        // What github.com lets a fetch ask for.
        let config = path.join("config");
        let mut text = std::fs::read_to_string(&config).map_err(GitError::new)?;
        text.push_str("[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n");
        std::fs::write(&config, text).map_err(GitError::new)?;
        let head = format!("ref: refs/heads/{default_branch}\n");
        std::fs::write(path.join("HEAD"), head).map_err(GitError::new)?;
        let repo = ThreadSafeRepository::open_opts(&path, gix::open::Options::isolated())
            .map_err(GitError::new)?;
        Ok(Self { path, repo, diffs: Mutex::default() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn repo(&self) -> gix::Repository {
        self.repo.to_thread_local()
    }

    /// The kind and size of an object, if it is there.
    pub(crate) fn kind(&self, sha: &str) -> Option<(ObjectId, Kind, u64)> {
        let id = ObjectId::from_hex(sha.as_bytes()).ok()?;
        let header = self.repo().try_find_header(id).ok()??;
        Some((id, header.kind(), header.size()))
    }

    pub(crate) fn has(&self, sha: &str, kind: Kind) -> Option<ObjectId> {
        self.kind(sha).filter(|(_, found, _)| *found == kind).map(|(id, _, _)| id)
    }

    pub(crate) fn blob(&self, id: ObjectId) -> Result<Vec<u8>, GitError> {
        let repo = self.repo();
        let object = repo.find_object(id).map_err(GitError::new)?;
        Ok(object.data.clone())
    }

    pub(crate) fn write_blob(&self, bytes: &[u8]) -> Result<ObjectId, GitError> {
        Ok(self.repo().write_blob(bytes).map_err(GitError::new)?.detach())
    }

    pub(crate) fn write_commit(
        &self,
        tree: ObjectId,
        parents: &[ObjectId],
        author: &Person,
        committer: &Person,
        message: &str,
    ) -> Result<ObjectId, GitError> {
        let commit = objs::Commit {
            tree,
            parents: parents.iter().copied().collect(),
            author: signature(author),
            committer: signature(committer),
            encoding: None,
            message: BString::from(message),
            extra_headers: Vec::new(),
        };
        Ok(self.repo().write_object(&commit).map_err(GitError::new)?.detach())
    }

    pub(crate) fn commit(&self, id: ObjectId) -> Result<Commit, GitError> {
        let repo = self.repo();
        let object = repo.find_object(id).map_err(GitError::new)?;
        let commit = object.try_into_commit().map_err(GitError::new)?;
        let decoded = commit.decode().map_err(GitError::new)?;
        Ok(Commit {
            sha: id,
            tree: decoded.tree(),
            parents: decoded.parents().collect(),
            author: person(&decoded.author().map_err(GitError::new)?)?,
            committer: person(&decoded.committer().map_err(GitError::new)?)?,
            message: decoded.message.to_str_lossy().into_owned(),
        })
    }

    /// What a full reference name points to.
    pub(crate) fn reference(&self, name: &str) -> Option<ObjectId> {
        let name = FullName::try_from(name).ok()?;
        let repo = self.repo();
        let found = repo.try_find_reference(name.as_ref()).ok()??;
        found.try_id().map(gix::Id::detach)
    }

    pub(crate) fn branch(&self, name: &str) -> Option<ObjectId> {
        self.reference(&format!("refs/heads/{name}"))
    }

    /// All references that start with `prefix`, by name.
    pub(crate) fn references(&self, prefix: &str) -> Result<Vec<(String, ObjectId)>, GitError> {
        let repo = self.repo();
        let platform = repo.references().map_err(GitError::new)?;
        let mut found = Vec::new();
        for reference in platform.all().map_err(GitError::new)? {
            let reference = reference.map_err(GitError::new)?;
            let name = reference.name().as_bstr().to_str_lossy().into_owned();
            if let (true, Some(id)) = (name.starts_with(prefix), reference.try_id()) {
                found.push((name, id.detach()));
            }
        }
        found.sort();
        Ok(found)
    }

    pub(crate) fn set_reference(&self, name: &str, id: ObjectId) -> Result<(), GitError> {
        self.edit(
            name,
            Change::Update {
                log: LogChange { mode: RefLog::AndReference, ..LogChange::default() },
                expected: PreviousValue::Any,
                new: Target::Object(id),
            },
        )
    }

    pub(crate) fn delete_reference(&self, name: &str) -> Result<(), GitError> {
        self.edit(
            name,
            Change::Delete { expected: PreviousValue::MustExist, log: RefLog::AndReference },
        )
    }

    fn edit(&self, name: &str, change: Change) -> Result<(), GitError> {
        let name = FullName::try_from(name).map_err(GitError::new)?;
        self.repo()
            .edit_reference(RefEdit { change, name, deref: false })
            .map_err(GitError::new)?;
        Ok(())
    }

    /// Takes what these refspecs name from another repository on this disk.
    pub(crate) fn fetch(&self, from: &Path, refspecs: &[&str]) -> Result<(), GitError> {
        let out = super::diff::git(&self.path)
            .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"])
            .arg(from)
            .args(refspecs)
            .output()
            .map_err(GitError::new)?;
        if out.status.success() {
            return Ok(());
        }
        Err(GitError(String::from_utf8_lossy(&out.stderr).into_owned()))
    }

    /// The commits that `head` has and `base` lacks, newest first; `None` without common history.
    pub(crate) fn between(
        &self,
        base: ObjectId,
        head: ObjectId,
    ) -> Result<Option<Vec<ObjectId>>, GitError> {
        let repo = self.repo();
        if self.merge_base(base, head).is_none() {
            return Ok(None);
        }
        let walk = repo.rev_walk([head]).with_hidden([base]).all().map_err(GitError::new)?;
        let mut found = Vec::new();
        for info in walk {
            found.push(info.map_err(GitError::new)?.id);
        }
        Ok(Some(found))
    }

    pub(crate) fn merge_base(&self, one: ObjectId, two: ObjectId) -> Option<ObjectId> {
        self.repo().merge_base(one, two).ok().flatten().map(gix::Id::detach)
    }

    /// A branch, a tag, a full reference, a sha or the start of one, as a commit.
    pub(crate) fn resolve_commit(&self, name: &str) -> Option<ObjectId> {
        ["refs/heads/", "refs/tags/", "refs/", ""]
            .iter()
            .find_map(|prefix| self.reference(&format!("{prefix}{name}")))
            .or_else(|| self.has(name, Kind::Commit))
            .or_else(|| self.has_one_that_starts(name))
    }

    /// The only object whose sha starts so, if it is a commit.
    fn has_one_that_starts(&self, name: &str) -> Option<ObjectId> {
        if !(SHORTEST_SHA..40).contains(&name.len()) {
            return None;
        }
        let prefix = gix::hash::Prefix::from_hex(name).ok()?;
        let found = self.repo().objects.lookup_prefix(prefix, None).ok()??.ok()?;
        self.has(&found.to_string(), Kind::Commit)
    }
}

/// GitHub takes no fewer digits.
const SHORTEST_SHA: usize = 7;

/// Forty lower-case or upper-case hex digits.
pub(crate) fn is_sha(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn signature(person: &Person) -> gix::actor::Signature {
    gix::actor::Signature {
        name: BString::from(person.name.as_str()),
        email: BString::from(person.email.as_str()),
        time: gix::date::Time { seconds: person.seconds, offset: person.offset },
    }
}

fn person(signature: &gix::actor::SignatureRef<'_>) -> Result<Person, GitError> {
    let time = signature.time().map_err(GitError::new)?;
    Ok(Person {
        name: signature.name.to_str_lossy().into_owned(),
        email: signature.email.to_str_lossy().into_owned(),
        seconds: time.seconds,
        offset: time.offset,
    })
}
