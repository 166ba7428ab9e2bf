//! The project of a folder: broken, made twice, examined; where its URL is written.

use super::rig::Project;
use crate::support::{binaries, database};

#[test]
fn a_broken_project_is_said_and_not_passed_over() {
    let project = Project::init(&binaries()[0]);
    let file = project.folder.join(".backlot/project.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "name: shop\nposgres: 15\n").unwrap();
    let source = ["clone", "start", "--source-url", "postgres://nobody@127.0.0.1:1/none"];
    for verb in [&["roll", "status"][..], &["branch", "list"], &source, &["doctor"]] {
        let said = project.run(verb).expect_code(2).stderr;
        assert!(said.contains("did you mean `postgres`?"), "{said}");
    }
    std::fs::write(&file, text).unwrap();
}

#[test]
fn init_does_not_pass_over_flags_in_a_project() {
    let project = Project::init(&binaries()[0]);
    project.json(&["init", "--name", "test"]);
    for flags in [["--name", "other"], ["--server", "https://team.example"]] {
        let error = project.error(&["init", flags[0], flags[1]], 2);
        assert!(error["hint"].as_str().unwrap().contains("project.yaml"), "{error}");
    }
}

#[test]
fn doctor_examines_the_branch_of_the_project() {
    let project = Project::init(&binaries()[0]);
    let findings = project.json(&["doctor"])["findings"].clone();
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["side"] == "target"));
    assert!(!findings.as_array().unwrap().is_empty());
    project.create("dev");
    project.json(&["doctor", "--target-branch", "dev"]);
    project.error(&["doctor", "--target-branch", "dve"], 4);
    let has_flag = |verb: &[&str]| {
        let help = project.run(&[verb, &["--help"]].concat()).expect_code(0).stdout;
        help.contains("--target-branch")
    };
    assert!(has_flag(&["clone", "start"]) && has_flag(&["clone", "resync"]));
    assert!(!has_flag(&["clone"]) && !has_flag(&["clone", "config"]));
}

#[test]
fn a_url_in_a_file_can_be_used() {
    let project = Project::init(&binaries()[0]);
    for verb in [
        &["branch", "checkout", "main", "--env-file", "env"][..],
        &["branch", "set", "main", "sleep-after=1h", "--env-file", "env"],
    ] {
        project.json(&["stop"]);
        project.json(verb);
        let env = std::fs::read_to_string(project.folder.join("env")).unwrap();
        let url = env.trim().strip_prefix("DATABASE_URL=").unwrap();
        assert_eq!(database::run(url, "select 1").unwrap(), [["1"]]);
    }
}

/// Nobody of this machine.
const USER: u32 = 4711;

#[test]
fn what_root_makes_in_a_users_project_is_the_users() {
    use std::os::unix::fs::{MetadataExt, chown};
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: not root: files that sudo makes are NOT tested in this run");
        return;
    }
    let project = Project::init(&binaries()[0]);
    let state = project.state();
    for dir in [state.clone(), state.join("branches")] {
        chown(dir, Some(USER), Some(USER)).unwrap();
    }
    let id = project.create("dev")["branch"]["id"].as_str().unwrap().to_owned();
    let dir = state.join("branches").join(id);
    let owner = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().uid();
    assert_eq!(owner(dir.clone()), USER);
    assert_eq!(owner(dir.join("branch.lock")), USER);
    assert_eq!(owner(state.join("catalog.json")), USER);
    // Its server's, all of it.
    let server = owner(dir.join("data"));
    assert_ne!(server, 0);
    for path in ["data/base", "data/base/1", "data/pg_wal", "data/PG_VERSION", "server.log"] {
        assert_eq!(owner(dir.join(path)), server, "{path}");
    }
}
