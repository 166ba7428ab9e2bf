//! The model of one schema: plain data, as the catalogs have it.

use crate::catalog::RelationName;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One schema with all that a change of its tables must carry over.
///
/// Texts (types, expressions, definitions) are as the server prints them with an empty
/// `search_path`: every name that is not of `pg_catalog` is qualified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub name: String,
    pub owner: String,
    /// `server_version_num`: 150018.
    pub server_version: i32,
    /// Names of functions of any schema that are VOLATILE.
    #[serde(deserialize_with = "or_default")]
    pub volatile_functions: BTreeSet<String>,
    #[serde(deserialize_with = "or_default")]
    pub grants: Vec<Grant>,
    /// By name.
    #[serde(default)]
    pub tables: BTreeMap<String, Table>,
    /// Foreign keys of tables in other schemas that refer to tables of this one.
    #[serde(default)]
    pub foreign_inbound: Vec<Constraint>,
    /// Views of any schema that read the tables; a view comes after those that it reads.
    #[serde(default)]
    pub views: Vec<View>,
    /// Schemas named `<schema>_…`.
    #[serde(default)]
    pub versions: Vec<VersionSchema>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSchema {
    pub name: String,
    pub owner: String,
    #[serde(deserialize_with = "or_default")]
    pub grants: Vec<Grant>,
}

/// A privilege that the owner gave to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// `None`: PUBLIC.
    pub grantee: Option<String>,
    /// `SELECT`
    pub privilege: String,
    pub is_grantable: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    #[default]
    #[serde(rename = "r")]
    Table,
    #[serde(rename = "p")]
    Partitioned,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaIdentity {
    #[default]
    #[serde(rename = "d")]
    Default,
    #[serde(rename = "n")]
    Nothing,
    #[serde(rename = "f")]
    Full,
    #[serde(rename = "i")]
    Index,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "pg_class has them")]
pub struct Table {
    pub name: String,
    pub kind: TableKind,
    pub owner: String,
    pub comment: Option<String>,
    pub is_partition: bool,
    #[serde(deserialize_with = "or_default")]
    pub parents: Vec<RelationName>,
    /// Columns that the partition key reads, by name.
    #[serde(deserialize_with = "or_default")]
    pub partition_key: Vec<String>,
    pub replica_identity: ReplicaIdentity,
    pub row_security: bool,
    pub force_row_security: bool,
    /// `pg_class.reltuples`; `None` if the table was never analysed.
    pub row_estimate: Option<i64>,
    pub size_bytes: i64,
    pub is_heap: bool,
    #[serde(deserialize_with = "or_default")]
    pub grants: Vec<Grant>,
    /// In attribute order.
    #[serde(default)]
    pub columns: Vec<Column>,
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Foreign keys of tables of this schema that refer to this table, itself among them.
    #[serde(default)]
    pub inbound: Vec<Constraint>,
    #[serde(default)]
    pub indexes: Vec<Index>,
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    #[serde(default)]
    pub policies: Vec<Policy>,
    #[serde(default)]
    pub publications: Vec<Publication>,
    #[serde(default)]
    pub statistics: Vec<Statistics>,
    #[serde(default)]
    pub dependents: Vec<Dependent>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    #[default]
    #[serde(rename = "")]
    No,
    #[serde(rename = "a")]
    Always,
    #[serde(rename = "d")]
    ByDefault,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "pg_attribute has them")]
pub struct Column {
    pub name: String,
    pub number: i16,
    /// With its modifier: `numeric(10,2)`.
    pub type_name: String,
    /// Without: `numeric`, `bpchar`.
    pub base_type: String,
    /// `pg_type.typcategory`.
    pub type_category: String,
    pub type_schema: String,
    pub not_null: bool,
    pub default: Option<String>,
    /// The expression of a generated column.
    pub generated: Option<String>,
    pub is_virtual: bool,
    pub identity: Identity,
    /// Where it is not the type's own.
    pub collation_schema: Option<String>,
    pub collation_name: Option<String>,
    pub is_deterministic: bool,
    /// `p`, `e`, `m`, `x`, where it is not the type's own.
    pub storage: Option<String>,
    /// `p`, `l`, or empty.
    pub compression: String,
    pub statistics: Option<i32>,
    /// `n_distinct=-0.5`
    #[serde(deserialize_with = "or_default")]
    pub options: Vec<String>,
    pub comment: Option<String>,
    pub is_inherited: bool,
    /// Of an enum type.
    #[serde(deserialize_with = "or_default")]
    pub labels: Vec<String>,
    /// Of an identity column, or owned by the column (serial).
    pub sequence: Option<Sequence>,
    #[serde(deserialize_with = "or_default")]
    pub grants: Vec<Grant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub schema: String,
    pub name: String,
    pub type_name: String,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    pub comment: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub grants: Vec<Grant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConstraintKind {
    #[serde(rename = "c")]
    Check,
    #[serde(rename = "f")]
    ForeignKey,
    #[serde(rename = "n")]
    NotNull,
    #[serde(rename = "p")]
    PrimaryKey,
    #[serde(rename = "u")]
    Unique,
    #[serde(rename = "x")]
    Exclude,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "pg_constraint has them")]
pub struct Constraint {
    /// The table that has it.
    pub schema: String,
    pub table: String,
    pub name: String,
    pub kind: ConstraintKind,
    /// In key order; of a CHECK: all that it reads, by attribute number.
    pub columns: Vec<String>,
    /// `pg_get_constraintdef`, with `NOT VALID` if it is not.
    pub definition: String,
    /// Of a CHECK.
    pub expression: Option<String>,
    /// The index behind a primary key, unique or exclusion constraint.
    pub index: Option<String>,
    /// The referenced table's index that a foreign key relies on.
    pub referenced_index: Option<String>,
    pub is_deferrable: bool,
    pub is_deferred: bool,
    pub is_valid: bool,
    pub no_inherit: bool,
    /// From a parent table: it comes and goes with the parent's.
    pub is_inherited: bool,
    pub referenced_schema: Option<String>,
    pub referenced_table: Option<String>,
    pub referenced_columns: Vec<String>,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "pg_index has them")]
pub struct Index {
    pub name: String,
    /// `pg_get_indexdef`.
    pub definition: String,
    pub is_unique: bool,
    pub is_primary: bool,
    pub is_exclusion: bool,
    /// False: deferrable.
    pub is_immediate: bool,
    pub is_valid: bool,
    pub is_replica_identity: bool,
    pub is_clustered: bool,
    pub is_partial: bool,
    /// Attached to an index of the parent.
    pub is_inherited: bool,
    pub parent: Option<String>,
    /// The constraint that it stands behind.
    pub constraint: Option<String>,
    /// In key order; `None` for an expression.
    pub key_columns: Vec<Option<String>>,
    /// All that it reads: keys, INCLUDE, expressions, predicate.
    pub columns: Vec<String>,
    pub tablespace: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub statistics: Vec<IndexStatistics>,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatistics {
    pub number: i16,
    pub target: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub name: String,
    /// `pg_get_triggerdef`.
    pub definition: String,
    /// `O`, `D`, `R`, `A`.
    pub enabled: String,
    pub function: String,
    /// Of `UPDATE OF` and `WHEN`.
    pub columns: Vec<String>,
    pub comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub is_permissive: bool,
    /// `r`, `a`, `w`, `d`, `*`.
    pub command: String,
    /// Empty: PUBLIC.
    pub roles: Vec<String>,
    pub using: Option<String>,
    pub with_check: Option<String>,
    pub columns: Vec<String>,
    pub comment: Option<String>,
}

/// How a publication names the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    pub name: String,
    pub columns: Option<Vec<String>>,
    pub filter: Option<String>,
    pub filter_columns: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    pub schema: String,
    pub name: String,
    pub definition: String,
    pub target: Option<i32>,
    pub columns: Vec<String>,
    pub comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependentKind {
    /// A function with a body of parsed SQL.
    Function,
    /// A generated column of the same table: `identity` is its name.
    Generated,
    Other,
}

/// Something that cannot live without a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependent {
    pub kind: DependentKind,
    /// `pg_describe_object`.
    pub identity: String,
    pub column: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewKind {
    #[serde(rename = "v")]
    View,
    #[serde(rename = "m")]
    Materialized,
    /// A table with a rule that reads another.
    #[serde(other)]
    Rule,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub schema: String,
    pub name: String,
    pub kind: ViewKind,
    pub owner: String,
    /// Not loaded for the views of a version.
    pub definition: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub options: Vec<String>,
    pub comment: Option<String>,
    pub columns: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub defaults: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub column_comments: BTreeMap<String, String>,
    /// Triggers, or rules beside its own.
    pub has_triggers: bool,
    #[serde(deserialize_with = "or_default")]
    pub grants: Vec<Grant>,
    #[serde(deserialize_with = "or_default")]
    pub column_grants: Vec<ColumnGrant>,
    #[serde(deserialize_with = "or_default")]
    pub reads: Vec<Read>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnGrant {
    pub column: String,
    #[serde(flatten)]
    pub grant: Grant,
}

/// A relation that a view reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    pub schema: String,
    pub name: String,
    /// Empty: the row as a whole.
    pub columns: Vec<String>,
}

/// What `json_agg` over no rows gives is null.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn constraint(&self, name: &str) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.name == name)
    }

    pub fn primary_key(&self) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.kind == ConstraintKind::PrimaryKey)
    }
}
