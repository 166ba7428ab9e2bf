//! `cargo bench --bench roll`: our backfill beside pgroll's algorithm, in one run on one server; what the
//! sync trigger costs an UPDATE of another column; what a verb costs with 2 000 tables.
//!
//! pgroll's algorithm is SQL here, as its templates make it: batches of 1 000 keys found by
//! `_pgroll_needs_backfill`, each updated to itself so that a trigger for each direction does the work.
//! `BACKLOT_BENCH_ROWS` (1 000 000), `BACKLOT_BENCH_RUNS` (3) and `BACKLOT_BENCH_TABLES` (2 000) make it
//! smaller.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark talks and fails loudly")]
#![expect(clippy::indexing_slicing, reason = "as above")]
#![expect(clippy::disallowed_methods, reason = "a benchmark is configured by the environment")]

use backlot::instance::{Binaries, Search, Server, ServerGuard, ServerOptions};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// About 150 bytes a row with its header.
const TABLE: &str = "create table t (id bigint primary key, name text not null, filler text not null, hits int not null default 0)";
const MIGRATION: &str = "operations:
  - alter_column:
      table: t
      column: name
      nullable: true
      check: {name: long, constraint: length(name) > 3}
      up: upper(name)
      down: lower(name)
";

/// What pgroll 0.16 makes of the migration: two triggers, with every column in a variable.
const PGROLL: &str = "
alter table t add column _pgroll_new_name text, add column _pgroll_needs_backfill boolean default true;
create function up() returns trigger language plpgsql as $$
    declare
        id public.t.id%type := new.id;
        name public.t.name%type := new.name;
        filler public.t.filler%type := new.filler;
        hits public.t.hits%type := new.hits;
        latest text := 'public_02';
        path text;
    begin
        select current_setting into path from current_setting('search_path');
        if path != latest then
            new._pgroll_new_name = (upper(name));
        end if;
        new._pgroll_needs_backfill = false;
        return new;
    end $$;
create function down() returns trigger language plpgsql as $$
    declare
        id public.t.id%type := new.id;
        name public.t.name%type := new._pgroll_new_name;
        filler public.t.filler%type := new.filler;
        hits public.t.hits%type := new.hits;
        latest text := 'public_02';
        path text;
    begin
        select current_setting into path from current_setting('search_path');
        if path = latest then
            new.name = (lower(name));
        end if;
        new._pgroll_needs_backfill = false;
        return new;
    end $$;
create trigger _pgroll_trigger_t_name before insert or update on t for each row execute function up();
create trigger _pgroll_trigger_t__pgroll_new_name before insert or update on t for each row execute function down();
create procedure backfill() language plpgsql as $$
    declare last bigint := -1; next bigint;
    begin
        loop
            with batch as (
                select id from t where _pgroll_needs_backfill = true and id > last
                order by id limit 1000 for no key update
            ), done as (
                update t set id = t.id from batch where t.id = batch.id returning t.id
            )
            select max(id) into next from done;
            exit when next is null;
            last := next;
            commit;
        end loop;
    end $$";

struct Bench {
    server: ServerGuard,
    psql: PathBuf,
    scratch: PathBuf,
}

/// Of one way to fill a column.
struct Measured {
    seconds: f64,
    /// Of these, the backfill alone, by the journal.
    backfill_seconds: f64,
    wal_bytes: f64,
}

impl Bench {
    fn start() -> Self {
        let search = Search {
            named: Vec::new(),
            path: std::env::var_os("PATH"),
            home: std::env::var_os("HOME").map(PathBuf::from),
        };
        let binaries =
            Binaries::all(&search).into_iter().find(|found| found.has_client_tools).unwrap();
        println!("PostgreSQL {}", binaries.version);
        let scratch = std::env::temp_dir().join(format!("backlot-bench-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&scratch, open).unwrap();
        // As the reference was measured: full page writes on, commits not waited for.
        let options = ServerOptions::scratch()
            .with("shared_buffers", "512MB")
            .with("max_wal_size", "8GB")
            .with("full_page_writes", "on")
            .with("wal_level", "logical")
            .with("max_locks_per_transaction", "4096")
            .with("autovacuum", "off");
        let data_dir = scratch.join("server");
        let mut server = Server::init(&binaries, &data_dir, options).unwrap();
        server.start().unwrap();
        let server = ServerGuard::removing(server, data_dir).unwrap();
        Self { server, psql: binaries.program("psql"), scratch }
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(&self.psql)
            .args(["-qXAt", "-v", "ON_ERROR_STOP=1", "-d", &self.server.url(database), "-c", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql:.200}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn fresh(&self, database: &str) {
        self.sql("postgres", &format!("drop database if exists {database}"));
        self.sql("postgres", &format!("create database {database}"));
    }

    /// A table of its own, and a checkpoint, so that each way begins alike.
    fn filled(&self, database: &str, rows: u64) {
        self.fresh(database);
        self.roll(database, &["init"]);
        self.sql(database, &format!("set pgroll.no_inferred_migrations = 'TRUE'; {TABLE}"));
        self.sql(
            database,
            &format!("insert into t select n, 'name ' || n, repeat('x', 90), 0 from generate_series(1, {rows}) n"),
        );
        self.sql(database, "vacuum analyze t");
        self.sql(database, "checkpoint");
    }

    /// Runs `backlot roll`, and gives the seconds it took.
    fn roll(&self, database: &str, args: &[&str]) -> f64 {
        let started = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_backlot"))
            .arg("roll")
            .args(args)
            .args(["--quiet", "--postgres-url", &self.server.url(database)])
            .current_dir(&self.scratch)
            .output()
            .unwrap();
        let seconds = started.elapsed().as_secs_f64();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        seconds
    }

    fn wal(&self) -> f64 {
        self.sql("postgres", "select pg_current_wal_insert_lsn() - '0/0'").parse().unwrap()
    }

    /// The whole `start`: the fixed cost of the verb is in it.
    fn ours(&self, rows: u64) -> Measured {
        self.filled("ours", rows);
        self.roll("ours", &["baseline", "00", "baselines", "--yes"]);
        std::fs::remove_dir_all(self.scratch.join("baselines")).unwrap();
        let before = self.wal();
        let seconds = self.roll("ours", &["start", "01_alter.yaml"]);
        let wal_bytes = self.wal() - before;
        let wrong = "select count(*) from public_01_alter.t n join t o using (id) where n.name is distinct from upper(o.name)";
        assert_eq!(self.sql("ours", wrong), "0");
        let backfill = "select extract(epoch from max(updated_at) - min(started_at)) from pgroll.backlot_backfill";
        let backfill_seconds = self.sql("ours", backfill).parse().unwrap();
        Measured { seconds, backfill_seconds, wal_bytes }
    }

    fn pgrolls(&self, rows: u64) -> Measured {
        self.filled("pgrolls", rows);
        self.sql("pgrolls", "set pgroll.no_inferred_migrations = 'TRUE'; select 1");
        self.sql("pgrolls", &format!("set pgroll.no_inferred_migrations = 'TRUE'; {PGROLL}"));
        let before = self.wal();
        let started = Instant::now();
        self.sql("pgrolls", "call backfill()");
        let seconds = started.elapsed().as_secs_f64();
        let wal_bytes = self.wal() - before;
        let wrong = "select count(*) from t where _pgroll_new_name is distinct from upper(name)";
        assert_eq!(self.sql("pgrolls", wrong), "0");
        Measured { seconds, backfill_seconds: seconds, wal_bytes }
    }

    /// Seconds of an UPDATE of a column that the migration does not touch.
    fn unrelated(&self, database: &str) -> f64 {
        self.sql(database, "vacuum t");
        self.sql(database, "checkpoint");
        let started = Instant::now();
        self.sql(database, "update t set hits = hits + 1 where id <= 200000");
        started.elapsed().as_secs_f64()
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    let (rows, runs) = (number("BACKLOT_BENCH_ROWS", 1_000_000), number("BACKLOT_BENCH_RUNS", 3));
    let tables = number("BACKLOT_BENCH_TABLES", 2_000);
    let bench = Bench::start();
    std::fs::write(bench.scratch.join("01_alter.yaml"), MIGRATION).unwrap();
    backfills(&bench, rows, runs);
    trigger(&bench, runs);
    catalog(&bench, tables);
    drop(std::fs::remove_dir_all(&bench.scratch));
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn backfills(bench: &Bench, rows: u64, runs: u64) {
    let (mut ours, mut whole, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut wal = Vec::new();
    for _ in 0..runs {
        let one = bench.pgrolls(rows);
        println!(
            "pgroll's algorithm {:.1} s, {:.0} rows/s, {:.0} B of WAL a row",
            one.seconds,
            rows as f64 / one.seconds,
            one.wal_bytes / rows as f64
        );
        theirs.push(one.seconds);
        let one = bench.ours(rows);
        println!(
            "backlot roll start {:.1} s, of which backfill {:.1} s, {:.0} rows/s, {:.0} B of WAL a row",
            one.seconds,
            one.backfill_seconds,
            rows as f64 / one.backfill_seconds,
            one.wal_bytes / rows as f64
        );
        ours.push(one.backfill_seconds);
        whole.push(one.seconds);
        wal.push(one.wal_bytes / rows as f64);
    }
    println!(
        "backfill of {rows} rows: {:.2} times pgroll's algorithm (wanted 4), the whole start {:.2} times, {:.0} B of WAL a row (wanted 550)",
        median(theirs.clone()) / median(ours),
        median(theirs) / median(whole),
        median(wal)
    );
}

/// After [`backfills`]: both databases have their migration under way.
fn trigger(bench: &Bench, runs: u64) {
    let (mut bare, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    bench.sql(
        "ours",
        "set pgroll.no_inferred_migrations = 'TRUE'; create table bare (like t including all)",
    );
    bench.sql("ours", "insert into bare select * from t");
    for _ in 0..runs.max(5) {
        bench.sql("ours", "vacuum bare");
        bench.sql("ours", "checkpoint");
        let started = Instant::now();
        bench.sql("ours", "update bare set hits = hits + 1 where id <= 200000");
        bare.push(started.elapsed().as_secs_f64());
        ours.push(bench.unrelated("ours"));
        theirs.push(bench.unrelated("pgrolls"));
    }
    let slower = |with: Vec<f64>| 100.0 * (median(with) / median(bare.clone()) - 1.0);
    println!(
        "UPDATE of another column: {:.0} % slower than without a migration (wanted 20); pgroll's triggers {:.0} %",
        slower(ours),
        slower(theirs)
    );
}

fn catalog(bench: &Bench, tables: u64) {
    bench.fresh("many");
    bench.roll("many", &["init"]);
    let make = format!(
        "set pgroll.no_inferred_migrations = 'TRUE';
         do $$ begin for n in 1..{tables} loop
            execute format('create table t%s (id int primary key, a text unique, b int references t%s, check (id > 0))',
                case when n = 1 then '' else n::text end, case when n <= 2 then '' else (n - 1)::text end);
         end loop; end $$;
         alter table t add column name text not null default 'name'"
    );
    bench.sql("many", &make);
    bench.roll("many", &["baseline", "00", "baselines", "--yes"]);
    let start = bench.roll("many", &["start", "01_alter.yaml"]);
    let rollback = bench.roll("many", &["rollback"]);
    bench.roll("many", &["start", "01_alter.yaml"]);
    let complete = bench.roll("many", &["complete"]);
    let started = Instant::now();
    bench.sql("many", "create table other (a int)");
    let capture = started.elapsed().as_secs_f64();
    println!(
        "{tables} tables: start {start:.2} s, rollback {rollback:.2} s, complete {complete:.2} s (wanted 2); DDL of others {:.0} ms with psql's own time",
        capture * 1000.0
    );
}
