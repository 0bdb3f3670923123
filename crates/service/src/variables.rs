//! Every environment variable that Booty reads: the source of `docs/CONFIGURATION.md`, of what the
//! supervisor hands to which child, and of the check that nothing else is read.

use std::fmt::Write as _;

/// Who gets a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Every process of ours.
    All,
    /// Only these services.
    Only(&'static [&'static str]),
    /// Only the supervisor (`booty up`) itself.
    Supervisor,
}

/// One environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name. Secrets can also be given as a file named by `<NAME>_FILE`.
    pub name: &'static str,
    /// What holds when it is unset; empty: nothing.
    pub default: &'static str,
    /// True: never printed, and also read from `<NAME>_FILE`.
    pub secret: bool,
    /// Who gets it.
    pub used_by: For,
    /// What it does, with unit and range.
    pub text: &'static str,
}

const fn variable(
    name: &'static str,
    default: &'static str,
    used_by: For,
    text: &'static str,
) -> Variable {
    Variable { name, default, secret: false, used_by, text }
}

const fn secret(name: &'static str, used_by: For, text: &'static str) -> Variable {
    Variable { name, default: "", secret: true, used_by, text }
}

/// All services, as against the command line's own processes.
const SERVICES: For =
    For::Only(&["ingress", "builder", "forge", "verifier", "observability", "ops"]);
const INGRESS: For = For::Only(&["ingress"]);
const OBSERVABILITY: For = For::Only(&["observability"]);
const BUILDER: For = For::Only(&["builder"]);
const FORGE: For = For::Only(&["forge"]);
const VERIFIER: For = For::Only(&["verifier"]);
/// Who reads GitHub and runs repository code.
const READERS: For = For::Only(&["builder", "verifier"]);
const WORKERS: For = For::Only(&["builder", "forge", "verifier", "observability"]);
/// Who reads GitHub.
const READING: For = For::Only(&["builder", "verifier", "observability"]);
const DOOR_AND_LABELS: For = For::Only(&["ingress", "builder", "observability"]);
const DOOR_AND_READERS: For = For::Only(&["ingress", "builder", "verifier", "observability"]);

/// All of them, by subject.
pub const VARIABLES: &[Variable] = &[
    // Bus
    variable(
        "NATS_URL",
        "nats://127.0.0.1:4222",
        For::All,
        "Where NATS is. `booty up` starts a server of its own when it is unset.",
    ),
    variable("NATS_CREDS", "", For::All, "Path of a NATS credentials file."),
    variable(
        "NATS_MONITOR_URL",
        "",
        For::All,
        "The server's monitoring address (`http://host:8222`); lets start-up see whether `sync_interval: always` is on.",
    ),
    variable(
        "BOOTY_STREAM_MAX_BYTES",
        "per stream, see docs/MESSAGES.md",
        For::All,
        "The same limit for every stream and bucket, in bytes, for small disks: the server reserves the sum of all limits, 29 GiB by default.",
    ),
    variable(
        "BOOTY_DATA_DIR",
        "$XDG_STATE_HOME/booty, else ~/.local/state/booty",
        For::All,
        "Broker store, disk spool, mirrors, marker key.",
    ),
    variable(
        "BOOTY_NATS_SERVER",
        "",
        For::Supervisor,
        "Path of the nats-server program (2.12 or newer) that `booty up` starts.",
    ),
    variable(
        "BOOTY_INSTANCE",
        "made anew at each start",
        SERVICES,
        "Name of this process as a lease holder. A process that is started under the same name takes its own leases over at once, so two running at the same time must never share one. `booty up` sets it.",
    ),
    variable(
        "BOOTY_SUPERVISED",
        "",
        SERVICES,
        "Set by `booty up`: the process stops when its standard input ends.",
    ),
    // Addresses
    variable("LISTEN_ADDR", "0.0.0.0:8080", INGRESS, "Where webhooks arrive."),
    variable(
        "ADMIN_ADDR",
        "127.0.0.1:9090 (ingress), :9091 (builder), :9092 (forge), :9093 (verifier), :9094 (observability), :9095 (ops)",
        SERVICES,
        "`/health`, `/ready`, `/jobs`, and of ingress and builder `/metrics`. Never public. `booty up` takes a port and counts up from it, one port a service.",
    ),
    // Ingress
    secret(
        "WEBHOOK_SECRET",
        INGRESS,
        "GitHub's webhook secrets, comma-separated, so that they can be rotated. Ingress needs this or `SENTRY_WEBHOOK_SECRET`.",
    ),
    secret("SENTRY_WEBHOOK_SECRET", INGRESS, "Sentry's client secrets, comma-separated."),
    variable(
        "TARGET_REPO_URL",
        "",
        DOOR_AND_READERS,
        "`https://github.com/owner/name`: the default allow-list, and where alerts become issues.",
    ),
    variable(
        "ALLOWED_REPOS",
        "the repository of `TARGET_REPO_URL`",
        DOOR_AND_READERS,
        "Globs over `owner/name`, comma-separated. Nothing is allowed when both are unset.",
    ),
    variable(
        "ALLOWED_INSTALLATIONS",
        "all",
        INGRESS,
        "GitHub App installation ids, comma-separated.",
    ),
    variable(
        "TRIGGER_LABEL",
        "agent:builder",
        DOOR_AND_LABELS,
        "The label that starts a job, and that issues made from alerts get.",
    ),
    variable(
        "QUEUE_MAX_SIZE",
        "100",
        INGRESS,
        "Deliveries held in memory while they wait for the broker; above it they go straight to the disk spool. 1 to 10000.",
    ),
    variable(
        "INGRESS_SPOOL_DIR",
        "`spool` in the data directory",
        INGRESS,
        "Where deliveries are kept while the broker does not take them.",
    ),
    variable(
        "INGRESS_SPOOL_MAX_BYTES",
        "4294967296",
        INGRESS,
        "The most that the disk spool may hold; above it deliveries are refused with 503.",
    ),
    // Builder
    variable("WORKER_COUNT", "2", READERS, "Jobs at the same time. 1 to 64."),
    variable(
        "MAX_EVENT_AGE",
        "3d",
        READING,
        "Older deliveries start nothing, by the issue's `updated_at`, or, for alerts, by when they came in. At most 7d, the inbox's own age. Replays are exempt.",
    ),
    variable(
        "TARGET_BRANCH",
        "the repository's default branch",
        BUILDER,
        "The branch that jobs start from and pull requests go to.",
    ),
    variable(
        "MODEL",
        "",
        BUILDER,
        "`provider:name`, for example `anthropic:claude-opus-5-5`. Providers: `anthropic`, `openai` (Responses), `openai-chat` (Chat Completions, and whoever speaks them: vLLM, gateways), `ollama`; `script:PATH` answers from a file.",
    ),
    secret(
        "MODEL_API_KEY",
        BUILDER,
        "The model provider's key. Needed by `anthropic`, `openai` and `openai-chat` at their own addresses.",
    ),
    variable(
        "MODEL_BASE_URL",
        "the provider's",
        BUILDER,
        "Another endpoint of the same protocol, as the provider's own clients take it: `https://host` for `anthropic`, `https://host/v1` for the others. It gets the key and every conversation. No redirect is followed and no proxy variable is read.",
    ),
    variable(
        "MODEL_FALLBACK",
        "",
        BUILDER,
        "`provider:name` of a second model. It goes on with the conversation when the first one's retries are used up, its key or quota is refused, it does not exist, or the conversation is too long for it.",
    ),
    secret(
        "MODEL_FALLBACK_API_KEY",
        BUILDER,
        "The second provider's key. `MODEL_API_KEY` is never sent there, even to the same provider.",
    ),
    variable(
        "MODEL_FALLBACK_BASE_URL",
        "the provider's",
        BUILDER,
        "As `MODEL_BASE_URL`, for the second model.",
    ),
    variable(
        "MODEL_PRICES",
        "the built-in table",
        BUILDER,
        "Path of a TOML file with prices of models that come before the built-in ones, in the form of `crates/model/prices.toml`.",
    ),
    variable(
        "BUILDER_ROUNDS",
        "3",
        BUILDER,
        "How often the model may try to make the tests pass. 1 to 10.",
    ),
    variable(
        "BUILDER_FOLLOW_UPS",
        "2",
        BUILDER,
        "How often Booty goes back to a pull request of its own that the verifier does not accept. 0 to 10.",
    ),
    variable(
        "BUILDER_REQUESTS",
        "5",
        BUILDER,
        "How often Booty goes back to a pull request of its own because a person asks for it, by a review that requests changes or by `/booty fix`. 0 to 50.",
    ),
    variable(
        "BUILDER_UNFINISHED",
        "draft",
        BUILDER,
        "What becomes of the best attempt of a job that gives up. `draft`: a draft pull request that says what fails, and that stays one. `none`: nothing is pushed.",
    ),
    variable(
        "BUDGET_JOB_TOKENS",
        "2000000",
        BUILDER,
        "Tokens that one run of a job (an attempt, or a follow-up) may read and write, cached ones included; `none`: no limit. A repository's `.booty.yml` can lower it. Of all budgets: docs/BUDGETS.md.",
    ),
    variable(
        "BUDGET_JOB_USD",
        "10",
        BUILDER,
        "US dollars of one run, as far as the model's price is known; `none`: no limit. Set to an amount, it needs a model with a known price.",
    ),
    variable(
        "BUDGET_JOB_CALLS",
        "200",
        BUILDER,
        "Answers of the model in one run; `none`: no limit.",
    ),
    variable(
        "BUDGET_JOB_WALL",
        "2h",
        BUILDER,
        "How long workers may work on one run; the time in between does not count. 1m to 24h.",
    ),
    variable(
        "BUDGET_ISSUE_TOKENS",
        "6000000",
        BUILDER,
        "As `BUDGET_JOB_TOKENS`, for all runs for one issue together.",
    ),
    variable(
        "BUDGET_ISSUE_USD",
        "30",
        BUILDER,
        "As `BUDGET_JOB_USD`, for all runs for one issue together.",
    ),
    variable(
        "BUDGET_ISSUE_CALLS",
        "600",
        BUILDER,
        "As `BUDGET_JOB_CALLS`, for all runs for one issue together.",
    ),
    variable(
        "BUDGET_DAY_TOKENS",
        "20000000",
        BUILDER,
        "As `BUDGET_JOB_TOKENS`, for all builders on one bus, from 00:00 to 24:00 UTC. Jobs for which nothing is left wait for the next day.",
    ),
    variable(
        "BUDGET_DAY_USD",
        "100",
        BUILDER,
        "As `BUDGET_JOB_USD`, for all builders within a day.",
    ),
    variable(
        "BUDGET_DAY_CALLS",
        "2000",
        BUILDER,
        "As `BUDGET_JOB_CALLS`, for all builders within a day.",
    ),
    secret(
        "GITHUB_READ_TOKEN",
        READING,
        "A personal token that can read contents, issues and pull requests, and nothing else. When it is unset, forge is asked for tokens of its App that can read the one repository.",
    ),
    variable(
        "GITHUB_GIT_URL",
        "derived from `GITHUB_API_URL`",
        READERS,
        "Where repositories are cloned from, without `/owner/name.git`.",
    ),
    variable(
        "BOOTY_SANDBOX",
        "bwrap",
        READERS,
        "The bubblewrap program, by name or path; or `none`: repository code then runs without isolation, which every job says.",
    ),
    variable(
        "BOOTY_SANDBOX_RO",
        "",
        READERS,
        "More folders that the sandbox may read, colon-separated: toolchains outside `/usr`.",
    ),
    // Setup
    variable(
        "SETUP_NETWORK",
        "registries",
        VERIFIER,
        "What setup steps may reach: `registries`, those of the operator's own pip, npm, cargo and go; or `off`, nothing.",
    ),
    variable(
        "SETUP_REGISTRY_HOSTS",
        "",
        VERIFIER,
        "More hosts that setup steps may reach, as `host` or `host:port`, comma-separated.",
    ),
    // GitHub
    variable(
        "GITHUB_API_URL",
        "https://api.github.com",
        WORKERS,
        "GitHub's REST API; another host for GitHub Enterprise or the simulator.",
    ),
    variable(
        "GITHUB_APP_ID",
        "",
        FORGE,
        "The GitHub App (id or client id) that forge writes as; check runs need one. With `GITHUB_APP_PRIVATE_KEY`, instead of `GITHUB_TOKEN`.",
    ),
    secret(
        "GITHUB_APP_PRIVATE_KEY",
        FORGE,
        "The App's RSA key in PEM, as GitHub gives it; `\\n` may stand for line ends. Only forge ever has it.",
    ),
    secret(
        "GITHUB_TOKEN",
        FORGE,
        "A personal token that can write, instead of a GitHub App; only forge ever has it. Verdicts are then commit statuses and comments, because GitHub lets only Apps write check runs.",
    ),
    secret(
        "BOOTY_MARKER_KEY",
        FORGE,
        "Signs the markers by which forge knows its own objects. Made once in the data directory when it is unset; share it when forge runs on several hosts.",
    ),
    variable("DRY_RUN", "false", FORGE, "Say what would be written to GitHub, and write nothing."),
    variable(
        "FORGE_RETRY_DELAYS",
        "2s,8s,30s",
        FORGE,
        "Waits before an effect is tried again after a server or network error; then it goes to the spool.",
    ),
    variable(
        "FORGE_LOOKUP_DELAYS",
        "5s,15s,45s",
        FORGE,
        "When to look whether a write with an unknown outcome was done, before it is tried again.",
    ),
    variable(
        "FORGE_HTTP_TIMEOUT",
        "8s",
        FORGE,
        "The longest one call to GitHub may take. Below a third of the lease.",
    ),
    variable(
        "FORGE_WRITE_SPACING",
        "1s",
        FORGE,
        "The time between two writes when there are many of them. At least the second that github.com asks for; a GitHub Enterprise Server may allow less, and higher numbers below.",
    ),
    variable(
        "FORGE_CONTENT_PER_MINUTE",
        "60",
        FORGE,
        "Content that forge makes on GitHub in a minute, at most.",
    ),
    variable(
        "FORGE_CONTENT_PER_HOUR",
        "400",
        FORGE,
        "Content that forge makes on GitHub in an hour, at most.",
    ),
    variable(
        "FORGE_POINTS_PER_MINUTE",
        "850",
        FORGE,
        "GitHub's points that forge's requests cost in a minute, at most: 1 for a read, 5 for a write.",
    ),
    // All that work
    variable(
        "LEASE",
        "30s",
        WORKERS,
        "How long a worker may be silent before its work is given to another. 1s to 10m.",
    ),
    // Alerts
    variable(
        "OBSV_MIN_SEVERITY",
        "error",
        OBSERVABILITY,
        "Alerts below it make no issue: `debug`, `info`, `warning`, `error`, `fatal`.",
    ),
    variable(
        "OBSV_COOLDOWN_HOURS",
        "6",
        OBSERVABILITY,
        "How long after an issue was made or opened again the same fingerprint opens none. 0 to 720.",
    ),
    variable(
        "OBSV_AUTO_BUILD",
        "restricted",
        For::Only(&["observability", "builder"]),
        "What an issue that was made from an alert may start: `off` (nothing; it gets the label `triage`), `restricted` (a build that is told only machine fields which were checked against the tree), `full` (a build that reads the issue).",
    ),
    variable(
        "OBSV_SENTRY_HOSTS",
        "sentry.io",
        OBSERVABILITY,
        "Where an issue's link to its event may lead, comma-separated, subdomains included: the hosts of your own Sentry.",
    ),
    variable(
        "OBSV_SPOOL_PATH",
        "`observability-spool.jsonl` in the data directory",
        OBSERVABILITY,
        "Where alerts are kept that could not be handled while the broker takes no spool entry: JSON lines.",
    ),
    // Telemetry
    variable(
        "LOG_LEVEL",
        "info",
        For::All,
        "`error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,booty_forge=debug`.",
    ),
    variable("LOG_FORMAT", "`text` at a terminal, else `json`", For::All, "`json` or `text`."),
    variable("BOOTY_RELEASE", "the version", For::All, "What is running, for traces."),
    variable(
        "OTEL_TRACES_EXPORTER",
        "`otlp` when an endpoint is set, else `none`",
        For::All,
        "`otlp`, `console` or `none`.",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        For::All,
        "The collector. The other standard `OTEL_EXPORTER_OTLP_*` and `OTEL_TRACES_SAMPLER*` variables count as well.",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/protobuf",
        For::All,
        "`http/protobuf` or `grpc`.",
    ),
];

/// What every process of ours inherits besides its own variables: where programs and certificates
/// are, and OpenTelemetry's standard variables.
pub const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "XDG_STATE_HOME",
    "RUST_BACKTRACE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "NO_COLOR",
];

/// Whether a process named `service` may see the variable `name`.
pub fn is_for(service: &str, name: &str) -> bool {
    if INHERITED.contains(&name) || name.starts_with("OTEL_") {
        return true;
    }
    VARIABLES.iter().any(|variable| {
        let named = variable.name == name
            || variable.secret && name.strip_suffix("_FILE") == Some(variable.name);
        named
            && match variable.used_by {
                For::All => true,
                For::Only(services) => services.contains(&service),
                For::Supervisor => false,
            }
    })
}

/// The table of `docs/CONFIGURATION.md`.
pub fn markdown_table() -> String {
    let mut table = String::from("| variable | default | used by | |\n|---|---|---|---|\n");
    for variable in VARIABLES {
        let used_by = match variable.used_by {
            For::All => "all".to_owned(),
            For::Only(services) => services.join(", "),
            For::Supervisor => "`booty up`".to_owned(),
        };
        let default = if variable.default.is_empty() { "–" } else { variable.default };
        let secret = if variable.secret { " Secret; also as a file: `_FILE`." } else { "" };
        let _ = writeln!(
            table,
            "| `{}` | {default} | {used_by} | {}{secret} |",
            variable.name, variable.text
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forge_sees_the_write_token_and_only_ingress_the_webhook_secrets() {
        for service in ["ingress", "builder"] {
            assert!(!is_for(service, "GITHUB_TOKEN"));
            assert!(!is_for(service, "GITHUB_TOKEN_FILE"));
            assert!(!is_for(service, "GITHUB_APP_PRIVATE_KEY"));
            assert!(!is_for(service, "GITHUB_APP_PRIVATE_KEY_FILE"));
        }
        assert!(is_for("forge", "GITHUB_TOKEN_FILE"));
        for service in ["forge", "builder"] {
            assert!(!is_for(service, "WEBHOOK_SECRET"));
        }
        assert!(!is_for("forge", "MODEL_API_KEY"));
        assert!(!is_for("builder", "AWS_SECRET_ACCESS_KEY"));
    }
}
