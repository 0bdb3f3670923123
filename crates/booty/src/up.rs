//! `booty up`: every service, supervised, and a NATS server of its own when none is named.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use booty_bus::local::{self, LocalServer, LocalServerSettings};
use booty_service::{
    Env, Exit, common, signals,
    supervisor::{Ended, supervise},
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::children;

/// The admin port of the first service.
const FIRST_ADMIN: &str = "127.0.0.1:9090";

pub(crate) async fn run() -> anyhow::Result<Exit> {
    let mut env = Env::from_process();
    let data_dir = common::data_dir(&mut env);
    let telemetry = common::telemetry(&mut env, "up");
    let given = env.optional("NATS_URL");
    let admin: SocketAddr = env.parse_or("ADMIN_ADDR", FIRST_ADMIN.parse()?);
    // A child would say the same about its own settings, but each only after the other.
    let _ = booty_ingress::Settings::from_env(&mut env);
    let _ = booty_builder::Settings::from_env(&mut env);
    let _ = booty_forge::Settings::from_env(&mut env, "up");
    let _ = booty_verifier::Settings::from_env(&mut env);
    let mut settings = children::environment();
    if children::is_wanted("observability", &settings) {
        let _ = booty_observability::Settings::from_env(&mut env);
    }
    env.finish()?;
    let telemetry = booty_telemetry::init(&telemetry)?;
    let shutdown = signals::shutdown(false)?;

    settings.insert("BOOTY_DATA_DIR".to_owned(), data_dir.display().to_string());
    let instance = match settings.get("BOOTY_INSTANCE") {
        Some(given) => given.clone(),
        None => instance_of(&data_dir).context("the name of this installation can't be kept")?,
    };
    settings.insert("BOOTY_INSTANCE".to_owned(), instance);
    let broker = match given {
        Some(_) => None,
        None => Some(start_broker(data_dir.join("nats"), &mut settings).await?),
    };

    let program = std::env::current_exe().context("this program can't be found again")?;
    let mut running = FuturesUnordered::new();
    for (nth, service) in (0..).zip(children::SERVICES) {
        if !children::is_wanted(service, &settings) {
            tracing::info!(
                event = "service_left_out",
                child = service,
                "not started: SENTRY_WEBHOOK_SECRET is not set"
            );
            continue;
        }
        let address = SocketAddr::new(admin.ip(), admin.port() + nth);
        settings.insert("ADMIN_ADDR".to_owned(), address.to_string());
        let spec = children::spec(program.clone(), service, &settings, None);
        let (task, _pid) = supervise(spec, shutdown.clone());
        running.push(async move { (service, task.await) });
    }

    let mut exit = Exit::Success;
    while let Some((service, ended)) = running.next().await {
        if ended? == Ended::Misconfigured {
            tracing::error!(event = "child_misconfigured", child = service, "stopping everything");
            exit = Exit::Usage;
            shutdown.cancel();
        }
    }
    if let Some(mut broker) = broker {
        broker.stop().await?;
    }
    let _ = tokio::task::spawn_blocking(move || telemetry.flush()).await;
    Ok(exit)
}

/// A name of this installation's own, kept in its data directory: under it, a service that is started
/// again takes its own leases over at once. Two installations on one broker must not share it.
fn instance_of(data_dir: &Path) -> std::io::Result<String> {
    let path = data_dir.join("instance");
    match std::fs::read_to_string(&path) {
        Ok(known) if !known.trim().is_empty() => return Ok(known.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    std::fs::create_dir_all(data_dir)?;
    let new = format!("up-{:016x}", rand::random::<u64>());
    std::fs::write(&path, &new)?;
    Ok(new)
}

async fn start_broker(
    data_dir: PathBuf,
    settings: &mut BTreeMap<String, String>,
) -> anyhow::Result<LocalServer> {
    let binary = local::find_server()?;
    let server =
        LocalServer::start(LocalServerSettings { binary, data_dir, port: None, sync_always: true })
            .await?;
    settings.insert("NATS_URL".to_owned(), server.url());
    settings.insert("NATS_MONITOR_URL".to_owned(), server.monitor_url());
    tracing::info!(event = "broker_started", url = server.url(), "nats-server is up");
    Ok(server)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_installation_keeps_its_name_and_shares_it_with_no_other() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = super::instance_of(one.path()).unwrap();
        assert_eq!(super::instance_of(one.path()).unwrap(), name);
        assert_ne!(super::instance_of(other.path()).unwrap(), name);
    }
}
