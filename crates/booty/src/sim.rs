//! `booty sim`: a simulated GitHub to try things against by hand.

use std::io::Write as _;

use booty_service::{Exit, signals};
use booty_sim::{Sim, SimSettings};
use secrecy::ExposeSecret as _;

use crate::cli::SimArgs;

pub(crate) async fn run(args: SimArgs) -> anyhow::Result<Exit> {
    let shutdown = signals::shutdown(false)?;
    let settings = SimSettings { listen: args.listen, ..SimSettings::new(args.data_dir) };
    let sim = Sim::start(settings).await?;
    writeln!(std::io::stdout(), "GitHub (simulated) at {}", sim.api_url())?;
    writeln!(std::io::stdout(), "control token: {}", sim.control_token().expose_secret())?;
    shutdown.cancelled().await;
    Ok(Exit::Success)
}
