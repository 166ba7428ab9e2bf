//! A filesystem in a file, for a test. Needs root, loop devices and mkfs; says loudly when they
//! are not here.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Unmounts and removes everything when our end of its standard input closes.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
cat >/dev/null
tries=0
while mountpoint -q "$1/mnt" && ! umount "$1/mnt" 2>/dev/null && [ "$tries" -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
mountpoint -q "$1/mnt" && umount -l "$1/mnt"
rm -rf -- "$1"
"#;

pub(super) struct LoopFs {
    dir: PathBuf,
    watchdog: Child,
}

impl LoopFs {
    /// A sparse filesystem of this kind (`xfs`, `btrfs`), or None.
    pub(super) fn mount(kind: &str) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("backlot-fs-").tempdir().unwrap().keep();
        open(&dir);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCHDOG, "watchdog"]).arg(&dir);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let fs = Self { watchdog: command.current_dir("/").spawn().unwrap(), dir };
        let image = fs.dir.join("image");
        std::fs::File::create(&image).unwrap().set_len(6 << 30).unwrap();
        std::fs::create_dir(fs.path()).unwrap();
        let made = run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image)).and_then(|()| {
            run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(fs.path()))
        });
        if let Err(reason) = made {
            eprintln!(
                "SKIPPED: no {kind} on a loop device here ({reason}): branches on it are NOT tested in this run"
            );
            return None;
        }
        open(&fs.path());
        Some(fs)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join("mnt")
    }
}

impl Drop for LoopFs {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        drop(self.watchdog.wait());
    }
}

fn open(dir: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir, mode).unwrap();
}

fn run(command: &mut Command) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
