//! Files that a person writes: YAML and JSON as a tree in which everything has a place, and what
//! is said about a mistake in one.
//!
//! It knows no file format of ours: `transform::spec` and `migrate::file` read their own files
//! from the tree and report every mistake at once, each with file, line and column.

mod diagnostic;
mod json;
mod tree;
mod yaml;

pub use diagnostic::{Diagnostic, Place, Severity, suggest};
pub(crate) use json::read as read_json;
pub(crate) use tree::{Key, Node, Tree};
pub(crate) use yaml::read as read_yaml;
