//! What is left when files are lost, copied or cannot be removed.

use super::rig::Project;
use crate::support::binaries;

#[test]
fn data_that_the_catalog_does_not_know_is_never_removed() {
    let project = Project::init(&binaries()[0]);
    project.sql("main", "create table t as select 'kept' v");
    project.create("dev");
    project.json(&["stop"]);
    let catalog = project.state().join("catalog.json");
    let text = std::fs::read_to_string(&catalog).unwrap();

    std::fs::remove_file(&catalog).unwrap();
    for verb in [&["branch", "list"][..], &["status"], &["init"]] {
        let error = project.error(verb, 7);
        assert!(error["message"].as_str().unwrap().contains("does not know"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("catalog.json"), "{error}");
    }
    std::fs::write(&catalog, "").unwrap();
    assert!(project.error(&["branch", "list"], 1)["hint"].as_str().unwrap().contains("backup"));
    assert_eq!(project.directories().len(), 2);

    std::fs::write(&catalog, text).unwrap();
    assert_eq!(project.value("dev", "select v from t"), "kept");
    // Its maker was killed before it wrote a row: there is no data yet.
    std::fs::create_dir(project.state().join("branches/0123456789ab")).unwrap();
    project.json(&["branch", "list"]);
    assert_eq!(project.directories().len(), 2);
}

#[test]
fn what_cannot_be_cleared_away_keeps_nobody_from_work() {
    let project = Project::init(&binaries()[0]);
    project.json(&["branch", "create", "--name", "a", "--ttl", "0s"]);
    project.json(&["branch", "create", "--name", "b", "--ttl", "0s"]);
    let id = project.json(&["branch", "get", "a", "id"])["id"].as_str().unwrap().to_owned();
    let lock = project.state().join("branches").join(&id).join("branch.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();

    let collected = project.run(&["branch", "gc", "--yes"]).expect_code(5);
    assert_eq!(collected.stdout.trim(), "deleted b");
    assert!(collected.stderr.contains("not deleted: a"), "{}", collected.stderr);

    std::fs::create_dir_all(project.state().join("branches/0123456789ab/branch.lock")).unwrap();
    let listed = project.run(&["branch", "list"]).expect_code(0);
    assert!(listed.stderr.contains("not cleared away"), "{}", listed.stderr);
    assert_eq!(project.value("main", "select 1"), "1");
}

#[test]
fn a_branch_that_goes_is_not_checked_out_any_more() {
    let project = Project::init(&binaries()[0]);
    let id = project.create("dev")["branch"]["id"].as_str().unwrap().to_owned();
    // An id as a name would stand for two branches.
    project.error(&["branch", "create", "--name", &id], 5);
    project.json(&["branch", "checkout", "dev"]);
    // Killed half-way through `branch delete`.
    let catalog = project.state().join("catalog.json");
    let text = std::fs::read_to_string(&catalog).unwrap();
    let mut rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    rows["branches"][1]["state"] = "deleting".into();
    std::fs::write(&catalog, rows.to_string()).unwrap();
    assert_eq!(project.json(&["status"])["checked_out"]["name"], "main");
    project.json(&["branch", "set", "main", "protected=false"]);
    project.create("other");
    project.json(&["branch", "delete", "main", "--yes"]);
    let status = project.run(&["status"]).expect_code(0).stdout;
    assert!(status.contains("backlot branch checkout NAME"), "{status}");
}

#[test]
fn a_copied_project_has_servers_of_its_own() {
    let project = Project::init(&binaries()[0]);
    let copy = Project::empty(&binaries()[0], &std::env::temp_dir());
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([project.folder.join(".backlot"), copy.folder.clone()])
        .status();
    assert!(copied.unwrap().success());
    assert!(project.json(&["branch", "metrics", "main"])["activity"].is_object());
    // Measuring does not wake: what it asked would be the original.
    let metrics = copy.json(&["branch", "metrics", "main"]);
    assert!(metrics["activity"].is_null(), "{metrics}");
    let described = copy.json(&["branch", "describe", "main"]);
    assert_ne!(
        described["socket_url"],
        project.json(&["branch", "describe", "main"])["socket_url"]
    );
    let catalog = std::fs::read_to_string(project.state().join("catalog.json")).unwrap();
    assert!(!catalog.contains(project.folder.to_str().unwrap()), "{catalog}");
    // Or the end of the copy would be the end of the original's server.
    for dir in copy.directories() {
        std::fs::remove_file(dir.join("data/postmaster.pid")).unwrap();
    }
}
