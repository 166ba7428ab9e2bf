//! What the catalog of the target says of a table that is to be bound.

use super::{BoundColumn, BoundTable, Identity, KeyColumn};
use crate::catalog::RelationName;
use crate::pg::{Error, Literal, Oid, Wire};
use std::sync::atomic::{AtomicU64, Ordering};

const TARGET: &str = include_str!("sql/target.sql");

/// A table of the target as it is now.
#[derive(Clone, Debug)]
pub struct TargetTable {
    pub name: RelationName,
    pub is_partitioned: bool,
    /// In attribute order.
    pub columns: Vec<TargetColumn>,
    /// Names of the primary key's columns in key order; empty if there is none.
    pub primary_key: Vec<String>,
}

/// A column of it, and how two of its values are compared.
#[derive(Clone, Debug)]
pub struct TargetColumn {
    pub column: BoundColumn,
    /// As in [`KeyColumn::equality`].
    pub equality: Option<String>,
}

/// What the source sends of the old row with UPDATE and DELETE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentIdentity {
    /// These columns (positions in the relation): a primary key's or an index's.
    Key(Vec<usize>),
    /// REPLICA IDENTITY FULL: all of them.
    Full,
    /// Nothing: UPDATE and DELETE are not published.
    Nothing,
}

/// Reads a table of the target from its catalog; None if there is none of that name.
///
/// For any wire: no `search_path` is needed.
pub fn load_target(wire: &mut Wire, name: &RelationName) -> Result<Option<TargetTable>, Error> {
    let sql = TARGET
        .replace("$schema", &Literal(&name.schema).to_string())
        .replace("$name", &Literal(&name.name).to_string());
    let mut columns = Vec::new();
    let mut key = Vec::new();
    let mut is_partitioned = false;
    for row in wire.simple(&sql)? {
        let unreadable = || Error::Protocol("a column of the catalog that cannot be read");
        let [
            name,
            oid,
            type_name,
            is_array,
            is_written,
            always,
            equality,
            key_position,
            partitioned,
        ] = <[Option<String>; 9]>::try_from(row).map_err(|_| unreadable())?;
        let is = |flag: Option<String>| flag.as_deref() == Some("1");
        let name = name.ok_or_else(unreadable)?;
        if let Some(position) = key_position.and_then(|position| position.parse::<u16>().ok()) {
            key.push((position, name.clone()));
        }
        is_partitioned = is(partitioned);
        let oid = oid.and_then(|oid| oid.parse().ok()).map(Oid).ok_or_else(unreadable)?;
        columns.push(TargetColumn {
            column: BoundColumn {
                name,
                type_oid: oid,
                type_name: type_name.ok_or_else(unreadable)?,
                is_array: is(is_array),
                is_written: is(is_written),
                is_identity_always: is(always),
            },
            equality,
        });
    }
    if columns.is_empty() {
        return Ok(None);
    }
    key.sort_unstable();
    let primary_key = key.into_iter().map(|(_, name)| name).collect();
    Ok(Some(TargetTable { name: name.clone(), is_partitioned, columns, primary_key }))
}

impl TargetTable {
    /// Binds a relation of the stream, whose tuples have these columns and are masked by `rules`
    /// ([`BoundTable::rules`]), to this table.
    ///
    /// A column that the table does not have is bound as not written. Under FULL the table's own
    /// primary key finds the row, if the relation has all of its columns. A key column that the
    /// table does not have or computes leaves no way to find a row: the identity is `None` then.
    pub fn bind(
        &self,
        source: &RelationName,
        rules: Vec<(RelationName, String)>,
        columns: &[&str],
        identity: &SentIdentity,
    ) -> BoundTable {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        BoundTable {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            source: source.clone(),
            rules,
            target: self.name.clone(),
            is_partitioned: self.is_partitioned,
            columns: columns.iter().map(|name| self.bound_column(name)).collect(),
            identity: self.identity(columns, identity),
        }
    }

    pub fn find(&self, name: &str) -> Option<&TargetColumn> {
        self.columns.iter().find(|found| found.column.name == name)
    }

    fn bound_column(&self, name: &str) -> BoundColumn {
        self.find(name).map_or_else(
            || BoundColumn {
                name: name.to_owned(),
                type_oid: Oid(0),
                type_name: String::new(),
                is_array: true,
                is_written: false,
                is_identity_always: false,
            },
            |found| found.column.clone(),
        )
    }

    fn identity(&self, columns: &[&str], sent: &SentIdentity) -> Identity {
        let key_column = |position: usize| {
            let found =
                self.find(columns.get(position)?).filter(|found| found.column.is_written)?;
            Some(KeyColumn { position, equality: found.equality.clone() })
        };
        match sent {
            SentIdentity::Nothing => Identity::None,
            SentIdentity::Key(positions) => positions
                .iter()
                .map(|position| key_column(*position))
                .collect::<Option<Vec<_>>>()
                .filter(|key| !key.is_empty())
                .map_or(Identity::None, Identity::Key),
            SentIdentity::Full => {
                let position = |name: &String| columns.iter().position(|column| column == name);
                let key = self
                    .primary_key
                    .iter()
                    .map(|name| key_column(position(name)?))
                    .collect::<Option<Vec<_>>>()
                    .filter(|key| !key.is_empty());
                key.map_or_else(
                    || Identity::Full((0..columns.len()).filter_map(key_column).collect()),
                    Identity::Key,
                )
            }
        }
    }
}
