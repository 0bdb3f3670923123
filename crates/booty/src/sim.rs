//! `booty sim`: a simulated GitHub and model endpoint to try things against by hand.

use std::{io::Write as _, path::Path};

use booty_service::{Env, Exit, signals};
use booty_sim::{
    Sim, SimSettings,
    model::{ModelServer, ModelSettings, Script},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::SimArgs;

/// What the model endpoint takes as its key, where somebody chose one.
const KEY: &str = "MODEL_API_KEY";

pub(crate) async fn run(args: SimArgs) -> anyhow::Result<Exit> {
    let shutdown = signals::shutdown(false)?;
    let given = Env::from_process().optional(KEY).map(SecretString::from);
    let model = match &args.script {
        Some(script) => Some(model(script, &args, given.clone()).await?),
        None => None,
    };
    let settings = SimSettings { listen: args.listen, ..SimSettings::new(args.data_dir) };
    let sim = Sim::start(settings).await?;
    let mut out = std::io::stdout();
    writeln!(out, "GitHub (simulated) at {}", sim.api_url())?;
    writeln!(out, "control token: {}", sim.control_token().expose_secret())?;
    if let Some(model) = &model {
        writeln!(out, "model (simulated) at {}", model.url())?;
        writeln!(out, "  anthropic: MODEL_BASE_URL={}", model.url())?;
        writeln!(out, "  openai, openai-chat: MODEL_BASE_URL={}", model.v1_url())?;
        match model.api_key().filter(|_| given.is_none()) {
            Some(key) => writeln!(out, "  {KEY}={}", key.expose_secret())?,
            None => writeln!(out, "  {KEY} is the one that is set here")?,
        }
    }
    out.flush()?;
    shutdown.cancelled().await;
    Ok(Exit::Success)
}

async fn model(
    script: &Path,
    args: &SimArgs,
    key: Option<SecretString>,
) -> anyhow::Result<ModelServer> {
    let mut settings = ModelSettings::new(Script::load(script)?);
    settings.listen = args.model_listen;
    if key.is_some() {
        settings.api_key = key;
    }
    Ok(ModelServer::start(settings).await?)
}
