//! The agent's cage, tried from inside: what it reaches, what it sees, and how it is refused.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::{TcpStream, ToSocketAddrs as _, UdpSocket},
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::{MetadataExt as _, PermissionsExt as _},
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use crate::{
    entry::{TARGETS, builder_command},
    world::{PATIENCE, WRONG_THEN_RIGHT, World, says},
};

const MODEL_SOCKET: &str = "/run/booty/model";
const CANARY: &str = "canary-of-the-builders-environment";
/// Long enough for a refusal, which comes at once where there is no network.
const CONNECT: Duration = Duration::from_secs(5);

/// What a probe tries.
#[derive(Debug, Serialize, Deserialize)]
struct Targets {
    tcp: BTreeMap<String, String>,
    abstract_socket: String,
    files: BTreeMap<String, PathBuf>,
    write_into: BTreeMap<String, PathBuf>,
    /// Where the model is for an agent that is not caged.
    model: String,
}

/// What came of it: by name, what was reached.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    reached: BTreeMap<String, String>,
    environment: Vec<String>,
    processes: Vec<String>,
    interfaces: Vec<String>,
    top: Vec<String>,
    /// What the kernel says of the probe's rights.
    status: String,
    /// Whose the system's folders are, as it looks from inside.
    owner_of_usr: u32,
}

/// The agent's part; it says what it saw through the one way that there is.
pub(crate) fn probe(targets: &str) {
    let targets: Targets = serde_json::from_str(targets).unwrap();
    let report = serde_json::to_vec(&look(&targets)).unwrap();
    let is_caged = Path::new(MODEL_SOCKET).exists();
    for text in [b"first".as_slice(), &report] {
        let mut way: Box<dyn std::io::Write> = if is_caged {
            Box::new(UnixStream::connect(MODEL_SOCKET).unwrap())
        } else {
            Box::new(TcpStream::connect(&targets.model).unwrap())
        };
        way.write_all(text).unwrap();
    }
}

fn look(targets: &Targets) -> Seen {
    let mut seen = Seen::default();
    let mut reach = |name: &str, how: Option<String>| {
        if let Some(how) = how {
            seen.reached.insert(name.to_owned(), how);
        }
    };
    for (name, address) in &targets.tcp {
        let address = address.parse().unwrap();
        let found = TcpStream::connect_timeout(&address, CONNECT).ok();
        reach(name, found.map(|_| "connected".to_owned()));
    }
    let names = ("localhost.example.com", 80).to_socket_addrs();
    reach("dns", names.ok().map(|found| format!("{found:?}")));
    let udp = UdpSocket::bind("0.0.0.0:0").and_then(|udp| udp.send_to(b"x", "192.0.2.1:53"));
    reach("udp", udp.ok().map(|_| "sent".to_owned()));
    let address = SocketAddr::from_abstract_name(&targets.abstract_socket).unwrap();
    reach("abstract", UnixStream::connect_addr(&address).ok().map(|_| "connected".to_owned()));
    for (name, path) in &targets.files {
        let content = std::fs::read(path).ok();
        reach(name, content.map(|content| String::from_utf8_lossy(&content).into_owned()));
    }
    for (name, folder) in &targets.write_into {
        let wrote = std::fs::write(folder.join("probe-was-here"), "x").ok();
        reach(name, wrote.map(|()| "written".to_owned()));
    }
    let vsock =
        "import socket\ntry:\n  socket.socket(40, 1)\n  print('made')\nexcept OSError: pass";
    let python = std::process::Command::new("python3").args(["-c", vsock]).output().unwrap();
    let said = String::from_utf8_lossy(&python.stdout).trim().to_owned();
    reach("vsock", (!said.is_empty()).then_some(said));

    seen.environment = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if entry.file_name().to_string_lossy().parse::<u32>().is_ok() {
            let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
            let told = [read("cmdline"), read("environ")].concat();
            seen.processes.push(String::from_utf8_lossy(&told).replace('\0', " "));
        }
    }
    let interfaces = std::fs::read_to_string("/proc/net/dev").unwrap();
    let names = interfaces.lines().filter_map(|line| line.split_once(':'));
    seen.interfaces = names.map(|(name, _)| name.trim().to_owned()).collect();
    let top = std::fs::read_dir("/").unwrap().flatten();
    seen.top = top.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    seen.top.sort();
    seen.status = std::fs::read_to_string("/proc/self/status").unwrap();
    seen.owner_of_usr = std::fs::metadata("/usr").unwrap().uid();
    seen
}

/// Runs a builder, a process of its own with a canary in its environment, whose agent is a probe.
async fn probed(sandbox: Option<&str>) -> Seen {
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    // What the probe is to reach of the file system is open to any user, so that only the cage is tried.
    std::fs::set_permissions(world.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = world.dir.path().join(crate::world::DATA);
    std::fs::create_dir_all(&data).unwrap();
    let secret = data.join("marker.key");
    std::fs::write(&secret, "canary-marker").unwrap();
    let other = data.join("workspaces/jobs/other/tree");
    std::fs::create_dir_all(&other).unwrap();
    // Held, as by a job at work.
    let lock = std::fs::File::create(other.with_file_name("lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(other.join("calc.py"), "canary-other-job").unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o777)).unwrap();
    let shared = world.dir.path().join("open");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();

    let model = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = model.local_addr().unwrap().to_string();
    let port = |url: &str| url.rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let nats = port(&world.server.url());
    let abstract_socket = format!("booty-test-{address}");
    let listening = SocketAddr::from_abstract_name(&abstract_socket).unwrap();
    let _abstract = UnixListener::bind_addr(&listening).unwrap();
    let tcp = [
        ("nats", format!("127.0.0.1:{nats}")),
        ("github", format!("127.0.0.1:{}", port(&world.sim.api_url()))),
        ("model directly", address.clone()),
        ("metadata", "169.254.169.254:80".to_owned()),
        ("internet", "192.0.2.1:443".to_owned()),
    ];
    let files = [
        ("marker key", secret.clone()),
        ("other job", other.join("calc.py")),
        ("own job's lock", data.join("workspaces/jobs/.lock")),
        ("shadow", "/etc/shadow".into()),
        ("script", world.dir.path().join("script.yml")),
        ("init's environment", "/proc/1/environ".into()),
    ];
    let write_into = [
        ("write /", PathBuf::from("/")),
        ("write /usr", "/usr".into()),
        ("write other job", other.clone()),
        ("write shared", shared.clone()),
    ];
    let named = |(name, value): (&str, PathBuf)| (name.to_owned(), value);
    let targets = Targets {
        tcp: tcp.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        abstract_socket,
        files: files.into_iter().map(named).collect(),
        write_into: write_into.into_iter().map(named).collect(),
        model: address.clone(),
    };
    world.set("MODEL_BASE_URL", &format!("http://{address}/v1/"));
    if let Some(sandbox) = sandbox {
        world.set("BOOTY_SANDBOX", sandbox);
    }
    let mut builder = builder_command();
    builder.envs(world.env.iter().map(|(name, value)| (name, value)));
    builder.env("NATS_CREDS", CANARY).env(TARGETS, serde_json::to_string(&targets).unwrap());
    let mut builder = builder.spawn().unwrap();
    world.labelled_issue("d-1").await;
    let hear = async {
        loop {
            let (mut told, _) = model.accept().await.unwrap();
            let mut text = String::new();
            told.read_to_string(&mut text).await.unwrap();
            if text.starts_with('{') {
                return text;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, hear).await.expect("the probe never reported");
    builder.kill().await.unwrap();
    serde_json::from_str(&told).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_reaches_its_model_and_nothing_else() {
    let seen = probed(None).await;
    // Its own init's environment is open to it; it is looked at below.
    let reached: Vec<&String> =
        seen.reached.keys().filter(|name| *name != "init's environment").collect();
    assert_eq!(reached, Vec::<&String>::new(), "{:?}", seen.reached);
    assert_eq!(seen.interfaces, ["lo"]);
    for text in seen.processes.iter().chain(&seen.environment).chain(seen.reached.values()) {
        for canary in [CANARY, "GITHUB_READ_TOKEN", "NATS_URL"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
    // The init, the probe, and nobody of the host's.
    assert!(seen.processes.len() <= 3, "{:#?}", seen.processes);
    let allowed = [
        "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "tmp", "usr",
    ];
    let program = std::env::current_exe().unwrap();
    let own = program.components().nth(1).unwrap().as_os_str().to_string_lossy().into_owned();
    for name in &seen.top {
        assert!(allowed.contains(&name.as_str()) || *name == own, "/{name}");
    }
    // Root's files are nobody's inside, so it is not root outside.
    assert_eq!(seen.owner_of_usr, 65_534);
    let rights = |name: &str| {
        let line = seen.status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    assert_eq!((rights("CapEff:"), rights("CapBnd:")), ("0".repeat(16), "0".repeat(16)));
    assert_eq!((rights("NoNewPrivs:").as_str(), rights("Seccomp:").as_str()), ("1", "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cage_the_same_probe_reaches_all_of_it() {
    let seen = probed(Some("none")).await;
    for name in [
        "nats",
        "github",
        "model directly",
        "abstract",
        "marker key",
        "other job",
        "script",
        "write other job",
        "write shared",
    ] {
        assert!(seen.reached.contains_key(name), "the probe can't try {name}: {:?}", seen.reached);
    }
    assert!(seen.processes.len() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_cage_can_be_built_the_job_ends_and_the_agent_never_runs() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Sandboxes come up here; the cage, which is told by the agent's arguments, does not.
    let bwrap = folder.path().join("bwrap");
    let nowhere = folder.path().join("nowhere");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *agent_process*) exec /usr/bin/bwrap --bind {} /x \"$@\";; esac\n\
         exec /usr/bin/bwrap \"$@\"\n",
        nowhere.display()
    );
    std::fs::write(&bwrap, text).unwrap();
    std::fs::set_permissions(&bwrap, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut world = World::new(WRONG_THEN_RIGHT).await;
    world.set("BOOTY_SANDBOX", bwrap.to_str().unwrap());
    let _running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    let event = world.events.outcome(&job).await;
    assert_eq!((event.name.as_str(), event.reason.as_str()), ("job_failed", "sandbox_unavailable"));
    let effects = world.effects().await;
    let (label, comment) = says(&effects[0]);
    assert_eq!(label, booty_events::label::NEEDS_HUMAN);
    assert!(comment.contains(nowhere.to_str().unwrap()), "{comment}");
    assert_eq!(world.asked(), Vec::<String>::new());
}
