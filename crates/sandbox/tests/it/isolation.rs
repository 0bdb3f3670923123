//! What a command must not see or reach.

use std::{
    io::Write,
    net::{TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    path::Path,
};

use booty_sandbox::{End, Sandbox, SandboxSettings};
use rstest::rstest;

use crate::world::World;

const CANARY: &str = "canary-7c1e5b";

/// Looks everywhere a command can look.
const SEARCH: &str = "env; for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\\0' '\\n' < $f; done; \
    find / -xdev -not -path '/proc/*' -not -path '/usr/*' -type f -size -64k -exec cat {} + ; \
    cat /root/.ssh/* /home/*/.ssh/* /run/secrets/* /var/run/secrets/* /etc/shadow /proc/1/root/etc/shadow; \
    ls -la / /root /home /run /var /proc/1/cwd /proc/1/root /proc/1/fd";

#[tokio::test]
async fn canaries_are_not_found() {
    let world = World::new().await;
    // In the environment, cargo has planted: where this crate is.
    let planted = tempfile::tempdir_in("/tmp").unwrap();
    for name in [".ssh/id_ed25519", "run/secrets/token", "other-job/file"] {
        let file = planted.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, CANARY).unwrap();
    }
    let mut command =
        world.command(&format!("{SEARCH}; cat {}/*/*; true", planted.path().display()));
    command.limits.output_bytes = 32 << 20;
    let result = world.run(&command).await;
    assert!(!result.output.contains(CANARY));
    assert!(!result.output.contains("CARGO_MANIFEST_DIR"), "the parent's environment shows");
    assert!(!result.output.contains(env!("CARGO_MANIFEST_DIR")), "the parent's environment shows");
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    assert!(
        host.trim().is_empty() || world.sh("hostname; uname -n").await.output == "booty\nbooty\n"
    );
}

#[tokio::test]
async fn the_environment_is_the_allow_list() {
    let world = World::new().await;
    let result =
        world.sh("env | cut -d= -f1 | sort | tr '\\n' ' '; tr '\\0' '\\n' < /proc/1/environ").await;
    let mut names: Vec<&str> = result.output.split_whitespace().collect();
    names.retain(|name| *name != "PWD");
    assert_eq!(names, ["CI", "HOME", "LANG", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"]);
}

#[tokio::test]
async fn nothing_of_the_host_can_be_written() {
    let world = World::new().await;
    let script = "for f in /x /usr/x /usr/bin/x /etc/x /etc/passwd /dev/x /proc/sys/kernel/hostname \
        /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/1/oom_score_adj /sys/x /lib/x; do \
        (echo x > $f) 2>/dev/null && echo \"wrote $f\"; done; \
        mount -t tmpfs x /mnt 2>/dev/null && echo mounted; \
        unshare -Ur true 2>/dev/null && echo namespaced; \
        chroot / true 2>/dev/null && echo chrooted; \
        touch /workspace/ok /tmp/ok /dev/shm/ok /tmp/home/ok && echo scratch";
    assert_eq!(world.sh(script).await.output, "scratch\n");
    assert!(world.tree().join("ok").exists());
}

#[tokio::test]
async fn it_is_nobody_with_nothing() {
    let world = World::new().await;
    let script = "id -u; id -un; grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Groups|Seccomp):' /proc/self/status | tr -d '\\t '; ls /proc/self/fd | wc -l; ps -e 2>/dev/null | wc -l; cat /proc/self/cgroup | head -1";
    let result = world.sh(script).await;
    let lines: Vec<&str> = result.output.lines().collect();
    assert_eq!(&lines[..2], ["1000", "booty"]);
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(lines.contains(&format!("{name}:0000000000000000").as_str()), "{}", result.output);
    }
    assert!(lines.contains(&"NoNewPrivs:1") && lines.contains(&"Seccomp:2"), "{}", result.output);
    if rustix::process::geteuid().is_root() {
        use std::os::unix::fs::MetadataExt;
        world.sh("touch mine").await;
        let owner = std::fs::metadata(world.tree().join("mine")).unwrap();
        assert_eq!((owner.uid(), owner.gid()), booty_sandbox::NOBODY);
    }
}

#[tokio::test]
async fn no_descriptor_leaks_in() {
    let world = World::new().await;
    // A library that forgets close-on-exec.
    let file = std::fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let result = world
        .sh("i=0; while [ $i -lt 1024 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done")
        .await;
    assert_eq!(result.output, "0\n1\n2\n");
}

#[tokio::test]
async fn there_is_no_network() {
    let world = World::new().await;
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let any = TcpListener::bind("0.0.0.0:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let name = format!("booty-test-{}", std::process::id());
    let abstract_address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
    let _listener = UnixListener::bind_addr(&abstract_address).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _datagram = UnixDatagram::bind(folder.path().join("socket")).unwrap();
    let program = format!(
        r#"
import socket
def attempt(what, do):
    try:
        do()
        print('reached', what)
    except OSError as e:
        pass
def tcp(host, port):
    s = socket.socket(); s.settimeout(1); s.connect((host, port))
attempt('host tcp', lambda: tcp('127.0.0.1', {tcp}))
attempt('host any', lambda: tcp('127.0.0.1', {any}))
attempt('metadata', lambda: tcp('169.254.169.254', 80))
attempt('internet', lambda: tcp('1.1.1.1', 443))
attempt('dns', lambda: socket.getaddrinfo('example.com', 80))
attempt('nats', lambda: tcp('127.0.0.1', 4222))
attempt('udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53)))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp}))
attempt('abstract', lambda: socket.socket(socket.AF_UNIX).connect('\0{name}'))
attempt('path', lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect('{path}'))
attempt('vsock', lambda: socket.socket(socket.AF_VSOCK))
attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('alg', lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); c = socket.create_connection(s.getsockname())
print('own loopback works')
"#,
        tcp = tcp.local_addr().unwrap().port(),
        any = any.local_addr().unwrap().port(),
        udp = udp.local_addr().unwrap().port(),
        path = folder.path().join("socket").display(),
    );
    let result = world.python(&program).await;
    assert_eq!(result.output, "own loopback works\n");
    assert!(udp.recv(&mut [0; 8]).is_err(), "a datagram came out");
}

#[tokio::test]
async fn a_link_in_the_tree_leads_nowhere() {
    let world = World::new().await;
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, world.tree().join(name)).unwrap()
    };
    link("/etc/shadow", "shadow");
    link("/root", "root");
    link("../../../../../../../../etc/shadow", "up");
    link("/proc/1/root/etc/shadow", "init");
    world.own();
    let result = world.sh("cat shadow up init root/.bashrc; ls root/").await;
    assert_eq!(
        result.output.matches("No such file").count()
            + result.output.matches("Permission denied").count(),
        5,
        "{}",
        result.output
    );
}

#[tokio::test]
async fn a_planted_git_folder_starts_nothing_outside() {
    let world = World::new().await;
    let script = "mkdir -p .git/hooks; printf '[core]\\n fsmonitor = touch /tmp/pwned\\n' > .git/config; \
        echo 'gitdir: /root/.git' > file.git; mkfifo fifo; ls -A | sort";
    let result = world.sh(script).await;
    assert_eq!(result.output, ".git\nfifo\nfile.git\n");
    assert!(!Path::new("/tmp/pwned").exists());
    // A run in the same tree, with the FIFO and all, still starts and ends.
    world.own();
    assert_eq!(world.sh("true").await.end, End::Exited(0));
}

#[tokio::test]
async fn toolchain_folders_are_readable_at_their_path() {
    let world = World::new().await;
    // As root: below its home, which the sandbox user cannot enter.
    let home = if rustix::process::geteuid().is_root() { "/root" } else { "/var/tmp" };
    let folder = tempfile::tempdir_in(home).unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    let tool = folder.path().join("bin/my-tool");
    let mut file = std::fs::File::create(&tool).unwrap();
    file.write_all(b"#!/bin/sh\necho tool\n").unwrap();
    drop(file);
    use std::os::unix::fs::PermissionsExt;
    for path in [folder.path(), &tool] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let settings =
        SandboxSettings { read_only: vec![folder.path().to_owned()], ..SandboxSettings::default() };
    let sandbox = Sandbox::prepare(settings).await.unwrap();
    let script =
        format!("my-tool; touch {0}/x || echo read-only; ls -A {1}", folder.path().display(), home);
    let result = sandbox.run(&world.command(&script), &Default::default()).await.unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    assert!(result.output.starts_with("tool\n"), "{}", result.output);
    assert!(result.output.ends_with(&format!("read-only\n{name}\n")), "{}", result.output);
}

#[rstest]
#[case("/")]
#[case("/home")]
#[case("/root")]
#[case("/etc")]
#[case("/usr/../root")]
#[case("relative")]
#[case("/no/such/folder")]
#[tokio::test]
async fn a_home_or_the_root_is_no_toolchain(#[case] folder: &str) {
    let settings = SandboxSettings { read_only: vec![folder.into()], ..SandboxSettings::default() };
    let error = Sandbox::prepare(settings).await.unwrap_err();
    assert!(error.to_string().starts_with("sandbox unavailable: "), "{error}");
    assert!(error.to_string().contains("BOOTY_SANDBOX_RO"), "{error}");
}

#[tokio::test]
async fn without_bubblewrap_it_says_what_to_install() {
    let backend = booty_sandbox::Backend::Bwrap { program: "no-such-bwrap".into() };
    let error = Sandbox::prepare(SandboxSettings { backend, ..SandboxSettings::default() })
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "sandbox unavailable: there is no program no-such-bwrap; install bubblewrap 0.8 or newer (Debian: apt-get install bubblewrap)"
    );
}
