//! Applying what the quarantine holds, in the transaction that takes it out.

use super::codec::{Reader, Record, StoredTable};
use crate::catalog::RelationName;
use crate::pg::{Literal, Parameters};
use crate::sink::apply::applier::Applier;
use crate::sink::apply::error::{ApplyError, Severity, StepError};
use crate::sink::apply::pipeline::Pipeline;
use crate::sink::apply::row::{self, At};
use crate::sink::apply::whole::poison;
use crate::sink::apply::{BoundTable, load_target, truncate};
use std::sync::Arc;

impl Applier {
    /// Applies a quarantined transaction row by row, in the transaction that deletes it.
    ///
    /// # Errors
    /// [`ApplyError::Poison`] if it fails again, [`ApplyError::OtherRules`] if its rows are not
    /// masked as their table is now: it stays in the quarantine then.
    pub fn retry(&mut self, quarantine_id: i64) -> Result<(), ApplyError> {
        self.assert_nothing_open();
        let may_move = self.may_move();
        let connection = |error: StepError| error.into_connection(None);
        self.begin().map_err(connection)?;
        let applied =
            apply_stored(&mut self.pipeline, &mut self.parameters, quarantine_id, may_move);
        let applied =
            applied.and_then(|()| self.pipeline.settle().map(drop).map_err(RetryError::from));
        let applied = applied.and_then(|()| self.commit().map_err(RetryError::from));
        let error = match applied {
            Ok((target_insert, target_flush)) => {
                self.committed(target_insert, target_flush);
                return Ok(());
            }
            Err(error) => error,
        };
        match error {
            RetryError::Step(relation, step) if step.severity() != Severity::Final => {
                Err(step.into_connection(relation))
            }
            other @ (RetryError::Absent
            | RetryError::Unreadable(_)
            | RetryError::OtherRules(_)
            | RetryError::Step(..)) => {
                self.pipeline.rollback().map_err(connection)?;
                Err(match other {
                    RetryError::Absent => ApplyError::NotQuarantined(quarantine_id),
                    RetryError::Unreadable(reason) => ApplyError::Quarantine(reason),
                    RetryError::OtherRules(relation) => ApplyError::OtherRules { relation },
                    RetryError::Step(relation, step) => poison(step.failure(relation), None),
                })
            }
        }
    }
}

#[derive(Debug)]
enum RetryError {
    /// No transaction of that number.
    Absent,
    /// The stored form cannot be read.
    Unreadable(&'static str),
    /// This table of the source is masked otherwise by now.
    OtherRules(RelationName),
    /// A change failed, of this relation.
    Step(Option<RelationName>, StepError),
}

impl From<StepError> for RetryError {
    fn from(error: StepError) -> Self {
        Self::Step(None, error)
    }
}

/// Applies a stored transaction row by row and deletes it, in the transaction that is open. Its
/// tables are bound anew, to what the target has now.
fn apply_stored(
    pipeline: &mut Pipeline,
    parameters: &mut Parameters,
    quarantine_id: i64,
    may_move: bool,
) -> Result<(), RetryError> {
    let lock = format!(
        "select 1 from backlot.quarantine where quarantine_id = {quarantine_id} for update"
    );
    pipeline.query(&lock, 1)?;
    if pipeline.settle()?.is_empty() {
        return Err(RetryError::Absent);
    }
    let mut replay = Replay { pipeline, parameters, tables: Vec::new(), may_move };
    let mut reader = Reader::default();
    for part in 0.. {
        let Some(bytes) = replay.part(quarantine_id, part)? else { break };
        let records = reader
            .read(&bytes)
            .map_err(|_| RetryError::Unreadable("it was written by another version of backlot"))?;
        replay.bind(reader.tables.get(replay.tables.len()..).unwrap_or_default())?;
        replay.records(&records).map_err(|error| replay.named(error))?;
        replay.pipeline.settle().map_err(|error| replay.named(error))?;
    }
    // Foreign keys do not cascade under `session_replication_role = replica`.
    let delete = format!(
        "delete from backlot.quarantine_part where quarantine_id = {quarantine_id}; \
         delete from backlot.quarantine where quarantine_id = {quarantine_id}"
    );
    replay.pipeline.query(&delete, 2)?;
    replay.pipeline.settle()?;
    Ok(())
}

struct Replay<'a> {
    pipeline: &'a mut Pipeline,
    parameters: &'a mut Parameters,
    tables: Vec<Arc<BoundTable>>,
    may_move: bool,
}

impl Replay<'_> {
    fn part(&mut self, quarantine_id: i64, part: i32) -> Result<Option<Vec<u8>>, RetryError> {
        let sql = format!(
            "select pg_catalog.encode(changes, 'hex') from backlot.quarantine_part \
             where quarantine_id = {quarantine_id} and part = {part}"
        );
        self.pipeline.query(&sql, 1)?;
        let text = self.pipeline.settle()?.into_iter().flatten().flatten().next();
        let decode = |text| hex::decode(text);
        text.map(decode).transpose().map_err(|_| RetryError::Unreadable("a part is not hex"))
    }

    fn bind(&mut self, stored: &[StoredTable]) -> Result<(), RetryError> {
        for table in stored {
            self.check_rules(table)?;
            let target = load_target(self.pipeline.wire(), &table.target)
                .map_err(|error| RetryError::Step(Some(table.source.clone()), error.into()))?;
            let Some(target) = target else {
                let gone = StepError::refused(0, "the target has no such table any more");
                return Err(RetryError::Step(Some(table.source.clone()), gone));
            };
            let columns = table.columns.iter().map(String::as_str).collect::<Vec<_>>();
            let rules = table.rules.clone();
            let bound = target.bind(&table.source, rules, &columns, &table.identity);
            self.tables.push(Arc::new(bound));
        }
        Ok(())
    }

    /// Rows that older rules have masked may hold what the table's rules hide.
    fn check_rules(&mut self, table: &StoredTable) -> Result<(), RetryError> {
        if table.rules.is_empty() {
            return Err(RetryError::OtherRules(table.source.clone()));
        }
        for (relation, hash) in &table.rules {
            let sql = format!(
                "select 1 from backlot.stream_table where relation = {} and rules_hash = {} \
                 and state in ('streaming', 'insert_only')",
                Literal(&relation.to_string()),
                Literal(hash)
            );
            self.pipeline.query(&sql, 1)?;
            let is_same = self.pipeline.settle()?.iter().any(|rows| !rows.is_empty());
            if hash.is_empty() || !is_same {
                return Err(RetryError::OtherRules(relation.clone()));
            }
        }
        Ok(())
    }

    fn records(&mut self, records: &[Record<'_>]) -> Result<(), StepError> {
        let mut rest = records;
        while let Some((first, behind)) = rest.split_first() {
            match *first {
                Record::Row { table, change } => {
                    let bound = self.table(table)?;
                    let at = At { position: table, table: &bound };
                    row::queue(self.pipeline, self.parameters, at, change, self.may_move)?;
                    rest = behind;
                }
                Record::Truncate { statement, restart_identity, .. } => {
                    let truncated = rest.iter().map_while(|record| truncated(record, statement));
                    let truncated = truncated.collect::<Vec<_>>();
                    truncate::queue(self.pipeline, &self.tables, &truncated, restart_identity)?;
                    rest = rest.get(truncated.len()..).unwrap_or_default();
                }
            }
        }
        Ok(())
    }

    fn table(&self, position: u32) -> Result<Arc<BoundTable>, StepError> {
        let table = self.tables.get(position as usize).cloned();
        table.ok_or(StepError::refused(position, "its table is not defined in what is stored"))
    }

    fn named(&self, error: StepError) -> RetryError {
        let table = error.table.and_then(|position| self.tables.get(position as usize));
        RetryError::Step(table.map(|table| table.source.clone()), error)
    }
}

fn truncated(record: &Record<'_>, statement: u32) -> Option<u32> {
    match *record {
        Record::Truncate { table, statement: of, .. } if of == statement => Some(table),
        Record::Truncate { .. } | Record::Row { .. } => None,
    }
}
