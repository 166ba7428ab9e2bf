//! A column as `create_table` and `add_column` define it.

use super::ForeignKeyReference;
use crate::migrate::file::{record, words};

record! {
    pub struct Column {
        "check" => check: Option<CheckConstraint>,
        "comment" => comment: Option<String>,
        /// An SQL expression.
        "default" => default: Option<String>,
        "generated" => generated: Option<Generated>,
        required "name" => name: String,
        /// A column is NOT NULL unless this says otherwise.
        "nullable" => is_nullable: bool,
        "pk" => is_primary_key: bool,
        "references" => references: Option<ForeignKeyReference>,
        /// As in `CREATE TABLE`: `varchar(255)`, `serial`, `my_enum[]`.
        required "type" => type_name: String,
        "unique" => is_unique: bool,
    }
}

record! {
    pub struct CheckConstraint {
        /// An SQL expression over the column.
        required "constraint" => constraint: String,
        required "name" => name: String,
        "no_inherit" => is_no_inherit: bool,
    }
}

record! {
    /// One of the two.
    pub struct Generated {
        "expression" => expression: Option<String>,
        "identity" => identity: Option<Identity>,
    }
}

record! {
    pub struct Identity {
        /// What stands in the parentheses of `CREATE SEQUENCE`'s options.
        "sequence_options" => sequence_options: Option<String>,
        "user_specified_values" => user_specified_values: Option<UserSpecifiedValues>,
    }
}

words! {
    pub enum UserSpecifiedValues {
        "ALWAYS" => Always,
        "BY DEFAULT" => ByDefault,
    }
}
