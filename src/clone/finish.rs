//! After the data: materialized views, sequences, statistics, and foreign keys to tables that
//! were left empty.

use super::error::CloneError;
use crate::catalog::{Catalog, RelationName};
use crate::pg::{ConnInfo, Session};
use crate::sink::copy_sequences;
use crate::table_sync::TableJob;
use crate::transform::plan::Plan;
use std::collections::HashSet;
use std::sync::Arc;

const EXISTING_SEQUENCES: &str = "select n.nspname::text, c.relname::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S'";

const POPULATED_VIEWS: &str = include_str!("sql/populated_views.sql");

const UNPOPULATED: &str = "select n.nspname::text, c.relname::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'm' and not c.relispopulated";

/// Sets all sequences; returns how many.
pub(super) async fn sequences(
    source: &Session,
    target: &Session,
    catalog: &Catalog,
    plan: &Plan,
) -> Result<usize, CloneError> {
    let rows = target
        .query(EXISTING_SEQUENCES, &[])
        .await
        .map_err(|error| CloneError::query("list the target's sequences")(error.into()))?;
    let there =
        rows.iter().map(|row| RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1)));
    let there = there.collect::<HashSet<_>>();
    let is_masked = |table: &RelationName, column: &str| {
        let position =
            catalog.find(table).and_then(|id| catalog.table(id).column(column)).map(|(at, _)| at);
        let column = position.and_then(|at| plan.find(table)?.columns.get(at));
        column.is_some_and(|column| !column.rule.is_keep())
    };
    copy_sequences(source, target, catalog, |sequence| there.contains(&sequence.name), is_masked)
        .await
        .map_err(CloneError::query("set the sequences"))
}

/// Refreshes what the source has populated and `pg_restore` has left empty.
pub(super) async fn materialized_views(
    source: &Session,
    target: &Session,
) -> Result<(), CloneError> {
    let failed = |error: tokio_postgres::Error| {
        CloneError::query("refresh materialized views")(error.into())
    };
    let name = |row: &tokio_postgres::Row| {
        RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1))
    };
    let empty = target
        .query(UNPOPULATED, &[])
        .await
        .map_err(failed)?
        .iter()
        .map(name)
        .collect::<HashSet<_>>();
    for view in source.query(POPULATED_VIEWS, &[]).await.map_err(failed)?.iter().map(name) {
        if empty.contains(&view) {
            target
                .batch_execute(&format!("refresh materialized view {}", view.sql()))
                .await
                .map_err(failed)?;
        }
    }
    Ok(())
}

/// Analyses every table that was filled, on `jobs` connections.
pub(super) async fn analyze(
    target: &ConnInfo,
    jobs: usize,
    tables: &Arc<Vec<TableJob>>,
) -> Result<(), CloneError> {
    let lanes = jobs.max(1);
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..lanes {
        let (target, tables) = (target.clone(), Arc::clone(tables));
        tasks.spawn(async move {
            let session = Session::connect(&target, "backlot analyze").await?;
            for table in tables.iter().skip(lane).step_by(lanes) {
                session.execute_all(&format!("analyze {}", table.source.sql())).await?;
            }
            Ok::<_, crate::pg::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|_| CloneError::Panicked)?.map_err(CloneError::query("analyze the tables"))?;
    }
    Ok(())
}
