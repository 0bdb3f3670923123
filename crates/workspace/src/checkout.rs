//! A job's files, and what became of them.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use gix::objs::Kind;
use tokio::task::spawn_blocking;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Change, ChangeSet, Error, FileContent, Mode, TreeLimits,
    base::{self, BaseTree},
    ignore::IgnoreRules,
    job::JobFolder,
    mirror::Held,
    overlay,
    scan::{self, BaseIndex, Tracked},
    scratch::Scratch,
};

/// The longest `.gitignore` that is read; longer ones are left out, so what they name is part of the change set.
const MAX_IGNORE_BYTES: u64 = 1 << 20;

/// A job's own files, as the base commit has them; the folder is removed with this value.
pub struct Checkout {
    // Before the folder, so that work on blocking threads is told to stop first.
    _stop: DropGuard,
    stop: CancellationToken,
    inner: Arc<Inner>,
    tree: PathBuf,
    base: String,
    branch: String,
    files: Vec<BaseFile>,
}

/// A file of the base commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFile {
    /// Below the root, `/` between folders; any bytes but NUL.
    pub path: Vec<u8>,
    /// What it is.
    pub mode: Mode,
    /// Its size in bytes.
    pub size: u64,
}

/// What blocking threads work with.
struct Inner {
    folder: JobFolder,
    objects: Objects,
    key: String,
    index: BaseIndex,
    limits: TreeLimits,
}

/// Where a checkout's files come from, kept for as long as it lives.
pub(crate) enum Objects {
    /// A mirror.
    Mirror(Held),
    /// What a merge made, over what it was made of.
    Merge(Arc<Scratch>),
}

impl Objects {
    pub(crate) fn repo(&self) -> gix::Repository {
        match self {
            Self::Mirror(held) => held.repo.to_thread_local(),
            Self::Merge(scratch) => scratch.repo.to_thread_local(),
        }
    }
}

/// What a checkout is called.
pub(crate) struct Origin {
    /// The mirror's, or the local repository's.
    pub(crate) key: String,
    pub(crate) branch: String,
    pub(crate) base: String,
}

impl Checkout {
    pub(crate) fn new(
        folder: JobFolder,
        objects: Objects,
        origin: Origin,
        tree: BaseTree,
        limits: TreeLimits,
    ) -> Self {
        let Origin { key, branch, base } = origin;
        let index = BaseIndex::new(tree);
        let files = index.list();
        let stop = CancellationToken::new();
        Self {
            _stop: stop.clone().drop_guard(),
            stop,
            files,
            tree: folder.tree().to_owned(),
            base,
            branch,
            inner: Arc::new(Inner { folder, objects, key, index, limits }),
        }
    }

    /// The folder with the files; nothing else lies in it, no `.git` either.
    pub fn work_tree(&self) -> &Path {
        &self.tree
    }

    /// The commit's sha, 40 hexadecimal digits. For what a merge made, which is no commit, the merged tree's id.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The target branch; for a local repository, what the base was named by.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// The files of the base commit, sorted by path.
    pub fn files(&self) -> &[BaseFile] {
        &self.files
    }

    /// A file as the base commit has it, whatever the run made of it; a link's target for a link.
    /// `None` when the commit has no such file.
    pub async fn base_content(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(tracked) = self.inner.index.files.get(path).copied() else { return Ok(None) };
        self.blocking(move |inner, _| inner.old_content(&inner.objects.repo(), tracked).map(Some))
            .await
    }

    /// Added, changed, deleted and mode-changed paths of the work tree against the base.
    ///
    /// Untracked paths that the base's `.gitignore` files or a short list of test leftovers (`__pycache__/`,
    /// `node_modules/`, `target/`, …) name are left out; tracked ones always count. Call it when nothing writes to the
    /// folder any more. A hostile tree is refused as a whole.
    pub async fn change_set(&self) -> Result<ChangeSet, Error> {
        self.blocking(|inner, stop| inner.change_set(stop)).await
    }

    /// Writes these files into the work tree, whatever is there under their names or on the way to them; deletes those
    /// without content, and the folders that are empty without them. Everything else stays as it is.
    ///
    /// Links are replaced and never followed. Call it when nothing else writes to the folder.
    pub async fn overlay(&self, files: Vec<(Vec<u8>, Option<FileContent>)>) -> Result<(), Error> {
        self.blocking(move |inner, stop| {
            let folder = &inner.folder;
            overlay::overlay(folder.tree(), folder.trash(), &files, &inner.limits, stop)
        })
        .await
    }

    /// Removes the folder and says whether that worked; dropping does the same and only logs.
    pub async fn close(self) -> Result<(), Error> {
        let Self { inner, .. } = self;
        // A change set whose future was dropped may still hold it; then its end removes the folder.
        let Some(inner) = Arc::into_inner(inner) else { return Ok(()) };
        join(spawn_blocking(move || inner.folder.close())).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner, &CancellationToken) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (inner, stop) = (self.inner.clone(), self.stop.child_token());
        let _stop = stop.clone().drop_guard();
        join(spawn_blocking(move || work(&inner, &stop))).await
    }
}

/// Without the list of files, which a log would drown in.
impl fmt::Debug for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tree, base, branch, .. } = self;
        f.debug_struct("Checkout")
            .field("tree", tree)
            .field("base", base)
            .field("branch", branch)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn change_set(&self, stop: &CancellationToken) -> Result<ChangeSet, Error> {
        let repo = self.objects.repo();
        let differences =
            scan::scan(self.folder.tree(), &self.index, &self.rules(&repo)?, &self.limits, stop)?;
        let mut changes = Vec::with_capacity(differences.found.len() + differences.gone.len());
        for (path, found) in differences.found {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let old = match self.index.files.get(&path) {
                Some(tracked) => Some((tracked.mode, self.old_content(&repo, *tracked)?)),
                None => None,
            };
            let old = old.as_ref().map(|(mode, content)| (*mode, content.as_slice()));
            changes.push(Change::present(path, found.mode, found.content, found.other_bytes, old));
        }
        for path in differences.gone {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let Some(tracked) = self.index.files.get(&path) else { continue };
            let old = self.old_content(&repo, *tracked)?;
            changes.push(Change::gone(path, tracked.mode, &old));
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(ChangeSet { changes })
    }

    /// The `.gitignore` files of the base, outer folders first.
    fn rules(&self, repo: &gix::Repository) -> Result<IgnoreRules, Error> {
        let mut rules = IgnoreRules::built_in();
        for (path, tracked) in &self.index.files {
            let folder = match path.strip_suffix(b".gitignore") {
                Some(b"") => &[][..],
                Some(folder) if folder.ends_with(b"/") => &folder[..folder.len() - 1],
                _ => continue,
            };
            if tracked.mode == Mode::Symlink {
                continue;
            }
            if tracked.size > MAX_IGNORE_BYTES {
                tracing::warn!(path = %path.escape_ascii(), "too long for a .gitignore, left out");
                continue;
            }
            rules.push(folder, &self.old_content(repo, *tracked)?);
        }
        Ok(rules)
    }

    fn old_content(&self, repo: &gix::Repository, tracked: Tracked) -> Result<Vec<u8>, Error> {
        base::read(repo, tracked.id, Kind::Blob, tracked.size)
            .map_err(|refusal| refusal.into_error(&self.key))
    }
}

/// The result of a blocking task; one that was never run means that the runtime is going down.
pub(crate) async fn join<T>(task: tokio::task::JoinHandle<Result<T, Error>>) -> Result<T, Error> {
    match task.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Cancelled),
    }
}
