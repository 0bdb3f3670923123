//! Ingress alone, from the environment, until SIGTERM. Prints where it listens. The tests kill it.

use booty_bus::Bus;
use booty_ingress::{App, Settings};
use booty_service::{Env, common, signals};
use std::io::Write as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut env = Env::from_process();
    let mut telemetry = common::telemetry(&mut env, "ingress");
    let bus = common::bus(&mut env, "ingress-example");
    let settings = Settings::from_env(&mut env);
    env.finish()?;
    telemetry.format = booty_telemetry::LogFormat::Json;
    let guard = booty_telemetry::init(&telemetry)?;

    let shutdown = signals::shutdown(false)?;
    let app = App::build(settings, Bus::connect(bus).await?)?;
    writeln!(std::io::stdout(), "listening on {}", app.address())?;
    app.run(shutdown).await?;
    tokio::task::spawn_blocking(move || guard.flush()).await?;
    Ok(())
}
