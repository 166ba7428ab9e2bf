//! What is wrong with a migration, found without running it.

use crate::migrate::expression::SyntaxError;
use serde::{Deserialize, Serialize};

/// One thing that makes a migration impossible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: FindingKind,
    /// Index in the migration's operations.
    pub operation: Option<usize>,
    /// What the finding speaks of, as far as it applies.
    pub table: Option<String>,
    pub column: Option<String>,
    /// Constraint, index, or other name.
    pub name: Option<String>,
    /// Where in the operation: `up`, `columns[1].name`.
    pub field: Option<String>,
    /// Lowercase, no full stop, names the object.
    pub message: String,
    pub position: Option<Position>,
}

/// A place in the text of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// `up`, `down`, `check.constraint`, `up.user_id`.
    pub field: String,
    /// Characters before the place, from the start of the field's value.
    pub offset: usize,
}

/// The names are pgroll's where it has the error, so that a tool can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FindingKind {
    TableDoesNotExist,
    TableAlreadyExists,
    ColumnDoesNotExist,
    ColumnAlreadyExists,
    ColumnIsInvalid,
    ConstraintDoesNotExist,
    ConstraintAlreadyExists,
    IndexDoesNotExist,
    IndexAlreadyExists,
    FieldRequired,
    InvalidIdentifierLength,
    ColumnReferenceError,
    CheckConstraintError,
    ColumnMigrationMissing,
    ColumnMigrationRedundant,
    ColumnIsNullable,
    ColumnIsNotNullable,
    MultiColumnConstraintsNotSupported,
    PrimaryKeysAreAlreadySet,
    InvalidGeneratedColumn,
    UpSqlMustBeColumnDefault,
    InvalidReplicaIdentity,
    InvalidOnDeleteSetting,
    UnexpectedOnDeleteSetColumn,
    InvalidOnDeleteSetColumn,
    AlterColumnNoChanges,
    InvalidMigration,
    EmptyMigration,
    /// An expression that cannot be parsed, or that the server refuses.
    InvalidExpression,
    /// Something depends on the column and cannot be carried over.
    DependentObject,
    /// Two things would get the same physical name.
    NameCollision,
}

/// A statement by which the server judges an expression of the migration.
///
/// Run it in a transaction that is rolled back. An error is a finding of kind
/// [`FindingKind::InvalidExpression`]: the server's position (in characters, from 1) minus
/// `offset` is the place in the field's text, if it lies within it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub operation: usize,
    /// `up`, `down`, `up.user_id`, `default`, `check.constraint`.
    pub field: String,
    pub table: String,
    pub column: Option<String>,
    pub sql: String,
    /// Characters of `sql` before the expression; `None`: it does not stand in `sql` literally.
    pub offset: Option<usize>,
    /// Characters of the expression.
    pub length: usize,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, at: usize, message: String) -> Self {
        Self {
            kind,
            operation: Some(at),
            table: None,
            column: None,
            name: None,
            field: None,
            message,
            position: None,
        }
    }

    pub(super) fn syntax(at: usize, field: &str, error: &SyntaxError) -> Self {
        let message = format!("{field}: {}", error.message);
        let mut finding = Self::new(FindingKind::InvalidExpression, at, message).field(field);
        finding.position = Some(Position { field: field.to_owned(), offset: error.offset });
        finding
    }

    pub(super) fn required(at: usize, field: &str) -> Self {
        Self::new(FindingKind::FieldRequired, at, format!("field {field:?} is required"))
            .field(field)
    }

    pub(super) fn table(mut self, table: &str) -> Self {
        self.table = Some(table.to_owned());
        self
    }

    pub(super) fn column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    pub(super) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub(super) fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }
}
