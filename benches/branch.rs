//! `cargo bench --bench branch`: a branch by every backend that works here, with `cp -a` of the
//! same data directory in the same run.
//!
//! Filesystems that share blocks are made on loop devices, as root. `BACKLOT_BENCH_GB` (1) is the
//! size of the parent, `BACKLOT_BENCH_RUNS` (5) the runs of which medians are shown,
//! `BACKLOT_BENCH_ON` (`here`, `xfs`, `btrfs`) the only filesystem.
//!
//! `BACKLOT_BENCH_MANY=50` measures what so many branches of a small parent take instead: asleep,
//! and awake without a client. Memory is the sum of `Pss` (a page that n processes share counts as
//! 1/n for each) and what `MemAvailable` lost.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::assigning_clones,
    clippy::similar_names,
    reason = "a benchmark"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use tokio_postgres::NoTls;

fn main() {
    let gigabytes = number("BACKLOT_BENCH_GB", 1);
    let runs = usize::try_from(number("BACKLOT_BENCH_RUNS", 5)).unwrap();
    let only = std::env::var("BACKLOT_BENCH_ON").ok();
    let many = number("BACKLOT_BENCH_MANY", 0);
    if many > 0 {
        let kind = match only.as_deref() {
            None | Some("here") => None,
            Some("xfs") => Some("xfs"),
            Some(_) => Some("btrfs"),
        };
        Ground::new(kind, 1).expect("a filesystem of this kind").measure_many(many);
        return;
    }
    println!(
        "parent of {gigabytes} GB; medians of {runs}; time: from the command to the first row of `select 1`"
    );
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>10} {:>10}  method",
        "backend, parent", "ms", "longest", "pause ms", "new MB", "cp -a ms"
    );
    for (kind, backends) in [
        (None, &["copy"][..]),
        (Some("xfs"), &["reflink"]),
        (Some("btrfs"), &["subvolume", "reflink"]),
    ] {
        let is_wanted = only.as_deref().is_none_or(|only| only == kind.unwrap_or("here"));
        // Copies of more are not what anybody waits for.
        if !is_wanted || (kind.is_none() && gigabytes > 2) {
            continue;
        }
        let Some(ground) = Ground::new(kind, gigabytes) else {
            println!("SKIPPED: no {} on a loop device here", kind.unwrap_or_default());
            continue;
        };
        ground.fill(gigabytes);
        let copied = ground.copy(if gigabytes > 2 { 1 } else { 2 });
        for backend in backends {
            for has_session in [false, true] {
                ground.measure(backend, has_session, runs, copied);
            }
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// A project on a filesystem of one kind.
struct Ground {
    dir: PathBuf,
    folder: PathBuf,
    name: &'static str,
    is_mounted: bool,
}

impl Ground {
    fn new(kind: Option<&'static str>, gigabytes: u64) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("backlot-bench-").tempdir().unwrap().keep();
        open(&dir);
        let mut ground =
            Self { folder: dir.join("mnt"), dir, name: kind.unwrap_or("here"), is_mounted: false };
        std::fs::create_dir(&ground.folder).unwrap();
        if let Some(kind) = kind {
            let image = ground.dir.join("image");
            std::fs::File::create(&image).unwrap().set_len((gigabytes * 3 + 4) << 30).unwrap();
            let mut make = Command::new(format!("mkfs.{kind}"));
            let made = succeeded(make.arg("-q").arg(&image))
                && succeeded(
                    Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&ground.folder),
                );
            if !made {
                return None;
            }
            ground.is_mounted = true;
        }
        open(&ground.folder);
        ground.backlot(&["init", "--name", "bench"]);
        Some(ground)
    }

    fn backlot(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backlot"));
        let output = command.args(args).current_dir(&self.folder).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn url(&self, name: &str) -> String {
        String::from_utf8(self.backlot(&["branch", "url", name]).stdout).unwrap().trim().to_owned()
    }

    /// A million rows of a kilobyte for each gigabyte.
    fn fill(&self, gigabytes: u64) {
        let url = self.url("main");
        run(&url, "create table t (id bigint primary key, v text)");
        for part in 0..gigabytes {
            run(
                &url,
                &format!(
                    "insert into t select g, repeat(md5(g::text), 30) \
                     from generate_series({} + 1, {}) g",
                    part * 1_000_000,
                    (part + 1) * 1_000_000
                ),
            );
        }
        run(&url, "vacuum analyze t");
        run(&url, "checkpoint");
    }

    fn data(&self) -> PathBuf {
        let output = self.backlot(&["branch", "describe", "main", "--json"]);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        document["data_directory"].as_str().unwrap().into()
    }

    /// What everybody would do; the last time counts.
    fn copy(&self, times: u32) -> Duration {
        let (data, copy) = (self.data(), self.folder.join("copy"));
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let began = Instant::now();
            assert!(succeeded(
                Command::new("cp").args(["-a", "--reflink=never"]).arg(&data).arg(&copy)
            ));
            took = began.elapsed();
            std::fs::remove_dir_all(&copy).unwrap();
        }
        took
    }

    fn measure(&self, backend: &str, has_session: bool, runs: usize, copied: Duration) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let main = self.url("main");
        let session = has_session.then(|| {
            let _entered = runtime.enter();
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&main, NoTls).await.unwrap();
                tokio::spawn(connection);
                client.batch_execute("update t set v = v where id <= 100").await.unwrap();
                client
            })
        });
        let (mut times, mut pauses, mut spaces) = (Vec::new(), Vec::new(), Vec::new());
        let mut method = String::new();
        for _ in 0..runs {
            assert!(succeeded(Command::new("sync").arg("-f").arg(&self.folder)));
            let before = free(&self.folder);
            let began = Instant::now();
            let args =
                ["branch", "create", "--name", "b", "--wait", "--backend", backend, "--json"];
            let output = self.backlot(&args);
            let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            // Its own port is in the answer; the password is read as a user would.
            run(&self.url("b"), "select 1");
            times.push(began.elapsed());
            assert!(succeeded(Command::new("sync").arg("-f").arg(&self.folder)));
            spaces.push(before.saturating_sub(free(&self.folder)));
            let captured = &document["branch"]["captured"];
            pauses.push(captured["pause_ms"].as_u64().unwrap());
            method = captured["method"].as_str().unwrap().to_owned();
            self.backlot(&["branch", "delete", "b", "--yes"]);
        }
        drop(session);
        let longest = times.iter().max().unwrap().as_millis();
        println!(
            "{:<28} {:>9} {longest:>9} {:>9} {:>10.1} {:>10}  {method}",
            format!("{backend} on {}, {}", self.name, if has_session { "in use" } else { "idle" }),
            median(&mut times).as_millis(),
            median(&mut pauses),
            median(&mut spaces) as f64 / 1e6,
            copied.as_millis(),
        );
    }
}

impl Ground {
    fn measure_many(&self, count: u64) {
        let names = (1..=count).map(|number| format!("b{number}")).collect::<Vec<_>>();
        let main = self.url("main");
        run(
            &main,
            "create table t as select g, repeat(md5(g::text), 30) from generate_series(1, 10000) g",
        );
        assert!(succeeded(Command::new("sync").arg("-f").arg(&self.folder)));
        let space = free(&self.folder);
        for name in &names {
            self.backlot(&["branch", "create", "--name", name]);
        }
        let urls = names.iter().map(|name| self.url(name)).collect::<Vec<_>>();
        self.backlot(&["stop"]);
        assert!(succeeded(Command::new("sync").arg("-f").arg(&self.folder)));
        let space = space.saturating_sub(free(&self.folder));
        let before = available();
        self.backlot(&["proxy", "start"]);
        let asleep = self.memory();
        let asleep_took = before.saturating_sub(available());
        println!(
            "{count} branches on {}, new MB on the disk: {:.1}",
            self.name,
            space as f64 / 1e6
        );
        println!("asleep: {asleep}; MemAvailable lost {:.1} MB", asleep_took as f64 / 1e6);
        let mut times = Vec::new();
        for url in &urls {
            let began = Instant::now();
            run(url, "select 1");
            times.push(began.elapsed());
        }
        let awake = self.memory();
        let took = before.saturating_sub(available());
        println!("awake, no client: {awake}; MemAvailable lost {:.1} MB", took as f64 / 1e6);
        let longest = times.iter().max().unwrap().as_millis();
        println!(
            "woken one after the other, ms: {} (longest {longest})",
            median(&mut times).as_millis()
        );
    }

    /// Of the proxy and of the servers' processes.
    fn memory(&self) -> String {
        let output = self.backlot(&["proxy", "status", "--json"]);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let proxy = PathBuf::from("/proc").join(document["proxy"]["pid"].to_string());
        let (proxy, anonymous) = (kilobytes(&proxy, "Pss:"), kilobytes(&proxy, "Anonymous:"));
        let branches = self.folder.join(".backlot/state/branches").canonicalize().unwrap();
        let (mut count, mut servers) = (0, 0);
        for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let cwd = std::fs::read_link(entry.path().join("cwd"));
            if cwd.is_ok_and(|cwd| cwd.starts_with(&branches)) {
                count += 1;
                servers += kilobytes(&entry.path(), "Pss:");
            }
        }
        format!(
            "proxy {:.1} MB ({:.1} of it its own data), {count} processes of servers {:.1} MB",
            proxy as f64 / 1e3,
            anonymous as f64 / 1e3,
            servers as f64 / 1e3
        )
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.folder.join(".backlot/project.yaml").exists() {
            self.backlot(&["stop"]);
        }
        if self.is_mounted {
            succeeded(Command::new("umount").arg(&self.folder));
        }
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn run(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    });
}

fn open(dir: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir, mode).unwrap();
}

fn succeeded(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn free(dir: &Path) -> u64 {
    let stat = rustix::fs::statvfs(dir).unwrap();
    stat.f_bfree * stat.f_frsize
}

/// A line of a process's `smaps_rollup`; 0 when it is gone.
fn kilobytes(process: &Path, name: &str) -> u64 {
    let text = std::fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Bytes that the machine has to give away.
fn available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn median<T: Ord + Copy>(values: &mut [T]) -> T {
    values.sort_unstable();
    *values.get(values.len() / 2).unwrap()
}
