//! What each verb prints, and the code that it ends with.

use super::rig::Project;
use crate::support::binaries;

#[test]
fn a_branch_is_a_copy_that_goes_its_own_way() {
    for binaries in binaries() {
        let project = Project::init(binaries);
        project.sql("main", "create table t (v text); insert into t values ('of main')");
        let created = project.create("dev");
        assert_eq!(created["branch"]["name"], "dev");
        assert_eq!(created["branch"]["condition"], "running");
        assert_eq!(project.value("dev", "select v from t"), "of main");
        project.sql("dev", "update t set v = 'of dev'; create table only_dev ()");
        project.sql("main", "insert into t values ('later')");
        assert_eq!(
            project.value("main", "select string_agg(v, ',' order by v) from t"),
            "later,of main"
        );
        assert_eq!(project.value("dev", "select string_agg(v, ',') from t"), "of dev");
        assert_eq!(project.value("main", "select to_regclass('only_dev') is null"), "t");
        // It needs its parent no more.
        project.run(&["branch", "set", "main", "protected=false"]).expect_code(0);
        project.run(&["branch", "delete", "main", "--yes"]).expect_code(0);
        assert_eq!(project.value("dev", "select v from t"), "of dev");
    }
}

#[test]
fn init_makes_a_project_once() {
    let project = Project::empty(&binaries()[0], &std::env::temp_dir());
    let first = project.json(&["init", "--name", "shop", "--env-file", ".env.local"]);
    assert_eq!(first["project"]["created"], true);
    assert_eq!(first["branch"]["name"], "main");
    let env = std::fs::read_to_string(project.folder.join(".env.local")).unwrap();
    let url = env.trim().strip_prefix("DATABASE_URL=").unwrap();
    assert_eq!(url, project.url("main"));
    assert!(!first.to_string().contains(url), "the URL is shown");
    let again = project.json(&["init"]);
    assert_eq!(again["project"]["created"], false);
    assert_eq!(again["branch"]["id"], first["branch"]["id"]);
    let mode = |path: &str| {
        let meta = std::fs::metadata(project.folder.join(path)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777
    };
    assert_eq!(mode(".env.local"), 0o600);
    assert_eq!(mode(".backlot/state/credentials"), 0o600);
    assert_eq!(mode(".backlot/state/catalog.json"), 0o600);
}

#[test]
fn branches_are_listed_chosen_described_and_deleted() {
    let project = Project::init(&binaries()[0]);
    project.create("a");
    project.json(&["branch", "create", "--name", "a/b", "--parent-branch", "a", "--ttl", "2h"]);
    let list = project.json(&["branch", "list"]);
    let names: Vec<_> = list["branches"].as_array().unwrap().iter().map(|b| &b["name"]).collect();
    assert_eq!(names, ["main", "a", "a/b"]);
    let tree = project.json(&["branch", "tree"]);
    assert_eq!(tree["roots"][0]["children"][0]["children"][0]["name"], "a/b");
    assert_eq!(project.run(&["branch", "tree"]).stdout.lines().nth(2), Some("    a/b (running)"));

    let checked_out = project.json(&["branch", "checkout", "a/b", "--env-file", "env"]);
    assert_eq!(checked_out["branch"]["name"], "a/b");
    let status = project.json(&["status"]);
    assert_eq!(status["checked_out"]["name"], "a/b");
    assert_eq!((&status["branches"], &status["running"]), (&3.into(), &3.into()));
    let described = project.json(&["branch", "describe"]);
    assert_eq!(described["name"], "a/b");
    assert_eq!(described["parent"]["name"], "a");
    assert!(described["disk_bytes"].as_u64().unwrap() > 1_000_000, "{described}");
    let password = project.url("a/b");
    let password = password.split(['/', ':', '@']).nth(4).unwrap().to_owned();
    assert!(password.len() == 40 && !described.to_string().contains(&password));
    assert_eq!(project.json(&["branch", "get", "a/b", "backend"])["backend"], "copy");

    // From below the folder it is the same project.
    let below = project.folder.join("src/deep");
    std::fs::create_dir_all(&below).unwrap();
    let url = project.run_in(&below, &["branch", "url"]).expect_code(0).stdout;
    assert_eq!(url.trim(), project.url("a/b"));
    let folder = project.folder.to_str().unwrap();
    let elsewhere =
        project.run_in(std::path::Path::new("/"), &["--project", folder, "branch", "url"]);
    assert_eq!(elsewhere.expect_code(0).stdout, url);

    let deleted = project.json(&["branch", "delete", "a/b", "a", "--yes"]);
    assert_eq!(deleted["deleted"].as_array().unwrap().len(), 2);
    assert_eq!(project.json(&["status"])["checked_out"]["name"], "main");
    assert_eq!(project.directories().len(), 1);
    let stopped = project.json(&["stop"]);
    assert_eq!(stopped["stopped"][0], "main");
    assert_eq!(project.json(&["status"])["checked_out"]["condition"], "asleep");
}

#[test]
fn a_server_without_the_database_postgres_is_branched() {
    let project = Project::init(&binaries()[0]);
    project.sql("main", "drop database postgres");
    project.create("dev");
    assert_eq!(project.value("dev", "select count(*) from pg_database"), "3");
}

#[test]
fn what_cannot_be_done_has_its_code_and_prints_nothing() {
    let project = Project::init(&binaries()[0]);
    project.create("dev");
    let code = |args: &[&str], code: i32| project.error(args, code)["code"].clone();
    assert_eq!(code(&["branch", "url", "dve"], 4), "not_found");
    assert!(project.error(&["branch", "url", "dve"], 4)["message"].to_string().contains("`dev`"));
    assert_eq!(code(&["branch", "create", "--name", "dev"], 5), "conflict");
    assert_eq!(code(&["branch", "create", "--name", "a b"], 2), "usage");
    assert_eq!(code(&["branch", "create", "--name", "x", "--parent-branch", "y"], 4), "not_found");
    assert_eq!(
        code(&["branch", "create", "--name", "x", "--backend", "subvolume"], 8),
        "unreachable"
    );
    assert_eq!(code(&["branch", "delete", "main", "--yes"], 7), "refused");
    // No terminal, no --yes: nothing is done.
    assert_eq!(code(&["branch", "delete", "dev"], 7), "refused");
    assert_eq!(code(&["branch", "set", "dev", "colour=red"], 2), "usage");
    assert_eq!(code(&["branch", "set", "dev", "setting.port=1"], 2), "usage");
    assert_eq!(code(&["branch", "set", "dev", "setting.Hba_File=/tmp/x"], 2), "usage");
    assert_eq!(code(&["branch", "set", "dev", "port=0"], 2), "usage");
    assert_eq!(code(&["branch", "set", "dev", "password=mine"], 2), "usage");
    assert_eq!(code(&["branch", "get", "dev", "colour"], 4), "not_found");
    assert_eq!(code(&["branch", "wait-ready", "dve"], 4), "not_found");
    assert_eq!(code(&["branch", "checkout", "dve"], 4), "not_found");
    assert_eq!(code(&["branch", "logs", "dve"], 4), "not_found");
    let again = project.json(&["branch", "create", "--name", "dev", "--if-not-exists"]);
    assert_eq!(again["created"], false);
    project.json(&["branch", "delete", "dve", "--if-exists", "--yes"]);
    assert_eq!(project.directories().len(), 2, "something is left of a branch that failed");

    let empty = tempfile::tempdir().unwrap();
    for verb in [&["branch", "list"][..], &["status"], &["stop"], &["branch", "url"]] {
        let output = project.run_in(empty.path(), verb).expect_code(4);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains("backlot init"), "{}", output.stderr);
    }
}

#[test]
fn a_url_is_printed_only_of_a_branch_that_can_be_used() {
    let project = Project::init(&binaries()[0]);
    project.create("dev");
    // Asleep: it is started.
    project.json(&["stop"]);
    assert_eq!(project.value("dev", "select 1"), "1");
    // Being made by somebody who lives.
    let catalog = project.state().join("catalog.json");
    let ready = std::fs::read_to_string(&catalog).unwrap();
    let mut rows: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let id = rows["branches"][1]["id"].as_str().unwrap().to_owned();
    rows["branches"][1]["state"] = "creating".into();
    std::fs::write(&catalog, rows.to_string()).unwrap();
    let dir = project.state().join("branches").join(&id);
    let lock = std::fs::File::open(dir.join("branch.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(project.error(&["branch", "url", "dev"], 5)["code"], "conflict");
    let timeout = project.error(&["branch", "wait-ready", "dev", "--timeout", "1s"], 6);
    assert_eq!(timeout["code"], "timeout");
    let again = ["branch", "create", "--name", "dev", "--if-not-exists"];
    assert_eq!(project.error(&again, 5)["code"], "conflict");
    let waits = [&again[..], &["--wait", "--timeout", "1s"]].concat();
    assert_eq!(project.error(&waits, 6)["code"], "timeout");
    drop(lock);
    // Its data is gone.
    std::fs::write(&catalog, ready).unwrap();
    assert_eq!(project.json(&["branch", "wait-ready", "dev"])["branch"]["name"], "dev");
    project.json(&["stop"]);
    std::fs::rename(dir.join("data"), dir.join("gone")).unwrap();
    let gone = project.error(&["branch", "url", "dev"], 8);
    assert!(gone["hint"].as_str().unwrap().contains("branch delete"), "{gone}");
    assert_eq!(project.json(&["branch", "describe", "dev"])["condition"], "broken");
    project.json(&["branch", "delete", "dev", "--yes"]);
    assert_eq!(project.directories().len(), 1);
}

#[test]
fn a_branch_is_changed_renewed_and_collected() {
    let project = Project::init(&binaries()[0]);
    project.json(&["branch", "create", "--name", "old", "--ttl", "0s"]);
    project.json(&["branch", "create", "--name", "kept", "--ttl", "0s", "--protect"]);
    let dry = project.json(&["branch", "gc", "--dry-run"]);
    assert_eq!(dry["expired"], serde_json::json!(["old"]));
    assert_eq!(dry["deleted"], serde_json::json!([]));
    project.error(&["branch", "gc"], 7);
    project.json(&["branch", "renew", "old", "--ttl", "1h"]);
    assert_eq!(project.json(&["branch", "gc", "--yes"])["expired"], serde_json::json!([]));
    project.json(&["branch", "renew", "old", "--ttl", "0s"]);
    assert_eq!(project.json(&["branch", "gc", "--yes"])["deleted"], serde_json::json!(["old"]));

    let before = project.url("kept");
    project.json(&["branch", "set", "kept", "password=rotate", "setting.work_mem=7MB"]);
    let after = project.url("kept");
    assert_ne!(before, after);
    assert!(crate::support::database::run(&before, "select 1").is_err(), "the old password works");
    project.json(&["stop"]);
    assert_eq!(project.value("kept", "show work_mem"), "7MB");
    let port = project.json(&["branch", "get", "kept", "port"])["port"].clone();
    project.json(&["branch", "set", "kept", "port=auto"]);
    assert_ne!(project.json(&["branch", "get", "kept", "port"])["port"], port);
    assert_eq!(project.value("kept", "select 1"), "1");

    let metrics = project.json(&["branch", "metrics", "kept"]);
    assert!(metrics["activity"]["database_bytes"].as_i64().unwrap() > 1_000_000, "{metrics}");
    let logs = project.json(&["branch", "logs", "kept", "-n", "3"]);
    assert!(
        !logs["lines"].as_array().unwrap().is_empty()
            && logs["lines"].as_array().unwrap().len() <= 3
    );
}

#[test]
fn login_is_for_team_servers() {
    let project = Project::init(&binaries()[0]);
    assert_eq!(project.json(&["auth", "login"])["mode"], "local");
    assert_eq!(project.json(&["auth", "status"])["mode"], "local");
    let home = project.folder.to_str().unwrap().to_owned();
    let auth = |args: &[&str], stdin: &str| {
        use std::io::Write;
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backlot"));
        command.args(["auth"]).args(args).args(["--server", "https://team.example", "--json"]);
        command.current_dir(&project.folder).env("XDG_CONFIG_HOME", &home);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // Not every verb reads.
        drop(child.stdin.take().unwrap().write_all(stdin.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let text =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    assert_eq!(auth(&["status"], "").0, Some(3));
    assert_eq!(auth(&["login"], "").0, Some(2));
    let (code, text) = auth(&["login"], "the-token\n");
    assert_eq!(code, Some(0));
    assert!(!text.contains("the-token"));
    let file = project.folder.join("backlot/credentials.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("the-token"));
    assert_eq!(auth(&["status"], "").0, Some(0));
    assert_eq!(auth(&["logout"], "").0, Some(0));
    assert_eq!(auth(&["status"], "").0, Some(3));
}

#[test]
fn migrations_and_clones_act_on_the_checked_out_branch() {
    let project = Project::init(&binaries()[0]);
    project.create("dev");
    project.json(&["branch", "checkout", "dev"]);
    project.run(&["roll", "init"]).expect_code(0);
    let has = |name: &str| project.value(name, "select to_regnamespace('pgroll') is not null");
    assert_eq!((has("dev").as_str(), has("main").as_str()), ("t", "f"));
    project.run(&["roll", "init", "--branch", "main"]).expect_code(0);
    assert_eq!(has("main"), "t");
    project.json(&["branch", "checkout", "main"]);
    let source = ["clone", "start", "--source-url", "postgres://nobody@127.0.0.1:1/none"];
    let refused = project.run(&source).expect_code(7);
    assert!(refused.stderr.contains("--target-branch"), "{}", refused.stderr);
    let both =
        [&source[..], &["--target-branch", "dev", "--target-url", "postgres://x/y"]].concat();
    project.run(&both).expect_code(2);
}

#[test]
fn branches_are_made_at_the_same_time_and_each_name_once() {
    let project = Project::init(&binaries()[0]);
    project.sql("main", "create table t as select 'kept' v");
    let create = |name: &str| {
        let args = ["branch", "create", "--name", name].map(str::to_owned);
        crate::support::Running::start(&project.folder, &args, &project.environment())
    };
    let running = ["a", "b", "c", "same", "same"].map(create);
    let codes = running.map(|running| running.wait().code.unwrap());
    assert_eq!(codes[..3], [0, 0, 0]);
    let mut same = codes[3..].to_vec();
    same.sort_unstable();
    assert_eq!(same, [0, 5]);
    for name in ["a", "b", "c", "same"] {
        assert_eq!(project.value(name, "select v from t"), "kept");
    }
    let list = project.json(&["branch", "list"]);
    let rows = list["branches"].as_array().unwrap();
    let ports: std::collections::BTreeSet<_> =
        rows.iter().map(|row| row["port"].as_u64()).collect();
    assert_eq!((rows.len(), ports.len(), project.directories().len()), (5, 5, 5));
}
