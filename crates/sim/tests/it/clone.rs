//! The real git program clones.

use std::process::Output;

use base64::Engine as _;
use booty_sim::{Permission, Rule, Trouble};

use crate::house::{House, REPO};

pub(crate) async fn git(house: &House, token: Option<&str>, args: &[&str]) -> Output {
    let mut command = tokio::process::Command::new("git");
    command
        .current_dir(house.dir.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    if let Some(token) = token {
        let packed =
            base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {packed}"));
    }
    command.args(args).output().await.unwrap()
}

#[tokio::test]
async fn git_clones_with_a_token_and_can_not_push() {
    let house = House::new().await;
    house.sim.set_private(REPO, true).unwrap();
    let url = format!("{}/{REPO}.git", house.sim.api_url());
    for (version, depth) in [("2", "--depth=1"), ("0", "--no-single-branch")] {
        let config = format!("protocol.version={version}");
        let to = format!("clone-{version}");
        let args = ["-c", &config, "clone", "-q", depth, &url, &to];
        let done = git(&house, Some(&house.reader), &args).await;
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let file = house.dir.path().join(&to).join("src/price.py");
        assert!(std::fs::read_to_string(file).unwrap().contains("return a - b"));
        let run = std::fs::metadata(house.dir.path().join(&to).join("bin/run")).unwrap();
        assert_ne!(std::os::unix::fs::PermissionsExt::mode(&run.permissions()) & 0o111, 0);
    }
    // What the API makes, git fetches; enough of it that git packs its request.
    for n in 0..30 {
        house.branch(&format!("b{n}"), "a.txt", &n.to_string()).await;
    }
    let fetched =
        git(&house, Some(&house.reader), &["-C", "clone-0", "fetch", "-q", "origin"]).await;
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let shown = git(&house, None, &["-C", "clone-0", "show", "origin/b29:a.txt"]).await;
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "29");
    let args = ["-C", "clone-0", "push", "-q", "origin", "HEAD:refs/heads/x"];
    let pushed = git(&house, Some(&house.writer), &args).await;
    assert!(!pushed.status.success());
    assert!(String::from_utf8_lossy(&pushed.stderr).contains("403"));
}

#[tokio::test]
async fn git_is_refused_as_github_refuses_it() {
    let house = House::new().await;
    house.sim.set_private(REPO, true).unwrap();
    let url = format!("{}/{REPO}.git", house.sim.api_url());
    for (token, words) in [
        (None, "could not read Username"),
        (Some("nonsense"), "could not read Username"),
        (Some(house.stranger.as_str()), "not found"),
    ] {
        let done = git(&house, token, &["clone", "-q", &url, "no"]).await;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success() && said.contains(words), "{token:?}: {said}");
    }
    house.sim.set_permission(REPO, "stranger", Permission::Read).unwrap();
    house.sim.add_fault(Rule::new(Trouble::Fail { status: 503 }).path("*.git/*").times(1)).unwrap();
    let done = git(&house, Some(&house.stranger), &["clone", "-q", &url, "no"]).await;
    assert!(String::from_utf8_lossy(&done.stderr).contains("503"));
    let done = git(&house, Some(&house.stranger), &["clone", "-q", &url, "yes"]).await;
    assert!(done.status.success());
}
