//! Verbs and options of `backlot roll` as a user types them: directories, histories, roles, and a backfill that gives
//! way.

use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration, time::Instant};

use crate::support::{
    Cluster, Database, Output, Running, backlot, binaries, clone, database, own_cluster,
    query_strings, query_value, servers, sql, standby_of, wait_for,
};

const LIMIT: Duration = Duration::from_mins(2);

const USERS: &str = "operations:
- create_table:
    name: users
    columns:
    - {name: id, type: int, pk: true}
    - {name: name, type: text, nullable: true}
";
const ADD_AGE: &str = "operations:
- add_column: {table: users, column: {name: age, type: int, nullable: true}, up: length(name)}
";
const RENAME: &str = "operations:
- rename_column: {table: users, from: name, to: full_name}
";
const NOT_NULL: &str = "operations:
- alter_column: {table: users, column: full_name, nullable: false, up: \"coalesce(full_name, '-')\", down: full_name}
";

struct Rig {
    database: Database,
    dir: tempfile::TempDir,
}

impl Rig {
    fn new(cluster: &'static Cluster, name: &str) -> Self {
        let rig = Self { database: database(cluster, name), dir: tempfile::tempdir().unwrap() };
        rig.roll(&["init"], 0);
        rig
    }

    fn newest(name: &str) -> Self {
        Self::new(servers().last().unwrap(), name)
    }

    #[track_caller]
    fn roll(&self, args: &[&str], code: i32) -> Output {
        let mut all = vec!["--json", "roll", "--postgres-url", &self.database.url];
        all.extend(args);
        backlot(self.dir.path(), &all, &[]).expect_code(code)
    }

    fn files(&self, directory: &str, files: &[(&str, &str)]) {
        fs::create_dir_all(self.dir.path().join(directory)).unwrap();
        for (name, text) in files {
            fs::write(self.dir.path().join(directory).join(name), text).unwrap();
        }
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(directory)).unwrap();
        let name =
            |entry: Result<fs::DirEntry, _>| entry.unwrap().file_name().into_string().unwrap();
        let mut names = entries.map(name).collect::<Vec<_>>();
        names.sort();
        names
    }

    fn schemas(&self) -> Vec<String> {
        let schemas = "select nspname from pg_namespace where nspname like 'public\\_%' order by 1";
        query_strings(&self.database, schemas).concat()
    }
}

/// The last line: verbs that take long write events before.
fn summary(output: &Output) -> Value {
    serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap()
}

/// Of a failure: the document on stderr or stdout.
fn says(output: &Output, words: &str) {
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(all.contains(words), "{words:?} is not in {all}");
}

#[test]
fn migrate_runs_what_has_not_run_and_leaves_the_last_active() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "verbs_migrate");
        rig.files("m", &[("01_users.yaml", USERS), ("02_age.yml", ADD_AGE)]);
        let done = summary(&rig.roll(&["migrate", "m"], 0));
        assert_eq!(done["migrated"], json!(["01_users", "02_age"]));
        assert_eq!(done["status"], "In progress");
        assert_eq!(rig.schemas(), ["public_01_users", "public_02_age"]);
        // pgroll's word for it is an exit code of 0; here whoever waits for a deployment must not take it for one.
        says(&rig.roll(&["migrate", "m"], 5), "02_age is active");
        rig.roll(&["complete"], 0);
        let done = summary(&rig.roll(&["migrate", "m", "--complete"], 0));
        assert_eq!((&done["migrated"], &done["status"]), (&json!([]), &json!("Complete")));

        sql(&rig.database, "insert into public_02_age.users values (1, 'one', 1), (2, null, 2)");
        let json = r#"{"operations": [{"rename_column": {"table": "users", "from": "name", "to": "full_name"}}]}"#;
        rig.files("m", &[("03_rename.json", json), ("04_not_null.yaml", NOT_NULL)]);
        says(&rig.roll(&["migrate", "m", "--expect-one"], 5), "--expect-one");
        assert_eq!(rig.schemas(), ["public_02_age"]);
        let done = summary(&rig.roll(&["migrate", "m", "--complete"], 0));
        assert_eq!(done["migrated"], json!(["03_rename", "04_not_null"]));
        assert_eq!(rig.schemas(), ["public_04_not_null"]);
        let rows = "select id, full_name, age from public_04_not_null.users order by id";
        assert_eq!(query_strings(&rig.database, rows), [["1", "one", "1"], ["2", "-", "2"]]);

        fs::rename(rig.dir.path().join("m/02_age.yml"), rig.dir.path().join("m/02_years.yml"))
            .unwrap();
        says(&rig.roll(&["migrate", "m"], 5), "02_years");
    }
}

#[test]
fn migrate_stops_at_the_file_that_fails_and_keeps_what_is_before_it() {
    let rig = Rig::newest("verbs_fails");
    let wrong = "operations:\n- add_column: {table: users, column: {name: age, type: int}, up: lenght(name)}\n";
    rig.files("m", &[("01_users.yaml", USERS), ("02_age.yaml", wrong), ("03_rename.yaml", RENAME)]);
    says(&rig.roll(&["migrate", "m", "-c"], 2), "lenght");
    assert_eq!(rig.roll(&["status"], 0).json()["status"], "Complete");
    assert_eq!(rig.schemas(), ["public_01_users"]);
    // All files are read before any runs.
    rig.files("m", &[("02_age.yaml", ADD_AGE), ("04_bad.yaml", "operations: {}\n")]);
    says(&rig.roll(&["migrate", "m", "-c"], 2), "04_bad.yaml");
    assert_eq!(rig.schemas(), ["public_01_users"]);
    fs::remove_file(rig.dir.path().join("m/04_bad.yaml")).unwrap();
    let done = summary(&rig.roll(&["migrate", "m", "-c"], 0));
    assert_eq!(done["migrated"], json!(["02_age", "03_rename"]));
}

#[test]
fn migrate_again_comes_to_what_an_interrupted_one_would_have() {
    let rig = Rig::newest("verbs_again");
    rig.files("m", &[("01_users.yaml", USERS), ("02_age.yaml", ADD_AGE)]);
    rig.roll(&["migrate", "m"], 0);
    // As it is left by one that was killed before it noted the end of its start.
    let starting = "update pgroll.backlot_run set phase = 'starting'";
    sql(&rig.database, starting);
    let done = summary(&rig.roll(&["migrate", "m"], 0));
    assert_eq!(done, json!({"event": "summary", "migrated": ["02_age"], "status": "In progress"}));
    sql(&rig.database, starting);
    let done = summary(&rig.roll(&["migrate", "m", "-c"], 0));
    assert_eq!(done, json!({"event": "summary", "migrated": ["02_age"], "status": "Complete"}));
    assert_eq!(rig.schemas(), ["public_02_age"]);
    // Killed between the start of the last and its end.
    rig.files("m", &[("03_rename.yaml", RENAME)]);
    rig.roll(&["migrate", "m"], 0);
    let done = summary(&rig.roll(&["migrate", "m", "-c"], 0));
    assert_eq!(done, json!({"event": "summary", "migrated": ["03_rename"], "status": "Complete"}));
    assert_eq!(rig.schemas(), ["public_03_rename"]);
}

#[test]
fn complete_names_what_others_made_in_its_way_and_goes_on_without() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "verbs_depended");
        rig.files("m", &[("01_users.yaml", USERS), ("02_age.yaml", ADD_AGE)]);
        rig.roll(&["migrate", "m"], 0);
        sql(
            &rig.database,
            "create view report as select id from public_01_users.users;
             create table kept (was public_01_users.users[]);
             create function ids() returns bigint language sql begin atomic select count(*) from public_01_users.users; end",
        );
        let refused = rig.roll(&["complete"], 7);
        says(&refused, "view public.report");
        says(&refused, "column was of table public.kept");
        says(&refused, "function public.ids()");
        assert_eq!(rig.roll(&["status"], 0).json()["active"]["may_roll_back"], true);
        sql(&rig.database, "drop function ids(); drop table kept; drop view report");
        rig.roll(&["complete"], 0);

        let drop_age = "operations:\n- drop_column: {table: users, column: age, down: \"1\"}\n";
        rig.files("m", &[("03_no_age.yaml", drop_age)]);
        rig.roll(&["migrate", "m"], 0);
        sql(&rig.database, "create view report as select age from public.users");
        let refused = rig.roll(&["complete"], 7);
        says(&refused, "view report depends on column age of table users");
        says(&refused, "drop what depends on it");
        sql(&rig.database, "drop view report");
        rig.roll(&["complete"], 0);
        assert_eq!(rig.schemas(), ["public_03_no_age"]);
    }
}

#[test]
fn what_ended_before_somebody_elses_migration_is_not_told_of_it() {
    let rig = Rig::newest("verbs_else");
    rig.files("m", &[("01_users.yaml", USERS)]);
    rig.roll(&["migrate", "m", "-c"], 0);
    assert_eq!(summary(&rig.roll(&["complete"], 0))["was_done"], true);
    // As pgroll leaves one that it has completed.
    sql(
        &rig.database,
        "insert into pgroll.migrations (schema, name, migration, parent, done)
         values ('public', '02_other', '{\"operations\": []}', '01_users', true)",
    );
    says(&rig.roll(&["complete"], 4), "no migration");
}

#[test]
fn pull_writes_what_the_directory_lacks_and_another_database_becomes_the_same() {
    let rig = Rig::newest("verbs_pull");
    rig.files("m", &[("01_users.yaml", USERS), ("02_age.yaml", ADD_AGE)]);
    rig.roll(&["migrate", "m", "-c"], 0);
    sql(&rig.database, "create table by_hand (id int primary key, \"No te\" text default 'it''s')");
    rig.files("m", &[("03_rename.yaml", RENAME)]);
    rig.roll(&["migrate", "m", "-c"], 0);
    fs::remove_file(rig.dir.path().join("m/02_age.yaml")).unwrap();
    let written = rig.roll(&["pull", "m"], 0).json();
    assert_eq!(written["files"].as_array().unwrap().len(), 2, "{written}");
    let names = rig.names("m");
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names[2].starts_with("02_age_20"), "{names:?}");
    assert_eq!(rig.roll(&["pull", "m"], 0).json(), json!({"files": []}));
    assert_eq!(summary(&rig.roll(&["migrate", "m", "-c"], 0))["migrated"], json!([]));

    rig.roll(&["pull", "as_json", "-j"], 0);
    assert!(rig.names("as_json").iter().all(|name| Path::new(name).extension().unwrap() == "json"));
    let other = Rig { database: database(servers().last().unwrap(), "verbs_pulled"), dir: rig.dir };
    other.roll(&["init"], 0);
    other.roll(&["migrate", "as_json", "-c"], 0);
    let tables = |database: &Database| {
        let schema = clone::schema(database);
        let tables = schema.split("CREATE TABLE public.").skip(1);
        tables.map(|text| text.split(");").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tables(&other.database).len(), 2);
    assert_eq!(tables(&other.database), tables(&rig.database));
}

#[test]
fn a_baseline_begins_a_history_and_url_and_latest_name_its_end() {
    let rig = Rig::newest("verbs_baseline");
    sql(
        &rig.database,
        "set pgroll.no_inferred_migrations = 'TRUE'; create table users (id int primary key, name text)",
    );
    rig.files("m", &[("02_age.yaml", ADD_AGE)]);
    says(&rig.roll(&["migrate", "m"], 7), "baseline");
    rig.roll(&["latest", "schema"], 4);
    let noted = rig.roll(&["baseline", "01_base", "m"], 0).json();
    assert_eq!(noted["baseline"], "01_base");
    assert_eq!(rig.names("m"), ["01_base.yaml", "02_age.yaml"]);
    says(&rig.roll(&["baseline", "01_base", "m"], 5), "01_base");
    let kept = "select migration_type, done, resulting_schema -> 'tables' -> 'users' -> 'columns' -> 'name' ->> 'type'
        from pgroll.migrations";
    assert_eq!(query_strings(&rig.database, kept), [["baseline", "t", "text"]]);
    // The placeholder is for databases that are made anew: it has run here, and cannot run as it is.
    let placeholder = fs::read_to_string(rig.dir.path().join("m/01_base.yaml")).unwrap();
    assert!(placeholder.contains("up: \"\""), "{placeholder}");
    fs::write(rig.dir.path().join("m/01_base.yaml"), "operations: [{sql: {up: select 1}}]")
        .unwrap();
    let done = summary(&rig.roll(&["migrate", "m"], 0));
    assert_eq!(done["migrated"], json!(["02_age"]));
    says(&rig.roll(&["baseline", "03_base", "m"], 5), "02_age is active");
    assert_eq!(rig.roll(&["latest", "schema"], 0).json(), json!({"schema": "public_02_age"}));
    assert_eq!(rig.roll(&["latest", "migration"], 0).json(), json!({"migration": "02_age"}));
    let local = ["latest", "schema", "--local", "m"];
    assert_eq!(rig.roll(&local, 0).json(), json!({"schema": "public_02_age"}));
    for args in [["url"].as_slice(), &["latest", "url"]] {
        let url = rig.roll(args, 0).json()["url"].as_str().unwrap().to_owned();
        let seen = Database { url, name: String::new(), cluster: rig.database.cluster };
        assert_eq!(query_value(&seen, "show search_path"), "public_02_age");
        sql(
            &seen,
            "insert into users (id, name, age) values ((select count(*) from users), 'x', 7)",
        );
    }
    assert_eq!(query_value(&rig.database, "select count(*) from public.users"), "2");
    rig.roll(&["complete"], 0);
}

#[test]
fn a_role_owns_what_is_made_and_its_rights_are_all_there_are() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "verbs_role");
        let owner = format!("owner_of_{}", rig.database.name);
        let other = format!("other_of_{}", rig.database.name);
        sql(
            &rig.database,
            &format!(
                "create role \"{owner}\"; create role \"{other}\"; grant create, usage on schema public to \"{owner}\";
                 grant usage on schema public to \"{other}\"; grant create on database \"{}\" to \"{owner}\";",
                rig.database.name
            ),
        );
        rig.files(
            "m",
            &[
                ("01_users.yaml", USERS),
                ("02_age.yaml", ADD_AGE),
                ("03_not_null.yaml", &NOT_NULL.replace("full_name", "name")),
            ],
        );
        rig.roll(&["--role", &owner, "start", "m/01_users.yaml", "-c"], 0);
        sql(
            &rig.database,
            "insert into public.users select n, 'name ' || n from generate_series(1, 2000) n",
        );
        let owners = "select distinct pg_get_userbyid(relowner) from pg_class where relname = 'users'
            union select pg_get_userbyid(nspowner) from pg_namespace where nspname like 'public\\_%'";
        assert_eq!(query_strings(&rig.database, owners), [[owner.as_str()]]);
        // Nothing of it is the other's, and nothing is left behind.
        rig.roll(&["--role", &other, "start", "m/02_age.yaml"], 3);
        assert_eq!(rig.roll(&["status"], 0).json()["status"], "Complete");
        rig.roll(&["--role", "nobody at all", "start", "m/02_age.yaml"], 2);
        assert_eq!(rig.roll(&["status"], 0).json()["status"], "Complete");
        let start = backlot(
            rig.dir.path(),
            &["roll", "start", "m/02_age.yaml"],
            &[("PGROLL_ROLE", owner.as_str()), ("PGROLL_PG_URL", &rig.database.url)],
        );
        start.expect_code(0);
        let wrong =
            "select count(*) from public_02_age.users where age is distinct from length(name)";
        assert_eq!(query_value(&rig.database, wrong), "0");
        assert_eq!(query_strings(&rig.database, owners), [[owner.as_str()]]);
        rig.roll(&["--role", &owner, "rollback"], 0);
        rig.roll(&["--role", &owner, "start", "m/02_age.yaml"], 0);
        rig.roll(&["--role", &owner, "complete"], 0);
        rig.roll(&["--role", &owner, "start", "m/03_not_null.yaml", "-c"], 0);
        let not_null = "select attnotnull from pg_attribute where attrelid = 'public.users'::regclass and attname = 'name'";
        assert_eq!(query_value(&rig.database, not_null), "t");
    }
}

#[test]
fn a_role_that_logs_in_without_superuser_migrates_its_own_tables() {
    for cluster in servers() {
        let database = database(cluster, "verbs_plain");
        let user = format!("user_of_{}", database.name);
        sql(
            &database,
            &format!(
                "create role \"{user}\" login; alter database \"{}\" owner to \"{user}\"; alter schema public owner to \"{user}\"",
                database.name
            ),
        );
        let url = database
            .url
            .replace("user=postgres", &format!("user={user}"))
            .replace("postgres@", &format!("{user}@"));
        assert_ne!(url, database.url);
        let rig = Rig { database: Database { url, ..database }, dir: tempfile::tempdir().unwrap() };
        rig.roll(&["init"], 0);
        rig.files("m", &[("01_users.yaml", USERS), ("02_age.yaml", ADD_AGE)]);
        rig.roll(&["start", "m/01_users.yaml", "-c"], 0);
        sql(
            &rig.database,
            "insert into public.users select n, 'name ' || n from generate_series(1, 2000) n",
        );
        let started = rig.roll(&["migrate", "m"], 0);
        says(&started, "session_replication_role");
        let wrong =
            "select count(*) from public_02_age.users where age is distinct from length(name)";
        assert_eq!(query_value(&rig.database, wrong), "0");
        rig.roll(&["complete"], 0);
    }
}

/// 60 000 rows of 200 bytes.
fn filled(rig: &Rig) {
    rig.files("m", &[("01_users.yaml", USERS), ("02_age.yaml", ADD_AGE)]);
    rig.roll(&["start", "m/01_users.yaml", "-c"], 0);
    sql(
        &rig.database,
        "insert into public.users select n, repeat('x', 170) || n from generate_series(1, 60000) n; checkpoint",
    );
}

#[test]
fn a_backfill_stays_below_its_rate_of_wal() {
    let rig = Rig::newest("verbs_wal");
    filled(&rig);
    let at = "select pg_current_wal_insert_lsn() - '0/0'";
    let before: u64 = query_value(&rig.database, at).parse().unwrap();
    let since = Instant::now();
    rig.roll(
        &["start", "m/02_age.yaml", "--max-wal-rate", "4", "--backfill-batch-size", "2000"],
        0,
    );
    let seconds = since.elapsed().as_secs_f64();
    let own = "select row_count, pg_catalog.date_part('epoch', updated_at - started_at) from pgroll.backlot_backfill";
    let row = &query_strings(&rig.database, own)[0];
    assert_eq!(row[0], "60000");
    let wal: u64 = query_value(&rig.database, at).parse().unwrap();
    // At least what its own rows are: others may write to the server, which makes it slower and never faster.
    let least = 60_000 * 200_u32;
    assert!(wal - before > u64::from(least), "{}", wal - before);
    let wanted = f64::from(least) / f64::from(4 << 20);
    // The last range is not waited for.
    assert!(seconds > wanted - 0.5, "{seconds} s for {wanted} s");
}

#[test]
fn a_killed_backfill_over_two_sessions_goes_on() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "verbs_killed");
        filled(&rig);
        sql(&rig.database, "analyze public.users");
        let args = [
            "--json",
            "roll",
            "start",
            "m/02_age.yaml",
            "--backfill-batch-size",
            "1000",
            "--backfill-batch-delay",
            "20ms",
            "--postgres-url",
            &rig.database.url,
        ];
        let args = args.map(str::to_owned);
        let running = Running::start(rig.dir.path(), &args, &[]);
        let rows = "select coalesce(max(row_count), 0) from pgroll.backlot_backfill";
        let count = || query_value(&rig.database, rows).parse::<u64>().unwrap();
        wait_for("some rows", LIMIT, || count() > 5000);
        let ours = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'backlot roll'";
        // One holds the lock, two fill.
        assert_eq!(query_value(&rig.database, ours), "3");
        assert!(running.kill());
        wait_for("the sessions to end", LIMIT, || query_value(&rig.database, ours) == "0");
        let before = count();
        assert!(before < 60_000);
        rig.roll(&["start", "m/02_age.yaml"], 0);
        // Every row once.
        assert_eq!(count(), 60_000);
        let wrong =
            "select count(*) from public_02_age.users where age is distinct from length(name)";
        assert_eq!(query_value(&rig.database, wrong), "0");
        rig.roll(&["complete"], 0);
    }
}

#[test]
fn a_backfill_waits_for_a_replica_that_is_behind() {
    let with_tools = binaries().iter().rfind(|binaries| binaries.has_client_tools).unwrap();
    let (primary, _server) = own_cluster(with_tools);
    let Some((standby, _standby_server)) = standby_of(primary) else { return };
    let rig = Rig::new(primary, "verbs_lag");
    filled(&rig);
    let replica = Database {
        url: standby.url(&rig.database.name),
        name: rig.database.name.clone(),
        cluster: standby,
    };
    wait_for("the replica to have the rows", LIMIT, || {
        crate::support::try_query_strings(&replica, "select count(*) from public.users")
            .is_some_and(|rows| rows[0][0] == "60000")
    });
    sql(&replica, "select pg_wal_replay_pause()");
    let args = [
        "--json",
        "roll",
        "start",
        "m/02_age.yaml",
        "--max-replica-lag",
        "300ms",
        "--backfill-batch-size",
        "500",
        "--backfill-batch-delay",
        "20ms",
        "--postgres-url",
        &rig.database.url,
    ];
    let args = args.map(str::to_owned);
    let mut running = Running::start(rig.dir.path(), &args, &[]);
    let rows = "select coalesce(max(row_count), 0) from pgroll.backlot_backfill";
    let count = || query_value(&rig.database, rows).parse::<u64>().unwrap();
    // It writes, then the replica is found to be behind, and from then on nothing comes.
    wait_for("the first rows", LIMIT, || count() > 0);
    let mut last = (count(), Instant::now());
    wait_for("the backfill to stand still", LIMIT, || {
        let now = count();
        if now != last.0 {
            last = (now, Instant::now());
        }
        assert!(running.is_running(), "it did not wait: {now} rows");
        last.1.elapsed() > Duration::from_secs(2)
    });
    assert!(last.0 < 60_000);
    sql(&replica, "select pg_wal_replay_resume()");
    let output = running.wait_within(LIMIT).expect_code(0);
    assert!(output.stdout.contains("\"waits_for\":\"a replica\""), "{}", output.stdout);
    assert_eq!(count(), 60_000);
}
