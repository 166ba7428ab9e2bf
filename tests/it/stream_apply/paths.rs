//! Every way in which a change reaches the target ends in what the source has.

use backlot::sink::apply::{OnError, Route};

use super::check;
use super::rig::Rig;
use crate::support::{query_value, some_servers, sql};

#[test]
fn inserts_updates_and_deletes_arrive_with_their_checkpoint() {
    for cluster in some_servers() {
        let ddl = "create table t (id bigint primary key, v text, n numeric)";
        let mut rig = Rig::new(cluster, ddl, true);
        let mut applier = rig.applier(OnError::Stop);
        sql(
            &rig.source,
            "insert into t select g, 'v' || g, g / 7.0 from generate_series(1, 1000) g; \
             update t set v = null where id % 3 = 0; delete from t where id % 5 = 0",
        );
        let end = rig.follow(&mut applier, &Route::Fast).end_lsn.unwrap();
        rig.assert_same();
        let checkpoint = "select end_lsn || ' ' || transaction_count || ' ' || change_count || ' ' || \
             (byte_count > 1000) || ' ' || (commit_time > '2020-01-01') from backlot.checkpoint";
        assert_eq!(applier.checkpoint(), end);
        assert_eq!(query_value(&rig.target, checkpoint), format!("{end} 1 1533 true true"));
    }
}

#[test]
fn types_whose_values_need_care() {
    check(
        "create extension citext; create type color as enum ('red', 'blue'); \
         create type pair as (a int, b text); create domain short as varchar(5) check (value <> 'bad'); \
         create domain ints as int[]; \
         create table t (id int generated always as identity, e citext, c color, p pair, d short, a int[], \
             ca color[], di ints, j json, pt point, b box, n numeric(10,2), ch char(4), by bytea, \
             iv interval, r int4range, g int generated always as (7) stored, ba bit(5), primary key (e))",
        &[
            "insert into t (e, c, p, d, a, ca, di, j, pt, b, n, ch, by, iv, r, ba) \
             select 'User' || g, 'red', row (g, 'a,\"b\\c' || chr(10))::pair, 'x' || g % 100, array[[g, null], [1, 2]], \
                 array['red', null]::color[], '{1,2}', '{\"a\": 1, \"a\": 2}', point(g, -0.0), \
                 box(point(0, 0), point(g, 1)), g / 3.0, 'ab', '\\xdeadbeef', '1 mon 2 days', int4range(g, g + 5), '10101' \
             from generate_series(1, 120) g; insert into t (e, d) values ('\\.', E'\\t\\\\'), ('', ''), ('a\"b{}', 'NULL')",
            "update t set c = 'blue', p = null, a = '{}', d = 'y' where e like 'user1%'",
            "update t set e = upper(e::text) where e = 'user5'; update t set e = 'new' || e where e = 'user7'",
            "delete from t where e = 'USER5' or e = 'user9'",
        ],
    );
}

/// No arrays and composites here: these go as COPY and as arrays of values.
#[test]
fn scalars_travel_in_arrays_and_copies() {
    check(
        "create extension citext; create extension hstore; create type color as enum ('red', 'b\"l,u{}e'); \
         create domain short as varchar(9) check (value <> 'bad'); \
         create table t (id int primary key, e citext, c color, d short, j json, jb jsonb, h hstore, pt point, \
             n numeric(10,2), ch char(4), by bytea, iv interval, r int4range, ba bit(5), vb varbit(9), f float8, \
             ts timestamptz(3), ti timetz, u uuid, ip inet, mo money, l pg_lsn, tv tsvector, na name, x \"char\")",
        &[
            "insert into t select g, 'E' || g, 'b\"l,u{}e', E'a\\\\\\t\"', '{\"a\": 1}', '[null, 1]', 'a=>NULL', point(g, 1), \
                 g / 3.0, 'ab', '\\xdead00', '-1 mon 2 days 03:00', '[1,5)', '10101', '1', 'NaN', '2020-01-01 10:00:00.1234', \
                 '10:00+05', gen_random_uuid(), '::1/64', 12.5, '0/1', 'a:1 b', 'n', 'x' from generate_series(1, 150) g",
            "insert into t (id, e) select g, null from generate_series(1001, 1020) g",
            "update t set c = 'red', d = null, j = '{}', h = '\"b\"=>\"\\\"\"', pt = null, f = 'infinity', ba = '00001', \
                 ch = 'NULL', e = '' where id % 2 = 0",
            "delete from t where id % 3 = 0",
            "update t set e = null, na = null",
        ],
    );
}

#[test]
fn rows_that_change_again_and_again_come_to_their_last_state() {
    check(
        "create table t (id int, part text, v int, w text, primary key (part, id))",
        &[
            "insert into t select g, 'p', 0, 'w' from generate_series(1, 50) g; \
             update t set v = v + 1; update t set v = v + 1 where id % 2 = 0; \
             delete from t where id % 5 = 0; insert into t select g, 'p', 9, 'again' from generate_series(5, 50, 10) g; \
             update t set w = 'last' where v = 9; delete from t where id = 15; insert into t values (15, 'p', 1, 'x')",
            "delete from t where id < 20; insert into t select g, 'p', -g, null from generate_series(1, 19) g; \
             delete from t where id = 7; update t set v = 5 where id = 8",
        ],
    );
}

#[test]
fn key_changes_keep_values_that_were_not_sent() {
    let big = "(select string_agg(md5(g::text), '') from generate_series(1, 400) g)";
    check(
        "create table t (id int primary key, big text, other text, n int default 0); alter table t alter big set storage external",
        &[
            &format!("insert into t select g, {big} || g, {big}, 0 from generate_series(1, 10) g"),
            "update t set id = id + 100",
            "update t set n = n + 1; update t set id = id + 100, other = 'x' where id < 105; update t set n = n + 1",
            // Over one row of the same transaction.
            &format!(
                "insert into t select 1, {big}, 'o', 0; update t set n = 1 where id = 1; update t set other = {big} where id = 1; \
                 update t set n = 2 where id = 1; update t set big = 'small' where id = 1; update t set n = 3 where id = 1"
            ),
            "delete from t where id = 1; update t set id = 1 where id = 205; update t set n = 7 where id = 1",
        ],
    );
}

#[test]
fn identity_always_columns_take_the_values_of_the_source() {
    check(
        "create table k (id int generated always as identity primary key, v text); \
         create table n (id int primary key, serial int generated always as identity, v text); \
         create table o (id int generated always as identity primary key)",
        &[
            "insert into k (v) select 'a' from generate_series(1, 120); insert into n (id, v) select g, 'a' from generate_series(1, 9) g; \
             insert into o default values; insert into o default values",
            "update k set v = 'b' where id % 2 = 0; update n set v = 'c'; update o set id = default where id = 1",
            "update k set id = default where id = 5; update n set serial = default where id in (2, 4); \
             update n set v = 'd', serial = default where id = 5",
            "delete from k where id < 50; delete from n where id = 2",
        ],
    );
}

#[test]
fn full_identity_without_a_key_changes_one_of_equal_rows() {
    check(
        "create table t (a int, b text, j json, p point, x numeric); alter table t replica identity full; create index on t (a)",
        &[
            "insert into t select 1, null, '{\"a\": 1}', point(1, 2), 1.0 from generate_series(1, 6); \
             insert into t select null, 'b', null, null, 1.00 from generate_series(1, 4); \
             insert into t select g, 'x', '{}', null, g from generate_series(1, 200) g",
            "update t set b = 'one' where ctid = (select min(ctid) from t where a = 1)",
            "delete from t where ctid in (select ctid from t where a is null limit 2); update t set j = '[1]' where a is null",
            "update t set a = 2 where a = 1; delete from t where a = 2",
            "update t set b = null where a % 7 = 0; delete from t where a % 7 = 0",
        ],
    );
}

#[test]
fn full_identity_uses_the_primary_key_of_the_target() {
    check(
        "create table t (id int primary key, j json, v float8); alter table t replica identity full",
        &[
            "insert into t select g, '{}', -0.0 from generate_series(1, 20) g",
            "update t set v = 1 where id < 10; update t set id = id + 100 where id > 15; delete from t where id = 3",
        ],
    );
}

#[test]
fn an_index_as_identity_and_text_compared_keys() {
    check(
        "create extension citext; \
         create table t (a citext not null, b varchar(20) not null, c char(3) not null, v text); \
         create unique index t_identity on t (b, a, c); alter table t replica identity using index t_identity; \
         create table d (k numeric primary key, v text); \
         create table ar (k int[] primary key, v text)",
        &[
            "insert into t select 'A' || g, 'b' || g, 'c', '1' from generate_series(1, 20) g; \
             insert into d select g / 2.0, 'x' from generate_series(1, 20) g; insert into ar select array[g, null], 'x' from generate_series(1, 20) g",
            "update t set v = '2'; update t set a = lower(a::text) where b = 'b3'; delete from t where b = 'b4'; \
             update d set v = 'y' where k > 4; update d set k = 1.00 where k = 1.0; delete from d where k = 2; \
             update ar set v = 'y'; delete from ar where k[1] < 5",
            "update t set v = '3' where a = 'a3'; update d set v = 'z' where k = 1",
        ],
    );
}

#[test]
fn truncate_of_several_tables_is_one_statement() {
    check(
        "create table parent (id int generated by default as identity primary key, v text); \
         create table child (id int primary key, parent int references parent); create table lone (id int primary key)",
        &[
            "insert into parent (v) values ('a'), ('b'); insert into child values (1, 1), (2, 2); insert into lone values (1)",
            "insert into parent (v) values ('c'); truncate parent, child restart identity; insert into parent (v) values ('d'); \
             insert into child values (9, 1); insert into lone values (2)",
            "truncate parent cascade; truncate lone; insert into lone values (1)",
        ],
    );
}

#[test]
fn partitions_and_inheritance_children_are_written_by_their_own_names() {
    check(
        "create table p (id int, k int, v text, primary key (id, k)) partition by list (k); \
         create table p1 partition of p for values in (1); create table p2 partition of p for values in (2); \
         create table base (id int primary key, v text); create table derived (primary key (id)) inherits (base)",
        &[
            "insert into p select g, 1 + g % 2, 'x' from generate_series(1, 300) g; insert into base values (1, 'b'); insert into derived values (1, 'd')",
            "update p set k = 3 - k where id % 3 = 0; update p set v = 'y'; update only base set v = 'b2'; delete from derived",
            "insert into derived values (1, 'again'); delete from only base; truncate p1",
        ],
    );
}
