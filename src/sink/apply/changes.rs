//! The changes of a group on their way to the target, set-wise or one by one.

use super::applier::Applier;
use super::error::StepError;
use super::fold::Folded;
use super::row::{self, At, RowChange};
use super::session::Enforcement;
use super::set::{Sets, Writer};
use super::{Change, Group, Operation, truncate};
use crate::catalog::RelationName;
use crate::transform::MaskedRows;

impl Applier {
    /// Writes the net changes, as few statements.
    pub(super) fn set_wise(&mut self, group: &Group, changes: &[Change]) -> Result<(), StepError> {
        let mut sets = std::mem::take(&mut self.sets);
        sets.start(&group.tables);
        let result = self.fold_and_write(group, changes, &mut sets);
        self.sets = sets;
        result
    }

    fn fold_and_write(
        &mut self,
        group: &Group,
        changes: &[Change],
        sets: &mut Sets,
    ) -> Result<(), StepError> {
        let mut rest = changes;
        let mut last_table = None;
        while let Some(change) = rest.first() {
            let position = change.table as usize;
            let Some(table) = group.tables.get(position) else {
                return Err(StepError::refused(change.table, UNKNOWN_TABLE));
            };
            // Where foreign keys are checked, tables change in the order of the source.
            let is_other_table = last_table.replace(position).is_some_and(|last| last != position);
            if is_other_table && self.enforcement() == Enforcement::On {
                sets.write_all(&mut self.writer(group))?;
            }
            sets.write_namesakes(&mut self.writer(group), position)?;
            let at = At { position: change.table, table };
            match sets.fold(&group.rows, at, change.operation) {
                Folded::Yes => rest = rest.get(1..).unwrap_or_default(),
                Folded::Full => sets.write(&mut self.writer(group), position)?,
                Folded::Alone => {
                    let (alone, behind) = rest.split_at(truncate::change_length(rest));
                    for change in alone {
                        let position = change.table as usize;
                        sets.write_namesakes(&mut self.writer(group), position)?;
                        sets.write(&mut self.writer(group), position)?;
                    }
                    self.row_by_row(group, alone)?;
                    rest = behind;
                }
                Folded::Contradiction => {
                    let reason = "a change does not fit what the stream said of its row before";
                    return Err(StepError::refused(change.table, reason));
                }
            }
        }
        sets.write_all(&mut self.writer(group))
    }

    fn writer<'w>(&'w mut self, group: &'w Group) -> Writer<'w> {
        let may_move = self.may_move();
        Writer { pipeline: &mut self.pipeline, parameters: &mut self.parameters, group, may_move }
    }

    pub(super) fn row_by_row(
        &mut self,
        group: &Group,
        changes: &[Change],
    ) -> Result<(), StepError> {
        let mut rest = changes;
        while let Some(change) = rest.first() {
            let length = truncate::change_length(rest);
            if let Operation::Truncate { restart_identity, .. } = change.operation {
                let truncated = rest.iter().take(length).map(|change| change.table);
                let truncated = truncated.collect::<Vec<_>>();
                truncate::queue(&mut self.pipeline, &group.tables, &truncated, restart_identity)?;
            } else {
                self.single(group, change)?;
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    fn single(&mut self, group: &Group, change: &Change) -> Result<(), StepError> {
        let table = group.tables.get(change.table as usize);
        let (Some(table), Some(row)) = (table, row_change(&group.rows, change.operation)) else {
            return Err(StepError::refused(change.table, UNKNOWN_TABLE));
        };
        let at = At { position: change.table, table };
        let may_move = self.may_move();
        row::queue(&mut self.pipeline, &mut self.parameters, at, row, may_move)
    }
}

const UNKNOWN_TABLE: &str = "a change of a table that the group does not have";

/// The change of a row; None for TRUNCATE.
pub(super) fn row_change(rows: &MaskedRows, operation: Operation) -> Option<RowChange<'_>> {
    Some(match operation {
        Operation::Insert { new } => RowChange::Insert { new: rows.tuple(new) },
        Operation::Update { old, new } => {
            RowChange::Update { old: old.map(|old| rows.tuple(old)), new: rows.tuple(new) }
        }
        Operation::Delete { old } => RowChange::Delete { old: rows.tuple(old) },
        Operation::Truncate { .. } => return None,
    })
}

pub(super) fn byte_count(rows: &MaskedRows, changes: &[Change]) -> usize {
    let bytes = |row| rows.tuple(row).bytes().len();
    let count = |change: &Change| match change.operation {
        Operation::Insert { new } => bytes(new),
        Operation::Update { old, new } => old.map_or(0, bytes) + bytes(new),
        Operation::Delete { old } => bytes(old),
        Operation::Truncate { .. } => 0,
    };
    changes.iter().map(count).sum()
}

pub(super) fn relation_of(group: &Group, error: &StepError) -> Option<RelationName> {
    let table = error.table.and_then(|table| group.tables.get(table as usize));
    table.map(|table| table.source.clone())
}
