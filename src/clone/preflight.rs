//! What must hold before the first byte is read.

use super::error::{CloneError, Side};
use crate::catalog::Catalog;
use crate::pg::{Error, Session};
use crate::table_sync::TableJob;

/// Oldest PostgreSQL on either side: ctid range scans, `COPY` of arrays of user-defined types.
const OLDEST_MAJOR: u32 = 14;

/// What the two servers are.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    pub(super) source_identity: String,
}

pub(super) async fn servers(source: &Session, target: &Session) -> Result<Servers, CloneError> {
    let source_major =
        major(source).await.map_err(CloneError::query("read the source's version"))?;
    let target_major =
        major(target).await.map_err(CloneError::query("read the target's version"))?;
    for (side, major) in [(Side::Source, source_major), (Side::Target, target_major)] {
        if major < OLDEST_MAJOR {
            let needed = format!("at least {OLDEST_MAJOR} is needed");
            return Err(CloneError::Version { side, major, needed });
        }
    }
    if target_major < source_major {
        let needed = format!("it must not be older than the source ({source_major})");
        return Err(CloneError::Version { side: Side::Target, major: target_major, needed });
    }
    if same_database(source, target)
        .await
        .map_err(CloneError::query("compare source and target"))?
    {
        return Err(CloneError::SameDatabase);
    }
    let source_identity =
        identity(source).await.map_err(CloneError::query("identify the source"))?;
    Ok(Servers { source_identity })
}

async fn major(session: &Session) -> Result<u32, Error> {
    let row = session
        .query_one("select pg_catalog.current_setting('server_version_num')::int4", &[])
        .await?;
    Ok(u32::try_from(row.get::<_, i32>(0) / 10_000).unwrap_or(0))
}

/// `system identifier/database`: physical copies share the first part, so two databases with
/// one identity may still be different ones.
pub(super) async fn identity(session: &Session) -> Result<String, Error> {
    let sql = "select system_identifier::text || '/' || pg_catalog.current_database() from pg_catalog.pg_control_system()";
    Ok(session.query_one(sql, &[]).await?.get(0))
}

/// Asks the servers, not the URLs: a lock taken on one side is looked for on the other. A
/// replica of the target counts as the target.
async fn same_database(source: &Session, target: &Session) -> Result<bool, Error> {
    if identity(source).await? != identity(target).await? {
        return Ok(false);
    }
    let recovery = "select pg_catalog.pg_is_in_recovery()";
    if source.query_one(recovery, &[]).await?.get(0) {
        return Ok(true);
    }
    let lock = "select pg_catalog.pg_try_advisory_xact_lock($1)";
    let probe = i64::from(std::process::id()) << 32 | 0x0062_6c6f;
    source.execute_all("begin").await?;
    let taken: bool = source.query_one(lock, &[&probe]).await?.get(0);
    let free: bool = target.query_one(lock, &[&probe]).await?.get(0);
    source.execute_all("rollback").await?;
    Ok(taken && !free)
}

/// Every table that will be copied can be read, whole.
pub(super) async fn readable(
    source: &Session,
    catalog: &Catalog,
    jobs: &[TableJob],
) -> Result<(), CloneError> {
    let copied = || jobs.iter().map(|job| catalog.table(job.table));
    let unreadable = copied()
        .filter(|table| !table.is_readable)
        .map(|table| table.name.to_string())
        .collect::<Vec<_>>();
    if !unreadable.is_empty() {
        return Err(CloneError::Unreadable(unreadable));
    }
    let guarded =
        copied().filter(|table| table.row_security).map(|table| table.oid.0).collect::<Vec<_>>();
    let sql = "select o.oid::pg_catalog.regclass::text from pg_catalog.unnest($1::pg_catalog.oid[]) o(oid) \
               where pg_catalog.row_security_active(o.oid)";
    let rows = source
        .query(sql, &[&guarded])
        .await
        .map_err(|e| CloneError::query("check row security")(e.into()))?;
    let hidden = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
    if hidden.is_empty() { Ok(()) } else { Err(CloneError::RowSecurity(hidden)) }
}
