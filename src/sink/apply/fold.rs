//! Net changes: what a run of changes to one table comes to, by key.
//!
//! A key is the bytes of its columns. The source says an old key whenever those bytes change, so
//! all changes of one row meet under the same bytes until a change of the key ends the run.

use super::statement::key_columns;
use super::{BoundTable, Identity, Operation};
use crate::pg::pgoutput::{Datum, Tuple};
use crate::transform::{MaskedRow, MaskedRows};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

/// Rows that may lie under one with unchanged columns; more end the run.
const DEPTH_LIMIT: u8 = 8;

/// The net changes of one table since it was last written. Its buffers are reused.
#[derive(Default)]
pub(super) struct Net {
    entries: Vec<Entry>,
    /// Rows under others, for the columns that those leave unchanged.
    beneath: Vec<Layer>,
    /// First entry of a key's hash; made when the first UPDATE or DELETE comes.
    index: HashMap<u64, u32, BuildHasherDefault<Same>>,
    is_indexed: bool,
    hash_state: RandomState,
}

/// A row, by layers from the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    row: MaskedRow,
    under: Option<u32>,
    depth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Insert(Layer),
    Update(Layer),
    Delete,
    /// Came and went.
    Gone,
}

#[derive(Clone, Copy)]
struct Entry {
    /// A row that has the key's columns.
    key: MaskedRow,
    state: State,
    /// Next entry of the same hash.
    next: Option<u32>,
}

/// What a row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetChange {
    Insert(Layer),
    /// `key` finds the row.
    Update {
        key: MaskedRow,
        new: Layer,
    },
    Delete {
        key: MaskedRow,
    },
}

/// What became of a change that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    Yes,
    /// Write what there is, then offer it again.
    Full,
    /// Write what there is, then this change by itself.
    Alone,
    /// It does not fit what came before: the target will say what is wrong.
    Contradiction,
}

/// Hashes are their own hashes.
#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Layer {
    /// The row, if it lies on no other.
    pub(super) fn single(self) -> Option<MaskedRow> {
        self.under.is_none().then_some(self.row)
    }
}

impl Net {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.beneath.clear();
        self.index.clear();
        self.is_indexed = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn changes(&self) -> impl Iterator<Item = NetChange> {
        self.entries.iter().filter_map(|entry| match entry.state {
            State::Insert(new) => Some(NetChange::Insert(new)),
            State::Update(new) => Some(NetChange::Update { key: entry.key, new }),
            State::Delete => Some(NetChange::Delete { key: entry.key }),
            State::Gone => None,
        })
    }

    /// The values of a row, through its layers. What no layer has stays unchanged.
    pub(super) fn values<'r>(
        &self,
        rows: &'r MaskedRows,
        layer: Layer,
        values: &mut Vec<Datum<'r>>,
    ) {
        values.clear();
        values.extend(rows.tuple(layer.row).columns());
        let mut under = layer.under;
        while let Some(layer) = under.and_then(|at| self.beneath.get(at as usize)) {
            for (value, older) in values.iter_mut().zip(rows.tuple(layer.row).columns()) {
                if *value == Datum::Unchanged {
                    *value = older;
                }
            }
            under = layer.under;
        }
    }

    /// Folds a change of `table` in.
    pub(super) fn fold(
        &mut self,
        rows: &MaskedRows,
        table: &BoundTable,
        operation: Operation,
    ) -> Folded {
        match operation {
            Operation::Insert { new } => self.insert(rows, table, new),
            Operation::Truncate { .. } => Folded::Alone,
            Operation::Update { .. } | Operation::Delete { .. }
                if !matches!(table.identity, Identity::Key(_)) =>
            {
                Folded::Alone
            }
            Operation::Update { old, new } => {
                let key = old.unwrap_or(new);
                let is_sent = |value: Datum<'_>| value != Datum::Unchanged;
                let is_same = old.is_none() || same_key(table, rows.tuple(key), rows.tuple(new));
                let key_tuple = rows.tuple(key);
                if is_same
                    && (!key_tuple.kinds().has_unchanged()
                        || key_values(table, key_tuple).all(is_sent))
                {
                    self.update(rows, table, key, new)
                } else {
                    Folded::Alone
                }
            }
            Operation::Delete { old } => self.delete(rows, table, old),
        }
    }

    fn insert(&mut self, rows: &MaskedRows, table: &BoundTable, new: MaskedRow) -> Folded {
        let layer = Layer { row: new, under: None, depth: 0 };
        if !self.is_indexed {
            self.entries.push(Entry { key: new, state: State::Insert(layer), next: None });
            return Folded::Yes;
        }
        let hash = self.hash(table, rows.tuple(new));
        match self.find(rows, table, hash, new).map(|entry| &mut entry.state) {
            // A DELETE and an INSERT of one key: an UPDATE of every column.
            Some(state @ State::Delete) => *state = State::Update(layer),
            Some(state @ State::Gone) => *state = State::Insert(layer),
            Some(State::Insert(_) | State::Update(_)) => return Folded::Contradiction,
            None => self.add(hash, new, State::Insert(layer)),
        }
        Folded::Yes
    }

    fn update(
        &mut self,
        rows: &MaskedRows,
        table: &BoundTable,
        key: MaskedRow,
        new: MaskedRow,
    ) -> Folded {
        self.make_index(rows, table);
        let hash = self.hash(table, rows.tuple(key));
        let Some(state) = self.find(rows, table, hash, key).map(|entry| entry.state) else {
            self.add(hash, key, State::Update(Layer { row: new, under: None, depth: 0 }));
            return Folded::Yes;
        };
        let (State::Insert(older) | State::Update(older)) = state else {
            return Folded::Contradiction;
        };
        let Some(layer) = self.lay(rows, older, new) else { return Folded::Full };
        if let Some(entry) = self.find(rows, table, hash, key) {
            entry.state = match state {
                State::Insert(_) => State::Insert(layer),
                State::Update(_) | State::Delete | State::Gone => State::Update(layer),
            };
        }
        Folded::Yes
    }

    fn delete(&mut self, rows: &MaskedRows, table: &BoundTable, key: MaskedRow) -> Folded {
        self.make_index(rows, table);
        let hash = self.hash(table, rows.tuple(key));
        match self.find(rows, table, hash, key).map(|entry| &mut entry.state) {
            Some(state @ State::Insert(_)) => *state = State::Gone,
            Some(state @ State::Update(_)) => *state = State::Delete,
            Some(State::Delete | State::Gone) => return Folded::Contradiction,
            None => self.add(hash, key, State::Delete),
        }
        Folded::Yes
    }

    /// `new` over `older`; None if that would be one layer too many.
    fn lay(&mut self, rows: &MaskedRows, older: Layer, new: MaskedRow) -> Option<Layer> {
        let is_unchanged = |datum: Datum<'_>| datum == Datum::Unchanged;
        if !rows.tuple(new).kinds().has_unchanged() {
            return Some(Layer { row: new, under: None, depth: 0 });
        }
        let mut pairs = rows.tuple(older.row).columns().zip(rows.tuple(new).columns());
        if !pairs.any(|(older, new)| is_unchanged(new) && !is_unchanged(older)) {
            // It has nothing that the new one lacks.
            return Some(Layer { row: new, ..older });
        }
        if older.depth >= DEPTH_LIMIT {
            return None;
        }
        let under = u32::try_from(self.beneath.len()).ok()?;
        self.beneath.push(older);
        Some(Layer { row: new, under: Some(under), depth: older.depth + 1 })
    }

    fn make_index(&mut self, rows: &MaskedRows, table: &BoundTable) {
        if self.is_indexed {
            return;
        }
        self.is_indexed = true;
        for entry in std::mem::take(&mut self.entries) {
            let hash = self.hash(table, rows.tuple(entry.key));
            self.add(hash, entry.key, entry.state);
        }
    }

    fn add(&mut self, hash: u64, key: MaskedRow, state: State) {
        // A group holds far fewer changes than 2³².
        let at = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let next = self.index.insert(hash, at);
        self.entries.push(Entry { key, state, next });
    }

    fn find(
        &mut self,
        rows: &MaskedRows,
        table: &BoundTable,
        hash: u64,
        key: MaskedRow,
    ) -> Option<&mut Entry> {
        let key = rows.tuple(key);
        let mut at = self.index.get(&hash).copied();
        while let Some(found) = at {
            let entry = self.entries.get(found as usize)?;
            if same_key(table, rows.tuple(entry.key), key) {
                return self.entries.get_mut(found as usize);
            }
            at = entry.next;
        }
        None
    }

    fn hash(&self, table: &BoundTable, tuple: Tuple<'_>) -> u64 {
        let mut hasher = self.hash_state.build_hasher();
        for value in key_values(table, tuple) {
            match value {
                Datum::Text(bytes) | Datum::Binary(bytes) => {
                    hasher.write_usize(bytes.len());
                    hasher.write(bytes);
                }
                Datum::Null | Datum::Unchanged => hasher.write_u8(0),
            }
        }
        hasher.finish()
    }
}

/// True unless the new row has another key. A key column that was not sent is as it was.
fn same_key(table: &BoundTable, one: Tuple<'_>, other: Tuple<'_>) -> bool {
    key_values(table, one)
        .zip(key_values(table, other))
        .all(|(one, other)| one == other || other == Datum::Unchanged)
}

pub(super) fn key_values<'a>(
    table: &BoundTable,
    tuple: Tuple<'a>,
) -> impl Iterator<Item = Datum<'a>> {
    let keys = key_columns(table);
    let last = keys.iter().map(|key| key.position).max();
    let columns = tuple.columns().enumerate().take(last.map_or(0, |last| last + 1));
    columns
        .filter(move |(position, _)| keys.iter().any(|key| key.position == *position))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
