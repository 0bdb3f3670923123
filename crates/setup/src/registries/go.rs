//! go: its module proxies and its checksum database.

use serde_json::Value;

use super::{
    Operator, Registry,
    client::{Bench, ClientError},
};

const PROGRAM: &str = "go";

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
    let names = ["GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE"];
    let said = bench.ask(PROGRAM, &[&["env", "-json"], &names[..]].concat()).await?;
    let settings: Value = serde_json::from_str(&said).unwrap_or_default();
    let get = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut proxies = String::new();
    // A comma goes on after "not found" alone, a bar after any error: they stay as they are.
    for part in get("GOPROXY").split_inclusive([',', '|']) {
        let separator =
            part.get(part.len().saturating_sub(1)..).filter(|end| [",", "|"].contains(end));
        match part.trim_end_matches([',', '|']) {
            "direct" => {
                registry.note("go's direct downloads from repositories are not for setup steps")
            }
            "off" | "" => {}
            proxy => {
                if let Some(url) = registry.configured("a proxy of go's", proxy).await {
                    proxies.push_str(&url);
                    proxies.push_str(separator.unwrap_or_default());
                }
            }
        }
    }
    let proxies = proxies.trim_end_matches([',', '|']);
    let proxies = if proxies.is_empty() { "off" } else { proxies };
    registry.env.insert("GOPROXY".to_owned(), proxies.to_owned());
    // "name", "name+hash+key", or either with a URL behind it.
    let database = get("GOSUMDB");
    if !matches!(database, "" | "off") {
        let name = database.split([' ', '+']).next().unwrap_or_default();
        let url = database.split_whitespace().nth(1).unwrap_or(name);
        let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        registry.configured("go's checksum database", &url).await;
    }
    registry.env.insert("GOSUMDB".to_owned(), database.to_owned());
    for name in ["GONOSUMDB", "GOPRIVATE"] {
        if !get(name).is_empty() {
            // GOPRIVATE would have go ask the repositories themselves.
            registry.env.insert("GONOSUMDB".to_owned(), get(name).to_owned());
        }
    }
    registry.env.insert("GOTOOLCHAIN".to_owned(), "local".to_owned());
    Ok(())
}
