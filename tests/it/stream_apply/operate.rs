//! What is said of a stream from outside, and what is asked of its quarantine.

use std::time::Duration;

use backlot::sink::apply::{OnError, Route};
use serde_json::Value;

use super::rig::Rig;
use crate::support::database::{block_on, connect};
use crate::support::{
    Clone, Cluster, Database, Output, backlot, database, query_strings, query_value, servers,
    some_servers, sql, wait_for,
};

const LOCK_KEY: i64 = 0x0062_6163_6b6c_6f74;

fn clone_verb(database: &Database, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let all = [&["--json", "clone"][..], args, &["--target-url", &database.url]].concat();
    backlot(dir.path(), &all, &[])
}

/// A stream whose target refused one of three transactions.
fn quarantined(cluster: &'static Cluster) -> Rig {
    let source = "create table t (id int primary key, v text)";
    let target =
        "create table t (id int primary key, v text constraint polite check (v <> 'secret'))";
    let mut rig = Rig::with_target(cluster, cluster, source, target, true);
    let mut applier = rig.applier(OnError::Quarantine);
    for statement in [
        "insert into t values (1, 'fine')",
        "insert into t values (2, 'other'), (3, 'secret')",
        "insert into t values (4, 'fine')",
    ] {
        sql(&rig.source, statement);
        rig.follow(&mut applier, &Route::Fast);
    }
    assert_eq!(
        query_value(&rig.target, "select string_agg(id::text, ' ' order by id) from t"),
        "1 4"
    );
    rig
}

#[test]
fn a_quarantined_transaction_is_listed_and_retried() {
    for cluster in some_servers() {
        let rig = quarantined(cluster);
        let status = clone_verb(&rig.target, &["status", "--source-url", &rig.source.url]);
        let status = status.expect_code(9);
        assert!(!status.stdout.contains("secret") && !status.stderr.contains("secret"));
        assert!(status.stderr.contains("\"left_over\""), "{}", status.stderr);
        let stream = &status.json()["stream"];
        let one = &stream["quarantine"][0];
        assert_eq!(one["relation"], "public.t");
        assert_eq!((&one["sqlstate"], &one["changes"]), (&"23514".into(), &2.into()));
        assert_eq!(stream["quarantine"].as_array().unwrap().len(), 1);
        assert_eq!((&stream["is_running"], &stream["source_error"]), (&false.into(), &Value::Null));
        assert!(stream["lag_bytes"].is_u64() && stream["lag_seconds"].is_number(), "{stream}");
        assert_eq!(stream["slot"]["wal_status"], "reserved");
        assert_eq!(stream["slot"]["active_pid"], Value::Null);

        let id = one["id"].to_string();
        clone_verb(&rig.target, &["retry", "77"]).expect_code(4);
        let again = clone_verb(&rig.target, &["retry", &id]).expect_code(9).json();
        assert_eq!(again["retried"][0]["applied"], false);
        assert!(again["retried"][0]["reason"].as_str().unwrap().contains("polite"), "{again}");

        sql(&rig.target, "alter table t drop constraint polite");
        let done = clone_verb(&rig.target, &["retry", "--all"]).expect_code(0).json();
        assert_eq!(
            (&done["retried"][0]["applied"], &done["quarantined"]),
            (&true.into(), &0.into())
        );
        rig.assert_same();
        let status = clone_verb(&rig.target, &["status"]).expect_code(0).json();
        assert_eq!(status["stream"]["quarantine"].as_array().unwrap().len(), 0);
        assert_eq!(status["stream"]["lag_bytes"], Value::Null, "nobody asked the source");
    }
}

#[test]
fn a_running_stream_is_seen_and_asked_to_retry() {
    let rig = quarantined(servers().next().unwrap());
    // Stands for the stream: holds the target's lock, answers requests.
    let holder = block_on(async {
        let holder = connect(&rig.target.url).await.unwrap();
        holder.batch_execute("set application_name = 'backlot stream'").await.unwrap();
        holder.query_one("select pg_advisory_lock($1)", &[&LOCK_KEY]).await.unwrap();
        holder
    });
    let status = clone_verb(&rig.target, &["status"]).expect_code(9).json();
    assert_eq!(status["lock_holder"]["application_name"], "backlot stream");
    let stream = &status["stream"];
    assert_eq!((&stream["is_running"], &stream["changes_per_second"]), (&true.into(), &0.0.into()));

    let asked = "select arguments ->> 'quarantine_id' from backlot.request where kind = 'retry' and state = 'asked'";
    let (done, asked) = std::thread::scope(|scope| {
        let retry = scope.spawn(|| clone_verb(&rig.target, &["retry", "--all"]));
        let mut found = Vec::new();
        wait_for("the request", Duration::from_secs(30), || {
            found = query_strings(&rig.target, asked);
            !found.is_empty()
        });
        sql(
            &rig.target,
            "delete from backlot.quarantine; update backlot.request set state = 'done' where kind = 'retry'",
        );
        (retry.join().unwrap(), found)
    });
    assert_eq!(asked, [[stream["quarantine"][0]["id"].to_string()]]);
    let done = done.expect_code(0).json();
    assert_eq!((&done["retried"][0]["applied"], &done["quarantined"]), (&true.into(), &0.into()));
    drop(holder);
}

#[test]
fn the_state_of_a_clone_is_told() {
    let cluster = servers().next().unwrap();
    let (source, target) = (database(cluster, "told_source"), database(cluster, "told_target"));
    sql(
        &source,
        "create table t (id int primary key); insert into t select generate_series(1, 100)",
    );
    clone_verb(&target, &["status"]).expect_code(4);
    clone_verb(&target, &["retry", "--all"]).expect_code(4);
    Clone::new(&source.url, &target.url).keep_all().run().expect_code(0);
    let status = clone_verb(&target, &["status"]).expect_code(0).json();
    let clone = &status["clone"];
    assert_eq!(
        (&clone["phase"], &clone["rows"], &status["stream"]),
        (&"done".into(), &100.into(), &Value::Null)
    );
    assert!(clone["finished_at"].is_string() && clone["ranges"] == clone["ranges_done"], "{clone}");

    // As a kill in the middle of the copy leaves it.
    sql(
        &target,
        "update backlot.clone_run set phase = 'data', finished_at = null;
         insert into backlot.clone_range (run_id, range_id, relation, first_block)
         select run_id, 1000, 'public.t', 0 from backlot.clone_run",
    );
    let status = clone_verb(&target, &["status"]).expect_code(0).json();
    let clone = &status["clone"];
    assert_eq!(
        (&clone["phase"], &clone["is_running"], &clone["eta_seconds"]),
        (&"data".into(), &false.into(), &Value::Null)
    );
    assert_eq!(clone["ranges"].as_i64().unwrap() - clone["ranges_done"].as_i64().unwrap(), 1);
    let dir = tempfile::tempdir().unwrap();
    let shown = backlot(dir.path(), &["clone", "status", "--target-url", &target.url], &[]);
    assert!(shown.expect_code(0).stdout.contains("interrupted"));
    let holder = block_on(async {
        let holder = connect(&target.url).await.unwrap();
        holder.query_one("select pg_advisory_lock($1)", &[&LOCK_KEY]).await.unwrap();
        holder
    });
    let status = clone_verb(&target, &["status"]).expect_code(0).json();
    assert_eq!(status["clone"]["is_running"], true);
    assert!(status["clone"]["eta_seconds"].as_f64().unwrap() > 0.0);
    drop(holder);
}
