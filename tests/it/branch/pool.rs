//! A pool in a file.

use super::rig::Project;
use crate::support::binaries;

#[test]
fn a_pool_makes_branches_instant_and_keeps_what_there_was() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: not root: pools are NOT tested in this run");
        return;
    }
    let project = Project::init(&binaries()[0]);
    project.sql("main", "create table t as select 'kept' v");
    project.sql("main", "select pg_create_physical_replication_slot('kept')");
    project.create("old");
    let made = project.run(&["branch", "pool", "create", "--size", "2G", "--json"]);
    if made.code == Some(8) {
        eprintln!(
            "SKIPPED: no loop device or btrfs ({}): pools are NOT tested in this run",
            made.stderr
        );
        return;
    }
    let made = made.expect_code(0).json();
    assert_eq!(made["pool"]["is_mounted"], true);
    assert!(made["pool"]["used_bytes"].as_u64().unwrap() < 1 << 30, "{made}");
    for name in ["main", "old"] {
        assert_eq!(project.value(name, "select v from t"), "kept");
    }
    assert_eq!(project.value("main", "select slot_name from pg_replication_slots"), "kept");
    assert!(!project.state().join("branches.before").exists());
    let created = project.create("new");
    assert_eq!(created["branch"]["backend"], "subvolume");
    assert_eq!(created["branch"]["captured"]["method"], "snapshot");
    assert_eq!(project.value("new", "select v from t"), "kept");
    let described = project.json(&["branch", "describe", "new"]);
    let [own, all] = ["exclusive_bytes", "disk_bytes"].map(|key| described[key].as_u64().unwrap());
    assert!(own < all / 2, "{own} of {all}");

    // After a restart of the machine.
    project.json(&["stop"]);
    project.unmount();
    let error = project.error(&["branch", "list"], 8);
    assert!(error["hint"].as_str().unwrap().contains("pool mount"), "{error}");
    assert_eq!(project.json(&["branch", "pool", "status"])["pool"]["is_mounted"], false);
    project.json(&["branch", "pool", "mount"]);
    assert_eq!(project.value("new", "select v from t"), "kept");
    project.json(&["branch", "delete", "new", "old", "--yes"]);
    assert_eq!(project.json(&["branch", "list"])["branches"].as_array().unwrap().len(), 1);
    let second = project.error(&["branch", "pool", "create"], 5);
    assert!(second["message"].as_str().unwrap().contains("a pool already"), "{second}");

    // A power cut after the image got its name: the pool has the branches.
    project.json(&["stop"]);
    project.unmount();
    std::fs::create_dir(project.state().join("branches.before")).unwrap();
    assert_eq!(project.error(&["branch", "list"], 8)["code"], "unreachable");
    project.json(&["branch", "pool", "mount"]);
    assert_eq!(project.value("main", "select v from t"), "kept");
    assert!(!project.state().join("branches.before").exists());
}

#[test]
fn a_power_cut_before_the_image_has_its_name_leaves_the_branches_where_they_were() {
    let project = Project::init(&binaries()[0]);
    project.sql("main", "create table t as select 'kept' v");
    let (branches, before) =
        (project.state().join("branches"), project.state().join("branches.before"));
    for has_successor in [false, true] {
        project.json(&["stop"]);
        std::fs::rename(&branches, &before).unwrap();
        if has_successor {
            std::fs::create_dir(&branches).unwrap();
        }
        assert_eq!(project.value("main", "select v from t"), "kept");
        assert!(!before.exists());
    }
}
