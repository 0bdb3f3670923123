//! What the commands for operators share: the connection, questions, usage errors.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use anyhow::Context as _;
use booty_bus::Bus;
use booty_service::{Env, Exit, common};

/// Connects, and says at once when nobody is there.
pub(crate) async fn connect(client_name: &str) -> anyhow::Result<Bus> {
    let mut env = Env::from_process();
    let settings = common::bus(&mut env, client_name);
    env.finish()?;
    let limit = settings.request_timeout;
    let bus = Bus::connect(settings).await?;
    tokio::time::timeout(limit, bus.client().flush())
        .await
        .ok()
        .and_then(Result::ok)
        // Not the URL itself: it may hold a password.
        .context("no NATS server answers; is it running, and is NATS_URL right?")?;
    Ok(bus)
}

/// The arguments make no sense together.
pub(crate) fn usage(why: &dyn Display) -> anyhow::Result<Exit> {
    writeln!(io::stderr(), "booty: {why}")?;
    Ok(Exit::Usage)
}

/// Asks on the terminal; anything but yes is no.
pub(crate) fn confirm(question: &str) -> io::Result<bool> {
    let mut err = io::stderr();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
