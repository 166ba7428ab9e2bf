//! What both versions see while both write.

use super::run::{Roll, joined};
use crate::support::servers;

const USERS: &str =
    "create table users (id int primary key, name text, email text not null unique, age int);
    insert into users values (1, 'ann', 'A@x', 30), (2, null, 'B@x', null)";

#[test]
fn an_altered_column_is_kept_equal_in_both_directions() {
    for cluster in servers() {
        let mut roll = Roll::new(cluster, USERS);
        let before = roll.model();
        let operations = "  - alter_column: {table: users, column: name, nullable: false,\n      up: \"coalesce(name, 'unknown')\", down: name}\n";
        roll.start("v1", operations);
        assert_eq!(
            joined(&roll.as_version("v1", "select id, name from users order by id")),
            "1|ann\n2|unknown"
        );
        assert_eq!(
            joined(&roll.as_version("v0", "select id, name from users order by id")),
            "1|ann\n2|∅"
        );
        roll.as_version("v0", "insert into users values (3, null, 'C@x', 1)");
        roll.as_version("v1", "insert into users values (4, 'dan', 'D@x', 1)");
        assert_eq!(roll.refused("v1", "insert into users values (5, null, 'E@x', 1)"), "23514");
        assert_eq!(
            joined(&roll.as_version("v1", "select name from users where id > 2 order by id")),
            "unknown\ndan"
        );
        assert_eq!(
            joined(&roll.as_version("v0", "select name from users where id > 2 order by id")),
            "∅\ndan"
        );
        roll.rollback();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
        let after = roll.model();
        assert_eq!(
            before.detail.tables, after.detail.tables,
            "rollback leaves the table as it was"
        );

        roll.start("v1", operations);
        roll.complete();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
        assert_eq!(
            joined(&roll.as_version("v1", "select id, name from users order by id")),
            "1|ann\n2|unknown\n3|unknown\n4|dan"
        );
        assert_eq!(roll.refused("v1", "insert into users values (5, null, 'E@x', 1)"), "23502");
    }
}

#[test]
fn an_update_of_another_column_leaves_both_sides() {
    for cluster in servers() {
        let mut roll = Roll::new(cluster, USERS);
        // Neither direction is the inverse of the other, and up differs every time.
        roll.start("v1", "  - alter_column: {table: users, column: name, nullable: false,\n      up: \"coalesce(name, '') || '-' || random()\", down: \"name || '!'\"}\n");
        let first = roll.as_version("v1", "select name from users order by id");
        for _ in 0..3 {
            roll.as_version("v0", "update users set age = coalesce(age, 0) + 1");
            roll.as_version("v1", "update users set age = age + 1");
        }
        assert_eq!(roll.as_version("v1", "select name from users order by id"), first);
        assert_eq!(joined(&roll.as_version("v0", "select name from users order by id")), "ann\n∅");
        roll.as_version("v1", "update users set name = 'new' where id = 1");
        roll.as_version("v0", "update users set email = 'z' where id = 1");
        assert_eq!(joined(&roll.as_version("v1", "select name from users where id = 1")), "new");
        assert_eq!(joined(&roll.as_version("v0", "select name from users where id = 1")), "new!");
        roll.as_version("v0", "update users set name = 'old' where id = 1");
        let name = joined(&roll.as_version("v1", "select name from users where id = 1"));
        assert!(name.starts_with("old-"), "{name}");
    }
}

#[test]
fn the_version_is_the_first_schema_on_the_path() {
    for cluster in servers() {
        let mut roll = Roll::new(cluster, USERS);
        roll.start(
            "V-2.1",
            "  - add_column: {table: users, column: {name: upper, type: text}, up: upper(email)}\n",
        );
        for (id, path, expected) in [
            (10, "\"public_V-2.1\"", "new"),
            (11, "\"public_V-2.1\", public", "new"),
            (12, "nowhere, \"public_V-2.1\", public_v0", "new"),
        ] {
            roll.on_path(
                path,
                &format!("insert into users (id, email, upper) values ({id}, 'x{id}', 'new')"),
            )
            .unwrap();
            let seen = joined(
                &roll.rows(&format!("select upper from \"public_V-2.1\".users where id = {id}")),
            );
            assert_eq!(seen, expected, "{path}");
        }
        for (id, path) in [
            (20, "public_v0"),
            (21, "public_v0, \"public_V-2.1\""),
            (22, "public"),
            (23, "public, \"public_V-2.1\""),
        ] {
            roll.on_path(path, &format!("insert into users (id, email) values ({id}, 'x{id}')"))
                .unwrap();
            let seen = joined(
                &roll.rows(&format!("select upper from \"public_V-2.1\".users where id = {id}")),
            );
            assert_eq!(seen, format!("X{id}"), "{path}");
        }
        // What the new version writes into a column of both does not touch its own.
        roll.on_path("\"public_V-2.1\"", "update users set email = 'changed' where id = 10")
            .unwrap();
        assert_eq!(
            joined(&roll.rows("select upper from \"public_V-2.1\".users where id = 10")),
            "new"
        );
        roll.on_path("public_v0", "update users set email = 'changed2' where id = 10").unwrap();
        assert_eq!(
            joined(&roll.rows("select upper from \"public_V-2.1\".users where id = 10")),
            "CHANGED2"
        );
        roll.complete();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
    }
}

#[test]
fn an_app_role_needs_no_more_than_it_had() {
    for cluster in servers() {
        let mut roll = Roll::new(
            cluster,
            "do $$ begin create role plan_writer login; exception when duplicate_object or unique_violation then null; end $$;
             create table items (id int generated always as identity primary key, note text);
             revoke all on schema public from public; grant usage on schema public to plan_writer;
             grant select, insert, update (note) on items to plan_writer;
             alter default privileges revoke execute on functions from public;
             insert into items (note) values ('a')",
        );
        let as_writer = |roll: &Roll, version: &str, text: &str| {
            let path = format!("\"public_{version}\"; set role plan_writer");
            joined(&roll.on_path(&path, text).unwrap_or_else(|error| panic!("{error:?}\n{text}")))
        };
        assert_eq!(
            as_writer(&roll, "v0", "insert into items (note) values ('b') returning id"),
            "2"
        );
        roll.start("v1", "  - alter_column: {table: items, column: id, type: bigint, up: id, down: id::int}
  - alter_column: {table: items, column: note, nullable: false, up: \"coalesce(note, '-')\", down: note}
  - add_column: {table: items, column: {name: number, type: serial}}
");
        assert_eq!(
            as_writer(
                &roll,
                "v1",
                "insert into items (note) values ('c') returning id, number > 0"
            ),
            "3|t"
        );
        assert_eq!(
            as_writer(&roll, "v0", "insert into items (note) values ('d') returning id"),
            "4"
        );
        as_writer(&roll, "v1", "update items set note = 'e' where id = 3");
        as_writer(&roll, "v0", "update items set note = null where id = 4");
        assert_eq!(
            as_writer(&roll, "v1", "select id, note from items order by id"),
            "1|a\n2|b\n3|e\n4|-"
        );
        roll.complete();
        assert_eq!(
            as_writer(
                &roll,
                "v1",
                "insert into items (note) values ('f') returning id, number > 0"
            ),
            "5|t"
        );
        let kind = "select format_type(seqtypid, null), seqmax from pg_sequence where seqrelid = 'items_id_seq'::regclass";
        assert_eq!(roll.rows(kind), [["bigint", "9223372036854775807"]]);
    }
}

#[test]
fn the_users_own_triggers_and_upserts_work_on_both_sides() {
    for cluster in servers() {
        let mut roll = Roll::new(
            cluster,
            "create table users (id int primary key, email text not null unique, data json, age int);
             create function lowered() returns trigger language plpgsql as 'begin new.email := lower(new.email); return new; end';
             create trigger zz_lower before insert or update on users for each row execute function lowered();
             insert into users values (1, 'A', '{}', 1)",
        );
        roll.start("v1", "  - alter_column: {table: users, column: email, check: {name: some, constraint: email <> ''}, up: email, down: email}
  - alter_column: {table: users, column: data, type: jsonb, up: data::jsonb, down: data::json}
");
        roll.as_version("v0", "insert into users values (2, 'B', '{\"a\": 1}', null)");
        roll.as_version("v0", "insert into users values (2, 'C', '{\"a\": 2}', 1) on conflict (id) do update set email = excluded.email");
        let all = "select id, email, data, age from users order by id";
        assert_eq!(joined(&roll.as_version("v1", all)), "1|a|{}|1\n2|c|{\"a\": 1}|∅");
        roll.as_version(
            "v1",
            "insert into users values (3, 'd', null, 3) on conflict (email) do nothing",
        );
        roll.as_version("v1", "insert into users values (4, 'd', '[1]', 4) on conflict (email) do update set data = excluded.data");
        assert_eq!(
            joined(&roll.as_version("v0", "select id, email, data from users where id > 2")),
            "3|d|[1]"
        );
        roll.as_version("v1", "update users set data = null where id = 3");
        assert_eq!(joined(&roll.as_version("v0", "select data from users where id = 3")), "∅");
        roll.as_version("v0", "update users set email = 'X' where id = 3");
        assert_eq!(joined(&roll.as_version("v1", "select email from users where id = 3")), "x");
        roll.complete();
        assert_eq!(joined(&roll.as_version("v1", all)), "1|a|{}|1\n2|c|{\"a\": 1}|∅\n3|x|∅|3");
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
    }
}

#[test]
fn an_unfilled_row_is_filled_by_whoever_updates_it() {
    for cluster in servers() {
        let roll = Roll::new(cluster, USERS);
        let operations = "  - alter_column: {table: users, column: name, nullable: false, up: \"coalesce(name, '-')\", down: name}\n";
        let plan = roll.plan("v1", operations).unwrap();
        roll.steps(&plan.start);
        // Between the trigger and the backfill.
        roll.as_version("v0", "update users set age = 1 where id = 1");
        roll.as_version("v0", "insert into users values (9, 'i', 'I', 1)");
        let marked = "select id, _pgroll_new_name, _pgroll_needs_backfill from users order by id";
        assert_eq!(joined(&roll.rows(marked)), "1|ann|f\n2|∅|t\n9|i|f");
        // The backfill's own update is not a writer's.
        roll.sql("update users set _pgroll_new_name = 'filled', _pgroll_needs_backfill = false where _pgroll_needs_backfill");
        assert_eq!(
            joined(&roll.rows("select name, _pgroll_new_name from users where id = 2")),
            "∅|filled"
        );
        roll.steps(&plan.rollback);
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
    }
}

#[test]
fn the_server_refuses_expressions_before_anything_is_changed() {
    for cluster in servers() {
        let roll = Roll::new(cluster, USERS);
        for (operation, state, near) in [
            (
                "add_column: {table: users, column: {name: a, type: int}, up: age + nope}",
                "42703",
                "nope",
            ),
            ("add_column: {table: users, column: {name: a, type: int}, up: name}", "42P13", ""),
            (
                "add_column: {table: users, column: {name: a, type: int}, up: age + nofn(1)}",
                "42883",
                "nofn",
            ),
            (
                "add_column: {table: users, column: {name: a, type: nowhere, nullable: true}}",
                "42704",
                "nowhere",
            ),
            (
                "add_column: {table: users, column: {name: a, type: int, default: \"'x'\"}}",
                "22P02",
                "",
            ),
            (
                "alter_column: {table: users, column: age, check: {name: c, constraint: age}, up: age, down: age}",
                "42P13",
                "",
            ),
            (
                "alter_column: {table: users, column: age, type: text, up: age::text, down: event_name}",
                "42703",
                "event_name",
            ),
            (
                "alter_column: {table: users, column: email, type: point, up: 'null', down: email::text}",
                "42704",
                "",
            ),
            (
                "create_index: {table: users, name: i, columns: [{column: age}], predicate: age > name}",
                "42883",
                ">",
            ),
        ] {
            let plan = roll.plan("v1", &format!("  - {operation}\n")).unwrap();
            let refused = plan.checks.iter().find_map(|check| {
                let error = roll.check(&check.sql).err()?;
                Some((check, error.as_db_error().unwrap().clone()))
            });
            let (check, error) = refused.unwrap_or_else(|| panic!("accepted: {operation}"));
            assert_eq!(error.code().code(), state, "{operation}: {error}");
            if near.is_empty() {
                continue;
            }
            let Some(tokio_postgres::error::ErrorPosition::Original(at)) = error.position() else {
                panic!("no position: {operation}")
            };
            // The harness sends more before the statement.
            let before = "begin; set local search_path = public; ".len();
            let rest: String = check.sql.chars().skip(*at as usize - 1 - before).collect();
            assert!(rest.starts_with(near), "{operation}: {rest}");
            assert!(*at as usize - 1 - before >= check.offset.unwrap());
        }
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
    }
}
