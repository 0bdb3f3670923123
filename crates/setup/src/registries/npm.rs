//! npm; pnpm and yarn are told the same.

use serde_json::Value;

use super::{
    Operator, Registry,
    client::{Bench, ClientError},
};

const PROGRAM: &str = "npm";
/// A package of two kilobytes that half of all projects have.
const PROBE: &str = "isarray";

pub(super) async fn discover(operator: &Operator) -> Registry {
    let mut registry = Registry::default();
    if let Err(error) = ask(operator, &mut registry).await {
        registry.note(error.to_string());
    }
    registry
}

async fn ask(operator: &Operator, registry: &mut Registry) -> Result<(), ClientError> {
    let io = |source| ClientError::Io { program: PROGRAM.to_owned(), source };
    let bench = Bench::new(operator).map_err(io)?;
    // Without a manifest of its own, npm takes the next one above for the project.
    bench.write("package.json", "{}").map_err(io)?;
    let said = bench.ask(PROGRAM, &["config", "list", "--json"]).await?;
    let settings: Value = serde_json::from_str(&said).unwrap_or_default();
    for (name, value) in settings.as_object().into_iter().flatten() {
        let Some(value) = value.as_str() else { continue };
        if name == "registry" || (name.starts_with('@') && name.ends_with(":registry")) {
            let Some(url) = registry.configured(&format!("npm's {name}"), value).await else {
                continue;
            };
            if name == "registry" {
                for name in ["YARN_NPM_REGISTRY_SERVER", "YARN_REGISTRY", "COREPACK_NPM_REGISTRY"] {
                    registry.env.insert(name.to_owned(), url.trim_end_matches('/').to_owned());
                }
            }
            registry.npmrc.push_str(&format!("{name}={url}\n"));
        } else if name == "cafile" {
            registry.certificates.extend(std::fs::canonicalize(value));
        } else if name.starts_with("//") || ["_auth", "cert", "key"].contains(&name.as_str()) {
            registry.note("npm's credentials are not for setup steps");
        }
    }
    for (name, value) in [("fund", "false"), ("audit", "false"), ("update-notifier", "false")] {
        registry.npmrc.push_str(&format!("{name}={value}\n"));
    }
    let cache = bench.path("cache").into_os_string();
    let env = [("npm_config_cache", cache), ("npm_config_update_notifier", "false".into())];
    let (hosts, said) = bench.watch(PROGRAM, &["pack", "--silent", PROBE], &env).await?;
    registry.saw(hosts);
    said.map(drop)
}
