//! The services as supervised child processes of this program.

use std::{collections::BTreeMap, path::PathBuf};

use booty_service::{supervisor::ChildSpec, variables};
use booty_setup::Operator;

/// The services that `booty up` and `booty demo` run, in the order of their admin ports.
pub(crate) const SERVICES: [&str; 6] =
    ["ingress", "builder", "forge", "verifier", "observability", "ops"];

/// Those that install dependencies, by the operator's own clients' settings.
const INSTALLS: [&str; 1] = ["verifier"];

/// Whether a service has anything to do: without Sentry's secret no alert is taken in, and alerts need a
/// repository to become issues of.
pub(crate) fn is_wanted(service: &str, settings: &BTreeMap<String, String>) -> bool {
    let is_set = |name: &str| settings.get(name).is_some_and(|value| !value.trim().is_empty());
    service != "observability"
        || is_set("SENTRY_WEBHOOK_SECRET")
        || is_set("SENTRY_WEBHOOK_SECRET_FILE")
}

/// This process's environment, without what is not UTF-8: no setting of ours is.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// How to run one service with its own part of `settings`.
pub(crate) fn spec(
    program: PathBuf,
    service: &str,
    settings: &BTreeMap<String, String>,
    log: Option<PathBuf>,
) -> ChildSpec {
    let mut env: BTreeMap<String, String> = settings
        .iter()
        .filter(|(name, _)| {
            variables::is_for(service, name) || INSTALLS.contains(&service) && Operator::takes(name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    env.insert("BOOTY_SUPERVISED".to_owned(), "1".to_owned());
    // One process of this name runs at a time, so it may take its own leases over after a crash.
    if let Some(instance) = settings.get("BOOTY_INSTANCE") {
        env.insert("BOOTY_INSTANCE".to_owned(), format!("{instance}-{service}"));
    }
    ChildSpec { name: service.to_owned(), program, args: vec![service.to_owned()], env, log }
}
