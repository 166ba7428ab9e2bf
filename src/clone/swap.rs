//! `--replace`: the clone is built in a database beside the target and takes its name when it
//! is complete. Both renames are one transaction, so there is always a database of that name.

use super::error::CloneError;
use crate::pg::{ConnInfo, Error, Ident, Session};

/// Longest name that leaves room for a suffix (`NAMEDATALEN` is 64 bytes).
const SUFFIX_NEW: &str = "__backlot_new";
const SUFFIX_OLD: &str = "__backlot_old";
const NAME_LIMIT: usize = 63;

fn suffixed(name: &str, suffix: &str) -> String {
    let mut end = name.len().min(NAME_LIMIT - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", name.get(..end).unwrap_or_default())
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

/// Makes sure that the staging database is there; `fresh` drops an old one first.
pub(super) async fn prepare(target: &ConnInfo, fresh: bool) -> Result<(), CloneError> {
    let failed =
        |error: Error| CloneError::query("create the database that will replace the target")(error);
    let staging = staging(target);
    let session = maintenance(target).await.map_err(failed)?;
    if fresh {
        let drop = format!("drop database if exists {} with (force)", Ident(&staging.dbname));
        session.execute_all(&drop).await.map_err(failed)?;
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

/// Puts the complete clone in the target's place and drops what it replaces. Sessions on the
/// old database are ended: they would keep it from being renamed.
pub(super) async fn swap(target: &ConnInfo) -> Result<(), CloneError> {
    let failed = |error: Error| CloneError::query("put the clone in the target's place")(error);
    let (new, old) = (staging(target).dbname, suffixed(&target.dbname, SUFFIX_OLD));
    let session = maintenance(target).await.map_err(failed)?;
    session
        .execute_all(&format!("drop database if exists {} with (force)", Ident(&old)))
        .await
        .map_err(failed)?;
    let end_sessions = "select pg_catalog.pg_terminate_backend(pid, 5000) from pg_catalog.pg_stat_activity \
                        where datname = any ($1::text[]) and pid <> pg_catalog.pg_backend_pid()";
    let close = |open: bool| {
        format!("alter database {} with allow_connections {open}", Ident(&target.dbname))
    };
    session.execute_all(&close(false)).await.map_err(failed)?;
    let renamed = async {
        session.query(end_sessions, &[&vec![target.dbname.as_str(), new.as_str()]]).await?;
        let rename = format!(
            "begin; alter database {target} rename to {old}; alter database {new} rename to {target}; commit",
            target = Ident(&target.dbname),
            old = Ident(&old),
            new = Ident(&new)
        );
        session.execute_all(&rename).await
    };
    if let Err(error) = renamed.await {
        // The old database opens again: nothing has changed for its users.
        drop(session.execute_all(&format!("rollback; {}", close(true))).await);
        return Err(failed(error));
    }
    session
        .execute_all(&format!("drop database {} with (force)", Ident(&old)))
        .await
        .map_err(failed)
}
