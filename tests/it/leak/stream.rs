//! Nor in anything that a stream leaves: changes, old keys, whole old rows, values that did not change, transactions that
//! fail on the target and those that are put aside, what is spilled to disk.

use super::canary::Places;
use super::{KEY, Site};
use crate::support::{
    self, Cluster, Database, Output, database, query_value, servers, some_servers, sql, wait_for,
};
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(2);

const SCHEMA: &str = "
    create table people (id int primary key, email text unique not null, full_name text, note text, n int);
    alter table people alter note set storage external;
    create table keyed (email text primary key, n int);
    create table referring (id int primary key, email text references keyed on update cascade on delete cascade);
    create table loose (full_name text, email text, note json, n int);
    alter table loose replica identity full;
    create table keyless (email text, n int);
    create table bulk (id int primary key, email text, note text);
    insert into people select g, {T:email}, 'Ada ' || {T:full name}, repeat({T:untouched TOAST}, 500), g from generate_series(1, 100) g;
    insert into keyed select {T:key} || '@corp-mail.net', g from generate_series(1, 100) g;
    insert into referring select n, email from keyed;
    insert into loose select 'Ada ' || {T:old name}, {T:old e-mail} || '@corp-mail.net', json_build_object('mail', {T:old json}), g from generate_series(1, 100) g;
    insert into keyless select {T:keyless} || '@corp-mail.net', g from generate_series(1, 100) g;";

/// All kinds of changes, each with rows of its own.
const CHANGES: &[&str] = &[
    "insert into people select 1000 + g, {T:inserted e-mail}, 'Eve ' || {T:inserted name}, repeat({T:inserted TOAST}, 500), g from generate_series(1, 200) g",
    "update people set n = n + 1 where id <= 50",
    "update people p set email = {T:updated e-mail}, full_name = {T:updated name} from generate_series(51, 60) g where p.id = g",
    "update people p set id = 5000 + g from generate_series(61, 70) g where p.id = g",
    "delete from people where id between 71 and 80",
    "update keyed k set email = {T:new key} || '@corp-mail.net' from generate_series(1, 30) g where k.n = g",
    "delete from keyed where n between 31 and 60",
    "update loose l set full_name = {T:new name}, n = -n from generate_series(1, 30) g where l.n = g",
    "delete from loose where n between 31 and 60",
    "insert into keyless select {T:more keyless} || '@corp-mail.net', g from generate_series(1, 50) g",
    "select pg_logical_emit_message(true, {T:message}, {T:message text}) from generate_series(1, 1) g",
];

/// What the target refuses: a row of a quarantined transaction.
const POISON: &[&str] = &[
    "insert into people select 9000 + g, {T:poison e-mail}, {T:poison name}, {T:poison note}, 13 from generate_series(1, 20) g",
    "update people p set full_name = {T:poison update}, n = 13 from generate_series(1, 5) g where p.id = g",
];

const LARGE: &str =
    "insert into bulk select g.i, {T:large e-mail} || '@corp-mail.net', {T:large note}
    from (select i, i % 500 + 1 as g from generate_series(1, ROWS) i) as g(i, g)";

fn source(cluster: &'static Cluster, places: &mut Places) -> Database {
    let source = database(cluster, "leak_stream");
    sql(&source, &places.plant(SCHEMA));
    source
}

impl Site {
    fn verb(&mut self, verb: &str, source: &Database, target: &str, flags: &[&str]) -> Output {
        self.verb_on_target(verb, target, &[&["--source-url", &source.url][..], flags].concat())
    }

    /// A verb that knows no source.
    fn verb_on_target(&mut self, verb: &str, target: &str, flags: &[&str]) -> Output {
        let tmp = self.work.path().join("tmp");
        let args = [&["clone", verb, "--target-url", target][..], flags].concat();
        let env = [("BACKLOT_KEY", KEY), ("RUST_LOG", "trace"), ("TMPDIR", tmp.to_str().unwrap())];
        let output = support::backlot(self.work.path(), &args, &env);
        self.outputs.push((format!("stdout of {verb}"), output.stdout.clone()));
        self.outputs.push((format!("stderr of {verb}"), output.stderr.clone()));
        output
    }

    fn spawn_stream(&self, source: &Database, target: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_backlot"))
            .args(["clone", "stream", "--source-url", &source.url, "--target-url", target])
            .current_dir(self.work.path())
            .env("BACKLOT_KEY", KEY)
            .env("RUST_LOG", "trace")
            .env("TMPDIR", self.work.path().join("tmp"))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(self.work.path().join("stream.out")).unwrap())
            .stderr(std::fs::File::create(self.work.path().join("stream.err")).unwrap())
            .spawn()
            .unwrap()
    }
}

/// What the process holds open of files that have no name any more.
fn unlinked(process: &Child) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().flatten() {
        let Ok(name) = std::fs::read_link(entry.path()) else { continue };
        let name = name.display().to_string();
        if name.ends_with(" (deleted)") && !name.contains("memfd") {
            bytes.extend(std::fs::read(entry.path()).unwrap_or_default());
        }
    }
    bytes
}

/// The target takes no row with this number.
fn refuse(site: &Site) {
    let target = site.server.url("followed");
    let check = "alter table people add constraint refused check (n <> 13) not valid";
    support::database::run(&target, check).unwrap();
}

#[test]
fn a_stream_leaves_no_row_of_the_source_anywhere() {
    for cluster in some_servers() {
        let mut places = Places::default();
        let source = source(cluster, &mut places);
        let mut site = Site::new(cluster);
        let target = site.create("followed");
        site.verb("start", &source, &target, &["--follow=later", "--hold-snapshot", "0s"])
            .expect_code(0);
        for change in CHANGES {
            sql(&source, &places.plant(change));
        }
        site.verb("stream", &source, &target, &["--until-caught-up"]).expect_code(0);
        refuse(&site);
        for poison in POISON {
            sql(&source, &places.plant(poison));
        }
        let flags = ["--until-caught-up", "--json"];
        site.verb("stream", &source, &target, &flags).expect_code(7);
        let flags = ["--until-caught-up", "--on-error", "quarantine"];
        site.verb("stream", &source, &target, &flags).expect_code(9);
        site.verb("status", &source, &target, &[]).expect_code(9);
        site.verb("status", &source, &target, &["--json"]).expect_code(9);
        let held = "select count(*) from backlot.quarantine_part";
        assert_ne!(support::database::run(&target, held).unwrap()[0][0], "0");
        // Still refused.
        let retried = site.verb_on_target("retry", &target, &["--all"]).expect_code(9);
        assert!(retried.stdout.contains("stays in the quarantine"), "{}", retried.stdout);
        let leaks = site.leaks(&places, &BTreeSet::new(), &["followed"]);
        assert!(leaks.is_empty(), "{}: {leaks:#?}", cluster.major);
        // The changes did arrive, and the search would have found them.
        let count =
            support::database::run(&target, "select count(*) from people where id > 1000").unwrap();
        assert_eq!(count[0][0], "210");
        let raw = query_value(&source, "select string_agg(p::text, ' ') from people p");
        assert!(places.find(raw.as_bytes(), false).len() > 4);
    }
}

#[test]
fn a_large_transaction_in_flight_leaves_no_row_of_the_source_on_disk() {
    let cluster = servers().last().unwrap();
    let mut places = Places::default();
    let source = source(cluster, &mut places);
    let mut site = Site::new(cluster);
    let target = site.create("followed");
    site.verb("start", &source, &target, &["--follow=later", "--hold-snapshot", "0s"])
        .expect_code(0);
    let mut stream = site.spawn_stream(&source, &target);
    let insert = places.plant(LARGE).replace("ROWS", "1200000");
    // Not committed before its rows lie on disk.
    let writer = support::database::block_on(support::database::connect(&source.url)).unwrap();
    let execute = |statement: &str| {
        support::database::block_on(writer.batch_execute(statement)).unwrap();
    };
    execute("begin");
    execute(&insert);
    let mut spilled = Vec::new();
    wait_for("rows on disk", LIMIT, || {
        assert!(stream.try_wait().unwrap().is_none(), "the stream ended");
        spilled = unlinked(&stream);
        spilled.len() > 1 << 20
    });
    assert_eq!(places.find(&spilled, true), BTreeSet::new());
    execute("commit");
    wait_for("the transaction on the target", LIMIT, || {
        let count = support::database::run(&target, "select count(*) from bulk").unwrap();
        count[0][0] == "1200000"
    });
    let pid = rustix::process::Pid::from_child(&stream);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(stream.wait().unwrap().success());
    let leaks = site.leaks(&places, &BTreeSet::new(), &["followed"]);
    assert!(leaks.is_empty(), "{leaks:#?}");
}
