//! A server that others run: how it is reached, and what it is.
//!
//! Where a branch lives, its row says; as whom and by which TLS it is reached, the project file. The
//! password is the saved one, or that of the environment.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use secrecy::SecretString;

use super::{Branch, BranchError, Home, Place, access};
use crate::pg::{ConnInfo, Error, Wire};
use crate::project::Credentials;

/// Of the server's password in the credentials: no branch has such an id.
const PASSWORD: &str = "server";

/// The server that others run.
#[derive(Clone, Debug)]
pub struct ForeignServer {
    /// To the adopted database. The password is that of the environment, if there is one.
    info: ConnInfo,
    /// What the server has, asked once; None when it did not answer.
    databases: Arc<OnceLock<Option<BTreeSet<String>>>>,
}

impl ForeignServer {
    pub fn new(info: ConnInfo) -> Self {
        Self { info, databases: Arc::default() }
    }
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As it says it: `15.17 (Debian 15.17-1)` without what is in brackets.
    pub text: String,
    pub major: u32,
}

/// What becomes of a branch's database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    There,
    Missing,
    /// The server does not answer.
    Unknown,
}

/// # Errors
/// [`BranchError::Foreign`] if the branch's server is not ours: `what` names what cannot be done.
pub fn require_own(branch: &Branch, what: &'static str) -> Result<(), BranchError> {
    match branch.place {
        Place::Own => Ok(()),
        Place::Foreign { .. } => Err(BranchError::Foreign { what, name: branch.name.clone() }),
    }
}

/// # Errors
/// [`BranchError::Elsewhere`] if the project's first branch is another database than the project
/// file names.
pub fn require_here(home: &Home, first: &Branch) -> Result<(), BranchError> {
    let lives = match first.place {
        Place::Own => None,
        Place::Foreign { .. } => Some(format!("{}/{}", access::address(first), first.database)),
    };
    let named = home
        .foreign
        .as_ref()
        .map(|ForeignServer { info, .. }| format!("{}:{}/{}", info.host, info.port, info.dbname));
    if lives == named {
        return Ok(());
    }
    let own = || "a server of the project's own".to_owned();
    let (lives, named) = (lives.unwrap_or_else(own), named.unwrap_or_else(own));
    Err(BranchError::Elsewhere { name: first.name.clone(), lives, named })
}

/// Asks a server what it is, in the database that is to be adopted.
///
/// # Errors
/// [`BranchError::Sql`].
pub fn version_of(info: &ConnInfo, name: &str) -> Result<Version, BranchError> {
    let failed = BranchError::sql("ask for the version", name);
    let sql = "select pg_catalog.current_setting('server_version'), \
               pg_catalog.current_setting('server_version_num')";
    let rows = connect(info, name)?.simple(sql).map_err(failed)?;
    let mut values = rows.into_iter().flatten().map(Option::unwrap_or_default);
    let (text, number) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
    let text = text.split_whitespace().next().unwrap_or_default().to_owned();
    Ok(Version { text, major: number.parse::<u32>().unwrap_or_default() / 10_000 })
}

/// Keeps the server's password for this machine.
///
/// # Errors
/// [`BranchError::Project`], [`BranchError::Busy`].
pub fn set_server_password(home: &Home, password: SecretString) -> Result<(), BranchError> {
    home.catalog().change(|_| Ok(Credentials::read(&home.state)?.set(PASSWORD, password)?))
}

/// The branch's URL, with the password if that is known.
///
/// # Errors
/// [`BranchError::Elsewhere`].
pub fn foreign_url(home: &Home, branch: &Branch) -> Result<SecretString, BranchError> {
    Ok(server(home, branch)?.to_url())
}

/// True if the branch's database takes connections.
///
/// # Errors
/// [`BranchError::Sql`] with why it does not.
pub fn foreign_answers(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    connect(&server(home, branch)?, &branch.name).map(drop)
}

/// Whether the branch's database is there. The server is asked once for all branches.
pub fn foreign_database(home: &Home, branch: &Branch) -> Database {
    let Some(foreign) = &home.foreign else { return Database::Unknown };
    let list = || {
        let mut session = any_session(home, branch, ask).ok()?;
        let names = session.column("select datname from pg_catalog.pg_database").ok()?;
        Some(names.into_iter().collect())
    };
    // Of another server than the one that was asked?
    match foreign.databases.get_or_init(list) {
        Some(_) if server(home, branch).is_err() => Database::Unknown,
        Some(names) if names.contains(&branch.database) => Database::There,
        Some(_) => Database::Missing,
        None => Database::Unknown,
    }
}

/// How the branch's database is reached: where, by its row; as whom and by which TLS, by the project
/// file.
pub(super) fn server(home: &Home, branch: &Branch) -> Result<ConnInfo, BranchError> {
    let lives = access::address(branch);
    let elsewhere =
        |named: String| BranchError::Elsewhere { name: branch.name.clone(), lives, named };
    let Some(foreign) = &home.foreign else { return Err(elsewhere("none".to_owned())) };
    let info = with_saved_password(home, foreign)?;
    if (info.host.as_str(), info.port) != (access::host(branch).as_str(), branch.port) {
        return Err(elsewhere(format!("{}:{}", info.host, info.port)));
    }
    Ok(info.with_dbname(&branch.database))
}

pub(super) fn with_saved_password(
    home: &Home,
    foreign: &ForeignServer,
) -> Result<ConnInfo, BranchError> {
    let mut info = foreign.info.clone();
    if let Some(password) = Credentials::read(&home.state)?.password(PASSWORD) {
        info.password = Some(password.clone());
    }
    Ok(info)
}

/// A session for what concerns the whole server, not in the branch's database: template1 last, for
/// whoever is in it stands in the way of CREATE DATABASE.
pub(super) fn any_session(
    home: &Home,
    branch: &Branch,
    open: impl Fn(&ConnInfo) -> Result<Wire, Error>,
) -> Result<Wire, BranchError> {
    let info = server(home, branch)?;
    let adopted = adopted_name(home).filter(|name| *name != branch.database);
    let mut last = None;
    for database in [Some("postgres"), adopted.as_deref(), Some("template1")].into_iter().flatten()
    {
        match open(&info.with_dbname(database)) {
            Ok(session) => return Ok(session),
            Err(error) => {
                // It is not there, or is not for this role.
                let is_closed = matches!(error.sqlstate(), Some("3D000" | "42501" | "28000"));
                let error = BranchError::sql("connect", &branch.name)(error);
                if !is_closed {
                    return Err(error);
                }
                last.get_or_insert(error);
            }
        }
    }
    Err(last.expect("template1 was tried"))
}

/// Tells a session that works for this branch from all others.
pub(super) fn application(branch: &Branch) -> String {
    format!("backlot branch {}", branch.id)
}

/// Opens a session for what may take long.
pub(super) fn work_for(branch: &Branch) -> impl Fn(&ConnInfo) -> Result<Wire, Error> {
    let application = application(branch);
    move |info| {
        // One that says nothing is found out before it may take its time.
        ask(info)?;
        Wire::connect(info, &application)
    }
}

/// Opens a session for one question.
fn ask(info: &ConnInfo) -> Result<Wire, Error> {
    let limit = Duration::from_secs(info.connect_timeout_s.max(1));
    Wire::connect_within(info, "backlot branch", limit)
}

fn connect(info: &ConnInfo, name: &str) -> Result<Wire, BranchError> {
    ask(info).map_err(BranchError::sql("connect", name))
}

pub(super) fn adopted_name(home: &Home) -> Option<String> {
    home.foreign.as_ref().map(|foreign| foreign.info.dbname.clone())
}
