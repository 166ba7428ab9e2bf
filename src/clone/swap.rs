//! `--replace`: the clone is built in a database beside the target and takes its name when it
//! is complete. Both renames are one transaction, so there is always a database of that name,
//! and nothing that a crash could leave half done.

use super::carry::carry_over;
use super::error::CloneError;
use crate::pg::{ConnInfo, Error, Ident, Session};
use sha2::{Digest, Sha256};
use std::time::Duration;

const SUFFIX_NEW: &str = "__backlot_new";
const SUFFIX_OLD: &str = "__backlot_old";
/// `NAMEDATALEN` is 64 bytes.
const NAME_LIMIT: usize = 63;
/// Pause between two looks for sessions that connected to the target meanwhile.
const END_SESSIONS_EVERY: Duration = Duration::from_millis(100);

/// A name that has no room for the suffix is cut, and told from its neighbours by a hash.
fn suffixed(name: &str, suffix: &str) -> String {
    if name.len() + suffix.len() <= NAME_LIMIT {
        return format!("{name}{suffix}");
    }
    let hash = hex::encode(Sha256::digest(name));
    let hash = hash.get(..8).unwrap_or_default();
    let mut end = NAME_LIMIT - suffix.len() - hash.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash}{suffix}", name.get(..end).unwrap_or_default())
}

/// Where a replacement is built.
pub(super) fn staging(target: &ConnInfo) -> ConnInfo {
    target.with_dbname(&suffixed(&target.dbname, SUFFIX_NEW))
}

/// The database to connect to while the target is renamed.
async fn maintenance(target: &ConnInfo) -> Result<Session, Error> {
    let mut last = None;
    for name in ["postgres", "template1"] {
        match Session::connect(&target.with_dbname(name), "backlot swap").await {
            Ok(session) => return Ok(session),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(Error::Protocol("no maintenance database")))
}

async fn exists(session: &Session, name: &str) -> Result<bool, Error> {
    let sql = "select exists (select from pg_catalog.pg_database where datname = $1)";
    Ok(session.query_one(sql, &[&name]).await?.get(0))
}

/// May the role make databases, and rename and drop this one? Asked before hours of copying.
async fn may_replace(session: &Session, target: &ConnInfo) -> Result<(), CloneError> {
    let sql = "select r.rolsuper or r.rolcreatedb, pg_catalog.pg_has_role(d.datdba, 'MEMBER') \
               from pg_catalog.pg_roles r, pg_catalog.pg_database d \
               where r.rolname = current_user and d.datname = $1";
    let row = session
        .query_one(sql, &[&target.dbname])
        .await
        .map_err(|error| CloneError::query("read the role's rights")(error.into()))?;
    let lacks = match (row.get(0), row.get(1)) {
        (true, true) => return Ok(()),
        (false, _) => "lacks CREATEDB",
        (true, false) => "does not own the target",
    };
    Err(CloneError::MayNotReplace { role: target.user.clone(), lacks })
}

/// Makes sure that the staging database is there; `fresh` drops an old one first.
pub(super) async fn prepare(target: &ConnInfo, fresh: bool) -> Result<(), CloneError> {
    let failed =
        |error: Error| CloneError::query("create the database that will replace the target")(error);
    let staging = staging(target);
    let session = maintenance(target).await.map_err(failed)?;
    may_replace(&session, target).await?;
    // A swap that was killed after it had renamed left this behind.
    drop_database(&session, &suffixed(&target.dbname, SUFFIX_OLD)).await.map_err(failed)?;
    if fresh {
        drop_database(&session, &staging.dbname).await.map_err(failed)?;
    }
    if !exists(&session, &staging.dbname).await.map_err(failed)? {
        let sql = "select pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text \
                   from pg_catalog.pg_database where datname = $1";
        let row = session
            .query_one(sql, &[&target.dbname])
            .await
            .map_err(|error| failed(error.into()))?;
        let (encoding, collate, ctype): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        let create = format!(
            "create database {} template template0 encoding {} lc_collate {} lc_ctype {}",
            Ident(&staging.dbname),
            crate::pg::Literal(&encoding),
            crate::pg::Literal(&collate),
            crate::pg::Literal(&ctype)
        );
        session.execute_all(&create).await.map_err(failed)?;
    }
    Ok(())
}

/// FORCE asks for rights over an autovacuum worker that has come meanwhile, which only a superuser
/// has (procarray.c `TerminateOtherDBBackends`); without it the worker is simply ended.
async fn drop_database(session: &Session, name: &str) -> Result<(), Error> {
    let drop = format!("drop database if exists {}", Ident(name));
    match session.execute_all(&format!("{drop} with (force)")).await {
        // insufficient_privilege
        Err(error) if error.sqlstate() == Some("42501") => session.execute_all(&drop).await,
        dropped => dropped,
    }
}

/// Puts the complete clone in the target's place, with the target's owner, grants and settings,
/// and drops what it replaces. Sessions on the old database are ended: they would keep it from
/// being renamed. Returns what could not be carried over.
pub(super) async fn swap(target: &ConnInfo) -> Result<Vec<String>, CloneError> {
    let failed = |error: Error| CloneError::query("put the clone in the target's place")(error);
    let (new, old) = (staging(target).dbname, suffixed(&target.dbname, SUFFIX_OLD));
    let session = maintenance(target).await.map_err(failed)?;
    drop_database(&session, &old).await.map_err(failed)?;
    let warnings = rename(target, &session, &new, &old).await.map_err(failed)?;
    drop_database(&session, &old).await.map_err(failed)?;
    Ok(warnings)
}

/// Both renames in one transaction. The first locks the database against new connections and
/// waits up to 5 s for the present ones to end (dbcommands.c `RenameDatabase`), which a second
/// session sees to.
async fn rename(
    target: &ConnInfo,
    session: &Session,
    new: &str,
    old: &str,
) -> Result<Vec<String>, Error> {
    let ender = maintenance(target).await?;
    // The clone's sessions are ours only as long as it has its own name. Autovacuum's workers have no
    // role; the rename itself ends them (procarray.c `CountOtherDBBackends`), we may not.
    let end_sessions = "select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a \
         join pg_catalog.pg_database d on d.oid = a.datid \
         where (a.datid = $1 or d.datname = $2) and a.pid <> pg_catalog.pg_backend_pid() \
         and a.usesysid is not null";
    let oid = "select oid from pg_catalog.pg_database where datname = $1";
    let oid: u32 = ender.query_one(oid, &[&target.dbname]).await?.get(0);
    let ending = async {
        loop {
            if let Err(error) = ender.query(end_sessions, &[&oid, &new]).await {
                break Error::from(error);
            }
            tokio::time::sleep(END_SESSIONS_EVERY).await;
        }
    };
    let rename = format!(
        "alter database {target} rename to {old}; alter database {new} rename to {target}; commit",
        target = Ident(&target.dbname),
        old = Ident(old),
        new = Ident(new)
    );
    let renaming = async {
        session.execute_all("begin").await?;
        let warnings = carry_over(session, &target.dbname, new).await?;
        session.execute_all(&rename).await?;
        Ok(warnings)
    };
    tokio::select! {
        renamed = renaming => renamed,
        // The transaction ends with its session: nothing has changed for the target's users.
        error = ending => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{NAME_LIMIT, SUFFIX_NEW, SUFFIX_OLD, suffixed};

    #[test]
    fn a_name_without_room_is_cut_and_stays_apart_from_its_neighbours() {
        assert_eq!(suffixed("app", SUFFIX_NEW), "app__backlot_new");
        let long = |end: char| format!("{}{end}", "ä".repeat(31));
        let names = [
            suffixed(&long('a'), SUFFIX_NEW),
            suffixed(&long('b'), SUFFIX_NEW),
            suffixed(&long('a'), SUFFIX_OLD),
        ];
        assert!(names.iter().all(|name| name.len() <= NAME_LIMIT), "{names:?}");
        assert!(names[0] != names[1] && names[0] != names[2]);
    }
}
