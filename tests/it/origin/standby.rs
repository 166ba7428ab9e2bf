//! Failover, and a standby as the source.

use std::sync::atomic::{AtomicBool, Ordering};

use backlot::source::SlotMismatch;

use super::{
    follow::follow,
    identity::{check, expected, slotted},
    left, run, small,
};
use crate::support::{
    Database, binaries, clone::CLONE_LIMIT, database, database::block_on, own_cluster, query_value,
    servers, sql, standby_of, try_sql, wait_for,
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
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Its xids move, so that there is something to tell.
                drop(try_sql(primary, "select pg_log_standby_snapshot(), pg_current_xact_id()"));
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        result
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
