//! What `pg_controldata` says of a server that does not run.

use std::{path::Path, process::Command};

/// The first segment that a start reads: everything before it is only there to be recycled. None
/// where the program is missing or says it otherwise: then everything is copied.
pub(super) fn first_segment(bin_dir: &Path, data: &Path) -> Option<String> {
    let mut command = Command::new(bin_dir.join("pg_controldata"));
    let output = command.arg("-D").arg(data).env("LC_ALL", "C").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let value = |name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start_matches(':').trim()))
    };
    let segment = value("Latest checkpoint's REDO WAL file")?;
    (segment.len() == 24).then(|| segment.to_owned())
}
