//! Who listens on a branch's port, and how one gets in. The only place that knows.
//!
//! The proxy listens (`crate::proxy`), on 127.0.0.1, and asks for the branch's password by SCRAM.
//! The server has only its private socket (a directory of mode 0700), which asks for nothing.

use std::{net::Ipv4Addr, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Branch, Place};
use crate::instance::{socket_dir as socket_dir_of, socket_dir_fits};
use crate::pg::percent_encoded;
use crate::project::BranchFiles;

pub const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The port that names the socket: the directory tells the branches apart.
pub(super) const SOCKET_PORT: u16 = 5432;
/// In the branch's socket directory.
pub const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// `pg_hba.conf` while a new branch is not fit for others yet.
pub(super) const CLOSED: &str = "\
# Written by backlot at every start: changes are lost.
local all all trust
";

/// `pg_hba.conf` of a branch in use.
pub(super) const OPEN: &str = "\
# Written by backlot at every start: changes are lost.
local all all trust
local replication all trust
";

/// Where a branch's socket is: in its directory, or below /tmp where that would be too long.
pub(super) fn socket_dir(files: &BranchFiles) -> PathBuf {
    if socket_dir_fits(&files.socket) { files.socket.clone() } else { socket_dir_of(&files.data) }
}

/// Where the branch's port is.
pub fn host(branch: &Branch) -> String {
    match &branch.place {
        Place::Own => LOOPBACK.to_string(),
        Place::Foreign { host } => host.clone(),
    }
}

/// `host:port`, for people.
pub fn address(branch: &Branch) -> String {
    format!("{}:{}", host(branch), branch.port)
}

/// For applications, of a server of ours. Holds the password.
pub fn tcp_url(branch: &Branch, password: &SecretString) -> SecretString {
    let Branch { user, port, database, .. } = branch;
    let password = password.expose_secret();
    // User and database are names of ours, the password is of letters and digits.
    format!("postgresql://{user}:{password}@{LOOPBACK}:{port}/{database}").into()
}

/// Without the password.
pub fn socket_url(branch: &Branch) -> String {
    let Branch { user, database, .. } = branch;
    let dir = percent_encoded(branch.socket_dir.as_os_str().as_encoded_bytes());
    format!("postgresql:///{database}?host={dir}&port={SOCKET_PORT}&user={user}")
}
