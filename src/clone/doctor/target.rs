//! The target.

use super::super::error::{CloneError, Side};
use super::super::preflight;
use super::Findings;
use crate::pg::{ConnInfo, Error, Ident, Replication, Session};
use crate::source::{ExpectedSlot, check_slot};
use crate::state::{Journal, StreamRecord};

pub(super) async fn examine(
    session: &Session,
    source: Option<(&Session, &ConnInfo)>,
    findings: &mut Findings,
) -> Result<(), CloneError> {
    let failed = || CloneError::query("examine the target");
    let sql = "select pg_catalog.current_setting('server_version_num')::int4 / 10000, current_user::text, \
               pg_catalog.current_database()::text, \
               pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')";
    let row = session.query_one(sql, &[]).await.map_err(Error::from).map_err(failed())?;
    let (major, role, database): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
    if row.get(3) {
        findings.good("create", "the role may create schemas");
    } else {
        let (role, database) = (Ident(&role), Ident(&database));
        let what = format!("role {role} may not create schemas in database {database}");
        findings.privilege(
            "create",
            what,
            format!("grant create on database {database} to {role}"),
        );
    }
    match session.execute_all("begin; set local session_replication_role = replica; rollback").await
    {
        Ok(()) => findings
            .good("session_replication_role", "triggers stay silent while changes are applied"),
        Err(error) if error.sqlstate() == Some("42501") => {
            session.execute_all("rollback").await.map_err(failed())?;
            let fix = if major >= 15 {
                format!("grant set on parameter session_replication_role to {}", Ident(&role))
            } else {
                "from PostgreSQL 15 on it can be granted; a stream works without it".to_owned()
            };
            let what = "the role may not set session_replication_role: the target's own triggers fire at applied changes";
            findings.warning("session_replication_role", what, fix);
        }
        Err(error) => return Err(failed()(error)),
    }
    if let Some((source, info)) = source {
        servers(source, session, findings).await?;
        stream(source, info, session, findings).await.map_err(failed())?;
    }
    Ok(())
}

async fn servers(
    source: &Session,
    target: &Session,
    findings: &mut Findings,
) -> Result<(), CloneError> {
    match preflight::servers(source, target).await {
        Ok(_) => findings.good("servers", "two databases, the target's server not older"),
        Err(CloneError::SameDatabase) => {
            let what = "source and target are the same database";
            findings.error("servers", what, "name another database as target");
        }
        Err(error @ CloneError::Version { side: Side::Target, .. }) => {
            findings.error("servers", error.to_string(), "use a newer server as target");
        }
        Err(error @ CloneError::Version { .. }) => {
            findings.error("servers", error.to_string(), "upgrade the source");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The stream that feeds the target already, if one does.
async fn stream(
    source: &Session,
    info: &ConnInfo,
    target: &Session,
    findings: &mut Findings,
) -> Result<(), Error> {
    let Some((record, checkpoint)) = StreamRecord::read(target).await? else {
        if Journal::lock(target).await?.is_none() {
            let what = "another clone is working on this target";
            findings.warning("lock", what, "wait for it, or stop it");
        }
        return Ok(());
    };
    let walsender = info.clone();
    let system = tokio::task::spawn_blocking(move || {
        Replication::connect(&walsender, "backlot doctor")?.identify_system()
    });
    // Why there is none stands among the source's findings.
    let Ok(Ok(system)) = system.await else { return Ok(()) };
    let expected = ExpectedSlot {
        slot_name: record.slot_name,
        system_identifier: record.source_system_identifier,
        database: record.source_database,
        timeline: record.timeline,
        publications: record.publications,
        checkpoint,
        accept_timeline: false,
    };
    match check_slot(source, &system, &expected).await? {
        Ok(_) => {
            let what = format!("the stream can go on from {checkpoint}");
            findings.good("stream", what);
        }
        Err(mismatch) => findings.error("stream", mismatch.to_string(), mismatch.remedy()),
    }
    Ok(())
}
