//! Go: its own tool does all of it.

use super::{Found, Paths, Runner, Setup, TreeView, command};
use crate::config::Language;

/// Neither a newer toolchain nor a module can be fetched: say so at once instead of after a timeout.
const ENV: [(&str, &str); 2] = [("GOTOOLCHAIN", "local"), ("GOPROXY", "off")];

pub(super) fn detect(tree: &dyn TreeView, paths: &Paths) -> Option<Found> {
    if !paths.has("go.mod") {
        return None;
    }
    Some(Found {
        language: Language::Go,
        setup: setup(tree),
        check: Some(command("go vet ./...", &ENV)),
        test: Some(command("go test ./...", &ENV)),
        runner: Runner::GoTest,
        why: "go.mod at the root".to_owned(),
    })
}

fn setup(tree: &dyn TreeView) -> Option<Setup> {
    // Go takes modules from there by itself.
    if tree.read("vendor/modules.txt").is_some() {
        return None;
    }
    let requires = |line: &str| {
        let line = line.split("//").next().unwrap_or_default().trim();
        // `require x v1`, and the lines of a block of them: a path with a version after it.
        line.strip_prefix("require").unwrap_or(line).split_whitespace().nth(1).is_some_and(
            |version| {
                version.starts_with('v') && version[1..].starts_with(|c: char| c.is_ascii_digit())
            },
        )
    };
    tree.read("go.mod")?.lines().any(requires).then(|| Setup {
        command: command("go mod download", &[("GOTOOLCHAIN", "local")]),
        from: "go.mod".to_owned(),
    })
}
