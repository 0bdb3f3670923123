//! The command line.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

/// A label on a GitHub issue becomes a tested draft pull request.
#[derive(Debug, Parser)]
#[command(
    name = "booty",
    version,
    after_help = "Examples:\n  \
        booty demo                         the whole line on this machine, no account needed\n  \
        booty up                           all services and a NATS server, from the environment\n  \
        booty send github issue.json       sign a payload and post it to ingress\n  \
        booty jobs --json                  what became of every job\n  \
        booty config check                 what is wrong with this folder's .booty.yml\n\n\
        Settings are environment variables: docs/CONFIGURATION.md."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Receive webhooks: verify them and make them durable
    Ingress,
    /// Turn labelled issues into proposals
    Builder,
    /// Put a check run on every pull request
    Verifier,
    /// Turn Sentry alerts into issues, one for each problem
    Observability,
    /// Apply effects to GitHub; the only writer
    Forge,
    /// Run all services, supervised, and a NATS server when NATS_URL is unset
    Up,
    /// Run the whole line against a simulated GitHub and print its timeline
    #[command(
        after_help = "Examples:\n  booty demo\n  booty demo --chaos --seed 7   kill every process along the way"
    )]
    Demo(DemoArgs),
    /// Sign a webhook payload and post it to ingress
    #[command(subcommand)]
    Send(Send),
    /// Judge a change in a local repository as the verifier would
    #[command(after_help = "Examples:\n  \
        booty verify                                   HEAD against the branch main\n  \
        booty verify --base origin/main --head feature --json\n\n\
        Exit codes: 0 success, 1 failure, 2 it could not be judged, or not in full.")]
    Verify(VerifyArgs),
    /// Show jobs, or one of them
    #[command(
        after_help = "Examples:\n  booty jobs\n  booty jobs 7-72d3162e-cc78-11e3-81ab-4c9367dc0958 --json"
    )]
    Jobs(JobsArgs),
    /// Show what became of Sentry's alerts, or of one problem
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  booty alerts\n  booty alerts show 1f0c3a --json\n\n\
            Exit codes: 0 it is shown, 1 there is no such alert or NATS does not answer."
    )]
    Alerts(AlertsArgs),
    /// Check a repository's .booty.yml, or print its schema
    #[command(
        subcommand,
        after_help = "Examples:\n  booty config check\n  booty config schema > .booty.schema.json\n\nThe format: docs/BOOTY_YML.md."
    )]
    Config(Config),
    /// Look whether this machine and its settings are as Booty needs them, and say what to change
    #[command(after_help = "Examples:\n  booty doctor\n  booty doctor --json\n\n\
        Exit codes: 0 nothing is wrong, 1 something is.")]
    Doctor(DoctorArgs),
    /// Run a simulated GitHub
    Sim(SimArgs),
    /// The builder's child that talks to the model; started by the builder alone
    #[command(hide = true)]
    Agent,
    /// Carries a sandbox's connections to its proxy; started inside sandboxes alone
    #[command(hide = true)]
    Forward(ForwardArgs),
    /// Print generated documentation
    #[command(hide = true, subcommand)]
    Docs(Docs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Kill builder, forge, ingress and nats-server with SIGKILL along the way
    #[arg(long)]
    pub(crate) chaos: bool,
    /// Where along the way: the same number, the same points
    #[arg(long, requires = "chaos")]
    pub(crate) seed: Option<u64>,
    /// Keep the folder with logs, broker store and repositories
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Send {
    /// Post FILE as GitHub would
    #[command(
        after_help = "Example:\n  WEBHOOK_SECRET=… booty send github issues.labeled.json --event issues"
    )]
    Github(SendGithub),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SendGithub {
    /// The payload, posted byte for byte; `-` for standard input
    pub(crate) file: PathBuf,
    /// X-GitHub-Event; told by the payload's shape when it is left out
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// X-GitHub-Delivery; a new UUID when it is left out
    #[arg(long)]
    pub(crate) delivery: Option<String>,
    /// Ingress
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// Print ingress's answer as it is
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The repository; it is only read
    #[arg(long, default_value = ".")]
    pub(crate) repo: PathBuf,
    /// What the change goes to: anything that `git rev-parse` takes
    #[arg(long, default_value = "main")]
    pub(crate) base: String,
    /// The change
    #[arg(long, default_value = "HEAD")]
    pub(crate) head: String,
    /// Waive limits and protected paths, as the waiver label does on GitHub
    #[arg(long)]
    pub(crate) waive: bool,
    /// The report as JSON; where there is none, an object with `error` and `causes`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobsArgs {
    /// One job's id, as ingress answered it
    pub(crate) id: Option<String>,
    /// JSON, one array (or one object with an id)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<Alerts>,
    /// JSON, one array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alerts {
    /// Show one problem: its state, and what was decided of each alert
    #[command(after_help = "Example:\n  booty alerts show 1f0c3a9b77d2")]
    Show(AlertsShow),
}

#[derive(Debug, clap::Args)]
pub(crate) struct AlertsShow {
    /// Its fingerprint, or the first digits of it: at least 6
    pub(crate) fingerprint: String,
    /// JSON, one object with `state` and `decisions`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say all that is wrong with a .booty.yml, with line and column; exit code 1 when something is
    #[command(
        after_help = "Examples:\n  booty config check\n  booty config check other/.booty.yml --json\n  git show main:.booty.yml | booty config check -"
    )]
    Check(ConfigCheck),
    /// Print the JSON Schema of .booty.yml, for editors
    #[command(after_help = "Example:\n  booty config schema > .booty.schema.json")]
    Schema,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigCheck {
    /// The file, `-` for standard input; .booty.yml in this folder when it is left out, and what is
    /// detected when there is none
    pub(crate) file: Option<PathBuf>,
    /// JSON, an array of {line, column, message}; empty when nothing is wrong
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// JSON, an array of what was looked at
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SimArgs {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,
    /// Where its repositories are kept
    #[arg(long, default_value = ".booty/sim")]
    pub(crate) data_dir: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ForwardArgs {
    /// As the sandbox wrote them, a script among them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Docs {
    /// docs/CONFIGURATION.md
    Configuration,
}
