//! Migration files, as pgroll writes and reads them: YAML or JSON, strictly.
//!
//! [`read()`] reports every mistake of a file at once, each with file, line and column. What it
//! accepts and pgroll does not: a top-level `name`, words such as `on_delete` in any case, and
//! the older forms of `create_index.columns`, which [`update`] rewrites. What pgroll
//! accepts and it does not: `operations` that is no list (pgroll runs an empty migration then).
//! Whether a field that an operation needs is there is the validation's question.

mod mistake;
mod model;
mod name;
mod places;
mod read;
mod shape;
#[cfg(test)]
mod tests;
mod write;

pub use mistake::Mistake;
pub use model::{Form, Migration, MigrationFile};
pub use name::{SameName, migration_files, migration_name};
pub use places::Places;
pub(crate) use read::Reader;
pub use read::{from_json, read};
pub(crate) use shape::{Fields, Optional, Shape, record, words};
pub use write::{update, write};
