//! cargo: its default registry or what replaces it, and those with names.

use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::Url;

use super::{
    Operator, Registry,
    client::{Bench, ClientError},
    reach_of,
};
use crate::host::Host;

const PROGRAM: &str = "cargo";
/// A crate of a few kilobytes without dependencies.
const PROBE: &str = "cfg-if";
/// Where cargo keeps an index, and the index says where files are.
const INDEXES: &str = "registry/index";

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
    // A home of its own, where nothing is there already, with the operator's configuration.
    let home = bench.path("home");
    std::fs::create_dir(&home).map_err(io)?;
    let own = operator.get("CARGO_HOME").map(PathBuf::from);
    let own = own.or_else(|| Some(operator.home()?.join(".cargo")));
    let mut named = Vec::new();
    if let Some(own) = &own {
        for name in ["config.toml", "config", "credentials.toml", "credentials"] {
            if own.join(name).is_file() {
                std::os::unix::fs::symlink(own.join(name), home.join(name)).map_err(io)?;
            }
        }
        named = copy(own, registry).await;
    }
    let manifest = format!(
        "[package]\nname = \"probe\"\nversion = \"0.0.0\"\n[lib]\npath = \"lib.rs\"\n\
         [dependencies]\n{PROBE} = \"*\"\n"
    );
    bench.write("Cargo.toml", &manifest).map_err(io)?;
    bench.write("lib.rs", "").map_err(io)?;
    let env = [("CARGO_HOME", home.clone().into_os_string())];
    let (hosts, said) = bench.watch(PROGRAM, &["fetch", "--quiet"], &env).await?;
    registry.saw(hosts);
    for name in named {
        let asked = ["info", "--quiet", "--registry", &name, PROBE];
        // That it has no such crate is no matter: it said where its files are before.
        let (hosts, _) = bench.watch(PROGRAM, &asked, &env).await?;
        registry.saw(hosts);
    }
    for host in file_hosts(&home.join(INDEXES)) {
        let reach = reach_of(&host).await;
        registry.hosts.entry(host).or_insert(reach);
    }
    said.map(drop)
}

/// Copies what says where packages come from, without credentials. Returns the registries' names.
async fn copy(home: &Path, registry: &mut Registry) -> Vec<String> {
    let text = ["config.toml", "config"].iter().find_map(|name| read(&home.join(name)));
    let Some(config) = text.and_then(|text| text.parse::<Table>().ok()) else { return Vec::new() };
    let mut kept = Table::new();
    let mut names = Vec::new();
    for table in ["source", "registries"] {
        let mut entries = Table::new();
        for (name, entry) in config.get(table).and_then(Value::as_table).into_iter().flatten() {
            let mut fields = Table::new();
            for (field, value) in entry.as_table().into_iter().flatten() {
                let Some(text) = value.as_str() else { continue };
                match field.as_str() {
                    "replace-with" | "protocol" => {
                        fields.insert(field.clone(), value.clone());
                    }
                    "registry" | "index" => {
                        let bare = text.strip_prefix("sparse+");
                        let what = format!("cargo's {table}.{name}");
                        if let Some(url) = registry.configured(&what, bare.unwrap_or(text)).await {
                            let sparse = bare.map_or("", |_| "sparse+");
                            fields.insert(field.clone(), Value::String(format!("{sparse}{url}")));
                        }
                    }
                    _ => registry.note(format!("cargo's {table}.{name}.{field} is left out")),
                }
            }
            if table == "registries" {
                names.push(name.clone());
            }
            entries.insert(name.clone(), Value::Table(fields));
        }
        if !entries.is_empty() {
            kept.insert(table.to_owned(), Value::Table(entries));
        }
    }
    let cainfo = config.get("http").and_then(|http| http.get("cainfo")).and_then(Value::as_str);
    registry.certificates.extend(cainfo.and_then(|path| home.join(path).canonicalize().ok()));
    registry.cargo_config = kept.to_string();
    names
}

/// What the indexes that cargo has looked at call their place for files.
fn file_hosts(indexes: &Path) -> Vec<Host> {
    let folders = std::fs::read_dir(indexes).into_iter().flatten().flatten();
    let place = |folder: std::fs::DirEntry| {
        let config = read(&folder.path().join("config.json"))?;
        let config: serde_json::Value = serde_json::from_str(&config).ok()?;
        // Its path may have `{crate}` and the like in it.
        let url = config.get("dl")?.as_str()?.replace(['{', '}'], "");
        Host::of_url(&Url::parse(&url).ok()?)
    };
    folders.filter_map(place).collect()
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
