//! Storing a transaction: parts as its changes come, its name at the end.

use super::codec::{VERSION, put_row, put_table, put_truncate};
use crate::pg::{Format, Lsn, Oid, Parameters};
use crate::sink::apply::changes::row_change;
use crate::sink::apply::checkpoint::push_lsn;
use crate::sink::apply::error::{Failure, StepError};
use crate::sink::apply::pipeline::Pipeline;
use crate::sink::apply::{Change, Group, Operation, TransactionMark};
use std::collections::HashMap;

/// The parts stand under this position until the transaction's own is known; they are seen by
/// nobody before.
const UNNAMED: Lsn = Lsn::ZERO;

const OPEN: &str = "insert into backlot.quarantine (xid, commit_lsn, end_lsn, commit_time, relation, sqlstate, reason, change_count) \
     values (0, $1, $1, pg_catalog.now(), $2, $3, $4, 0)";
const PART: &str = "insert into backlot.quarantine_part (quarantine_id, part, changes) \
     select q.quarantine_id, $2, $3 from backlot.quarantine q where q.commit_lsn = $1";
const CLOSE: &str = "update backlot.quarantine set xid = $2, commit_lsn = $3, end_lsn = $4, commit_time = $5, change_count = $6 \
     where commit_lsn = $1";

const TEXT: Oid = Oid(25);
const INT8: Oid = Oid(20);
const PG_LSN: Oid = Oid(3220);

/// A part is written when it has grown to this size.
const PART_BYTES: usize = 4 * 1024 * 1024;

/// A transaction on its way into the quarantine.
pub(crate) struct Store {
    bytes: Vec<u8>,
    /// Numbers of the tables that were defined, by [`BoundTable::id`](crate::sink::apply::BoundTable).
    tables: HashMap<u64, u32>,
    part: i32,
    change_count: usize,
}

impl Store {
    pub(crate) fn open(
        pipeline: &mut Pipeline,
        parameters: &mut Parameters,
        failure: &Failure,
    ) -> Result<Self, StepError> {
        parameters.clear();
        push_lsn(parameters, UNNAMED);
        push_text(parameters, failure.relation.as_ref().map(ToString::to_string).as_deref());
        push_text(parameters, failure.sqlstate.as_deref());
        push_text(parameters, Some(&failure.reason));
        let name = pipeline.prepare_fixed(OPEN, &[PG_LSN, TEXT, TEXT, TEXT])?;
        pipeline.execute(&name, parameters, None, None)?;
        Ok(Self { bytes: vec![VERSION], tables: HashMap::new(), part: 0, change_count: 0 })
    }

    pub(crate) fn add(
        &mut self,
        pipeline: &mut Pipeline,
        parameters: &mut Parameters,
        group: &Group,
        changes: &[Change],
    ) -> Result<(), StepError> {
        for change in changes {
            self.encode(group, change);
            self.change_count += 1;
            // The tables of one TRUNCATE stay together.
            let may_end = !matches!(change.operation, Operation::Truncate { .. });
            if may_end && self.bytes.len() >= PART_BYTES {
                self.write(pipeline, parameters)?;
            }
        }
        Ok(())
    }

    fn encode(&mut self, group: &Group, change: &Change) {
        let Some(table) = group.tables.get(change.table as usize) else { return };
        let next = u32::try_from(self.tables.len()).unwrap_or(u32::MAX);
        let number = *self.tables.entry(table.id).or_insert_with(|| {
            put_table(&mut self.bytes, table);
            next
        });
        match (change.operation, row_change(&group.rows, change.operation)) {
            (Operation::Truncate { statement, restart_identity }, _) => {
                put_truncate(&mut self.bytes, number, statement, restart_identity);
            }
            (_, Some(row)) => put_row(&mut self.bytes, number, row),
            (_, None) => {}
        }
    }

    fn write(
        &mut self,
        pipeline: &mut Pipeline,
        parameters: &mut Parameters,
    ) -> Result<(), StepError> {
        parameters.clear();
        push_lsn(parameters, UNNAMED);
        parameters.push(Format::Binary, &self.part.to_be_bytes());
        parameters.push(Format::Binary, &self.bytes);
        let name = pipeline.prepare_fixed(PART, &[PG_LSN, Oid(23), Oid(17)])?;
        pipeline.execute(&name, parameters, None, None)?;
        self.part += 1;
        self.bytes.truncate(1);
        Ok(())
    }

    /// Writes what is left and gives the transaction its name.
    pub(crate) fn close(
        mut self,
        pipeline: &mut Pipeline,
        parameters: &mut Parameters,
        mark: TransactionMark,
    ) -> Result<(), StepError> {
        if self.bytes.len() > 1 {
            self.write(pipeline, parameters)?;
        }
        parameters.clear();
        push_lsn(parameters, UNNAMED);
        parameters.push_i64(i64::from(mark.xid));
        push_lsn(parameters, mark.commit.commit_lsn);
        push_lsn(parameters, mark.commit.end_lsn);
        parameters.push_i64(mark.commit.commit_time);
        parameters.push_i64(i64::try_from(self.change_count).unwrap_or(i64::MAX));
        let types = [PG_LSN, INT8, PG_LSN, PG_LSN, Oid(1184), INT8];
        let name = pipeline.prepare_fixed(CLOSE, &types)?;
        pipeline.execute(&name, parameters, None, None)
    }
}

fn push_text(parameters: &mut Parameters, text: Option<&str>) {
    match text {
        Some(text) => parameters.push(Format::Text, text.as_bytes()),
        None => parameters.push_null(),
    }
}
