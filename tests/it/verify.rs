//! `clone verify` finds what was changed, lost, added, leaked, and nothing else.

#![expect(clippy::indexing_slicing, reason = "tests")]

use crate::fidelity::{self, KEY, newest, oldest};
use crate::support::database::{block_on, connect};
use crate::support::{
    Cluster, Database, Output, backlot, database, query_value, servers, some_servers, sql, wait_for,
};
use backlot::pg::{ConnInfo, Lsn, Session};
use backlot::state::{StreamRecord, create_stream_state};
use serde_json::{Value, json};
use std::time::Duration;

const DEMO_SCHEMA: &str = include_str!("../../demo/schema.sql");
const DEMO_DATA: &str = include_str!("../../demo/data.sql");

/// A source and its clone.
struct Site {
    source: Database,
    target: Database,
    dir: tempfile::TempDir,
}

impl Site {
    /// Detected rules without a configuration.
    fn new(
        from: &'static Cluster,
        to: &'static Cluster,
        schema: &str,
        config: Option<&str>,
    ) -> Self {
        let (source, target) = (database(from, "verify"), database(to, "verify_to"));
        sql(&source, schema);
        let site = Self { source, target, dir: tempfile::tempdir().unwrap() };
        site.start(config, &[]);
        site
    }

    fn start(&self, config: Option<&str>, more: &[&str]) {
        let mut args = vec!["--json", "clone", "start", "--hold-snapshot", "0s"];
        args.extend(["--source-url", &self.source.url, "--target-url", &self.target.url]);
        if let Some(config) = config {
            std::fs::write(self.dir.path().join("transforms.yaml"), config).unwrap();
            args.extend(["--config", "transforms.yaml"]);
        }
        args.extend(more);
        backlot(self.dir.path(), &args, &[KEY]).expect_code(0);
    }

    fn verify(&self, more: &[&str]) -> Output {
        let mut args = vec!["--json", "clone", "verify"];
        args.extend(["--source-url", &self.source.url, "--target-url", &self.target.url]);
        args.extend(more);
        backlot(self.dir.path(), &args, &[KEY])
    }

    /// The report of a verification that ends with this code.
    #[track_caller]
    fn report(&self, code: i32, more: &[&str]) -> Value {
        let output = self.verify(more).expect_code(code);
        serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap()
    }
}

/// Both versions, and from the oldest to the newest.
fn ways() -> Vec<(&'static Cluster, &'static Cluster)> {
    let all = servers().collect::<Vec<_>>();
    let mut ways = all.iter().map(|cluster| (*cluster, *cluster)).collect::<Vec<_>>();
    if all.len() > 1 {
        ways.push((all[0], all[all.len() - 1]));
    }
    ways
}

#[track_caller]
fn assert_verified(report: &Value) {
    assert_eq!(report["verdict"], "verified", "{report:#}");
    for list in ["differences", "orphans", "leaks", "sequences_behind"] {
        assert_eq!(report[list], json!([]), "{report:#}");
    }
}

#[test]
fn a_clone_of_the_demo_with_detected_rules_is_verified_on_every_version() {
    for (from, to) in ways() {
        let schema = format!("{DEMO_SCHEMA};{DEMO_DATA}");
        let site = Site::new(from, to, &schema, None);
        let report = site.report(0, &[]);
        assert_verified(&report);
        assert!(report["rows"].as_u64().unwrap() > 200_000, "{report:#}");
        assert!(report["references"].as_u64().unwrap() > 20, "{report:#}");
        assert!(report["leak_scan"]["originals"].as_u64().unwrap() > 1000, "{report:#}");
        assert_eq!(report["leak_scan"]["share"], 1.0);
    }
}

#[test]
fn rows_of_every_type_are_equal_on_every_version() {
    for (from, to) in ways() {
        let source = fidelity::source(from, to);
        let (target, _) = fidelity::clone(&source, to, &[]);
        let site = Site { source, target, dir: tempfile::tempdir().unwrap() };
        let report = site.report(0, &[]);
        assert_verified(&report);
        assert!(report["rows"].as_u64().unwrap() > 100, "{report:#}");
    }
}

const PEOPLE: &str =
    "create table people (id bigint primary key, email text not null unique, first_name text,
        ssn text, balance numeric(14,2), note text);
    insert into people select i, 'user' || i || '@mail' || i % 97 || '.example.net',
        (array['Ada', 'Grace', 'Barbara', 'Margaret'])[1 + i % 4],
        lpad((100000000 + i::bigint * 799)::text, 9, '0'), i * 1.01, 'note ' || i % 10";
const PEOPLE_RULES: &str = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.people:
    columns: {email: email, first_name: first_name, ssn: ssn, balance: keep, note: keep}
";

#[test]
fn one_value_one_row_too_few_one_too_many_and_one_leak_are_found_in_a_million_rows() {
    let schema = format!("{PEOPLE} from generate_series(1, 1000000) i");
    let site = Site::new(oldest(), oldest(), &schema, Some(PEOPLE_RULES));
    let report = site.report(0, &[]);
    assert_verified(&report);
    assert_eq!(report["rows"], 1_000_000);

    sql(&site.target, "update people set balance = balance + 0.01 where id = 777777");
    let report = site.report(10, &[]);
    let found = json!([{"key": "777777", "columns": ["balance"]}]);
    assert_eq!(report["differences"][0]["different_rows"], found, "{report:#}");

    sql(
        &site.target,
        "delete from people where id = 123456;
         insert into people select -5, 'extra@example.org', first_name, ssn, 1, null from people where id = 9",
    );
    let report = site.report(10, &["--no-leak-scan"]);
    assert_eq!(report["verdict"], "differs");
    assert_eq!(report["leak_scan"], Value::Null);
    let table = &report["differences"][0];
    assert_eq!(table["table"], "public.people");
    assert_eq!(
        (&table["missing"], &table["extra"], &table["different"], &table["is_complete"]),
        (&json!(1), &json!(1), &json!(1), &json!(true))
    );
    assert_eq!(table["missing_rows"], json!(["123456"]));
    assert!(table["extra_rows"][0].as_str().unwrap().starts_with("-5, ctid ("), "{table:#}");

    let original = query_value(&site.source, "select email from people where id = 424242");
    sql(&site.target, &format!("update people set email = '{original}' where id = 424242"));
    let output = site.verify(&[]).expect_code(7);
    assert!(!(output.stdout.clone() + &output.stderr).contains(&original));
    let report: Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["differences"][0]["different"], 2, "{report:#}");
    let leaks = json!([{
        "column": "public.people.email", "values": 1, "because": "rows that differ show source values"
    }]);
    assert_eq!(report["leaks"], leaks, "{report:#}");
}

#[test]
fn a_leaked_key_is_a_leak_and_is_not_shown() {
    for cluster in some_servers() {
        let schema = "create table accounts (email text primary key, plan text);
            insert into accounts select 'user' || i || '@example.net', 'free' from generate_series(1, 2000) i;
            create table logins (email text, ssn char(11), at int);
            insert into logins select 'user' || i || '@example.net', lpad(i::text, 3, '1') || '-45-' || 1000 + i, i
            from generate_series(1, 2000) i";
        let rules = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.accounts: {columns: {email: email, plan: keep}}
  public.logins: {columns: {email: email, ssn: ssn, at: keep}}
";
        let site = Site::new(cluster, cluster, schema, Some(rules));
        assert_verified(&site.report(0, &[]));
        sql(
            &site.target,
            "update accounts set email = 'user77@example.net' where ctid = '(0,1)';
             update logins set ssn = '119-45-1019' where at = 19",
        );
        let output = site.verify(&[]).expect_code(7);
        for value in ["user77@", "119-45"] {
            assert!(!(output.stdout.clone() + &output.stderr).contains(value), "{output:?}");
        }
        let report: Value = serde_json::from_str(output.stdout.lines().last().unwrap()).unwrap();
        let leaks = report["leaks"].as_array().unwrap().iter();
        let leaks = leaks.map(|leak| (leak["column"].as_str().unwrap(), leak["values"].as_u64()));
        assert_eq!(
            leaks.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
            [("public.accounts.email", Some(1)), ("public.logins.ssn", Some(1))],
            "{report:#}"
        );
        for table in report["differences"].as_array().unwrap() {
            assert_eq!((&table["missing"], &table["extra"]), (&json!(1), &json!(1)), "{table:#}");
        }
    }
}

/// A rule on a value of every kind, in binary and, beside an array of an enum, in text.
const KINDS: &str = "create type mood as enum ('sad', 'glad');
    create table kinds (id int primary key, c char(40), v varchar(60), n numeric(14,4), f float8, g float4,
        t text[], j json, b jsonb, ip inet, net cidr, m macaddr, u uuid, d date, ts timestamptz, i bigint,
        bin bytea, fixed jsonb, num numeric(8,3), gone text);
    insert into kinds select i, 'Ada Lovelace ' || i, E'tab\\t back\\\\ \\x08 \\v ü ' || i, i * 1.5, i * 1e6, i * 1e6,
        array['user' || i || '@example.net', null, 'a \"b\" c'], json_build_object('e', 'u' || i || '@example.net', 'n', i),
        jsonb_build_object('zz', 'u' || i || '@example.net', 'a', jsonb_build_array(i, 1.50, E'\\b\\u2028\"')),
        ('10.1.' || i % 250 || '.7')::inet, ('10.' || i % 250 || '.0.0/16')::cidr, '08:00:2b:01:02:03', gen_random_uuid(),
        date '1970-01-01' + i, timestamptz '2020-01-01 00:00:00.120+00' + i * interval '1 hour', i * 1000,
        decode(md5(i::text), 'hex'), '{}', 1, 'gone ' || i
    from generate_series(1, 500) i;
    create table kinds_text (like kinds including all, moods mood[]);
    insert into kinds_text select k.*, array['sad', 'glad']::mood[] from kinds k";
const KIND_RULES: &str = "      c: full_name
      v: text_fill
      n: {transform: number_noise, percent: 20}
      f: {transform: number_noise, percent: 20}
      g: {transform: number_noise, percent: 20}
      t: email
      j: {transform: json, paths: {\"$.e\": email}, unknown: fill}
      b: {transform: json, paths: {\"$.zz\": email}, unknown: fill}
      ip: ip
      net: ip
      m: mac
      u: uuid
      d: {transform: date_shift, max_days: 100}
      ts: {transform: date_shift, max_days: 100}
      i: integer
      bin: text_fill
      fixed: {transform: constant, value: '{\"bb\": 1.0, \"a\": [2,  {}]}'}
      num: {transform: constant, value: '7'}
      gone: \"null\"
";

#[test]
fn fakes_of_every_kind_are_told_from_others_and_not_from_themselves() {
    for (from, to) in ways() {
        let rules = format!(
            "version: 1\ndefaults: {{detected: keep, free_text: keep, unclassified: keep}}\ntables:\n  \
             public.kinds:\n    columns:\n{KIND_RULES}  public.kinds_text:\n    columns:\n{KIND_RULES}"
        );
        let site = Site::new(from, to, KINDS, Some(&rules));
        let report = site.report(0, &[]);
        assert_verified(&report);
        assert_eq!(report["rows"], 1000);
        for (at, column) in
            ["c", "v", "n", "f", "t", "b", "ip", "d", "ts", "bin", "fixed", "num", "gone"]
                .iter()
                .enumerate()
        {
            let change = match *column {
                "n" | "f" | "num" => format!("{column} = {column} + 1"),
                "t" => "t = array_append(t, null)".to_owned(),
                "b" | "fixed" => format!("{column} = {column} || '{{\"more\": 1}}'"),
                "ip" => "ip = ip + 1".to_owned(),
                "d" | "ts" => format!("{column} = {column} + interval '1 day'"),
                "bin" => "bin = bin || bin".to_owned(),
                "gone" => "gone = 'x'".to_owned(),
                _ => format!("{column} = {column} || 'x'"),
            };
            for table in ["kinds", "kinds_text"] {
                sql(&site.target, &format!("update {table} set {change} where id = {}", at + 1));
            }
        }
        let report = site.report(10, &["-n", "100"]);
        for table in report["differences"].as_array().unwrap() {
            assert_eq!(table["different"], 13, "{table:#}");
            for row in table["different_rows"].as_array().unwrap() {
                assert_eq!(row["columns"].as_array().unwrap().len(), 1, "{row}");
            }
        }
    }
}

#[test]
fn rows_that_lie_in_other_partitions_are_compared_over_the_whole_table() {
    for cluster in some_servers() {
        let schema = "create table mails (id int, email text, body text, primary key (id, email)) partition by hash (email);
            create table mails_0 partition of mails for values with (modulus 2, remainder 0);
            create table mails_1 (body text, gone int, email text not null, id int not null);
            alter table mails_1 drop column gone;
            alter table mails attach partition mails_1 for values with (modulus 2, remainder 1);
            insert into mails select i, 'user' || i || '@example.net', 'b' || i from generate_series(1, 3000) i;
            create table days (at date, note text) partition by range (at);
            create table days_all partition of days default;
            insert into days select date '2020-01-01' + i % 7, 'n' || i % 3 from generate_series(1, 500) i";
        let rules = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.mails: {columns: {email: email, id: keep, body: keep}}
  public.days: {columns: {note: keep}}
";
        let site = Site::new(cluster, cluster, schema, Some(rules));
        let report = site.report(0, &[]);
        assert_verified(&report);
        assert_eq!((&report["rows"], &report["tables"]), (&json!(3500), &json!(2)));
        sql(
            &site.target,
            "update mails set body = 'x' where id = 5; delete from days where ctid = '(0,3)'",
        );
        let report = site.report(10, &[]);
        let names = report["differences"].as_array().unwrap().iter().map(|table| &table["table"]);
        assert_eq!(names.collect::<Vec<_>>(), ["public.mails", "public.days_all"], "{report:#}");
        assert_eq!(report["differences"][0]["different"], 1);
        assert_eq!(report["differences"][1]["missing"], 1);
        // Only what was asked for.
        let report = site.report(10, &["--tables", "public.mails"]);
        assert_eq!(report["tables"], 1);
        site.verify(&["--tables", "public.nothing"]).expect_code(4);
    }
}

#[test]
fn values_that_one_rule_masks_and_another_keeps_are_leaks_and_common_words_are_none() {
    for cluster in some_servers() {
        let schema = "create table people (id int primary key, email text, first_name text, phone text);
            insert into people select i, 'user' || i || '@example.net',
                (array['Ada', 'Grace', 'Barbara', 'Margaret'])[1 + i % 4], '+1 202 555 ' || 1000 + i
            from generate_series(1, 1000) i;
            create table audit (id int primary key, line text, label text, extra jsonb);
            insert into audit select i, 'seen', (array['Barbara', 'Margaret', 'in progress'])[1 + i % 3], '{\"k\": \"v\"}'
            from generate_series(1, 1000) i;
            update audit set line = 'login of user5@example.net.' where id = 3;
            update audit set extra = '{\"phones\": [{\"home\": \"12025551999\"}]}' where id = 4";
        let rules = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.people: {columns: {email: email, first_name: first_name, phone: phone}}
  public.audit: {columns: {line: keep, label: keep, extra: {transform: json, paths: {\"$.k\": text_fill}, unknown: keep}}}
";
        let site = Site::new(cluster, cluster, schema, Some(rules));
        let report = site.report(7, &[]);
        assert_eq!(report["differences"], json!([]), "{report:#}");
        let leaks = report["leaks"].as_array().unwrap().iter().map(|leak| {
            (leak["column"].as_str().unwrap().to_owned(), leak["values"].as_u64().unwrap())
        });
        let expected = [("public.audit.line".to_owned(), 1), ("public.audit.extra".to_owned(), 1)];
        assert_eq!(leaks.collect::<Vec<_>>(), expected, "{report:#}");
        assert_verified(&site.report(0, &["--tables", "public.people"]));
    }
}

#[test]
fn orphans_are_counted_also_for_keys_that_the_server_does_not_vouch_for() {
    for cluster in some_servers() {
        let schema = "create table parents (id int primary key, code text unique);
            insert into parents select i, 'c' || i from generate_series(1, 100) i;
            create table children (id int primary key, parent int references parents, code text, loose int);
            insert into children select i, i, 'c' || i, i from generate_series(1, 100) i;
            update children set loose = 1000 where id < 4;
            alter table children add constraint loose_fk foreign key (loose) references parents not valid;
            create sequence counter; select setval('counter', 50)";
        let rules = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
references:
  - {from: public.children.code, to: public.parents.code}
";
        let site = Site::new(cluster, cluster, schema, Some(rules));
        let report = site.report(0, &[]);
        assert_verified(&report);
        assert_eq!(report["references"], 3);
        assert!(report["notes"].to_string().contains("3 orphans, as in the source"), "{report:#}");

        sql(
            &site.target,
            "set session_replication_role = replica; delete from parents where id in (7, 8);
             select setval('counter', 49)",
        );
        let report = site.report(10, &[]);
        let orphans = report["orphans"].as_array().unwrap().iter();
        let orphans =
            orphans.map(|one| (one["constraint"].as_str(), one["orphans"].as_u64().unwrap()));
        let expected = [(Some("children_parent_fkey"), 2), (Some("loose_fk"), 5), (None, 2)];
        assert_eq!(orphans.collect::<Vec<_>>(), expected, "{report:#}");
        assert_eq!(
            report["sequences_behind"],
            json!([{"sequence": "public.counter", "source": 50, "target": 49}])
        );
    }
}

#[test]
fn another_key_or_another_source_is_refused() {
    let site = Site::new(newest(), newest(), "create table t (id int)", None);
    let other = ("BACKLOT_KEY", "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    let args = |source: &str| {
        ["clone", "verify", "--source-url", source, "--target-url", &site.target.url]
            .map(str::to_owned)
    };
    let dir = site.dir.path();
    let output = backlot(dir, &args(&site.source.url), &[other]).expect_code(7);
    assert!(output.stderr.contains("another key"), "{}", output.stderr);
    let stranger = database(newest(), "verify_stranger");
    let output = backlot(dir, &args(&stranger.url), &[KEY]).expect_code(7);
    assert!(output.stderr.contains("another source"), "{}", output.stderr);
    // Nothing was cloned into the source.
    let args =
        ["clone", "verify", "--source-url", &site.source.url, "--target-url", &site.source.url];
    backlot(dir, &args, &[KEY]).expect_code(4);
}

/// Makes the target one that a stream feeds.
fn follow(site: &Site) {
    let run = query_value(&site.target, "select config from backlot.clone_run");
    let fact = |column: &str| {
        query_value(&site.target, &format!("select {column} from backlot.clone_run"))
    };
    let system = query_value(&site.source, "select system_identifier from pg_control_system()");
    let record = StreamRecord {
        slot_name: "backlot_test".into(),
        source: fact("source"),
        source_system_identifier: system,
        source_database: site.source.name.clone(),
        timeline: 1,
        publications: Vec::new(),
        owns_publications: true,
        consistent_lsn: Lsn(0),
        key_id: fact("key_id"),
        algorithm_version: fact("algorithm_version").parse().unwrap(),
        dictionary_hash: fact("dictionary_hash"),
        config: run,
    };
    let url = site.target.url.clone();
    block_on(async move {
        let session = Session::connect(&ConnInfo::parse(&url).unwrap(), "test").await.unwrap();
        create_stream_state(&session).await.unwrap();
        record.write(&session).await.unwrap();
    });
}

/// Answers a mark as a stream does; the source moves on before the asker looks.
async fn answer_mark(source: String, target: String) {
    let snapshot = async |url: &str| {
        let client = connect(url).await.unwrap();
        client.simple_query("begin isolation level repeatable read, read only").await.unwrap();
        let row = client.query_one("select pg_export_snapshot()", &[]).await.unwrap();
        let name: String = row.get(0);
        (client, name)
    };
    let control = connect(&target).await.unwrap();
    control.simple_query("select pg_advisory_lock(x'006261636b6c6f74'::bigint)").await.unwrap();
    let state = async || {
        let row = control.query_opt("select state from backlot.request", &[]).await.unwrap();
        row.map(|row| row.get::<_, String>(0))
    };
    while state().await.as_deref() != Some("asked") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (ours, theirs) = (snapshot(&source).await, snapshot(&target).await);
    let writer = connect(&source).await.unwrap();
    writer
        .simple_query("insert into t values (1000, 'later'); delete from t where id = 1")
        .await
        .unwrap();
    let answer = format!(
        "update backlot.request set state = 'answered', answer = '{}'",
        json!({"source_snapshot": ours.1, "target_snapshot": theirs.1, "lsn": "0/ABCDEF"})
    );
    control.simple_query(&answer).await.unwrap();
    while state().await.as_deref() != Some("done") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_stream_marks_the_position_at_which_both_sides_are_compared() {
    for cluster in some_servers() {
        let schema = "create table t (id int primary key, note text); create table s (id int primary key);
            insert into t select i, 'n' from generate_series(1, 100) i; insert into s select * from generate_series(1, 9)";
        let rules = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\ntables:\n  \
                     public.t: {columns: {note: keep}}\n";
        let site = Site::new(cluster, cluster, schema, Some(rules));
        follow(&site);
        // No stream runs, and the one that is started for the time being finds no slot.
        let output = site.verify(&[]);
        assert_ne!(output.code, Some(0), "{output:?}");
        // It may have asked the stream before that ended.
        sql(&site.target, "truncate backlot.request");

        let verify = |code: i32| {
            let mark = answer_mark(site.source.url.clone(), site.target.url.clone());
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            std::thread::scope(|scope| {
                let stream = scope.spawn(|| {
                    block_on(async {
                        mark.await;
                        drop(stopped.await);
                    });
                });
                wait_for("the stream's lock", Duration::from_secs(20), || {
                    query_value(
                        &site.target,
                        "select count(*) from pg_locks where locktype = 'advisory'",
                    ) != "0"
                });
                let report = site.report(code, &[]);
                drop(stop);
                stream.join().unwrap();
                sql(&site.target, "truncate backlot.request");
                report
            })
        };
        let report = verify(0);
        assert_verified(&report);
        assert_eq!(report["lsn"], "0/ABCDEF");
        assert_eq!(report["rows"], 109);

        // Bring the target to where the source is now, but for a table that is not followed.
        sql(
            &site.target,
            "insert into t values (1000, 'later'); delete from t where id = 1; delete from s where id = 3;
             insert into backlot.stream_table (relation, state, reason, rules_hash) values ('public.s', 'stale', 'a new column', '')",
        );
        sql(&site.source, "delete from t where id = 1000; insert into t values (1, 'n')");
        sql(&site.target, "delete from t where id = 1000; insert into t values (1, 'n')");
        let report = verify(9);
        assert_eq!(report["verdict"], "not_followed", "{report:#}");
        let exception = report["differences"][0]["not_followed"].as_str().unwrap();
        assert!(exception.starts_with("not followed since "), "{exception}");
        assert!(exception.ends_with("(a new column)"), "{exception}");
    }
}

#[test]
fn without_a_stream_what_changed_since_counts_and_the_report_says_so() {
    let schema = "create table t (id int primary key, note text); insert into t select i, 'n' from generate_series(1, 9) i";
    let rules = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\ntables:\n  \
                 public.t: {columns: {note: keep}}\n";
    let site = Site::new(newest(), newest(), schema, Some(rules));
    sql(&site.source, "update t set note = 'changed' where id = 4");
    let report = site.report(10, &[]);
    assert_eq!(report["differences"][0]["different"], 1);
    assert!(report["notes"].to_string().contains("changed there since the clone"), "{report:#}");
    let said = backlot(
        site.dir.path(),
        &["clone", "verify", "--source-url", &site.source.url, "--target-url", &site.target.url],
        &[KEY],
    );
    let said = said.expect_code(10);
    assert!(said.stdout.contains("different: public.t: 4: note"), "{}", said.stdout);
    assert!(
        said.stdout.contains("not verified: 0 of 1 tables equal, 0 orphans"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_subset_and_tables_left_empty_are_compared_as_they_were_cloned() {
    let schema = "create table people (id int primary key, name text); create table orders (id int primary key, person int references people);
        create table logs (id int); insert into people select i, 'x' from generate_series(1, 100) i;
        insert into orders select i, 1 + i % 100 from generate_series(1, 1000) i; insert into logs values (1)";
    let rules = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\nschema_only: [public.logs]\n\
                 tables:\n  public.people: {where: id % 3 = 0, columns: {name: keep}}\n";
    let site = Site::new(newest(), newest(), schema, Some(rules));
    let report = site.report(0, &[]);
    assert_verified(&report);
    assert_eq!(report["rows"], 33 + 330);
    sql(&site.target, "insert into logs values (7)");
    let report = site.report(10, &[]);
    assert_eq!(
        (&report["differences"][0]["table"], &report["differences"][0]["extra"]),
        (&json!("public.logs"), &json!(1))
    );
}
