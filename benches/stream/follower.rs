//! The three ways to read a backlog.

use crate::backlog::Stage;
use crate::process::{cpu_seconds, peak_mib};
use crate::proxy::Proxy;
use crate::site::Site;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const KEY: &str = "5f3c1e0b7a9d4c2e8b6f0a1d3c5e7f90b2d4f6a8c0e1f3a5b7c9d1e3f5a7b9c1";
/// A backlog that takes longer is stuck.
const LIMIT: Duration = Duration::from_mins(20);
/// How often the target is asked, which takes CPU from whoever is measured.
const POLL: Duration = Duration::from_millis(10);

/// What a run of the stream took, up to the moment when the end of the backlog was visible.
pub(crate) struct Stream {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_mib: f64,
}

pub(crate) struct Native;

pub(crate) fn backlot(site: &Site, verb: &str, source: &str, target: &str, more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backlot"));
    command.args(["--json", "clone", verb, "--source-url", source, "--target-url", target]);
    command.args(more).env("BACKLOT_KEY", KEY).current_dir(&site.scratch);
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// SIGTERM, and then it must end well.
pub(crate) fn end(mut child: Child) {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

/// Clones the source: for the stream with its slot, and as it is for the subscription.
pub(crate) fn prepare(site: &Site, database: &str, config: &str) -> Stage {
    let (base, native) = (format!("{database}_base"), format!("{database}_native_base"));
    let file = site.scratch.join("transforms.yaml");
    std::fs::write(&file, config).unwrap();
    // The name of the database that the stream will find, so that the record fits.
    let target = format!("{database}_target");
    site.create(&site.target, &target, "template0");
    let (_, source_url) = site.source_address(database);
    let target_url = site.target.url(&target);
    let flags = ["--follow=later", "--config", file.to_str().unwrap(), "--hold-snapshot", "0s"];
    let status = backlot(site, "start", &source_url, &target_url, &flags).wait().unwrap();
    assert!(status.success(), "{status}");
    let slot = site.value(&site.target, &target, "select slot_name from backlot.stream");
    let names =
        "select string_agg(quote_ident(p), ',') from backlot.stream, unnest(publications) p";
    let publications = site.value(&site.target, &target, names);
    copy_slot(site, database, &slot, &format!("base_{database}"));
    site.sql(&site.target, "postgres", &format!("alter database {target} rename to {base}"));

    site.sql(&site.source, database, "create publication native for all tables");
    let native_slot = format!("native_{database}");
    site.sql(
        &site.source,
        database,
        &format!("select pg_create_logical_replication_slot('{native_slot}', 'pgoutput')"),
    );
    site.create(&site.target, &native, "template0");
    let mut dump = Command::new(site.binaries.program("pg_dump"))
        .args(["--no-publications", "-d", &source_url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let restore = Command::new(site.binaries.program("psql"))
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", &site.target.url(&native)])
        .stdin(dump.stdout.take().unwrap())
        .stdout(Stdio::null())
        .status();
    assert!(restore.unwrap().success() && dump.wait().unwrap().success());
    Stage::new(database, slot, native_slot, publications)
}

/// The copy belongs to the database where it is made.
fn copy_slot(site: &Site, database: &str, from: &str, to: &str) {
    let copy = format!("select pg_copy_logical_replication_slot('{from}', '{to}')");
    site.sql(&site.source, database, &copy);
}

/// Drops it as soon as nobody reads it any more.
fn drop_slot(site: &Site, slot: &str) {
    let client = site.connect(&site.source, "postgres");
    let drop = format!(
        "select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots
         where slot_name = '{slot}' and not active"
    );
    let there = format!("select count(*) from pg_replication_slots where slot_name = '{slot}'");
    while site.ask(&client, &there).unwrap() != "0" {
        site.ask(&client, &drop).unwrap();
        std::thread::sleep(POLL);
    }
}

/// Waits until the end of the backlog is visible in the database of the target.
fn visible(site: &Site, database: &str, mut check: impl FnMut()) {
    let client = site.connect(&site.target, database);
    let deadline = Instant::now() + LIMIT;
    while site.ask(&client, "select id from marker").is_none() {
        assert!(Instant::now() < deadline, "{database}: not at its end after {LIMIT:?}");
        check();
        std::thread::sleep(POLL);
    }
}

/// The backlog is there, not only its end.
fn check(site: &Site, stage: &Stage, database: &str) {
    let tables = "select string_agg(format('select %L, count(*), sum(hashtext(%s)) from %I', c.relname,
            coalesce((select string_agg(quote_ident(attname) || '::text', ' || ') from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and a.atttypid in (20, 23) and a.attnotnull or
                    a.attrelid = c.oid and a.attname in ('n', 'abalance', 'tbalance', 'bbalance', 'delta')), '''x'''), c.relname), ' union all ' order by c.relname)
        from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace";
    let digest = site.value(&site.source, &stage.database, tables);
    let digest = format!("select string_agg(t::text, ' ' order by t::text) from ({digest}) t");
    let (expected, found) = (
        site.value(&site.source, &stage.database, &digest),
        site.value(&site.target, database, &digest),
    );
    assert_eq!(expected, found, "{database}");
}

impl Stream {
    /// With the latency in each direction between it and both servers.
    pub(crate) fn run(site: &Site, stage: &Stage, latency: Option<Duration>) -> Self {
        let (database, slot) = (&stage.database, &stage.slot);
        let target = format!("{database}_target");
        site.create(&site.target, &target, &format!("{database}_base"));
        drop_slot(site, slot);
        copy_slot(site, database, &format!("base_{database}"), slot);
        let proxies = latency.map(|latency| {
            let proxies = (Proxy::new(&site.source, database), Proxy::new(&site.target, &target));
            proxies.0.latency(latency);
            proxies.1.latency(latency);
            proxies
        });
        let direct = (site.source_address(database).1, site.target.url(&target));
        let (source_url, target_url) =
            proxies.as_ref().map_or(direct, |(source, target)| (source.url(), target.url()));
        let started = Instant::now();
        let mut child = backlot(site, "stream", &source_url, &target_url, &[]);
        visible(site, &target, || assert!(child.try_wait().unwrap().is_none(), "the stream ended"));
        let seconds = started.elapsed().as_secs_f64();
        let (cpu_seconds, peak_mib) = (cpu_seconds(child.id()), peak_mib(child.id()));
        end(child);
        check(site, stage, &target);
        Self { seconds, cpu_seconds, peak_mib }
    }
}

impl Native {
    /// Seconds of a new subscription that copies nothing.
    pub(crate) fn run(site: &Site, stage: &Stage) -> f64 {
        let database = format!("{}_native", stage.database);
        let slot = format!("run_{}", stage.native_base);
        site.create(&site.target, &database, &format!("{database}_base"));
        copy_slot(site, &stage.database, &stage.native_base, &slot);
        let subscribe = format!(
            "create subscription {slot} connection 'host={} port={} user=postgres dbname={}' publication native
             with (create_slot = false, slot_name = '{slot}', copy_data = false, binary = true)",
            site.source_address(&stage.database).0,
            site.source.port(),
            stage.database
        );
        let client = site.connect(&site.target, &database);
        let started = Instant::now();
        site.runtime.block_on(client.batch_execute(&subscribe)).unwrap();
        visible(site, &database, || {});
        let seconds = started.elapsed().as_secs_f64();
        site.sql(
            &site.target,
            &database,
            &format!("alter subscription {slot} disable; alter subscription {slot} set (slot_name = none); drop subscription {slot}"),
        );
        drop_slot(site, &slot);
        check(site, stage, &database);
        seconds
    }
}

/// Seconds that the sender alone takes, with the stream's own publications.
pub(crate) fn ceiling(site: &Site, stage: &Stage) -> f64 {
    let slot = format!("ceiling_{}", stage.database);
    copy_slot(site, &stage.database, &format!("base_{}", stage.database), &slot);
    let started = Instant::now();
    let status = Command::new(site.binaries.program("pg_recvlogical"))
        .args([
            "-d",
            &site.source_address(&stage.database).1,
            "--slot",
            &slot,
            "--start",
            "--no-loop",
        ])
        .args(["-f", "/dev/null", "--endpos", &stage.end_lsn, "-o", "proto_version=1"])
        .args(["-o", "binary=true", "-o", &format!("publication_names={}", stage.publications)])
        .stderr(Stdio::null())
        .status();
    let seconds = started.elapsed().as_secs_f64();
    assert!(status.unwrap().success());
    drop_slot(site, &slot);
    seconds
}
