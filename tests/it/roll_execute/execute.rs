//! Steps on real servers: once each, in their own transaction, patient, and nothing left invalid.

use backlot::{
    catalog::RelationName,
    ddl::{ExecuteError, Patience},
    migrate::plan::{Mode, Plan, Step},
    roll::RollError,
};
use std::time::{Duration, Instant};

use super::rig::{Rig, add_doubled, by, index, plan, step};
use crate::{
    roll_load::Watch,
    support::{
        database::{block_on, connect},
        query_strings, query_value, servers, sql, try_sql, wait_for,
    },
};

const NO_INVALID: &str = "select count(*) from pg_index where not indisvalid";
const TABLE: &str = "create table public.t (a int primary key); insert into public.t select generate_series(1, 1000)";

#[test]
fn start_and_complete_and_rollback_do_what_the_plan_says() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_verbs");
        sql(&rig.database, TABLE);
        let plan = add_doubled(by(&["a"]));
        let wrong = "select count(*) from public_01.t where b is distinct from a * 2";
        for _ in 0..2 {
            rig.start("01", &plan).unwrap();
            assert_eq!(query_value(&rig.database, wrong), "0");
            assert!(
                matches!(rig.start("02", &plan), Err(RollError::Active { name, .. }) if name == "01")
            );
            rig.rollback().unwrap();
            let left = "select count(*) from pg_attribute where attrelid = 'public.t'::regclass and attname in ('b', 'todo')";
            assert_eq!(query_value(&rig.database, left), "0");
        }
        assert!(matches!(rig.complete(), Err(RollError::NotActive { .. })));
        rig.start("01", &plan).unwrap();
        assert_eq!(rig.complete().unwrap(), "01");
        assert!(matches!(rig.start("01", &plan), Err(RollError::Known { name }) if name == "01"));
        let journal = "select (select count(*) from pgroll.backlot_run) + (select count(*) from pgroll.backlot_step)
            + (select count(*) from pgroll.backlot_backfill)";
        assert_eq!(query_value(&rig.database, journal), "0");
    }
}

#[test]
fn a_start_that_fails_for_good_leaves_nothing() {
    let cluster = servers().next().unwrap();
    let rig = Rig::new(cluster, "roll_failed");
    sql(&rig.database, TABLE);
    let mut plan = add_doubled(by(&["a"]));
    plan.views
        .push(step("views/bad", &["create view public_01.u as select nothing from public.t"]));
    let Err(RollError::RolledBack { source, .. }) = rig.start("01", &plan) else { panic!() };
    let RollError::Step(ExecuteError::Refused { step, statement, .. }) = *source else { panic!() };
    assert_eq!(step, "views/bad");
    assert!(statement.contains("public_01.u"));
    assert_eq!(
        query_value(&rig.database, "select count(*) from pgroll.migrations where not done"),
        "0"
    );
    let left = "select count(*) from pg_attribute where attrelid = 'public.t'::regclass and attname in ('b', 'todo')";
    assert_eq!(query_value(&rig.database, left), "0");
}

#[test]
fn a_rollback_after_the_first_irreversible_step_is_refused_and_complete_goes_on() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_irreversible");
        sql(&rig.database, TABLE);
        let mut plan = add_doubled(by(&["a"]));
        plan.complete.push(step("complete/last", &["select 1 / count(*) from public.permission"]));
        rig.start("01", &plan).unwrap();
        let Err(RollError::Step(error)) = rig.complete() else { panic!() };
        assert!(error.to_string().contains("complete/last"), "{error}");
        let Err(RollError::Irreversible { step, .. }) = rig.rollback() else { panic!() };
        assert_eq!(step, "complete/swap");
        sql(&rig.database, "create table public.permission as select 1");
        rig.complete().unwrap();
        assert_eq!(
            query_value(&rig.database, "select done from pgroll.migrations where name = '01'"),
            "t"
        );
    }
}

#[test]
fn every_shape_change_is_told_in_its_own_transaction() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_message");
        sql(&rig.database, TABLE);
        sql(
            &rig.database,
            "select pg_create_logical_replication_slot(current_database(), 'test_decoding')",
        );
        rig.start("01", &add_doubled(by(&["a"]))).unwrap();
        // Only what is flushed is decoded.
        sql(&rig.database, "checkpoint");
        let messages = query_strings(
            &rig.database,
            "with message as (select xid::text, substring(data from 'content:(.*)$')::jsonb as content
                from pg_logical_slot_get_changes(current_database(), null, null) where data ~ '^message: .*prefix: backlot')
             select content ->> 'step', content ->> 'migration', content ->> 'schema', count(*) over (partition by xid)
             from message",
        );
        assert_eq!(messages, [["start/add", "01", "public", "1"], ["views", "01", "public", "1"]]);
        let dropped = "select pg_drop_replication_slot(current_database())";
        sql(&rig.database, dropped);
    }
}

#[test]
fn who_queues_behind_a_step_waits_no_longer_than_the_lock_timeout() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_lock");
        sql(&rig.database, TABLE);
        let url = rig.database.url.clone();
        let start = std::thread::scope(|scope| {
            let (reader, writer) =
                block_on(async { (connect(&url).await.unwrap(), connect(&url).await.unwrap()) });
            // A transaction that reads the table for a second and a half.
            block_on(reader.batch_execute("begin; select from public.t")).unwrap();
            block_on(writer.batch_execute("set application_name = 'writer'")).unwrap();
            let watch = Watch::start(&url);
            let start = scope.spawn(|| rig.start("01", &add_doubled(by(&["a"]))));
            let tries = "select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'backlot roll' and wait_event_type = 'Lock'";
            wait_for("the first try", Duration::from_secs(20), || {
                query_value(&rig.database, tries) == "1"
            });
            let since = Instant::now();
            while since.elapsed() < Duration::from_millis(1500) {
                block_on(writer.batch_execute("update public.t set a = a where a = 7")).unwrap();
            }
            block_on(reader.batch_execute("commit")).unwrap();
            let longest = watch.end();
            assert!(longest.ms > 0.0, "nobody waited");
            // 200 ms is the rig's limit; the rest is for a busy machine.
            assert!(longest.ms < 600.0 + longest.stall_ms, "{longest:?}");
            start.join().unwrap()
        });
        start.unwrap();
    }
}

#[test]
fn a_step_that_never_gets_its_lock_says_so_and_can_go_on_later() {
    let cluster = servers().next().unwrap();
    let mut rig = Rig::new(cluster, "roll_locked");
    sql(&rig.database, TABLE);
    rig.options.patience = Patience { attempts: 3, ..rig.options.patience };
    let holder = block_on(connect(&rig.database.url)).unwrap();
    block_on(holder.batch_execute("begin; select from public.t")).unwrap();
    let plan = add_doubled(by(&["a"]));
    let Err(RollError::Step(ExecuteError::Locked { step, attempts, .. })) = rig.start("01", &plan)
    else {
        panic!()
    };
    assert_eq!((step.as_str(), attempts), ("start/add", 3));
    block_on(holder.batch_execute("commit")).unwrap();
    rig.start("01", &plan).unwrap();
    rig.complete().unwrap();
}

#[test]
fn an_index_is_built_past_an_old_transaction() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_index");
        sql(&rig.database, TABLE);
        sql(
            &rig.database,
            "set pgroll.no_inferred_migrations = 'TRUE'; create table public.other (a int)",
        );
        let holder = block_on(connect(&rig.database.url)).unwrap();
        // An old snapshot, and a writer of the table itself.
        block_on(holder.batch_execute(
            "begin isolation level repeatable read; select from public.other; insert into public.t values (-1)",
        ))
        .unwrap();
        let build =
            index("start/index", "t_a", "create index concurrently t_a on public.t (a desc)");
        let plan = Plan { start: vec![build], ..plan() };
        std::thread::scope(|scope| {
            let start = scope.spawn(|| rig.start("01", &plan));
            let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'backlot roll' and query ~ '^create index' and wait_event_type = 'Lock'";
            wait_for("the build to wait", Duration::from_secs(20), || {
                query_value(&rig.database, waiting) == "1"
            });
            // Longer than a lock timeout, which would have ended it.
            std::thread::sleep(Duration::from_millis(600));
            block_on(holder.batch_execute("commit")).unwrap();
            start.join().unwrap().unwrap();
        });
        assert_eq!(query_value(&rig.database, NO_INVALID), "0");
        assert_eq!(
            query_value(
                &rig.database,
                "select indisvalid from pg_index where indexrelid = 'public.t_a'::regclass"
            ),
            "t"
        );
    }
}

#[test]
fn a_build_that_cannot_succeed_leaves_no_invalid_index() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_unique");
        sql(&rig.database, "create table public.t (a int); insert into public.t values (1), (1)");
        let build =
            index("start/index", "t_a", "create unique index concurrently t_a on public.t (a)");
        let plan = Plan { start: vec![build], ..plan() };
        assert!(matches!(rig.start("01", &plan), Err(RollError::RolledBack { .. })));
        assert_eq!(query_value(&rig.database, NO_INVALID), "0");
        assert_eq!(query_value(&rig.database, "select to_regclass('public.t_a') is null"), "t");
    }
}

#[test]
fn a_build_passes_by_a_partition_that_is_gone_and_by_nothing_else() {
    let cluster = servers().next().unwrap();
    let rig = Rig::new(cluster, "roll_build_gone");
    sql(&rig.database, TABLE);
    let build = |partition: Option<&str>| Step {
        mode: Mode::BuildIndex {
            index: RelationName::new("public", "gone_a"),
            partition: partition.map(|name| RelationName::new("public", name)),
        },
        ..step("validate/index", &["create index concurrently gone_a on public.gone (a)"])
    };
    let with = |build: Step| Plan { validate: vec![build], ..add_doubled(by(&["a"])) };
    for wrong in [None, Some("t")] {
        let refused = rig.start("01", &with(build(wrong)));
        assert!(matches!(refused, Err(RollError::RolledBack { .. })));
    }
    rig.start("01", &with(build(Some("gone")))).unwrap();
    rig.complete().unwrap();
}

#[test]
fn what_a_killed_build_left_is_built_again() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_half_index");
        sql(&rig.database, "create table public.t (a int); insert into public.t values (1), (1)");
        // An invalid index, and the journal of one who did not see the end of its build.
        try_sql(&rig.database, "create unique index concurrently t_a on public.t (a)").unwrap_err();
        sql(&rig.database, "delete from public.t where ctid = '(0,1)'");
        let build =
            index("start/index", "t_a", "create unique index concurrently t_a on public.t (a)");
        let plan = Plan {
            start: vec![build, step("start/end", &["select 1 / count(*) from public.permission"])],
            ..plan()
        };
        let document = serde_json::to_string(&plan).unwrap().replace('\'', "''");
        sql(
            &rig.database,
            &format!(
                "insert into pgroll.migrations (schema, name, parent, migration)
                    values ('public', '01', pgroll.latest_migration('public'), '{{\"operations\": []}}');
                 insert into pgroll.backlot_run (schema, name, phase, plan) values ('public', '01', 'starting', '{document}');
                 insert into pgroll.backlot_step (schema, name, step, is_done, is_reversible)
                    values ('public', '01', 'start/index', false, true);
                 set pgroll.no_inferred_migrations = 'TRUE'; create table public.permission as select 1"
            ),
        );
        rig.start("01", &plan).unwrap();
        assert_eq!(query_value(&rig.database, NO_INVALID), "0");
        assert_eq!(
            query_value(
                &rig.database,
                "select indisvalid from pg_index where indexrelid = 'public.t_a'::regclass"
            ),
            "t"
        );
    }
}

#[test]
fn a_script_that_refuses_a_transaction_runs_without() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_script");
        sql(&rig.database, TABLE);
        let script = |id: &str, text: &str| Step { mode: Mode::Script, ..step(id, &[text]) };
        let plan = Plan {
            start: vec![
                script("start/0", "create table a (x int); insert into a values (1)"),
                script("start/1", "create index concurrently t_a on t (a desc)"),
            ],
            ..plan()
        };
        rig.start("01", &plan).unwrap();
        assert_eq!(query_value(&rig.database, "select x from public.a"), "1");
        assert_eq!(query_value(&rig.database, "select to_regclass('public.t_a') is null"), "f");
        let journal = "select count(*) from pgroll.backlot_step where is_done";
        assert_eq!(query_value(&rig.database, journal), "2");
    }
}
