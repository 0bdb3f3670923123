//! What bubblewrap is told.

use std::{
    ffi::{CString, OsStr},
    io::{self, Seek, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::MemfdFlags;

use crate::{
    command::Command,
    forward,
    network::{Exit, Network},
    seccomp,
    spawn::{Prelude, Staged},
    watch::scratch_bytes,
};

/// Where the work tree is inside.
pub(crate) const WORK_TREE: &str = "/workspace";
/// Who a command is inside; also the owner of the work tree there.
const INSIDE_ID: &str = "1000";
const HOME: &str = "/tmp/home";

const PASSWD: &str = "root:x:0:0:root:/nonexistent:/bin/false\n\
    booty:x:1000:1000:booty:/tmp/home:/bin/sh\n\
    nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\nbooty:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost booty\n::1 localhost\n";
const NSSWITCH: &str =
    "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n";

/// Below `/`, a link into `/usr` on merged systems and a folder on others.
const ROOT_FOLDERS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// What the dynamic linker and Debian's tool links need; no host names, accounts or certificates.
const ETC: [&str; 5] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/mime.types",
];
/// Tool folders of `/usr` that are looked into when they are there, then the usual ones.
const TOOLS: &str = "/usr/local/go/bin";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Limits the processes inside of the sandbox's user namespace, which counts its own only. Root
/// outside could not without `CAP_SYS_RESOURCE`, which containers often lack. dash and busybox call
/// it `-p`, bash `-u`; a wrong option ends dash, hence the trial in a subshell.
const LIMIT_PROCESSES: &str = "if (ulimit -u \"$0\") 2>/dev/null; then ulimit -u \"$0\"; else ulimit -p \"$0\"; fi \
    || { echo 'the number of processes cannot be limited'; exit 126; }; exec \"$@\"";

/// The arguments of one sandbox, and the descriptors that they name.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Handed over in a memory file: the arguments of a process can be read by everyone, its
    /// sandbox included.
    list: Vec<u8>,
    keep: Vec<OwnedFd>,
}

/// Where a folder is for bubblewrap, which may not be where it is for us.
pub(crate) enum Reach {
    /// At its own path.
    Directly,
    /// Mounted on a stage that any user can reach, as root's home cannot.
    Staged,
}

impl Reach {
    /// Where bubblewrap finds `path`, which the child mounts on its stage if need be.
    pub(crate) fn stage(&self, prelude: &mut Prelude, path: &Path) -> io::Result<PathBuf> {
        match self {
            Self::Directly => Ok(path.to_owned()),
            Self::Staged => {
                let target = format!("/tmp/{}", prelude.stage.len());
                let source = CString::new(path.as_os_str().as_bytes())?;
                let is_folder = std::fs::symlink_metadata(path)?.is_dir();
                prelude.stage.push(Staged {
                    source,
                    target: CString::new(target.as_str())?,
                    is_folder,
                });
                prelude.staged.reserve(prelude.stage.len());
                Ok(PathBuf::from(target))
            }
        }
    }
}

impl Arguments {
    /// All but the program. `status` and `block` are the child's ends of two pipes.
    pub(crate) fn new(
        command: &Command,
        read_only: &[PathBuf],
        exit: Option<&Exit<'_>>,
        reach: &Reach,
        status: OwnedFd,
        block: OwnedFd,
    ) -> io::Result<(Self, Prelude)> {
        let (mut arguments, mut prelude) = (Self::default(), Prelude::default());
        arguments.isolation();
        arguments.root()?;
        arguments.scratch(command);
        let mut stage = |path: &Path| reach.stage(&mut prelude, path);
        for folder in read_only {
            let source = stage(folder)?;
            arguments.paths("--ro-bind", &source, folder);
        }
        let source = stage(&command.work_tree)?;
        arguments.paths("--bind", &source, Path::new(WORK_TREE));
        for mount in &command.mounts {
            let source = stage(&mount.source)?;
            let option = if mount.writable { "--bind" } else { "--ro-bind" };
            arguments.paths(option, &source, &mount.target);
        }
        if let Some(exit) = exit {
            for (path, target) in
                [(exit.forwarder, forward::PROGRAM), (exit.socket, forward::SOCKET)]
            {
                let source = stage(path)?;
                arguments.paths("--ro-bind", &source, Path::new(target));
            }
        }
        arguments.texts(&["--remount-ro", "/"]);
        arguments.paths("--chdir", &Path::new(WORK_TREE).join(&command.directory), Path::new(""));
        arguments.environment(command, read_only);
        arguments.controls(status, block)?;
        Ok((arguments, prelude))
    }

    /// What closes the holes of namespaces, and the pipes by which a start is followed.
    pub(crate) fn controls(&mut self, status: OwnedFd, block: OwnedFd) -> io::Result<()> {
        if let Some(filter) = seccomp::filter() {
            let descriptor = self.memory_file(&filter)?;
            self.texts(&["--seccomp", &descriptor]);
        }
        let number = self.keep(status);
        self.texts(&["--json-status-fd", &number]);
        let number = self.keep(block);
        self.texts(&["--block-fd", &number]);
        Ok(())
    }

    /// The option that names the list, and the descriptors that must survive exec.
    pub(crate) fn finish(mut self) -> io::Result<(String, Vec<OwnedFd>)> {
        let list = std::mem::take(&mut self.list);
        let descriptor = self.memory_file(&list)?;
        Ok((descriptor, self.keep))
    }

    /// The command line, and the descriptors that must survive exec.
    pub(crate) fn command_line(self, command: &Command) -> io::Result<(Vec<String>, Vec<OwnedFd>)> {
        let (descriptor, keep) = self.finish()?;
        let processes = command.limits.processes.to_string();
        let then: &[&str] = match command.network {
            Network::None => &["/bin/sh", "-c"],
            Network::Proxy(_) => &[forward::PROGRAM, forward::ARGUMENT, forward::RUN],
        };
        let mut line = vec!["--args", &descriptor, "--", "/bin/sh", "-c", LIMIT_PROCESSES];
        line.push(&processes);
        line.extend(then);
        line.push(&command.script);
        Ok((line.into_iter().map(str::to_owned).collect(), keep))
    }

    fn isolation(&mut self) {
        self.texts(&["--unshare-user", "--unshare-all", "--disable-userns"]);
        self.texts(&["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]);
        self.texts(&["--uid", INSIDE_ID, "--gid", INSIDE_ID, "--hostname", "booty"]);
    }

    pub(crate) fn root(&mut self) -> io::Result<()> {
        self.texts(&["--ro-bind", "/usr", "/usr"]);
        for name in ROOT_FOLDERS {
            let path = Path::new("/").join(name);
            match std::fs::read_link(&path) {
                Ok(target) => self.paths("--symlink", &target, &path),
                Err(_) => self.paths("--ro-bind-try", &path, &path),
            }
        }
        for file in ETC {
            self.texts(&["--ro-bind-try", file, file]);
        }
        let made_up =
            [("passwd", PASSWD), ("group", GROUP), ("hosts", HOSTS), ("nsswitch.conf", NSSWITCH)];
        for (name, content) in made_up {
            let descriptor = self.memory_file(content.as_bytes())?;
            self.texts(&[
                "--perms",
                "0444",
                "--ro-bind-data",
                &descriptor,
                &format!("/etc/{name}"),
            ]);
        }
        Ok(())
    }

    fn scratch(&mut self, command: &Command) {
        let size = scratch_bytes(&command.limits).to_string();
        self.texts(&["--proc", "/proc", "--dev", "/dev"]);
        self.texts(&["--perms", "1777", "--size", &size, "--tmpfs", "/dev/shm"]);
        self.texts(&["--remount-ro", "/dev"]);
        self.texts(&["--perms", "1777", "--size", &size, "--tmpfs", "/tmp", "--dir", HOME]);
    }

    fn environment(&mut self, command: &Command, read_only: &[PathBuf]) {
        for (name, value) in allowed(search_path(read_only), HOME) {
            if !command.env.contains_key(name) {
                self.texts(&["--setenv", name, &value]);
            }
        }
        for (name, value) in command.network.env() {
            if !command.env.contains_key(name) {
                self.texts(&["--setenv", name, &value]);
            }
        }
        for (name, value) in &command.env {
            self.texts(&["--setenv", name, value]);
        }
    }

    pub(crate) fn texts(&mut self, texts: &[&str]) {
        for text in texts {
            self.list.extend(text.as_bytes());
            self.list.push(0);
        }
    }

    /// An option with one path or, when `second` is not empty, two.
    pub(crate) fn paths(&mut self, option: &str, first: &Path, second: &Path) {
        self.texts(&[option]);
        for path in [first, second].into_iter().map(Path::as_os_str).filter(|path| !path.is_empty())
        {
            self.list.extend(OsStr::as_bytes(path));
            self.list.push(0);
        }
    }

    pub(crate) fn keep(&mut self, descriptor: OwnedFd) -> String {
        let number = descriptor.as_raw_fd().to_string();
        self.keep.push(descriptor);
        number
    }

    pub(crate) fn memory_file(&mut self, content: &[u8]) -> io::Result<String> {
        let descriptor = rustix::fs::memfd_create(c"booty-sandbox", MemfdFlags::CLOEXEC)?;
        let mut file = std::fs::File::from(descriptor);
        file.write_all(content)?;
        file.rewind()?;
        Ok(self.keep(OwnedFd::from(file)))
    }
}

/// The variables that every command gets. They come from here and from nowhere else.
pub(crate) fn allowed(path: String, home: &str) -> [(&'static str, String); 9] {
    [
        ("CI", "true".to_owned()),
        ("HOME", home.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PATH", path),
        ("SHELL", "/bin/sh".to_owned()),
        ("TERM", "dumb".to_owned()),
        ("TMPDIR", "/tmp".to_owned()),
        ("TZ", "UTC".to_owned()),
        ("USER", "booty".to_owned()),
    ]
}

/// `bin` of the toolchain folders, then the system's.
pub(crate) fn search_path(read_only: &[PathBuf]) -> String {
    let mut parts: Vec<String> = read_only
        .iter()
        .map(|folder| folder.join("bin"))
        .filter(|folder| folder.is_dir())
        .filter_map(|folder| folder.to_str().map(str::to_owned))
        .collect();
    if Path::new(TOOLS).is_dir() {
        parts.push(TOOLS.to_owned());
    }
    parts.push(PATH.to_owned());
    parts.join(":")
}
