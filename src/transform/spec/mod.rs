//! transforms.yaml: what the user decided, with the place of every decision.
//!
//! [`parse`] reports every mistake of a file at once, each with file, line and column. A file
//! with a mistake gives no [`Spec`]: a rule that was mistyped would otherwise be a leak. Names
//! are not looked up here; [`super::plan`] binds them to a catalog.

mod json_path;
mod model;
mod names;
mod read;
mod rule;
#[cfg(test)]
mod tests;

pub use crate::document::{Diagnostic, Place, Severity, suggest};
pub use json_path::{JsonPath, PathStep};
pub use model::{
    ColumnSpec, Defaults, DetectedPolicy, FreeTextPolicy, NewColumnPolicy, Pattern, Placed,
    Profile, ReferenceEnd, ReferenceSpec, Spec, TableSpec, UnclassifiedPolicy,
};
pub use names::{parse_column_name, parse_relation_name, write_relation_name};
pub use read::parse;
