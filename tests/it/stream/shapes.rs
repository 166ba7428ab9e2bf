//! Rows of a shape that the source's catalog showed otherwise when it was read: each value goes to
//! the column that it is of, by that column's rule.

use std::time::Duration;

use rustix::process::Signal;

use super::schema::{RULES, Site};
use crate::support::database::{block_on, connect};
use crate::support::{Running, follow::FOLLOW_LIMIT, query_strings, query_value, sql, wait_for};

const KEPT_NAMES: &str = "select count(*) from people where name like '%corp.example'";

const SWAP: &str = "
    alter table people rename email to between; alter table people rename name to email;
    alter table people rename between to name";

/// A running stream that has seen a row of the table.
fn known(name: &str) -> (Site, Running) {
    let site = Site::new(name, RULES);
    let stream = site.follow.stream(&[]);
    site.sends_a_row();
    (site, stream)
}

fn ends(site: &Site, stream: Running) {
    stream.signal(Signal::TERM);
    stream.wait_within(FOLLOW_LIMIT).expect_code(0);
    site.verify();
    // What a session takes for known, the next one must not find otherwise.
    sql(&site.source, "update people set n = coalesce(n, 0) + 1 where id = 3");
    site.follow.catch_up().expect_code(0);
    site.has_the_sources_columns("people");
    site.verify();
}

/// The session has read the source's catalog, and no row of the table.
#[test]
fn columns_that_swap_their_names_before_their_first_row_keep_their_rules() {
    let site = Site::new("shape_first", &kept_names());
    let (source, target) = (&site.source, &site.target);
    let stream = site.follow.stream(&[]);
    sql(source, "update parts set note = 'first' where id = 1");
    site.is_there("select count(*) from parts where note = 'first'");
    sql(source, SWAP);
    sql(source, "update people set n = 51 where id = 1");
    site.is_there("select count(*) from people where n = 51");
    assert_eq!(query_value(target, KEPT_NAMES), "0", "e-mails under the name of what is kept");
    ends(&site, stream);
    assert_eq!(query_value(target, KEPT_NAMES), "0");
    assert_eq!(site.copies(), "0");
}

/// The last column is replaced by another of its name and type: rows look as they did before.
#[test]
fn a_migration_of_the_last_column_is_followed_by_a_stream_that_knows_the_table() {
    let (site, stream) = known("shape_last");
    let source = &site.source;
    sql(
        source,
        "alter table people add _pgroll_new_n int; update people set _pgroll_new_n = n + 1000",
    );
    site.is_there(
        "select count(*) from people where n = 2 and to_jsonb(people)->>'_pgroll_new_n' = '1002'",
    );
    sql(
        source,
        "alter table people drop n; alter table people rename _pgroll_new_n to n;
         insert into people (id, email, n) values (31, 'user31@corp.example', 7)",
    );
    site.is_there("select count(*) from people where id = 31");
    site.has_the_sources_columns("people");
    ends(&site, stream);
    assert_eq!(site.copies(), "0");
}

#[test]
fn a_column_that_is_dropped_and_made_again_has_none_of_its_old_values() {
    let (site, stream) = known("shape_again");
    let (source, target) = (&site.source, &site.target);
    sql(source, "alter table people drop n; alter table people add n int");
    sql(source, "update people set n = 60 where id = 2");
    site.is_there("select count(*) from people where n = 60");
    wait_for("the others", Duration::from_mins(1), || {
        query_value(target, "select count(*) from people where n is not null") == "1"
    });
    ends(&site, stream);
}

/// While it was away, both were sent, and they look alike.
#[test]
fn rows_of_before_and_after_a_column_was_made_again_are_told_apart_from_cron() {
    let site = Site::new("shape_cron", RULES);
    sql(&site.source, "update people set n = 50 where id = 1");
    sql(&site.source, "alter table people drop n; alter table people add n int");
    sql(&site.source, "update people set n = 60 where id = 2");
    site.follow.catch_up().expect_code(0);
    assert_eq!(query_value(&site.target, "select count(*) from people where n is not null"), "1");
    site.verify();
}

/// The catalog shows the names of after, the target has those of before.
#[test]
fn rows_of_before_a_swap_keep_their_rules_from_cron() {
    let site = Site::new("shape_before", &kept_names());
    sql(&site.source, "insert into people values (40, 'user40@corp.example', 'Name 40', 40)");
    sql(&site.source, SWAP);
    sql(&site.source, "insert into people values (41, 'user41@corp.example', 'Name 41', 41)");
    site.follow.catch_up().expect_code(0);
    site.has_the_sources_columns("people");
    let raw =
        "select count(*) from people where name like '%corp.example' or email like '%corp.example'";
    assert_eq!(query_value(&site.target, raw), "0");
    site.verify();
}

/// Rows of the old shape have been sent, and the table has to be copied.
#[test]
fn a_running_stream_copies_a_table_again_whose_rows_changed_with_it() {
    for change in [
        "alter table people add level int not null default 5",
        "alter table people alter n type numeric(20,2)",
        "begin; update people set n = 1; alter table people rename name to remark; update people set n = 2; commit",
    ] {
        let (site, stream) = known("shape_copied");
        let source = &site.source;
        sql(source, change);
        sql(source, "update people set n = 60 where id = 1");
        site.is_there("select count(*) from people where n = 60");
        let state = "select count(*) from backlot.stream_table where relation = 'public.people' and state = 'streaming'";
        site.is_there(state);
        assert_eq!(site.copies(), "1", "{change}");
        ends(&site, stream);
    }
}

/// The copy is done and waits for its place when the source's table changes once more.
#[test]
fn a_table_that_changes_while_it_is_copied_is_copied_once_more() {
    let (site, stream) = known("shape_while");
    let (source, target) = (&site.source, &site.target);
    let url = target.url.clone();
    let reader = block_on(async move {
        let client = connect(&url).await.unwrap();
        client.batch_execute("begin; lock table people in share mode").await.unwrap();
        client
    });
    sql(
        target,
        "insert into backlot.request (kind, arguments) values ('resync', '{\"tables\": [\"public.people\"]}')",
    );
    site.is_there(
        "select count(*) from pg_locks where relation = 'people'::regclass and not granted",
    );
    sql(
        source,
        "alter table people add remark text; update people set remark = 'words' where id = 1",
    );
    sql(source, "update parts set note = 'behind it' where id = 1");
    site.is_there("select count(*) from parts where note = 'behind it'");
    block_on(async move { reader.batch_execute("rollback").await.unwrap() });
    site.is_there("select count(*) from backlot.request where state = 'done'");
    site.is_there(
        "select count(*) from backlot.stream_table where relation = 'public.people' and state = 'streaming'",
    );
    assert_eq!(query_value(target, "select count(*) from people where remark is not null"), "1");
    ends(&site, stream);
}

/// A transaction that is sent before it commits shows what the source's catalog does not yet.
#[test]
fn a_change_that_is_sent_before_it_commits_loses_no_value() {
    for change in [
        "alter table people add remark text",
        "alter table people drop name; alter table people add remark text",
        "alter table people rename name to remark",
        "alter table people alter n type bigint, add remark text",
    ] {
        let site = Site::new("shape_early", RULES);
        let (source, target) = (&site.source, &site.target);
        // A transaction of this size is sent before it commits.
        let small =
            format!("alter database {} set logical_decoding_work_mem = '64kB'", source.name);
        sql(source, &small);
        let stream = site.follow.stream(&[]);
        site.sends_a_row();
        let url = source.url.clone();
        let fill = "insert into people (id, email, remark, n) \
             select i, 'user' || i || '@corp.example', 'remark ' || i, i from generate_series(1000, 9000) i";
        let statements = format!("begin; {change}; {fill}");
        let open = block_on(async move {
            let client = connect(&url).await.unwrap();
            client.batch_execute(&statements).await.unwrap();
            client
        });
        // Either the catalog is waited for, or the table is given up for a copy.
        let is_waiting =
            "select count(*) > 0 from pg_locks where relation = 'people'::regclass and not granted";
        let state = "select state from backlot.stream_table where relation = 'public.people'";
        wait_for("it is read", FOLLOW_LIMIT, || {
            query_value(source, is_waiting) == "t" || query_value(target, state) != "streaming"
        });
        block_on(async move { open.batch_execute("commit").await.unwrap() });
        wait_for("the rows", FOLLOW_LIMIT, || {
            query_value(target, "select count(*) from people") == "8021"
        });
        wait_for("the table is followed", FOLLOW_LIMIT, || {
            query_value(target, state) == "streaming"
        });
        ends(&site, stream);
    }
}

/// The columns of the table that takes the place of another have each other's numbers.
const REPLACEMENT: &str = "
    create table people_2 (id int primary key, name text, email text not null, n int);
    insert into people_2 select id + 100, name, email, n from people;
    alter table people rename to people_old; alter table people_2 rename to people";
const STATE: &str =
    "select state, coalesce(reason, '') from backlot.stream_table where relation = 'public.people'";

fn kept_names() -> String {
    RULES.replace("name: full_name", "name: keep")
}

fn has_replacement(site: &Site) {
    let rows = "select count(*), min(id), count(*) filter (where name like 'Name %'), count(*) filter (where email not like '%corp.example') from people";
    assert_eq!(query_strings(&site.target, rows), [["20", "101", "20", "20"]]);
    site.verify();
}

#[test]
fn a_table_whose_place_another_takes_is_not_said_to_be_followed() {
    for is_running in [true, false] {
        let site = Site::new("shape_table", &kept_names());
        let stream = is_running.then(|| site.follow.stream(&[]));
        sql(&site.source, "update people set n = 50 where id = 1");
        if is_running {
            site.is_there("select count(*) from people where n = 50");
        }
        sql(&site.source, REPLACEMENT);
        if let Some(stream) = stream {
            let stale = [["stale", "no publication of the stream has it"]];
            wait_for("the state", FOLLOW_LIMIT, || query_strings(&site.target, STATE) == stale);
            stream.signal(Signal::TERM);
            stream.wait_within(FOLLOW_LIMIT).expect_code(9);
        } else {
            let told = site.follow.catch_up().expect_code(9);
            assert!(told.stdout.contains("backlot clone resync public.people"), "{}", told.stdout);
            assert_eq!(query_strings(&site.target, STATE)[0][0], "stale");
        }
        site.follow.run("resync", &["public.people"]).expect_code(0);
        has_replacement(&site);
        sql(&site.source, "update people set n = 60 where id = 101");
        site.follow.catch_up().expect_code(9);
        assert_eq!(query_value(&site.target, "select n from people where id = 101"), "60");
    }
}

#[test]
fn a_table_that_takes_the_place_of_another_is_copied_where_it_is_published() {
    for is_running in [true, false] {
        let rules = kept_names() + "publications: [everything]\n";
        let site =
            Site::with("shape_everything", &rules, "create publication everything for all tables");
        let stream = is_running.then(|| site.follow.stream(&[]));
        sql(&site.source, "update people set n = 50 where id = 1");
        if is_running {
            site.is_there("select count(*) from people where n = 50");
        }
        sql(&site.source, REPLACEMENT);
        sql(&site.source, "update people set n = n where id = 101");
        if let Some(stream) = stream {
            wait_for("the table", FOLLOW_LIMIT, || {
                query_value(&site.target, "select count(*) from people where id > 100") == "20"
            });
            wait_for("the state", FOLLOW_LIMIT, || {
                query_strings(&site.target, STATE)[0][0] == "streaming"
            });
            stream.signal(Signal::TERM);
            // The old table is there, too, by a name that came later.
            stream.wait_within(FOLLOW_LIMIT).expect_code(9);
        } else {
            site.follow.catch_up().expect_code(9);
        }
        has_replacement(&site);
    }
}

/// What came before it was dropped is not applied: the catalog has no rules for it any more.
#[test]
fn a_table_that_is_dropped_stays_until_it_is_dropped_on_the_target() {
    let site = Site::new("shape_dropped", RULES);
    sql(&site.source, "update people set n = 50 where id = 1");
    sql(&site.source, "drop table people");
    let told = site.follow.catch_up().expect_code(9).stdout;
    assert!(told.contains("until it is dropped there") && !told.contains("clone resync"), "{told}");
    assert_eq!(query_strings(&site.target, STATE)[0][0], "stale");
    assert_eq!(query_value(&site.target, "select count(*) from people"), "20");
    site.follow.catch_up().expect_code(9);
    sql(&site.target, "drop table people");
    site.follow.catch_up().expect_code(0);
}
