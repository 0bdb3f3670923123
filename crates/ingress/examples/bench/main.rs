//! How much of a bare probe's rate ingress reaches: both take the same signed 12 KB delivery at 32
//! connections and publish it on one broker; the probe does only HMAC and the acknowledged publish.
//!
//! `cargo run --release -p booty-ingress --example bench [-- ROUNDS SECONDS]`
//!
//! A second probe puts the same headers on its message as ingress does: what is left between it and
//! ingress is ingress's own work.
//!
//! Rounds alternate in one run, so that a busy machine burdens both. The broker syncs to disk every
//! two minutes instead of always: a disk's pace would hide the difference.

mod load;
mod probe;

use std::{
    fmt,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use booty_bus::{
    Bus, BusSettings,
    local::{LocalServer, LocalServerSettings, find_server},
};
use booty_events::stream::INBOX;
use booty_ingress::{AllowList, App, Settings, settings::SpoolSettings};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "It's a Secret to Everybody";
const CONNECTIONS: usize = 32;
const TARGET: f64 = 0.8;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve-ingress", url, dir] => serve_ingress(url, dir).await,
        ["serve-probe", url, "bare"] => probe::serve(url, probe::Headers::Bare).await,
        ["serve-probe", url, "dressed"] => probe::serve(url, probe::Headers::AsIngress).await,
        [] => compare(5, Duration::from_secs(3)).await,
        [rounds, seconds] => compare(rounds.parse()?, Duration::from_secs(seconds.parse()?)).await,
        _ => bail!("usage: bench [ROUNDS SECONDS]"),
    }
}

/// Ingress as it is run in earnest: logs at `info`, as JSON, here to nowhere.
async fn serve_ingress(url: &str, dir: &str) -> Result<()> {
    let telemetry = booty_telemetry::Settings {
        service: "ingress",
        level: "info".to_owned(),
        format: booty_telemetry::LogFormat::Json,
        traces: booty_telemetry::TraceSettings {
            exporter: booty_telemetry::Exporter::None,
            release: "bench".to_owned(),
        },
    };
    let _guard = booty_telemetry::init(&telemetry)?;
    let bus = Bus::connect(bus_settings(url)).await?;
    let allowed = AllowList::new(&["octo/*".to_owned()], None)?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = Settings::new(listen, SpoolSettings::in_dir(dir), allowed);
    settings.github_secrets = vec![SECRET.into()];
    let app = App::build(settings, bus)?;
    say_where(app.address())?;
    app.run(CancellationToken::new()).await?;
    Ok(())
}

/// The usual streams reserve more than a small disk has. A round needs less, and the inbox is emptied
/// after each.
fn bus_settings(url: &str) -> BusSettings {
    BusSettings { max_bytes: Some(1 << 30), ..BusSettings::new(url, "bench") }
}

fn say_where(address: SocketAddr) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "listening on {address}")?)
}

/// One of the two, as a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
}

/// What one round showed of one of them.
struct Measured {
    load: load::Outcome,
    own_us: f64,
    broker_us: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { load, own_us, broker_us } = self;
        let load::Outcome { per_second, p99_ms, .. } = load;
        write!(
            f,
            "{per_second:.0}/s (p99 {p99_ms:.1} ms; CPU {own_us:.0} us, broker's {broker_us:.0} us)"
        )
    }
}

async fn measure(bus: &Bus, server: &Server, broker: u32, length: Duration) -> Result<Measured> {
    let pid = server.child.id().context("it has ended")?;
    let before = (cpu(pid)?, cpu(broker)?);
    let load = load::run(server.address, CONNECTIONS, length).await?;
    bus.jetstream().get_stream(INBOX.name).await?.purge().await?;
    let each = |seconds: f64| seconds * 1e6 / load.answered as f64;
    let (own_us, broker_us) = (each(cpu(pid)? - before.0), each(cpu(broker)? - before.1));
    Ok(Measured { load, own_us, broker_us })
}

/// Seconds of CPU that a process has used, in user and kernel mode.
fn cpu(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').context("an unknown format of /proc/PID/stat")?;
    // Fields 14 and 15 of proc(5); the state is field 3. In ticks of 10 ms.
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<_, _>>()?;
    Ok(ticks as f64 / 100.0)
}

async fn start(arguments: &[&str]) -> Result<Server> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let address = loop {
        let line = lines.next_line().await?.context("it ended at once")?;
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.parse()?;
        }
    };
    // Its log has to go somewhere.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(Server { child, address })
}

async fn compare(rounds: usize, length: Duration) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = LocalServer::start(LocalServerSettings {
        binary: find_server()?,
        data_dir: dir.path().join("nats"),
        port: None,
        sync_always: false,
    })
    .await?;
    let url = server.url();
    let bus = Bus::connect(bus_settings(&url)).await?;
    bus.ensure().await?;
    let spool = dir.path().join("spool");
    let spool = spool.to_str().context("a folder that is not UTF-8")?;
    let ingress = start(&["serve-ingress", &url, spool]).await?;
    let bare = start(&["serve-probe", &url, "bare"]).await?;
    let dressed = start(&["serve-probe", &url, "dressed"]).await?;

    let broker = server.pid().context("the broker has ended")?;
    for server in [&bare, &dressed, &ingress] {
        measure(&bus, server, broker, Duration::from_secs(1)).await?;
    }
    let mut out = std::io::stdout();
    let (mut to_bare, mut to_dressed) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let mut of = Vec::new();
        // Who goes first changes as well.
        for n in 0..3 {
            let n = (n + round) % 3;
            let server = [&ingress, &bare, &dressed][n];
            of.push((n, measure(&bus, server, broker, length).await?));
        }
        of.sort_by_key(|(n, _)| *n);
        let [(_, of_ingress), (_, of_bare), (_, of_dressed)] = &of[..] else { bail!("three") };
        writeln!(out, "round {round}: ingress       {of_ingress}")?;
        for (name, probe, ratios) in
            [("probe", of_bare, &mut to_bare), ("same headers", of_dressed, &mut to_dressed)]
        {
            let ratio = of_ingress.load.per_second / probe.load.per_second;
            writeln!(out, "         {name:12}  {probe}: ratio {ratio:.2}")?;
            ratios.push(ratio);
        }
        ensure!(
            !spooled(spool)?,
            "ingress had to use its disk: the broker is too slow to compare by"
        );
    }
    let (median, with_headers) = (middle(to_bare), middle(to_dressed));
    let verdict = if median >= TARGET { "reached" } else { "MISSED" };
    writeln!(
        out,
        "median ratio {median:.2} (to a probe that sends the same headers {with_headers:.2}); the \
         target of {TARGET} is {verdict}"
    )?;
    Ok(())
}

fn middle(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or_default()
}

fn spooled(dir: &str) -> Result<bool> {
    for file in std::fs::read_dir(dir)? {
        if file?.path().extension().is_some_and(|extension| extension == "jsonl") {
            return Ok(true);
        }
    }
    Ok(false)
}
