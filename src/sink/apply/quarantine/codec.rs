//! The stored form of masked changes: tables by name with their columns, then changes.
//!
//! A part is a version byte and records; a table's definition stands in front of its first change
//! in the transaction, with the hashes of the rules that mask it. Tuples stand as pgoutput has them,
//! formats included.

use crate::catalog::RelationName;
use crate::pg::pgoutput::Tuple;
use crate::sink::apply::row::RowChange;
use crate::sink::apply::{BoundTable, Identity, SentIdentity};

pub(super) const VERSION: u8 = 2;
/// Had no hashes of rules.
const WITHOUT_RULES: u8 = 1;

/// What is stored of a table: enough to bind it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredTable {
    pub source: RelationName,
    /// As in [`BoundTable::rules`]; empty where they are not known.
    pub rules: Vec<(RelationName, String)>,
    pub target: RelationName,
    pub columns: Vec<String>,
    pub identity: SentIdentity,
}

#[derive(Clone, Copy)]
pub(super) enum Record<'a> {
    Row { table: u32, change: RowChange<'a> },
    Truncate { table: u32, statement: u32, restart_identity: bool },
}

pub(super) fn put_table(out: &mut Vec<u8>, table: &BoundTable) {
    out.push(b'T');
    for name in [&table.source, &table.target] {
        put_text(out, &name.schema);
        put_text(out, &name.name);
    }
    put_count(out, table.columns.len());
    for column in &table.columns {
        put_text(out, &column.name);
    }
    match &table.identity {
        Identity::Key(keys) => {
            out.push(b'K');
            put_count(out, keys.len());
            for key in keys {
                put_count(out, key.position);
            }
        }
        Identity::Full(_) => out.push(b'F'),
        Identity::None => out.push(b'N'),
    }
    for (relation, hash) in &table.rules {
        out.push(b'H');
        for text in [&relation.schema, &relation.name, hash] {
            put_text(out, text);
        }
    }
}

pub(super) fn put_row(out: &mut Vec<u8>, table: u32, change: RowChange<'_>) {
    let (kind, first, second) = match change {
        RowChange::Insert { new } => (b'I', new, None),
        RowChange::Update { old: None, new } => (b'U', new, None),
        RowChange::Update { old: Some(old), new } => (b'O', old, Some(new)),
        RowChange::Delete { old } => (b'D', old, None),
    };
    out.push(kind);
    out.extend_from_slice(&table.to_be_bytes());
    put_tuple(out, first);
    if let Some(second) = second {
        put_tuple(out, second);
    }
}

pub(super) fn put_truncate(out: &mut Vec<u8>, table: u32, statement: u32, restart_identity: bool) {
    out.push(b'X');
    out.extend_from_slice(&table.to_be_bytes());
    out.extend_from_slice(&statement.to_be_bytes());
    out.push(u8::from(restart_identity));
}

fn put_tuple(out: &mut Vec<u8>, tuple: Tuple<'_>) {
    out.extend_from_slice(&tuple.column_count().to_be_bytes());
    out.extend_from_slice(tuple.bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Lengths of names and numbers of columns: far below 2³².
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

/// Reads the parts of one transaction in order.
#[derive(Default)]
pub(super) struct Reader {
    pub tables: Vec<StoredTable>,
}

/// The part is not what this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Reader {
    /// The records of a part; the tables that it defines are in `tables` afterwards.
    pub(super) fn read<'a>(&mut self, part: &'a [u8]) -> Result<Vec<Record<'a>>, Unreadable> {
        let mut bytes = Bytes(part);
        if !matches!(bytes.byte()?, VERSION | WITHOUT_RULES) {
            return Err(Unreadable);
        }
        let mut records = Vec::new();
        while !bytes.0.is_empty() {
            match bytes.byte()? {
                b'T' => self.tables.push(bytes.table()?),
                b'H' => {
                    let relation = RelationName::new(bytes.text()?, bytes.text()?);
                    let rules = (relation, bytes.text()?);
                    self.tables.last_mut().ok_or(Unreadable)?.rules.push(rules);
                }
                kind => records.push(bytes.record(kind)?),
            }
        }
        Ok(records)
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        self.take(1)?.first().copied().ok_or(Unreadable)
    }

    fn number(&mut self) -> Result<u32, Unreadable> {
        let bytes = self.take(4)?.first_chunk::<4>().ok_or(Unreadable)?;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let length = self.number()? as usize;
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| Unreadable)
    }

    fn tuple(&mut self) -> Result<Tuple<'a>, Unreadable> {
        let count = *self.take(2)?.first_chunk::<2>().ok_or(Unreadable)?;
        let (tuple, rest) = Tuple::split(u16::from_be_bytes(count), self.0).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(tuple)
    }

    fn table(&mut self) -> Result<StoredTable, Unreadable> {
        let source = RelationName::new(self.text()?, self.text()?);
        let target = RelationName::new(self.text()?, self.text()?);
        let mut columns = Vec::new();
        for _ in 0..self.number()? {
            columns.push(self.text()?);
        }
        let identity = match self.byte()? {
            b'K' => {
                let mut positions = Vec::new();
                for _ in 0..self.number()? {
                    positions.push(self.number()? as usize);
                }
                SentIdentity::Key(positions)
            }
            b'F' => SentIdentity::Full,
            b'N' => SentIdentity::Nothing,
            _ => return Err(Unreadable),
        };
        Ok(StoredTable { source, rules: Vec::new(), target, columns, identity })
    }

    fn record(&mut self, kind: u8) -> Result<Record<'a>, Unreadable> {
        let table = self.number()?;
        let change = match kind {
            b'I' => RowChange::Insert { new: self.tuple()? },
            b'U' => RowChange::Update { old: None, new: self.tuple()? },
            b'O' => RowChange::Update { old: Some(self.tuple()?), new: self.tuple()? },
            b'D' => RowChange::Delete { old: self.tuple()? },
            b'X' => {
                let (statement, restart) = (self.number()?, self.byte()?);
                return Ok(Record::Truncate { table, statement, restart_identity: restart == 1 });
            }
            _ => return Err(Unreadable),
        };
        Ok(Record::Row { table, change })
    }
}
