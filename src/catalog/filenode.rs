//! In which file each table's rows lie, and with that: whether a snapshot still shows them.
//!
//! `TRUNCATE` and the rewriting forms of `ALTER TABLE` are not MVCC-safe (PostgreSQL
//! documentation, "Caveats" of chapter 13): whoever reads such a table afterwards finds it empty,
//! also in a snapshot taken before. `VACUUM FULL` and `CLUSTER` keep what a snapshot shows and
//! move it to other blocks. All of them give the table a new file (`pg_class.relfilenode`).

use crate::pg::{Error, Oid, Session};
use std::collections::HashMap;

const FILENODES: &str =
    "select c.oid, c.relfilenode from pg_catalog.pg_class c where c.relkind = 'r'";

/// The files of all ordinary tables at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filenodes(HashMap<Oid, u32>);

impl Filenodes {
    /// As the session's snapshot shows them: a session in an exported snapshot tells of then, a
    /// new one of now.
    ///
    /// # Errors
    /// [`Error`] of the query.
    pub async fn read(session: &Session) -> Result<Self, Error> {
        let rows = session.query(FILENODES, &[]).await?;
        Ok(Self(rows.iter().map(|row| (Oid(row.get(0)), row.get(1))).collect()))
    }

    /// True if the table's rows lie in another file by `later`, or are gone.
    pub fn was_replaced(&self, later: &Self, table: Oid) -> bool {
        self.0.get(&table) != later.0.get(&table)
    }
}
