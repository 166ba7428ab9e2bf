//! `cargo bench --bench clone`: a masked clone beside `psql COPY | psql COPY` and
//! `pg_dump | pg_restore`, and its verification beside it, in one run, on servers of its own.
//!
//! Machines are noisy, so the runs alternate, medians count, and the ratios are the result.
//! `BACKLOT_BENCH_ROWS` (2 000 000) and `BACKLOT_BENCH_RUNS` (5) make it smaller.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark talks and fails loudly")]
#![expect(clippy::indexing_slicing, reason = "as above")]
#![expect(clippy::disallowed_methods, reason = "a benchmark is configured by the environment")]

use backlot::instance::{Binaries, Search, Server, ServerGuard, ServerOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KEY: &str = "5f3c1e0b7a9d4c2e8b6f0a1d3c5e7f90b2d4f6a8c0e1f3a5b7c9d1e3f5a7b9c1";
const CONFIG: &str = "version: 1
defaults: {detected: keep, free_text: keep, unclassified: keep}
tables:
  public.people:
    columns:
      email: email
      first_name: first_name
      last_name: last_name
      phone: phone
      street: street
      city: city
      plan: keep
      birth_date: {transform: date_shift, max_days: 180}
      meta: {transform: json, paths: {\"$.ip\": ip, \"$.backup\": email}, unknown: keep}
";
const TABLE: &str = "create table people (
    id bigint not null, account_id bigint not null, email text not null, first_name text not null,
    last_name text not null, phone text not null, street text not null, city text not null,
    birth_date date not null, balance numeric(14,2) not null, created_at timestamptz not null,
    plan text not null, meta jsonb not null)";
const INDEXES: &str = "alter table people add primary key (id);
    create unique index people_email on people (email);
    create index people_created on people (created_at)";

fn fill(rows: u64) -> String {
    format!(
        "insert into people select i, 1000000 + i % 77777, 'user' || i || '@mail' || i % 97 || '.example.net',
         (array['Ada','Grace','Alan','Edsger','Barbara','Donald','Leslie','Margaret'])[1 + i % 8],
         (array['Lovelace','Hopper','Turing','Dijkstra','Liskov','Knuth','Lamport','Hamilton'])[1 + i / 8 % 8],
         '+1 ' || 200 + i % 700 || ' ' || 200 + i % 799 || ' ' || lpad((i % 10000)::text, 4, '0'),
         i % 9999 || ' Cathedral Avenue, Building ' || i % 31, 'Springfield ' || i % 500,
         date '1930-01-01' + (i % 27000)::int, (i % 1000000) * 1.01, timestamptz '2020-01-01' + i * interval '13 s',
         (array['free','pro','team'])[1 + i % 3],
         jsonb_build_object('ip', '10.1.' || i % 250 || '.' || i % 249, 'backup', 'b' || i || '@old.example.org',
                            'tags', jsonb_build_array('a', i % 9), 'agent', 'Mozilla/5.0 (X11; Linux x86_64)')
         from generate_series(1, {rows}) i"
    )
}

struct Bench {
    source: ServerGuard,
    target: ServerGuard,
    psql: PathBuf,
    pg_dump: PathBuf,
    pg_restore: PathBuf,
    config: PathBuf,
    scratch: PathBuf,
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
        let server = |name: &str| {
            let options = ServerOptions::scratch()
                .with("shared_buffers", "1GB")
                .with("max_wal_size", "8GB")
                .with("autovacuum", "off");
            let data_dir = scratch.join(name);
            let mut server = Server::init(&binaries, &data_dir, options).unwrap();
            server.start().unwrap();
            ServerGuard::removing(server, data_dir).unwrap()
        };
        let (source, target) = (server("source"), server("target"));
        let config = scratch.join("transforms.yaml");
        std::fs::write(&config, CONFIG).unwrap();
        let program = |name| binaries.program(name);
        Self {
            source,
            target,
            psql: program("psql"),
            pg_dump: program("pg_dump"),
            pg_restore: program("pg_restore"),
            config,
            scratch: scratch.clone(),
        }
    }

    fn sql(&self, server: &Server, database: &str, sql: &str) {
        let status = Command::new(&self.psql)
            .args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", &server.url(database), "-c", sql])
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{sql}");
    }

    fn fresh(&self, database: &str) {
        self.sql(&self.target, "postgres", &format!("drop database if exists {database}"));
        self.sql(
            &self.target,
            "postgres",
            &format!("create database {database} template template0 lc_collate 'C'"),
        );
        self.sql(&self.target, "postgres", "checkpoint");
    }

    /// `psql COPY binary | psql COPY binary`: no masking, no index.
    fn plain_pipe(&self) -> f64 {
        self.fresh("pipe");
        self.sql(&self.target, "pipe", TABLE);
        let started = Instant::now();
        let mut out = Command::new(&self.psql)
            .args([
                "-qX",
                "-d",
                &self.source.url("plain"),
                "-c",
                "copy people to stdout (format binary)",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let into = Command::new(&self.psql)
            .args([
                "-qX",
                "-d",
                &self.target.url("pipe"),
                "-c",
                "copy people from stdin (format binary)",
            ])
            .stdin(out.stdout.take().unwrap())
            .status();
        assert!(into.unwrap().success() && out.wait().unwrap().success());
        started.elapsed().as_secs_f64()
    }

    /// `pg_dump -Fc | pg_restore`: with indexes.
    fn dump_restore(&self) -> f64 {
        self.fresh("restored");
        let started = Instant::now();
        let mut dump = Command::new(&self.pg_dump)
            .args(["-Fc", "-d", &self.source.url("indexed")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let restore = Command::new(&self.pg_restore)
            .args(["-d", &self.target.url("restored")])
            .stdin(dump.stdout.take().unwrap())
            .status();
        assert!(restore.unwrap().success() && dump.wait().unwrap().success());
        started.elapsed().as_secs_f64()
    }

    /// Seconds of the data phase, seconds in all, peak memory in MiB.
    fn clone(&self, database: &str) -> (f64, f64, f64) {
        self.fresh("cloned");
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_backlot"))
            .args(["clone", "start", "--json", "--config"])
            .arg(&self.config)
            .args([
                "--source-url",
                &self.source.url(database),
                "--target-url",
                &self.target.url("cloned"),
            ])
            .env("BACKLOT_KEY", KEY)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let peak = peak_mib(&mut child);
        let total = started.elapsed().as_secs_f64();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let summary: serde_json::Value =
            serde_json::from_str(text.lines().last().unwrap()).unwrap();
        (summary["seconds"]["data"].as_f64().unwrap(), total, peak)
    }
}

impl Bench {
    /// Seconds that it takes to prove the whole clone.
    fn verify(&self) -> f64 {
        let started = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_backlot"))
            .args(["clone", "verify", "--json", "--source-url", &self.source.url("indexed")])
            .args(["--target-url", &self.target.url("cloned")])
            .env("BACKLOT_KEY", KEY)
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        started.elapsed().as_secs_f64()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The guards remove what matters.
        let _ = std::fs::remove_file(&self.config);
        let _ = std::fs::remove_dir(&self.scratch);
    }
}

/// `VmHWM` only grows, so the last reading before the end is the peak.
fn peak_mib(child: &mut std::process::Child) -> f64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    while child.try_wait().unwrap().is_none() {
        if let Some(kib) = high_water(Path::new(&status)) {
            peak = kib / 1024.0;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

fn high_water(status: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let rows = setting("BACKLOT_BENCH_ROWS", 2_000_000);
    let runs = setting("BACKLOT_BENCH_RUNS", 5);
    let bench = Bench::start();
    for (database, rows, indexes) in
        [("plain", rows, ""), ("indexed", rows, INDEXES), ("tenth", rows / 10, "")]
    {
        bench.sql(
            &bench.source,
            "postgres",
            &format!("create database {database} template template0 lc_collate 'C'"),
        );
        bench.sql(&bench.source, database, TABLE);
        bench.sql(&bench.source, database, &fill(rows));
        if !indexes.is_empty() {
            bench.sql(&bench.source, database, indexes);
        }
        bench.sql(&bench.source, database, "vacuum analyze");
    }
    println!("{rows} rows, 13 columns, 8 masked; {runs} alternating runs, medians");
    let (mut pipe, mut data, mut peak) = (Vec::new(), Vec::new(), Vec::new());
    let (mut dump, mut whole, mut verify) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        pipe.push(bench.plain_pipe());
        let (seconds, _, mib) = bench.clone("plain");
        data.push(seconds);
        peak.push(mib);
        dump.push(bench.dump_restore());
        whole.push(bench.clone("indexed").1);
        verify.push(bench.verify());
        let last = |values: &[f64]| values.last().copied().unwrap_or_default();
        println!(
            "run {run}: plain pipe {:.2} s, masked copy {:.2} s | pg_dump | pg_restore {:.2} s, whole clone {:.2} s, verify {:.2} s",
            last(&pipe),
            last(&data),
            last(&dump),
            last(&whole),
            last(&verify)
        );
    }
    let tenth = bench.clone("tenth").2;
    println!(
        "masked table copy / plain psql COPY pipe: {:.2} x its speed (wanted: 0.9)",
        median(&pipe) / median(&data)
    );
    println!(
        "whole clone / pg_dump | pg_restore:       {:.2} x its speed (wanted: 1.3)",
        median(&dump) / median(&whole)
    );
    println!(
        "clone verify / masked table copy:         {:.2} x its time (wanted: 2 at most)",
        median(&verify) / median(&data)
    );
    println!(
        "peak memory: {:.0} MiB for {rows} rows, {tenth:.0} MiB for {} (wanted: 256)",
        median(&peak),
        rows / 10
    );
}
