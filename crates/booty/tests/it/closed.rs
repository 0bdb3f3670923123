//! A process of Booty's is closed to others of its own user: they read neither its environment nor its
//! memory.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Child, Command, Stdio},
};

const CANARY: &str = "canary-of-the-environment";
/// `nobody`; root reads what it wants.
const SOMEBODY: u32 = 65_534;

/// Ends what a test started, however the test ends.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn as_somebody(program: &str) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    command.current_dir("/").env("NATS_CREDS", CANARY).stdout(Stdio::piped());
    command
}

fn environment_of(child: &Child) -> String {
    let path = format!("/proc/{}/environ", child.id());
    let read = as_somebody("cat").arg(path).stderr(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&read.stdout).into_owned()
}

#[test]
fn another_process_of_the_user_does_not_read_its_environment() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = folder.path().join("booty");
    std::fs::copy(env!("CARGO_BIN_EXE_booty"), &program).unwrap();
    let mut sim = as_somebody(program.to_str().unwrap());
    sim.args(["sim", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("sim"));
    let mut sim = Started(sim.spawn().unwrap());
    let mut said = String::new();
    // Held, or it ends at its next word.
    let mut says = BufReader::new(sim.0.stdout.take().unwrap());
    says.read_line(&mut said).unwrap();
    assert!(said.contains("GitHub (simulated)"), "{said}");

    let mut other = as_somebody("sh");
    let mut other = Started(other.args(["-c", "echo up; exec sleep 600"]).spawn().unwrap());
    let mut other_says = BufReader::new(other.0.stdout.take().unwrap());
    other_says.read_line(&mut said).unwrap();
    assert!(environment_of(&other.0).contains(CANARY), "the test itself can't read anything");
    assert_eq!(environment_of(&sim.0), "");
    assert!(sim.0.try_wait().unwrap().is_none(), "it is not there any more");
}
