//! Every operation: start, rollback, start again, complete, with what both versions see.

use super::run::{Roll, joined};
use crate::support::{Cluster, servers};

const SCHEMA: &str =
    "create table users (id int primary key, name text, email text not null, age int default 18);
    insert into users select at, 'n' || at, 'e' || at, at from generate_series(1, 3) at;
    create table orders (id serial primary key, user_id int not null, total int);
    insert into orders (user_id, total) values (1, 10), (2, 20);
    create index orders_total on orders (total);
    alter table orders add constraint total_positive check (total > 0);
    alter table orders add constraint user_fk foreign key (user_id) references users (id)";

/// Runs start, rollback, start, `between`, complete; nothing may be left behind.
fn check_cycle(operations: &str, between: impl Fn(&Roll), after: impl Fn(&Roll)) {
    for cluster in servers() {
        check_on(cluster, operations, &between, &after);
    }
}

fn check_on(
    cluster: &'static Cluster,
    operations: &str,
    between: &impl Fn(&Roll),
    after: &impl Fn(&Roll),
) {
    let mut roll = Roll::new(cluster, SCHEMA);
    let before = roll.model();
    roll.start("v1", operations);
    roll.rollback();
    assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new(), "after rollback");
    let mut back = roll.model().detail;
    for (name, table) in &mut back.tables {
        let was = &before.detail.tables[name];
        (table.size_bytes, table.row_estimate) = (was.size_bytes, was.row_estimate);
        // Attribute numbers are not given back.
        for (column, was) in table.columns.iter_mut().zip(&was.columns) {
            column.number = was.number;
        }
    }
    assert_eq!(format!("{:#?}", back.tables), format!("{:#?}", before.detail.tables));
    roll.start("v1", operations);
    between(&roll);
    roll.complete();
    assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new(), "after complete");
    assert_eq!(roll.rows("select 1 from pg_namespace where nspname = 'public_v0'").len(), 0);
    after(&roll);
}

fn seen(roll: &Roll, version: &str, query: &str) -> String {
    joined(&roll.as_version(version, query))
}

#[test]
fn create_table() {
    check_cycle(
        "  - create_table:
      name: Items
      comment: things
      columns:
        - {name: id, type: bigint, pk: true, generated: {identity: {user_specified_values: BY DEFAULT}}}
        - {name: code, type: varchar(10), unique: true, comment: its code, check: {name: code_len, constraint: length(code) > 2}}
        - {name: owner, type: int, nullable: true, references: {name: owner_fk, table: users, column: id, on_delete: CASCADE, deferrable: true}}
        - {name: doubled, type: int, nullable: true, generated: {expression: owner * 2}}
        - {name: at, type: timestamptz, default: now()}
        - {name: state, type: text, default: \"'open'\"}
      constraints:
        - {name: one_each, type: unique, columns: [owner, state], nulls_not_distinct: false, deferrable: true}
        - {name: no_overlap, type: exclude, exclude: {index_method: btree, elements: code WITH =}}
",
        |roll| {
            roll.as_version("v1", "insert into \"Items\" (code, owner) values ('abc', 1)");
            assert_eq!(seen(roll, "v1", "select id, code, owner, doubled, state from \"Items\""), "1|abc|1|2|open");
            assert_eq!(roll.refused("v1", "insert into \"Items\" (code, owner) values ('ab', 1)"), "23514");
            assert_eq!(roll.refused("v0", "select * from \"Items\""), "42P01");
        },
        |roll| assert_eq!(seen(roll, "v1", "select count(*) from \"Items\""), "1"),
    );
}

#[test]
fn drop_table_keeps_the_old_version() {
    check_cycle(
        "  - drop_table: {name: orders}\n",
        |roll| {
            assert_eq!(seen(roll, "v0", "select count(*) from orders"), "2");
            roll.as_version("v0", "insert into orders (user_id, total) values (1, 5)");
            assert_eq!(roll.refused("v1", "select * from orders"), "42P01");
        },
        |roll| assert_eq!(roll.rows("select to_regclass('orders')"), [["∅"]]),
    );
}

#[test]
fn drop_table_and_create_another_of_its_name() {
    check_cycle(
        "  - drop_table: {name: orders}\n  - create_table: {name: orders, columns: [{name: key, type: text, pk: true}]}\n",
        |roll| {
            assert_eq!(seen(roll, "v0", "select count(total) from orders"), "2");
            roll.as_version("v1", "insert into orders values ('x')");
        },
        |roll| assert_eq!(seen(roll, "v1", "select * from orders"), "x"),
    );
}

#[test]
fn rename_table_column_and_constraint() {
    check_cycle(
        "  - rename_table: {from: orders, to: purchases}
  - rename_column: {table: purchases, from: total, to: amount}
  - rename_constraint: {table: purchases, from: total_positive, to: amount_positive}
",
        |roll| {
            assert_eq!(seen(roll, "v1", "select amount from purchases order by 1"), "10\n20");
            roll.as_version("v1", "insert into purchases (user_id, amount) values (1, 7)");
            assert_eq!(seen(roll, "v0", "select total from orders order by 1"), "7\n10\n20");
        },
        |roll| {
            assert_eq!(seen(roll, "v1", "select amount from purchases order by 1"), "7\n10\n20");
            assert_eq!(roll.rows("select amount from public.purchases where id = 1"), [["10"]]);
            let names = "select conname from pg_constraint where conname like '%positive'";
            assert_eq!(roll.rows(names), [["amount_positive"]]);
        },
    );
}

#[test]
fn two_columns_change_names() {
    check_cycle(
        "  - rename_column: {table: users, from: name, to: spare}
  - rename_column: {table: users, from: email, to: name}
  - rename_column: {table: users, from: spare, to: email}
",
        |roll| assert_eq!(seen(roll, "v1", "select name, email from users where id = 1"), "e1|n1"),
        |roll| {
            assert_eq!(
                roll.rows("select name, email from public.users where id = 1"),
                [["e1", "n1"]]
            );
        },
    );
}

#[test]
fn add_column_with_everything() {
    check_cycle(
        "  - add_column: {table: users, column: {name: Rank, type: int, default: '5', comment: rank, check: {name: rank_pos, constraint: '\"Rank\" > 0'}}}
  - add_column: {table: users, column: {name: upper, type: text, unique: true}, up: upper(email)}
  - add_column: {table: users, column: {name: token, type: uuid, default: gen_random_uuid()}, up: gen_random_uuid()}
  - add_column: {table: users, column: {name: number, type: serial}}
  - add_column: {table: users, column: {name: boss, type: int, nullable: true, references: {name: boss_fk, table: users, column: id}}, up: 'NULL'}
",
        |roll| {
            assert_eq!(seen(roll, "v1", "select \"Rank\", upper, token is not null, number, boss from users order by id"),
                "5|E1|t|1|∅\n5|E2|t|2|∅\n5|E3|t|3|∅");
            roll.as_version("v0", "insert into users (id, email) values (9, 'e9')");
            assert_eq!(seen(roll, "v1", "select \"Rank\", upper, token is not null, number is not null from users where id = 9"), "5|E9|t|t");
            assert_eq!(roll.refused("v0", "insert into users (id, email) values (10, 'E9')"), "23505");
            assert_eq!(roll.refused("v1", "insert into users (id, email, upper, \"Rank\") values (10, 'x', 'x', -1)"), "23514");
            roll.as_version("v1", "insert into users (id, email, upper) values (11, 'x', 'mine')");
            assert_eq!(seen(roll, "v1", "select upper from users where id = 11"), "mine");
        },
        |roll| {
            assert_eq!(roll.refused("v1", "insert into users (id, email) values (12, 'x')"), "23502");
            roll.as_version("v1", "insert into users (id, email, upper) values (12, 'x', 'U')");
            assert_eq!(seen(roll, "v1", "select \"Rank\", token is not null, number > 3 from users where id = 12"), "5|t|t");
            assert_eq!(roll.refused("v1", "insert into users (id, email, upper, boss) values (13, 'x', 'V', 99)"), "23503");
            let names = "select conname from pg_constraint where conrelid = 'public.users'::regclass and contype <> 'n' order by 1";
            assert_eq!(joined(&roll.rows(names)), "boss_fk\nrank_pos\nusers_pkey\nusers_upper_key");
            assert_eq!(roll.rows("select pg_get_serial_sequence('users', 'number')"), [["public.users_number_seq"]]);
        },
    );
}

#[test]
fn drop_column_with_a_value_for_the_old_version() {
    check_cycle(
        "  - drop_column: {table: users, column: email, down: \"name || '@x'\"}\n",
        |roll| {
            roll.as_version("v1", "insert into users (id, name) values (7, 'g')");
            assert_eq!(seen(roll, "v0", "select email from users where id = 7"), "g@x");
            roll.as_version("v0", "update users set email = 'kept' where id = 7");
            roll.as_version("v1", "update users set age = 3 where id = 7");
            assert_eq!(seen(roll, "v0", "select email from users where id = 7"), "kept");
            assert_eq!(roll.refused("v1", "select email from users"), "42703");
        },
        |roll| assert_eq!(seen(roll, "v1", "select * from users where id = 7"), "7|g|3"),
    );
}

#[test]
fn alter_column_in_all_ways_at_once() {
    check_cycle(
        "  - alter_column:
      table: orders
      column: total
      type: text
      check: {name: total_len, constraint: length(total) < 9}
      unique: {name: total_once}
      nullable: false
      default: \"'0'\"
      comment: in words
      up: \"coalesce(total::text, 'none')\"
      down: \"nullif(total, 'none')::int\"
",
        |roll| {
            roll.as_version("v0", "insert into orders (user_id, total) values (1, 30), (1, null)");
            assert_eq!(
                seen(roll, "v1", "select total from orders order by id"),
                "10\n20\n30\nnone"
            );
            roll.as_version("v1", "update orders set total = '11' where total = '10'");
            assert_eq!(seen(roll, "v0", "select total from orders order by id"), "11\n20\n30\n∅");
            assert_eq!(
                roll.refused("v0", "insert into orders (user_id, total) values (1, 30)"),
                "23505"
            );
            assert_eq!(
                roll.refused("v1", "insert into orders (user_id, total) values (1, '0')"),
                "23514",
                "the old check"
            );
        },
        |roll| {
            roll.as_version("v1", "insert into orders (user_id) values (2)");
            assert_eq!(seen(roll, "v1", "select total from orders order by id desc limit 1"), "0");
            assert_eq!(
                roll.refused("v1", "insert into orders (user_id, total) values (1, '1234567890')"),
                "23514"
            );
            let kept = "select conname from pg_constraint where conrelid = 'orders'::regclass and contype <> 'n' order by 1";
            assert_eq!(
                joined(&roll.rows(kept)),
                "orders_pkey\ntotal_len\ntotal_once\ntotal_positive\nuser_fk"
                    .replace("total_positive\n", "")
            );
        },
    );
}

#[test]
fn a_default_and_a_comment_need_no_second_column() {
    check_cycle(
        "  - alter_column: {table: users, column: age, default: null, comment: years}
  - alter_column: {table: users, column: name, default: \"'nobody'\"}
",
        |roll| {
            assert!(roll.plan.as_ref().unwrap().backfill.is_empty());
            roll.as_version("v1", "insert into users (id, email) values (5, 'a')");
            roll.as_version("v0", "insert into users (id, email) values (6, 'b')");
            assert_eq!(
                seen(roll, "v1", "select name, age from users where id > 4 order by id"),
                "nobody|∅\n∅|18"
            );
        },
        |roll| {
            roll.as_version("v1", "insert into users (id, email) values (7, 'c')");
            assert_eq!(seen(roll, "v1", "select name, age from users where id = 7"), "nobody|∅");
            assert_eq!(roll.rows("select col_description('users'::regclass, 4)"), [["years"]]);
        },
    );
}

#[test]
fn create_and_drop_constraints() {
    check_cycle(
        "  - create_constraint: {table: users, name: once, type: unique, columns: [name, email], up: {name: name, email: email}, down: {name: name, email: email}}
  - create_constraint: {table: users, name: adult, type: check, check: age > 17, columns: [age], up: {age: \"greatest(age, 18)\"}, down: {age: age}}
  - drop_constraint: {table: orders, name: total_positive, up: total, down: \"greatest(total, 1)\"}
  - drop_multicolumn_constraint: {table: orders, name: user_fk, up: {user_id: user_id}, down: {user_id: \"(select case when exists (select 1 from users where users.id = user_id) then user_id else 1 end)\"}}
",
        |roll| {
            assert_eq!(seen(roll, "v1", "select age from users order by id"), "18\n18\n18");
            assert_eq!(seen(roll, "v0", "select age from users order by id"), "1\n2\n3");
            assert_eq!(roll.refused("v1", "insert into users values (8, 'n1', 'e1', 20)"), "23505");
            assert_eq!(roll.refused("v0", "insert into users values (8, 'n1', 'e1', 20)"), "23505");
            roll.as_version("v1", "insert into orders (user_id, total) values (77, -5)");
            assert_eq!(seen(roll, "v0", "select user_id, total from orders order by id desc limit 1"), "1|1");
            assert_eq!(roll.refused("v0", "insert into orders (user_id, total) values (1, -5)"), "23514");
        },
        |roll| {
            assert_eq!(seen(roll, "v1", "select user_id, total from orders order by id desc limit 1"), "77|-5");
            let kept = "select conname from pg_constraint where conrelid in ('orders'::regclass, 'users'::regclass) and contype <> 'n' order by 1";
            assert_eq!(joined(&roll.rows(kept)), "adult\nonce\norders_pkey\nusers_pkey");
        },
    );
}

#[test]
fn create_and_drop_indexes() {
    check_cycle(
        "  - create_index: {table: users, name: by_name, columns: [{column: name, sort: DESC, nulls: LAST, opclass: {name: text_pattern_ops}}], method: btree, predicate: \"age > 1\", storage_parameters: fillfactor = 70}
  - drop_index: {name: orders_total}
",
        |roll| assert_eq!(roll.rows("select to_regclass('orders_total') is not null"), [["t"]]),
        |roll| {
            assert_eq!(roll.rows("select to_regclass('orders_total')"), [["∅"]]);
            assert_eq!(joined(&roll.rows("select pg_get_indexdef('by_name'::regclass)")),
                "CREATE INDEX by_name ON public.users USING btree (name text_pattern_ops DESC NULLS LAST) WITH (fillfactor='70') WHERE (age > 1)");
        },
    );
}

#[test]
fn replica_identity_is_given_back() {
    check_cycle(
        "  - set_replica_identity: {table: users, identity: {type: full}}\n",
        |roll| {
            assert_eq!(
                roll.rows("select relreplident from pg_class where oid = 'public.users'::regclass"),
                [["f"]]
            );
        },
        |_| (),
    );
}

#[test]
fn operations_on_what_the_migration_adds() {
    check_cycle(
        "  - create_table: {name: items, columns: [{name: id, type: int, pk: true}, {name: num, type: int, nullable: true}]}
  - add_column: {table: items, column: {name: code, type: text, default: \"'x'\"}}
  - rename_column: {table: items, from: num, to: number}
  - alter_column: {table: items, column: number, type: text, nullable: false, up: number::text, down: number::int}
  - create_constraint: {table: items, name: short, type: check, check: length(code) < 9, columns: [code], up: {code: code}, down: {code: code}}
  - create_index: {table: items, name: items_code, columns: [{column: code}]}
  - rename_table: {from: items, to: things}
  - add_column: {table: users, column: {name: thing, type: int, nullable: true, references: {name: thing_fk, table: things, column: id}}}
  - add_column: {table: users, column: {name: loud, type: text, nullable: true}, up: upper(name)}
  - alter_column: {table: users, column: loud, nullable: false, up: \"coalesce(loud, '-')\", down: loud}
  - rename_column: {table: users, from: loud, to: louder}
  - alter_column: {table: users, column: age, type: text, up: age::text, down: age::int}
  - alter_column: {table: users, column: age, type: varchar(9), up: \"age || 'y'\", down: \"rtrim(age, 'y')\"}
",
        |roll| {
            roll.as_version("v1", "insert into things values (1, 'two')");
            assert_eq!(seen(roll, "v1", "select louder, age, thing from users order by id"), "N1|1y|∅\nN2|2y|∅\nN3|3y|∅");
            roll.as_version("v0", "insert into users values (4, null, 'e', 44)");
            roll.as_version("v1", "insert into users (id, name, email, age, louder) values (5, 'f', 'f', '55y', 'LOUD')");
            assert_eq!(seen(roll, "v1", "select louder, age from users where id > 3 order by id"), "-|44y\nLOUD|55y");
            assert_eq!(seen(roll, "v0", "select age from users where id > 3 order by id"), "44\n55");
            assert_eq!(roll.refused("v1", "update users set thing = 9"), "23503");
        },
        |roll| {
            assert_eq!(seen(roll, "v1", "select louder, age from users where id > 3 order by id"), "-|44y\nLOUD|55y");
            assert_eq!(seen(roll, "v1", "select * from things"), "1|two|x");
        },
    );
}

#[test]
fn sql_runs_at_start_and_is_taken_back() {
    check_cycle(
        "  - sql: {up: 'create type mood as enum (''a'')', down: 'drop type if exists mood'}\n",
        |roll| {
            assert_eq!(roll.rows("select count(*) from pg_type where typname = 'mood'"), [["1"]]);
        },
        |_| (),
    );
}
