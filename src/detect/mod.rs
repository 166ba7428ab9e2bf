//! Detection: sample a source, decide every column, write transforms.yaml.
//!
//! [`sample`] is the only IO: one bounded query per table. [`decide`] and [`render_yaml`] are
//! pure. Samples never leave this module: decisions, the file and every message hold counts and
//! the names of classes.

mod column;
mod decide;
mod render;
mod sample;
#[cfg(test)]
mod tests;

pub use decide::decide;
pub use render::render_yaml;
pub use sample::{ColumnSample, QUERY_TIMEOUT, SampleError, Samples, TableSample, sample};
