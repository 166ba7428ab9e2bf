//! A branch does not do what its parent did to others.

use std::{
    io::ErrorKind,
    net::TcpListener,
    time::{Duration, Instant},
};

use super::place::Ground;
use crate::support::{binaries, wait_for};

/// `BACKLOT_BRANCH_QUIET=60` for the whole proof; a subscription's worker starts at once.
fn quiet_time() -> Duration {
    let seconds = std::env::var_os("BACKLOT_BRANCH_QUIET");
    Duration::from_secs(seconds.map_or(4, |seconds| seconds.to_str().unwrap().parse().unwrap()))
}

#[test]
fn a_branch_speaks_to_nobody() {
    for ground in Ground::all() {
        for binaries in binaries() {
            let project = ground.project(binaries);
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            let port = listener.local_addr().unwrap().port();
            let archived = project.folder.join("archived");
            project.sql("main", "alter system set wal_level = logical");
            project.sql("main", "alter system set archive_mode = on");
            let command =
                format!("alter system set archive_command = 'touch {}'", archived.display());
            project.sql("main", &command);
            let standby =
                format!("alter system set primary_conninfo = 'host=127.0.0.1 port={port}'");
            project.sql("main", &standby);
            project.json(&[
                "branch",
                "set",
                "main",
                "setting.archive_timeout=1s",
                "setting.restore_command=false",
            ]);
            project.json(&["stop"]);
            project.sql(
                "main",
                "create schema cron; create table cron.job (id int, active bool);
                insert into cron.job values (1, true), (2, false)",
            );
            project.sql(
                "main",
                "select pg_create_physical_replication_slot('p', true);
                select pg_create_logical_replication_slot('l', 'test_decoding')",
            );
            let subscription = format!(
                "create subscription s connection 'host=127.0.0.1 port={port} dbname=x' publication p
                 with (connect = false, slot_name = 's')"
            );
            project.sql("main", &subscription);
            project.sql("main", "alter subscription s enable");
            // The parent does speak: the test can fail.
            let limit = Duration::from_secs(30);
            wait_for("the parent's subscription to connect", limit, || connects(&listener) > 0);
            project.json(&["stop"]);
            while connects(&listener) > 0 {}
            drop(std::fs::remove_file(&archived));

            let created = project.json(&ground.create("b"));
            assert_eq!(created["subscriptions_disabled"], 1, "{created}");
            assert_eq!(created["jobs_stopped"], 1, "{created}");
            let one = |query: &str| project.value("b", query);
            project.sql("b", "create table t as select 1; select pg_switch_wal()");
            assert_eq!(one("select count(*) from pg_replication_slots"), "0");
            assert_eq!(
                one("select subenabled || ' ' || (subslotname is null) from pg_subscription"),
                "false true"
            );
            assert_eq!(one("select count(*) from cron.job where active"), "0");
            assert_eq!(one("show archive_mode"), "off");
            assert_eq!(one("show restore_command"), "");
            let until = Instant::now() + quiet_time();
            while Instant::now() < until {
                assert_eq!(connects(&listener), 0, "the branch connects to where its parent did");
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(!archived.exists(), "the branch archives");
            // It can go without the publisher.
            project.sql("b", "drop subscription s");
        }
    }
}

fn connects(listener: &TcpListener) -> usize {
    let mut count = 0;
    loop {
        match listener.accept() {
            Ok(_) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(error) => panic!("{error}"),
        }
    }
}
