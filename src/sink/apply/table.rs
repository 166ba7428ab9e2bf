//! A relation of the stream, bound to the table of the target that its rows are written to.

use crate::catalog::RelationName;
use crate::pg::Oid;

#[derive(Clone, Debug)]
pub struct BoundTable {
    /// Unique in the process: another binding of the same relation has another one. Prepared
    /// statements are known by it.
    pub id: u64,
    /// The relation on the source, for people.
    pub source: RelationName,
    /// The tables of the source that it stands for, each with the hash of the rules that its rows
    /// are masked by: the relation itself, or the partitions below it.
    pub rules: Vec<(RelationName, String)>,
    /// Written to: the table of that name, or the partition root that routes its rows.
    pub target: RelationName,
    /// True if `target` is partitioned. Statements on any other table say ONLY: rows of
    /// inheritance children come under the children's own names.
    pub is_partitioned: bool,
    /// One per column of the relation's tuples, in their order.
    pub columns: Vec<BoundColumn>,
    pub identity: Identity,
}

#[derive(Clone, Debug)]
pub struct BoundColumn {
    pub name: String,
    /// The type on the target.
    pub type_oid: Oid,
    /// The type's name on the target without modifiers, schema-qualified: for casts. A modifier
    /// would make the cast cut long values instead of refusing them.
    pub type_name: String,
    /// Arrays cannot be unnested as one value each; other types that cannot are counted in.
    pub is_array: bool,
    /// False for a column that the target does not have, or computes: its values are not written.
    pub is_written: bool,
    /// GENERATED ALWAYS AS IDENTITY: INSERT can override it, UPDATE cannot.
    pub is_identity_always: bool,
}

/// How a row is found for UPDATE and DELETE.
#[derive(Clone, Debug)]
pub enum Identity {
    /// By these columns: the replica identity's, or under FULL the target's primary key.
    Key(Vec<KeyColumn>),
    /// By all columns, one row of those that match (REPLICA IDENTITY FULL without a key).
    Full(Vec<KeyColumn>),
    /// Not at all: only INSERT and TRUNCATE are streamed.
    None,
}

#[derive(Clone, Debug)]
pub struct KeyColumn {
    /// Position in [`BoundTable::columns`].
    pub position: usize,
    /// The qualified equality operator, as `operator(pg_catalog.=)`; None where the type has none
    /// (json, xml, point): then text is compared.
    pub equality: Option<String>,
}
