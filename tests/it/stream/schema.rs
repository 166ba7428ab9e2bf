//! The source's schema changes while it is followed: the target changes with it, at that point of
//! the stream, and nothing that a rule masks is let through on the way.

use rustix::process::Signal;

use crate::support::{
    Database, Follow, database, follow::FOLLOW_LIMIT, query_strings, query_value, servers, sql,
    wait_for,
};

const SCHEMA: &str = "
    create table people (id int primary key, email text not null, name text, n int);
    insert into people select i, 'user' || i || '@corp.example', 'Name ' || i, i from generate_series(1, 20) i;
    create table parts (id int, at date, note text, primary key (id, at)) partition by range (at);
    create table parts_1 partition of parts for values from ('2020-01-01') to ('2021-01-01');
    create table parts_2 partition of parts for values from ('2021-01-01') to ('2022-01-01');
    insert into parts select i, date '2020-06-01' + i * 30, 'note ' || i from generate_series(1, 15) i";
pub(super) const RULES: &str = "version: 1\n\
    defaults: {detected: keep, free_text: keep, unclassified: keep}\n\
    tables:\n  \
      public.people:\n    columns:\n      id: keep\n      email: email\n      name: full_name\n      n: keep\n  \
      public.parts:\n    columns:\n      id: keep\n      at: keep\n      note: keep\n";

pub(super) struct Site {
    pub(super) source: Database,
    pub(super) target: Database,
    pub(super) follow: Follow,
}

impl Site {
    pub(super) fn new(name: &str, rules: &str) -> Self {
        Self::with(name, rules, "")
    }

    /// With more on the source.
    pub(super) fn with(name: &str, rules: &str, more: &str) -> Self {
        let cluster = servers().last().unwrap();
        let (source, target) = (database(cluster, name), database(cluster, &format!("{name}_to")));
        sql(&source, SCHEMA);
        sql(&source, more);
        let follow = Follow::new(&source.url, &target.url).config(rules);
        follow.start().expect_code(0);
        Self { source, target, follow }
    }

    pub(super) fn is_there(&self, count: &str) {
        wait_for(count, FOLLOW_LIMIT, || query_value(&self.target, count) == "1");
    }

    /// A row of the table goes through the running stream.
    pub(super) fn sends_a_row(&self) {
        sql(&self.source, "update people set n = 50 where id = 1");
        self.is_there("select count(*) from people where n = 50");
    }

    /// The names and types of the target's columns, as those of the source.
    pub(super) fn has_the_sources_columns(&self, table: &str) {
        let query = format!(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute \
             where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped order by 1"
        );
        assert_eq!(query_strings(&self.target, &query), query_strings(&self.source, &query));
    }

    pub(super) fn verify(&self) {
        self.follow.run("verify", &[]).expect_code(0);
    }

    /// How often tables were copied again.
    pub(super) fn copies(&self) -> String {
        query_value(&self.target, "select count(*) from backlot.request where kind = 'resync'")
    }
}

#[test]
fn columns_that_are_added_renamed_and_dropped_are_followed_without_a_copy() {
    let site = Site::new("evolve", RULES);
    let (source, target) = (&site.source, &site.target);
    sql(source, "update people set n = 100 where id = 1");
    // What a name gives away is masked, what can hold text is filled, the rest is kept.
    sql(
        source,
        "alter table people add remark text, add score int, add phone bigint, add code bytea;
         update people set remark = 'secret words', score = 7, phone = 12025550143, code = 'secret' where id = 2",
    );
    site.follow.catch_up().expect_code(0);
    site.has_the_sources_columns("people");
    let row = "select n, score, remark ~ '^[a-z]{6} [a-z]{5}$', remark = 'secret words', \
               phone = 12025550143, code = 'secret' from people";
    let rows = query_strings(target, &format!("{row} where id = 2"));
    assert_eq!(rows, [["2", "7", "t", "f", "f", "f"]]);
    // The rule goes with the column; another column that takes its name does not get it.
    let masked = query_value(target, "select email from people where id = 3");
    sql(
        source,
        "alter table people rename email to contact; alter table people rename name to email;
         alter table people drop score;
         insert into people (id, contact, email, n) values (30, 'user3@corp.example', 'Name 30', 1)",
    );
    site.follow.catch_up().expect_code(0);
    site.has_the_sources_columns("people");
    assert_eq!(query_value(target, "select contact from people where id = 30"), masked);
    let name = query_value(target, "select email from people where id = 30");
    assert!(name != "Name 30" && !name.contains('@'), "{name}");
    site.verify();
    assert_eq!(site.copies(), "0");
}

#[test]
fn a_migrations_new_version_of_a_column_is_masked_as_the_old_one() {
    let site = Site::new("evolve_roll", RULES);
    let (source, target) = (&site.source, &site.target);
    let stream = site.follow.stream(&[]);
    sql(
        source,
        "alter table people add _pgroll_new_email varchar(200);
         update people set _pgroll_new_email = email",
    );
    let same = "select count(*) from people where _pgroll_new_email = email and email not like '%corp.example'";
    wait_for("the backfill", FOLLOW_LIMIT, || {
        let has = "select count(*) from pg_attribute where attrelid = 'people'::regclass and attname = '_pgroll_new_email'";
        query_value(target, has) == "1" && query_value(target, same) == "20"
    });
    sql(
        source,
        "alter table people drop email; alter table people rename _pgroll_new_email to email;
         insert into people (id, email) values (31, 'user3@corp.example')",
    );
    wait_for("the end of the migration", FOLLOW_LIMIT, || {
        query_value(target, "select count(*) from people where id = 31") == "1"
    });
    site.has_the_sources_columns("people");
    let masked = "select count(distinct email) from people where id in (3, 31)";
    assert_eq!(query_value(target, masked), "1");
    site.verify();
    stream.signal(Signal::TERM);
    stream.wait_within(FOLLOW_LIMIT).expect_code(0);
    assert_eq!(site.copies(), "0");
}

#[test]
fn a_running_stream_follows_columns_that_swap_their_names() {
    let site = Site::new("evolve_swap", RULES);
    let (source, target) = (&site.source, &site.target);
    let stream = site.follow.stream(&[]);
    site.sends_a_row();
    sql(
        source,
        "alter table people rename email to between; alter table people rename name to email;
         alter table people rename between to name; update people set n = 51 where id = 1",
    );
    site.is_there("select count(*) from people where n = 51 and name like '%@example.com'");
    assert_eq!(query_value(target, "select count(*) from people where email like '%@%'"), "0");
    site.verify();
    stream.signal(Signal::TERM);
    stream.wait_within(FOLLOW_LIMIT).expect_code(0);
    assert_eq!(site.copies(), "0");
}

/// No rule of the configuration fits, and NULL fits neither: the stream goes on all the same.
#[test]
fn columns_that_cannot_be_null_are_closed_by_what_fits() {
    let site = Site::new("evolve_closed", RULES);
    let (source, target) = (&site.source, &site.target);
    sql(
        source,
        "alter table people add meta jsonb not null default '{\"who\": \"secret words\"}';
         alter table people add token text not null unique default md5(random()::text);
         alter table people alter name type bytea using name::bytea;
         alter table parts add seen text not null default 'secret words';
         update people set n = n + 1; update parts set at = at where id = 1",
    );
    site.follow.catch_up().expect_code(0);
    site.has_the_sources_columns("people");
    site.has_the_sources_columns("parts");
    let raw = "select count(*) from people p, parts q where p.meta::text like '%secret%' or q.seen like '%secret%' \
               or p.name = convert_to('Name ' || p.id, 'UTF8')";
    assert_eq!(query_value(target, raw), "0");
    let tokens = "select token from people order by 1";
    assert_ne!(query_strings(target, tokens), query_strings(source, tokens));
    assert_eq!(query_value(target, "select count(distinct token) from people"), "20");
    site.verify();
}

/// A change that no row has brought along yet is no difference.
#[test]
fn a_change_without_rows_is_followed_with_the_next_row() {
    let site = Site::new("evolve_later", RULES);
    sql(
        &site.source,
        "alter table people rename email to contact; alter table people drop n; alter table people add more int",
    );
    site.follow.catch_up().expect_code(0);
    site.verify();
    sql(&site.source, "update people set more = 1 where id = 1");
    site.follow.catch_up().expect_code(0);
    site.has_the_sources_columns("people");
    site.verify();
    assert_eq!(site.copies(), "0");
}

#[test]
fn what_says_something_of_the_rows_that_are_there_is_copied_again() {
    for change in [
        "alter table people add level int not null default 5",
        "alter table people alter n type numeric(20,2)",
        // Rows of both shapes in one transaction.
        "begin; update people set n = 1; alter table people add level int; update people set level = n; commit",
    ] {
        let site = Site::new("evolve_copy", RULES);
        sql(&site.source, change);
        sql(&site.source, "update people set n = n + 1 where id < 5");
        site.follow.catch_up().expect_code(0);
        site.has_the_sources_columns("people");
        site.verify();
        assert_eq!(site.copies(), "1", "{change}");
    }
}

#[test]
fn changes_of_a_partitioned_table_go_to_its_root() {
    let site = Site::new("evolve_parts", RULES);
    for (changes, copies) in [
        ("alter table parts add seen int; update parts set seen = id", "0"),
        (
            "alter table parts rename note to remark; alter table parts add more int;
             insert into parts values (50, '2021-03-01', 'note', 1, 2), (51, '2020-03-01', 'note', 1, 2)",
            "0",
        ),
        // The rows between are of a shape that the catalog does not show any more.
        (
            "alter table parts add later int; update parts set later = 1 where id < 10;
             alter table parts rename later to last; update parts set last = 2",
            "1",
        ),
    ] {
        sql(&site.source, changes);
        site.follow.catch_up().expect_code(0);
        site.has_the_sources_columns("parts");
        site.has_the_sources_columns("parts_2");
        site.verify();
        assert_eq!(site.copies(), copies, "{changes}");
    }
    // One partition is asked for: the others have the same new column, and rows that are filled.
    sql(&site.source, "alter table parts add filled int default 3");
    site.follow.run("resync", &["public.parts_1"]).expect_code(0);
    site.follow.catch_up().expect_code(0);
    site.has_the_sources_columns("parts");
    site.verify();
}

#[test]
fn a_new_configuration_decides_columns_by_the_names_that_they_have_now() {
    let site = Site::new("evolve_config", RULES);
    sql(
        &site.source,
        "alter table people rename email to contact; alter table people add remark text;
         update people set remark = 'secret words' where id = 2",
    );
    site.follow.catch_up().expect_code(0);
    let rules = RULES
        .replace("email: email", "contact: email\n      remark: {transform: constant, value: r}");
    let file = site.follow.dir.path().join("new.yaml");
    std::fs::write(&file, rules).unwrap();
    let flags = ["--until-caught-up", "--config", file.to_str().unwrap()];
    site.follow.run("stream", &flags).expect_code(0);
    let rows = "select remark, contact like '%@example.com' from people where id = 2";
    assert_eq!(query_strings(&site.target, rows), [["r", "t"]]);
    site.verify();
}

#[test]
fn a_policy_stops_the_table_where_columns_are_new() {
    let rules = RULES.replace("unclassified: keep}", "unclassified: keep, new_column: stop_table}");
    let site = Site::new("evolve_stop", &rules);
    sql(&site.source, "alter table people add remark text; update people set remark = 'secret'");
    site.follow.catch_up().expect_code(9);
    let state = query_value(
        &site.target,
        "select state from backlot.stream_table where relation = 'public.people'",
    );
    assert_eq!(state, "stale");
    let columns = "select count(*) from pg_attribute where attrelid = 'people'::regclass and attname = 'remark'";
    assert_eq!(query_value(&site.target, columns), "0");
}
