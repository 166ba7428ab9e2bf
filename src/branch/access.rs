//! Who listens on a branch's port, and how one gets in. The only place that knows.
//!
//! The proxy listens (`crate::proxy`), on 127.0.0.1, and asks for the branch's password by SCRAM.
//! The server has only its private socket (a directory of mode 0700), which asks for nothing.

use std::net::Ipv4Addr;

use secrecy::{ExposeSecret, SecretString};

use super::Branch;
use crate::pg::percent_encoded;

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

/// For applications. Holds the password.
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
