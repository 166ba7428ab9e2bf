//! SIGKILL at every write to the journal of `start`, `complete` and `rollback`: the same verb again ends as if
//! nothing had happened, and what the killed one left running on the server changes nothing.
//!
//! A gate in the database holds the program, not a hook in it: triggers on the state tables wait for an advisory
//! lock of the test from the k-th write on.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::support::{
    Cluster, Database, Output, Running, binaries, database,
    database::{block_on, connect, run},
    query_value, servers, sql, wait_for,
};

/// No verb on the rows of these tests takes longer, even where other tests hold the machine.
const LIMIT: Duration = Duration::from_mins(2);
/// More writes than any verb here makes.
const GATES: u32 = 60;

const GATE: &str = "
    create schema gate; create sequence gate.count; create table gate.at (k bigint); insert into gate.at values (1000000);
    create function gate.pass() returns trigger language plpgsql as $$
    begin
        if nextval('gate.count') >= (select k from gate.at) then
            perform pg_advisory_xact_lock_shared(4711);
        end if;
        return coalesce(new, old);
    end $$;
    create trigger gate before insert or update or delete on pgroll.migrations for each row execute function gate.pass();
    create trigger gate before insert or update or delete on pgroll.backlot_run for each row execute function gate.pass();
    create trigger gate before insert or update or delete on pgroll.backlot_step for each row execute function gate.pass();
    create trigger gate before insert or update or delete on pgroll.backlot_outcome for each row execute function gate.pass();
    create trigger gate before insert or update or delete on pgroll.backlot_backfill for each row execute function gate.pass();
    -- A backfill silences ordinary triggers.
    alter table pgroll.backlot_backfill enable always trigger gate;";

const TABLES: &str = "
    create table public.city (id int primary key, name text not null);
    insert into public.city select n, 'city ' || n from generate_series(1, 50) n;
    create table public.users (
        id int primary key, name varchar(255) not null unique, note text, city_id int, age int default 3,
        constraint grown check (age > 0));
    insert into public.users select n, 'user ' || n, case when n % 2 = 0 then 'x' end, 1 + n % 50, 1 + n % 90
        from generate_series(1, 3000) n;
    create index users_note on public.users (note, age desc) where age > 5;";

struct Rig {
    cluster: &'static Cluster,
    name: &'static str,
    /// Before start, after start.
    base: Database,
    started: Database,
    dir: tempfile::TempDir,
    serial: AtomicU32,
}

fn roll(database: &Database, args: &[&str], dir: &tempfile::TempDir) -> Running {
    let mut all = vec!["--json", "roll"];
    all.extend(args);
    all.extend(["--postgres-url", &database.url]);
    let all = all.into_iter().map(str::to_owned).collect::<Vec<_>>();
    Running::start(dir.path(), &all, &[])
}

impl Rig {
    fn new(cluster: &'static Cluster, name: &'static str, migration: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("01.yaml"), migration).unwrap();
        let base = database(cluster, &format!("crash_{name}"));
        let init = roll(&base, &["init"], &dir).wait_within(LIMIT);
        init.expect_code(0);
        sql(&base, &format!("set pgroll.no_inferred_migrations = 'TRUE'; {GATE} {TABLES}"));
        roll(&base, &["baseline", "00", "baselines"], &dir).wait_within(LIMIT).expect_code(0);
        let mut rig = Self {
            cluster,
            name,
            base,
            started: database(cluster, "unused"),
            dir,
            serial: AtomicU32::new(0),
        };
        let started = rig.copy(&rig.base);
        rig.verb(&started, "start").wait_within(LIMIT).expect_code(0);
        rig.started = started;
        rig
    }

    fn copy(&self, of: &Database) -> Database {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}_{serial}", of.name);
        let create = format!("create database \"{name}\" template \"{}\"", of.name);
        // Sessions that ended a moment ago may still be on their way out.
        wait_for("the template to be free", LIMIT, || {
            run(&self.cluster.url("postgres"), &create).is_ok()
        });
        Database { url: self.cluster.url(&name), name, cluster: self.cluster }
    }

    fn drop(&self, database: &Database) {
        let drop = format!("drop database \"{}\" with (force)", database.name);
        run(&self.cluster.url("postgres"), &drop).unwrap();
    }

    fn verb(&self, database: &Database, verb: &str) -> Running {
        match verb {
            "start" => {
                roll(database, &["start", "01.yaml", "--backfill-batch-size", "700"], &self.dir)
            }
            "start --complete" => roll(database, &["start", "01.yaml", "--complete"], &self.dir),
            other => roll(database, &[other], &self.dir),
        }
    }

    /// What `verb` comes to if nobody disturbs it.
    fn undisturbed(&self, from: &Database, verb: &str) -> Vec<String> {
        let database = self.copy(from);
        self.verb(&database, verb).wait_within(LIMIT).expect_code(0);
        let state = state(&database);
        self.drop(&database);
        state
    }

    fn kill_everywhere(&self, from: &Database, verb: &str) {
        let expected = self.undisturbed(from, verb);
        for k in 1..GATES {
            let database = self.copy(from);
            let was_killed = self.kill_at(&database, verb, k);
            if was_killed {
                let again = self.verb(&database, verb).wait_within(LIMIT);
                let again = again.expect_code(0);
                // What the killed one had sent may have ended the migration: then it says so.
                let summary = again.stdout.lines().last().unwrap_or_default();
                let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
                let status = match verb {
                    "start" => "started",
                    "complete" | "start --complete" => "completed",
                    _ => "rolled back",
                };
                assert_eq!(summary["status"], status, "{}", again.stdout);
            }
            let found = state(&database);
            let (name, major) = (self.name, self.cluster.major);
            assert!(
                found == expected,
                "{name}: {verb} killed at {k} on PostgreSQL {major}: missing {:#?}, too much {:#?}",
                without(&expected, &found),
                without(&found, &expected),
            );
            self.drop(&database);
            if !was_killed {
                assert!(k > 3, "{name}: {verb} wrote only {k} times");
                return;
            }
        }
        panic!("{verb} has no end");
    }

    /// False if the verb made fewer writes, and ended.
    fn kill_at(&self, database: &Database, verb: &str, k: u32) -> bool {
        // One session for all looks: to connect takes longer than most of what is waited for.
        let keeper = block_on(connect(&database.url)).unwrap();
        let run = |statements: &str| block_on(keeper.batch_execute(statements)).unwrap();
        let count = |query: &str| block_on(keeper.query_one(query, &[])).unwrap().get::<_, i64>(0);
        run(&format!("update gate.at set k = {k}; select setval('gate.count', 1, false)"));
        run("select pg_advisory_lock(4711)");
        let mut running = self.verb(database, verb);
        let waits = "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711 and not granted
            and database = (select oid from pg_database where datname = current_database())";
        let mut is_held = false;
        wait_for("the gate or the end", LIMIT, || {
            is_held = count(waits) != 0;
            is_held || !running.is_running()
        });
        if !is_held {
            Output::expect_code(running.wait_within(LIMIT), 0);
            return false;
        }
        assert!(running.kill());
        let ours = "select count(*) from pg_stat_activity where application_name = 'backlot roll' and datname = current_database()";
        if k.is_multiple_of(2) {
            // The server notices by itself that nobody is there any more.
            wait_for("the killed one's sessions to end", LIMIT, || count(ours) == 0);
        }
        run("update gate.at set k = 1000000");
        // Where its sessions live on, they go on with what they were at, beside the next verb.
        drop(keeper);
        true
    }
}

/// Schema and rows, and what the history says.
fn state(database: &Database) -> Vec<String> {
    let newest = binaries().iter().rfind(|binaries| binaries.has_client_tools).unwrap();
    let output = Command::new(newest.program("pg_dump"))
        .args(["--exclude-schema=pgroll", "--exclude-schema=gate", "--dbname", &database.url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let kept = |line: &&str| !(line.is_empty() || line.starts_with("--") || line.starts_with('\\'));
    let mut lines = text.lines().filter(kept).map(str::to_owned).collect::<Vec<_>>();
    // Rows lie where the last update put them.
    lines.sort();
    let history = "select string_agg(name || ' ' || done, ', ' order by name) || coalesce(' ' ||
        (select string_agg(phase, ',') from pgroll.backlot_run), '') from pgroll.migrations";
    lines.push(query_value(database, history));
    lines
}

fn without(lines: &[String], others: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !others.contains(line)).cloned().collect()
}

fn converges(name: &'static str, migration: &str) {
    // Each is some fifty runs: one version has to do.
    let rig = Rig::new(servers().last().unwrap(), name, migration);
    rig.kill_everywhere(&rig.base, "start");
    rig.kill_everywhere(&rig.started, "complete");
    rig.kill_everywhere(&rig.started, "rollback");
}

#[test]
fn add_column_converges() {
    converges(
        "add_column",
        "operations:
  - add_column: {table: users, column: {name: shout, type: text, unique: true}, up: upper(name)}
",
    );
}

#[test]
fn a_start_that_completes_converges() {
    let migration = "operations:
  - add_column: {table: users, column: {name: shout, type: text}, up: upper(name)}
";
    let rig = Rig::new(servers().last().unwrap(), "start_complete", migration);
    rig.kill_everywhere(&rig.base, "start --complete");
}

#[test]
fn alter_column_converges() {
    converges(
        "alter_column",
        "operations:
  - alter_column:
      table: users
      column: note
      nullable: false
      type: varchar(40)
      default: \"'none'\"
      check: {name: some, constraint: length(note) > 0}
      up: coalesce(note, '-')
      down: nullif(note, '-')
  - alter_column: {table: users, column: age, comment: years, default: '4'}
",
    );
}

#[test]
fn alter_column_with_keys_converges() {
    converges(
        "alter_keys",
        "operations:
  - alter_column:
      table: users
      column: id
      type: bigint
      unique: {name: once_more}
      up: id + 1
      down: id - 1
  - alter_column:
      table: users
      column: city_id
      references: {name: in_city, table: city, column: id}
      up: city_id
      down: city_id
",
    );
}

#[test]
fn create_constraint_converges() {
    converges(
        "create_constraint",
        "operations:
  - create_constraint:
      table: users
      name: users_city
      type: foreign_key
      columns: [city_id]
      references: {table: city, columns: [id]}
      up: {city_id: city_id}
      down: {city_id: city_id}
  - create_constraint:
      table: users
      name: users_note_age
      type: unique
      columns: [id, age]
      up: {id: id, age: age}
      down: {id: id, age: age}
  - create_constraint: {table: users, name: named, type: check, columns: [name], check: length(name) > 2, up: {name: name}, down: {name: name}}
",
    );
}

#[test]
fn drop_constraint_converges() {
    converges("drop_constraint", "operations:
  - drop_constraint: {table: users, name: users_name_key, down: name}
  - drop_multicolumn_constraint: {table: users, name: grown, down: {age: 'case when age > 0 then age else 1 end'}}
");
}

#[test]
fn indexes_converge() {
    converges("create_index", "operations:
  - create_index: {table: users, name: users_age, columns: [{column: age, sort: DESC}, {column: name}]}
  - drop_index: {name: users_note}
");
}

#[test]
fn tables_and_names_converge() {
    converges("tables", "operations:
  - rename_table: {from: city, to: town}
  - rename_column: {table: users, from: note, to: remark}
  - rename_constraint: {table: users, from: users_name_key, to: one_name}
  - drop_column: {table: users, column: age, down: '7'}
  - create_table: {name: extra, columns: [{name: id, type: serial, pk: true}, {name: town_id, type: int, references: {name: in_town, table: town, column: id}}]}
");
}

#[test]
fn sql_converges() {
    converges(
        "sql",
        "operations:
  - sql: {up: 'create table made (id int primary key)', down: 'drop table if exists made'}
",
    );
}

#[test]
fn drop_table_converges() {
    converges(
        "drop_table",
        "operations:
  - drop_table: {name: city}
  - set_replica_identity: {table: users, identity: {type: full}}
",
    );
}
