//! What a migration can do: fifteen operations, each a struct with the fields of the file.
//!
//! The structs hold what was written, no more: an absent field is `None`, an empty text or an
//! empty list, and whether an operation makes sense for a schema is the validation's question.
//! An empty text counts as absent everywhere (so it does to pgroll).

mod add_column;
mod alter_column;
mod column;
mod constraint;
mod create_constraint;
mod create_index;
mod create_table;
mod drop_column;
mod drop_constraint;
mod drop_index;
mod drop_multicolumn_constraint;
mod drop_table;
mod foreign_key;
mod rename_column;
mod rename_constraint;
mod rename_table;
mod set_replica_identity;
mod sql;

pub use add_column::AddColumn;
pub use alter_column::{AlterColumn, Change, UniqueConstraint};
pub use column::{CheckConstraint, Column, Generated, Identity, UserSpecifiedValues};
pub use constraint::{Exclude, IndexParameters, TableConstraint, TableConstraintType};
pub use create_constraint::{ConstraintType, CreateConstraint};
pub use create_index::{
    CreateIndex, IndexColumn, IndexMethod, IndexNulls, IndexSort, OperatorClass,
};
pub use create_table::CreateTable;
pub use drop_column::DropColumn;
pub use drop_constraint::DropConstraint;
pub use drop_index::DropIndex;
pub use drop_multicolumn_constraint::DropMultiColumnConstraint;
pub use drop_table::DropTable;
pub use foreign_key::{
    ForeignKeyAction, ForeignKeyMatch, ForeignKeyReference, TableForeignKeyReference,
};
pub use rename_column::RenameColumn;
pub use rename_constraint::RenameConstraint;
pub use rename_table::RenameTable;
pub use set_replica_identity::{ReplicaIdentity, ReplicaIdentityType, SetReplicaIdentity};
pub use sql::RawSql;

use super::file::Shape;

macro_rules! operations {
    ($($key:literal => $name:ident($body:ty)),* $(,)?) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Operation {
            $($name($body),)*
        }

        impl Operation {
            /// The words of the file, in the order of the documentation.
            pub const KINDS: &[&str] = &[$($key),*];

            /// The word of the file: `create_table`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $key,)*
                }
            }

            /// The body as JSON, its keys in the order of the format.
            pub(crate) fn body(&self) -> serde_json::Value {
                match self {
                    $(Self::$name(body) => body.write(),)*
                }
            }

            /// `None` if the kind is unknown.
            pub(crate) fn read(
                kind: &str,
                node: crate::document::Node,
                reader: &mut super::file::Reader<'_>,
            ) -> Option<Self> {
                match kind {
                    $($key => Some(Self::$name(Shape::read(node, reader))),)*
                    _ => None,
                }
            }
        }

        $(
            impl From<$body> for Operation {
                fn from(body: $body) -> Self {
                    Self::$name(body)
                }
            }
        )*
    };
}

operations! {
    "create_table" => CreateTable(CreateTable),
    "drop_table" => DropTable(DropTable),
    "rename_table" => RenameTable(RenameTable),
    "add_column" => AddColumn(AddColumn),
    "drop_column" => DropColumn(DropColumn),
    "rename_column" => RenameColumn(RenameColumn),
    "alter_column" => AlterColumn(AlterColumn),
    "create_constraint" => CreateConstraint(CreateConstraint),
    "drop_constraint" => DropConstraint(DropConstraint),
    "drop_multicolumn_constraint" => DropMultiColumnConstraint(DropMultiColumnConstraint),
    "rename_constraint" => RenameConstraint(RenameConstraint),
    "create_index" => CreateIndex(CreateIndex),
    "drop_index" => DropIndex(DropIndex),
    "set_replica_identity" => SetReplicaIdentity(SetReplicaIdentity),
    "sql" => Sql(RawSql),
}
