//! Packages that `Cargo.toml` files and `Cargo.lock` name.

use std::collections::BTreeSet;

use booty_policy::TreeView;
use toml_edit::{Document, Item, TableLike};

/// A workspace with more members is known by its first.
const MAX_MANIFESTS: usize = 500;
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What all manifests of a tree say together.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    has_root: bool,
    members: BTreeSet<String>,
    declared: BTreeSet<String>,
}

impl Manifests {
    pub(super) fn of(tree: &dyn TreeView) -> Self {
        let mut all = Self::default();
        let paths: Vec<String> =
            tree.paths().filter(|path| is_one(path)).take(MAX_MANIFESTS).collect();
        for path in paths {
            all.has_root |= path == "Cargo.toml";
            let Some(text) = tree.read(&path) else { continue };
            all.declared.extend(declared(&text));
            all.members.extend(own_name(&text));
        }
        all
    }

    pub(super) fn has_root(&self) -> bool {
        self.has_root
    }

    /// Whether a package of the tree itself is called so.
    pub(super) fn is_member(&self, package: &str) -> bool {
        self.members.contains(package)
    }

    /// Whether a crate of this name, as code writes it, is of the tree or named in a manifest.
    pub(super) fn knows(&self, name: &str) -> bool {
        let same = |package: &String| package.replace('-', "_") == name;
        self.members.iter().any(same) || self.declared.iter().any(same)
    }
}

pub(super) fn is_one(path: &str) -> bool {
    path == "Cargo.toml" || path.ends_with("/Cargo.toml")
}

/// Dependencies by package name and by the name that code uses, `-` as written.
pub(super) fn declared(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Ok(document) = Document::parse(text) else { return names };
    let root = document.as_table();
    tables(root, &mut names);
    if let Some(workspace) = root.get("workspace").and_then(Item::as_table_like) {
        tables(workspace, &mut names);
    }
    if let Some(targets) = root.get("target").and_then(Item::as_table_like) {
        for (_, target) in targets.iter() {
            if let Some(target) = target.as_table_like() {
                tables(target, &mut names);
            }
        }
    }
    names
}

fn tables(of: &dyn TableLike, names: &mut BTreeSet<String>) {
    for table in TABLES.iter().filter_map(|name| of.get(name)?.as_table_like()) {
        for (name, value) in table.iter() {
            let package = value.as_table_like().and_then(|value| value.get("package")?.as_str());
            // Renamed: code says one name, the lock the other.
            names.insert(package.unwrap_or(name).to_owned());
            if package.is_some() {
                names.insert(name.to_owned());
            }
        }
    }
}

fn own_name(text: &str) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let package = document.as_table().get("package")?.as_table_like()?;
    Some(package.get("name")?.as_str()?.to_owned())
}

/// Names in a lock file, which is large and of one shape.
pub(super) fn locked(text: &str) -> BTreeSet<String> {
    let name = |line: &str| line.strip_prefix("name = \"")?.strip_suffix('"').map(str::to_owned);
    text.lines().filter_map(name).collect()
}

/// The first line that names a package.
pub(super) fn line_of(text: &str, package: &str) -> u32 {
    let names = |line: &&str| {
        let line = line.trim_start().trim_start_matches(['"', '\'']);
        line.strip_prefix(package).is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
        }) || line.contains(&format!(".{package}]"))
            || line.contains(&format!("\"{package}\""))
    };
    let index = text.lines().position(|line| names(&line)).unwrap_or(0);
    u32::try_from(index + 1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = 'shop'\n[dependencies]\nserde = { version = '1' }\nyaml = { package = 'serde-yaml', version = '1' }\n[target.'cfg(unix)'.dev-dependencies.nix]\nversion = '1'\n[workspace.dependencies]\nx-y = '1'\n";

    #[test]
    fn every_table_of_dependencies_is_read() {
        let names: Vec<String> = declared(MANIFEST).into_iter().collect();
        assert_eq!(names, ["nix", "serde", "serde-yaml", "x-y", "yaml"]);
        assert_eq!(declared("no toml ["), BTreeSet::new());
        assert_eq!(own_name(MANIFEST).as_deref(), Some("shop"));
        assert_eq!(
            [line_of(MANIFEST, "serde"), line_of(MANIFEST, "nix"), line_of(MANIFEST, "x-y")],
            [4, 6, 9]
        );
    }

    #[test]
    fn deep_toml_is_refused_and_does_no_harm() {
        let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(declared(&deep), BTreeSet::new());
    }
}
