//! Expressions of migrations and definitions from the catalogs: read by PostgreSQL's own parser,
//! rewritten at the places that its tree names.
//!
//! A rewrite changes the tokens of column names and nothing else: the text around them stays as
//! it was written, and a word in a string, a function's name or a longer name is never touched.

mod definition;
mod parse;
mod reference;

#[cfg(test)]
mod tests;

pub use definition::{IndexBody, index_body, key_constraint_on};
pub(super) use parse::parse as parse_script;
pub use parse::{SyntaxError, as_value, base_type, check_expression, check_type, is_literal};
pub use reference::{Facts, facts, rename_columns};
