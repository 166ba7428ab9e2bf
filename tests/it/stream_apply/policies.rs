//! What the applier does when the target does not take a change, goes away, or forbids things.

use std::time::Duration;

use backlot::instance::StopMode;
use backlot::pg::ConnInfo;
use backlot::sink::apply::{Applier, ApplyError, Enforcement, NextRoute, OnError, Route};

use super::rig::{RULES, Rig};
use crate::support::{
    binaries, own_cluster, query_strings, query_value, servers, some_servers, sql, wait_for,
};

const SOURCE: &str =
    "create table t (id int primary key, v text); create table other (id int primary key)";
const TARGET: &str = "create table t (id int primary key, v text check (v <> 'poison')); create table other (id int primary key)";

fn rig(index: usize) -> Rig {
    let cluster = servers().nth(index).unwrap();
    Rig::with_target(cluster, cluster, SOURCE, TARGET, true)
}

#[test]
fn a_unique_swap_is_replayed_in_source_order() {
    for cluster in some_servers() {
        let ddl = "create table t (id int primary key, code int unique)";
        let mut rig = Rig::new(cluster, ddl, true);
        let mut applier = rig.applier(OnError::Stop);
        sql(&rig.source, "insert into t select g, g from generate_series(1, 10) g");
        rig.follow(&mut applier, &Route::Fast);
        sql(
            &rig.source,
            "update t set code = -1 where id = 1; update t set code = 1 where id = 2; update t set code = 2 where id = 1; \
             update t set code = code + 100 where id > 5",
        );
        sql(&rig.source, "insert into t values (11, 11)");
        let outcome = rig.follow(&mut applier, &Route::Fast);
        assert!(outcome.is_replayed);
        rig.assert_same();
        let counts = "select transaction_count || ' ' || change_count from backlot.checkpoint";
        assert_eq!(query_value(&rig.target, counts), "3 19");
    }
}

#[test]
fn poison_stops_the_stream_with_everything_before_it_committed() {
    for index in 0..servers().count() {
        let mut rig = rig(index);
        let mut applier = rig.applier(OnError::Stop);
        sql(&rig.source, "insert into t values (1, 'good')");
        sql(&rig.source, "insert into other values (1); insert into t values (2, 'poison')");
        sql(&rig.source, "insert into t values (3, 'after')");
        let group = rig.group();
        let error = applier.apply(&group, &Route::Fast).unwrap_err();
        let ApplyError::Poison { poison } = &error else { panic!("{error}") };
        assert_eq!(poison.failure.relation.as_ref().unwrap().to_string(), "public.t");
        assert_eq!(poison.failure.sqlstate.as_deref(), Some("23514"));
        assert_eq!(poison.commit, Some(group.transactions[1].commit));
        assert_eq!(poison.xid, Some(group.transactions[1].xid));
        assert!(
            !error.to_string().contains("poison,") && !format!("{error:?}").contains("'poison'")
        );
        assert_eq!(
            query_strings(&rig.target, "select id from t union all select id + 100 from other"),
            [["1"]]
        );
        assert_eq!(applier.checkpoint(), group.transactions[0].commit.end_lsn);
        let end = "select end_lsn from backlot.checkpoint";
        assert_eq!(query_value(&rig.target, end), applier.checkpoint().to_string());
    }
}

/// The stream makes the partitions that the source has, and begins again at the checkpoint; a row
/// whose partition the source does not have must not make it do so for ever.
#[test]
fn a_row_without_a_partition_asks_for_it_once_at_the_same_place() {
    for cluster in servers() {
        let source = "create table t (id int primary key)";
        let target = "create table t (id int primary key) partition by range (id); \
             create table low partition of t for values from (0) to (100)";
        let mut rig = Rig::with_target(cluster, cluster, source, target, true);
        let mut applier = rig.applier(OnError::Quarantine);
        sql(&rig.source, "insert into t values (1)");
        rig.follow(&mut applier, &Route::Fast);

        let asked_for = |applier: &Applier, error: ApplyError| {
            let ApplyError::NoPartition { failure, checkpoint } = error else { panic!("{error}") };
            assert_eq!(failure.relation.unwrap().to_string(), "public.t");
            assert_eq!(failure.sqlstate.as_deref(), Some("23514"));
            assert_eq!(checkpoint, applier.checkpoint());
            checkpoint
        };
        sql(&rig.source, "insert into t values (150)");
        let group = rig.group();
        let error = applier.apply(&group, &Route::Fast).unwrap_err();
        let place = asked_for(&applier, error);
        assert_eq!(query_value(&rig.target, "select count(*) from backlot.quarantine"), "0");
        applier.partitions_made(place);
        let outcome = applier.apply(&group, &Route::Fast).unwrap();
        assert_eq!(outcome.quarantined[0].failure.sqlstate.as_deref(), Some("23514"));

        // At a later place it is asked for again, also for a transaction that comes in parts.
        sql(&rig.source, "insert into t select g from generate_series(2, 10) g");
        rig.follow(&mut applier, &Route::Fast);
        sql(&rig.source, "insert into t select g from generate_series(91, 110) g");
        let parts = rig.groups(4);
        let fail = |applier: &mut Applier, route: &Route| {
            parts.iter().find_map(|part| applier.apply(part, route).err()).unwrap()
        };
        let error = fail(&mut applier, &Route::Fast);
        let later = asked_for(&applier, error);
        assert!(later > place);
        assert_eq!(query_value(&rig.target, "select count(*) from t"), "10");
        applier.partitions_made(later);
        let error = fail(&mut applier, &Route::Fast);
        assert!(matches!(&error, ApplyError::Restart { next: NextRoute::Careful, .. }), "{error}");

        sql(&rig.target, "create table high partition of t for values from (100) to (200)");
        for part in &parts {
            applier.apply(part, &Route::Careful).unwrap();
        }
        applier.retry(1).unwrap();
        let ids = "select string_agg(id::text, ',' order by id) from t";
        assert_eq!(query_value(&rig.target, ids), query_value(&rig.source, ids));
    }
}

#[test]
fn a_quarantined_transaction_is_kept_whole_and_can_be_retried() {
    for index in 0..servers().count() {
        let mut rig = rig(index);
        let mut applier = rig.applier(OnError::Quarantine);
        sql(&rig.source, "insert into t select g, 'good' from generate_series(1, 5) g");
        sql(
            &rig.source,
            "insert into other values (1); update t set v = 'changed' where id = 2; update t set id = 40 where id = 4; \
             delete from t where id = 5; truncate other; insert into other values (7); insert into t values (6, 'poison')",
        );
        sql(&rig.source, "insert into t values (8, 'after')");
        let group = rig.group();
        let outcome = applier.apply(&group, &Route::Fast).unwrap();
        assert_eq!(outcome.end_lsn, Some(group.transactions[2].commit.end_lsn));
        assert_eq!(outcome.quarantined.len(), 1);
        assert_eq!(outcome.quarantined[0].commit, Some(group.transactions[1].commit));
        assert_eq!(
            query_strings(
                &rig.target,
                "select string_agg(id::text, ',' order by id), (select count(*) from other) from t"
            ),
            [["1,2,3,4,5,8", "0"]]
        );
        let kept = query_strings(
            &rig.target,
            "select xid, commit_lsn, end_lsn, relation, sqlstate, change_count, (select count(*) from backlot.quarantine_part) from backlot.quarantine",
        );
        let mark = group.transactions[1];
        let expected = [
            mark.xid.to_string(),
            mark.commit.commit_lsn.to_string(),
            mark.commit.end_lsn.to_string(),
            "public.t".into(),
            "23514".into(),
            "7".into(),
            "1".into(),
        ];
        assert_eq!(kept, [expected]);

        let id: i64 = query_value(&rig.target, "select quarantine_id from backlot.quarantine")
            .parse()
            .unwrap();
        let error = applier.retry(id).unwrap_err();
        assert!(
            matches!(&error, ApplyError::Poison { poison } if poison.failure.sqlstate.as_deref() == Some("23514")),
            "{error}"
        );
        sql(&rig.target, "alter table t drop constraint t_v_check");
        applier.retry(id).unwrap();
        rig.assert_same();
        assert_eq!(query_value(&rig.target, "select count(*) from backlot.quarantine_part"), "0");
        assert!(matches!(applier.retry(id), Err(ApplyError::NotQuarantined(_))));
        // The stream goes on as before.
        sql(&rig.source, "update t set v = 'end'");
        rig.follow(&mut applier, &Route::Fast);
        rig.assert_same();
    }
}

#[test]
fn a_quarantined_transaction_that_other_rules_have_masked_is_not_applied() {
    let mut rig = rig(0);
    let mut applier = rig.applier(OnError::Quarantine);
    sql(&rig.source, "insert into t values (6, 'poison')");
    rig.follow(&mut applier, &Route::Fast);
    sql(&rig.target, "alter table t drop constraint t_v_check");
    let set = |what: &str| sql(&rig.target, &format!("update backlot.stream_table set {what}"));
    let hash = |name: &str| {
        let text = |text: &str| format!("int4send({}) || '{text}'::bytea", text.len());
        format!("'H'::bytea || {} || {} || {}", text("public"), text(name), text(RULES))
    };
    // As an earlier version stored it.
    let old = format!(
        "update backlot.quarantine_part set changes = set_byte(overlay(changes placing '' \
         from position({0} in changes) for length({0})), 0, 1)",
        hash("t")
    );
    let same = format!("rules_hash = '{RULES}', state = 'streaming'");
    for make in [
        "update backlot.stream_table set rules_hash = 'other'",
        "update backlot.stream_table set state = 'stale'",
        "update backlot.stream_table set relation = 'public.elsewhere' where relation = 'public.t'",
        &old,
    ] {
        set(&same);
        sql(&rig.target, make);
        let error = applier.retry(1).unwrap_err();
        let ApplyError::OtherRules { relation } = &error else { panic!("{make}: {error}") };
        assert_eq!(relation.to_string(), "public.t");
        assert!(error.to_string().contains("`backlot clone resync public.t`"), "{error}");
        assert_eq!(query_value(&rig.target, "select count(*) from t"), "0");
        assert_eq!(query_value(&rig.target, "select count(*) from backlot.quarantine"), "1");
        let back = "update backlot.stream_table set relation = 'public.t' where relation = 'public.elsewhere'";
        sql(&rig.target, back);
    }
}

#[test]
fn a_row_that_is_not_there_is_an_error_that_names_the_table() {
    let mut rig = rig(0);
    let mut applier = rig.applier(OnError::Stop);
    sql(&rig.source, "insert into t select g, 'a' from generate_series(1, 50) g");
    rig.follow(&mut applier, &Route::Fast);
    sql(&rig.target, "delete from t where id = 33");
    sql(&rig.source, "update t set v = 'b'");
    let group = rig.group();
    let error = applier.apply(&group, &Route::Fast).unwrap_err();
    let ApplyError::Poison { poison } = error else { panic!("{error}") };
    assert_eq!(
        poison.failure.to_string(),
        "public.t: 0 rows of the target match where there should be 1"
    );
    assert_eq!(poison.failure.sqlstate, None);
    assert_eq!(query_value(&rig.target, "select count(*) from t where v = 'b'"), "0");
}

#[test]
fn a_large_transaction_comes_in_parts_and_commits_with_the_last() {
    for index in 0..servers().count() {
        let mut rig = rig(index);
        let mut applier = rig.applier(OnError::Quarantine);
        for route in [Route::Fast, Route::Careful] {
            sql(
                &rig.source,
                "insert into t select g, 'x' from generate_series(1, 1000) g; update t set v = 'y' where id % 2 = 0; delete from t where id > 10",
            );
            let groups = rig.groups(300);
            assert!(groups.len() > 5);
            let before = applier.checkpoint();
            for group in &groups {
                assert_eq!(query_value(&rig.target, "select count(*) from t"), "0");
                assert_eq!(applier.checkpoint(), before);
                applier.apply(group, &route).unwrap();
            }
            rig.assert_same();
            sql(&rig.source, "delete from t");
            rig.follow(&mut applier, &route);
        }
        // Poison in the middle: by careful parts into the quarantine.
        sql(
            &rig.source,
            "insert into t select g, case g when 500 then 'poison' else 'x' end from generate_series(1, 1000) g",
        );
        let groups = rig.groups(300);
        let fail = |applier: &mut Applier, route: &Route| {
            groups.iter().find_map(|group| applier.apply(group, route).err()).unwrap()
        };
        let error = fail(&mut applier, &Route::Fast);
        assert!(matches!(&error, ApplyError::Restart { next: NextRoute::Careful, .. }), "{error}");
        let error = fail(&mut applier, &Route::Careful);
        let ApplyError::Restart { failure, next: NextRoute::Quarantine } = error else {
            panic!("{error}")
        };
        assert_eq!(failure.sqlstate.as_deref(), Some("23514"));
        let route = Route::Quarantine(failure);
        let outcomes = groups.iter().map(|group| applier.apply(group, &route).unwrap());
        assert_eq!(outcomes.last().unwrap().quarantined.len(), 1);
        assert_eq!(query_value(&rig.target, "select count(*) from t"), "0");
        assert_eq!(
            query_value(
                &rig.target,
                "select change_count from backlot.quarantine where commit_lsn > '0/0'"
            ),
            "1000"
        );
        sql(&rig.target, "alter table t drop constraint t_v_check");
        applier.retry(1).unwrap();
        rig.assert_same();
    }
}

#[test]
fn a_role_that_may_not_set_replica_applies_in_source_order() {
    for cluster in some_servers() {
        let ddl = "create table parent (id int primary key); \
             create table child (id int primary key, parent int not null references parent deferrable initially immediate); \
             create table fired (id int)";
        let mut rig = Rig::new(cluster, ddl, true);
        let role = format!("plain_{}", rig.target.name);
        sql(
            &rig.target,
            &format!(
                "create role {role} login; grant all on schema public, backlot to {role}; \
                 grant all on all tables in schema public to {role}; grant all on all tables in schema backlot to {role}; \
                 create function fire() returns trigger language plpgsql as 'begin insert into public.fired values (1); return null; end'; \
                 create trigger t after insert on parent for each row execute function fire(); \
                 alter table parent owner to {role}; alter table child owner to {role}"
            ),
        );
        let mut info = ConnInfo::parse(&rig.target.url).unwrap();
        info.user = role;
        let mut applier = Applier::connect(&info, &rig.slot, OnError::Stop).unwrap();
        assert_eq!(applier.enforcement(), Enforcement::On);
        for statement in [
            "insert into parent select g from generate_series(1, 200) g; insert into child select g, g from generate_series(1, 200) g",
            "set constraints all deferred; insert into child values (300, 300); insert into parent values (300)",
            "update child set parent = 1 where id < 100; delete from parent where id between 2 and 99",
            "truncate parent, child; insert into parent values (1)",
        ] {
            sql(&rig.source, &format!("begin; {statement}; commit"));
            rig.follow(&mut applier, &Route::Fast);
            assert_eq!(
                query_strings(
                    &rig.source,
                    "select count(*), sum(id), (select sum(parent) from child) from parent"
                ),
                query_strings(
                    &rig.target,
                    "select count(*), sum(id), (select sum(parent) from child) from parent"
                ),
            );
        }
        // Triggers fire for such a role, and `enforcement` says so.
        assert_eq!(query_value(&rig.target, "select count(*) from fired"), "202");
    }
}

#[test]
fn user_triggers_do_not_fire_for_a_role_that_may_set_replica() {
    let mut rig = rig(0);
    let mut applier = rig.applier(OnError::Stop);
    assert_eq!(applier.enforcement(), Enforcement::Off);
    sql(
        &rig.target,
        "create function refuse() returns trigger language plpgsql as 'begin raise exception ''fired''; end'; \
         create trigger t before insert or update on t for each row execute function refuse()",
    );
    sql(
        &rig.source,
        "insert into t select g, 'x' from generate_series(1, 200) g; update t set v = 'y'",
    );
    rig.follow(&mut applier, &Route::Fast);
    rig.assert_same();
}

#[test]
fn a_lock_that_another_session_keeps_ends_in_an_error_that_names_the_table() {
    let mut rig = rig(0);
    let mut applier = rig.applier(OnError::Quarantine);
    sql(&rig.source, "insert into t values (1, 'x')");
    let group = rig.group();
    let url = rig.target.url.clone();
    let holder = crate::support::database::block_on(async move {
        let client = crate::support::database::connect(&url).await.unwrap();
        client.batch_execute("begin; lock table t in exclusive mode").await.unwrap();
        client
    });
    let error = applier.apply(&group, &Route::Fast).unwrap_err();
    assert!(
        matches!(&error, ApplyError::Connection { relation: Some(relation), source }
            if relation.name == "t" && source.sqlstate() == Some("55P03")),
        "{error}: {error:?}"
    );
    drop(holder);
    assert_eq!(query_value(&rig.target, "select count(*) from backlot.quarantine"), "0");
}

#[test]
fn a_session_that_a_killed_applier_left_is_ended_first() {
    for index in 0..servers().count() {
        let mut rig = rig(index);
        let mut first = rig.applier(OnError::Stop);
        sql(&rig.source, "insert into t select g, 'x' from generate_series(1, 100) g");
        let groups = rig.groups(40);
        first.apply(&groups[0], &Route::Fast).unwrap();
        let second = rig.applier(OnError::Stop);
        let error = first.apply(&groups[1], &Route::Fast).unwrap_err();
        assert!(matches!(error, ApplyError::Connection { .. }), "{error}");
        assert_eq!(query_value(&rig.target, "select count(*) from t"), "0");
        let count = "select count(*) from pg_stat_activity where application_name = 'backlot apply' and datname = current_database()";
        assert_eq!(query_value(&rig.target, count), "1");
        drop(second);
    }
}

#[test]
fn a_checkpoint_that_something_else_moved_is_not_written_over() {
    let mut rig = rig(0);
    let mut applier = rig.applier(OnError::Quarantine);
    sql(&rig.source, "insert into t values (1, 'x')");
    let group = rig.group();
    sql(&rig.target, "update backlot.checkpoint set end_lsn = '0/7'");
    for route in [Route::Fast, Route::Careful] {
        let error = applier.apply(&group, &route).unwrap_err();
        assert!(matches!(error, ApplyError::Checkpoint { .. }), "{error}");
    }
    assert_eq!(query_value(&rig.target, "select count(*) from t"), "0");
}

#[test]
fn advance_moves_the_checkpoint_and_is_durable_at_once() {
    let mut rig = rig(0);
    let mut applier = rig.applier(OnError::Stop);
    sql(&rig.source, "insert into t values (1, 'x')");
    rig.follow(&mut applier, &Route::Fast);
    let next = backlot::pg::Lsn(applier.checkpoint().0 + 1000);
    applier.advance(next).unwrap();
    wait_for("the flush", Duration::from_secs(20), || applier.flushed().unwrap() == Some(next));
    assert_eq!(
        query_value(&rig.target, "select end_lsn from backlot.checkpoint"),
        next.to_string()
    );
    // Backwards is no movement.
    applier.advance(backlot::pg::Lsn(5)).unwrap();
    assert_eq!(applier.checkpoint(), next);
}

/// The target loses what it had answered and not flushed; what was acknowledged is never among it.
#[test]
fn what_is_acknowledged_survives_a_crash_of_the_target() {
    for binaries in binaries() {
        let (target, mut server) = own_cluster(binaries);
        sql_on(
            target,
            "alter system set fsync = on; alter system set wal_writer_delay = '10s'; alter system set synchronous_commit = on",
        );
        server.stop(StopMode::Fast).unwrap();
        server.start().unwrap();
        let source = servers().find(|cluster| cluster.major == binaries.major).unwrap();
        let mut rig = Rig::with_target(source, target, SOURCE, SOURCE, true);
        let mut lost = 0;
        for round in 0..6 {
            let mut applier = rig.applier(OnError::Stop);
            let mut sent = Vec::new();
            let mut acknowledged = None;
            for at in 0..12 {
                sql(&rig.source, &format!("insert into t values ({round} * 1000 + {at}, 'x')"));
                let group = rig.group();
                applier.apply(&group, &Route::Fast).unwrap();
                sent.push(group);
                if at == round {
                    // Asked in vain, the target is made to flush.
                    for _ in 0..5 {
                        acknowledged = applier.flushed().unwrap();
                    }
                    assert_eq!(acknowledged, Some(applier.checkpoint()));
                }
            }
            server.kill9().unwrap();
            drop(applier);
            server.start().unwrap();
            let checkpoint = query_value(&rig.target, "select end_lsn from backlot.checkpoint");
            let checkpoint: backlot::pg::Lsn = checkpoint.parse().unwrap();
            assert!(
                acknowledged <= Some(checkpoint),
                "{acknowledged:?} was lost, {checkpoint} is there"
            );
            // Rows and checkpoint stay together; the rest is sent again.
            let mut applier = rig.applier(OnError::Stop);
            assert_eq!(applier.checkpoint(), checkpoint);
            for group in
                sent.iter().filter(|group| group.transactions[0].commit.end_lsn > checkpoint)
            {
                applier.apply(group, &Route::Fast).unwrap();
                lost += 1;
            }
            rig.assert_same();
        }
        assert!(lost > 0, "no crash lost anything: the test shows nothing");
    }
}

fn sql_on(cluster: &crate::support::Cluster, statements: &str) {
    for statement in statements.split("; ") {
        crate::support::database::run(&cluster.url("postgres"), statement).unwrap();
    }
}
