//! The door of this crate.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use gix::ObjectId;
use tokio::{runtime::Handle, task::spawn_blocking, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Checkout, Error, Head, Merge, MirrorLimits, Proposal, Remote, TreeLimits, Want,
    WorkspaceSettings,
    base::{self, BaseTree, Refusal},
    checkout::{Objects, Origin, join},
    deepen::Pair,
    history::{self, Relation},
    job::{JobFolder, Jobs},
    local::{self, Layout},
    merge::{self, Outcome},
    mirror::{self, Held, Mirrors, Order},
    proposal::Names,
    remote::check_token,
    scratch::{Empty, Scratch},
    transport::Terms,
    write,
};

/// All mirrors and job folders under one root. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workspaces {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) jobs: Jobs,
    mirrors: Mirrors,
    pub(crate) limits: TreeLimits,
    download_bytes: u64,
    fetch_timeout: Duration,
}

impl Workspaces {
    /// Makes the folders, and sweeps what crashed processes left in them. Blocks for as long as removing that takes.
    pub fn open(settings: WorkspaceSettings) -> Result<Self, Error> {
        Self::open_with(settings, MirrorLimits::default())
    }

    /// [`open`](Self::open) with bounds of one's own for mirrors.
    pub fn open_with(settings: WorkspaceSettings, mirror: MirrorLimits) -> Result<Self, Error> {
        let WorkspaceSettings { root, limits, fetch_timeout } = settings;
        fs::create_dir_all(&root).map_err(Error::io("can't make the folder", &root))?;
        let root = fs::canonicalize(&root).map_err(Error::io("can't find the folder", &root))?;
        let jobs = Jobs::open(&root)?;
        let mirrors = Mirrors::open(&root, jobs.trash(), mirror, limits.file_bytes)?;
        let download_bytes = mirror.download_bytes;
        Ok(Self {
            shared: Arc::new(Shared { jobs, mirrors, limits, download_bytes, fetch_timeout }),
        })
    }

    /// The mirror of a repository that was made below `root` (a [`WorkspaceSettings::root`], perhaps another process's), for
    /// whoever only reads it and does not mind that it may be replaced meanwhile. `None`: there is none.
    pub fn find_mirror(root: &Path, repo_key: &str) -> Result<Option<PathBuf>, Error> {
        check_token("repository key", repo_key)?;
        mirror::newest(root, repo_key)
    }

    /// A fresh folder with the wanted commit's files. Needs a tokio runtime; the work runs on its blocking threads.
    ///
    /// `repo_key` names the mirror, `job` the folder: letters, digits, `_`, `-` and `.` only, not starting with a dot.
    /// When it is cancelled, or its future is dropped, the work stops and the folder goes.
    pub async fn checkout(
        &self,
        repo_key: &str,
        remote: &Remote,
        want: &Want,
        job: &str,
        cancel: CancellationToken,
    ) -> Result<Checkout, Error> {
        check_token("repository key", repo_key)?;
        check_token("job name", job)?;
        remote.check()?;
        want.check()?;
        let cancel = cancel.child_token();
        let _stop = cancel.clone().drop_guard();
        let (shared, key, remote, want, job) = (
            self.shared.clone(),
            repo_key.to_owned(),
            remote.clone(),
            want.clone(),
            job.to_owned(),
        );
        let terms = self.terms(cancel);
        join(spawn_blocking(move || {
            shared.checkout(&Order { key: &key, remote: &remote, want: &want, terms }, &job)
        }))
        .await
    }

    /// Merges `head` into `base`, on a copy: what a pull request's test merge is. Nothing of it leaves this machine.
    ///
    /// `repo_key` names the mirror, as for [`checkout`](Self::checkout). Unlike there, as much history is fetched as lies
    /// between the two commits and where they part.
    pub async fn merge(
        &self,
        repo_key: &str,
        remote: &Remote,
        base: &Want,
        head: &Head,
        cancel: CancellationToken,
    ) -> Result<Merge, Error> {
        check_token("repository key", repo_key)?;
        remote.check()?;
        base.check()?;
        head.check()?;
        let cancel = cancel.child_token();
        let _stop = cancel.clone().drop_guard();
        let (shared, key, remote, base, head) =
            (self.shared.clone(), repo_key.to_owned(), remote.clone(), base.clone(), head.clone());
        let terms = self.terms(cancel);
        join(spawn_blocking(move || {
            shared.merge(&Order { key: &key, remote: &remote, want: &base, terms }, &head)
        }))
        .await
    }

    /// Merges two commits of a repository on this machine, which is only read: its work tree, its configuration, its hooks
    /// and its alternates play no part, and no server is asked.
    ///
    /// `repository` is a work tree's folder or a bare repository; `base` and `head` are whatever `git rev-parse` takes.
    pub async fn merge_local(
        &self,
        repository: &Path,
        base: &str,
        head: &str,
        cancel: CancellationToken,
    ) -> Result<Merge, Error> {
        let cancel = cancel.child_token();
        let _stop = cancel.clone().drop_guard();
        let (shared, repository, base, head) =
            (self.shared.clone(), repository.to_owned(), base.to_owned(), head.to_owned());
        join(spawn_blocking(move || shared.merge_local(&repository, &base, &head, &cancel))).await
    }

    fn terms(&self, cancel: CancellationToken) -> Terms {
        Terms {
            cancel,
            deadline: Instant::now() + self.shared.fetch_timeout,
            limit: self.shared.fetch_timeout,
            download_bytes: self.shared.download_bytes,
            received: Arc::new(AtomicU64::new(0)),
            runtime: Handle::current(),
        }
    }
}

impl Shared {
    fn checkout(&self, order: &Order<'_>, job: &str) -> Result<Checkout, Error> {
        let folder = self.jobs.create(job)?;
        let (held, tree) = match self.fill(order, &folder, false) {
            Ok(filled) => filled,
            Err(Refusal::Error(error)) => return Err(error),
            Err(Refusal::Damaged(what)) => {
                tracing::warn!(mirror = order.key, what, "the mirror is damaged; cloning it anew");
                drop(folder);
                let folder = self.jobs.create(job)?;
                let (held, tree) =
                    self.fill(order, &folder, true).map_err(|refusal| match refusal {
                        Refusal::Error(error) => error,
                        Refusal::Damaged(what) => {
                            Error::Damaged { repo: order.key.to_owned(), what }
                        }
                    })?;
                return Ok(self.finish(order, folder, held, tree));
            }
        };
        Ok(self.finish(order, folder, held, tree))
    }

    fn fill(
        &self,
        order: &Order<'_>,
        folder: &JobFolder,
        fresh: bool,
    ) -> Result<(Held, BaseTree), Refusal> {
        let cancel = &order.terms.cancel;
        let held = self.mirrors.fetch(order, fresh)?;
        let repo = held.repo.to_thread_local();
        let root = history::tree_of(&repo, held.commit)?;
        let tree = base::walk(&repo, root, &self.limits, cancel)?;
        write::write(&repo, &tree, folder.tree(), cancel)?;
        Ok((held, tree))
    }

    fn finish(&self, order: &Order<'_>, folder: JobFolder, held: Held, tree: BaseTree) -> Checkout {
        let origin = Origin {
            key: order.key.to_owned(),
            branch: order.want.branch().to_owned(),
            base: held.commit.to_string(),
        };
        Checkout::new(folder, Objects::Mirror(held), origin, tree, self.limits)
    }

    fn merge(self: &Arc<Self>, order: &Order<'_>, head: &Head) -> Result<Merge, Error> {
        match self.merge_fetched(order, head, false) {
            Ok(merge) => Ok(merge),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Damaged(what)) => {
                tracing::warn!(mirror = order.key, what, "the mirror is damaged; cloning it anew");
                self.merge_fetched(order, head, true)
                    .map_err(|refusal| refusal.into_error(order.key))
            }
        }
    }

    fn merge_fetched(
        self: &Arc<Self>,
        order: &Order<'_>,
        head: &Head,
        fresh: bool,
    ) -> Result<Merge, Refusal> {
        let Pair { held, head, merge_bases } = self.mirrors.fetch_pair(order, head, fresh)?;
        let Held { repo, commit, in_use } = held;
        let options = self.mirrors.options();
        let scratch = Empty::make(&self.jobs, options.clone())?;
        let scratch = scratch.over(&repo.git_dir().join("objects"), Some(in_use), options)?;
        let pair = (commit, head, merge_bases.as_slice());
        self.merge_here(scratch, pair, order.key, order.want.branch(), &order.terms.cancel)
    }

    fn merge_local(
        self: &Arc<Self>,
        repository: &Path,
        base: &str,
        head: &str,
        cancel: &CancellationToken,
    ) -> Result<Merge, Error> {
        let layout = Layout::find(repository)?;
        let scratch = layout.open(&self.jobs, self.mirrors.options())?;
        let repo = scratch.repo.to_thread_local();
        let (one, other) =
            (local::resolve(&repo, repository, base)?, local::resolve(&repo, repository, head)?);
        let name = repository.display().to_string();
        let damaged = |refusal: Refusal| refusal.into_error(&name);
        let merge_bases = match history::relate(&repo, one, other, cancel).map_err(damaged)? {
            Relation::MergeBases(merge_bases) => merge_bases,
            Relation::Unrelated => {
                return Err(Error::Unrelated { base: one.to_string(), head: other.to_string() });
            }
            Relation::OutOfSight => {
                let what = format!("{name} is too shallow to tell where {base} and {head} part");
                return Err(Error::invalid(what));
            }
        };
        self.merge_here(scratch, (one, other, &merge_bases), &name, base, cancel).map_err(damaged)
    }

    fn merge_here(
        self: &Arc<Self>,
        scratch: Scratch,
        (base, head, merge_bases): (ObjectId, ObjectId, &[ObjectId]),
        key: &str,
        branch: &str,
        cancel: &CancellationToken,
    ) -> Result<Merge, Refusal> {
        let repo = scratch.repo.to_thread_local();
        let (limits, names) = (&self.limits, (base.to_string(), head.to_string()));
        match merge::merge(&repo, base, head, merge_bases, limits, cancel)? {
            Outcome::Conflict(paths) => Ok(Merge::Conflict { base: names.0, head: names.1, paths }),
            Outcome::Clean(merged) => {
                let merge_base = match merge_bases {
                    [one] => Some(one.to_string()),
                    _ => None,
                };
                let names = Names {
                    key: key.to_owned(),
                    branch: branch.to_owned(),
                    base: names.0,
                    head: names.1,
                    merge_base,
                };
                Proposal::new(self.clone(), scratch, names, merged, cancel).map(Merge::Clean)
            }
        }
    }
}
