//! Sequences: not in the stream (PostgreSQL replicates none of them), so they are read now and
//! then, and at the end.

use super::error::StreamError;
use super::rules::Rules;
use crate::catalog::RelationName;
use crate::pg::{Error, Session};
use crate::sink::SequenceCopy;
use std::collections::HashSet;

const THERE: &str = "select n.nspname::text, c.relname::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S'";

/// Brings sequences of the target to where the source's are: those that `copy` has not seen there.
/// Returns how many.
pub(super) async fn follow(
    copy: &mut SequenceCopy,
    source: &Session,
    target: &Session,
    rules: &Rules,
) -> Result<usize, StreamError> {
    let failed = || StreamError::target("set the sequences");
    let rows = target.query(THERE, &[]).await.map_err(Error::from).map_err(failed())?;
    let there =
        rows.iter().map(|row| RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1)));
    let there = there.collect::<HashSet<_>>();
    copy.run(
        source,
        target,
        &rules.catalog,
        |sequence| there.contains(&sequence.name),
        |table, column| rules.is_masked(table, column),
    )
    .await
    .map_err(failed())
}
