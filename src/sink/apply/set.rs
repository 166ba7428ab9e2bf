//! The set-wise path: net changes written by few statements.
//!
//! Per table first what is deleted, then what is changed, then what is new. Constraints that hold
//! after each change in source order need not hold in this one; what fails is replayed row by row.

use super::columns::Columns;
use super::encode::{Array, COPY_HEADER, COPY_TRAILER, WrongFormat, copy_row, copy_tuple};
use super::error::StepError;
use super::fold::{Folded, Layer, Net};
use super::pipeline::Pipeline;
use super::plan::{common_format, plan};
use super::row::{At, RowValues, queue_values, value};
use super::statement::{Shape, Verb, copy, guards, key_columns, written};
use super::{BoundTable, Group};
use crate::pg::pgoutput::Datum;
use crate::pg::{Format, Parameters};
use crate::transform::{MaskedRow, MaskedRows};
use std::collections::HashMap;
use std::sync::Arc;

/// Fewer rows go as prepared statements: one array statement costs more than that.
const SET_MIN_ROWS: usize = 4;
/// Fewer new rows go as arrays: starting a COPY costs more.
const COPY_MIN_ROWS: usize = 100;
/// One statement's arrays: the target holds them in memory.
const SET_MAX_ROWS: usize = 4096;
const SET_MAX_BYTES: usize = 1024 * 1024;
/// Updates are written in the order of their keys: so many rows are fetched together.
const WARM_ROWS: usize = 16;
const COPY_MESSAGE_BYTES: usize = 64 * 1024;

/// Net changes by table, and the buffers to write them from. Reused from group to group.
#[derive(Default)]
pub(super) struct Sets {
    nets: Vec<Net>,
    /// Other positions of the same relation: it was bound anew within the group.
    namesakes: Vec<Vec<usize>>,
    arrays: Vec<Array>,
    copied: Vec<u8>,
    /// Net changes written since the start.
    written: usize,
}

/// What writing needs at hand.
pub(super) struct Writer<'w> {
    pub pipeline: &'w mut Pipeline,
    pub parameters: &'w mut Parameters,
    pub group: &'w Group,
    pub may_move: bool,
}

impl Sets {
    /// Forgets what a failed group left.
    pub(super) fn start(&mut self, tables: &[Arc<BoundTable>]) {
        if self.nets.len() < tables.len() {
            self.nets.resize_with(tables.len(), Net::default);
        }
        self.nets.iter_mut().for_each(Net::clear);
        self.arrays.iter_mut().for_each(Array::clear);
        self.written = 0;
        let mut by_name = HashMap::<_, Vec<usize>>::new();
        for (position, table) in tables.iter().enumerate() {
            by_name.entry(&table.source).or_default().push(position);
        }
        let others = |(position, table): (usize, &Arc<BoundTable>)| {
            let all = by_name.get(&table.source).into_iter().flatten();
            all.copied().filter(|other| *other != position).collect()
        };
        self.namesakes.clear();
        self.namesakes.extend(tables.iter().enumerate().map(others));
    }

    /// What the group's changes came to so far.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Writes what is pending for the relation under its other bindings: before a change of it.
    pub(super) fn write_namesakes(
        &mut self,
        writer: &mut Writer<'_>,
        position: usize,
    ) -> Result<(), StepError> {
        let count = self.namesakes.get(position).map_or(0, Vec::len);
        for at in 0..count {
            if let Some(other) = self.namesakes.get(position).and_then(|others| others.get(at)) {
                self.write(writer, *other)?;
            }
        }
        Ok(())
    }

    pub(super) fn fold(
        &mut self,
        rows: &MaskedRows,
        at: At<'_>,
        operation: super::Operation,
    ) -> Folded {
        match self.nets.get_mut(at.position as usize) {
            Some(net) => net.fold(rows, at.table, operation),
            None => Folded::Contradiction,
        }
    }

    /// Writes the net changes of all tables, by position.
    pub(super) fn write_all(&mut self, writer: &mut Writer<'_>) -> Result<(), StepError> {
        for position in 0..self.nets.len() {
            self.write(writer, position)?;
        }
        Ok(())
    }

    /// Writes the net changes of one table and forgets them.
    pub(super) fn write(
        &mut self,
        writer: &mut Writer<'_>,
        position: usize,
    ) -> Result<(), StepError> {
        let (Some(net), Some(table)) =
            (self.nets.get_mut(position), writer.group.tables.get(position))
        else {
            return Ok(());
        };
        if net.is_empty() {
            return Ok(());
        }
        let net = std::mem::take(net);
        // Positions of tables come from the changes, where they are 32 bits wide.
        let at = At { position: u32::try_from(position).unwrap_or(u32::MAX), table };
        let result = self.write_net(writer, at, &net);
        if let Some(place) = self.nets.get_mut(position) {
            *place = net;
            place.clear();
        }
        result
    }

    fn write_net(
        &mut self,
        writer: &mut Writer<'_>,
        at: At<'_>,
        net: &Net,
    ) -> Result<(), StepError> {
        let plan = plan(&writer.group.rows, at.table, net);
        let updates = plan.updates.values().map(Vec::len).sum::<usize>();
        self.written += plan.deletes.len() + updates + plan.inserts.len();
        self.deletes(writer, at, &plan.deletes)?;
        for (set, rows) in &plan.updates {
            self.updates(writer, at, net, set, rows)?;
        }
        self.inserts(writer, at, net, &plan.inserts)
    }

    fn deletes(
        &mut self,
        writer: &mut Writer<'_>,
        at: At<'_>,
        keys: &[MaskedRow],
    ) -> Result<(), StepError> {
        let positions = key_positions(at.table);
        let rows = &writer.group.rows;
        if keys.len() < SET_MIN_ROWS || !can_unnest(at.table, &positions) {
            for key in keys {
                let old = values_of(rows, *key);
                let change = RowValues::Delete { old: &old };
                queue_values(writer.pipeline, writer.parameters, at, change, writer.may_move)?;
            }
            return Ok(());
        }
        let shape = Shape::of(Verb::DeleteSet);
        let mut values = Vec::new();
        for key in keys {
            values.clear();
            values.extend(rows.tuple(*key).columns());
            self.push(at, &positions, |position| value(&values, position))?;
            self.send_if_full(writer, at, &shape, &positions)?;
        }
        self.send(writer, at, &shape, &positions)
    }

    fn updates(
        &mut self,
        writer: &mut Writer<'_>,
        at: At<'_>,
        net: &Net,
        set: &Columns,
        updates: &[(MaskedRow, Layer)],
    ) -> Result<(), StepError> {
        let rows = &writer.group.rows;
        let mut positions =
            (0..at.table.columns.len()).filter(|at| set.contains(*at)).collect::<Vec<_>>();
        let set_count = positions.len();
        positions.extend(key_positions(at.table));
        let key_end = positions.len();
        positions.extend(guards(at.table).map(|(position, _)| position));
        let mut new = Vec::new();
        if updates.len() < SET_MIN_ROWS || !can_unnest(at.table, &positions) {
            for (key, layer) in updates {
                net.values(rows, *layer, &mut new);
                let old = values_of(rows, *key);
                let change = RowValues::Update { old: Some(&old), new: &new };
                queue_values(writer.pipeline, writer.parameters, at, change, writer.may_move)?;
            }
            return Ok(());
        }
        let shape = Shape { set: set.clone(), ..Shape::of(Verb::UpdateSet) };
        let mut old = Vec::new();
        for batch in updates.chunks(WARM_ROWS) {
            rows.warm(batch.iter().filter_map(|(_, layer)| layer.single()));
            for (key, layer) in batch {
                net.values(rows, *layer, &mut new);
                // Where the key has not changed, it is most often the new row that says it.
                let is_one_row = layer.single() == Some(*key);
                if !is_one_row {
                    old.clear();
                    old.extend(rows.tuple(*key).columns());
                }
                let mut place = 0;
                self.push(at, &positions, |position| {
                    let is_key = !is_one_row && (set_count..key_end).contains(&place);
                    let from = if is_key { &old } else { &new };
                    place += 1;
                    value(from, position)
                })?;
                self.send_if_full(writer, at, &shape, &positions)?;
            }
        }
        self.send(writer, at, &shape, &positions)
    }

    fn inserts(
        &mut self,
        writer: &mut Writer<'_>,
        at: At<'_>,
        net: &Net,
        inserts: &[Layer],
    ) -> Result<(), StepError> {
        let rows = &writer.group.rows;
        let positions = written(at.table).map(|(position, _)| position).collect::<Vec<_>>();
        if inserts.len() >= COPY_MIN_ROWS
            && !positions.is_empty()
            && let Some(format) = common_format(rows, at.table, net, inserts)
        {
            return self.copy(writer, at, net, inserts, format);
        }
        let mut new = Vec::new();
        if inserts.len() < SET_MIN_ROWS || !can_unnest(at.table, &positions) {
            for layer in inserts {
                net.values(rows, *layer, &mut new);
                let change = RowValues::Insert { new: &new };
                queue_values(writer.pipeline, writer.parameters, at, change, writer.may_move)?;
            }
            return Ok(());
        }
        let shape = Shape::of(Verb::InsertSet);
        for layer in inserts {
            net.values(rows, *layer, &mut new);
            self.push(at, &positions, |position| value(&new, position))?;
            self.send_if_full(writer, at, &shape, &positions)?;
        }
        self.send(writer, at, &shape, &positions)
    }

    fn copy(
        &mut self,
        writer: &mut Writer<'_>,
        at: At<'_>,
        net: &Net,
        inserts: &[Layer],
        format: Format,
    ) -> Result<(), StepError> {
        let rows = &writer.group.rows;
        let is_written = at.table.columns.iter().map(|column| column.is_written);
        let is_written = is_written.collect::<Vec<_>>();
        let count = is_written.iter().filter(|is_written| **is_written).count();
        writer.pipeline.copy(&copy(at.table, format), at.position, inserts.len() as u64)?;
        self.copied.clear();
        if format == Format::Binary {
            self.copied.extend_from_slice(COPY_HEADER);
        }
        let is_whole = format == Format::Binary && count == is_written.len();
        let kept = |(value, is_written): (_, &bool)| is_written.then_some(value);
        let mut values = Vec::new();
        let mut outcome = Ok(());
        for layer in inserts {
            outcome = if let (Some(row), true) = (layer.single(), is_whole) {
                copy_tuple(&mut self.copied, rows.tuple(row))
            } else if let Some(row) = layer.single() {
                let columns = rows.tuple(row).columns().zip(&is_written).filter_map(kept);
                copy_row(&mut self.copied, format, count, columns)
            } else {
                net.values(rows, *layer, &mut values);
                let columns = values.iter().copied().zip(&is_written).filter_map(kept);
                copy_row(&mut self.copied, format, count, columns)
            };
            if outcome.is_err() {
                break;
            }
            if self.copied.len() >= COPY_MESSAGE_BYTES {
                writer.pipeline.copy_data(&self.copied)?;
                self.copied.clear();
            }
        }
        if format == Format::Binary {
            self.copied.extend_from_slice(COPY_TRAILER);
        }
        writer.pipeline.copy_data(&self.copied)?;
        // Also behind a row that could not be written: the COPY must end before a rollback.
        writer.pipeline.copy_done();
        outcome.map_err(|WrongFormat| mixed(at))
    }

    /// Appends a row to the arrays of the columns at `positions`.
    fn push<'a>(
        &mut self,
        at: At<'_>,
        positions: &[usize],
        mut value: impl FnMut(usize) -> Datum<'a>,
    ) -> Result<(), StepError> {
        if self.arrays.len() < positions.len() {
            self.arrays.resize_with(positions.len(), Array::default);
        }
        for (array, position) in self.arrays.iter_mut().zip(positions) {
            array.push(value(*position)).map_err(|WrongFormat| mixed(at))?;
        }
        Ok(())
    }

    fn send_if_full(
        &mut self,
        writer: &mut Writer<'_>,
        at: At<'_>,
        shape: &Shape,
        positions: &[usize],
    ) -> Result<(), StepError> {
        let arrays = self.arrays.iter().take(positions.len());
        let is_full = self.arrays.first().is_some_and(|array| array.count() >= SET_MAX_ROWS)
            || arrays.map(Array::byte_count).sum::<usize>() >= SET_MAX_BYTES;
        if is_full { self.send(writer, at, shape, positions) } else { Ok(()) }
    }

    /// Sends what the arrays hold and empties them.
    fn send(
        &mut self,
        writer: &mut Writer<'_>,
        at: At<'_>,
        shape: &Shape,
        positions: &[usize],
    ) -> Result<(), StepError> {
        let row_count = self.arrays.first().map_or(0, Array::count);
        if row_count == 0 {
            return Ok(());
        }
        writer.parameters.clear();
        for (array, position) in self.arrays.iter_mut().zip(positions) {
            if let Some(column) = at.table.columns.get(*position) {
                array.bind(column.type_oid, writer.parameters);
            }
            array.clear();
        }
        let name = writer.pipeline.prepare(at.table.id, shape, || shape.statement(at.table))?;
        let expected = Some(row_count as u64);
        writer.pipeline.execute(&name, writer.parameters, Some(at.position), expected)
    }
}

fn key_positions(table: &BoundTable) -> Vec<usize> {
    key_columns(table).iter().map(|key| key.position).collect()
}

fn can_unnest(table: &BoundTable, positions: &[usize]) -> bool {
    let is_plain =
        |position: &usize| table.columns.get(*position).is_some_and(|column| !column.is_array);
    !positions.is_empty() && positions.iter().all(is_plain)
}

fn values_of(rows: &MaskedRows, row: MaskedRow) -> Vec<Datum<'_>> {
    rows.tuple(row).columns().collect()
}

fn mixed(at: At<'_>) -> StepError {
    StepError::refused(at.position, "values of one column came in two formats")
}
