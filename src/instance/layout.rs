//! The files of a server: data directory, log beside it, private socket directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use super::{Account, InstanceError};

/// `sun_path` holds 104 bytes on macOS and 108 on Linux, with `/.s.PGSQL.65535` and a NUL.
const MAX_SOCKET_DIR_BYTES: usize = 104 - "/.s.PGSQL.65535\0".len();

/// A log that has grown beyond this is moved to `….log.1` at the next start.
const MAX_LOG_BYTES: u64 = 16 << 20;

/// For files in directories of others: what a link points to may be anybody's.
pub(crate) const NO_LINK: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// How much of a log an error message quotes.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 8 << 10;

/// Makes `data_dir` absolute and canonical, its parent existing.
pub(super) fn absolute(data_dir: &Path) -> Result<PathBuf, InstanceError> {
    let failed = |source| file_error("find", data_dir, source);
    let path = std::path::absolute(data_dir).map_err(failed)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::InvalidInput)));
    };
    fs::create_dir_all(parent).map_err(failed)?;
    Ok(parent.canonicalize().map_err(failed)?.join(name))
}

/// `/x/data` + `.log` → `/x/data.log`.
pub(super) fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    data_dir.with_file_name(name)
}

/// `<data>.s`, or a short name below /tmp when that is too long for a socket address.
pub(crate) fn socket_dir(data_dir: &Path) -> PathBuf {
    let near = beside(data_dir, ".s");
    if socket_dir_fits(&near) {
        return near;
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    let id = hex::encode(digest.get(..8).unwrap_or_default());
    PathBuf::from(format!("/tmp/backlot-{id}.s"))
}

/// True if a socket in `dir` has an address that is short enough.
pub(crate) fn socket_dir_fits(dir: &Path) -> bool {
    dir.as_os_str().len() <= MAX_SOCKET_DIR_BYTES
}

/// Makes a directory that only `account` can use. An existing one must be just that: in /tmp,
/// somebody else may have been there first.
pub(crate) fn private_dir(dir: &Path, account: &Account) -> Result<(), InstanceError> {
    let failed = |action| move |source| file_error(action, dir, source);
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(failed("make")(error));
        }
        Ok(()) | Err(_) => {}
    }
    // Held open from here on: a link that takes its place changes nothing.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(dir, flags, Mode::empty());
    let opened = File::from(opened.map_err(|error| failed("use")(error.into()))?);
    let owner = opened.metadata().map_err(failed("look at"))?.uid();
    if owner != account.uid && owner != 0 {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        return Err(failed("use")(denied));
    }
    account.own_open(&opened).map_err(failed("give away"))?;
    opened.set_permissions(fs::Permissions::from_mode(0o700)).map_err(failed("close"))
}

/// Writes a file that only `account` can read.
pub(crate) fn write_private(
    path: &Path,
    text: &str,
    account: &Account,
) -> Result<(), InstanceError> {
    let write = || {
        // A left-over keeps its old mode when it is opened again.
        let _ = fs::remove_file(path);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        account.own_open(&file)
    };
    write().map_err(|source| file_error("write", path, source))
}

/// The log of `account`'s server, opened for appending, with the length it has now.
pub(super) fn open_log(path: &Path, account: &Account) -> Result<(File, u64), InstanceError> {
    let failed = |source| file_error("open the log", path, source);
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.len() > MAX_LOG_BYTES) {
        fs::rename(path, beside(path, ".1")).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(NO_LINK);
    let file = options.open(path).map_err(failed)?;
    account.own_open(&file).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((file, length))
}

/// The last lines that were written to the log after its first `from` bytes.
pub(super) fn log_tail(path: &Path, from: u64) -> String {
    match last_lines(path, from, TAIL_BYTES, TAIL_LINES) {
        Ok(lines) => lines.join("\n"),
        Err(error) => format!("(log unreadable: {error})"),
    }
}

/// The last `count` lines after the first `from` bytes of a file, as far as `byte_limit` bytes hold
/// them.
///
/// # Errors
/// Those of reading the file.
pub(crate) fn last_lines(
    path: &Path,
    from: u64,
    byte_limit: u64,
    count: usize,
) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(byte_limit))))?;
    let mut bytes = Vec::new();
    file.take(byte_limit).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.iter().skip(lines.len().saturating_sub(count)).map(ToString::to_string).collect())
}

pub(super) fn file_error(
    action: &'static str,
    path: &Path,
    source: std::io::Error,
) -> InstanceError {
    InstanceError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{MAX_SOCKET_DIR_BYTES, log_tail, socket_dir};

    #[test]
    fn a_socket_directory_is_always_short_enough_and_always_the_same() {
        assert_eq!(socket_dir(Path::new("/x/main")), Path::new("/x/main.s"));
        let deep = format!("/{}/main", "long/".repeat(40));
        let dir = socket_dir(Path::new(&deep));
        assert!(dir.as_os_str().len() <= MAX_SOCKET_DIR_BYTES, "{dir:?}");
        assert_eq!(dir, socket_dir(Path::new(&deep)));
    }

    #[test]
    fn a_log_tail_leaves_out_earlier_starts() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        std::fs::write(&log, "old\nnew\nnewer\n").unwrap();
        assert_eq!(log_tail(&log, 4), "new\nnewer");
        assert!(log_tail(&dir.path().join("none"), 0).contains("unreadable"));
    }
}
