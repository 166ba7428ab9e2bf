//! What publications list, as the server sends it.

use crate::catalog::RelationName;
use crate::pg::{Error, Session};
use std::collections::{HashMap, HashSet};

const LISTED_TABLES: &str = include_str!("../sql/listed_tables.sql");

/// The tables that some publications list. With `publish_via_partition_root` that is the topmost
/// published parent of a partition, else the partition itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed(HashMap<RelationName, Sent>);

/// What is sent of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    is_partitioned: bool,
    has_updates: bool,
}

impl Listed {
    /// What these publications list now; of one that is not there, nothing.
    ///
    /// # Errors
    /// [`Error`] of the query.
    pub async fn read(session: &Session, publications: &[String]) -> Result<Self, Error> {
        let rows = session.query(LISTED_TABLES, &[&publications]).await?;
        let table = |row: &tokio_postgres::Row| {
            let schema = row.get::<_, String>("schema");
            let sent = Sent {
                is_partitioned: row.get("is_partitioned"),
                has_updates: row.get("has_updates"),
            };
            (RelationName::new(schema, row.get::<_, String>("name")), sent)
        };
        Ok(Self(rows.iter().map(table).collect()))
    }

    /// True if one of these tables is listed: a table and what it is, or may be, sent as.
    pub fn has(&self, family: &[RelationName]) -> bool {
        family.iter().any(|name| self.0.contains_key(name))
    }

    /// True if one of these tables is listed and UPDATE and DELETE of it are not sent.
    pub fn is_insert_only(&self, family: &[RelationName]) -> bool {
        let mut sent = family.iter().filter_map(|name| self.0.get(name));
        sent.any(|sent| !sent.has_updates)
    }

    /// Partitioned tables that their partitions' changes are sent as.
    pub fn senders(&self) -> HashSet<RelationName> {
        let senders = self.0.iter().filter(|(_, sent)| sent.is_partitioned);
        senders.map(|(name, _)| name.clone()).collect()
    }
}
