//! One change as one statement.

use super::columns::Columns;
use super::error::StepError;
use super::pipeline::Pipeline;
use super::statement::{Shape, Verb, guards, is_key, key_columns, settable, written};
use super::{BoundTable, Identity};
use crate::pg::pgoutput::{Datum, Tuple};
use crate::pg::{Format, Parameters};

/// A change of one row.
#[derive(Clone, Copy)]
pub(super) enum RowChange<'a> {
    Insert { new: Tuple<'a> },
    Update { old: Option<Tuple<'a>>, new: Tuple<'a> },
    Delete { old: Tuple<'a> },
}

/// The same, as values by column.
#[derive(Clone, Copy)]
pub(super) enum RowValues<'r, 'a> {
    Insert { new: &'r [Datum<'a>] },
    Update { old: Option<&'r [Datum<'a>]>, new: &'r [Datum<'a>] },
    Delete { old: &'r [Datum<'a>] },
}

/// The table of a change, and its position among the tables at hand.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub position: u32,
    pub table: &'a BoundTable,
}

impl At<'_> {
    fn refused(self, reason: &'static str) -> StepError {
        StepError::refused(self.position, reason)
    }
}

/// Queues the statement of a change; it has to find exactly one row.
///
/// `may_move`: an UPDATE may be carried out as DELETE and INSERT where it must set what UPDATE
/// cannot. Not where foreign keys would see the DELETE.
pub(super) fn queue(
    pipeline: &mut Pipeline,
    parameters: &mut Parameters,
    at: At<'_>,
    change: RowChange<'_>,
    may_move: bool,
) -> Result<(), StepError> {
    let read = |tuple| datums(at, tuple);
    match change {
        RowChange::Insert { new } => {
            let values = RowValues::Insert { new: &read(new)? };
            queue_values(pipeline, parameters, at, values, may_move)
        }
        RowChange::Update { old, new } => {
            let old = old.map(read).transpose()?;
            let values = RowValues::Update { old: old.as_deref(), new: &read(new)? };
            queue_values(pipeline, parameters, at, values, may_move)
        }
        RowChange::Delete { old } => {
            let values = RowValues::Delete { old: &read(old)? };
            queue_values(pipeline, parameters, at, values, may_move)
        }
    }
}

/// As [`queue`].
pub(super) fn queue_values(
    pipeline: &mut Pipeline,
    parameters: &mut Parameters,
    at: At<'_>,
    change: RowValues<'_, '_>,
    may_move: bool,
) -> Result<(), StepError> {
    parameters.clear();
    let shape = match change {
        RowValues::Insert { new } => insert(parameters, at, new)?,
        RowValues::Update { old, new } => update(parameters, at, old, new, may_move)?,
        RowValues::Delete { old } => delete(parameters, at, old)?,
    };
    let name = pipeline.prepare(at.table.id, &shape, || shape.statement(at.table))?;
    pipeline.execute(&name, parameters, Some(at.position), Some(1))
}

fn insert(parameters: &mut Parameters, at: At<'_>, new: &[Datum<'_>]) -> Result<Shape, StepError> {
    for (position, _) in written(at.table) {
        push(parameters, at, new, position)?;
    }
    Ok(Shape::of(Verb::Insert))
}

fn delete(parameters: &mut Parameters, at: At<'_>, old: &[Datum<'_>]) -> Result<Shape, StepError> {
    let nulls = push_row(parameters, at, old)?;
    Ok(Shape { verb: Verb::Delete, set: Columns::default(), nulls })
}

fn update(
    parameters: &mut Parameters,
    at: At<'_>,
    old: Option<&[Datum<'_>]>,
    new: &[Datum<'_>],
    may_move: bool,
) -> Result<Shape, StepError> {
    let table = at.table;
    let found_by = old.unwrap_or(new);
    let is_new = |position: usize| value(new, position) != Datum::Unchanged;
    let changes = |position: usize| {
        is_new(position) && old.is_some_and(|old| value(old, position) != value(new, position))
    };
    let is_full = matches!(table.identity, Identity::Full(_));
    let moves = may_move
        && (guards(table).next().is_some()
            || written(table).any(|(position, column)| {
                column.is_identity_always
                    && (is_full || is_key(table, position))
                    && changes(position)
            }));
    let moves = moves || settable(table).is_none();
    let count = table.columns.len();
    let is_written = |position: usize| {
        is_new(position) && table.columns.get(position).is_some_and(|column| column.is_written)
    };
    let (verb, set) = if moves {
        (Verb::Move, Columns::pick(count, is_written))
    } else {
        let is_set = |position: usize| {
            let column = table.columns.get(position);
            is_written(position)
                && column.is_some_and(|column| !column.is_identity_always)
                && (is_full || !is_key(table, position) || changes(position))
        };
        (Verb::Update, Columns::pick(count, is_set))
    };
    for position in (0..count).filter(|position| set.contains(*position)) {
        push(parameters, at, new, position)?;
    }
    let nulls = push_row(parameters, at, found_by)?;
    if verb == Verb::Update {
        for (position, _) in guards(table) {
            push(parameters, at, new, position)?;
        }
    }
    Ok(Shape { verb, set, nulls })
}

/// The values that find a row; returns the columns of which it is said that they are null.
fn push_row(
    parameters: &mut Parameters,
    at: At<'_>,
    row: &[Datum<'_>],
) -> Result<Columns, StepError> {
    let is_full = match at.table.identity {
        Identity::Full(_) => true,
        Identity::Key(_) => false,
        Identity::None => {
            return Err(at.refused("it has no replica identity that the target could follow"));
        }
    };
    let nulls = if is_full {
        Columns::pick(row.len(), |position| value(row, position) == Datum::Null)
    } else {
        Columns::default()
    };
    for key in key_columns(at.table) {
        if !nulls.contains(key.position) {
            push(parameters, at, row, key.position)?;
        }
    }
    Ok(nulls)
}

fn datums<'a>(at: At<'_>, tuple: Tuple<'a>) -> Result<Vec<Datum<'a>>, StepError> {
    if usize::from(tuple.column_count()) != at.table.columns.len() {
        return Err(at.refused("a row has another number of columns than its relation"));
    }
    Ok(tuple.columns().collect())
}

pub(super) fn value<'a>(row: &[Datum<'a>], position: usize) -> Datum<'a> {
    row.get(position).copied().unwrap_or(Datum::Null)
}

fn push(
    parameters: &mut Parameters,
    at: At<'_>,
    row: &[Datum<'_>],
    position: usize,
) -> Result<(), StepError> {
    match value(row, position) {
        Datum::Null => parameters.push_null(),
        Datum::Text(bytes) => parameters.push(Format::Text, bytes),
        Datum::Binary(bytes) => parameters.push(Format::Binary, bytes),
        Datum::Unchanged => return Err(at.refused("a value that is needed was not sent")),
    }
    Ok(())
}
