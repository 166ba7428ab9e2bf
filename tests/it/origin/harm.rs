//! The source is unharmed: its own changes go through while streams come and go, and nothing is
//! locked beyond what a statement needs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{
    follow::{KIND_TABLES, follow, source},
    left, run,
};
use crate::support::{
    Database,
    clone::CLONE_LIMIT,
    database,
    database::{block_on, connect},
    servers, some_servers, sql, wait_for,
};

/// Sessions of ours that hold a lock on a user's table for which somebody could wait, longer than
/// a statement: (application, mode).
const LOCKS: &str = "select distinct a.application_name, l.mode, coalesce(a.query, '')
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
    where a.application_name like 'backlot%' and a.datname = current_database() and l.granted
      and n.nspname = 'public' and l.mode <> 'AccessShareLock'";

/// Updates, deletes and inserts on every table until told to stop.
fn change_everything(source: &Database, stop: &AtomicBool, changes: &AtomicU64) {
    let client = block_on(connect(&source.url)).unwrap();
    while !stop.load(Ordering::Relaxed) {
        for table in KIND_TABLES {
            let id = changes.fetch_add(1, Ordering::Relaxed) % 900;
            let column = if [
                "with_key",
                "nothing",
                "deferrable_key",
                "unlogged",
                "parted",
                "mixed",
                "parent",
                "child",
            ]
            .contains(table)
            {
                "id"
            } else {
                "a"
            };
            // Nothing that waits for long would be bearable either.
            let change = format!(
                "set lock_timeout = '3s'; update {table} set note = note || '.' where {column} = {id};
                 delete from {table} where {column} = {id}; insert into {table} values ({id}, 'again')"
            );
            block_on(client.batch_execute(&change))
                .unwrap_or_else(|error| panic!("{table}: {error:?}"));
        }
    }
}

/// Every lock that [`LOCKS`] shows until told to stop.
fn watch_locks(source: &Database, stop: &AtomicBool) -> BTreeSet<(String, String, &'static str)> {
    let client = block_on(connect(&source.url)).unwrap();
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        for row in block_on(client.query(LOCKS, &[])).unwrap() {
            let (name, mode, query): (String, String, String) =
                (row.get(0), row.get(1), row.get(2));
            let statement = if query.contains("create publication") {
                "create publication"
            } else {
                "another statement"
            };
            seen.insert((name, mode, statement));
        }
    }
    seen
}

#[test]
fn the_sources_own_changes_never_fail_or_wait_because_of_a_stream() {
    for cluster in some_servers() {
        let source = source(cluster, "harm");
        let (stop, changes) = (AtomicBool::new(false), AtomicU64::new(0));
        let load = || change_everything(&source, &stop, &changes);
        let watch = || watch_locks(&source, &stop);
        let seen = std::thread::scope(|scope| {
            let (first, second, watcher) =
                (scope.spawn(load), scope.spawn(load), scope.spawn(watch));
            for round in 0..3 {
                let target = database(cluster, &format!("harm_to_{round}"));
                follow(&source, &target).run().expect_code(0);
                run(&source.url, &target.url, &["clone", "stop"]).expect_code(0);
                assert_eq!(left(&source), Vec::<String>::new());
            }
            let before = changes.load(Ordering::Relaxed);
            wait_for("more changes", CLONE_LIMIT, || {
                changes.load(Ordering::Relaxed) > before + 100
            });
            stop.store(true, Ordering::Relaxed);
            first.join().unwrap();
            second.join().unwrap();
            watcher.join().unwrap()
        });
        let allowed =
            ("backlot".to_owned(), "ShareUpdateExclusiveLock".to_owned(), "create publication");
        assert!(seen.iter().all(|lock| *lock == allowed), "{seen:?}");
    }
}

#[test]
fn a_table_that_somebody_locks_is_waited_for_and_then_named() {
    let cluster = servers().last().unwrap();
    let source = super::small(cluster, "harm_lock");
    let target = database(cluster, "harm_lock_to");
    let holder = block_on(connect(&source.url)).unwrap();
    block_on(holder.batch_execute("begin; lock table t in share update exclusive mode")).unwrap();
    let clone = follow(&source, &target);
    let running = clone.start();
    // Its own wait is no obstacle to others.
    let waiting =
        "select count(*) from pg_locks where mode = 'ShareUpdateExclusiveLock' and not granted
        and database = (select oid from pg_database where datname = current_database())";
    wait_for("the publication's wait", CLONE_LIMIT, || {
        crate::support::query_value(&source, waiting) != "0"
    });
    sql(&source, "set lock_timeout = '3s'; update t set note = 'm'; select count(*) from t");
    block_on(holder.batch_execute("rollback")).unwrap();
    running.wait().expect_code(0);
}

#[test]
fn a_subset_is_refused_before_anything_is_made() {
    let cluster = servers().next().unwrap();
    let source = super::small(cluster, "harm_subset");
    let target = database(cluster, "harm_subset_to");
    let output =
        follow(&source, &target).args(&["--where", "public.t=id > 7"]).run().expect_code(7);
    assert!(output.stderr.contains("public.t has a condition"), "{}", output.stderr);
    sql(&target, "create table full_already ()");
    follow(&source, &target).run().expect_code(7);
    assert_eq!(left(&source), Vec::<String>::new());
}
