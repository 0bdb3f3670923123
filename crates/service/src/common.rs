//! Settings that every process shares.

use std::{
    io::IsTerminal as _,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use booty_bus::BusSettings;
use booty_telemetry::{Exporter, LogFormat, TraceSettings};
use url::Url;

use crate::env::Env;

const DEFAULT_API_URL: &str = "https://api.github.com";
const DEFAULT_GIT_URL: &str = "https://github.com";

/// Where NATS is when nothing is said.
pub const DEFAULT_NATS_URL: &str = "nats://127.0.0.1:4222";
/// The first admin port; each service has one of its own from here on.
const FIRST_ADMIN_PORT: u16 = 9090;

/// What every service needs besides its own settings.
#[derive(Debug, Clone)]
pub struct Common {
    /// The bus.
    pub bus: BusSettings,
    /// NATS's monitoring address, which tells whether every message is synced to disk.
    pub monitor_url: Option<String>,
    /// Where the admin port is.
    pub admin: SocketAddr,
    /// Logs and traces.
    pub telemetry: booty_telemetry::Settings,
    /// The name under which leases are held.
    pub holder: String,
}

impl Common {
    /// Reads them for the service that has the `nth` admin port.
    pub fn from_env(env: &mut Env, service: &'static str, nth: u16) -> Self {
        let admin = env.parse_or(
            "ADMIN_ADDR",
            SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_ADMIN_PORT + nth)),
        );
        let instance = env.optional("BOOTY_INSTANCE");
        let holder =
            instance.unwrap_or_else(|| format!("{service}-{:016x}", rand::random::<u64>()));
        Self {
            bus: bus(env, &format!("booty-{service}")),
            monitor_url: env.optional("NATS_MONITOR_URL"),
            admin,
            telemetry: telemetry(env, service),
            holder,
        }
    }
}

/// Settings of the connection to NATS.
pub fn bus(env: &mut Env, client_name: &str) -> BusSettings {
    let url = env.optional("NATS_URL").unwrap_or_else(|| DEFAULT_NATS_URL.to_owned());
    BusSettings {
        creds: env.optional("NATS_CREDS").map(PathBuf::from),
        max_bytes: env.parse("BOOTY_STREAM_MAX_BYTES"),
        ..BusSettings::new(url, client_name)
    }
}

/// `BOOTY_DATA_DIR`, or the place that the XDG base directory specification names for state.
pub fn data_dir(env: &mut Env) -> PathBuf {
    if let Some(dir) = env.optional("BOOTY_DATA_DIR") {
        return PathBuf::from(dir);
    }
    if let Some(state) = env.optional("XDG_STATE_HOME") {
        return PathBuf::from(state).join("booty");
    }
    match env.optional("HOME") {
        Some(home) => PathBuf::from(home).join(".local/state/booty"),
        None => {
            env.problem("BOOTY_DATA_DIR", "is not set, and there is no HOME to put it in");
            PathBuf::new()
        }
    }
}

/// Where GitHub is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubUrls {
    /// The REST API.
    pub api: Url,
    /// What `/owner/name.git` is appended to. Never taken from a payload, so that no delivery can send
    /// a token elsewhere.
    pub git: Url,
}

/// `GITHUB_API_URL`, and `GITHUB_GIT_URL`, which follows from it when it is not set.
pub fn github_urls(env: &mut Env) -> GithubUrls {
    let api = github_api(env);
    let git = match env.optional("GITHUB_GIT_URL") {
        Some(_) => web_address(env, "GITHUB_GIT_URL", DEFAULT_GIT_URL),
        None => git_url_of(&api),
    };
    GithubUrls { api, git }
}

/// `GITHUB_API_URL` alone, for who does not clone.
pub fn github_api(env: &mut Env) -> Url {
    web_address(env, "GITHUB_API_URL", DEFAULT_API_URL)
}

fn web_address(env: &mut Env, name: &str, default: &'static str) -> Url {
    let text = env.optional(name).unwrap_or_else(|| default.to_owned());
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => url,
        _ => {
            env.problem(name, &format!("{text:?} is not an http or https address"));
            placeholder()
        }
    }
}

/// Stands where a mistake was noted; nothing is started then.
fn placeholder() -> Url {
    // Parsed once more than needed, because a constant address can't be made without a parse.
    Url::parse(DEFAULT_GIT_URL).unwrap_or_else(|_| unreachable!("a constant address"))
}

/// `api.github.com` is github.com's API; on GitHub Enterprise the API is below `/api/v3` of the same
/// host.
fn git_url_of(api: &Url) -> Url {
    let mut git = api.clone();
    if api.host_str() == Some("api.github.com") && git.set_host(Some("github.com")).is_err() {
        return placeholder();
    }
    let path = api.path().trim_end_matches('/').trim_end_matches("/api/v3").to_owned();
    git.set_path(&path);
    git
}

/// Settings of logs and traces.
pub fn telemetry(env: &mut Env, service: &'static str) -> booty_telemetry::Settings {
    let level = env.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
    let terminal = std::io::stdout().is_terminal();
    let text = LogFormat::Text { ansi: terminal && env.optional("NO_COLOR").is_none() };
    let format = match env.optional("LOG_FORMAT").as_deref() {
        Some("json") => LogFormat::Json,
        Some("text") => text,
        None if terminal => text,
        None => LogFormat::Json,
        Some(other) => {
            env.problem("LOG_FORMAT", &format!("{other:?} is neither json nor text"));
            LogFormat::Json
        }
    };
    let release =
        env.optional("BOOTY_RELEASE").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
    booty_telemetry::Settings {
        service,
        level,
        format,
        traces: TraceSettings { exporter: exporter(env), release },
    }
}

fn exporter(env: &mut Env) -> Exporter {
    let endpoint = env.optional("OTEL_EXPORTER_OTLP_ENDPOINT");
    let grpc = match env.optional("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref() {
        Some("grpc") => true,
        None | Some("http/protobuf") => false,
        Some(other) => {
            env.problem(
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                &format!("{other:?} is neither http/protobuf nor grpc"),
            );
            false
        }
    };
    match env.optional("OTEL_TRACES_EXPORTER").as_deref() {
        Some("none") => Exporter::None,
        Some("console") => Exporter::Console,
        None if endpoint.is_none() => Exporter::None,
        None | Some("otlp") if grpc => Exporter::OtlpGrpc,
        None | Some("otlp") => Exporter::OtlpHttp,
        Some(other) => {
            env.problem("OTEL_TRACES_EXPORTER", &format!("{other:?} is not otlp, console or none"));
            Exporter::None
        }
    }
}
