//! How a command ends, and that nothing outlives it.

use std::time::{Duration, Instant};

use booty_sandbox::{Command, End, RunResult, Sandbox, SandboxSettings};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use crate::world::{World, is_alive};

/// What is promised: everyone is dead two seconds after the deadline.
const PROMISED: Duration = Duration::from_secs(2);
const WALL: Duration = Duration::from_millis(700);

#[rstest]
#[case("true", End::Exited(0))]
#[case("exit 1", End::Exited(1))]
#[case("exit 127", End::Exited(127))]
#[case("exit 255", End::Exited(255))]
#[case("no-such-program", End::Exited(127))]
#[case("kill -TERM $$", End::Signalled(15))]
#[case("kill -KILL $$", End::Signalled(9))]
#[case("kill -SEGV $$", End::Signalled(11))]
#[case("kill -KILL 1; exit 3", End::Exited(3))]
#[case("echo '0 failed, all tests passed'; exit 1", End::Exited(1))]
#[tokio::test]
async fn its_own_end_is_told_exactly(#[case] script: &str, #[case] end: End) {
    assert_eq!(World::new().await.sh(script).await.end, end);
}

#[rstest]
#[case::sleeps("sleep 4711.1")]
#[case::ignores_term("trap '' TERM INT HUP; sleep 4711.1; sleep 4711.1")]
#[case::stops_itself("kill -STOP $$; : 4711.1")]
#[case::stops_everyone("kill -STOP -1; sleep 4711.1")]
#[case::setsid("setsid sh -c 'sleep 4711.1' & sleep 4711.1")]
#[case::double_fork(
    "(setsid sh -c 'trap \"\" TERM; (sleep 4711.1 &) ; sleep 4711.1' &) & sleep 4711.1"
)]
#[case::spins("while :; do :; done; : 4711.1")]
#[case::prints("yes 4711.1")]
#[tokio::test]
async fn everyone_is_dead_two_seconds_after_the_deadline(#[case] script: &str) {
    let world = World::new().await;
    // Other tests run beside: the needle is this run's own.
    let needle = format!(
        "4711.{}",
        world.tree().file_name().unwrap().to_str().unwrap().len() as u64 + unique()
    );
    let mut command = world.command(&script.replace("4711.1", &needle));
    command.limits.wall = WALL;
    let started = Instant::now();
    let result = world.run(&command).await;
    assert_eq!(result.end, End::TimedOut, "{}", result.output);
    assert!(started.elapsed() < WALL + PROMISED, "{:?}", started.elapsed());
    assert!(!is_alive(&needle));
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed) + u64::from(std::process::id()) * 10_000_000
}

#[tokio::test]
async fn a_daemon_that_holds_the_output_ends_with_the_command() {
    let world = World::new().await;
    let needle = format!("4712.{}", unique());
    let script = format!("setsid sh -c 'while :; do sleep {needle}; done' & echo started; exit 7");
    let result = world.sh(&script).await;
    assert_eq!((result.end, result.output.as_str()), (End::Exited(7), "started\n"));
    assert!(result.duration < PROMISED * 3, "{:?}", result.duration);
    assert!(!is_alive(&needle));
}

#[tokio::test]
async fn cancelling_kills_everyone() {
    let world = World::new().await;
    let needle = format!("4713.{}", unique());
    let cancel = CancellationToken::new();
    let command = world.command(&format!("echo up > up; setsid sleep {needle} & sleep {needle}"));
    let up = world.tree().join("up");
    let mut run = Box::pin(world.sandbox.run(&command, &cancel));
    while !up.exists() {
        tokio::select! {
            _ = &mut run => panic!("ended by itself"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    cancel.cancel();
    assert_eq!(run.await.unwrap().end, End::Cancelled);
    assert!(!is_alive(&needle));
}

#[tokio::test]
async fn dropping_the_future_kills_everyone() {
    let world = World::new().await;
    let needle = format!("4714.{}", unique());
    let command = world
        .command(&format!("echo up > up; trap '' TERM; setsid sleep {needle} & sleep {needle}"));
    let up = world.tree().join("up");
    let cancel = CancellationToken::new();
    let mut run = Box::pin(world.sandbox.run(&command, &cancel));
    while !up.exists() {
        tokio::select! {
            _ = &mut run => panic!("ended by itself"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    drop(run);
    let dropped = Instant::now();
    while is_alive(&needle) {
        assert!(dropped.elapsed() < PROMISED);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn four_at_once_do_not_touch_one_another() {
    let worlds = [World::new().await, World::new().await, World::new().await, World::new().await];
    // Each has room for 64 processes of its own, though all run as one user.
    let script = |n: usize| {
        format!(
            "i=0; while [ $i -lt 40 ]; do sleep 1 & i=$((i+1)); done; wait; echo {n} > mine; cat mine; ls /workspace"
        )
    };
    let runs =
        worlds.iter().enumerate().map(|(n, world)| async move { world.sh(&script(n)).await });
    let results: Vec<RunResult> = futures(runs).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(
            (result.end, result.output.as_str()),
            (End::Exited(0), format!("{n}\nmine\n").as_str())
        );
    }
}

async fn futures<F: Future<Output = RunResult>>(runs: impl Iterator<Item = F>) -> Vec<RunResult> {
    let mut runs: Vec<_> = runs.map(|run| Box::pin(tokio::task::unconstrained(run))).collect();
    let (a, rest) = runs.split_at_mut(2);
    let ([a, b], [c, d]) = (a, rest) else { panic!("four") };
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    vec![a, b, c, d]
}

#[rstest]
#[case::above("..")]
#[case::absolute("/etc")]
#[case::around("a/../../b")]
#[tokio::test]
async fn a_directory_outside_is_refused(#[case] directory: &str) {
    let world = World::new().await;
    let mut command = world.command("true");
    command.directory = directory.into();
    let error = world.sandbox.run(&command, &CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("is not inside the work tree"), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error_of_the_set_up() {
    let world = World::new().await;
    let mut command = world.command("true");
    command.directory = "nowhere".into();
    let error = world.sandbox.run(&command, &CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn it_starts_in_its_directory_with_its_variables() {
    let world = World::new().await;
    std::fs::create_dir(world.tree().join("sub folder")).unwrap();
    let mut command = world.command("pwd; echo \"$GREETING\"; echo \"$HOME\"");
    command.directory = "sub folder".into();
    command.env =
        [("GREETING".into(), "hi 'there'\n\"$x\"".into()), ("HOME".into(), "/workspace".into())]
            .into();
    let result = world.run(&command).await;
    assert_eq!(result.output, "/workspace/sub folder\nhi 'there'\n\"$x\"\n/workspace\n");
}

#[test]
fn a_result_survives_its_journal() {
    let result = RunResult {
        end: End::Exited(1),
        output: "no\n".into(),
        output_bytes: 3,
        duration: Duration::from_millis(42),
    };
    let json = serde_json::to_string(&result).unwrap();
    assert_eq!(json, r#"{"end":{"exited":1},"output":"no\n","output_bytes":3,"duration_ms":42}"#);
    assert_eq!(serde_json::from_str::<RunResult>(&json).unwrap(), result);
}

#[tokio::test]
async fn without_a_sandbox_it_says_so_and_still_ends_in_time() {
    let settings = SandboxSettings {
        backend: booty_sandbox::Backend::None,
        run_as: rustix::process::geteuid().is_root().then_some(booty_sandbox::NOBODY),
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::prepare(settings).await.unwrap();
    assert!(sandbox.describe().contains("NOT isolated"));
    let tree = tempfile::tempdir().unwrap();
    sandbox.own(tree.path()).unwrap();
    let mut command = Command::new("pwd; env; exit 5", tree.path());
    let result = sandbox.run(&command, &CancellationToken::new()).await.unwrap();
    assert_eq!(result.end, End::Exited(5), "{}", result.output);
    assert!(!result.output.contains("CARGO"), "{}", result.output);
    command.script = "kill -TERM $$".into();
    assert_eq!(
        sandbox.run(&command, &CancellationToken::new()).await.unwrap().end,
        End::Signalled(15)
    );
    command.script = "sleep 4715 & sleep 4715".into();
    command.limits.wall = WALL;
    assert_eq!(sandbox.run(&command, &CancellationToken::new()).await.unwrap().end, End::TimedOut);
}
