//! Replication commands.

use backlot::pg::{ConnInfo, Error, Lsn, Replication, Retry, SlotKind};

use super::{info, options, replication, slot_name};
use crate::support::{
    binaries, database, own_cluster, query_strings, query_value, servers, sql, wait_for,
};

#[test]
fn a_slots_snapshot_holds_what_committed_before_its_consistent_point() {
    for cluster in servers() {
        let database = database(cluster, "snapshot");
        sql(&database, "create table t (a int); insert into t values (1)");
        let mut replication = replication(&database);
        let identity = replication.identify_system().unwrap();
        assert_eq!(
            identity.system_identifier,
            query_value(&database, "select system_identifier from pg_control_system()")
        );
        assert_eq!((identity.timeline, identity.database.as_str()), (1, database.name.as_str()));
        assert!(replication.server_version() / 10_000 == cluster.major);

        let slot = replication.create_slot(&slot_name(&database), SlotKind::Temporary).unwrap();
        assert!(slot.consistent_point > identity.flushed);
        sql(&database, "insert into t values (2)");
        let counted = format!(
            "begin isolation level repeatable read; set transaction snapshot '{}'; select count(*) from t",
            slot.snapshot_name
        );
        assert_eq!(query_value(&database, &counted), "1");
    }
}

#[test]
fn a_temporary_slot_ends_with_its_connection_and_a_permanent_one_when_dropped() {
    for cluster in servers() {
        let database = database(cluster, "lifetime");
        let found = format!(
            "select slot_name::text, temporary::text from pg_replication_slots where database = '{}'",
            database.name
        );
        let name = slot_name(&database);
        let mut first = replication(&database);
        first.create_slot(&name, SlotKind::Temporary).unwrap();
        assert_eq!(query_strings(&database, &found), [[name.as_str(), "true"]]);
        drop(first);
        wait_for("the slot's end", super::LIMIT, || query_strings(&database, &found).is_empty());

        let mut second = replication(&database);
        let kind = if cluster.major >= 17 { SlotKind::Failover } else { SlotKind::Permanent };
        second.create_slot(&name, kind).unwrap();
        drop(second);
        assert_eq!(query_strings(&database, &found), [[name.as_str(), "false"]]);
        if cluster.major >= 17 {
            let failover =
                "select failover from pg_replication_slots where database = current_database()";
            assert_eq!(query_value(&database, failover), "t");
        }
        let mut third = replication(&database);
        third.drop_slot(&name).unwrap();
        assert!(query_strings(&database, &found).is_empty());
        let gone = third.drop_slot(&name).unwrap_err();
        assert_eq!((gone.sqlstate(), gone.retry()), (Some("42704"), Retry::Never));
    }
}

#[test]
fn a_slot_that_somebody_reads_is_worth_another_try_and_a_missing_one_is_not() {
    for cluster in servers() {
        let database = database(cluster, "busy_slot");
        sql(&database, "create publication p for all tables");
        let name = slot_name(&database);
        let mut reading = replication(&database);
        reading.create_slot(&name, SlotKind::Permanent).unwrap();
        let stream = reading.start(&name, Lsn::ZERO, &options("p")).unwrap();
        let busy = start_error(replication(&database), &name);
        assert_eq!((busy.sqlstate(), busy.retry()), (Some("55006"), Retry::Backoff));
        stream.finish(backlot::pg::Status::default()).unwrap();
        let missing = start_error(replication(&database), "no such \"slot\"");
        assert_eq!(missing.retry(), Retry::Never, "{missing}");
        // Free at once: no waiting here.
        replication(&database).start(&name, Lsn::ZERO, &options("p")).unwrap();
    }
}

fn start_error(replication: Replication, slot: &str) -> Error {
    match replication.start(slot, Lsn::ZERO, &options("p")) {
        Ok(_) => panic!("the stream started"),
        Err(error) => error,
    }
}

#[test]
fn a_slot_waits_for_running_transactions_only_as_long_as_it_is_told() {
    for binaries in binaries() {
        // Of its own: in a shared one, other tests' transactions are waited for as well.
        let (cluster, _server) = own_cluster(binaries);
        let database = database(cluster, "slot_wait");
        sql(&database, "create table t (a int)");
        let mut holder = backlot::pg::Wire::connect(&info(&database), "holder").unwrap();
        let holds = "begin; insert into public.t values (1); select 1";
        holder.simple(holds).unwrap();
        let mut replication = replication(&database);
        replication.limit_slot_wait(std::time::Duration::from_millis(100)).unwrap();
        let error =
            replication.create_slot(&slot_name(&database), SlotKind::Temporary).unwrap_err();
        assert_eq!((error.sqlstate(), error.retry()), (Some("55P03"), Retry::Backoff));
        holder.simple("commit").unwrap();
        replication.create_slot(&slot_name(&database), SlotKind::Temporary).unwrap();
    }
}

#[test]
fn a_role_without_replication_is_told_so() {
    let cluster = servers().next().unwrap();
    let database = database(cluster, "no_right");
    let role = format!("r_{}", database.name);
    sql(&database, &format!("create role \"{role}\" login"));
    let info = ConnInfo { user: role, ..info(&database) };
    let Err(error) = Replication::connect(&info, "backlot test") else { panic!("it connected") };
    assert_eq!((error.sqlstate(), error.retry()), (Some("42501"), Retry::Never));
}
