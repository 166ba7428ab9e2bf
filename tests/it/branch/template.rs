//! Branches that are databases of a server that backlot does not run.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use backlot::instance::{Listen, ServerOptions};

use super::rig::Project;
use crate::support::{
    Cluster, Database, Running, binaries, clone::KEY, database, own_cluster_with, query_value,
    servers, some_servers, sql,
};

const LIMIT: Duration = Duration::from_secs(30);

/// A project on a database of the cluster, as the role that the URL names.
fn project_on(cluster: &'static Cluster, url: &str) -> Project {
    let project = Project::empty(cluster.server().binaries(), &std::env::temp_dir());
    project.run(&["init", "--name", "test", "--on", url]).expect_code(0);
    project
}

fn on_new(cluster: &'static Cluster, name: &str) -> (Database, Project) {
    let adopted = database(cluster, name);
    sql(&adopted, "create table t (v text); insert into t values ('of main')");
    let project = project_on(cluster, &adopted.url);
    (adopted, project)
}

fn as_role(database: &Database, role: &str) -> String {
    let url = database.url.replace("user=postgres", &format!("user={role}"));
    assert_ne!(url, database.url);
    url
}

fn exists(cluster: &Cluster, name: &str) -> bool {
    let sql = format!("select from pg_database where datname = '{name}'");
    !crate::support::database::run(&cluster.url("postgres"), &sql).unwrap().is_empty()
}

/// Databases that are named after this one.
fn made_of(adopted: &Database) -> Vec<String> {
    let sql = format!(
        "select datname from pg_database where datname like '{}\\_%' order by 1",
        adopted.name.replace('_', "\\_")
    );
    let rows = crate::support::database::run(&adopted.cluster.url("postgres"), &sql).unwrap();
    rows.into_iter().flatten().collect()
}

/// A session that stays until it is dropped, and the server has noticed that.
struct Guest {
    client: Option<tokio_postgres::Client>,
    url: String,
    pid: String,
}

impl Guest {
    fn enter(url: &str) -> Self {
        use crate::support::database::{block_on, connect};
        let client = block_on(connect(url)).unwrap();
        let row = block_on(client.query_one("select pg_backend_pid()::text", &[])).unwrap();
        Self { pid: row.get(0), client: Some(client), url: url.to_owned() }
    }

    fn leave(mut self, cluster: &Cluster) {
        self.client = None;
        let is_there = format!("select from pg_stat_activity where pid = {}", self.pid);
        crate::support::wait_for(&format!("the end of a session on {}", self.url), LIMIT, || {
            let url = cluster.url("postgres");
            crate::support::database::run(&url, &is_there).unwrap().is_empty()
        });
    }
}

#[test]
fn a_branch_is_a_database_that_goes_its_own_way() {
    for cluster in some_servers() {
        let (adopted, project) = on_new(cluster, "template_own");
        let file = fs::read_to_string(project.folder.join(".backlot/project.yaml")).unwrap();
        assert!(file.contains("foreign_server: \"postgresql://postgres@/template_own_"), "{file}");

        // Beside the database, not in it.
        let set =
            format!("alter database \"{}\" set search_path to \"$user\", public", adopted.name);
        sql(&adopted, &set);
        let created = project.json(&["branch", "create", "--name", "dev", "--ttl", "2h"]);
        assert_eq!(created["settings_left"], serde_json::json!([]));
        let setting = "select setconfig::text from pg_db_role_setting s join pg_database d \
                       on d.oid = s.setdatabase where datname = current_database()";
        assert_eq!(project.value("dev", setting), query_value(&adopted, setting));
        let branch = &created["branch"];
        let id = branch["id"].as_str().unwrap();
        let name = format!("{}_{id}", adopted.name);
        assert_eq!((&branch["backend"], &branch["database"]), (&"template".into(), &name.into()));
        assert_eq!(branch["condition"], "running");
        assert_eq!(project.value("dev", "select v from t"), "of main");
        project.sql("dev", "update t set v = 'of dev'; create table only_dev ()");
        sql(&adopted, "insert into t values ('later')");
        assert_eq!(
            query_value(&adopted, "select string_agg(v, ',' order by v) from t"),
            "later,of main"
        );
        assert_eq!(query_value(&adopted, "select to_regclass('only_dev') is null"), "t");
        assert_eq!(project.value("dev", "select string_agg(v, ',') from t"), "of dev");

        project.json(&["branch", "create", "--name", "dev/2", "--parent-branch", "dev"]);
        let tree = project.json(&["branch", "tree"]);
        assert_eq!(tree["roots"][0]["children"][0]["children"][0]["name"], "dev/2");
        let list = project.json(&["branch", "list"]);
        let conditions = list["branches"].as_array().unwrap().iter().map(|row| &row["condition"]);
        assert!(conditions.clone().all(|condition| condition == "running"), "{list}");
        assert_eq!(conditions.count(), 3);
        project.json(&["branch", "checkout", "dev/2"]);
        let status = project.json(&["status"]);
        assert_eq!((&status["branches"], &status["running"]), (&3.into(), &3.into()));
        assert_eq!(status["checked_out"]["name"], "dev/2");
        assert_eq!(project.json(&["branch", "describe"])["parent"]["name"], "dev");
        assert_eq!(project.json(&["branch", "get", "dev", "backend"])["backend"], "template");
        project.json(&["branch", "wait-ready", "dev"]);
        project.json(&["branch", "renew", "dev", "--ttl", "7d"]);
        let again = project.json(&["branch", "create", "--name", "dev", "--if-not-exists"]);
        assert_eq!(again["created"], false);
        // It is the database of that id that goes.
        project.json(&["branch", "delete", "dev", "--yes"]);
        assert_eq!(made_of(&adopted).len(), 1);
        assert_eq!(project.value("dev/2", "select v from t"), "of dev");
        assert_eq!(project.directories().len(), 2);
    }
}

#[test]
fn a_parent_that_somebody_is_in_is_left_alone() {
    for cluster in some_servers() {
        let (adopted, project) = on_new(cluster, "template_busy");
        let guest = Guest::enter(&adopted.url);
        let error = project.error(&["branch", "create", "--name", "dev"], 5);
        let message = error["message"].as_str().unwrap();
        assert!(message.ends_with("1 session(s) of postgres"), "{error}");
        assert_eq!(error["retryable"], true);
        assert_eq!(made_of(&adopted), [""; 0]);
        assert_eq!(project.directories().len(), 1);
        guest.leave(cluster);
        project.create("dev");

        let guest = Guest::enter(&project.url("dev"));
        let error = project.error(&["branch", "delete", "dev", "--yes"], 5);
        assert!(error["message"].as_str().unwrap().contains("1 session(s) of postgres"), "{error}");
        // As it was.
        assert_eq!(project.value("dev", "select v from t"), "of main");
        project.json(&["branch", "set", "dev", "expires=0s"]);
        project.run(&["branch", "gc", "--yes"]).expect_code(5);
        assert_eq!(project.value("dev", "select v from t"), "of main");
        guest.leave(cluster);
        assert_eq!(project.json(&["branch", "gc", "--yes"])["deleted"][0], "dev");
        assert_eq!(made_of(&adopted), [""; 0]);
    }
}

#[test]
fn a_role_is_told_the_statement_that_gives_it_the_right() {
    for cluster in some_servers() {
        let adopted = database(cluster, "template_role");
        let role = format!("role_{}", adopted.name);
        sql(&adopted, &format!("create role \"{role}\" login"));
        let project = project_on(cluster, &as_role(&adopted, &role));
        let error = project.error(&["branch", "create", "--name", "dev"], 3);
        let grant = format!("alter role \"{role}\" createdb");
        assert!(error["hint"].as_str().unwrap().ends_with(&grant), "{error}");
        sql(&adopted, &grant);
        let error = project.error(&["branch", "create", "--name", "dev"], 3);
        // Not membership in the owner's role, who is a superuser.
        let grant = format!("alter database \"{}\" owner to \"{role}\"", adopted.name);
        assert!(error["hint"].as_str().unwrap().ends_with(&grant), "{error}");
        let owner = format!("owner_{}", adopted.name);
        let plain = format!(
            "create role \"{owner}\"; alter database \"{}\" owner to \"{owner}\"",
            adopted.name
        );
        sql(&adopted, &plain);
        let error = project.error(&["branch", "create", "--name", "dev"], 3);
        let member = format!("grant \"{owner}\" to \"{role}\"");
        assert!(error["hint"].as_str().unwrap().ends_with(&member), "{error}");
        sql(&adopted, &grant);
        project.create("dev");
        assert_eq!(project.value("dev", "select current_user"), role);
        project.json(&["branch", "delete", "dev", "--yes"]);
    }
}

#[test]
fn a_killed_create_leaves_no_database() {
    for cluster in some_servers() {
        let (adopted, project) = on_new(cluster, "template_kill");
        // PostgreSQL waits five seconds for it to leave.
        let guest = Guest::enter(&adopted.url);
        let args = ["branch", "create", "--name", "dev"].map(str::to_owned);
        let works = format!(
            "select from pg_stat_activity where state = 'active' \
             and query like 'create database \"{}\\_%'",
            adopted.name
        );
        let postgres = cluster.url("postgres");
        let is_at_work = || !crate::support::database::run(&postgres, &works).unwrap().is_empty();
        // On a busy machine the five seconds may be over before the kill: then once more.
        let mut is_killed = false;
        crate::support::wait_for("a kill while the server is at work", LIMIT, || {
            let mut running = Running::start(&project.folder, &args, &project.environment());
            crate::support::wait_for("CREATE DATABASE", LIMIT, || {
                is_at_work() || !running.is_running()
            });
            is_killed = running.kill() && is_at_work();
            let output = project.run(&["branch", "list"]).expect_code(0);
            let is_cleared = output.stderr.contains("cleared away what was left of: dev");
            assert!(is_cleared || !is_killed, "{output:?}");
            is_killed
        });
        assert!(!is_at_work());
        guest.leave(cluster);
        assert_eq!(made_of(&adopted), [""; 0]);
        assert_eq!(project.directories().len(), 1);
        project.create("dev");
        // A row that is not ready goes with its database; one that backlot did not make stays.
        let catalog = project.state().join("catalog.json");
        let text = fs::read_to_string(&catalog).unwrap();
        fs::write(&catalog, text.replace("\"ready\"", "\"creating\"")).unwrap();
        assert_eq!(project.json(&["branch", "list"])["branches"], serde_json::json!([]));
        assert_eq!(made_of(&adopted), [""; 0]);
        assert!(exists(cluster, &adopted.name));
    }
}

#[test]
fn the_database_that_was_there_is_never_dropped() {
    let cluster = servers().last().unwrap();
    let (adopted, project) = on_new(cluster, "template_main");
    project.error(&["branch", "delete", "main", "--yes"], 7);
    project.error(&["branch", "set", "main", "protected=false"], 7);
    project.error(&["branch", "set", "main", "expires=0s", "protected=false"], 7);
    let replace = ["clone", "start", "--source-url", "postgres://nobody@127.0.0.1:1/none"];
    let replace = [&replace[..], &["--target-branch", "main", "--replace"]].concat();
    project.error(&replace, 7);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backlot"));
    command.args(&replace).current_dir(&project.folder);
    command.env("BACKLOT_TARGET_URL", "postgres://x/y");
    assert_eq!(command.output().unwrap().status.code(), Some(7));
    assert!(exists(cluster, &adopted.name));
    project.create("dev");
    project.json(&["branch", "set", "dev", "protected=true"]);
    project.error(&["branch", "delete", "dev", "--yes"], 7);
    project.json(&["branch", "set", "dev", "protected=false"]);
    project.json(&["branch", "delete", "dev", "--yes"]);
}

#[test]
fn what_needs_a_server_of_ours_is_refused() {
    let cluster = servers().last().unwrap();
    let (_, project) = on_new(cluster, "template_refused");
    project.create("dev");
    for value in ["port=auto", "port=5433", "sleep-after=5m", "password=rotate", "setting.a.b=1"] {
        let error = project.error(&["branch", "set", "dev", value], 7);
        assert!(error["message"].as_str().unwrap().contains("not run by backlot"), "{error}");
    }
    project.error(&["branch", "logs", "dev"], 7);
    project.error(&["branch", "metrics", "dev"], 7);
    project.error(&["branch", "pool", "status"], 7);
    project.error(&["branch", "create", "--name", "x", "--backend", "copy"], 8);
    assert_eq!(project.json(&["proxy", "start"])["running"], false);
    assert_eq!(project.json(&["proxy", "status"])["running"], false);
    assert_eq!(project.json(&["stop"])["proxy"], false);
    let own = Project::init(&binaries()[0]);
    own.error(&["branch", "create", "--name", "x", "--backend", "template"], 8);
    own.error(&["init", "--on", "postgres://u@h/d"], 2);
}

#[test]
fn a_url_is_printed_only_of_a_database_that_answers() {
    let cluster = servers().last().unwrap();
    let (adopted, project) = on_new(cluster, "template_url");
    let created = project.create("dev");
    let name = created["branch"]["database"].as_str().unwrap().to_owned();
    let drop = format!("drop database \"{name}\"");
    crate::support::database::run(&cluster.url("postgres"), &drop).unwrap();
    project.error(&["branch", "url", "dev"], 4);
    assert_eq!(project.json(&["branch", "describe", "dev"])["condition"], "broken");
    project.json(&["branch", "delete", "dev", "--yes"]);
    // Of another server, nothing is believed.
    project.create("dev");
    let file = project.folder.join(".backlot/project.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("port=", "port=1")).unwrap();
    project.error(&["branch", "delete", "dev", "--yes"], 7);
    project.error(&["branch", "url", "dev"], 7);
    assert_eq!(project.json(&["branch", "describe", "dev"])["condition"], "unreachable");
    assert_eq!(made_of(&adopted).len(), 1);
}

#[test]
fn a_password_is_kept_beside_the_project_file() {
    const PASSWORD: &str = "canary/é pass";
    let options = ServerOptions {
        listen: Listen::Loopback { port: None, password: PASSWORD.into() },
        ..ServerOptions::scratch()
    };
    let (_, server) = own_cluster_with(&binaries()[0], options, |_| {});
    crate::support::database::run(&server.url("postgres"), "create database app").unwrap();
    let url = server.tcp_url("app").unwrap();
    let url = secrecy::ExposeSecret::expose_secret(&url).to_owned();
    let bare = format!("postgres://postgres@127.0.0.1:{}/app", server.port());
    let encoded = url.split(['@', ':']).nth(2).unwrap().to_owned();
    let project = Project::empty(&binaries()[0], &std::env::temp_dir());
    project.error(&["init", "--on", &bare], 3);
    assert!(!project.folder.join(".backlot").exists(), "made although the server said no");
    let first = project.run(&["init", "--name", "test", "--on", &url, "--json"]).expect_code(0);
    let described = project.run(&["branch", "describe"]).expect_code(0);
    let status = project.run(&["--log", "debug", "status", "--json"]).expect_code(0);
    let file = fs::read_to_string(project.folder.join(".backlot/project.yaml")).unwrap();
    let catalog = fs::read_to_string(project.state().join("catalog.json")).unwrap();
    for text in [&format!("{first:?}{described:?}{status:?}"), &file, &catalog] {
        assert!(!text.contains("canary"), "{text}");
    }
    let credentials = project.state().join("credentials");
    assert_eq!(fs::metadata(&credentials).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(project.url("main").contains(&encoded));
    project.create("dev");
    assert_eq!(project.value("dev", "select current_database() like 'app\\_%'"), "t");

    // Cloned by git there are no credentials: PGPASSWORD does it too.
    fs::remove_file(&credentials).unwrap();
    project.error(&["branch", "url"], 3);
    let path = binaries()[0].bin_dir.to_str().unwrap();
    let env = [("BACKLOT_PG_BIN", path), ("PGPASSWORD", PASSWORD)];
    let with_env = |args: &[&str]| crate::support::backlot(&project.folder, args, &env);
    assert!(with_env(&["branch", "url"]).expect_code(0).stdout.contains(&encoded));
    with_env(&["branch", "create", "--name", "dev2"]).expect_code(0);
    assert!(!credentials.exists());
    // A wrong one is not kept.
    project.error(&["init", "--on", &url.replace("canary", "wrong")], 3);
    project.json(&["init", "--on", &url]);
    project.json(&["branch", "delete", "dev", "dev2", "--yes"]);
}

#[test]
fn migrations_run_on_such_a_branch() {
    for cluster in some_servers() {
        let adopted = database(cluster, "template_roll");
        let project = project_on(cluster, &adopted.url);
        project.create("dev");
        let users = "operations:\n- create_table:\n    name: users\n    columns:\n    - {name: id, type: bigint, pk: true}\n";
        fs::write(project.folder.join("01_users.yaml"), users).unwrap();
        let age = "operations:\n- add_column:\n    table: users\n    column: {name: age, type: int, nullable: true}\n";
        fs::write(project.folder.join("02_age.yaml"), age).unwrap();
        project.json(&["branch", "checkout", "dev"]);
        project.run(&["roll", "init"]).expect_code(0);
        project.run(&["roll", "start", "01_users.yaml", "--complete"]).expect_code(0);
        project.run(&["roll", "start", "02_age.yaml"]).expect_code(0);
        let url = project.run(&["branch", "url", "--schema", "latest"]).expect_code(0).stdout;
        assert!(url.contains("02_age"), "{url}");
        project.run(&["roll", "complete"]).expect_code(0);
        assert_eq!(project.value("dev", "select count(age) from users"), "0");
        assert_eq!(query_value(&adopted, "select to_regclass('users') is null"), "t");
    }
}

#[test]
fn a_clone_takes_the_place_of_a_branch() {
    for cluster in some_servers() {
        let (adopted, project) = on_new(cluster, "template_clone");
        let source = database(cluster, "template_source");
        sql(&source, "create table things (id int primary key); insert into things values (7)");
        project.create("dev");
        fs::write(
            project.folder.join("transforms.yaml"),
            "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n",
        )
        .unwrap();
        let args = ["clone", "start", "--source-url", &source.url, "--target-branch", "dev"];
        let args = [&args[..], &["--replace", "--yes", "--config", "transforms.yaml"]].concat();
        let args = args.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let mut env = project.environment();
        env.push(("BACKLOT_KEY".to_owned(), KEY.to_owned()));
        Running::start(&project.folder, &args, &env).wait().expect_code(0);
        assert_eq!(project.value("dev", "select id from things"), "7");
        assert_eq!(project.value("dev", "select to_regclass('t') is null"), "t");
        assert_eq!(query_value(&adopted, "select v from t"), "of main");
        // What a clone that was killed has left goes with the branch.
        let name = project.json(&["branch", "get", "dev", "database"])["database"].clone();
        let name = name.as_str().unwrap();
        let left = format!("create database \"{name}__backlot_new\"");
        crate::support::database::run(&cluster.url("postgres"), &left).unwrap();
        project.json(&["branch", "delete", "dev", "--yes"]);
        assert_eq!(made_of(&adopted), [""; 0]);
    }
}
