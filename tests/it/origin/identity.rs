//! A slot that is not the one that the target was made from is recognised.

use backlot::pg::{ConnInfo, Lsn, Replication, Session};
use backlot::source::{ExpectedSlot, SlotMismatch, check_slot};

use super::small;
use crate::support::{
    Database, binaries, clone::CLONE_LIMIT, database, database::block_on, own_cluster, query_value,
    servers, some_servers, sql, wait_for,
};

const SLOT: &str = "identity_slot";

pub(super) async fn expected(database: &Database) -> ExpectedSlot {
    let info = ConnInfo::parse(&database.url).unwrap();
    let system = tokio::task::spawn_blocking(move || {
        Replication::connect(&info, "test").unwrap().identify_system().unwrap()
    });
    let system = system.await.unwrap();
    ExpectedSlot {
        slot_name: SLOT.into(),
        system_identifier: system.system_identifier,
        database: database.name.clone(),
        timeline: system.timeline,
        publications: vec!["changes".into()],
        checkpoint: Lsn::ZERO,
        accept_timeline: false,
    }
}

pub(super) async fn check(
    database: &Database,
    expected: &ExpectedSlot,
) -> Result<(), SlotMismatch> {
    let info = ConnInfo::parse(&database.url).unwrap();
    let session = Session::connect(&info, "test").await.unwrap();
    let system = tokio::task::spawn_blocking(move || {
        Replication::connect(&info, "test").unwrap().identify_system().unwrap()
    });
    check_slot(&session, &system.await.unwrap(), expected).await.unwrap().map(drop)
}

/// A source with the slot, and what a target would remember of it.
pub(super) fn slotted(database: &Database) -> ExpectedSlot {
    sql(database, "create publication changes for all tables");
    sql(
        database,
        &format!(
            "select pg_create_logical_replication_slot('{SLOT}_' || current_database(), 'pgoutput')"
        ),
    );
    let mut expected = block_on(expected(database));
    expected.slot_name = format!("{SLOT}_{}", database.name);
    let confirmed = format!(
        "select confirmed_flush_lsn from pg_replication_slots where slot_name = '{}'",
        expected.slot_name
    );
    expected.checkpoint = query_value(database, &confirmed).parse().unwrap();
    expected
}

#[test]
fn a_slot_that_was_moved_on_made_anew_or_dropped_is_refused() {
    for cluster in some_servers() {
        let source = small(cluster, "identity");
        let expected = slotted(&source);
        let slot = expected.slot_name.clone();
        assert_eq!(block_on(check(&source, &expected)), Ok(()));
        sql(&source, "set synchronous_commit = on; update t set note = 'x'");
        sql(
            &source,
            &format!(
                "select count(*) from pg_logical_slot_get_binary_changes('{slot}', null, null, 'proto_version', '1', 'publication_names', 'changes')"
            ),
        );
        let advanced = block_on(check(&source, &expected)).unwrap_err();
        assert!(matches!(advanced, SlotMismatch::Advanced { .. }), "{advanced:?}");
        assert!(advanced.remedy().contains("backlot clone start --follow --replace"));
        sql(&source, &format!("select pg_drop_replication_slot('{slot}')"));
        assert_eq!(
            block_on(check(&source, &expected)),
            Err(SlotMismatch::Gone { name: slot.clone() })
        );
        sql(&source, &format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
        let anew = block_on(check(&source, &expected)).unwrap_err();
        assert!(matches!(anew, SlotMismatch::Advanced { .. }), "{anew:?}");
        sql(
            &source,
            &format!(
                "select pg_drop_replication_slot('{slot}'); select pg_create_physical_replication_slot('{slot}')"
            ),
        );
        let other = block_on(check(&source, &expected)).unwrap_err();
        assert!(matches!(other, SlotMismatch::OtherKind { .. }), "{other:?}");
        sql(&source, &format!("select pg_drop_replication_slot('{slot}')"));
    }
}

#[test]
fn another_cluster_database_or_publication_is_refused() {
    let cluster = servers().last().unwrap();
    let (source, other) = (small(cluster, "identity_here"), database(cluster, "identity_there"));
    let mut expected = slotted(&source);
    let there = block_on(check(&other, &expected)).unwrap_err();
    assert!(matches!(there, SlotMismatch::OtherDatabase { .. }), "{there:?}");
    sql(&source, "drop publication changes");
    let missing = block_on(check(&source, &expected)).unwrap_err();
    assert_eq!(missing, SlotMismatch::NoPublication { names: vec!["changes".into()] });
    expected.checkpoint = Lsn(u64::MAX);
    let behind = block_on(check(&source, &expected)).unwrap_err();
    assert!(matches!(behind, SlotMismatch::Behind { .. }), "{behind:?}");
    expected.system_identifier = "7".into();
    let cluster = block_on(check(&source, &expected)).unwrap_err();
    assert!(matches!(cluster, SlotMismatch::OtherCluster { .. }), "{cluster:?}");
    sql(&source, &format!("select pg_drop_replication_slot('{}')", expected.slot_name));
}

#[test]
fn a_slot_whose_wal_is_gone_is_refused() {
    for binaries in binaries() {
        let (cluster, _server) = own_cluster(binaries);
        let source = small(cluster, "identity_lost");
        let expected = slotted(&source);
        sql(&source, "alter system set max_slot_wal_keep_size = '1MB'");
        sql(&source, "alter system set min_wal_size = '32MB'");
        sql(&source, "alter system set max_wal_size = '32MB'");
        sql(&source, "select pg_reload_conf()");
        let status = format!(
            "select wal_status from pg_replication_slots where slot_name = '{}'",
            expected.slot_name
        );
        wait_for("the loss of the slot", CLONE_LIMIT, || {
            sql(
                &source,
                "insert into t select n, 'filler' from generate_series((select max(id) + 1 from t), (select max(id) + 1000 from t)) n",
            );
            sql(&source, "select pg_switch_wal()");
            sql(&source, "checkpoint");
            query_value(&source, &status) == "lost"
        });
        let lost = block_on(check(&source, &expected)).unwrap_err();
        assert!(matches!(lost, SlotMismatch::Lost { .. }), "{lost:?}");
    }
}
