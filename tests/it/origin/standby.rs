//! Failover, and a standby as the source.

use std::sync::atomic::{AtomicBool, Ordering};

use backlot::source::SlotMismatch;

use super::{
    follow::follow,
    identity::{check, expected, slotted},
    left, run, small,
};
use crate::support::{
    Database, Follow, binaries, clone::CLONE_LIMIT, database, database::block_on, own_cluster,
    query_strings, query_value, servers, sql, standby_of, try_sql, wait_for,
};

/// The first server that decodes on standbys.
const DECODES_ON_STANDBY: u32 = 16;

fn same_on(database: &Database, cluster: &'static crate::support::Cluster) -> Database {
    Database { name: database.name.clone(), url: cluster.url(&database.name), cluster }
}

fn promote(standby: &Database) {
    sql(standby, "select pg_promote()");
    wait_for("the promotion", CLONE_LIMIT, || {
        query_value(standby, "select pg_is_in_recovery()") == "f"
    });
}

/// While it lives, the primary tells its standbys what is running, which a new slot there waits
/// for.
fn while_told<T>(primary: &Database, work: impl FnOnce() -> T) -> T {
    /// Also where the work fails.
    struct Ending<'a>(&'a AtomicBool);
    impl Drop for Ending<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ending = Ending(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Its xids move, so that there is something to tell.
                drop(try_sql(primary, "select pg_log_standby_snapshot(), pg_current_xact_id()"));
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        work()
    })
}

#[test]
fn a_new_timeline_is_refused_unless_it_is_accepted() {
    for binaries in binaries() {
        let (cluster, _primary) = own_cluster(binaries);
        let source = small(cluster, "timeline");
        let on_primary = slotted(&source);
        let Some((standby_cluster, _standby)) = standby_of(cluster) else { continue };
        let standby = same_on(&source, standby_cluster);
        wait_for("the standby", CLONE_LIMIT, || {
            try_sql(&standby, "select 1 / count(*) from t").is_ok()
        });
        let mut on_standby = None;
        if cluster.major >= DECODES_ON_STANDBY {
            let create = "select pg_create_logical_replication_slot('on_standby', 'pgoutput')";
            while_told(&source, || sql(&standby, create));
            let mut expected = block_on(expected(&standby));
            expected.slot_name = "on_standby".into();
            let confirmed = "select confirmed_flush_lsn from pg_replication_slots where slot_name = 'on_standby'";
            expected.checkpoint = query_value(&standby, confirmed).parse().unwrap();
            assert_eq!(block_on(check(&standby, &expected)), Ok(()));
            on_standby = Some(expected);
        }
        promote(&standby);
        let moved = block_on(check(&standby, &on_primary)).unwrap_err();
        assert_eq!(moved, SlotMismatch::OtherTimeline { expected: 1, found: 2, has_slot: false });
        assert!(moved.remedy().contains("backlot clone start --follow --replace"));
        if let Some(mut expected) = on_standby {
            let moved = block_on(check(&standby, &expected)).unwrap_err();
            assert_eq!(
                moved,
                SlotMismatch::OtherTimeline { expected: 1, found: 2, has_slot: true }
            );
            assert!(moved.remedy().contains("--accept-timeline"));
            expected.accept_timeline = true;
            assert_eq!(block_on(check(&standby, &expected)), Ok(()));
        }
    }
}

#[test]
fn a_standby_can_be_followed_by_publications_of_its_primary() {
    for binaries in binaries().iter().filter(|found| found.major >= DECODES_ON_STANDBY) {
        let (cluster, _primary) = own_cluster(binaries);
        let source = small(cluster, "standby");
        sql(
            &source,
            "create publication a for table t; create publication b for table keyless with (publish = 'insert, truncate')",
        );
        let Some((standby_cluster, _standby)) = standby_of(cluster) else { continue };
        let standby = same_on(&source, standby_cluster);
        wait_for("the standby", CLONE_LIMIT, || {
            try_sql(&standby, "select 1 / count(*) from t").is_ok()
        });
        let target = database(servers().last().unwrap(), "standby_to");
        let refused = follow(&standby, &target).run().expect_code(7);
        assert!(refused.stderr.contains("no publication can be made"), "{}", refused.stderr);
        let config = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\npublications: [a, b]\n";
        let clone = follow(&standby, &target).config(config);
        let summary = while_told(&source, || clone.run()).expect_code(0).summary();
        let slot = summary["stream"]["slot"].as_str().unwrap();
        assert_eq!(left(&standby), ["a", "b", slot]);
        assert_eq!(left(&source), ["a", "b"]);
        assert_eq!(query_value(&target, "select count(*) from t"), "50");
        run(&standby.url, &target.url, &["clone", "stop"]).expect_code(0);
        assert_eq!(left(&standby), ["a", "b"]);
    }
}

/// The first server that copies slots to its standbys.
const SYNCHRONIZES_SLOTS: u32 = 17;

#[test]
fn a_stream_goes_on_at_the_standby_that_took_the_primarys_place() {
    for binaries in binaries().iter().filter(|found| found.major >= SYNCHRONIZES_SLOTS) {
        let (cluster, mut primary) = own_cluster(binaries);
        let source = small(cluster, "failover");
        let Some((standby_cluster, _standby)) = standby_of(cluster) else { continue };
        let standby = same_on(&source, standby_cluster);
        wait_for("the standby", CLONE_LIMIT, || {
            try_sql(&standby, "select 1 / count(*) from t").is_ok()
        });
        for (setting, value) in [("hot_standby_feedback", "on"), ("sync_replication_slots", "on")] {
            sql(&standby, &format!("alter system set {setting} = {value}"));
        }
        sql(&standby, "select pg_reload_conf()");
        // No stream is ahead of the standby.
        sql(&source, "alter system set synchronized_standby_slots = 'standby'");
        sql(&source, "select pg_reload_conf()");

        let target = database(servers().last().unwrap(), "failover_to");
        let config =
            "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n";
        let follow = Follow::new(&source.url, &target.url).config(config);
        follow.start_flags(&["--failover"]).start().expect_code(0);
        let follow = Follow::new(&source.url, &target.url);
        sql(&source, "insert into t values (51, 'before')");
        follow.catch_up().expect_code(0);
        let slot = query_value(&target, "select slot_name from backlot.stream");
        let is_there = format!(
            "select count(*) from pg_replication_slots where slot_name = '{slot}' and synced and not temporary
             and invalidation_reason is null"
        );
        // The worker keeps a slot once that of the primary has moved past where the standby began.
        let stream = follow.stream(&[]);
        while_told(&source, || {
            wait_for("the slot on the standby", CLONE_LIMIT, || {
                query_value(&standby, &is_there) == "1"
            });
        });
        stream.signal(rustix::process::Signal::TERM);
        stream.wait().expect_code(0);
        sql(&source, "update t set note = 'last words' where id = 7; delete from t where id = 8");
        wait_for("the standby to have everything", CLONE_LIMIT, || {
            query_value(&standby, "select count(*) from t where note = 'last words'") == "1"
        });
        primary.kill9().unwrap();
        promote(&standby);
        sql(&standby, "insert into t values (52, 'after')");

        let follow = Follow::new(&standby.url, &target.url);
        let refused = follow.catch_up().expect_code(7);
        assert!(refused.stderr.contains("--accept-timeline"), "{}", refused.stderr);
        follow.run("stream", &["--until-caught-up", "--accept-timeline"]).expect_code(0);
        let rows = "select id, note from t order by id";
        assert_eq!(query_strings(&target, rows), query_strings(&standby, rows));
        // Once accepted, it is the timeline that is expected.
        sql(&standby, "delete from t where id = 52");
        follow.catch_up().expect_code(0);
        assert_eq!(query_strings(&target, rows), query_strings(&standby, rows));
    }
}
