//! DDL of others: noted, never failed, never made to wait.

use std::time::Duration;

use super::rig::{Rig, add_doubled, by};
use crate::support::{
    database::{block_on, connect},
    query_strings, query_value, servers, sql,
};

const INFERRED: &str = "select count(*) from pgroll.migrations where migration_type = 'inferred'";

#[test]
fn ddl_of_others_is_an_inferred_migration() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_inferred");
        sql(&rig.database, "create table public.t (a int primary key)");
        sql(&rig.database, "alter table public.t add column x int");
        sql(&rig.database, "create table public.u (a int)");
        sql(&rig.database, "drop table public.u");
        let rows = query_strings(
            &rig.database,
            "select name ~ '^00000_initial_', done, migration #>> '{operations,0,sql,up}', resulting_schema
             from pgroll.migrations order by created_at",
        );
        let up = rows.iter().map(|row| row[2].as_str()).collect::<Vec<_>>();
        let expected = [
            "create table public.t (a int primary key)",
            "alter table public.t add column x int",
            "create table public.u (a int)",
            "drop table public.u",
        ];
        assert_eq!(up, expected);
        assert!(
            rows.iter().all(|row| row[0] == "t" && row[1] == "t" && row[3] == "{}"),
            "{rows:?}"
        );
        // The next verb takes the snapshot that pgroll would have taken.
        drop(rig.lock().unwrap());
        let snapshot =
            "select resulting_schema -> 'tables' -> 't' -> 'columns' ? 'x' from pgroll.migrations
            order by created_at desc limit 1";
        assert_eq!(query_value(&rig.database, snapshot), "t");
        // And with a migration of a file, the names follow it.
        rig.start("01", &add_doubled(by(&["a"]))).unwrap();
        rig.complete().unwrap();
        sql(&rig.database, "create table public.v (a int)");
        let named =
            "select count(*) from pgroll.migrations where name ~ '^01_20' and parent = '01'";
        assert_eq!(query_value(&rig.database, named), "1");
    }
}

#[test]
fn what_is_no_change_of_shape_is_not_noted() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_not_inferred");
        sql(
            &rig.database,
            "set pgroll.no_inferred_migrations = 'TRUE'; create table public.t (a int);
             create materialized view public.m as select a from public.t",
        );
        sql(
            &rig.database,
            "create temp table x (a int); alter table x add column b int; drop table x",
        );
        sql(&rig.database, "comment on table public.t is 'x'");
        sql(&rig.database, "refresh materialized view public.m");
        sql(&rig.database, "create index concurrently i on public.t (a)");
        sql(&rig.database, "drop index concurrently public.i");
        sql(&rig.database, "grant select on public.t to public");
        assert_eq!(query_value(&rig.database, INFERRED), "0");
        sql(&rig.database, "create index i on public.t (a)");
        assert_eq!(query_value(&rig.database, INFERRED), "1");
    }
}

#[test]
fn nobody_waits_for_and_nobody_fails_by_the_ddl_of_another() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_concurrent");
        sql(&rig.database, "create table public.first (a int)");
        let url = rig.database.url.clone();
        block_on(async {
            let (one, two) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
            one.batch_execute("begin; create table public.one (a int)").await.unwrap();
            // The other's transaction does not end before.
            let limit = Duration::from_mins(1);
            let created = two.batch_execute("create table public.two (a int)");
            tokio::time::timeout(limit, created).await.expect("no wait for the other").unwrap();
            one.batch_execute("commit").await.unwrap();
            // Not even one that cannot see the other's row.
            let begin = "begin isolation level repeatable read; select from public.first";
            one.batch_execute(begin).await.unwrap();
            two.batch_execute("create table public.three (a int)").await.unwrap();
            one.batch_execute("create table public.four (a int); commit").await.unwrap();
        });
        // Who was passed over is in the history with the next verb.
        drop(rig.lock().unwrap());
        let up = "select string_agg(migration #>> '{operations,0,sql,up}', '; ' order by migration #>> '{operations,0,sql,up}')
            from pgroll.migrations where migration_type = 'inferred'";
        let expected = "create table public.first (a int); create table public.four (a int); commit; \
             begin; create table public.one (a int); create table public.three (a int); create table public.two (a int)";
        let mut found =
            query_value(&rig.database, up).split("; ").map(str::to_owned).collect::<Vec<_>>();
        let mut expected = expected.split("; ").map(str::to_owned).collect::<Vec<_>>();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(query_value(&rig.database, "select count(*) from pgroll.backlot_captured"), "0");
    }
}

#[test]
fn ddl_of_others_goes_through_where_the_state_is_broken() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_broken");
        sql(&rig.database, "drop table pgroll.migrations cascade");
        sql(&rig.database, "create table public.t (a int); drop table public.t");
    }
}
