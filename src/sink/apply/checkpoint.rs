//! The checkpoint: how far the target has followed, moved in the transaction of what it says.

use super::CommitPoint;
use super::error::StepError;
use super::pipeline::Pipeline;
use crate::pg::{Error, Format, Literal, Lsn, Oid, Parameters};

/// One row, or something else has moved the checkpoint and this transaction must not commit.
const ADVANCE: &str = "update backlot.checkpoint set end_lsn = $2, commit_time = coalesce($3, commit_time), \
     transaction_count = transaction_count + $4, change_count = change_count + $5, byte_count = byte_count + $6, \
     updated_at = pg_catalog.clock_timestamp() where slot_name = $1 and end_lsn = $7";
const PG_LSN: Oid = Oid(3220);
const TYPES: [Oid; 7] = [Oid(25), PG_LSN, Oid(1184), Oid(20), Oid(20), Oid(20), PG_LSN];

/// What a target transaction adds to the checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub end_lsn: Lsn,
    /// Of the last source transaction; None leaves it as it was.
    pub commit_time: Option<i64>,
    pub transaction_count: usize,
    pub change_count: usize,
    pub byte_count: usize,
}

impl Progress {
    pub(super) fn to(commit: CommitPoint) -> Self {
        Self {
            end_lsn: commit.end_lsn,
            commit_time: Some(commit.commit_time),
            transaction_count: 1,
            ..Self::default()
        }
    }
}

pub(super) fn queue(
    pipeline: &mut Pipeline,
    parameters: &mut Parameters,
    slot_name: &str,
    from: Lsn,
    progress: Progress,
) -> Result<(), StepError> {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    parameters.clear();
    parameters.push(Format::Text, slot_name.as_bytes());
    push_lsn(parameters, progress.end_lsn);
    match progress.commit_time {
        Some(time) => parameters.push_i64(time),
        None => parameters.push_null(),
    }
    parameters.push_i64(count(progress.transaction_count));
    parameters.push_i64(count(progress.change_count));
    parameters.push_i64(count(progress.byte_count));
    push_lsn(parameters, from);
    let name = pipeline.prepare_fixed(ADVANCE, &TYPES)?;
    pipeline.execute(&name, parameters, None, Some(1))
}

pub(super) fn push_lsn(parameters: &mut Parameters, lsn: Lsn) {
    parameters.push(Format::Binary, &lsn.0.to_be_bytes());
}

/// The checkpoint and the target's insert position after it; None if the slot has none.
pub(super) fn read(
    pipeline: &mut Pipeline,
    slot_name: &str,
) -> Result<Option<(Lsn, Lsn)>, StepError> {
    let sql = format!(
        "select end_lsn::text, pg_catalog.pg_current_wal_insert_lsn()::text from backlot.checkpoint \
         where slot_name = {}",
        Literal(slot_name)
    );
    pipeline.query(&sql, 1)?;
    let rows = pipeline.settle()?;
    rows.first().map(|row| two_lsns(row)).transpose()
}

/// Two positions in a row, as text.
pub(super) fn two_lsns(row: &[Option<String>]) -> Result<(Lsn, Lsn), StepError> {
    let lsn = |at: usize| {
        let text = row.get(at).and_then(Option::as_deref).unwrap_or_default();
        text.parse::<Lsn>().map_err(|_| Error::Protocol("a pg_lsn that cannot be read"))
    };
    Ok((lsn(0)?, lsn(1)?))
}
