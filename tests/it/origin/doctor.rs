//! `doctor` names what is missing, and its fixes mend it.

use serde_json::Value;

use super::{open_transaction, role, run, small};
use crate::support::{binaries, database, own_cluster, servers, sql};

fn findings(output: &crate::support::Output) -> Vec<Value> {
    output.json()["findings"].as_array().unwrap().clone()
}

fn ids<'f>(findings: &'f [Value], severity: &str) -> Vec<&'f str> {
    let of = findings.iter().filter(|finding| finding["severity"] == severity);
    of.map(|finding| finding["id"].as_str().unwrap()).collect()
}

#[test]
fn what_doctor_says_is_missing_is_all_that_is_missing() {
    for cluster in servers() {
        let source = small(cluster, "doctor");
        sql(
            &source,
            "create schema app; create table app.secret (id int primary key);
            create unlogged table quick (id int primary key)",
        );
        let target = database(cluster, "doctor_to");
        let (name, url) = role(&source, "");
        let (target_name, target_url) = role(&target, "");
        let doctor = || run(&url, &target_url, &["--json", "doctor"]);
        let first = doctor().expect_code(3);
        let found = findings(&first);
        let mut errors = ids(&found, "error");
        errors.sort_unstable();
        assert_eq!(
            errors,
            ["create", "create", "ownership", "replication", "select", "usage"],
            "{found:#?}"
        );
        for finding in found.iter().filter(|finding| finding["severity"] == "error") {
            let fix = finding["fix"].as_str().unwrap();
            let on = if finding["side"] == "source" { &source } else { &target };
            if finding["id"] == "ownership" {
                for table in ["t", "keyless", "quick", "app.secret"] {
                    sql(on, &format!("alter table {table} owner to \"{name}\""));
                }
            } else {
                sql(on, fix.split("; or let").next().unwrap());
            }
        }
        let second = doctor().expect_code(0);
        let found = findings(&second);
        let mut warnings = ids(&found, "warning");
        // Of other tests.
        warnings.retain(|id| *id != "transactions");
        warnings.sort_unstable();
        warnings.dedup();
        assert_eq!(
            warnings,
            [
                "max_slot_wal_keep_size",
                "not_followed",
                "pg_read_all_stats",
                "replica_identity",
                "session_replication_role"
            ],
            "{found:#?}"
        );
        sql(&source, &format!("grant pg_read_all_stats to \"{name}\""));
        // And a stream begins where doctor found no error.
        let clone =
            crate::support::Clone::new(&url, &target.url).keep_all().args(&["--follow=later"]);
        clone.run().expect_code(0);
        sql(
            &target,
            &format!(
                "grant usage on schema backlot to \"{target_name}\"; grant select on all tables in schema backlot to \"{target_name}\""
            ),
        );
        let found = findings(&doctor().expect_code(0));
        assert!(ids(&found, "good").contains(&"stream"), "{found:#?}");
        sql(
            &source,
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()",
        );
        let found = findings(&doctor().expect_code(7));
        assert_eq!(ids(&found, "error"), ["stream"]);
        let fix =
            found.iter().find(|finding| finding["id"] == "stream").unwrap()["fix"].to_string();
        assert!(fix.contains("backlot clone start --follow --replace"), "{fix}");
    }
}

#[test]
fn doctor_sees_what_holds_a_slot_up_and_what_fails_already() {
    let (cluster, _server) = own_cluster(binaries().last().unwrap());
    let source = small(cluster, "doctor_warn");
    sql(&source, "create publication theirs for table keyless");
    let blocker = open_transaction(&source);
    let found = findings(&run(&source.url, "", &["--json", "doctor"]).expect_code(0));
    let warnings = ids(&found, "warning");
    assert!(warnings.contains(&"transactions") && warnings.contains(&"updates_fail"), "{found:#?}");
    drop(blocker);
    // For people.
    let output = run(&source.url, "", &["doctor"]).expect_code(0);
    assert!(output.stdout.contains("theirs publishes"), "{}", output.stdout);
    let output = run("postgres://nobody@127.0.0.1:1/gone", "", &["doctor"]).expect_code(7);
    assert!(output.stdout.contains("cannot connect"), "{}", output.stdout);
}
