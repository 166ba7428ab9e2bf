//! A data directory as a tree of files: what of it goes into a copy, and the copying.
//!
//! What is left behind is what `pg_basebackup` leaves behind (basebackup.c, `excludeDirContents`
//! and `excludeFiles`, `REL_17`), and the replication slots with what they keep.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::BranchError;
use crate::instance::{Account, NO_LINK};

/// Their contents are remade by every start, or speak of the parent's connections to others.
const EMPTIED: [&str; 10] = [
    "pg_dynshmem",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal/archive_status",
];

const LEFT_BEHIND: [&str; 12] = [
    "backlot.conf",
    "backup_label",
    "backup_label.old",
    "backup_manifest",
    "pg_hba.conf",
    "postgresql.auto.conf.tmp",
    "postmaster.opts",
    "postmaster.pid",
    "recovery.signal",
    "standby.signal",
    "tablespace_map",
    "current_logfiles",
];

/// Which segments go into a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wal {
    All,
    /// From the segment of this name on.
    From(String),
    None,
}

/// What a copy is made of, relative to the data directory. Directories come before what is in
/// them, and `pg_control` comes last: it is what says how far everything else has come.
#[derive(Debug, Default)]
pub(super) struct Tree {
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

/// How one file is cloned to a path where nothing is. Returns the clone, open for writing.
pub(super) type CloneFile = fn(&File, &Path) -> io::Result<File>;

/// What a copy of a tree is told.
pub(super) struct Job<'a> {
    /// Whose the files are.
    pub(super) account: &'a Account,
    pub(super) wal: Wal,
    /// Asked before every file.
    pub(super) may_go_on: &'a dyn Fn() -> bool,
    /// Files may come and go: the backup API mends that.
    pub(super) is_live: bool,
}

const CONTROL_FILE: &str = "global/pg_control";

impl Tree {
    /// What goes into a branch.
    pub(super) fn list(data: &Path, wal: &Wal) -> Result<Self, BranchError> {
        Self::of(data, Some(wal))
    }

    /// Everything, slots and signals too: for a cluster that only moves.
    pub(super) fn whole(data: &Path) -> Result<Self, BranchError> {
        Self::of(data, None)
    }

    fn of(data: &Path, wal: Option<&Wal>) -> Result<Self, BranchError> {
        let mut tree = Self::default();
        tree.visit(data, Path::new(""), wal)?;
        if let Some(at) = tree.files.iter().position(|file| file == Path::new(CONTROL_FILE)) {
            let control = tree.files.remove(at);
            tree.files.push(control);
        }
        Ok(tree)
    }

    /// Without a choice of WAL nothing is left behind.
    fn visit(&mut self, data: &Path, below: &Path, wal: Option<&Wal>) -> Result<(), BranchError> {
        let dir = data.join(below);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // A database was dropped meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && below != Path::new("") => {
                return Ok(());
            }
            Err(error) => return Err(BranchError::file("list", dir)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(BranchError::file("list", &dir))?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type().map_err(BranchError::file("look at", data.join(&path)))?;
            if kind.is_dir() {
                let is_temporary = wal.is_some() && starts_with(&path, "pgsql_tmp");
                if !is_temporary {
                    self.dirs.push(path.clone());
                }
                let is_emptied = wal.is_some() && EMPTIED.iter().any(|dir| path == Path::new(dir));
                if !is_temporary && !is_emptied {
                    self.visit(data, &path, wal)?;
                }
            } else if kind.is_symlink() {
                let name = data.join(&path).display().to_string();
                return Err(BranchError::Outside { name, what: path });
            } else if wal.is_none_or(|wal| goes_along(&path, wal)) {
                self.files.push(path);
            }
        }
        Ok(())
    }

    /// What the files take on the disk.
    pub(super) fn bytes(&self, data: &Path) -> u64 {
        let blocks = |file: &PathBuf| fs::metadata(data.join(file)).map_or(0, |meta| meta.blocks());
        self.files.iter().map(|file| blocks(file) * 512).sum()
    }

    /// Clones everything into `target`, which is made unless it is there. The directories stay ours
    /// until [`give_away`].
    pub(super) fn clone_to(
        &self,
        data: &Path,
        target: &Path,
        clone_file: CloneFile,
        job: &Job,
    ) -> Result<(), BranchError> {
        make_dir(target)?;
        for dir in &self.dirs {
            make_dir(&target.join(dir))?;
        }
        for file in &self.files {
            if !(job.may_go_on)() {
                return Err(BranchError::OverBudget);
            }
            clone_one(&data.join(file), &target.join(file), clone_file, job)?;
        }
        Ok(())
    }
}

/// Gives the directories of a copy that is complete to its account, the innermost first: until then
/// nobody else can put a link into them.
pub(super) fn give_away(target: &Path, account: &Account) -> Result<(), BranchError> {
    if account.is_other() {
        for dir in Tree::whole(target)?.dirs.iter().rev() {
            account.own(&target.join(dir))?;
        }
        account.own(target)?;
    }
    Ok(())
}

pub(super) fn clone_one(
    from: &Path,
    to: &Path,
    clone_file: CloneFile,
    job: &Job,
) -> Result<(), BranchError> {
    let mut options = OpenOptions::new();
    let source = match options.read(true).custom_flags(NO_LINK).open(from) {
        Ok(source) => source,
        Err(error) if error.kind() == ErrorKind::NotFound && job.is_live => return Ok(()),
        Err(error) => return Err(BranchError::file("open", from)(error)),
    };
    let target = clone_file(&source, to).map_err(BranchError::file("clone", from))?;
    job.account.own_open(&target).map_err(BranchError::file("give away", to))
}

/// Makes an empty file, for nobody but us.
pub(super) fn make_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Removes from a copy of everything what [`Tree`] leaves behind.
pub(super) fn prune(data: &Path) -> Result<(), BranchError> {
    for file in LEFT_BEHIND {
        match fs::remove_file(data.join(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(BranchError::file("remove", data.join(file))(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    for dir in EMPTIED {
        let dir = data.join(dir);
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.map_err(BranchError::file("list", &dir))?.path();
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(BranchError::file("remove", path))?;
        }
    }
    Ok(())
}

/// Tablespaces and a `pg_wal` elsewhere are links: a copy would share them with its parent.
pub(super) fn links_outside(data: &Path) -> Option<PathBuf> {
    let is_link = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    let inside = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = [data.to_owned(), data.join("pg_tblspc")];
    let entries = dirs.into_iter().flat_map(inside).map(|entry| entry.path());
    entries.chain(EMPTIED.map(|dir| data.join(dir))).find(is_link)
}

/// Everything that was written to the filesystem of `data` is on the disk when it returns.
#[cfg(target_os = "linux")]
pub(super) fn sync_filesystem(data: &Path) -> Result<(), BranchError> {
    let failed = BranchError::file("sync", data);
    let file = match File::open(data) {
        Ok(file) => file,
        Err(error) => return Err(failed(error)),
    };
    rustix::fs::syncfs(&file).map_err(|error| failed(error.into()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sync_filesystem(data: &Path) -> Result<(), BranchError> {
    File::open(data).and_then(|file| file.sync_all()).map_err(BranchError::file("sync", data))
}

fn make_dir(path: &Path) -> Result<(), BranchError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(BranchError::file("make", path)),
    }
}

fn starts_with(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

fn goes_along(path: &Path, wal: &Wal) -> bool {
    if LEFT_BEHIND.iter().any(|file| path == Path::new(file)) || starts_with(path, "pgsql_tmp") {
        return false;
    }
    let Ok(segment) = path.strip_prefix("pg_wal") else { return true };
    let segment = segment.to_str().unwrap_or_default();
    match wal {
        Wal::All => true,
        _ if segment.ends_with(".history") => true,
        Wal::None => false,
        // 24 hexadecimal digits: timeline, then position.
        Wal::From(first) => segment.len() == 24 && segment >= first.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Tree, Wal, prune};
    use std::fs;

    fn parent() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "PG_VERSION",
            "postmaster.pid",
            "standby.signal",
            "base/1/112",
            "base/pgsql_tmp/pgsql_tmp1.0",
            "global/pg_control",
            "pg_replslot/slot/state",
            "pg_wal/000000010000000000000001",
            "pg_wal/000000010000000000000002",
            "zz",
        ];
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    #[test]
    fn slots_and_signals_stay_behind_and_the_control_file_comes_last() {
        let dir = parent();
        let wal = Wal::From("000000010000000000000002".into());
        let tree = Tree::list(dir.path(), &wal).unwrap();
        let mut files: Vec<_> = tree.files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(files.pop(), Some("global/pg_control"));
        files.sort_unstable();
        assert_eq!(files, ["PG_VERSION", "base/1/112", "pg_wal/000000010000000000000002", "zz"]);
        assert!(tree.dirs.iter().any(|dir| dir.to_str() == Some("pg_replslot")));
    }

    #[test]
    fn a_cluster_that_moves_takes_everything_along() {
        let tree = Tree::whole(parent().path()).unwrap();
        assert_eq!(tree.files.len(), 10, "{tree:?}");
    }

    #[test]
    fn pruning_leaves_what_a_copy_takes() {
        let dir = parent();
        prune(dir.path()).unwrap();
        let after = Tree::list(dir.path(), &Wal::All).unwrap();
        assert!(!dir.path().join("pg_replslot/slot").exists());
        assert!(!dir.path().join("postmaster.pid").exists());
        assert!(after.files.len() == 6, "{after:?}");
    }
}
