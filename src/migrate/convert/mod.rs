//! SQL as operations: what a DDL script would become as a migration.
//!
//! Everything that an operation can express becomes one, with `up` and `down` where the
//! statement itself says what they are: a type change is a cast, a constraint keeps its columns'
//! values. What a statement leaves open is [`PLACEHOLDER`], which the reader of files refuses.
//! Every other statement is kept as a `sql` operation. Nothing is dropped without a note.
//!
//! Tables that the script makes are known to the rest of it: what is added to them goes into
//! their `create_table`, a reference without columns finds their primary key.

mod alter_table;
mod comment;
mod constraint;
mod create_table;
mod drop;
mod foreign_key;
mod index;
mod name;
mod placeholder;
mod rename;
mod script;
#[cfg(test)]
mod tests;
mod text;

pub use placeholder::PLACEHOLDER;
pub(crate) use placeholder::is_placeholder;
pub use script::{Conversion, convert};
