//! Backfills: all rows, nobody's triggers, nobody's later value, and on from where it stopped.

use backlot::{
    catalog::RelationName,
    migrate::plan::{Key, Plan},
    roll::{Backfilling, RollError},
};
use std::time::Duration;

use super::rig::{Rig, add_doubled, by, doubling};
use crate::support::{
    Cluster,
    database::{block_on, connect},
    query_strings, query_value, servers, sql, wait_for,
};

const WRONG: &str = "select count(*) from public.t where b is distinct from a * 2 or todo";

fn fills(name: &str, make: &str, key: &Key) {
    for cluster in servers() {
        let rig = Rig::new(cluster, name);
        sql(&rig.database, make);
        rig.start("01", &add_doubled(key.clone())).unwrap();
        assert_eq!(query_value(&rig.database, WRONG), "0");
    }
}

#[test]
fn every_kind_of_key_is_walked() {
    let rows = "insert into public.t (a) select generate_series(1, 5000)";
    fills("roll_key", &format!("create table public.t (a int primary key); {rows}"), &by(&["a"]));
    fills(
        "roll_always",
        &format!(
            "create table public.t (id bigint generated always as identity primary key, a int); {rows}"
        ),
        &by(&["id"]),
    );
    fills("roll_ctid", &format!("create table public.t (a int); {rows}"), &Key::Ctid);
    fills(
        "roll_composite",
        "create table public.t (a int, \"K y\" text, at timestamptz, primary key (at, \"K y\"));
         insert into public.t select n, case n % 3 when 0 then 'it''s' when 1 then E'b\\\\s' else 'ä' end || n % 7,
            '2024-01-01'::timestamptz + (n / 21) * interval '1.5 s' from generate_series(1, 5000) n
         on conflict do nothing",
        &by(&["at", "K y"]),
    );
    fills(
        "roll_bytea",
        "create table public.t (k bytea primary key, a int); insert into public.t select sha256(n::text::bytea), n from generate_series(1, 3000) n",
        &by(&["k"]),
    );
    fills("roll_nothing", "create table public.t (a int primary key)", &by(&["a"]));
    fills("roll_no_rows", "create table public.t (a int)", &Key::Ctid);
}

/// Table `t` of the leaves `t1` and `t2`, filled by a plan that knows of these leaves.
fn filled_with_leaves(cluster: &'static Cluster, name: &str, planned: [&str; 2]) -> Rig {
    let rig = Rig::new(cluster, name);
    sql(
        &rig.database,
        "create table public.t (a int primary key) partition by range (a);
         create table public.t1 partition of public.t for values from (0) to (3000);
         create table public.t2 partition of public.t default;
         insert into public.t select generate_series(1, 5000)",
    );
    let mut plan = add_doubled(by(&["a"]));
    plan.backfill[0].partitions = planned.map(|name| RelationName::new("public", name)).into();
    rig.start("01", &plan).unwrap();
    assert_eq!(query_value(&rig.database, WRONG), "0");
    rig
}

#[test]
fn leaves_of_a_partitioned_table_are_walked() {
    for cluster in servers() {
        let rig = filled_with_leaves(cluster, "roll_leaves", ["t1", "t2"]);
        let journal = "select relation, row_count, is_done from pgroll.backlot_backfill order by 1";
        let expected = [["public.t1", "2999", "t"], ["public.t2", "2001", "t"]];
        assert_eq!(query_strings(&rig.database, journal), expected);
    }
}

#[test]
fn partitions_come_and_go_after_the_plan_was_made() {
    for cluster in servers() {
        filled_with_leaves(cluster, "roll_new_leaves", ["t0", "t1"]);
    }
}

#[test]
fn no_trigger_of_the_users_fires() {
    let cluster = servers().next().unwrap();
    let rig = Rig::new(cluster, "roll_triggers");
    sql(
        &rig.database,
        "create table public.t (a int primary key); insert into public.t select generate_series(1, 1000);
         create table public.audit (a int);
         create function public.note() returns trigger language plpgsql as
            $$ begin insert into public.audit values (new.a); return new; end $$;
         create trigger note before update on public.t for each row execute function public.note()",
    );
    rig.start("01", &add_doubled(by(&["a"]))).unwrap();
    assert_eq!(query_value(&rig.database, WRONG), "0");
    assert_eq!(query_value(&rig.database, "select count(*) from public.audit"), "0");
}

#[test]
fn row_security_forced_on_the_owner_hides_nothing() {
    for cluster in servers() {
        let mut rig = Rig::new(cluster, "roll_rls");
        let role = format!("{}_owner", rig.database.name);
        sql(
            &rig.database,
            &format!(
                "create role \"{role}\" login; grant create on schema public to \"{role}\"; grant create on database \"{}\" to \"{role}\";
                 grant all on schema pgroll to \"{role}\"; grant all on all tables in schema pgroll to \"{role}\";
                 grant usage on all sequences in schema pgroll to \"{role}\";
                 set role \"{role}\";
                 create table public.t (a int primary key); insert into public.t select generate_series(1, 1000);
                 alter table public.t enable row level security; alter table public.t force row level security;
                 create policy few on public.t using (a < 10)",
                rig.database.name
            ),
        );
        rig.options.server.user.clone_from(&role);
        rig.start("01", &add_doubled(by(&["a"]))).unwrap();
        assert_eq!(query_value(&rig.database, WRONG), "0");
        let policies = "select string_agg(polname, ',') from pg_policy";
        assert_eq!(query_value(&rig.database, policies), "few");
        rig.rollback().unwrap();

        sql(&rig.database, "create policy wall on public.t as restrictive using (a < 5)");
        let Err(RollError::RolledBack { source, .. }) = rig.start("01", &add_doubled(by(&["a"])))
        else {
            panic!()
        };
        assert!(matches!(*source, RollError::Unreachable { .. }));
    }
}

#[test]
fn rows_that_move_out_of_the_way_are_found() {
    let cluster = servers().next().unwrap();
    let mut rig = Rig::new(cluster, "roll_stragglers");
    // No trigger fills b here: what moves while the walk is on stays to do.
    sql(
        &rig.database,
        "create table public.t (a int primary key); insert into public.t select generate_series(1000, 3000)",
    );
    rig.options.backfill =
        Backfilling { batch_rows: 100, delay: Duration::from_millis(5), ..Backfilling::default() };
    let plan = add_doubled(by(&["a"]));
    std::thread::scope(|scope| {
        let start = scope.spawn(|| rig.start("01", &plan));
        let begun = "select count(*) from pgroll.backlot_backfill where row_count > 0";
        wait_for("the first rows", Duration::from_secs(20), || {
            query_value(&rig.database, begun) == "1"
        });
        sql(&rig.database, "update public.t set a = 1 where a = 3000 and todo");
        start.join().unwrap().unwrap();
    });
    assert_eq!(query_value(&rig.database, "select todo, b from public.t where a = 1"), "f");
    assert_eq!(query_value(&rig.database, WRONG), "0");
}

#[test]
fn a_row_that_is_locked_is_waited_for() {
    let cluster = servers().next().unwrap();
    let rig = Rig::new(cluster, "roll_row_lock");
    sql(
        &rig.database,
        "create table public.t (a int primary key); insert into public.t select generate_series(1, 3000)",
    );
    sql(
        &rig.database,
        "set pgroll.no_inferred_migrations = 'TRUE'; alter table public.t add column b int, add column todo boolean default true",
    );
    let plan = Plan { start: Vec::new(), ..add_doubled(by(&["a"])) };
    let holder = block_on(connect(&rig.database.url)).unwrap();
    block_on(holder.batch_execute("begin; update public.t set a = a where a = 1500")).unwrap();
    std::thread::scope(|scope| {
        let start = scope.spawn(|| rig.start("01", &plan));
        let waits = "select count(*) from pg_stat_activity where datname = current_database()
            and application_name = 'backlot roll' and query ~ '^update' and wait_event_type = 'Lock'";
        wait_for("the backfill to wait", Duration::from_secs(20), || {
            query_value(&rig.database, waits) == "1"
        });
        std::thread::sleep(Duration::from_millis(700));
        block_on(holder.batch_execute("commit")).unwrap();
        start.join().unwrap().unwrap();
    });
    assert_eq!(query_value(&rig.database, WRONG), "0");
}

#[test]
fn an_interrupted_backfill_goes_on_where_it_stopped() {
    for cluster in servers() {
        for (name, key) in [("roll_resume_key", by(&["a"])), ("roll_resume_ctid", Key::Ctid)] {
            let mut rig = Rig::new(cluster, name);
            sql(
                &rig.database,
                "create table public.t (a int primary key); insert into public.t select generate_series(1, 20000)",
            );
            rig.options.backfill = Backfilling {
                batch_rows: 200,
                delay: Duration::from_millis(10),
                ..Backfilling::default()
            };
            let plan = add_doubled(key);
            let done = "select coalesce(sum(row_count), 0) from pgroll.backlot_backfill";
            std::thread::scope(|scope| {
                let start = scope.spawn(|| rig.start("01", &plan));
                wait_for("some rows", Duration::from_secs(20), || {
                    query_value(&rig.database, done).parse::<u64>().unwrap() > 1000
                });
                // As if the server had thrown both sessions out.
                sql(
                    &rig.database,
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'backlot roll' and datname = current_database()",
                );
                let Err(error) = start.join().unwrap() else {
                    panic!("it went on without its lock")
                };
                assert!(!matches!(error, RollError::RolledBack { .. }), "{error}");
            });
            rig.options.backfill = Backfilling::default();
            // From here on a row that is written twice shows.
            sql(
                &rig.database,
                "set pgroll.no_inferred_migrations = 'TRUE'; update public.t set b = -1 where b is not null",
            );
            rig.start("01", &plan).unwrap();
            let again =
                "select count(*) from public.t where b <> -1 and b <> a * 2 or b is null or todo";
            assert_eq!(query_value(&rig.database, again), "0");
            assert_eq!(query_value(&rig.database, done), "20000");
        }
    }
}

#[test]
fn values_written_meanwhile_are_kept() {
    let cluster = servers().next().unwrap();
    let rig = Rig::new(cluster, "roll_kept");
    sql(
        &rig.database,
        "create table public.t (a int primary key, b int, todo boolean default true); insert into public.t (a) select generate_series(1, 100);
         update public.t set b = -7, todo = false where a = 50",
    );
    let mut plan = add_doubled(by(&["a"]));
    plan.start.clear();
    plan.backfill = vec![doubling(by(&["a"]))];
    rig.start("01", &plan).unwrap();
    assert_eq!(query_value(&rig.database, "select b from public.t where a = 50"), "-7");
    assert_eq!(query_value(&rig.database, "select count(*) from public.t where b = a * 2"), "99");
}

#[test]
fn ranges_follow_the_order_of_the_key_and_not_of_its_text() {
    for cluster in servers() {
        let mut rig = Rig::new(cluster, "roll_order");
        sql(
            &rig.database,
            "create table public.t (a int primary key); insert into public.t select generate_series(1, 2000);
             create schema watch; create table watch.ranges (rows bigint, position text[]);
             create function watch.note() returns trigger language plpgsql as $$
                begin insert into watch.ranges values (new.row_count - old.row_count, new.position); return new; end $$;
             create trigger note before update on pgroll.backlot_backfill for each row execute function watch.note();
             -- The session of the backfill silences all others.
             alter table pgroll.backlot_backfill enable always trigger note",
        );
        rig.options.backfill = Backfilling { batch_rows: 100, ..Backfilling::default() };
        rig.start("01", &add_doubled(by(&["a"]))).unwrap();
        // By the text of the key, the first range would end at 1089 and hold as many rows.
        assert_eq!(query_value(&rig.database, "select max(rows) from watch.ranges"), "100");
        let walked = "select array_agg(position[1]::int) = array_agg(position[1]::int order by position[1]::int)
            from watch.ranges where position <> '{}'";
        assert_eq!(query_value(&rig.database, walked), "t");
    }
}

const COUNTS_STATEMENTS: &str = "create schema watch; create table watch.statements (pid int); create sequence watch.runs;
    create function watch.note() returns trigger language plpgsql as
        $$ begin perform nextval('watch.runs'); insert into watch.statements values (pg_backend_pid()); return null; end $$;
    create trigger note after update on public.t for each statement execute function watch.note();
    alter table public.t enable always trigger note";

#[test]
fn a_table_whose_triggers_fire_in_any_case_is_filled_over_one_session() {
    for cluster in servers() {
        for (name, mend, pids) in [
            ("roll_insistent", "", "1"),
            ("roll_ordinary", "alter table public.t enable trigger note;", "0"),
        ] {
            let rig = Rig::new(cluster, name);
            sql(
                &rig.database,
                &format!(
                    "create table public.t (a int primary key); insert into public.t select generate_series(1, 60000);
                     analyze public.t; {COUNTS_STATEMENTS}; {mend}"
                ),
            );
            rig.start("01", &add_doubled(by(&["a"]))).unwrap();
            assert_eq!(query_value(&rig.database, WRONG), "0");
            let sessions = "select count(distinct pid) from watch.statements";
            assert_eq!(query_value(&rig.database, sessions), pids);
        }
    }
}

#[test]
fn a_range_waits_for_its_note_however_long() {
    let cluster = servers().next().unwrap();
    let rig = Rig::new(cluster, "roll_note");
    sql(
        &rig.database,
        &format!(
            "create table public.t (a int primary key, b int, todo boolean default true);
             insert into public.t (a) select generate_series(1, 3000); {COUNTS_STATEMENTS}"
        ),
    );
    let plan = Plan { start: Vec::new(), ..add_doubled(by(&["a"])) };
    let [rows, note] = [(); 2].map(|()| block_on(connect(&rig.database.url)).unwrap());
    block_on(rows.batch_execute("begin; update public.t set a = a where a = 3000")).unwrap();
    std::thread::scope(|scope| {
        let start = scope.spawn(|| rig.start("01", &plan));
        let waits = |what: &str| {
            let query = format!(
                "select count(*) from pg_stat_activity where datname = current_database()
                 and application_name = 'backlot roll' and query ~ '^update {what}' and wait_event_type = 'Lock'"
            );
            wait_for("the backfill to wait", Duration::from_secs(20), || {
                query_value(&rig.database, &query) == "1"
            });
        };
        waits("\"public\"");
        block_on(note.batch_execute("begin; update pgroll.backlot_backfill set is_done = is_done"))
            .unwrap();
        let runs = "select last_value from watch.runs";
        let before = query_value(&rig.database, runs);
        block_on(rows.batch_execute("rollback")).unwrap();
        wait_for("a range", Duration::from_secs(20), || query_value(&rig.database, runs) != before);
        // Five times the limit for a lock.
        std::thread::sleep(Duration::from_secs(1));
        block_on(note.batch_execute("rollback")).unwrap();
        start.join().unwrap().unwrap();
    });
    assert_eq!(query_value(&rig.database, WRONG), "0");
    // Only the holder's own.
    let undone = "select (select last_value from watch.runs) - count(*) from watch.statements";
    assert_eq!(query_value(&rig.database, undone), "1");
}

#[test]
fn the_session_of_the_lock_outlives_a_server_that_ends_idle_ones() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_idle");
        sql(
            &rig.database,
            &format!(
                "create table public.t (a int primary key); alter database \"{}\" set idle_session_timeout = '200ms'",
                rig.database.name
            ),
        );
        let mut plan = add_doubled(by(&["a"]));
        plan.views.insert(0, super::rig::step("views/slow", &["select pg_sleep(0.8)"]));
        rig.start("01", &plan).unwrap();
    }
}

#[test]
fn a_backfill_ends_with_the_lock() {
    let cluster = servers().next().unwrap();
    let mut rig = Rig::new(cluster, "roll_lock_lost");
    rig.options.backfill =
        Backfilling { batch_rows: 100, delay: Duration::from_millis(50), ..Backfilling::default() };
    sql(
        &rig.database,
        "create table public.t (a int primary key); insert into public.t select generate_series(1, 20000)",
    );
    let plan = add_doubled(by(&["a"]));
    std::thread::scope(|scope| {
        let start = scope.spawn(|| rig.start("01", &plan));
        let rows = "select coalesce(max(row_count), 0) from pgroll.backlot_backfill";
        wait_for("some rows", Duration::from_secs(20), || query_value(&rig.database, rows) != "0");
        sql(
            &rig.database,
            "select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a using (pid)
             where l.locktype = 'advisory' and a.application_name = 'backlot roll' and a.datname = current_database()",
        );
        let Err(RollError::LockLost { .. }) = start.join().unwrap() else {
            panic!("it went on without its lock")
        };
        let left = query_value(&rig.database, "select count(*) from public.t where todo");
        assert_ne!(left, "0");
    });
    rig.options.backfill = Backfilling::default();
    rig.start("01", &plan).unwrap();
    assert_eq!(query_value(&rig.database, WRONG), "0");
}
