//! The catalog model: plain data, ordered by name so that every plan made from it is stable.

use crate::pg::{Kind, Oid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// `schema.name` of a relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationName {
    pub schema: String,
    pub name: String,
}

impl RelationName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// The quoted form for SQL text.
    pub fn sql(&self) -> String {
        format!("{}.{}", crate::pg::Ident(&self.schema), crate::pg::Ident(&self.name))
    }
}

/// For people and for configuration files: `public.users`, unquoted.
impl fmt::Display for RelationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Position of a table in [`Catalog::tables`]. Only valid for the catalog it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub usize);

/// A column of a table by position in [`Table::columns`] (not the attribute number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnRef {
    pub table: TableId,
    pub column: usize,
}

/// All user tables of one database, without those that belong to extensions or to backlot.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Ordered by name.
    pub tables: Vec<Table>,
    /// All foreign keys, ordered by referencing table and constraint name. Constraints that
    /// partitions inherit from a partitioned table are left out: the root's entry stands for them.
    pub foreign_keys: Vec<ForeignKey>,
    /// Ordered by name.
    pub sequences: Vec<Sequence>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// An ordinary table, or a leaf partition: holds rows.
    Table,
    /// A partitioned table: holds no rows of its own.
    Partitioned,
}

/// How a table takes part in partitioning or inheritance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitioning {
    /// Direct parents: one for a partition, any number for inheritance.
    pub parents: Vec<RelationName>,
    /// True if this table is a partition (rather than an inheritance child).
    pub is_partition: bool,
    /// Column names of the partition key of a partitioned table (expressions: the columns they read).
    pub key_columns: Vec<String>,
    /// True if a partitioned table hashes oids (those of enum labels): its rows lie in other
    /// partitions in another database.
    pub hashes_oids: bool,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub oid: Oid,
    pub name: RelationName,
    pub kind: RelationKind,
    /// In attribute order, dropped columns left out.
    pub columns: Vec<Column>,
    /// Primary key columns by name, in key order; empty if there is none.
    pub primary_key: Vec<String>,
    /// Unique and primary-key indexes, and others that matter to rules.
    pub indexes: Vec<Index>,
    pub partitioning: Partitioning,
    /// Heap size in bytes (`pg_relation_size`), 0 for partitioned tables.
    pub size_bytes: u64,
    /// `pg_class.reltuples`; `None` if the table was never analysed.
    pub row_estimate: Option<u64>,
    /// True if the access method is heap, so that ctid ranges work.
    pub is_heap: bool,
    /// True if the role that loaded the catalog may SELECT from it.
    pub is_readable: bool,
    /// `relrowsecurity`.
    pub row_security: bool,
    pub comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    No,
    Stored,
    Virtual,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// `attnum`.
    pub number: i16,
    pub type_oid: Oid,
    /// `format_type` of the declared type, such as `character varying(40)` or `public.email_address[]`.
    pub type_name: String,
    /// The kind after resolving domains.
    pub kind: Kind,
    /// Longest text in characters (varchar(n), char(n), also through a domain).
    pub max_chars: Option<u32>,
    pub not_null: bool,
    pub generated: Generated,
    /// True for GENERATED ALWAYS/BY DEFAULT AS IDENTITY.
    pub identity: bool,
    /// True if the type (and, for arrays, composites, ranges: what it is made of) arrives in binary as it left.
    pub has_binary: bool,
    /// Labels of an enum type (also of the element type of an enum array).
    pub enum_labels: Vec<String>,
    pub comment: Option<String>,
}

/// A column of a followed table as its target has it, which may be what the source had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownColumn {
    /// `attnum` on the source, which no ALTER TABLE changes.
    pub number: i16,
    pub name: String,
    /// As [`Column::type_name`].
    pub type_name: String,
    /// The name that the configuration decides it by; None: it came later.
    pub origin: Option<String>,
}

/// What is known of the tables of a target, by the source's names; partitions go with their root.
pub type KnownColumns = BTreeMap<RelationName, Vec<KnownColumn>>;

impl Column {
    /// Columns that COPY transports: generated ones are computed by the target.
    pub fn is_copied(&self) -> bool {
        self.generated == Generated::No
    }
}

#[derive(Clone, Debug)]
pub struct Index {
    pub name: String,
    pub is_unique: bool,
    /// Plain column names of the key; expressions such as `lower(email)` are listed by the columns they read.
    pub key_columns: Vec<String>,
    pub has_expressions: bool,
    pub is_partial: bool,
}

#[derive(Clone, Debug)]
pub struct ForeignKey {
    pub oid: Oid,
    pub name: String,
    pub from: RelationName,
    pub from_columns: Vec<String>,
    pub to: RelationName,
    pub to_columns: Vec<String>,
    pub is_valid: bool,
}

#[derive(Clone, Debug)]
pub struct Sequence {
    pub name: RelationName,
    /// The column that owns it (serial, identity), else one whose default draws from it, if any.
    pub owner: Option<(RelationName, String)>,
}

impl Catalog {
    pub fn find(&self, name: &RelationName) -> Option<TableId> {
        self.tables.binary_search_by(|table| table.name.cmp(name)).ok().map(TableId)
    }

    /// # Panics
    /// If `id` is not of this catalog.
    pub fn table(&self, id: TableId) -> &Table {
        self.tables.get(id.0).expect("a TableId is only made by its catalog")
    }

    /// Tables with their ids, by name.
    pub fn iter(&self) -> impl Iterator<Item = (TableId, &Table)> {
        self.tables.iter().enumerate().map(|(at, table)| (TableId(at), table))
    }

    /// The topmost partitioned table above a partition (itself for anything else).
    pub fn partition_root(&self, id: TableId) -> TableId {
        let mut at = id;
        // Bounded by the depth of the partition tree.
        while let Some(parent) = self.partition_parent(at) {
            at = parent;
        }
        at
    }

    fn partition_parent(&self, id: TableId) -> Option<TableId> {
        let table = self.table(id);
        if !table.partitioning.is_partition {
            return None;
        }
        table.partitioning.parents.first().and_then(|parent| self.find(parent))
    }

    /// Tables by schema, for people.
    pub fn schemas(&self) -> BTreeMap<&str, Vec<&Table>> {
        let mut schemas = BTreeMap::<&str, Vec<&Table>>::new();
        for table in &self.tables {
            schemas.entry(&table.name.schema).or_default().push(table);
        }
        schemas
    }
}

impl Table {
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }

    /// What a target has of the table that was just copied, or of those columns that are there.
    pub fn known_columns(&self, is_there: impl Fn(&str) -> bool) -> Vec<KnownColumn> {
        let columns = self.copied_columns().filter(|(_, column)| is_there(&column.name));
        let known = columns.map(|(_, column)| KnownColumn {
            number: column.number,
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            origin: Some(column.name.clone()),
        });
        known.collect()
    }

    /// What a target has, where this table has taken the place of another: columns go by their
    /// names. Those that this one does not have get numbers that no column has.
    pub fn renumbered(&self, known: &[KnownColumn]) -> Vec<KnownColumn> {
        let column = |(known, lost): (&KnownColumn, i16)| {
            let number = self.column(&known.name).map_or(lost, |(_, column)| column.number);
            KnownColumn { number, ..known.clone() }
        };
        known.iter().zip((i16::MIN..0).rev()).map(column).collect()
    }

    pub fn copied_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.is_copied())
    }
}
