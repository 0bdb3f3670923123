//! Settings that every process shares.

use std::{
    io::IsTerminal as _,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use booty_bus::BusSettings;
use booty_telemetry::{Exporter, LogFormat, TraceSettings};

use crate::env::Env;

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
