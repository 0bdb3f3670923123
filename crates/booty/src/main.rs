//! `booty`: one program, every service. This file only wires: parse, run, turn the end into an exit
//! code.

mod alerts;
mod audit;
mod children;
mod cli;
mod config;
mod demo;
mod docs;
mod doctor;
mod jobs;
mod operator;
mod send;
mod services;
mod sim;
mod spool;
mod up;
mod verify;

use std::{io::Write as _, process::ExitCode};

use booty_service::{Exit, SettingsErrors};
use clap::Parser as _;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Help and the version are errors to clap, too, but none of the caller's.
            let _ = told.print();
            return if told.use_stderr() { Exit::Usage } else { Exit::Success }.into();
        }
    };
    // It becomes other programs, with no thread or descriptor of a runtime in the way.
    if let Command::Forward(args) = cli.command {
        return booty_sandbox::forward::main(args.arguments);
    }
    // Its environment and memory hold secrets; others of the same user must not read them by /proc.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        return report(
            &anyhow::Error::from(error).context("this process can't be closed to others"),
        )
        .into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&error.into()).into(),
    };
    let end = runtime.block_on(run(cli.command));
    // A job's blocking work (a fetch, a file walk) must not hold the process after its services ended.
    runtime.shutdown_background();
    end.unwrap_or_else(|error| report(&error)).into()
}

async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Ingress => services::ingress().await,
        Command::Builder => services::builder().await,
        Command::Verifier => services::verifier().await,
        Command::Observability => services::observability().await,
        Command::Verify(args) => verify::run(args).await,
        Command::Forge => services::forge().await,
        Command::Ops => services::ops().await,
        Command::Up => up::run().await,
        Command::Demo(args) => demo::run(args).await,
        Command::Send(cli::Send::Github(args)) => send::github(args).await,
        Command::Send(cli::Send::Sentry(args)) => send::sentry(args).await,
        Command::Jobs(args) => jobs::run(args).await,
        Command::Alerts(args) => alerts::run(args).await,
        Command::Spool(command) => spool::run(command).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Config(command) => config::run(command),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Sim(args) => sim::run(args).await,
        Command::Agent => services::agent().await,
        Command::Forward(_) => anyhow::bail!("it is not for a runtime"),
        Command::Docs(cli::Docs::Configuration) => docs::configuration(),
    }
}

/// Says on stderr what went wrong, with its causes, and which exit code that is.
fn report(error: &anyhow::Error) -> Exit {
    let mut text = format!("booty: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    let _ = writeln!(std::io::stderr(), "{text}");
    if error.is::<SettingsErrors>() { Exit::Usage } else { Exit::Failure }
}
