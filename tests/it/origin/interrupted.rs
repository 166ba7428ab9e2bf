//! Whatever ends a `clone start --follow`, the source keeps nothing that nobody will use.

use rustix::process::Signal;

use super::{follow::follow, left, open_transaction, run, small};
use crate::crash::{GATE_DATA, Gate, done, keepers, source, wait_while_running, waiting};
use crate::support::{
    Clone, Database, Running, binaries,
    clone::{CLONE_LIMIT, assert_same, state},
    database, own_cluster, query_value, servers, some_servers, sql, wait_for,
};

fn in_ranges(source: &Database, target: &Database) -> Clone {
    follow(source, target).args(&["--range-size", "1", "--jobs", "2"])
}

/// Runs the clone until it waits at the gate of the data phase.
fn gated(clone: &Clone, target: &Database) -> (Running, Gate) {
    let mut running = clone.start();
    let mut gate = None;
    wait_while_running(&mut running, "a range done and the next one held up", || {
        gate.get_or_insert_with(|| Gate::close(target, GATE_DATA));
        if done(target) >= 1 && waiting(target) > 0 {
            return true;
        }
        gate.take().unwrap().open();
        false
    });
    (running, gate.unwrap())
}

fn kill(clone: &Clone, target: &Database) {
    let (running, gate) = gated(clone, target);
    assert!(running.kill());
    gate.open();
    let lanes = "select count(*) from pg_stat_activity
        where application_name = 'backlot copy in' and datname = current_database()";
    wait_for("the end of the lanes", CLONE_LIMIT, || query_value(target, lanes) == "0");
}

#[test]
fn a_killed_clone_goes_on_with_its_slot_and_misses_nothing() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "follow_kill"), database(cluster, "follow_kill_to"));
        let clone = in_ranges(&source, &target);
        kill(&clone, &target);
        assert_eq!(left(&source).len(), 3, "{:?}", left(&source));
        let before = state(&source);
        let confirmed = "select confirmed_flush_lsn from pg_replication_slots where database = current_database()";
        let position = query_value(&source, confirmed);
        // Nothing of what comes after the snapshot is in the clone: it is the stream's to bring.
        sql(
            &source,
            "delete from app.small where id < 50; update app.big set payload = 'new' where id < 50",
        );
        let summary = clone.run().expect_code(0).summary();
        assert_eq!(summary["resumed"], true);
        assert_eq!(summary["stream"]["consistent_lsn"], position.as_str());
        assert_eq!(query_value(&source, confirmed), position);
        assert_same(&before, &target);
        assert_eq!(keepers(&source), 0);
        assert_eq!(left(&source).len(), 3);
        let states = "select count(*) from backlot.stream_table where state = 'streaming'";
        assert_eq!(query_value(&target, states), "2");
    }
}

#[test]
fn without_its_snapshot_a_killed_clone_begins_anew_with_a_new_slot() {
    let cluster = servers().last().unwrap();
    let (source, target) = (source(cluster, "follow_anew"), database(cluster, "follow_anew_to"));
    let clone = in_ranges(&source, &target);
    kill(&clone, &target);
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where application_name = 'backlot snapshot keeper' and datname = current_database()";
    sql(&source, end);
    sql(&source, "delete from app.small where id < 50");
    let summary = clone.run().expect_code(0).summary();
    assert_eq!(summary["resumed"], false);
    assert_same(&state(&source), &target);
    let slot =
        "select confirmed_flush_lsn from pg_replication_slots where database = current_database()";
    assert_eq!(summary["stream"]["consistent_lsn"], query_value(&source, slot).as_str());
    assert_eq!((left(&source).len(), keepers(&source)), (3, 0));
}

#[test]
fn a_keeper_that_waits_in_vain_takes_slot_and_publications_away() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "follow_hold"), database(cluster, "follow_hold_to"));
        let clone = in_ranges(&source, &target).args(&["--hold-snapshot", "0s"]);
        kill(&clone, &target);
        wait_for("an empty source", CLONE_LIMIT, || left(&source) == ["changes"]);
        assert_eq!(keepers(&source), 0);
    }
}

#[test]
fn a_slot_that_has_to_wait_says_for_whom_and_a_signal_takes_everything_back() {
    // A transaction that stays open holds up every slot of its cluster.
    for binaries in binaries() {
        let (cluster, _server) = own_cluster(binaries);
        let (source, target) = (small(cluster, "follow_wait"), database(cluster, "follow_wait_to"));
        let blocker = open_transaction(&source);
        let clone = follow(&source, &target);
        let mut running = clone.start();
        wait_while_running(&mut running, "the walsender", || {
            let query = "select count(*) from pg_stat_activity where application_name like 'backlot slot %' and datname = current_database()";
            query_value(&source, query) == "1"
        });
        running.signal(Signal::TERM);
        running.wait().expect_code(130);
        assert_eq!(left(&source), Vec::<String>::new());

        let output = follow(&source, &target).args(&["--slot-wait", "1s"]).run().expect_code(6);
        assert!(
            output.stderr.contains("it waits for pid ") && output.stderr.contains(" s)"),
            "{}",
            output.stderr
        );
        assert_eq!(left(&source), Vec::<String>::new());
        follow(&source, &target).args(&["--timeout", "3s"]).run().expect_code(6);
        assert_eq!(left(&source), Vec::<String>::new());
        drop(blocker);
    }
}

#[test]
fn a_slot_that_is_lost_during_the_copy_ends_it() {
    let cluster = servers().last().unwrap();
    let (source, target) = (source(cluster, "follow_lost"), database(cluster, "follow_lost_to"));
    let clone = in_ranges(&source, &target);
    let (running, gate) = gated(&clone, &target);
    sql(
        &source,
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
    );
    let output = running.wait().expect_code(7);
    assert!(output.stderr.contains("was lost during the clone"), "{}", output.stderr);
    gate.open();
    // Again, with a new one.
    clone.run().expect_code(0);
    assert_same(&state(&source), &target);
    assert_eq!(left(&source).len(), 3, "{:?}", left(&source));
}

#[test]
fn what_an_interrupted_clone_left_is_dropped_by_stop() {
    let cluster = servers().last().unwrap();
    let (source, target) = (source(cluster, "follow_stop"), database(cluster, "follow_stop_to"));
    kill(&in_ranges(&source, &target), &target);
    let output = run(&source.url, &target.url, &["--json", "clone", "stop"]).expect_code(0);
    assert_eq!(output.json()["slots"].as_array().unwrap().len(), 1, "{}", output.stdout);
    assert_eq!((left(&source), keepers(&source)), (vec!["changes".to_owned()], 0));
}

#[test]
fn a_clone_that_is_killed_while_its_slot_waits_leaves_no_slot_and_stop_drops_the_rest() {
    // A transaction that stays open holds up every slot of its cluster.
    for binaries in binaries() {
        let (cluster, _server) = own_cluster(binaries);
        let (source, target) = (small(cluster, "follow_dead"), database(cluster, "follow_dead_to"));
        let blocker = open_transaction(&source);
        let clone = follow(&source, &target);
        let mut running = clone.start();
        let slots = "select count(*) from pg_replication_slots where database = current_database()";
        wait_while_running(&mut running, "the slot", || query_value(&source, slots) == "1");
        assert!(running.kill());
        // Although what it waits for goes on.
        wait_for("the end of the slot", CLONE_LIMIT, || query_value(&source, slots) == "0");
        drop(blocker);
        run(&source.url, &target.url, &["clone", "stop"]).expect_code(0);
        assert_eq!(left(&source), Vec::<String>::new());
    }
}
