//! A project of a test.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use backlot::instance::Binaries;

use crate::support::{Output, backlot, database};

/// Ends the project's servers and removes its folder when our end of its standard input closes,
/// also when the test process is killed.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
cat >/dev/null
"$1" --project "$2" stop >/dev/null 2>&1
for pid in "$2"/.backlot/state/branches/*/data/postmaster.pid; do
    [ -e "$pid" ] && kill -QUIT "$(head -n 1 "$pid")"
done
# Sockets of projects with long paths.
grep -oh '/tmp/backlot-[0-9a-f]*[.]s' "$2"/.backlot/state/branches/*/data/backlot.conf | xargs -r rm -rf --
mountpoint -q "$2/.backlot/state/branches" && umount -l "$2/.backlot/state/branches"
rm -rf -- "$2"
"#;

pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    bin_dir: String,
    major: u32,
    watchdog: Child,
}

impl Project {
    /// A folder with a project; `main` runs.
    pub(crate) fn init(binaries: &Binaries) -> Self {
        let project = Self::empty(binaries, &std::env::temp_dir());
        project.run(&["init", "--name", "test"]).expect_code(0);
        project
    }

    /// An empty folder below `parent`.
    pub(crate) fn empty(binaries: &Binaries, parent: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("backlot-branch-").tempdir_in(parent).unwrap();
        let folder = folder.keep();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&folder, open).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG, "watchdog", env!("CARGO_BIN_EXE_backlot")]).arg(&folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let watchdog = command.current_dir("/").spawn().unwrap();
        let bin_dir = binaries.bin_dir.to_str().unwrap().to_owned();
        Self { folder, bin_dir, major: binaries.major, watchdog }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.run_in(&self.folder, args)
    }

    pub(crate) fn run_in(&self, folder: &Path, args: &[&str]) -> Output {
        let mut args = args.to_vec();
        let major = self.major.to_string();
        if args.first() == Some(&"init") {
            args.extend(["--postgres", &major]);
        }
        backlot(folder, &args, &[("BACKLOT_PG_BIN", &self.bin_dir)])
    }

    /// For [`crate::support::Running`].
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        vec![("BACKLOT_PG_BIN".to_owned(), self.bin_dir.clone())]
    }

    /// As a restart of the machine would leave it.
    pub(super) fn unmount(&self) {
        let branches = self.state().join("branches");
        let status = Command::new("umount").arg(branches).status().unwrap();
        assert!(status.success());
    }

    /// Servers that work on the project's branches.
    pub(super) fn postmasters(&self) -> usize {
        let branches = self.state().join("branches").canonicalize().unwrap();
        let works = |pid: &std::path::PathBuf| {
            let is_ours =
                std::fs::read_link(pid.join("cwd")).is_ok_and(|d| d.starts_with(&branches));
            let command = std::fs::read(pid.join("cmdline")).unwrap_or_default();
            // Children have titles: `postgres: checkpointer`.
            let is_main = command.windows(4).any(|bytes| bytes == b"\0-D\0");
            is_ours && is_main
        };
        let pids = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let found = pids.filter(works).collect::<Vec<_>>();
        // But for a moment, a new child still has its parent's.
        let is_child = |pid: &&std::path::PathBuf| {
            let stat = std::fs::read_to_string(pid.join("stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            parent.is_none_or(|parent| found.iter().any(|one| one.ends_with(parent)))
        };
        found.iter().filter(|pid| !is_child(pid)).count()
    }

    /// The document of a verb that must succeed.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut args = args.to_vec();
        args.push("--json");
        let output = self.run(&args).expect_code(0);
        assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
        output.json()
    }

    /// The error of a verb that must fail.
    #[track_caller]
    pub(crate) fn error(&self, args: &[&str], code: i32) -> serde_json::Value {
        let mut args = args.to_vec();
        args.push("--json");
        let output = self.run(&args).expect_code(code);
        assert_eq!(output.stdout, "");
        let document: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
        document["error"].clone()
    }

    pub(crate) fn create(&self, name: &str) -> serde_json::Value {
        self.json(&["branch", "create", "--name", name, "--wait"])
    }

    pub(crate) fn url(&self, name: &str) -> String {
        self.run(&["branch", "url", name]).expect_code(0).stdout.trim().to_owned()
    }

    /// Runs statements on a branch, as an application would.
    pub(crate) fn sql(&self, name: &str, statements: &str) -> Vec<Vec<String>> {
        let url = self.url(name);
        match database::run(&url, statements) {
            Ok(rows) => rows,
            Err(error) => panic!("{name}: {error:?}\n{statements:.2000}"),
        }
    }

    pub(crate) fn value(&self, name: &str, query: &str) -> String {
        self.sql(name, query)[0][0].clone()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join(".backlot/state")
    }

    /// Directories of branches on the disk.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.state().join("branches")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for dir in self.directories() {
                let log = std::fs::read_to_string(dir.join("server.log")).unwrap_or_default();
                let end = log.lines().rev().take(15).collect::<Vec<_>>();
                let end = end.into_iter().rev().collect::<Vec<_>>().join("\n");
                eprintln!("{} ends with:\n{end}", dir.display());
            }
        }
        drop(self.watchdog.stdin.take());
        drop(self.watchdog.wait());
    }
}
