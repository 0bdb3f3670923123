//! Where the token is not, and whose configuration is not read.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    child::Process,
    world::{TOKEN, World},
};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_and_nobody_s_configuration_is_read() {
    let world = World::with(&[
        ("text", "100644", b"$Id$\nline\r\nline\n"),
        ("large", "100644", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"),
        (
            ".gitattributes",
            "100644",
            b"* filter=evil eol=crlf ident text diff=evil\nlarge filter=lfs\n",
        ),
        (
            ".gitmodules",
            "100644",
            b"[submodule \"x\"]\n\tpath = sub\n\turl = ext::sh -c 'touch $CANARY'\n",
        ),
        ("sub", "160000", b"1111111111111111111111111111111111111111"),
    ])
    .await;
    // A user's configuration, a hook folder and programs that would all leave a trace if they were used.
    let home = world.outside().join("home");
    let bin = world.outside().join("bin");
    let canary = world.outside().join("canary");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(home.join(".config/git")).unwrap();
    let script = format!("#!/bin/sh\n: > {}\n", canary.display());
    for program in ["git", "git-lfs", "git-remote-https", "ssh", "evil"] {
        fs::write(bin.join(program), &script).unwrap();
        fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let evil = bin.join("evil");
    let evil = evil.display();
    let config = format!(
        "[filter \"evil\"]\n\tsmudge = {evil}\n\tclean = {evil}\n\tprocess = {evil}\n[filter \"lfs\"]\n\tsmudge = {evil}\n\
         [core]\n\tfsmonitor = {evil}\n\thooksPath = {}\n\tsshCommand = {evil}\n\taskPass = {evil}\n\tautocrlf = true\n\
         [credential]\n\thelper = !{evil}\n[diff \"evil\"]\n\ttextconv = {evil}\n[http]\n\textraHeader = X-Evil: 1\n\
         [url \"http://127.0.0.1:1/\"]\n\tinsteadOf = http://\n[include]\n\tpath = {}\n",
        bin.display(),
        home.join("more").display()
    );
    for path in [".gitconfig", ".config/git/config", "more"] {
        fs::write(home.join(path), &config).unwrap();
    }
    let global = home.join(".gitconfig");
    let mut process = Process::start(
        &world,
        &[
            ("HOME", &home),
            ("XDG_CONFIG_HOME", &home.join(".config")),
            ("PATH", &bin),
            ("GIT_CONFIG_GLOBAL", &global),
            ("GIT_CONFIG_SYSTEM", &global),
            ("GIT_ASKPASS", &bin.join("evil")),
            ("GIT_SSH", &bin.join("evil")),
            ("GIT_TRACE", Path::new("2")),
            ("GIT_DIR", Path::new("/nonexistent")),
        ],
    );
    let mut said = process.ready().into_bytes();

    let tree = world.root().join("jobs/child/tree");
    assert_eq!(fs::read(tree.join("text")).unwrap(), b"$Id$\nline\r\nline\n");
    assert!(fs::read(tree.join("large")).unwrap().starts_with(b"version https://git-lfs"));
    assert_eq!(fs::read_dir(tree.join("sub")).unwrap().count(), 0);

    let encoded = STANDARD.encode(format!("x-access-token:{TOKEN}"));
    let command_line = process.command_line();
    let mut all = Vec::new();
    files(&world.root(), &mut all);
    assert!(all.len() > 10);
    for path in all {
        let content = fs::read(&path).unwrap();
        assert!(!holds(&content, TOKEN) && !holds(&content, &encoded), "{}", path.display());
    }
    said.extend(process.finish().into_bytes());
    assert!(holds(&said, "fetching") && holds(&said, "hyper"), "the log was on");
    for text in [&said, &command_line] {
        assert!(!holds(text, TOKEN) && !holds(text, &encoded), "{}", String::from_utf8_lossy(text));
    }
    assert!(!canary.exists(), "a program was started");
    let requests = world.server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.authorization.as_deref() == Some(&format!("Basic {encoded}")))
    );
    assert!(requests.iter().all(|request| request.path.starts_with("/octo/repo.git/")));
}
