//! How the net changes of a table are written: by kind, and updates by the columns that they set.

use super::BoundTable;
use super::columns::Columns;
use super::fold::{Layer, Net, NetChange, key_values};
use super::row::value;
use super::statement::is_key;
use crate::pg::Format;
use crate::pg::pgoutput::{Datum, Kinds};
use crate::transform::{MaskedRow, MaskedRows};
use std::collections::BTreeMap;

/// The changes of one table, in the order in which they are written.
#[derive(Default)]
pub(super) struct Plan {
    pub deletes: Vec<MaskedRow>,
    /// By the columns that are set.
    pub updates: BTreeMap<Columns, Vec<(MaskedRow, Layer)>>,
    pub inserts: Vec<Layer>,
}

pub(super) fn plan(rows: &MaskedRows, table: &BoundTable, net: &Net) -> Plan {
    let settable = |position: usize| {
        table
            .columns
            .get(position)
            .is_some_and(|column| column.is_written && !column.is_identity_always)
            && !is_key(table, position)
    };
    let count = table.columns.len();
    let all = Columns::pick(count, settable);
    let mut plan = Plan::default();
    let mut complete = Vec::new();
    let mut values = Vec::new();
    for change in net.changes() {
        match change {
            NetChange::Delete { key } => plan.deletes.push(key),
            NetChange::Insert(layer) => plan.inserts.push(layer),
            NetChange::Update { key, new }
                if new.single().is_some_and(|row| !rows.tuple(row).kinds().has_unchanged()) =>
            {
                complete.push((key, new));
            }
            NetChange::Update { key, new } => {
                net.values(rows, new, &mut values);
                if values.iter().all(|value| *value != Datum::Unchanged) {
                    complete.push((key, new));
                } else {
                    let is_set = |position: usize| {
                        settable(position) && value(&values, position) != Datum::Unchanged
                    };
                    let set = Columns::pick(count, is_set);
                    plan.updates.entry(set).or_default().push((key, new));
                }
            }
        }
    }
    if !complete.is_empty() {
        plan.updates.entry(all).or_default().append(&mut complete);
    }
    plan.deletes.sort_by_cached_key(|key| place(rows, table, *key));
    for updates in plan.updates.values_mut() {
        updates.sort_by_cached_key(|(key, _)| place(rows, table, *key));
    }
    plan
}

/// The first bytes of the key, as a number. Rows whose keys are near each other are most often
/// near each other in the index and in the table: found in this order, each page is visited (and
/// pruned of what earlier groups left) once. For nothing but speed.
fn place(rows: &MaskedRows, table: &BoundTable, key: MaskedRow) -> u128 {
    let mut bytes = [0; 16];
    let mut free = bytes.iter_mut();
    for value in key_values(table, rows.tuple(key)) {
        if let Datum::Binary(value) | Datum::Text(value) = value {
            value.iter().zip(free.by_ref()).for_each(|(from, to)| *to = *from);
        }
    }
    u128::from_be_bytes(bytes)
}

/// The one format of all values of the written columns; None if there are both.
pub(super) fn common_format(
    rows: &MaskedRows,
    table: &BoundTable,
    net: &Net,
    inserts: &[Layer],
) -> Option<Format> {
    let mut kinds = Kinds::default();
    let mut values = Vec::new();
    let is_whole = table.columns.iter().all(|column| column.is_written);
    for layer in inserts {
        if let (Some(row), true) = (layer.single(), is_whole) {
            kinds = kinds.and(rows.tuple(row).kinds());
        } else if let Some(row) = layer.single() {
            let columns = rows.tuple(row).columns().zip(&table.columns);
            let written = columns.filter(|(_, column)| column.is_written);
            kinds = written.fold(kinds, |kinds, (value, _)| kinds.and(Kinds::of(value)));
        } else {
            net.values(rows, *layer, &mut values);
            let columns = values.iter().zip(&table.columns);
            let written = columns.filter(|(_, column)| column.is_written);
            kinds = written.fold(kinds, |kinds, (value, _)| kinds.and(Kinds::of(*value)));
        }
    }
    match (kinds.has_text(), kinds.has_binary()) {
        (true, true) => None,
        (true, false) => Some(Format::Text),
        (false, _) => Some(Format::Binary),
    }
}
