//! The schema as a migration sees it: what the new version calls things, what they are called in
//! the database until complete, and what the operations so far do to them.
//!
//! Made from [`crate::catalog::detail`]; the planner changes it operation by operation and reads
//! the steps off it at the end. It speaks to no server.

pub mod name;
mod sync;
mod table;

use crate::catalog::detail::{self, ConstraintKind};
use std::collections::{BTreeMap, BTreeSet};

pub use sync::{Call, Environment, Function, Pair, Parameter};
pub use table::{
    AddedConstraint, AddedIndex, Column, Constraint, ConstraintBody, Index, NewColumn, Table,
};

#[derive(Clone, Debug)]
pub struct Model {
    pub schema: String,
    /// `server_version_num`
    pub server_version: i32,
    /// By the new version's name.
    pub tables: BTreeMap<String, Table>,
    /// Tables that the new version does not see any more, by their old names.
    pub dropped: Vec<Table>,
    /// As it was loaded.
    pub detail: detail::Schema,
}

impl Model {
    pub fn new(detail: detail::Schema) -> Self {
        let is_visible = |table: &&detail::Table| !name::is_ours(&table.name);
        let tables = detail.tables.values().filter(is_visible);
        Self {
            schema: detail.name.clone(),
            server_version: detail.server_version,
            tables: tables.map(|table| (table.name.clone(), Table::loaded(table))).collect(),
            dropped: Vec::new(),
            detail,
        }
    }

    /// True if a table or an index of the schema has the name, or will have.
    pub fn has_index(&self, name: &str) -> bool {
        self.tables.values().any(|table| table.indexes.iter().any(|index| index.name == name))
    }

    /// True if the database has a table, an index or a column's sequence of the name, or will have.
    pub fn has_relation(&self, name: &str) -> bool {
        let is_here = |table: &detail::Table| {
            let sequences = table.columns.iter().filter_map(|column| column.sequence.as_ref());
            table.indexes.iter().any(|index| index.name == name)
                || sequences.into_iter().any(|sequence| sequence.name == name)
        };
        self.has_index(name)
            || self.tables.contains_key(name)
            || self.detail.tables.contains_key(name)
            || self.detail.tables.values().any(is_here)
    }

    /// The table with the index.
    pub fn table_of_index(&self, name: &str) -> Option<&str> {
        let has = |table: &&Table| table.indexes.iter().any(|index| index.name == name);
        self.tables.values().find(has).map(|table| table.name.as_str())
    }

    pub fn volatile_functions(&self) -> &BTreeSet<String> {
        &self.detail.volatile_functions
    }
}

impl ConstraintKind {
    /// `unique`
    pub fn word(self) -> &'static str {
        match self {
            ConstraintKind::Check => "check",
            ConstraintKind::ForeignKey => "foreign key",
            ConstraintKind::NotNull => "not null",
            ConstraintKind::PrimaryKey => "primary key",
            ConstraintKind::Unique => "unique",
            ConstraintKind::Exclude => "exclude",
        }
    }
}
