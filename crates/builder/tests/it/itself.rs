//! Booty at work on its own repository, as it is.

use std::{path::Path, process::Command};

use crate::{
    flow::{ending, script},
    world::{World, opens},
};

/// All of this repository would take minutes to build; what is shown is whose code it is, and what may
/// be changed.
const CONFIG: &str = "version: 1\ntest: grep -q Booty README.md\n";

/// This repository's files, with a quicker `.booty.yml`.
async fn world(turns: &str) -> World {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed = Command::new("git")
        // Whoever runs the tests need not own the checkout.
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(&top)
        .output()
        .unwrap();
    let mut files: Vec<(String, String)> = String::from_utf8(listed.stdout)
        .unwrap()
        .split_terminator('\0')
        .filter(|path| *path != ".booty.yml")
        .filter_map(|path| Some((path.to_owned(), std::fs::read_to_string(top.join(path)).ok()?)))
        .collect();
    assert!(files.len() > 500, "these are not the sources: {}", files.len());
    files.push((".booty.yml".to_owned(), CONFIG.to_owned()));
    let files: Vec<_> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str(), "100644")).collect();
    World::with_files(&script(turns), &files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_booty_itself_is_proposed_and_stays_a_draft() {
    let world = world(
        r#"
      - calls:
          - { tool: write, with: { path: docs/NOTE.md, content: "A labelled issue becomes a pull request.\n" } }
          - { tool: finish, with: { summary: "A note." } }
"#,
    )
    .await;
    let running = world.start().await;
    let (_, job) = world.labelled_issue("d-1").await;
    assert_eq!(world.events.outcome(&job).await.name, "proposal_made");
    let effects = world.effects().await;
    let opened = opens(&effects[0]);
    assert_eq!(opened.changes.len(), 1);
    assert!(opened.draft && !opened.promote, "whatever the verifier says");
    assert!(opened.body.contains("**This changes Booty itself**"), "{}", opened.body);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_guards_booty_itself_is_not_changed_by_it() {
    let world = world(
        r#"
      - calls:
          - { tool: write, with: { path: .GitHub/workflows/ci.yml, content: "on: push\n" } }
          - { tool: write, with: { path: deploy/./nats.conf, content: "port: 1\n" } }
          - { tool: write, with: { path: .booty.yml, content: "version: 1\n" } }
          - { tool: finish, with: { summary: "Less of a fuss." } }
"#,
    )
    .await;
    let (label, reason, comment) = ending(&world).await;
    assert_eq!((label.as_str(), reason.as_str()), ("booty:needs-human", "refused_change"));
    for path in [".GitHub/workflows/ci.yml", "deploy/nats.conf", ".booty.yml"] {
        assert!(comment.contains(path), "{path}: {comment}");
    }
}
