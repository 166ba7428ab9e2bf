//! Personal data: classes, the names that tell of them, the values that prove them. Pure.
//!
//! A name is a hint ([`classify_name`]), values confirm or refute it ([`classify_values`]), the
//! type decides what is possible at all. Nothing here keeps, prints or quotes a value: findings
//! hold counts and the names of classes.

mod class;
mod classes;
mod entity;
mod evolve;
mod json;
mod literal;
mod name;
#[cfg(test)]
mod name_tests;
mod remedy;
mod shape;
pub mod validate;
mod values;
mod words;

pub use class::{Class, Finding};
pub use entity::{count_entities, has_entity};
pub use evolve::{evolve, origin};
pub use json::{DocumentFinding, classify_documents};
pub use literal::scan_literal;
pub use name::{classify_name, is_code_name, is_digest_name, is_label_name, is_person_table};
pub use remedy::{is_kept_class, remedies};
pub use shape::{TextProfile, percent};
pub use values::{classify_values, is_strict, support};
