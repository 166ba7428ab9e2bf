//! Tables that the source truncates or rewrites before they are copied.
//!
//! A snapshot does not show their rows any more, or shows them in other blocks than were planned
//! ([`Filenodes`]), and a clone takes no lock that would keep the source from doing so. They are
//! copied again as a whole, so that each holds what one moment showed. That moment is not the
//! snapshot's: a stream copies them once more at a position of its own, and without a stream the
//! summary says which they are.

use super::error::CloneError;
use crate::catalog::{Catalog, Filenodes, RelationName};
use crate::pg::ConnInfo;
use crate::state::PlannedRange;
use crate::table_sync::TableJob;
use std::collections::BTreeSet;

/// A table that is replaced so often while it is copied is not waited for.
pub(super) const ATTEMPTS: u32 = 5;

/// What the journal is told.
pub(super) struct CopyAgain {
    /// Tables of the source, as the journal names them.
    pub(super) tables: Vec<String>,
    /// Those of them that the source has replaced. The others share a table of the target.
    pub(super) overtaken: Vec<String>,
    /// To be emptied.
    pub(super) targets: Vec<RelationName>,
}

/// The files of the source's tables at this moment.
pub(super) async fn files_now(source: &ConnInfo) -> Result<Filenodes, CloneError> {
    let session = super::run::connect(source, super::error::Side::Source).await?;
    let failed = CloneError::query("look whether tables were truncated");
    Filenodes::read(&session).await.map_err(failed)
}

/// What is to be copied again because it was replaced between `before` and `now`.
pub(super) fn find(
    jobs: &[TableJob],
    catalog: &Catalog,
    (before, now): (&Filenodes, &Filenodes),
) -> Option<CopyAgain> {
    let was_replaced = |job: &&TableJob| before.was_replaced(now, catalog.table(job.table).oid);
    let replaced = jobs.iter().filter(was_replaced).collect::<Vec<_>>();
    let targets = replaced.iter().map(|job| &job.target).collect::<BTreeSet<_>>();
    let sharing = jobs.iter().filter(|job| targets.contains(&job.target));
    let again = CopyAgain {
        tables: sharing.map(|job| job.source.to_string()).collect(),
        overtaken: replaced.iter().map(|job| job.source.to_string()).collect(),
        targets: targets.into_iter().cloned().collect(),
    };
    (!again.overtaken.is_empty()).then_some(again)
}

/// The tables that were, by the journal.
pub(super) fn tables(ranges: &[PlannedRange]) -> BTreeSet<String> {
    ranges.iter().filter(|range| range.overtaken).map(|range| range.relation.clone()).collect()
}

/// What to know of a table that no stream follows.
pub(super) fn warning(table: &str) -> String {
    format!(
        "{table} was truncated or rewritten on the source before it was copied: its rows are not those of the snapshot"
    )
}
