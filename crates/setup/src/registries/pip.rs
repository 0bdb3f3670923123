//! pip, and uv, which is told the same.

use super::{
    Operator, Registry,
    client::{Bench, ClientError},
};

/// What every index of Python packages has: pip itself, a wheel without dependencies.
const PROBE: &str = "pip";
/// Where it says which file is trusted, and where it looks.
const PROGRAM: &str = "python3";

pub(super) async fn discover(operator: &Operator) -> Registry {
    let mut registry = Registry::default();
    if let Err(error) = ask(operator, &mut registry).await {
        registry.note(error.to_string());
    }
    registry
}

async fn ask(operator: &Operator, registry: &mut Registry) -> Result<(), ClientError> {
    let bench = Bench::new(operator)
        .map_err(|source| ClientError::Io { program: PROGRAM.to_owned(), source })?;
    let said = bench.ask(PROGRAM, &["-m", "pip", "config", "list"]).await?;
    for (name, value) in said.lines().filter_map(setting) {
        let values: Vec<&str> = value.split_whitespace().collect();
        match name {
            "index-url" => {
                if let Some(url) = registry.configured("pip's index", value).await {
                    registry.env.insert("UV_DEFAULT_INDEX".to_owned(), url.clone());
                    registry.env.insert("PIP_INDEX_URL".to_owned(), url);
                }
            }
            "extra-index-url" => {
                let mut urls = Vec::new();
                for value in values {
                    urls.extend(registry.configured("an extra index of pip's", value).await);
                }
                registry.env.insert("UV_INDEX".to_owned(), urls.join(" "));
                registry.env.insert("PIP_EXTRA_INDEX_URL".to_owned(), urls.join(" "));
            }
            "trusted-host" => {
                registry.env.insert("PIP_TRUSTED_HOST".to_owned(), values.join(" "));
            }
            "cert" => registry.certificates.extend(std::fs::canonicalize(value)),
            "client-cert" | "find-links" | "proxy" => {
                registry.note(format!("pip's setting {name} is not for setup steps"));
            }
            _ => {}
        }
    }
    let arguments = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:"];
    let arguments = [&arguments[..], &["--no-cache-dir", "--quiet", "--dest", ".", PROBE]].concat();
    let (hosts, said) = bench.watch(PROGRAM, &arguments, &[]).await?;
    registry.saw(hosts);
    said.map(drop)
}

/// A line like `global.index-url='https://…'`. Of a name that comes twice pip takes the last.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.rsplit('.').next()?;
    let value = value.trim();
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    Some((name, quoted('\'').or_else(|| quoted('"')).unwrap_or(value)))
}
