//! `alter_column`: any of seven changes of one column at once (eight sub-operations, since
//! `nullable` is one in each direction).

use super::{CheckConstraint, ForeignKeyReference};
use crate::document::{Node, Tree};
use crate::migrate::file::{Reader, Shape, record};
use serde_json::Value;

record! {
    pub struct AlterColumn {
        /// A constraint to add.
        "check" => check: Option<CheckConstraint>,
        required "column" => column: String,
        "comment" => comment: Change,
        /// An SQL expression.
        "default" => default: Change,
        /// An SQL expression over the new row, giving the old value.
        required "down" => down: Option<String>,
        /// `false` sets NOT NULL, `true` drops it.
        "nullable" => is_nullable: Option<bool>,
        /// A constraint to add.
        "references" => references: Option<ForeignKeyReference>,
        required "table" => table: String,
        "type" => type_name: Option<String>,
        /// A constraint to add.
        "unique" => unique: Option<UniqueConstraint>,
        /// An SQL expression over the old row, giving the new value.
        required "up" => up: Option<String>,
    }
}

record! {
    pub struct UniqueConstraint {
        required "name" => name: String,
    }
}

/// A field in which null says something else than absence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Absent: stays as it is.
    #[default]
    Keep,
    /// Null: is taken away.
    Remove,
    Set(String),
}

impl Change {
    pub fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

impl Shape for Change {
    const READS_NULL: bool = true;

    fn read(node: Node, reader: &mut Reader<'_>) -> Self {
        if node.tree == Tree::Null {
            return Self::Remove;
        }
        reader.text(&node).map_or(Self::Keep, Self::Set)
    }

    fn is_absent(&self) -> bool {
        self.is_keep()
    }

    fn write(&self) -> Value {
        match self {
            Self::Keep | Self::Remove => Value::Null,
            Self::Set(text) => text.as_str().into(),
        }
    }
}
