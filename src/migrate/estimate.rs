//! How long the parts of a plan may take, roughly, from what the catalogs say of its tables.
//!
//! The rates are of a small machine (two cores, data in memory; that of backfills was measured,
//! shared/reference/pgroll.md, 3): a guess to tell seconds from hours, never a promise.

use super::plan::{Backfill, Cost, Step};
use crate::catalog::RelationName;
use crate::catalog::detail::Schema;
use serde::Serialize;

const SCAN_BYTES_PER_SECOND: f64 = 400e6;
const REWRITE_BYTES_PER_SECOND: f64 = 60e6;
const BUILD_ROWS_PER_SECOND: f64 = 500e3;
const BACKFILL_ROWS_PER_SECOND: f64 = 90e3;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// `None`: the table was never analysed.
    pub rows: Option<u64>,
    pub bytes: u64,
    pub seconds: Option<f64>,
}

/// `None` for a step whose time does not depend on a table's size, or that nobody knows.
pub fn of_step(step: &Step, schema: &Schema) -> Option<Estimate> {
    let (relation, rate) = match &step.cost {
        Cost::Metadata | Cost::Unknown => return None,
        Cost::Scan { relation } => (relation, Rate::Bytes(SCAN_BYTES_PER_SECOND)),
        Cost::Rewrite { relation } => (relation, Rate::Bytes(REWRITE_BYTES_PER_SECOND)),
        Cost::Build { relation } => (relation, Rate::Rows(BUILD_ROWS_PER_SECOND)),
    };
    of(relation, schema, &rate)
}

pub fn of_backfill(backfill: &Backfill, schema: &Schema) -> Option<Estimate> {
    of(&backfill.table, schema, &Rate::Rows(BACKFILL_ROWS_PER_SECOND))
}

enum Rate {
    Bytes(f64),
    Rows(f64),
}

#[expect(clippy::cast_precision_loss, reason = "a rough guess")]
fn of(relation: &RelationName, schema: &Schema, rate: &Rate) -> Option<Estimate> {
    let table = schema.tables.get(&relation.name).filter(|_| relation.schema == schema.name)?;
    let rows = table.row_estimate.and_then(|rows| u64::try_from(rows).ok());
    let bytes = u64::try_from(table.size_bytes).unwrap_or(0);
    let seconds = match rate {
        Rate::Bytes(rate) => Some(bytes as f64 / rate),
        Rate::Rows(rate) => rows.map(|rows| rows as f64 / rate),
    };
    Some(Estimate { rows, bytes, seconds })
}
