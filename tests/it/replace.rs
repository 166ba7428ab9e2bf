//! `--replace`: the old target is there, whole and usable, until the new one is complete.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use backlot::instance::{ServerOptions, StopMode};
use rustix::process::Signal;

use crate::{
    crash::{
        GATE_INDEX, GATE_VIEW, Gate, clone, done, keepers, progress, source, wait_while_running,
        waiting,
    },
    support::{
        Clone, Cluster, Database, binaries,
        clone::{CLONE_LIMIT, assert_same, contents, state},
        database,
        database::{block_on, connect},
        own_cluster, own_cluster_with, query_strings, query_value, servers, some_servers, sql,
        try_query_strings, wait_for,
    },
};

/// A target that somebody works with.
fn occupied(cluster: &'static Cluster, name: &str) -> Database {
    let target = database(cluster, name);
    sql(
        &target,
        "create table precious (id int primary key, generation int); insert into precious select n, 1 from generate_series(1, 50) n",
    );
    target
}

fn named(cluster: &'static Cluster, name: &str) -> Database {
    Database { name: name.to_owned(), url: cluster.url(name), cluster }
}

/// The database where the replacement of `target` is built.
fn staging(target: &Database) -> Database {
    named(target.cluster, &format!("{}__backlot_new", target.name))
}

fn databases(cluster: &Cluster, like: &str) -> Vec<Vec<String>> {
    let postgres = Database {
        name: "postgres".into(),
        url: cluster.url("postgres"),
        cluster: servers().next().unwrap(),
    };
    query_strings(
        &postgres,
        &format!("select datname from pg_database where datname like '{like}%' order by 1"),
    )
}

#[test]
fn a_target_that_holds_data_is_refused_and_left_as_it_is() {
    let cluster = servers().next().unwrap();
    let (source, target) = (source(cluster, "replace_no"), occupied(cluster, "replace_no_to"));
    let before = state(&target);
    let output = clone(&source, &target).run().expect_code(7);
    assert!(
        output.stderr.contains("public.precious") && output.stderr.contains("--replace"),
        "{}",
        output.stderr
    );
    assert_eq!(state(&target), before);
}

#[test]
fn a_complete_clone_takes_the_targets_place_and_nothing_is_left_behind() {
    for cluster in some_servers() {
        let source = source(cluster, "replace_yes");
        // 63 bytes leave no room for a suffix.
        let made = database(cluster, "replace_yes_to");
        let long = format!("{:x<63}", made.name);
        let postgres = named(cluster, "postgres");
        sql(&postgres, &format!("create database \"{long}\""));
        let target = named(cluster, &long);
        sql(&target, "create table precious ()");

        let clone = clone(&source, &target).keep_all().args(&["--replace"]);
        clone.run().expect_code(0);
        assert_same(&state(&source), &target);
        assert_eq!(databases(cluster, &made.name), [[made.name.clone()], [long.clone()]]);
        assert_eq!(
            databases(cluster, "%\\_\\_backlot\\_")
                .iter()
                .filter(|row| row[0].starts_with("replace_yes"))
                .count(),
            0
        );
        // And again, over a clone.
        sql(&source, "delete from app.small where id = 1");
        clone.run().expect_code(0);
        assert_same(&state(&source), &target);
        assert_eq!(keepers(&source), 0);
    }
}

/// Whatever happens to the new clone, contents and sessions of the old target do not notice.
fn untouched(target: &Database, failing: impl FnOnce()) {
    let before = state(target);
    let client = block_on(connect(&target.url)).unwrap();
    let look = async |client: &tokio_postgres::Client| {
        client.query_one("select count(*) from precious", &[]).await.map(|row| row.get::<_, i64>(0))
    };
    assert_eq!(block_on(look(&client)).unwrap(), 50);
    failing();
    assert_eq!(block_on(look(&client)).unwrap(), 50, "the session from before still works");
    assert_eq!(state(target), before);
}

#[test]
fn a_replacement_that_fails_leaves_the_old_target_and_its_sessions_alone() {
    let cluster = servers().last().unwrap();
    let source = source(cluster, "replace_fail");
    sql(&source, "alter table app.big add constraint corp check (email like '%@corp.example')");
    let target = occupied(cluster, "replace_fail_to");
    untouched(&target, || {
        let clone = clone(&source, &target).args(&["--replace"]);
        let output = clone
            .config("version: 1\ntables: {app.big: {columns: {email: email}}}\n")
            .run()
            .expect_code(1);
        assert!(output.stderr.contains("constraint"), "{}", output.stderr);
        assert!(!output.stderr.contains("@corp"), "{}", output.stderr);
    });
    // With the rule mended, `--restart` begins anew.
    let clone = clone(&source, &target).keep_all().args(&["--replace"]);
    clone.run().expect_code(7);
    clone.args(&["--restart"]).run().expect_code(0);
    assert_same(&state(&source), &target);
}

#[test]
fn a_replacement_that_is_killed_or_interrupted_leaves_the_old_target_alone_and_goes_on() {
    for cluster in some_servers() {
        let source = source(cluster, "replace_kill");
        let target = occupied(cluster, "replace_kill_to");
        let clone = clone(&source, &target).keep_all().args(&["--replace"]);
        untouched(&target, || {
            let mut running = clone.start();
            wait_while_running(&mut running, "ranges done", || done(&staging(&target)) >= 2);
            assert!(running.kill());
            let gate = Gate::close(&staging(&target), GATE_INDEX);
            let mut running = clone.start();
            wait_while_running(&mut running, "the index build", || waiting(&staging(&target)) > 0);
            running.signal(Signal::TERM);
            let output = running.wait().expect_code(130);
            assert!(output.stderr.contains("the target is untouched"), "{}", output.stderr);
            gate.open();
        });
        let summary = clone.run().expect_code(0).summary();
        assert_eq!((&summary["resumed"], &summary["ranges_copied"]), (&true.into(), &0.into()));
        assert_same(&state(&source), &target);
    }
}

#[test]
fn a_source_that_goes_away_leaves_the_old_target_alone() {
    let (own, mut server) = own_cluster(binaries().first().unwrap());
    let source = source(own, "replace_away");
    let target = occupied(servers().last().unwrap(), "replace_away_to");
    let clone = clone(&source, &target).keep_all().args(&["--replace"]);
    untouched(&target, || {
        let mut running = clone.start();
        wait_while_running(&mut running, "ranges done", || done(&staging(&target)) >= 2);
        server.stop(StopMode::Immediate).unwrap();
        running.wait().expect_code(8);
    });
    server.start().unwrap();
    clone.run().expect_code(0);
    assert_same(&state(&source), &target);
    server.stop(StopMode::Immediate).unwrap();
}

#[test]
fn readers_see_all_of_the_old_or_all_of_the_new() {
    for cluster in some_servers() {
        let source = database(cluster, "replace_read");
        sql(
            &source,
            "create table precious (id int primary key, generation int); insert into precious select n, 2 from generate_series(1, 70) n",
        );
        let target = occupied(cluster, "replace_read_to");
        let clone = Clone::new(&source.url, &target.url).keep_all().args(&["--replace"]);
        let stop = AtomicBool::new(false);
        let poll = || {
            let (mut seen, mut failed_in_a_row, mut longest) = (BTreeSet::new(), 0_u32, 0);
            while !stop.load(Ordering::Relaxed) {
                let rows = try_query_strings(
                    &target,
                    "select count(*), min(generation), max(generation) from precious",
                );
                failed_in_a_row = if rows.is_some() { 0 } else { failed_in_a_row + 1 };
                longest = longest.max(failed_in_a_row);
                seen.extend(rows.map(|mut rows| rows.remove(0)));
            }
            (seen, longest)
        };
        std::thread::scope(|scope| {
            let readers = [scope.spawn(poll), scope.spawn(poll), scope.spawn(poll)];
            let output = clone.run();
            // Each reader must have had the time to see the new one.
            wait_for("a read of the new target", CLONE_LIMIT, || {
                try_query_strings(&target, "select max(generation) from precious")
                    .is_some_and(|rows| rows[0][0] == "2")
            });
            std::thread::sleep(Duration::from_millis(1));
            stop.store(true, Ordering::Relaxed);
            output.expect_code(0);
            let (old, new) = (
                ["50", "1", "1"].map(str::to_owned).to_vec(),
                ["70", "2", "2"].map(str::to_owned).to_vec(),
            );
            for reader in readers {
                let (seen, longest) = reader.join().unwrap();
                assert!(seen.iter().all(|row| *row == old || *row == new), "{seen:?}");
                assert!(seen.contains(&old), "{seen:?}");
                assert!(longest < 20, "{longest} connections failed in a row");
            }
        });
    }
}

#[test]
fn a_role_that_may_not_replace_is_told_so_before_anything_is_copied() {
    let cluster = servers().last().unwrap();
    let source = source(cluster, "replace_role");
    let target = occupied(cluster, "replace_role_to");
    let role = format!("role_{}", target.name);
    sql(&target, &format!("create role \"{role}\" login"));
    let url = url_as(&target, &role);
    let clone = Clone::new(&source.url, &url).keep_all().args(&["--replace"]);
    let output = clone.run().expect_code(3);
    assert!(output.stderr.contains("lacks CREATEDB"), "{}", output.stderr);
    sql(&target, &format!("alter role \"{role}\" createdb"));
    let output = clone.run().expect_code(3);
    assert!(output.stderr.contains("does not own the target"), "{}", output.stderr);
    assert_eq!(databases(cluster, &target.name), [[target.name.clone()]]);
    assert_eq!(keepers(&source), 0);
}

#[test]
fn a_role_that_is_no_superuser_replaces_a_target_that_autovacuum_works_on() {
    for binaries in binaries() {
        let options = ServerOptions::scratch().with("autovacuum_naptime", "1s");
        let (own, mut server) = own_cluster_with(binaries, options, |_| {});
        let (source, target) =
            (occupied(own, "replace_vacuum"), occupied(own, "replace_vacuum_to"));
        let role = format!("role_{}", target.name);
        sql(
            &target,
            &format!(
                "create role \"{role}\" login createdb; alter database \"{}\" owner to \"{role}\"",
                target.name
            ),
        );
        sql(&source, &format!("grant select on precious to \"{role}\""));
        // A page takes longer than a tenth of a second.
        sql(
            &target,
            "create table slow with (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
                autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0) as
                select n, repeat('x', 500) as pad from generate_series(1, 50000) n;
             delete from slow where n % 2 = 0",
        );
        let vacuumed =
            "select count(*) from pg_stat_progress_vacuum v join pg_stat_activity a using (pid)
            where v.relid = 'slow'::regclass and a.backend_type = 'autovacuum worker'";
        wait_for("autovacuum", CLONE_LIMIT, || query_value(&target, vacuumed) == "1");
        let clone = Clone::new(&url_as(&source, &role), &url_as(&target, &role)).keep_all();
        let clone = clone.args(&["--replace"]);
        assert_eq!(query_value(&target, vacuumed), "1");
        clone.run().expect_code(0);
        assert_eq!(query_value(&target, "select to_regclass('slow') is null"), "t");
        assert_eq!(query_value(&target, "select count(*) from precious"), "50");
        server.stop(StopMode::Immediate).unwrap();
    }
}

/// The same database as another role, whom the servers of the tests trust.
fn url_as(database: &Database, role: &str) -> String {
    let user = format!("user={}", query_value(database, "select current_user"));
    assert!(database.url.contains(&user), "{}", database.url);
    database.url.replacen(&user, &format!("user={role}"), 1)
}

#[test]
fn a_clone_that_was_killed_before_it_was_swapped_in_is_swapped_in_by_the_next_run() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "replace_swap"), occupied(cluster, "replace_swap_to"));
        let clone = clone(&source, &target).keep_all().args(&["--replace"]);
        let mut running = clone.start();
        let new = staging(&target);
        wait_while_running(&mut running, "the data phase", || done(&new) > 0);
        let gate = Gate::close(&new, GATE_VIEW);
        wait_while_running(&mut running, "the materialized view", || waiting(&new) > 0);
        // A change of the database that is not committed: the swap's rename waits behind it, and
        // a session that connects does not.
        let postgres = named(cluster, "postgres");
        let holder = block_on(connect(&postgres.url)).unwrap();
        let hold = format!("begin; alter database \"{}\" connection limit 77", target.name);
        block_on(holder.batch_execute(&hold)).unwrap();
        gate.open();
        let swapping = "select count(*) from pg_stat_activity
            where application_name = 'backlot swap' and wait_event_type = 'Lock' and query like '%' || '";
        let swapping = format!("{swapping}{}' || '%'", target.name);
        wait_while_running(&mut running, "the swap", || query_value(&postgres, &swapping) != "0");
        assert!(running.kill());
        // Or the server would go through with what it was told last.
        let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'backlot swap'";
        sql(&postgres, &format!("{end} and query like '%' || '{}' || '%'", target.name));
        block_on(holder.batch_execute("rollback")).unwrap();
        assert_eq!(query_value(&target, "select count(*) from precious"), "50");

        let summary = clone.run().expect_code(0).summary();
        assert_eq!((&summary["resumed"], &summary["ranges_copied"]), (&true.into(), &0.into()));
        assert_same(&state(&source), &target);
        assert_eq!(databases(cluster, &target.name), [[target.name.clone()]]);
        assert_eq!(keepers(&source), 0);
    }
}

#[test]
fn what_a_swap_killed_after_its_renames_left_behind_is_dropped_by_the_next_run() {
    let cluster = servers().last().unwrap();
    let (source, target) = (source(cluster, "replace_old"), database(cluster, "replace_old_to"));
    let clone = clone(&source, &target).keep_all().args(&["--replace"]);
    clone.run().expect_code(0);
    // As after the renames: the old database is there under its other name, and in use.
    let old = format!("{}__backlot_old", target.name);
    sql(&named(cluster, "postgres"), &format!("create database \"{old}\""));
    let client = block_on(connect(&cluster.url(&old))).unwrap();
    clone.run().expect_code(0);
    drop(client);
    assert_eq!(databases(cluster, &target.name), [[target.name.clone()]]);
    assert_same(&state(&source), &target);
    assert!(progress(&target).is_some_and(|(phase, ..)| phase == "done"));
    assert_eq!(contents(&source), contents(&target));
}

/// Owner, access list and settings of a database, in the catalog's words.
fn belongings(target: &Database) -> Vec<Vec<String>> {
    let query = "select 'owner', pg_get_userbyid(datdba), '', '' from pg_database where datname = current_database()
        union all
        select 'grant', a.grantor::regrole::text, a.grantee::regrole::text, a.privilege_type || ' ' || a.is_grantable
        from pg_database d, aclexplode(d.datacl) a where d.datname = current_database()
        union all
        select 'setting', setrole::regrole::text, array_to_string(setconfig, ' '), '' from pg_db_role_setting
        where setdatabase = (select oid from pg_database where datname = current_database())
        order by 1, 2, 3, 4";
    query_strings(target, query)
}

#[test]
fn a_replacement_has_the_owner_the_grants_and_the_settings_of_what_it_replaces() {
    for cluster in some_servers() {
        let source = source(cluster, "replace_own");
        let target = occupied(cluster, "replace_own_to");
        let name = &target.name;
        for statement in [
            format!("create role \"{name} owner\""),
            format!("create role \"{name} reader\""),
            format!("alter database \"{name}\" owner to \"{name} owner\""),
            format!("revoke temporary on database \"{name}\" from public"),
            format!("grant connect on database \"{name}\" to \"{name} reader\" with grant option"),
            format!(
                "alter database \"{name}\" set search_path = \"$user\", 'odd \"name, 2', public"
            ),
            format!("alter database \"{name}\" set app.tenant = 'o''k = \\1'"),
            format!("alter database \"{name}\" set work_mem = '7MB'"),
            format!(
                "alter role \"{name} reader\" in database \"{name}\" set statement_timeout = '3s'"
            ),
        ] {
            sql(&target, &statement);
        }
        let before = belongings(&target);
        assert_eq!(before.len(), 1 + 5 + 2, "{before:?}");
        let clone = clone(&source, &target).keep_all().args(&["--replace"]);
        let summary = clone.run().expect_code(0).summary();
        assert!(!summary["warnings"].to_string().contains("carried over"), "{summary}");
        assert_eq!(belongings(&target), before);
        assert_same(&state(&source), &target);
    }
}

#[test]
fn a_setting_that_the_role_may_not_give_is_named_and_the_replacement_stands() {
    let cluster = servers().last().unwrap();
    let source = database(cluster, "replace_may");
    sql(&source, "create table precious (id int primary key, generation int)");
    let target = occupied(cluster, "replace_may_to");
    let role = format!("role_{}", target.name);
    sql(&target, &format!("create role \"{role}\" login createdb"));
    sql(&target, &format!("alter database \"{}\" owner to \"{role}\"", target.name));
    sql(&target, &format!("alter database \"{}\" set work_mem = '7MB'", target.name));
    sql(&target, &format!("alter database \"{}\" set log_statement = 'ddl'", target.name));
    let clone = Clone::new(&source.url, &url_as(&target, &role)).keep_all().args(&["--replace"]);
    let summary = clone.run().expect_code(0).summary();
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("not carried over to the new database: the setting log_statement"));
    assert!(!warnings.contains("work_mem"), "{warnings}");
    assert_eq!(
        belongings(&target)[1..],
        [["setting", "-", "work_mem=7MB", ""].map(str::to_owned).to_vec()]
    );
    assert_eq!(query_value(&target, "select count(*) from precious"), "0");
}
