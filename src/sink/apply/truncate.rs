//! TRUNCATE: the tables of one statement on the source in one statement on the target.

use super::error::StepError;
use super::pipeline::Pipeline;
use super::{BoundTable, Change, Operation};
use crate::pg::Literal;
use std::sync::Arc;

/// How many changes at the start of `changes` are one statement: those of one TRUNCATE, or one.
pub(super) fn change_length(changes: &[Change]) -> usize {
    let statement = |change: &Change| match change.operation {
        Operation::Truncate { statement, .. } => Some(statement),
        Operation::Insert { .. } | Operation::Update { .. } | Operation::Delete { .. } => None,
    };
    let first = changes.first().and_then(statement);
    let length = changes.iter().take_while(|change| first.is_some() && statement(change) == first);
    length.count().clamp(1, changes.len().max(1))
}

/// Queues one TRUNCATE of these tables, by position. All that the source truncated are named, so
/// nothing cascades here.
///
/// Not all of them need be here: one may be left to a re-sync, or kept for it. The server refuses
/// to truncate a table that such a one refers to, whatever it holds (`heap_truncate_check_FKs`,
/// heap.c); the rows are deleted then.
pub(super) fn queue(
    pipeline: &mut Pipeline,
    tables: &[Arc<BoundTable>],
    truncated: &[u32],
    restart_identity: bool,
) -> Result<(), StepError> {
    let mut names = Vec::new();
    for position in truncated {
        let Some(table) = tables.get(*position as usize) else { continue };
        if table.is_partitioned && table.source != table.target {
            return Err(StepError::refused(
                *position,
                "one partition was truncated, and its rows here lie among those of others: \
                 re-sync the table",
            ));
        }
        let only = if table.is_partitioned { "" } else { "only " };
        names.push(format!("{only}{}", table.target.sql()));
    }
    // Two partitions of the source may be one table here.
    names.sort_unstable();
    names.dedup();
    let identity = if restart_identity { " restart identity" } else { "" };
    let body = format!(
        "begin truncate table {}{identity}; exception when feature_not_supported then delete from {}; end",
        names.join(", "),
        names.join("; delete from ")
    );
    let sql = format!("do language plpgsql {}", Literal(&body));
    pipeline.once(&sql, truncated.first().copied())
}
