//! Has the server judge a migration's expressions before anything is changed.

use super::{Roll, RollError};
use crate::migrate::plan::{Check, Finding, FindingKind, Position};
use tokio_postgres::error::ErrorPosition;

impl Roll {
    /// Runs the checks of a plan, each in a transaction that is rolled back, and gives what the
    /// server has against them.
    pub async fn check(&mut self, checks: &[Check]) -> Result<Vec<Finding>, RollError> {
        let path = self.executor.search_path();
        let session = self.executor.session().await?;
        let mut findings = Vec::new();
        for check in checks {
            let begin = format!("begin;set local search_path = {path}");
            session.execute_all(&begin).await.map_err(RollError::query("check an expression"))?;
            let result = session.batch_execute(&check.sql).await;
            session
                .execute_all("rollback")
                .await
                .map_err(RollError::query("check an expression"))?;
            let Err(error) = result else { continue };
            // The message may quote the expression, which is the user's own file; no row was read.
            let Some(said) = error.as_db_error() else {
                return Err(RollError::query("check an expression")(error.into()));
            };
            let position = match said.position() {
                Some(ErrorPosition::Original(position)) => place(check, *position),
                Some(ErrorPosition::Internal { .. }) | None => None,
            };
            findings.push(Finding {
                kind: FindingKind::InvalidExpression,
                operation: Some(check.operation),
                table: Some(check.table.clone()),
                column: check.column.clone(),
                name: None,
                field: Some(check.field.clone()),
                message: format!("{} of table {}: {}", check.field, check.table, said.message()),
                position: position.map(|offset| Position { field: check.field.clone(), offset }),
            });
        }
        Ok(findings)
    }
}

/// Characters before the place in the expression, if it is in there.
fn place(check: &Check, position: u32) -> Option<usize> {
    let at = usize::try_from(position).ok()?.checked_sub(1)?.checked_sub(check.offset?)?;
    (at <= check.length).then_some(at)
}
