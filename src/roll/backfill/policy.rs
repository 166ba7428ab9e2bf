//! Row security that is forced on the owner would hide rows from the backfill.
//!
//! Where it does, a policy of ours lets the owner alone see and write all rows while the backfill
//! runs, and only in sessions that say so. The owner could turn row security off altogether: it
//! gains nothing. A restrictive policy would still hide rows: with one, nothing is filled.

use crate::catalog::RelationName;
use crate::ddl::Work;
use crate::pg::Ident;
use crate::roll::{Roll, RollError};

const NAME: &str = "_pgroll_backfill";
/// Of the session that backfills.
pub(super) const SETTING: &str = "backlot.backfill";

const IS_SUBJECT: &str = "select pg_catalog.row_security_active($1::text)";
const RAISED: &str = "select coalesce(pg_catalog.bool_or(p.polname = '_pgroll_backfill'), false), \
     coalesce(pg_catalog.bool_or(not p.polpermissive), false) \
     from pg_catalog.pg_policy p where p.polrelid = pg_catalog.to_regclass($1::text)";

/// A note that nobody keeps: the policy's own presence is what tells.
const NO_NOTE: &str = "select 1";

/// The policy, if the table needs one.
pub(super) struct Policy {
    table: Option<RelationName>,
}

impl Policy {
    pub(super) async fn raise(roll: &mut Roll, relation: &RelationName) -> Result<Self, RollError> {
        let runs_as = roll.options.role.clone();
        let session = roll.executor.session().await?;
        let failed = |error: tokio_postgres::Error| {
            RollError::query(format!("look at the row security of {relation}"))(error.into())
        };
        if let Some(name) = &runs_as {
            let set = format!("set role {}", Ident(name));
            session.batch_execute(&set).await.map_err(failed)?;
        }
        let name = relation.sql();
        let is_subject: bool =
            session.query_one(IS_SUBJECT, &[&name]).await.map_err(failed)?.get(0);
        session.batch_execute("reset role").await.map_err(failed)?;
        let raised = session.query_one(RAISED, &[&name]).await.map_err(failed)?;
        let (is_raised, is_restricted): (bool, bool) = (raised.get(0), raised.get(1));
        if !is_subject {
            return Ok(Self { table: is_raised.then(|| relation.clone()) });
        }
        if is_restricted {
            return Err(RollError::Unreachable { relation: relation.to_string() });
        }
        if !is_raised {
            let setting = format!("pg_catalog.current_setting('{SETTING}', true) = 'on'");
            let create = format!(
                "create policy {} on {name} for all to current_user using ({setting}) with check ({setting})",
                Ident(NAME)
            );
            run(roll, &create).await?;
        }
        Ok(Self { table: Some(relation.clone()) })
    }

    /// The policy that a backfill left behind.
    pub(super) async fn left(
        roll: &mut Roll,
        relation: &RelationName,
    ) -> Result<Option<Self>, RollError> {
        let session = roll.executor.session().await?;
        let raised = session.query_one(RAISED, &[&relation.sql()]).await;
        let raised = raised.map_err(|error| RollError::query("look for policies")(error.into()))?;
        Ok(raised.get::<_, bool>(0).then(|| Self { table: Some(relation.clone()) }))
    }

    /// Takes the policy away.
    pub(super) async fn lower(self, roll: &mut Roll) -> Result<(), RollError> {
        let Some(table) = self.table else { return Ok(()) };
        run(roll, &format!("drop policy if exists {} on {}", Ident(NAME), table.sql())).await
    }
}

async fn run(roll: &mut Roll, statement: &str) -> Result<(), RollError> {
    let statements = [statement.to_owned()];
    let work = Work {
        step: "backfill/policy",
        statements: &statements,
        claim: NO_NOTE,
        announcement: NO_NOTE,
        conclusion: NO_NOTE,
        message: None,
    };
    roll.executor.run(&work).await?;
    Ok(())
}
