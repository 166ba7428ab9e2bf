//! The nouns of a database: schemas, tables, columns, constraints, indexes, sequences.
//!
//! A plain model, loaded in a number of queries that does not depend on the number of tables
//! ([`load`]). It says what is there; it decides nothing.

pub mod detail;
mod filenode;
mod load;
mod model;
mod types;

pub use filenode::Filenodes;
pub use load::{TableName, load, table_names};
pub use model::{
    Catalog, Column, ColumnRef, ForeignKey, Generated, Index, KnownColumn, KnownColumns,
    Partitioning, RelationKind, RelationName, Sequence, Table, TableId,
};
