//! The account that a server runs as: ours, or an unprivileged one when we are root.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use super::{InstanceError, layout::file_error};

/// In order of preference. `postgres` is what distributions make for this; `nobody` is
/// everywhere.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// True when processes must be started under other ids than ours.
    switch: bool,
}

impl Account {
    /// The account for a cluster: we ourselves, or, when we are root, the owner of the existing
    /// data directory, else `postgres`, else `nobody`.
    ///
    /// # Errors
    /// [`InstanceError::NoAccount`] when we are root and neither account exists.
    pub fn for_cluster(data_dir: &Path) -> Result<Self, InstanceError> {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            let gid = rustix::process::getegid().as_raw();
            return Ok(Self { name: format!("uid {uid}"), uid, gid, switch: false });
        }
        let owner = fs::metadata(data_dir.join("PG_VERSION")).ok();
        if let Some(owner) = owner.filter(|meta| meta.uid() != 0) {
            let (uid, gid) = (owner.uid(), owner.gid());
            return Ok(Self { name: format!("uid {uid}"), uid, gid, switch: true });
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        CANDIDATES
            .iter()
            .find_map(|name| parse_passwd(&users, name))
            .ok_or(InstanceError::NoAccount)
    }

    /// True when the server's account is not ours: files that we make must be given away.
    pub fn is_other(&self) -> bool {
        self.switch
    }

    /// Makes `command` run under this account. std drops the supplementary groups with the uid.
    pub(super) fn apply(&self, command: &mut Command) {
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file or directory to this account; nothing to do unless we are root. Of a link
    /// the link itself: what it points to may be anybody's.
    ///
    /// # Errors
    /// [`InstanceError::File`].
    pub fn own(&self, path: &Path) -> Result<(), InstanceError> {
        if !self.switch {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
            .map_err(|source| file_error("give away", path, source))
    }

    /// As [`Account::own`], of what is open already, so that nobody can put something else there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn own_open(&self, file: &fs::File) -> std::io::Result<()> {
        if !self.switch {
            return Ok(());
        }
        std::os::unix::fs::fchown(file, Some(self.uid), Some(self.gid))
    }

    /// The first ancestor of `path` (itself included) that this account cannot enter.
    /// Only the mode bits are looked at; ACLs are not. Ancestors that do not exist are passed.
    pub(super) fn blocked_at(&self, path: &Path) -> Option<PathBuf> {
        if !self.switch {
            return None;
        }
        // Resolved first: /usr/lib/postgresql may be reached through links.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        let closed = |dir: &&Path| fs::metadata(dir).is_ok_and(|meta| !self.may_enter(&meta));
        ancestors.into_iter().find(closed).map(Path::to_owned)
    }

    fn may_enter(&self, meta: &fs::Metadata) -> bool {
        let bit = if meta.uid() == self.uid {
            0o100
        } else if meta.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        meta.mode() & bit != 0
    }

    /// # Errors
    /// [`InstanceError::Unreachable`] when the account cannot enter `path`.
    pub fn require_reach(&self, path: &Path) -> Result<(), InstanceError> {
        let Some(blocked_at) = self.blocked_at(path) else { return Ok(()) };
        let (path, account) = (path.to_owned(), self.name.clone());
        Err(InstanceError::Unreachable { path, blocked_at, account })
    }
}

/// One line of passwd(5): `name:password:uid:gid:…`. Root's own line never qualifies.
fn parse_passwd(users: &str, wanted: &str) -> Option<Account> {
    let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
    let mut fields = line.split(':').skip(2);
    let uid: u32 = fields.next()?.parse().ok()?;
    let gid: u32 = fields.next()?.parse().ok()?;
    (uid != 0).then(|| Account { name: wanted.to_owned(), uid, gid, switch: true })
}

#[cfg(test)]
mod tests {
    use super::parse_passwd;

    #[test]
    fn an_account_is_read_from_passwd_and_is_never_root() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:PG:/var:/bin/sh\nshort:x\n";
        let account = parse_passwd(users, "postgres").unwrap();
        assert_eq!((account.uid, account.gid), (101, 104));
        assert!(parse_passwd(users, "root").is_none());
        assert!(parse_passwd(users, "short").is_none());
        assert!(parse_passwd(users, "nobody").is_none());
    }
}
