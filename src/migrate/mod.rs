//! Migrations as data: what a file asks for, what it means on a schema, and the steps that get there.
//!
//! Pure: nothing here opens a file or speaks to a server. [`mod@file`] reads and writes the format,
//! [`operation`] holds what can be asked for, [`convert`] makes it from SQL, [`expression`] reads
//! and rewrites SQL, [`model`] is the schema as the operations change it, [`plan`] what the executor
//! runs, [`estimate`] how long that may take, [`lint`] what will be regretted about it.

pub mod convert;
pub mod estimate;
pub mod expression;
pub mod file;
pub mod lint;
pub mod model;
pub mod operation;
pub mod plan;
