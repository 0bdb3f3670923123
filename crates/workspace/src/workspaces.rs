//! The door of this crate.

use std::{fs, sync::Arc, time::Duration};

use gix::objs::Kind;
use tokio::{runtime::Handle, task::spawn_blocking, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Checkout, Error, MirrorLimits, Remote, TreeLimits, Want, WorkspaceSettings,
    base::{self, BaseTree, Refusal},
    checkout::join,
    job::{JobFolder, Jobs},
    mirror::{Held, Mirrors, Order},
    remote::check_token,
    transport::Terms,
    write,
};

/// Bytes of a commit object: its message is somebody's text, not a store.
const MAX_COMMIT_BYTES: u64 = 1 << 20;

/// All mirrors and job folders under one root. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workspaces {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    jobs: Jobs,
    mirrors: Mirrors,
    limits: TreeLimits,
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
        let terms = Terms {
            cancel,
            deadline: Instant::now() + shared.fetch_timeout,
            limit: shared.fetch_timeout,
            download_bytes: shared.download_bytes,
            runtime: Handle::current(),
        };
        join(spawn_blocking(move || {
            shared.checkout(&Order { key: &key, remote: &remote, want: &want, terms }, &job)
        }))
        .await
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
        let commit = base::read(&repo, held.commit, Kind::Commit, MAX_COMMIT_BYTES)?;
        let root = gix::objs::CommitRefIter::from_bytes(&commit, held.commit.kind())
            .tree_id()
            .map_err(|error| Refusal::Damaged(format!("{}: {error}", held.commit)))?;
        let tree = base::walk(&repo, root, &self.limits, cancel)?;
        write::write(&repo, &tree, folder.tree(), cancel)?;
        Ok((held, tree))
    }

    fn finish(&self, order: &Order<'_>, folder: JobFolder, held: Held, tree: BaseTree) -> Checkout {
        Checkout::new(
            folder,
            held,
            order.key.to_owned(),
            order.want.branch().to_owned(),
            tree,
            self.limits,
        )
    }
}
