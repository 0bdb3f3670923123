//! This test program, started again: as the agent, and as a builder that can be killed.
//!
//! Each entry is a test that does nothing unless the program was started for it. The test harness
//! prints to standard output, so the agent's frames go to descriptor 3.

use booty_builder::{AgentProgram, App, Settings, agent};
use booty_bus::{Bus, BusSettings};
use booty_service::Env;
use tokio_util::sync::CancellationToken;

const ENTRY: &str = "BOOTY_TEST_ENTRY";
/// What a probe tries, as JSON; in a builder's environment: that its agent is a probe.
pub(crate) const TARGETS: &str = "BOOTY_TEST_TARGETS";

/// How the agent is started. Its environment is set inside the shell, so that what the builder gives
/// it can be seen as it is.
pub(crate) fn agent_program() -> AgentProgram {
    let script = format!(
        "exec 3>&1 >/dev/null; exec env {ENTRY}=agent \"$0\" entry::agent_process --exact --nocapture"
    );
    AgentProgram {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script, this_program()],
        files: vec![this_program().into()],
        ..AgentProgram::default()
    }
}

/// An agent that does no work but tries where it gets to, and says so to its model.
pub(crate) fn probe_program(targets: &str) -> AgentProgram {
    let script = format!(
        "exec env {ENTRY}=probe {TARGETS}=\"$1\" \"$0\" entry::probe_process --exact --nocapture"
    );
    AgentProgram {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script, this_program(), targets.to_owned()],
        files: vec![this_program().into()],
        ..AgentProgram::default()
    }
}

/// How a builder is started as a process of its own; settings come through the environment.
pub(crate) fn builder_command() -> tokio::process::Command {
    let mut command = tokio::process::Command::new(this_program());
    command.args(["entry::builder_process", "--exact", "--nocapture"]);
    command.env(ENTRY, "builder").kill_on_drop(true);
    command
}

fn this_program() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

fn is_started_as(entry: &str) -> bool {
    std::env::var(ENTRY).is_ok_and(|value| value == entry)
}

/// Descriptor 3. It can't be opened by its name in /proc: the pipe is another user's.
#[allow(unsafe_code)]
fn frames() -> std::fs::File {
    // SAFETY: the shell that started this process opened it, and nothing else here uses it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(3) }
}

#[test]
fn agent_process() {
    if !is_started_as("agent") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = runtime.block_on(async {
        agent::main(tokio::io::stdin(), tokio::fs::File::from_std(frames())).await
    });
    // The thread that reads standard input may never end.
    runtime.shutdown_background();
    done.unwrap();
}

#[test]
fn probe_process() {
    if is_started_as("probe") {
        crate::cage::probe(&std::env::var(TARGETS).unwrap());
    }
}

#[test]
fn builder_process() {
    if !is_started_as("builder") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let logging = booty_telemetry::Settings {
            service: "builder",
            level: "debug".to_owned(),
            format: booty_telemetry::LogFormat::Json,
            traces: booty_telemetry::TraceSettings {
                exporter: booty_telemetry::Exporter::None,
                release: String::new(),
            },
        };
        let _logging = booty_telemetry::init(&logging).unwrap();
        let mut env = Env::from_process();
        let mut settings = Settings::from_env(&mut env);
        let url = env.required("NATS_URL");
        env.finish().unwrap();
        settings.holder = "builder-1".into();
        settings.agent = match std::env::var(TARGETS) {
            Ok(targets) => {
                settings.model.spec = "ollama:probe".into();
                probe_program(&targets)
            }
            Err(_) => agent_program(),
        };
        let bus = Bus::connect(BusSettings::new(url, "builder")).await.unwrap();
        let app = App::build(settings, bus).await.unwrap();
        app.run(CancellationToken::new()).await.unwrap();
    });
}
