//! The one exit: a port inside that is carried to a Unix socket outside.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    time::{Duration, Instant},
};

use booty_sandbox::{
    Backend, Command, End, Network, ProxyExit, RunResult, Sandbox, SandboxSettings,
};
use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::world::{World, is_alive, limits};

/// Answers each connection with what it said, once it has said all.
struct Echo {
    folder: TempDir,
}

impl Echo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let all = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(folder.path().join("socket"), all).unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                std::thread::spawn(move || {
                    let mut said = Vec::new();
                    connection.read_to_end(&mut said).unwrap();
                    connection.write_all(&said).unwrap();
                    connection.shutdown(Shutdown::Both).unwrap();
                });
            }
        });
        Self { folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

async fn sandbox() -> Sandbox {
    let forwarder = Some(env!("CARGO_BIN_EXE_sandbox-forward").into());
    Sandbox::prepare(SandboxSettings { forwarder, ..SandboxSettings::default() }).await.unwrap()
}

fn command(world: &World, echo: &Echo, script: &str) -> Command {
    let network = Network::Proxy(ProxyExit { socket: echo.socket() });
    Command { network, ..world.command(script) }
}

async fn run(command: &Command) -> RunResult {
    sandbox().await.run(command, &CancellationToken::new()).await.unwrap()
}

const SAY: &str = "
import os, socket, sys, threading
from urllib.parse import urlsplit
at = urlsplit(os.environ['https_proxy'])
def say(what):
    s = socket.create_connection((at.hostname, at.port))
    s.sendall(what); s.shutdown(socket.SHUT_WR)
    heard = b''
    while part := s.recv(65536):
        heard += part
    return heard == what
";

#[tokio::test]
async fn connections_are_carried_whole_and_many_at_once() {
    let (world, echo) = (World::new().await, Echo::start());
    let program = format!(
        "{SAY}
# Stacks count as data, of which these tests' sandboxes have 256 MiB: 31 of the usual 8 MiB.
threading.stack_size(1 << 18)
fine = []
def one(n):
    fine.append(say(bytes([n]) * (200000 + n)))
threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(fine), all(fine))
"
    );
    std::fs::write(world.tree().join("say.py"), program).unwrap();
    world.own();
    let result = run(&command(&world, &echo, "/usr/bin/python3 say.py")).await;
    assert_eq!((result.end, result.output.as_str()), (End::Exited(0), "40 True\n"));
}

#[rstest]
#[case("true", End::Exited(0))]
#[case("exit 126", End::Exited(126))]
#[case("no-such-program", End::Exited(127))]
#[case("kill -SEGV $$", End::Signalled(11))]
#[case("echo 'done'; exit 1", End::Exited(1))]
#[case::the_forwarder_is_not_waited_for("wait; exit 4", End::Exited(4))]
#[case::nor_is_it_a_child_of_the_script(
    "/usr/bin/python3 -c 'import os, sys\ntry:\n    os.wait()\nexcept ChildProcessError:\n    sys.exit(5)'",
    End::Exited(5)
)]
#[tokio::test]
async fn a_script_ends_as_without_an_exit(#[case] script: &str, #[case] end: End) {
    let (world, echo) = (World::new().await, Echo::start());
    let mut result = run(&command(&world, &echo, script)).await;
    assert_eq!(result.end, end, "{}", result.output);
    let plain = world.sh(script).await;
    result.duration = plain.duration;
    assert_eq!(result, plain);
}

#[tokio::test]
async fn nothing_is_left_when_it_ends() {
    let (world, echo) = (World::new().await, Echo::start());
    let mut command = command(&world, &echo, "sleep 4721.5 & sleep 4721.5");
    command.limits.wall = Duration::from_millis(700);
    let started = Instant::now();
    assert_eq!(run(&command).await.end, End::TimedOut);
    assert!(!is_alive("4721.5"));
    // Its name inside is its name in the list of processes; those of other tests end too.
    while is_alive("/run/booty/forward forward serve") {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_script_gets_no_descriptor_and_no_variable_more_than_the_proxy() {
    let (world, echo) = (World::new().await, Echo::start());
    let script = "i=0; while [ $i -lt 128 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done; \
        env | grep -vi proxy | cut -d= -f1 | sort | tr '\\n' ' '; touch /run/booty/x 2>&1; id -u";
    let result = run(&command(&world, &echo, script)).await;
    let lines: Vec<&str> = result.output.lines().collect();
    assert_eq!(lines[..3], ["0", "1", "2"]);
    let names: Vec<&str> =
        lines[3].split(' ').filter(|name| *name != "PWD" && !name.starts_with("touch")).collect();
    assert_eq!(names[..8], ["CI", "HOME", "LANG", "PATH", "SHELL", "TERM", "TMPDIR", "TZ"]);
    assert!(result.output.contains("Read-only file system"), "{}", result.output);
}

#[tokio::test]
async fn there_is_no_other_way_out() {
    let (world, echo) = (World::new().await, Echo::start());
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = format!(
        "{SAY}
def attempt(what, do):
    try:
        do(); print('reached', what)
    except OSError:
        pass
for at2 in [('127.0.0.1', {port}), ('169.254.169.254', 80), ('192.0.2.1', 443)]:
    attempt(at2, lambda: socket.create_connection(at2, 1))
attempt('dns', lambda: socket.getaddrinfo('name.invalid', 80))
print(say(b'x'))
",
        port = host.local_addr().unwrap().port()
    );
    std::fs::write(world.tree().join("say.py"), program).unwrap();
    world.own();
    let result = run(&command(&world, &echo, "/usr/bin/python3 say.py")).await;
    assert_eq!(result.output, "True\n");
}

#[tokio::test]
async fn without_forwarder_socket_or_sandbox_it_is_refused() {
    let (world, echo) = (World::new().await, Echo::start());
    let mut command = command(&world, &echo, "true");
    let refused = |error: booty_sandbox::Error| error.to_string();
    let error = world.sandbox.run(&command, &CancellationToken::new()).await.unwrap_err();
    assert!(refused(error).contains("no program to carry its connections"));
    let bare = SandboxSettings { backend: Backend::None, ..SandboxSettings::default() };
    let bare = Sandbox::prepare(bare).await.unwrap();
    let error = bare.run(&command, &CancellationToken::new()).await.unwrap_err();
    assert!(refused(error).contains("without a sandbox"));
    command.network = Network::Proxy(ProxyExit { socket: world.tree().join("none") });
    let error = sandbox().await.run(&command, &CancellationToken::new()).await.unwrap_err();
    assert!(refused(error).contains("socket is not there"));
    assert_eq!(command.limits, limits());
}
