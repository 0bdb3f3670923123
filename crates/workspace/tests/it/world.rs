//! A repository on a server, and a folder for workspaces.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use booty_workspace::{
    Checkout, Error, MirrorLimits, Remote, TreeLimits, Want, WorkspaceSettings, Workspaces,
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::server::GitServer;

pub(crate) const TOKEN: &str = "ghs_this-is-the-secret-0123456789";
pub(crate) const KEY: &str = "octo_repo";

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) server: GitServer,
    pub(crate) repo: Repo,
    pub(crate) limits: TreeLimits,
    pub(crate) mirror: MirrorLimits,
    pub(crate) fetch_timeout: Duration,
}

impl World {
    /// An empty repository `octo/repo.git` behind a token.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo::init(&folder.path().join("remote/octo/repo.git"));
        let server = GitServer::start(&folder.path().join("remote"), Some(TOKEN)).await;
        let (limits, mirror) = (TreeLimits::default(), MirrorLimits::default());
        Self { folder, server, repo, limits, mirror, fetch_timeout: Duration::from_secs(60) }
    }

    /// With a commit of these files on `main`.
    pub(crate) async fn with(files: &[(&str, &str, &[u8])]) -> Self {
        let world = Self::new().await;
        world.repo.commit("main", files);
        world
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn outside(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self) -> Workspaces {
        let settings = WorkspaceSettings {
            root: self.root(),
            limits: self.limits,
            fetch_timeout: self.fetch_timeout,
        };
        Workspaces::open_with(settings, self.mirror).unwrap()
    }

    pub(crate) fn remote(&self) -> Remote {
        self.remote_with(Some(TOKEN))
    }

    pub(crate) fn remote_with(&self, token: Option<&str>) -> Remote {
        let url = format!("{}/octo/repo.git", self.server.origin()).parse().unwrap();
        Remote { url, token: token.map(SecretString::from) }
    }

    pub(crate) async fn checkout(
        &self,
        workspaces: &Workspaces,
        job: &str,
    ) -> Result<Checkout, Error> {
        self.checkout_want(workspaces, &branch("main"), job).await
    }

    pub(crate) async fn checkout_want(
        &self,
        workspaces: &Workspaces,
        want: &Want,
        job: &str,
    ) -> Result<Checkout, Error> {
        workspaces.checkout(KEY, &self.remote(), want, job, CancellationToken::new()).await
    }

    /// The folders of jobs, by name.
    pub(crate) fn jobs(&self) -> Vec<String> {
        names(&self.root().join("jobs"))
    }

    /// The generations of the mirror, complete or not.
    pub(crate) fn generations(&self) -> Vec<String> {
        names(&self.root().join("mirrors").join(KEY))
    }
}

pub(crate) fn branch(name: &str) -> Want {
    Want::Branch(name.into())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A bare repository, made with git.
pub(crate) struct Repo {
    pub(crate) path: PathBuf,
}

impl Repo {
    pub(crate) fn init(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let this = Self { path: path.to_owned() };
        this.git(&["init", "-q", "--bare", "-b", "main", "."], b"");
        this
    }

    pub(crate) fn git(&self, args: &[&str], input: &[u8]) -> String {
        let mut child = Command::new("git")
            .args(args)
            .current_dir(&self.path)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", "/nonexistent")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.com")])
            .envs([("GIT_COMMITTER_NAME", "C"), ("GIT_COMMITTER_EMAIL", "c@example.com")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn blob(&self, content: &[u8]) -> String {
        self.git(&["hash-object", "-w", "--stdin"], content)
    }

    /// A tree object of exactly these entries, in this order, whatever git thinks of it.
    pub(crate) fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name);
            data.push(0);
            data.extend((0..20).map(|i| u8::from_str_radix(&id[2 * i..2 * i + 2], 16).unwrap()));
        }
        self.git(&["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], &data)
    }

    /// A commit of a tree as the branch's newest.
    pub(crate) fn commit_tree(&self, branch: &str, tree: &str) -> String {
        let name = format!("refs/heads/{branch}");
        let parent = Command::new("git")
            .args(["rev-parse", "--verify", "-q", &name])
            .current_dir(&self.path)
            .output()
            .unwrap()
            .stdout;
        let parent = String::from_utf8(parent).unwrap().trim().to_owned();
        let mut args = vec!["commit-tree", tree, "-m", "message"];
        if !parent.is_empty() {
            args.extend(["-p", &parent]);
        }
        let commit = self.git(&args, b"");
        self.git(&["update-ref", &name, &commit], b"");
        commit
    }

    /// A commit of files (path, mode, content) as the branch's newest.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str, &[u8])]) -> String {
        let lines: String = files
            .iter()
            .map(|(path, mode, content)| {
                let id = if *mode == "160000" {
                    String::from_utf8(content.to_vec()).unwrap()
                } else {
                    self.blob(content)
                };
                format!("{mode} {id}\t{path}\n")
            })
            .collect();
        self.git(&["read-tree", "--empty"], b"");
        self.git(&["update-index", "--add", "--index-info"], lines.as_bytes());
        let tree = self.git(&["write-tree", "--missing-ok"], b"");
        self.commit_tree(branch, &tree)
    }
}

/// Bytes that no compression makes smaller, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}
