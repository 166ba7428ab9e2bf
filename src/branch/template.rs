//! Branches of a server that others run: databases of it, made by CREATE DATABASE … TEMPLATE.
//!
//! The first one is a database that was there: adopted, never dropped, always protected. The others are
//! called `<database>_<id>`, and nothing is dropped whose name does not carry the id of its row.
//! Nobody is disconnected but sessions of ours, left behind by commands that were killed.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::create::{Filled, Reserved, finish, make_dir, require_free};
use super::foreign::{
    ForeignServer, Version, adopted_name, any_session, application, server, version_of,
    with_saved_password, work_for,
};
use super::scrub::Quieted;
use super::{
    BackendKind, Branch, BranchError, BranchState, Captured, Created, Home, Method, Moment, Parent,
    Place, Request, Use, access,
};
use crate::pg::{Error, Ident, Literal, Wire, set_clause};
use crate::project::random_bytes;

/// `NAMEDATALEN` is 64 bytes.
const NAME_LIMIT: usize = 63;
/// Room for the id, and for the `__backlot_new` of a clone that replaces the branch.
const SUFFIX_ROOM: usize = 1 + 12 + 13;
/// A server process of a command that was killed still copies; then it has been told to end.
const END_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
const SESSIONS: &str = include_str!("sql/sessions.sql");
const SETTINGS: &str = include_str!("sql/settings.sql");
const RIGHTS: &str = include_str!("sql/rights.sql");

/// True if the branch is a database that we did not make.
pub(super) fn is_adopted(branch: &Branch) -> bool {
    !branch.place.is_own() && !branch.database.ends_with(&format!("_{}", branch.id))
}

/// # Errors
/// [`BranchError::NotOurs`] for a database that we did not make.
pub fn require_made(branch: &Branch) -> Result<(), BranchError> {
    if is_adopted(branch) {
        return Err(BranchError::NotOurs { name: branch.name.clone() });
    }
    Ok(())
}

/// Takes the database of the project file for the project's first branch.
///
/// # Errors
/// [`BranchError::Exists`], [`BranchError::Sql`].
pub fn adopt(home: &Home, foreign: &ForeignServer, name: &str) -> Result<Branch, BranchError> {
    super::is_branch_name(name)?;
    let info = with_saved_password(home, foreign)?;
    let version = version_of(&info, name)?;
    let plan = Plan {
        name: name.to_owned(),
        parent: None,
        host: info.host.clone(),
        port: info.port,
        database: info.dbname.clone(),
        user: info.user,
        protected: true,
        expires_at: None,
        version,
    };
    let reserved = reserve(home, &plan, |_| info.dbname)?;
    let captured = Captured { method: Method::Adopted, pause_ms: 0 };
    let filled = Filled { captured, quieted: Quieted::default(), settings_left: Vec::new() };
    Ok(finish(home, &reserved, Ok(filled))?.branch)
}

/// Makes a branch of a parent that nobody is in.
///
/// # Errors
/// [`BranchError::InUse`], [`BranchError::MayNot`], [`BranchError::Backend`],
/// [`BranchError::Elsewhere`].
pub(super) fn create(
    home: &Home,
    request: &Request,
    parent: &Branch,
) -> Result<Created, BranchError> {
    if let Some(backend) = request.backend.filter(|kind| *kind != BackendKind::Template) {
        let reason = "the parent is a database of a server that is not backlot's: `template` is \
                      what there is"
            .to_owned();
        return Err(BranchError::Backend { backend, reason });
    }
    let info = server(home, parent)?;
    let plan = Plan {
        name: request.name.clone(),
        parent: Some(Parent { id: parent.id.clone(), name: parent.name.clone() }),
        host: info.host,
        port: info.port,
        database: adopted_name(home).unwrap_or_else(|| parent.database.clone()),
        user: info.user,
        protected: request.protected,
        expires_at: request.expires_at,
        version: Version { text: parent.postgres_version.clone(), major: parent.major },
    };
    let reserved = reserve(home, &plan, |id| database_name(&plan.database, id))?;
    let outcome = copy(home, parent, &reserved.branch);
    finish(home, &reserved, outcome)
}

/// What the row will say.
struct Plan {
    name: String,
    parent: Option<Parent>,
    host: String,
    port: u16,
    /// That its own is named after.
    database: String,
    user: String,
    protected: bool,
    expires_at: Option<Moment>,
    version: Version,
}

impl Plan {
    fn branch(&self, id: String, database: String, now: Moment) -> Branch {
        Branch {
            id,
            name: self.name.clone(),
            parent: self.parent.clone(),
            state: BranchState::Creating,
            place: Place::Foreign { host: self.host.clone() },
            backend: BackendKind::Template,
            created_at: now,
            expires_at: self.expires_at,
            protected: self.protected,
            port: self.port,
            scram_verifier: String::new(),
            postgres_version: self.version.text.clone(),
            major: self.version.major,
            bin_dir: PathBuf::new(),
            socket_dir: PathBuf::new(),
            sleep_after_seconds: None,
            last_used_at: now,
            database,
            user: self.user.clone(),
            settings: BTreeMap::new(),
            captured: None,
        }
    }
}

/// Directory (of the lock), lock and row, in one step for everybody else.
fn reserve(
    home: &Home,
    plan: &Plan,
    database: impl FnOnce(&str) -> String,
) -> Result<Reserved, BranchError> {
    let id = hex::encode(random_bytes::<6>()?);
    let files = home.state.branch(&id);
    let database = database(&id);
    home.catalog().change(|rows| {
        require_free(rows, &plan.name)?;
        let lock = make_dir(&files, 0o700)?;
        let lock = lock.ok_or_else(|| BranchError::Exists { name: plan.name.clone() })?;
        let mut branch = plan.branch(id, database, home.now);
        branch.socket_dir = access::socket_dir(&files);
        rows.branches.push(branch.clone());
        Ok(Reserved { branch, _lock: lock })
    })
}

fn database_name(database: &str, id: &str) -> String {
    let mut end = database.len().min(NAME_LIMIT - SUFFIX_ROOM);
    while !database.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{id}", database.get(..end).unwrap_or_default())
}

fn copy(home: &Home, parent: &Branch, branch: &Branch) -> Result<Filled, BranchError> {
    let mut session = any_session(home, branch, work_for(branch))?;
    let began = Instant::now();
    let sql =
        format!("create database {} template {}", Ident(&branch.database), Ident(&parent.database));
    if let Err(error) = session.simple(&sql) {
        return Err(match error.sqlstate() {
            Some("55006") => in_use(&mut session, Use::Copy, &parent.database, error),
            Some("42501") => may_not(&mut session, &parent.database, &branch.name, error),
            _ => BranchError::sql("create the database", &branch.name)(error),
        });
    }
    let pause_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let captured = Captured { method: Method::Template, pause_ms };
    let settings_left = carry_settings(&mut session, parent, branch)?;
    Ok(Filled { captured, quieted: Quieted::default(), settings_left })
}

/// What ALTER DATABASE has set is not in a database, but beside it. Gives the names of what our role
/// may not set.
fn carry_settings(
    session: &mut Wire,
    parent: &Branch,
    branch: &Branch,
) -> Result<Vec<String>, BranchError> {
    let failed = BranchError::sql("carry the settings over", &branch.name);
    let sql = SETTINGS.replace("$database", &Literal(&parent.database).to_string());
    let mut left = Vec::new();
    for setting in session.column(&sql).map_err(&failed)? {
        let Some((name, value)) = setting.split_once('=') else { continue };
        let set = set_clause(name, value);
        match session.simple(&format!("alter database {} {set}", Ident(&branch.database))) {
            Ok(_) => {}
            Err(Error::Server(_)) => left.push(name.to_owned()),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(left)
}

/// Drops the branch's database, and what a clone that was to replace it has left beside it. That
/// they are not there is no error. An adopted one stays.
///
/// # Errors
/// [`BranchError::InUse`] with who is connected; the branch's database is as it was then.
pub(super) fn drop_databases(home: &Home, branch: &Branch) -> Result<(), BranchError> {
    if is_adopted(branch) {
        return Ok(());
    }
    let mut session = any_session(home, branch, work_for(branch))?;
    end_our_own(&mut session, branch)?;
    // Its own comes last.
    let sql = format!(
        "select datname from pg_catalog.pg_database where datname = {name} \
         or pg_catalog.starts_with(datname::text, {name} || '__backlot_') order by datname desc",
        name = Literal(&branch.database)
    );
    let failed = BranchError::sql("look for the database", &branch.name);
    for database in session.column(&sql).map_err(failed)? {
        if let Err(error) = session.simple(&format!("drop database if exists {}", Ident(&database)))
        {
            return Err(match error.sqlstate() {
                Some("55006") => in_use(&mut session, Use::Drop, &database, error),
                _ => BranchError::sql("drop the database", &branch.name)(error),
            });
        }
    }
    Ok(())
}

/// The server goes on with CREATE DATABASE when its client was killed, and has no database to be
/// seen until it is done.
fn end_our_own(session: &mut Wire, branch: &Branch) -> Result<(), BranchError> {
    let sql = format!(
        "select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity \
         where application_name = {} and pid <> pg_catalog.pg_backend_pid() \
         and usename = current_user",
        Literal(&application(branch))
    );
    let deadline = Instant::now() + END_LIMIT;
    loop {
        let failed = BranchError::sql("end what a killed command left", &branch.name);
        if session.simple(&sql).map_err(failed)?.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(BranchError::Busy { name: branch.name.clone(), waited: END_LIMIT });
        }
        std::thread::sleep(POLL);
    }
}

fn in_use(session: &mut Wire, what: Use, database: &str, source: Error) -> BranchError {
    let sql = SESSIONS.replace("$database", &Literal(database).to_string());
    // They may be gone by now, and the first error is what counts.
    let found = session.column(&sql).unwrap_or_default();
    let by = if found.is_empty() { "it was in use".to_owned() } else { found.join(", ") };
    BranchError::InUse { what, database: database.to_owned(), by, source }
}

/// With the statement that gives what is missing.
fn may_not(session: &mut Wire, database: &str, name: &str, source: Error) -> BranchError {
    let sql = RIGHTS.replace("$database", &Literal(database).to_string());
    let rows = session.simple(&sql).unwrap_or_default();
    let mut values = rows.into_iter().flatten().map(Option::unwrap_or_default);
    let mut next = || values.next().unwrap_or_default();
    let (role, may_create, may_copy, owner) = (next(), next(), next(), next());
    let is_owner_super = next() != "f";
    let (lacks, grant) = match (may_create.as_str(), may_copy.as_str()) {
        ("f", _) => ("lacks CREATEDB", format!("alter role {} createdb", Ident(&role))),
        // Membership in a superuser's role would be more than the right to copy.
        ("t", "f") if is_owner_super => {
            let (database, role) = (Ident(database), Ident(&role));
            ("does not own it", format!("alter database {database} owner to {role}"))
        }
        ("t", "f") => ("does not own it", format!("grant {} to {}", Ident(&owner), Ident(&role))),
        // Something else, as the right to make tables in its tablespace.
        _ => return BranchError::sql("create the database", name)(source),
    };
    BranchError::MayNot { database: database.to_owned(), role, lacks, grant, source }
}

#[cfg(test)]
mod tests {
    use super::database_name;

    #[test]
    fn a_database_is_named_after_the_first_one_and_its_branch() {
        assert_eq!(database_name("app", "0123456789ab"), "app_0123456789ab");
        let long = database_name(&"ä".repeat(31), "0123456789ab");
        assert!(long.len() + "__backlot_new".len() <= 63, "{long}");
        assert!(long.ends_with("ä_0123456789ab"), "{long}");
    }
}
