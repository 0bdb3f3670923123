//! The house rules of docs/ARCHITECTURE.md that Cargo can see.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

const SERVICES: [&str; 6] = [
    "booty-ingress",
    "booty-builder",
    "booty-verifier",
    "booty-forge",
    "booty-observability",
    "booty-ops",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap()
}

/// What each of our crates needs to be built (not: to be tested).
fn arrows(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let needed = |package: &&Package| -> BTreeSet<String> {
        let normal = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        normal.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.workspace_packages().iter().map(|p| (p.name.to_string(), needed(p))).collect()
}

/// What `from` reaches over any number of arrows between our own crates, external crates included.
fn reach(arrows: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(next) = open.pop() {
        for name in arrows.get(&next).into_iter().flatten() {
            if found.insert(name.clone()) {
                open.push(name.clone());
            }
        }
    }
    found
}

fn assert_never(arrows: &BTreeMap<String, BTreeSet<String>>, from: &str, what: &[&str]) {
    let reached = reach(arrows, from);
    for forbidden in what {
        assert!(!reached.contains(*forbidden), "{from} must not depend on {forbidden}");
    }
}

#[test]
fn services_meet_on_subjects_only() {
    let arrows = arrows(&metadata());
    for service in SERVICES {
        assert!(arrows.contains_key(service), "{service} is gone; mend the list");
        let others: Vec<_> = SERVICES.into_iter().filter(|other| *other != service).collect();
        assert_never(&arrows, service, &others);
    }
}

#[test]
fn events_and_policy_do_no_io() {
    let arrows = arrows(&metadata());
    for pure in ["booty-events", "booty-policy"] {
        assert_never(&arrows, pure, &["tokio", "reqwest", "async-nats", "gix", "octocrab", "axum"]);
    }
}

#[test]
fn the_bus_knows_no_github_and_github_no_bus() {
    let arrows = arrows(&metadata());
    assert_never(&arrows, "booty-bus", &["booty-github", "octocrab", "booty-policy"]);
    assert!(!arrows["booty-bus"].contains("prost"), "the bus carries bytes, not messages");
    assert_never(&arrows, "booty-github", &["booty-bus", "async-nats"]);
}

#[test]
fn the_door_and_the_writer_open_no_workspaces_sandboxes_or_models() {
    let arrows = arrows(&metadata());
    for other in ["booty-ingress", "booty-forge", "booty-ops"] {
        assert_never(&arrows, other, &["booty-workspace", "booty-sandbox", "booty-model", "gix"]);
    }
}

#[test]
fn setup_steps_know_no_github_and_no_bus() {
    let arrows = arrows(&metadata());
    assert!(arrows.contains_key("booty-setup"));
    assert_never(&arrows, "booty-setup", &["booty-github", "booty-bus", "async-nats", "reqwest"]);
}

#[test]
fn the_judge_knows_neither_github_nor_the_bus() {
    let arrows = arrows(&metadata());
    for crate_ in ["booty-judge", "booty-setup", "booty-sandbox", "booty-workspace"] {
        assert_never(
            &arrows,
            crate_,
            &["booty-bus", "booty-github", "booty-service", "async-nats"],
        );
    }
    assert_never(&arrows, "booty-verifier", &["booty-model"]);
}

#[test]
fn nothing_that_ships_as_a_service_needs_the_simulator() {
    let arrows = arrows(&metadata());
    for service in SERVICES {
        assert_never(&arrows, service, &["booty-sim"]);
    }
    // The simulated model endpoint plays the scripts of booty-model; nothing goes the other way.
    assert!(arrows["booty-sim"].contains("booty-model"));
    assert_never(&arrows, "booty-model", &["booty-sim"]);
}

#[test]
fn there_is_one_tls_provider() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().unwrap();
    // The lock file may name ring for platforms or features that are not built; the graph may not.
    let resolved: BTreeSet<_> = resolve.nodes.iter().map(|node| &node.id).collect();
    for package in metadata.packages.iter().filter(|package| resolved.contains(&package.id)) {
        let name = package.name.as_str();
        assert!(
            !["ring", "openssl", "openssl-sys", "native-tls"].contains(&name)
                || !used(&metadata, name),
            "{name} is built; aws-lc-rs is the one provider"
        );
    }
}

/// Whether some built package has an active dependency on it, on this platform.
fn used(metadata: &Metadata, name: &str) -> bool {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--workspace", "--edges", "normal,build", "--invert", name])
        .current_dir(metadata.workspace_root.as_std_path())
        .output()
        .unwrap();
    output.status.success() && !output.stdout.is_empty()
}
