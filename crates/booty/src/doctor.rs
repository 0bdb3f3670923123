//! `booty doctor`: is this machine, and what it was told, as Booty needs it?

use std::{io::Write as _, sync::Arc, time::Duration};

use booty_bus::{Bus, BusSettings, local};
use booty_forge::Credentials;
use booty_github::{Client, ClientSettings, StaticToken, app::AppTokens};
use booty_sandbox::Sandbox;
use booty_service::{Env, Exit, common};
use booty_setup::{Kind, Operator, Registry, SetupNetwork};
use serde::Serialize;

use crate::{children, cli::DoctorArgs};

/// For one answer of the broker's or GitHub's.
const PATIENCE: Duration = Duration::from_secs(10);
/// What forge writes as an App.
const PERMISSIONS: [&str; 4] = ["checks", "contents", "issues", "pull_requests"];

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// It works, with less than there could be.
    Warning,
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    /// How it is, and what to do about it.
    said: String,
}

pub(crate) async fn run(args: DoctorArgs) -> anyhow::Result<Exit> {
    let mut found = vec![settings()];
    found.push(broker().await);
    found.push(sandbox().await);
    found.extend(github().await);
    found.extend(registries().await);
    let mut out = std::io::stdout();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &found)?;
        writeln!(out)?;
    } else {
        for finding in &found {
            let mark = match finding.state {
                State::Ok => "ok     ",
                State::Warning => "warning",
                State::Wrong => "WRONG  ",
            };
            writeln!(out, "{mark}  {:<12} {}", finding.what, finding.said)?;
        }
    }
    let is_wrong = found.iter().any(|finding| finding.state == State::Wrong);
    Ok(if is_wrong { Exit::Failure } else { Exit::Success })
}

fn ok(what: &'static str, said: impl Into<String>) -> Finding {
    Finding { what, state: State::Ok, said: said.into() }
}

fn warning(what: &'static str, said: impl Into<String>) -> Finding {
    Finding { what, state: State::Warning, said: said.into() }
}

fn wrong(what: &'static str, said: impl Into<String>) -> Finding {
    Finding { what, state: State::Wrong, said: said.into() }
}

fn settings() -> Finding {
    let mut env = Env::from_process();
    let _ = booty_ingress::Settings::from_env(&mut env);
    let _ = booty_builder::Settings::from_env(&mut env);
    let _ = booty_forge::Settings::from_env(&mut env, "doctor");
    let _ = booty_verifier::Settings::from_env(&mut env);
    if children::is_wanted("observability", &children::environment()) {
        let _ = booty_observability::Settings::from_env(&mut env);
    }
    match env.finish() {
        Ok(()) => ok("settings", "every service could start with them"),
        Err(problems) => {
            let mut named: Vec<_> =
                problems.0.iter().map(|one| format!("{} {}", one.name, one.problem)).collect();
            named.sort();
            named.dedup();
            wrong("settings", format!("{} (docs/CONFIGURATION.md)", named.join("; ")))
        }
    }
}

async fn broker() -> Finding {
    let mut env = Env::from_process();
    let Some(url) = env.optional("NATS_URL") else {
        return match local::find_server() {
            Ok(program) => ok("broker", format!("`booty up` starts {}", program.display())),
            Err(error) => wrong("broker", format!("{error}; `make setup` brings one")),
        };
    };
    let settings = BusSettings {
        creds: env.optional("NATS_CREDS").map(Into::into),
        ..BusSettings::new(url.clone(), "booty-doctor")
    };
    let connected = async {
        let bus = Bus::connect(settings).await?;
        bus.client().flush().await.map_err(anyhow::Error::from)?;
        anyhow::Ok(bus.client().server_info().version)
    };
    match tokio::time::timeout(PATIENCE, connected).await {
        Ok(Ok(version)) => ok("broker", format!("nats-server {version} answers")),
        Ok(Err(error)) => wrong("broker", format!("NATS_URL can't be used: {error:#}")),
        Err(_) => wrong("broker", "nobody answers at NATS_URL"),
    }
}

async fn sandbox() -> Finding {
    let mut env = Env::from_process();
    let settings = booty_verifier::Settings::from_env(&mut env).sandbox;
    match Sandbox::prepare(settings).await {
        Ok(sandbox) if sandbox.describe().starts_with("none") => {
            warning("sandbox", sandbox.describe())
        }
        Ok(sandbox) => ok("sandbox", sandbox.describe()),
        Err(unavailable) => wrong("sandbox", unavailable.to_string()),
    }
}

/// Who forge is, and whether it may do what it has to.
async fn github() -> Option<Finding> {
    let mut env = Env::from_process();
    let urls = common::github_urls(&mut env);
    let credentials = booty_forge::Settings::from_env(&mut env, "doctor").credentials;
    // What is wrong with them is said of the settings already.
    env.finish().ok()?;
    let client = ClientSettings { timeout: PATIENCE, ..ClientSettings::new(urls.api) };
    Some(match credentials {
        Credentials::Token(token) => {
            let client = Client::new(client, Arc::new(StaticToken::new(token))).ok()?;
            match client.current_user().await {
                Ok(user) => {
                    let why = booty_forge::why_no_checks();
                    warning("github", format!("a personal token of {}. {why}", user.login))
                }
                Err(error) => wrong("github", format!("GITHUB_TOKEN is not taken: {error}")),
            }
        }
        Credentials::App(key) => {
            let tokens = AppTokens::new(client, key, chrono::Utc::now).ok()?;
            match tokens.app().await {
                Ok(app) => {
                    let may = |name: &&str| {
                        app.permissions.get(*name).is_some_and(|granted| granted == "write")
                    };
                    let missing: Vec<_> =
                        PERMISSIONS.into_iter().filter(|name| !may(name)).collect();
                    match missing.as_slice() {
                        [] => ok("github", format!("the App {}, with all it needs", app.slug)),
                        missing => wrong(
                            "github",
                            format!(
                                "the App {} lacks write permission for {}; grant it in the App's \
                                 settings, and accept it where it is installed",
                                app.slug,
                                missing.join(", ")
                            ),
                        ),
                    }
                }
                Err(error) => wrong("github", format!("the App's key is not taken: {error}")),
            }
        }
    })
}

/// What setup steps would reach.
async fn registries() -> Vec<Finding> {
    let mut env = Env::from_process();
    let setup = booty_verifier::Settings::from_env(&mut env).setup;
    if setup.network == SetupNetwork::Off {
        let text = "SETUP_NETWORK=off: repositories with dependencies are judged neutral";
        return vec![warning("setup", text)];
    }
    let operator = Operator::new(children::environment());
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let registry = Registry::discover(kind, &operator).await;
        let hosts: Vec<_> = registry.hosts.keys().map(ToString::to_string).collect();
        let notes = registry.notes.join("; ");
        found.push(if hosts.is_empty() {
            let text = format!("no registry of {kind}'s is known: {notes}");
            warning("setup", text)
        } else {
            ok("setup", format!("{kind} reaches {}", hosts.join(", ")))
        });
    }
    found
}
