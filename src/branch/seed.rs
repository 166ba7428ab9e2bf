//! The cluster that new ones are copied of: made once for each version, since initdb takes a
//! second or more.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::tree::sync_filesystem;
use super::{BranchError, Lock, LockKind};
use crate::instance::{
    Account, Binaries, Durability, Server, ServerGuard, ServerOptions, StopMode,
};
use crate::pg::{ConnInfo, Ident, Wire};

/// initdb on a busy machine, by somebody else.
const MAKING_LIMIT: Duration = Duration::from_mins(3);
/// Of what a seed holds: another number makes new ones.
const VERSION: u32 = 1;

/// The data directory of a stopped cluster with an empty database `database`.
pub(super) fn seed(
    cache: &Path,
    binaries: &Binaries,
    database: &str,
) -> Result<PathBuf, BranchError> {
    let account = Account::for_cluster(Path::new("/nonexistent"))?;
    let name = format!("{}-{database}-{}-v{VERSION}", plain(&binaries.version), account.uid);
    let dir = cache.join("template");
    let mode = if account.is_other() { 0o711 } else { 0o700 };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(&dir)
        .map_err(BranchError::file("make", &dir))?;
    let home = dir.join(&name);
    if home.join("data/PG_VERSION").exists() {
        return Ok(home.join("data"));
    }
    let lock = dir.join(format!("{name}.lock"));
    let _lock = Lock::wait(&lock, LockKind::Exclusive, "template", MAKING_LIMIT)?;
    if home.join("data/PG_VERSION").exists() {
        return Ok(home.join("data"));
    }
    // Under the lock, so a left-over is nobody's.
    let fresh = dir.join(format!(".{name}"));
    super::delete::remove_dir(&fresh)?;
    fs::DirBuilder::new().mode(mode).create(&fresh).map_err(BranchError::file("make", &fresh))?;
    make(binaries, &fresh, database)?;
    // Nothing was synced while it was made; once it has its name, it is taken for whole.
    sync_filesystem(&fresh)?;
    fs::rename(&fresh, &home).map_err(BranchError::file("rename", &fresh))?;
    sync_filesystem(&dir)?;
    Ok(home.join("data"))
}

fn make(binaries: &Binaries, home: &Path, database: &str) -> Result<(), BranchError> {
    let options = ServerOptions {
        durability: Durability::Scratch,
        data_checksums: true,
        ..ServerOptions::default()
    };
    let server = Server::init(binaries, &home.join("data"), options)?;
    let mut server = ServerGuard::new(server)?;
    server.start()?;
    let failed = BranchError::sql("create the database", "template");
    let info = ConnInfo::parse(&server.url("postgres")).map_err(&failed)?;
    let mut session = Wire::connect(&info, "backlot").map_err(&failed)?;
    session.simple(&format!("create database {}", Ident(database))).map_err(&failed)?;
    drop(session);
    Ok(server.stop(StopMode::Fast)?)
}

/// A version as part of a file name.
fn plain(version: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    version.chars().map(kept).collect()
}
