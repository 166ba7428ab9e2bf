//! No superuser on the source: REPLICATION and SELECT, and CREATE with ownership, or an owner's
//! publications.

use super::{follow::follow, left, role, run, small};
use crate::support::{Clone, Database, database, query_strings, query_value, servers, sql};

fn as_role(url: &str, target: &Database) -> Clone {
    Clone::new(url, &target.url).args(&["--follow=later"])
}

const KEEP: &str = "version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n";

#[test]
fn a_role_with_replication_select_create_and_ownership_is_enough() {
    for cluster in servers() {
        let (source, target) = (small(cluster, "role_own"), database(cluster, "role_own_to"));
        let (name, url) = role(&source, "replication");
        sql(
            &source,
            &format!(
                "alter table t owner to \"{name}\"; alter table keyless owner to \"{name}\";
            grant create on database \"{}\" to \"{name}\"",
                source.name
            ),
        );
        as_role(&url, &target).config(KEEP).run().expect_code(0);
        assert_eq!(query_value(&target, "select count(*) from t"), "50");
        assert_eq!(left(&source).len(), 3);
        run(&url, &target.url, &["clone", "stop"]).expect_code(0);
        assert_eq!(left(&source), Vec::<String>::new());
    }
}

#[test]
fn a_role_that_may_not_publish_is_told_what_an_owner_has_to_run() {
    for cluster in servers() {
        let (source, target) = (small(cluster, "role_named"), database(cluster, "role_named_to"));
        let (name, url) = role(&source, "replication");
        sql(&source, &format!("grant select on all tables in schema public to \"{name}\""));
        let output = as_role(&url, &target).config(KEEP).run().expect_code(3);
        let hint: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
        let hint = hint["error"]["hint"].as_str().unwrap();
        assert_eq!(left(&source), Vec::<String>::new());
        // What it says, done.
        let statements = hint.split('`').nth(1).unwrap();
        sql(&source, statements);
        let publications = hint.split('`').nth(3).unwrap();
        let config = format!("{KEEP}{publications}\n");
        let summary = as_role(&url, &target).config(&config).run().expect_code(0).summary();
        assert_eq!(summary["stream"]["insert_only"]["public.keyless"], "no primary key");
        assert_eq!(query_value(&target, "select owns_publications from backlot.stream"), "f");
        assert_eq!(left(&source).len(), 3);
        // An owner's publications are not ours to drop.
        run(&url, &target.url, &["clone", "stop"]).expect_code(0);
        assert_eq!(left(&source).len(), 2);
    }
}

#[test]
fn named_publications_that_miss_something_are_refused_with_names_and_places() {
    for cluster in servers() {
        let (source, target) = (small(cluster, "named"), database(cluster, "named_to"));
        let check = |setup: &str, named: &str, expected: &[&str]| {
            sql(&source, setup);
            let config = format!("{KEEP}publications: [{named}]\n");
            let output = follow(&source, &target).config(&config).run().expect_code(2);
            for part in expected {
                assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
            }
            assert!(output.stderr.contains("transforms.yaml:3:"), "{}", output.stderr);
            for row in query_strings(&source, "select pubname from pg_publication") {
                sql(&source, &format!("drop publication {}", row[0]));
            }
            let slots =
                "select count(*) from pg_replication_slots where database = current_database()";
            assert_eq!(query_value(&source, slots), "0");
        };
        check("", "nowhere", &["the source has no publication `nowhere`"]);
        check(
            "create publication a for table t",
            "a",
            &["public.keyless is copied and not published"],
        );
        check(
            "create publication a for table t, keyless",
            "a",
            &[
                "publication `a` publishes public.keyless with updates, and the source's own UPDATE and DELETE fail: no primary key",
            ],
        );
        check(
            "create publication a for table t with (publish = 'insert, update, truncate'); create publication b for table keyless with (publish = 'insert, truncate')",
            "a, b",
            &["leave out some kinds of changes of public.t"],
        );
        if cluster.major >= 15 {
            check(
                "create publication a for table t (id); create publication b for table keyless where (a > 1) with (publish = 'insert, truncate')",
                "a, b",
                &["without its column(s) note", "publishes public.keyless with a row filter"],
            );
        }
        // A root that is published as itself stands for its partitions.
        sql(&source, "create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (9);
            create publication a for table t, p with (publish_via_partition_root); create publication b for table keyless with (publish = 'insert, truncate')");
        follow(&source, &target)
            .config(&format!("{KEEP}publications: [a, b]\n"))
            .run()
            .expect_code(0);
        let state = query_value(
            &target,
            "select state from backlot.stream_table where relation = 'public.p1'",
        );
        assert_eq!(state, "streaming");
        run(&source.url, &target.url, &["clone", "stop"]).expect_code(0);
    }
}
