//! Files that are whole or not there, and readable by their owner only; random bytes.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::Path,
};

use super::ProjectError;
use crate::random;

/// Writes a file in one step: what is there afterwards is the old text or the new, and survives a
/// power cut. `mode` is that of the new file.
///
/// # Errors
/// [`ProjectError::File`].
pub fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), ProjectError> {
    let mut fresh = path.file_name().unwrap_or_default().to_owned();
    fresh.push(format!(".new-{}", std::process::id()));
    let fresh = path.with_file_name(fresh);
    let write = || {
        // A left-over of a killed process keeps its old mode when it is opened again.
        drop(fs::remove_file(&fresh));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        give_to_owner(&file, path)?;
        file.sync_data()?;
        fs::rename(&fresh, path)?;
        match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(ProjectError::file("write", path))
}

/// What root makes by sudo in a user's project stays the user's: gives `path`, opened as `file`, to
/// the owner of the directory that it is in.
///
/// # Errors
/// Those of the system.
pub fn give_to_owner(file: &File, path: &Path) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let owner = fs::metadata(parent.unwrap_or(Path::new(".")))?;
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// As [`random::random_bytes`].
///
/// # Errors
/// [`ProjectError::File`].
pub fn random_bytes<const N: usize>() -> Result<[u8; N], ProjectError> {
    random::random_bytes().map_err(ProjectError::file("read", "/dev/urandom"))
}
