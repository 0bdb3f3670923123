//! The command line.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use booty_ops::{Id, Moment};
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
        booty send sentry alert.json       the same, as Sentry does\n  \
        booty jobs --json                  what became of every job\n  \
        booty spool replay --all           try again what could not be done\n  \
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
    /// Answer operators over NATS: spool, replay, purge, jobs, audit
    Ops,
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
    #[command(after_help = "Examples:\n  booty jobs\n  \
        booty jobs 7-72d3162e-cc78-11e3-81ab-4c9367dc0958 --json\n  \
        booty jobs 7-72d3162e-cc78-11e3-81ab-4c9367dc0958 --watch   follow it to its end\n  \
        booty jobs --watch --json                                   each change as a line\n\n\
        Exit codes: 0; with --watch and an ID 1 when the job failed.")]
    Jobs(JobsArgs),
    /// Show what became of Sentry's alerts, or of one problem
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  booty alerts\n  booty alerts show 1f0c3a --json\n\n\
            Exit codes: 0 it is shown, 1 there is no such alert or NATS does not answer."
    )]
    Alerts(AlertsArgs),
    /// See what could not be done, and try it again
    #[command(
        subcommand,
        after_help = "Examples:\n  booty spool list --service builder --since 2h\n  \
        booty spool show 41\n  booty spool replay --all\n\n\
        With the plain NATS CLI: docs/REPLAY.md."
    )]
    Spool(Spool),
    /// Look whether every message is done, ignored, spooled or in flight, exactly once
    #[command(after_help = "Examples:\n  booty audit\n  booty audit --json\n\n\
        Exit codes: 0 it adds up, 1 it does not, 69 there is no NATS server to ask.")]
    Audit(AuditArgs),
    /// Show what models have cost today, on which issues and jobs, and what is left
    #[command(after_help = "Examples:\n  booty budget\n  booty budget --day 2026-01-31\n  \
        booty budget --issue octo/hello#7 --json\n\n\
        The budgets: docs/BUDGETS.md. Exit codes: 0 it is shown, also when nothing is left; 1 NATS does not \
        answer; 64 no such day or issue.")]
    Budget(BudgetArgs),
    /// Play a job again from its journal, and show where this program or other settings decide otherwise
    #[command(after_help = "Examples:\n  booty replay 7-72d3162e-cc78-11e3-81ab-4c9367dc0958\n  \
        booty replay 7-72d3162e-cc78-11e3-81ab-4c9367dc0958 --attempt 1 --json\n  \
        BUILDER_ROUNDS=2 booty replay 7-72d3162e-cc78-11e3-81ab-4c9367dc0958 --config new.booty.yml\n\n\
        No model is asked, no command is run, and GitHub is not needed: docs/JOURNAL.md.\n\
        Exit codes: 0 it comes to the same by the same way, 1 it does not, 2 it can't be played.")]
    Replay(ReplayArgs),
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
    /// Run a simulated GitHub, and a model endpoint
    #[command(after_help = "Examples:\n  booty sim\n  \
        booty sim --script crates/booty/demo/script.yaml\n\n\
        The endpoint takes MODEL_API_KEY where it is set, else a key that is made and printed. What it was\n\
        asked: GET /__booty/model/requests, with the key as a bearer token.")]
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
    /// Post FILE as Sentry would
    #[command(
        after_help = "Example:\n  SENTRY_WEBHOOK_SECRET=… booty send sentry event_alert.triggered.json"
    )]
    Sentry(SendSentry),
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
pub(crate) struct SendSentry {
    /// The payload, posted byte for byte; `-` for standard input
    pub(crate) file: PathBuf,
    /// Sentry-Hook-Resource
    #[arg(long, default_value = "event_alert")]
    pub(crate) resource: String,
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
    /// Follow changes; with an id until that job has ended
    #[arg(long)]
    pub(crate) watch: bool,
    /// JSON, one array (or one object with an id); with --watch one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    /// JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The job, as `booty jobs` shows it
    #[arg(value_name = "JOB")]
    pub(crate) job: String,
    /// Which of its runs, counted from 1; the newest when left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
    /// A clone of the repository with the base commit; Booty's own mirror when left out
    #[arg(long, value_name = "PATH")]
    pub(crate) repo: Option<PathBuf>,
    /// A .booty.yml in place of the base's own
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BudgetArgs {
    /// Another day than today (UTC), as YYYY-MM-DD
    #[arg(long, value_name = "DAY", conflicts_with = "issue")]
    pub(crate) day: Option<chrono::NaiveDate>,
    /// One issue, as OWNER/REPO#NUMBER
    #[arg(long, value_name = "ISSUE")]
    pub(crate) issue: Option<String>,
    /// JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Spool {
    /// List entries, oldest first
    #[command(after_help = "Examples:\n  booty spool list\n  \
        booty spool list --service builder --reason failed_too_often --since 2h\n  \
        booty spool list --state spooled --json\n\n\
        In a pipe: one line an entry, columns by tab.")]
    List(SpoolList),
    /// Show one entry, decoded, without secrets
    #[command(
        after_help = "Examples:\n  booty spool show 41\n  booty spool show BOOTY_INBOX-7 --json"
    )]
    Show(SpoolShow),
    /// Try entries again, each by the one service that gave up on it; twice is once
    #[command(after_help = "Examples:\n  booty spool replay --all\n  \
        booty spool replay --id 41 --id BOOTY_INBOX-7\n  \
        booty spool replay --service forge --since 2026-01-31T12:00:00Z\n\n\
        Exit codes: 0 all are replayed (or were already), 1 none fits or some failed.")]
    Replay(SpoolReplay),
    /// Remove entries for good; those that were not replayed with success only by --force
    #[command(after_help = "Examples:\n  booty spool purge --state replayed\n  \
        booty spool purge --id 41 --force --yes\n\n\
        Exit codes: 0 all are removed, 1 none fits or some were refused or failed.")]
    Purge(SpoolPurge),
    /// Write entries as lines of JSON, whole, secrets included
    #[command(after_help = "Examples:\n  booty spool export --file spool.jsonl\n  \
        booty spool export --service forge | jq -r .subject")]
    Export(SpoolExport),
    /// Take lines in: an export, or what ingress or observability kept on disk; twice is once
    #[command(after_help = "Examples:\n  booty spool import spool.jsonl\n  \
        booty spool import - < observability-spool.jsonl\n\n\
        Exit codes: 0 all lines are on the bus, 1 there is none or some failed.")]
    Import(SpoolImport),
}

/// Which entries.
#[derive(Debug, clap::Args)]
pub(crate) struct SpoolFilter {
    /// The service that gave up: builder, verifier, observability, forge
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Why it did, as the list says it
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Given up since: a span (2h, 3days) or a time (RFC 3339)
    #[arg(long)]
    pub(crate) since: Option<Moment>,
    /// Given up before: a span or a time
    #[arg(long)]
    pub(crate) until: Option<Moment>,
    /// An entry by its number (41), or by what it was (BOOTY_INBOX-7); several times
    #[arg(long)]
    pub(crate) id: Vec<Id>,
    /// What became of it
    #[arg(long, value_parser = ["spooled", "replaying", "replayed", "replay_failed"])]
    pub(crate) state: Option<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SpoolList {
    #[command(flatten)]
    pub(crate) filter: SpoolFilter,
    /// At most so many entries
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Only entries with a larger number
    #[arg(long, default_value_t = 0)]
    pub(crate) after: u64,
    /// JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SpoolShow {
    /// Its number (41), or what it was (BOOTY_INBOX-7)
    pub(crate) id: Id,
    /// JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SpoolReplay {
    #[command(flatten)]
    pub(crate) filter: SpoolFilter,
    /// JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SpoolPurge {
    #[command(flatten)]
    pub(crate) filter: SpoolFilter,
    /// Also those that were not replayed with success: what they hold is lost
    #[arg(long)]
    pub(crate) force: bool,
    /// Ask nothing
    #[arg(long)]
    pub(crate) yes: bool,
    /// JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SpoolExport {
    #[command(flatten)]
    pub(crate) filter: SpoolFilter,
    /// A new file; standard output when it is left out
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SpoolImport {
    /// The file, `-` for standard input
    pub(crate) file: PathBuf,
    /// JSON, one object
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
    /// Also run a model endpoint (Anthropic's and OpenAI's APIs) that answers from FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    /// Where the model endpoint listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:3001", requires = "script")]
    pub(crate) model_listen: SocketAddr,
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
