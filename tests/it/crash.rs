//! Whatever ends a clone, the same command brings it to the same end.

use backlot::instance::StopMode;
use rustix::process::Signal;

use crate::support::{
    Clone, Cluster, Database, Random, Running, binaries,
    clone::{CLONE_LIMIT, assert_same, contents, schema, state},
    database,
    database::{block_on, connect},
    own_cluster, query_value, servers, some_servers, sql, try_query_strings, wait_closely_for,
    wait_for,
};

/// Lanes of the clones here: that many ranges may be in flight at a kill.
const JOBS: u64 = 2;
/// Some 12 ranges of 1 MiB. `gate` lets a test hold a clone wherever its target calls it.
const SCHEMA: &str = "
    create schema app;
    create function app.gate(gate integer, value bigint) returns bigint language plpgsql immutable as
        $$ begin perform pg_catalog.pg_advisory_xact_lock_shared(77, gate); return value; end $$;
    create table app.big (
        id bigint generated always as identity primary key check (app.gate(3, id) is not null),
        email text not null unique,
        payload text not null
    );
    create index on app.big (lower(email));
    create table app.small (id integer primary key, big_id bigint not null references app.big, note text);
    create index small_gated on app.small (app.gate(1, id));
    create sequence app.counter;
    create view app.notes as select s.note, b.email from app.small s join app.big b on b.id = s.big_id;
    create materialized view app.totals as select app.gate(2, count(*)) as count from app.big;
    create publication changes for table app.small;
    create collation app.c from \"C\";
    create collation public.german from \"C\";
    create function public.twice(bigint) returns bigint language sql immutable as 'select 2 * $1'";
const DATA: &str = "
    insert into app.big (email, payload)
        select 'person' || n || '@corp.example', repeat(md5(n::text), 12) from generate_series(1, 28000) n;
    insert into app.small select n, n * 3, nullif('note ' || n, 'note 7') from generate_series(1, 500) n;
    select setval('app.counter', 4711);
    refresh materialized view app.totals;
    analyze";
pub(crate) const GATE_INDEX: i32 = 1;
pub(crate) const GATE_VIEW: i32 = 2;
pub(crate) const GATE_DATA: i32 = 3;

pub(crate) fn source(cluster: &'static Cluster, name: &str) -> Database {
    let source = database(cluster, name);
    sql(&source, SCHEMA);
    sql(&source, DATA);
    source
}

pub(crate) fn clone(source: &Database, target: &Database) -> Clone {
    Clone::new(&source.url, &target.url).args(&["--range-size", "1", "--jobs", "2"])
}

/// Holds up whoever passes the gate in this database.
pub(crate) struct Gate(Option<tokio_postgres::Client>);

impl Gate {
    pub(crate) fn close(database: &Database, gate: i32) -> Self {
        Self(Some(block_on(async {
            let client = connect(&database.url).await.unwrap();
            client.execute("select pg_advisory_lock(77, $1)", &[&gate]).await.unwrap();
            client
        })))
    }

    pub(crate) fn open(mut self) {
        let client = self.0.take().unwrap();
        block_on(
            async move { client.execute("select pg_advisory_unlock_all()", &[]).await.unwrap() },
        );
    }
}

/// How many wait at a gate of this database.
pub(crate) fn waiting(database: &Database) -> u64 {
    let waiting =
        "select count(*) from pg_locks where locktype = 'advisory' and classid = 77 and not granted
        and database = (select oid from pg_database where datname = current_database())";
    query_value(database, waiting).parse().unwrap()
}

/// Phase, ranges done and ranges in all of the latest run.
pub(crate) fn progress(target: &Database) -> Option<(String, u64, u64)> {
    let query = "select r.phase, count(*) filter (where g.done), count(g.range_id)
        from backlot.clone_run r left join backlot.clone_range g using (run_id)
        where run_id = (select max(run_id) from backlot.clone_run) group by 1";
    let row = try_query_strings(target, query)?.into_iter().next()?;
    Some((row[0].clone(), row[1].parse().unwrap(), row[2].parse().unwrap()))
}

pub(crate) fn done(target: &Database) -> u64 {
    progress(target).map_or(0, |(_, done, _)| done)
}

pub(crate) fn keepers(source: &Database) -> u64 {
    let count = "select count(*) from pg_stat_activity
        where application_name = 'backlot snapshot keeper' and datname = current_database()";
    query_value(source, count).parse().unwrap()
}

fn end_keepers(source: &Database) {
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'backlot snapshot keeper' and datname = current_database()";
    sql(source, end);
    wait_for("the end of the keeper", CLONE_LIMIT, || keepers(source) == 0);
}

/// Ends the sessions that wait at a gate of this database.
fn end_waiting(database: &Database) {
    let end = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
        and classid = 77 and not granted
        and database = (select oid from pg_database where datname = current_database())";
    sql(database, end);
    wait_for("the end of who waits at a gate", CLONE_LIMIT, || waiting(database) == 0);
}

/// Waits for a moment in the life of a clone that is still to come.
pub(crate) fn wait_while_running(
    running: &mut Running,
    what: &str,
    mut reached: impl FnMut() -> bool,
) {
    wait_closely_for(what, CLONE_LIMIT, || {
        let is_reached = reached();
        assert!(is_reached || running.is_running(), "the clone ended before {what}");
        is_reached
    });
}

/// Runs the clone until it has done `count` ranges and kills it in the midst of the next ones;
/// how many it had done then.
fn kill_after(clone: &Clone, target: &Database, count: u64) -> u64 {
    let mut running = clone.start();
    wait_while_running(&mut running, "ranges done", || {
        // Closes when the ranges in flight are committed; the next ones then wait.
        let gate = Gate::close(target, GATE_DATA);
        let is_reached = done(target) >= count && waiting(target) > 0;
        if is_reached {
            return true;
        }
        gate.open();
        false
    });
    assert!(running.kill(), "it was done before it was killed");
    // Its server processes have yet to notice.
    let lanes = "select count(*) from pg_stat_activity
        where application_name = 'backlot copy in' and datname = current_database()";
    wait_for("the end of the lanes", CLONE_LIMIT, || query_value(target, lanes) == "0");
    done(target)
}

#[test]
fn ten_kills_anywhere_in_a_clone_change_nothing_of_its_end() {
    let mut random = Random::seeded();
    for cluster in some_servers() {
        let source = source(cluster, "crash_ten");
        let (whole, target) = (database(cluster, "crash_whole"), database(cluster, "crash_ten_to"));
        let total =
            clone(&source, &whole).run().expect_code(0).summary()["ranges_total"].as_u64().unwrap();
        assert!(total > 10, "{total}");

        let clone = clone(&source, &target);
        let mut running = clone.start();
        wait_while_running(&mut running, "a snapshot", || keepers(&source) > 0);
        assert!(running.kill());
        let mut running = clone.start();
        wait_while_running(&mut running, "the schema phase", || progress(&target).is_some());
        assert!(running.kill());

        let mut points: Vec<u64> = (0..6).map(|_| random.below(total - 4)).collect();
        points.sort_unstable();
        let mut before = 0;
        for point in points {
            let gate = Gate::close(&target, GATE_INDEX);
            let now = kill_after(&clone, &target, point);
            assert!(now >= before, "{now} ranges done, {before} before the restart");
            before = now;
            // A pg_restore left at the gate would build what the next run is to be held at.
            end_waiting(&target);
            gate.open();
        }

        let gate = Gate::close(&target, GATE_INDEX);
        let mut running = clone.start();
        wait_while_running(&mut running, "the index build", || waiting(&target) > 0);
        assert!(running.kill());
        // The orphaned pg_restore wakes up while the next run begins.
        gate.open();
        let gate = Gate::close(&target, GATE_VIEW);
        let mut running = clone.start();
        wait_while_running(&mut running, "the materialized view", || waiting(&target) > 0);
        assert!(running.kill());
        gate.open();

        let summary = clone.run().expect_code(0).summary();
        assert_eq!(summary["resumed"], true);
        assert_eq!(
            (summary["ranges_copied"].as_u64(), summary["ranges_total"].as_u64()),
            (Some(0), Some(total))
        );
        assert_same(&state(&whole), &target);
        // What was rolled back still takes room: at most the ranges in flight at each kill.
        let size = "select pg_relation_size('app.big') / (1024 * 1024)";
        let heap = |database| query_value(database, size).parse::<u64>().unwrap();
        let (copied, plain) = (heap(&target), heap(&whole));
        assert!(copied <= plain + 2 + 10 * JOBS, "{copied} MiB against {plain}");
        assert_eq!(keepers(&source), 0);
    }
}

#[test]
fn a_killed_clone_copies_only_what_was_in_flight_again() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "crash_flight"), database(cluster, "crash_flight_to"));
        let clone = clone(&source, &target).keep_all();
        let done = kill_after(&clone, &target, 4);
        let summary = clone.run().expect_code(0).summary();
        let (again, total) =
            (summary["ranges_copied"].as_u64().unwrap(), summary["ranges_total"].as_u64().unwrap());
        assert_eq!(again, total - done);
        assert_eq!(summary["rows"], 28_500);
        assert_same(&state(&source), &target);
    }
}

/// Sequences are not part of a snapshot: they are never behind it.
fn rows(database: &Database) -> Vec<Vec<String>> {
    contents(database)
        .into_iter()
        .filter(|row| !row[0].contains("seq") && !row[0].contains("counter"))
        .collect()
}

const WRITE: &str = "
    update app.big set payload = 'changed' where id % 7 = 0;
    delete from app.small where id % 5 = 0;
    insert into app.big (email, payload) select gen_random_uuid() || '@new.example', 'new' from generate_series(1, 500);
    refresh materialized view app.totals;
    vacuum app.big";

#[test]
fn a_resumed_clone_is_the_source_as_the_first_snapshot_saw_it() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "crash_writes"), database(cluster, "crash_writes_to"));
        let clone = clone(&source, &target).keep_all();
        let expected = (rows(&source), schema(&source));

        let gate = Gate::close(&target, GATE_DATA);
        let mut running = clone.start();
        wait_while_running(&mut running, "the data phase", || waiting(&target) > 0);
        write(&source);
        gate.open();
        wait_while_running(&mut running, "ranges done", || done(&target) > 0);
        assert!(running.kill());
        write(&source);
        kill_after(&clone, &target, done(&target) + 1);
        write(&source);

        let summary = clone.run().expect_code(0).summary();
        assert_eq!(summary["resumed"], true);
        assert_eq!((rows(&target), schema(&target)), expected);
        assert_ne!(rows(&source), expected.0);
    }
}

fn write(source: &Database) {
    for statement in WRITE.split(';') {
        sql(source, statement);
    }
}

#[test]
fn with_the_snapshot_gone_and_the_source_changed_a_clone_starts_over_and_says_so() {
    for cluster in some_servers() {
        let (source, target) = (source(cluster, "crash_over"), database(cluster, "crash_over_to"));
        let clone = clone(&source, &target).keep_all();
        // In the middle of the index phase there is most to clear away.
        let gate = Gate::close(&target, GATE_INDEX);
        let mut running = clone.start();
        wait_while_running(&mut running, "the index build", || waiting(&target) > 0);
        assert!(running.kill());
        gate.open();
        end_keepers(&source);
        write(&source);

        let output = clone.run().expect_code(0);
        let summary = output.summary();
        assert_eq!(
            (&summary["resumed"], &summary["ranges_copied"]),
            (&false.into(), &summary["ranges_total"])
        );
        assert!(output.stdout.contains("everything is copied again"), "{}", output.stdout);
        assert_same(&state(&source), &target);
    }
}

#[test]
fn with_the_snapshot_gone_and_the_source_unchanged_a_clone_goes_on() {
    // Any transaction of the cluster would count as a change.
    let (own, _server) = own_cluster(binaries().first().unwrap());
    let source = source(own, "crash_on");
    sql(&source, "alter system set autovacuum = off");
    sql(&source, "select pg_reload_conf()");
    for cluster in some_servers() {
        let target = database(cluster, "crash_on_to");
        let clone = clone(&source, &target).keep_all();
        let done = kill_after(&clone, &target, 3);
        end_keepers(&source);

        let output = clone.run().expect_code(0);
        let summary = output.summary();
        assert_eq!(summary["resumed"], true, "{}", output.stdout);
        assert_eq!(
            summary["ranges_copied"].as_u64().unwrap(),
            summary["ranges_total"].as_u64().unwrap() - done
        );
        assert_same(&state(&source), &target);
    }
}

#[test]
fn an_interrupted_clone_says_130_and_goes_on() {
    let cluster = servers().next().unwrap();
    let source = source(cluster, "crash_signal");
    for (signal, gate) in [
        (Signal::INT, GATE_DATA),
        (Signal::TERM, GATE_DATA),
        (Signal::TERM, GATE_INDEX),
        (Signal::INT, GATE_VIEW),
    ] {
        let target = database(cluster, "crash_signal_to");
        let clone = clone(&source, &target).keep_all();
        // Its check constraint is not there before the table is.
        let closed = Gate::close(&target, gate);
        let mut running = clone.start();
        wait_while_running(&mut running, "the gate", || waiting(&target) > 0);
        running.signal(signal);
        let output = running.wait().expect_code(130);
        assert!(output.stderr.contains("interrupted"), "{}", output.stderr);
        closed.open();

        let summary = clone.run().expect_code(0).summary();
        assert_eq!(summary["resumed"], true, "{gate}");
        assert_same(&state(&source), &target);
    }
}

#[test]
fn a_clone_survives_the_crash_of_its_target() {
    for installed in binaries() {
        let source = source(servers().next().unwrap(), "crash_server");
        let (cluster, mut server) = own_cluster(installed);
        let target = database(cluster, "crash_server_to");
        let clone = clone(&source, &target).keep_all();
        let mut running = clone.start();
        wait_while_running(&mut running, "ranges done", || done(&target) >= 3);
        server.kill9().unwrap();
        let output = running.wait();
        assert!(output.code == Some(8), "{output:?}");
        server.start().unwrap();

        let summary = clone.run().expect_code(0).summary();
        assert_eq!(summary["resumed"], true);
        assert_same(&state(&source), &target);
        server.stop(StopMode::Immediate).unwrap();
    }
}

#[test]
fn keepers_end_with_the_clone_or_some_time_after_it_was_killed() {
    for cluster in some_servers() {
        let (source, target) = (source(cluster, "crash_hold"), database(cluster, "crash_hold_to"));
        let clone = clone(&source, &target).args(&["--hold-snapshot", "2s"]);
        kill_after(&clone, &target, 2);
        assert!(keepers(&source) > 0);
        wait_for("the keeper's own end", CLONE_LIMIT, || keepers(&source) == 0);
        clone.run().expect_code(0);
        wait_for("the end of the keeper of a clone that is done", CLONE_LIMIT, || {
            keepers(&source) == 0
        });
    }
}

#[test]
fn a_clone_that_could_not_begin_leaves_no_keeper() {
    let cluster = servers().next().unwrap();
    let (source, target) = (source(cluster, "crash_begin"), database(cluster, "crash_begin_to"));
    sql(&target, "create table there ()");
    clone(&source, &target).run().expect_code(7);
    clone(&source, &target)
        .config("version: 1\ntables: {app.big: {columns: {nothing: keep}}}\n")
        .run()
        .expect_code(2);
    wait_for("the keepers' end", CLONE_LIMIT, || keepers(&source) == 0);
}

#[test]
fn a_clone_that_ends_leaves_the_keeper_of_another_alone() {
    let cluster = servers().last().unwrap();
    let source = source(cluster, "crash_two");
    let (killed, other) =
        (database(cluster, "crash_two_killed"), database(cluster, "crash_two_other"));
    let expected = rows(&source);
    let clone_killed = clone(&source, &killed).keep_all();
    kill_after(&clone_killed, &killed, 2);
    clone(&source, &other).run().expect_code(0);
    write(&source);
    assert_eq!(clone_killed.run().expect_code(0).summary()["resumed"], true);
    assert_eq!(rows(&killed), expected);
    wait_for("the keepers' end", CLONE_LIMIT, || keepers(&source) == 0);
}

/// A trigger of a partitioned table locks the root and then its partitions. Somebody holds a
/// partition and then wants the root: the server ends the session of `pg_restore`, and all its jobs
/// with it, while another of them is building an index.
#[test]
fn a_clone_whose_jobs_are_locked_out_goes_on() {
    let cluster = servers().last().unwrap();
    let (source, target) = (source(cluster, "crash_locked"), database(cluster, "crash_locked_to"));
    sql(
        &source,
        "create function app.quiet() returns trigger language plpgsql as $$ begin return new; end $$;
         create table app.parts (id integer) partition by list (id);
         create table app.part partition of app.parts for values in (1);
         insert into app.parts values (1);
         create trigger quiet before update on app.parts for each row execute function app.quiet()",
    );
    let expected = state(&source);
    // A session looks for a deadlock once, so long after it began to wait: by then the other one has
    // to wait for it. That one looks later, so that it is not the one to be ended.
    sql(&target, &format!("alter database \"{}\" set deadlock_timeout = '20s'", target.name));
    let gate = Gate::close(&target, GATE_INDEX);
    let clone = clone(&source, &target).keep_all();
    let mut running = clone.start();
    wait_for("the partition", CLONE_LIMIT, || {
        assert!(running.is_running(), "the clone ended");
        query_value(&target, "select to_regclass('app.part') is not null") == "t"
    });
    let holder = block_on(connect(&target.url)).unwrap();
    let run = |statements: &str| block_on(holder.batch_execute(statements)).unwrap();
    run("set deadlock_timeout = '5min'; set statement_timeout = '2min'; begin;
         lock table only app.part in row exclusive mode");
    wait_closely_for("the trigger's lock", CLONE_LIMIT, || {
        let waiting =
            "select count(*) from pg_locks where not granted and relation = 'app.part'::regclass";
        query_value(&target, waiting) == "1"
    });
    wait_closely_for("the index", CLONE_LIMIT, || waiting(&target) == 1);
    run("lock table only app.parts in row exclusive mode");
    run("rollback");
    gate.open();
    running.wait().expect_code(0);
    let deadlocks =
        "select deadlocks::text from pg_stat_database where datname = current_database()";
    assert_eq!(query_value(&target, deadlocks), "1");
    assert_same(&expected, &target);
}
