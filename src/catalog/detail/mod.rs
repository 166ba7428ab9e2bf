//! One schema in full: all that a change of a table must carry over or respect.
//!
//! [`crate::catalog::load`] gives what a copy of rows needs, of the whole database; this gives
//! every attribute of every object of one schema. It says what is there; it decides nothing.

mod load;
mod model;

pub use load::load;
pub use model::{
    Column, ColumnGrant, Constraint, ConstraintKind, Dependent, DependentKind, Grant, Identity,
    Index, IndexStatistics, Policy, Publication, Read, ReplicaIdentity, Schema, Sequence,
    Statistics, Table, TableKind, Trigger, VersionSchema, View, ViewKind,
};
