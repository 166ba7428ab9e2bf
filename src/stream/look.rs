//! One look at a table of the source: is it still as the catalog showed it when that was read?
//!
//! A Relation message says what the columns of a table are called, not which columns they are: one
//! that takes the name of another looks like that other. Their numbers tell them apart
//! (`pg_attribute.attnum`, which no ALTER TABLE changes). They are asked of one table at a time and
//! without its lock, which whoever changes it holds until its transaction ends.

use super::machine::Shape;
use crate::catalog::{Column, Table};
use crate::pg::{Error, Oid, Session};
use std::sync::Arc;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

/// A column as rows are bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveColumn {
    number: i16,
    name: String,
    type_oid: Oid,
}

/// A relation as it is announced.
pub(super) struct View {
    pub(super) table: Standing,
    /// It is sent before its transaction commits.
    pub(super) is_early: bool,
}

/// What is known of a table, beside what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has the columns that it was bound to, or was not bound yet.
    Same,
    /// It has others.
    Other,
    /// See [`Seen::Changing`].
    Changing,
    /// Other tables have taken the places of some that are followed.
    Replaced,
}

/// What was seen of a table.
pub(super) enum Seen {
    Columns(Vec<LiveColumn>),
    /// A transaction that has not ended has dropped, renamed or retyped some.
    Changing,
    /// There is no such table any more, or none yet.
    Nothing,
}

/// Looks by the session that others ask the source by, from a thread of its own.
pub(super) struct Eye {
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) source: Arc<Session>,
}

impl Eye {
    pub(super) fn see(&self, table: Oid) -> Result<Seen, Error> {
        let (mut columns, is_changed) = self.read(table)?;
        if is_changed {
            if self.is_locked(table)? {
                return Ok(Seen::Changing);
            }
            // It has ended meanwhile, or one that was rolled back has left its mark.
            columns = self.read(table)?.0;
        }
        Ok(if columns.is_empty() { Seen::Nothing } else { Seen::Columns(columns) })
    }

    /// The live columns, and whether a transaction that is not seen to have ended has changed one:
    /// its id is in the row's `xmax`.
    fn read(&self, table: Oid) -> Result<(Vec<LiveColumn>, bool), Error> {
        let rows = self.ask(&format!(
            "select a.attnum, a.attname, a.atttypid, a.xmax::text <> '0' from pg_catalog.pg_attribute a \
             where a.attrelid = {table} and a.attnum > 0 and not a.attisdropped order by a.attnum"
        ))?;
        let column = |row: &SimpleQueryRow| {
            let (number, type_oid) = (row.get(0)?.parse().ok()?, row.get(2)?.parse().ok()?);
            Some(LiveColumn { number, name: row.get(1)?.to_owned(), type_oid: Oid(type_oid) })
        };
        let columns = rows.iter().map(column).collect::<Option<Vec<_>>>();
        let columns = columns.ok_or(Error::Protocol("columns of another form"))?;
        Ok((columns, rows.iter().any(|row| row.get(3) == Some("t"))))
    }

    /// True if somebody holds the lock that whoever changes the columns of a table keeps until
    /// others see what it did.
    fn is_locked(&self, table: Oid) -> Result<bool, Error> {
        let locks = self.ask(&format!(
            "select l.pid from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database \
             where d.datname = pg_catalog.current_database() and l.locktype = 'relation' \
             and l.relation = {table} and l.mode = 'AccessExclusiveLock' and l.granted"
        ))?;
        Ok(!locks.is_empty())
    }

    /// One round trip.
    fn ask(&self, query: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        let answer = self.runtime.block_on(self.source.simple_query(query))?;
        let row = |message| {
            if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None }
        };
        Ok(answer.into_iter().filter_map(row).collect())
    }
}

/// The columns of a table as the catalog was read.
pub(super) fn columns_of(table: &Table) -> Vec<LiveColumn> {
    let column = |column: &Column| LiveColumn {
        number: column.number,
        name: column.name.clone(),
        type_oid: column.type_oid,
    };
    table.columns.iter().map(column).collect()
}

/// True if rows of this shape are of the table as the catalog shows it: its columns in their order,
/// without those that a publication leaves out. `is_whole`: it leaves none out.
pub(super) fn shows(table: &Table, shape: &Shape, is_whole: bool) -> bool {
    let mut sent = shape.columns.iter().peekable();
    for column in &table.columns {
        let is_sent = sent
            .next_if(|sent| sent.name == column.name && sent.type_oid == column.type_oid)
            .is_some();
        if !is_sent && is_whole && column.is_copied() {
            return false;
        }
    }
    sent.next().is_none()
}
