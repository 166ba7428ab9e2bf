//! `clone stop`.

use super::{follow::follow, left, run, small};
use crate::support::{
    Database, clone::CLONE_LIMIT, database, query_value, servers, some_servers, sql, wait_for,
};

fn followed(cluster: &'static crate::support::Cluster, name: &str) -> (Database, Database) {
    let (source, target) = (small(cluster, name), database(cluster, &format!("{name}_to")));
    follow(&source, &target).run().expect_code(0);
    assert_eq!(left(&source).len(), 3);
    (source, target)
}

fn streams(target: &Database) -> String {
    query_value(target, "select count(*) from backlot.stream")
}

#[test]
fn stop_drops_slot_and_publications_and_can_be_repeated() {
    for cluster in some_servers() {
        let (source, target) = followed(cluster, "stop");
        let dry = run(&source.url, &target.url, &["--json", "clone", "stop", "--dry-run"]);
        let dry = dry.expect_code(0).json();
        assert_eq!((left(&source).len(), streams(&target).as_str()), (3, "1"));
        let stopped = run(&source.url, &target.url, &["--json", "clone", "stop"]);
        let stopped = stopped.expect_code(0).json();
        assert_eq!(
            (&dry["slots"], &dry["publications"]),
            (&stopped["slots"], &stopped["publications"])
        );
        assert_eq!(stopped["publications"].as_array().unwrap().len(), 2);
        assert_eq!((left(&source), streams(&target).as_str()), (Vec::new(), "0"));
        assert_eq!(query_value(&target, "select count(*) from t"), "50");
        let again = run(&source.url, &target.url, &["clone", "stop"]).expect_code(0);
        assert_eq!(again.stdout, "no stream feeds this target\n");
    }
}

#[test]
fn stop_does_without_what_is_gone_already() {
    let (source, target) = followed(servers().last().unwrap(), "stop_gone");
    sql(
        &source,
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
    );
    let publications = left(&source);
    sql(&source, &format!("drop publication {}", publications[0]));
    run(&source.url, &target.url, &["clone", "stop"]).expect_code(0);
    assert_eq!((left(&source), streams(&target).as_str()), (Vec::new(), "0"));
}

#[test]
fn stop_says_what_is_left_on_a_source_that_is_away() {
    let (source, target) = followed(servers().last().unwrap(), "stop_away");
    let away = "postgres://nobody@127.0.0.1:1/gone";
    let output = run(away, &target.url, &["clone", "stop"]).expect_code(8);
    let slot = query_value(&target, "select slot_name from backlot.stream");
    let statement = format!("select pg_drop_replication_slot('{slot}');");
    assert!(output.stderr.contains(&statement), "{}", output.stderr);
    assert!(
        output.stderr.contains(&format!("drop publication if exists \"{slot}\";")),
        "{}",
        output.stderr
    );
    assert_eq!(streams(&target), "1");
    run(away, &target.url, &["clone", "stop", "--forget"]).expect_code(0);
    assert_eq!((left(&source).len(), streams(&target).as_str()), (3, "0"));
    // What is left is found by its name.
    run(&source.url, &target.url, &["clone", "stop"]).expect_code(0);
    assert_eq!(left(&source), Vec::<String>::new());
}

#[test]
fn stop_refuses_another_source() {
    let cluster = servers().last().unwrap();
    let (source, target) = followed(cluster, "stop_other");
    let other = database(cluster, "stop_other_source");
    let output = run(&other.url, &target.url, &["clone", "stop"]).expect_code(7);
    assert!(output.stderr.contains(&source.name), "{}", output.stderr);
    assert_eq!(left(&source).len(), 3);
}

#[test]
fn replacing_a_followed_target_takes_the_old_stream_away_after_the_swap() {
    for cluster in some_servers() {
        let (source, target) = followed(cluster, "stop_replace");
        let before = left(&source);
        sql(&source, "insert into t values (51, 'n')");
        follow(&source, &target).args(&["--replace"]).run().expect_code(0);
        assert_eq!(query_value(&target, "select count(*) from t"), "51");
        let slot = query_value(&target, "select slot_name from backlot.stream");
        assert_eq!(left(&source), [slot.clone(), slot.clone(), format!("{slot}_insert")]);
        assert!(!before.contains(&slot));
        // And back to the first name.
        follow(&source, &target).args(&["--replace"]).run().expect_code(0);
        assert_eq!(left(&source), before);
        run(&source.url, &target.url, &["clone", "stop"]).expect_code(0);
        wait_for("nothing left", CLONE_LIMIT, || left(&source).is_empty());
    }
}
