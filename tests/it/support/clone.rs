//! Clones as a user runs them, and what they left.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, Signal};

use super::{Database, Output, binaries, query_strings, wait_for};

/// Any 32 bytes: the tests' fakes need no secret.
pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Bytes of a failed test's output.
const OUTPUT_SHOWN: usize = 4000;
/// No clone of a test's data takes longer, even where other tests hold the machine.
pub(crate) const CLONE_LIMIT: Duration = Duration::from_mins(5);

/// `backlot clone start` with its arguments; every run of it is the same command.
pub(crate) struct Clone {
    dir: tempfile::TempDir,
    args: Vec<String>,
}

impl Clone {
    pub(crate) fn new(source_url: &str, target_url: &str) -> Self {
        let args =
            ["--json", "clone", "start", "--source-url", source_url, "--target-url", target_url];
        let dir = tempfile::tempdir().unwrap();
        Self { dir, args: args.iter().map(ToString::to_string).collect() }
    }

    /// With this transforms.yaml.
    pub(crate) fn config(self, text: &str) -> Self {
        let file = self.dir.path().join("transforms.yaml");
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap().to_owned();
        if self.args.contains(&"--config".to_owned()) {
            self
        } else {
            self.args(&["--config", &file])
        }
    }

    /// Every column of every table as it is.
    pub(crate) fn keep_all(self) -> Self {
        self.config("version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n")
    }

    pub(crate) fn args(mut self, more: &[&str]) -> Self {
        self.args.extend(more.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn run(&self) -> Output {
        self.start().wait()
    }

    pub(crate) fn start(&self) -> Running {
        Running::start(self.dir.path(), &self.args, &[])
    }
}

/// A `backlot` that runs.
pub(crate) struct Running {
    child: Child,
    output: Vec<JoinHandle<String>>,
}

impl Running {
    pub(crate) fn start(dir: &Path, args: &[String], env: &[(String, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backlot"));
        command.args(args).current_dir(dir).env_clear().env("BACKLOT_KEY", KEY);
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(directories) = std::env::var_os("BACKLOT_TEST_PG") {
            command.env("BACKLOT_PG_BIN", directories);
        }
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, output: vec![read(stdout), read(stderr)] }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL; true if it still ran.
    pub(crate) fn kill(mut self) -> bool {
        let was_running = self.is_running();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        was_running
    }

    /// One that asks it to end is sent when it listens: before, it would end as any program does.
    pub(crate) fn signal(&self, signal: Signal) {
        if matches!(signal, Signal::TERM | Signal::INT) {
            wait_for("backlot to listen to signals", CLONE_LIMIT, || self.catches(signal));
        }
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// True as well once it has ended, and where the system does not tell.
    fn catches(&self, signal: Signal) -> bool {
        let (Some(state), Some(caught)) = (self.status("State:"), self.status("SigCgt:")) else {
            return true;
        };
        let caught = u64::from_str_radix(&caught, 16).unwrap();
        state.starts_with('Z') || (caught >> (signal.as_raw() - 1)) & 1 == 1
    }

    /// The most memory that it has had so far; None where the system does not tell.
    pub(crate) fn peak_mib(&self) -> Option<u64> {
        let peak = self.status("VmHWM:")?;
        Some(peak.strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024)
    }

    fn status(&self, name: &str) -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(value.trim().to_owned())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    pub(crate) fn wait(self) -> Output {
        self.wait_within(CLONE_LIMIT)
    }

    pub(crate) fn wait_within(mut self, limit: Duration) -> Output {
        wait_for("the end of backlot", limit, || !self.is_running());
        let code = self.child.wait().unwrap().code();
        let mut output = self.output.drain(..).map(|reader| reader.join().unwrap());
        Output { stdout: output.next().unwrap(), stderr: output.next().unwrap(), code }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test must not leave its clone behind.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            for output in self.output.drain(..).filter_map(|reader| reader.join().ok()) {
                let end = output.len().saturating_sub(OUTPUT_SHOWN);
                let end = output.ceil_char_boundary(end);
                eprintln!("backlot's output ends with:\n{}", output.split_at(end).1);
            }
        }
    }
}

fn read(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}

impl Output {
    /// The summary, the last event of a finished clone.
    #[track_caller]
    pub(crate) fn summary(&self) -> serde_json::Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        let summary: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| {
            panic!("{error}; stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
        });
        assert_eq!(summary["event"], "summary", "{}", self.stdout);
        summary
    }
}

/// Digest per table, matview and sequence of the database, by name.
pub(crate) fn contents(database: &Database) -> Vec<Vec<String>> {
    let relations = "select format('%I.%I', n.nspname, c.relname), c.relkind::text from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'm', 'S') and n.nspname not in ('pg_catalog', 'information_schema', 'backlot')
        order by 1";
    let digest = |row: Vec<String>| {
        let [name, kind] = row.as_slice() else { panic!("{row:?}") };
        let select = if kind == "S" {
            format!("select last_value || ' ' || is_called from {name}")
        } else {
            format!(
                "select md5(string_agg(t::text, E'\\n' order by t::text)) || ' ' || count(*) from {name} t"
            )
        };
        vec![name.clone(), query_strings(database, &select).remove(0).remove(0)]
    };
    query_strings(database, relations).into_iter().map(digest).collect()
}

/// The schema as `pg_dump` writes it, comments and settings aside.
pub(crate) fn schema(database: &Database) -> String {
    let newest = binaries().iter().rfind(|binaries| binaries.has_client_tools).unwrap();
    let output = Command::new(newest.program("pg_dump"))
        .args([
            "--schema-only",
            "--no-owner",
            "--exclude-schema=backlot",
            "--dbname",
            &database.url,
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // `\restrict` carries a random word.
    let kept = |line: &&str| !(line.is_empty() || line.starts_with("--") || line.starts_with('\\'));
    text.lines().filter(kept).collect::<Vec<_>>().join("\n")
}

/// Everything that a clone with nothing but `keep` must have brought over.
#[track_caller]
pub(crate) fn assert_same(expected: &(Vec<Vec<String>>, String), target: &Database) {
    assert_eq!(expected.0, contents(target));
    assert_eq!(expected.1, schema(target));
    let invalid = "select indexrelid::regclass::text from pg_index where not indisvalid
        union all select conname::text from pg_constraint where not convalidated";
    assert_eq!(query_strings(target, invalid), Vec::<Vec<String>>::new());
}

pub(crate) fn state(database: &Database) -> (Vec<Vec<String>>, String) {
    (contents(database), schema(database))
}
