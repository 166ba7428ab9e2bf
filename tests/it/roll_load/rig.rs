//! A database with the table, its writers, a reader that stands in the way, and the watch.

use super::case::{Case, TABLES};
use super::ledger::{self, Ledger};
use super::watch::Watch;
use super::writer::{Shared, Version, WRITERS, write};
use crate::support::database::{block_on, connect, run};
use crate::support::{Cluster, Database, Random, backlot, database, query_strings, sql, wait_for};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(3);
const LOCK_TIMEOUT_MS: f64 = 500.0;
/// What the issue allows beyond it.
const LEEWAY_MS: f64 = 50.0;
/// Statements of a version between two verbs.
const STATEMENTS: u64 = 300;

pub(super) struct Rig {
    database: Database,
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
}

/// Made once a cluster.
fn template(cluster: &'static Cluster) -> String {
    static MADE: Mutex<Vec<(u32, String)>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap();
    if let Some((_, name)) = made.iter().find(|(major, _)| *major == cluster.major) {
        return name.clone();
    }
    let template = database(cluster, "load_template");
    let dir = tempfile::tempdir().unwrap();
    let roll = |args: &[&str]| {
        let mut all = vec!["roll", "--postgres-url", &template.url];
        all.extend(args);
        backlot(dir.path(), &all, &[]).expect_code(0);
    };
    roll(&["init"]);
    sql(&template, &format!("set pgroll.no_inferred_migrations = 'TRUE'; {TABLES}"));
    roll(&["baseline", "00_base", "baselines"]);
    let first =
        "operations: [{create_table: {name: other, columns: [{name: id, type: int, pk: true}]}}]";
    std::fs::write(dir.path().join("01_first.yaml"), first).unwrap();
    roll(&["start", "01_first.yaml", "--complete"]);
    made.push((cluster.major, template.name.clone()));
    template.name
}

impl Rig {
    pub(super) fn new(cluster: &'static Cluster, case: Case) -> Self {
        let name = format!("load_{}_{}", case.name, std::process::id());
        let create = format!("create database \"{name}\" template \"{}\"", template(cluster));
        wait_for("the template to be free", LIMIT, || {
            run(&cluster.url("postgres"), &create).is_ok()
        });
        let database = Database { url: cluster.url(&name), name, cluster };
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("02_next.yaml"), case.migration).unwrap();
        let ledgers = (0..WRITERS).map(|writer| Ledger::new(&case, writer, WRITERS));
        let shared = Shared {
            ledgers: ledgers.map(tokio::sync::Mutex::new).collect(),
            url: database.url.clone(),
            versions: [Version::new("public_01_first"), Version::new("public_02_next")],
            errors: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
            case,
        };
        Self { database, dir, shared: Arc::new(shared) }
    }

    /// Start, rollback, start and complete, beside the writers.
    pub(super) fn whole(&self) {
        let watch = Watch::start(&self.database.url);
        let mut random = Random::seeded();
        let mut threads: Vec<JoinHandle<()>> = (0..WRITERS)
            .map(|writer| {
                let (shared, random) = (Arc::clone(&self.shared), random.fork());
                std::thread::spawn(move || block_on(write(&shared, writer, random)))
            })
            .collect();
        let shared = Arc::clone(&self.shared);
        threads.push(std::thread::spawn(move || block_on(read(&shared))));
        let [old, new] = &self.shared.versions;
        old.comes();
        self.after_some(old);
        self.verb("start", old);
        new.comes();
        self.after_some(new);
        self.check(true, true);
        new.may_go.store(true, Ordering::SeqCst);
        self.verb("rollback", old);
        self.check(true, false);
        self.after_some(old);
        for ledger in &self.shared.ledgers {
            ledger.blocking_lock().rolled_back(&self.shared.case);
        }
        self.verb("start", old);
        new.comes();
        self.after_some(new);
        self.check(true, true);
        old.may_go.store(true, Ordering::SeqCst);
        self.verb("complete", new);
        self.after_some(new);
        self.check(false, true);
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in threads {
            thread.join().unwrap();
        }
        self.check_of_the_check();
        let name = self.shared.case.name;
        let longest = watch.end();
        println!(
            "{name}: {longest:?}, {} and {} statements",
            old.done.load(Ordering::SeqCst),
            new.done.load(Ordering::SeqCst)
        );
        assert!(longest.looks > 100, "{longest:?}");
        // On a machine that stands still, so does the watch.
        let limit = LOCK_TIMEOUT_MS + LEEWAY_MS + longest.stall_ms;
        assert!(longest.ms <= limit, "{name}: a writer waited too long behind us: {longest:?}");
        // Of a failure it stays, to be looked at.
        let drop = format!("drop database \"{}\" with (force)", self.database.name);
        run(&self.database.cluster.url("postgres"), &drop).unwrap();
    }

    /// One verb, during which writers of this version get on.
    fn verb(&self, verb: &str, version: &Version) {
        let before = version.done.load(Ordering::SeqCst);
        let lock_timeout = LOCK_TIMEOUT_MS.to_string();
        let mut args = vec!["--json", "roll", "--lock-timeout", &lock_timeout, verb];
        args.extend((verb == "start").then_some("02_next.yaml"));
        args.extend(["--postgres-url", &self.database.url]);
        let output = backlot(self.dir.path(), &args, &[]);
        self.no_errors(verb);
        output.expect_code(0);
        let after = version.done.load(Ordering::SeqCst);
        assert!(after > before, "nobody wrote on {} during {verb}", version.schema);
    }

    fn after_some(&self, version: &Version) {
        let before = version.done.load(Ordering::SeqCst);
        wait_for("the writers", LIMIT, || {
            self.no_errors("between");
            version.done.load(Ordering::SeqCst) > before + STATEMENTS
        });
    }

    fn no_errors(&self, when: &str) {
        let errors = self.shared.errors.lock().unwrap();
        let (name, major) = (self.shared.case.name, self.database.cluster.major);
        let shown = errors.iter().take(5).collect::<Vec<_>>();
        assert!(
            errors.is_empty(),
            "{name}, PostgreSQL {major}, {when}: {} errors: {shown:#?}",
            errors.len()
        );
    }

    /// A value that nobody wrote is found.
    fn check_of_the_check(&self) {
        let (case, new) = (&self.shared.case, &self.shared.versions[1]);
        let table = case.table;
        let tamper = format!(
            "update public.{table} set hits = -5 where id = (select max(id) from public.{table})"
        );
        sql(&self.database, &tamper);
        let held = self.shared.ledgers.iter().map(tokio::sync::Mutex::blocking_lock);
        let held = held.collect::<Vec<_>>();
        let ledgers = held.iter().map(|ledger| &**ledger).collect::<Vec<_>>();
        let query = ledger::difference(case, &ledgers, &new.schema, true);
        assert_eq!(query_strings(&self.database, &query).len(), 1);
    }

    /// Both versions show what the writers wrote last.
    fn check(&self, has_old: bool, has_new: bool) {
        let held = self.shared.ledgers.iter().map(tokio::sync::Mutex::blocking_lock);
        let held = held.collect::<Vec<_>>();
        let ledgers = held.iter().map(|ledger| &**ledger).collect::<Vec<_>>();
        for (version, is_new) in self.shared.versions.iter().zip([false, true]) {
            if (is_new && !has_new) || (!is_new && !has_old) {
                continue;
            }
            let case = &self.shared.case;
            let query = ledger::difference(case, &ledgers, &version.schema, is_new);
            let rows = query_strings(&self.database, &query);
            assert!(rows.is_empty(), "{}: {} differs: {rows:#?}", case.name, version.schema);
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A failed test must not leave its writers at work.
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

/// Transactions that hold a weak lock on the table for longer than our lock timeout.
async fn read(shared: &Shared) {
    let client = connect(&shared.url).await.unwrap();
    let tables = ["account", shared.case.table];
    while !shared.stop.load(Ordering::SeqCst) {
        for table in tables {
            let read = format!(
                "begin; select id from public.{table} where id = 1; select pg_sleep(0.6); commit"
            );
            // One of the two names is not there.
            if client.batch_execute(&read).await.is_ok() {
                break;
            }
            drop(client.batch_execute("rollback").await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
