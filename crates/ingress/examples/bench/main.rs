//! How much of a bare probe's rate ingress reaches: both take the same signed 12 KB delivery at 32
//! connections and publish it on one broker; the probe does only HMAC and the acknowledged publish.
//!
//! `cargo run --release -p booty-ingress --example bench [-- ROUNDS SECONDS]`
//!
//! Rounds alternate in one run, so that a busy machine burdens both. The broker syncs to disk every
//! two minutes instead of always: a disk's pace would hide the difference.

mod load;
mod probe;

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use booty_bus::{
    Bus, BusSettings,
    local::{LocalServer, LocalServerSettings, find_server},
};
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
        ["serve-probe", url] => probe::serve(url).await,
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
    let bus = Bus::connect(BusSettings::new(url, "bench-ingress")).await?;
    let allowed = AllowList::new(&["octo/*".to_owned()], None)?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = Settings::new(listen, SpoolSettings::in_dir(dir), allowed);
    settings.github_secrets = vec![SECRET.into()];
    let app = App::build(settings, bus)?;
    say_where(app.address())?;
    app.run(CancellationToken::new()).await?;
    Ok(())
}

fn say_where(address: SocketAddr) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "listening on {address}")?)
}

/// One of the two, as a process of its own.
async fn start(arguments: &[&str]) -> Result<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdout(Stdio::piped())
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
    Ok((child, address))
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
    Bus::connect(BusSettings::new(&url, "bench")).await?.ensure().await?;
    let spool = dir.path().join("spool");
    let spool = spool.to_str().context("a folder that is not UTF-8")?;
    let (_ingress, ingress) = start(&["serve-ingress", &url, spool]).await?;
    let (_probe, probe) = start(&["serve-probe", &url]).await?;

    let mut out = std::io::stdout();
    let warm_up = Duration::from_secs(1);
    load::run(probe, CONNECTIONS, warm_up).await?;
    load::run(ingress, CONNECTIONS, warm_up).await?;
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        // Who goes first alternates as well.
        let (of_probe, of_ingress) = if round % 2 == 1 {
            let probe = load::run(probe, CONNECTIONS, length).await?;
            (probe, load::run(ingress, CONNECTIONS, length).await?)
        } else {
            let ingress = load::run(ingress, CONNECTIONS, length).await?;
            (load::run(probe, CONNECTIONS, length).await?, ingress)
        };
        let ratio = of_ingress.per_second / of_probe.per_second;
        writeln!(
            out,
            "round {round}: probe {:.0}/s (p99 {:.1} ms), ingress {:.0}/s (p99 {:.1} ms), ratio {ratio:.2}",
            of_probe.per_second, of_probe.p99_ms, of_ingress.per_second, of_ingress.p99_ms,
        )?;
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let verdict = if median >= TARGET { "reached" } else { "MISSED" };
    writeln!(out, "median ratio {median:.2}; the target of {TARGET} is {verdict}")?;
    if median < TARGET {
        std::process::exit(1);
    }
    Ok(())
}
