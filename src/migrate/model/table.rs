//! A table under migration.

use crate::catalog::detail::{self, ConstraintKind, TableKind};
use crate::migrate::model::name;
use crate::migrate::model::sync::{Call, Environment, Function, Pair};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The new version's name.
    pub name: String,
    /// The name in the database until complete.
    pub physical: String,
    /// Made by this migration: no old version sees it, and operations apply to it at once.
    pub is_new: bool,
    /// As it was loaded; empty for a new table.
    pub detail: detail::Table,
    /// What the new version sees, in its order.
    pub columns: Vec<Column>,
    pub constraints: Vec<Constraint>,
    pub indexes: Vec<Index>,
    /// Columns that start adds, in the order of the operations.
    pub new_columns: Vec<NewColumn>,
    pub pairs: Vec<Pair>,
    pub functions: Vec<Function>,
    /// Physical columns that complete drops and nothing replaces.
    pub dropped_columns: Vec<String>,
    /// Names of constraints that the new version does not have.
    pub dropped_constraints: BTreeSet<String>,
    /// Indexes that complete drops.
    pub dropped_indexes: BTreeSet<String>,
    pub added_constraints: Vec<AddedConstraint>,
    pub added_indexes: Vec<AddedIndex>,
    /// Constraints that complete renames, from and to.
    pub renamed_constraints: Vec<(String, String)>,
    /// Defaults and comments that need no second column: (physical column, SQL or `None`).
    pub late_defaults: BTreeMap<String, Option<String>>,
    pub late_comments: BTreeMap<String, Option<String>>,
    /// What `set_replica_identity` asks for, behind `REPLICA IDENTITY`.
    pub new_replica_identity: Option<String>,
    /// The first operation that changes the table.
    pub first_operation: Option<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// The new version's name.
    pub name: String,
    /// The column in the database that the new version reads.
    pub physical: String,
    /// What constraints and indexes of the table call it: the old column of one that is replaced.
    pub key: String,
    pub type_name: String,
    pub not_null: bool,
    pub default: Option<String>,
    /// Set on the view: the column itself must not have it yet.
    pub view_default: Option<String>,
    pub comment: Option<String>,
    pub is_generated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    pub name: String,
    pub kind: ConstraintKind,
    /// By [`Column::key`].
    pub columns: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub name: String,
    pub is_unique: bool,
    /// The constraint that it stands behind.
    pub constraint: Option<String>,
}

/// A column that start adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each stands by itself")]
pub struct NewColumn {
    pub operation: usize,
    pub physical: String,
    /// The column that it replaces at complete; `None`: it is one more.
    pub replaces: Option<String>,
    pub type_name: String,
    pub has_new_type: bool,
    /// Collation, storage and compression of the replaced column mean the same for the new type.
    pub is_alike: bool,
    /// Quoted.
    pub collation: Option<String>,
    /// NOT NULL from complete on; until then by a CHECK.
    pub not_null: bool,
    /// NOT NULL from the start: every row has the default.
    pub is_not_null_at_once: bool,
    /// With ADD COLUMN, which gives it to the rows that are there.
    pub instant_default: Option<String>,
    /// After ADD COLUMN: for new rows only.
    pub default: Option<String>,
    /// `default` is that of the replaced column.
    pub has_old_default: bool,
    /// At complete.
    pub late_default: Option<String>,
    /// `GENERATED …` as in CREATE TABLE.
    pub generated: Option<String>,
    /// True if ADD COLUMN writes the table anew.
    pub rewrites: bool,
    pub comment: Option<String>,
    /// A sequence to make before the column and to give it afterwards.
    pub sequence: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstraintBody {
    /// Over physical columns.
    Check {
        expression: String,
        is_no_inherit: bool,
    },
    /// Physical columns; the rest of the definition of the index behind it.
    Unique {
        columns: Vec<String>,
        suffix: String,
        index: String,
    },
    PrimaryKey {
        columns: Vec<String>,
        suffix: String,
        index: String,
    },
    /// `FOREIGN KEY (…) REFERENCES …`
    ForeignKey {
        definition: String,
        referenced: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedConstraint {
    pub operation: usize,
    pub name: String,
    /// What it is called until complete.
    pub physical: String,
    pub body: ConstraintBody,
    /// Physical columns that it reads.
    pub columns: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedIndex {
    pub operation: usize,
    pub name: String,
    pub is_unique: bool,
    /// From `USING` on.
    pub body: String,
}

impl Table {
    pub(super) fn loaded(detail: &detail::Table) -> Self {
        let is_visible = |column: &&detail::Column| !name::is_ours(&column.name);
        Self {
            name: detail.name.clone(),
            physical: detail.name.clone(),
            columns: detail.columns.iter().filter(is_visible).map(Column::loaded).collect(),
            constraints: detail.constraints.iter().map(Constraint::loaded).collect(),
            indexes: detail.indexes.iter().map(Index::loaded).collect(),
            detail: detail.clone(),
            ..Self::default()
        }
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.name == name)
    }

    /// What a new constraint is called until complete: another one may have its name until then.
    pub fn free_constraint(&self, name: &str) -> String {
        match self.detail.constraint(name) {
            Some(_) => name::waiting_constraint(name),
            None => name.to_owned(),
        }
    }

    /// The new version's name of a column by its key.
    pub fn column_by_key(&self, key: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.key == key)
    }

    pub fn constraint(&self, name: &str) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.name == name)
    }

    pub fn new_column_mut(&mut self, physical: &str) -> Option<&mut NewColumn> {
        self.new_columns.iter_mut().find(|column| column.physical == physical)
    }

    pub fn new_column(&self, physical: &str) -> Option<&NewColumn> {
        self.new_columns.iter().find(|column| column.physical == physical)
    }

    pub fn pair_of(&self, new: &str) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.new.as_deref() == Some(new))
    }

    /// The new version's names to physical ones, where they differ.
    pub fn physical_names(&self) -> BTreeMap<String, String> {
        let differs = |column: &&Column| column.name != column.physical;
        let pair = |column: &Column| (column.name.clone(), column.physical.clone());
        self.columns.iter().filter(differs).map(pair).collect()
    }

    /// Replaced columns and what replaces them.
    pub fn replacements(&self) -> BTreeMap<String, String> {
        let pair = |column: &NewColumn| {
            column.replaces.clone().map(|replaced| (replaced, column.physical.clone()))
        };
        self.new_columns.iter().filter_map(pair).collect()
    }

    /// What `up` of the next operation may speak of: the rows that the old version wrote, as far
    /// as the operations so far have brought them.
    pub fn up_environment(&self) -> Environment {
        let value = |column: &Column| {
            let up = self.pair_of(&column.physical).and_then(|pair| pair.up.clone());
            let call = up.unwrap_or_else(|| Call::Column(column.physical.clone()));
            (column.name.clone(), (column.type_name.clone(), call))
        };
        self.columns.iter().map(value).collect()
    }

    /// What `down` of the last operation may speak of: the rows that the new version wrote.
    pub fn down_environment(&self) -> Environment {
        let value = |column: &Column| {
            let call = Call::Column(column.physical.clone());
            (column.name.clone(), (column.type_name.clone(), call))
        };
        self.columns.iter().map(value).collect()
    }

    /// True if rows must be filled.
    pub fn needs_backfill(&self) -> bool {
        self.pairs.iter().any(|pair| pair.new.is_some() && pair.up.is_some())
    }

    /// True if rows are marked: where they must be filled, and where one that changes its partition
    /// is inserted a second time.
    pub fn has_marker(&self) -> bool {
        self.needs_backfill()
            || (self.detail.kind == TableKind::Partitioned && !self.pairs.is_empty())
    }

    /// True if start changes the table's shape or complete does.
    pub fn is_changed(&self) -> bool {
        self.first_operation.is_some()
    }
}

impl Column {
    fn loaded(column: &detail::Column) -> Self {
        Self {
            name: column.name.clone(),
            physical: column.name.clone(),
            key: column.name.clone(),
            type_name: column.type_name.clone(),
            not_null: column.not_null,
            default: column.default.clone(),
            view_default: None,
            comment: column.comment.clone(),
            is_generated: column.generated.is_some(),
        }
    }
}

impl Constraint {
    fn loaded(constraint: &detail::Constraint) -> Self {
        Self {
            name: constraint.name.clone(),
            kind: constraint.kind,
            columns: constraint.columns.clone(),
        }
    }
}

impl Index {
    fn loaded(index: &detail::Index) -> Self {
        Self {
            name: index.name.clone(),
            is_unique: index.is_unique,
            constraint: index.constraint.clone(),
        }
    }
}
