//! `booty verify` where there is nothing to judge: a script must be able to tell, and why.

use std::process::{Command, Output};

fn verify(home: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_booty"))
        .arg("verify")
        .args(arguments)
        .env("HOME", home)
        .env_remove("XDG_STATE_HOME")
        .env_remove("BOOTY_DATA_DIR")
        .output()
        .unwrap()
}

#[test]
fn what_can_not_be_judged_is_json_too_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let ran = verify(folder.path(), &["--json", "--repo", nowhere.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(2));
    let said: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(said["error"].as_str().unwrap().contains("nowhere"), "{said}");
    assert!(said["causes"].is_array(), "{said}");

    let ran = verify(folder.path(), &["--repo", nowhere.to_str().unwrap()]);
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&ran.stderr).starts_with("booty: could not judge: "));
}

#[test]
fn a_home_that_takes_nothing_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    // A file where a folder would be made: root may write everywhere else.
    let home = folder.path().join("home");
    std::fs::write(&home, "").unwrap();
    let repository = folder.path().join("repository");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(repository.join(".booty.yml"), "version: 1\ntest: 'true'\n").unwrap();
    for arguments in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-qm", "base"]]
    {
        let own = ["-c", "user.name=a", "-c", "user.email=a@b.c"];
        let git = Command::new("git").args(own).args(arguments).current_dir(&repository).status();
        assert!(git.unwrap().success());
    }
    let ran = verify(&home, &["--json", "--repo", repository.to_str().unwrap()]);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(stderr.contains("not kept for the next run"), "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(report["sections"].is_array(), "{report}");
}
