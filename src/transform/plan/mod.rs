//! The file bound to a catalog: one rule for every column of every table.
//!
//! [`bind`] is pure and reports every contradiction at once. It guarantees that columns which
//! hold the same values (foreign keys, partitions, inheritance, `references`) take the same
//! rule in the same domain, and that a rule fits the column it is bound to. It never leaves a
//! column that can hold text to chance: without a decision it is filled.

mod bind;
mod classes;
mod decision;
mod fit;
mod hash;
mod model;
mod policy;
mod resolve;
mod select;
#[cfg(test)]
pub(crate) mod sketch;
#[cfg(test)]
mod tests;

pub use bind::bind;
pub use decision::{Confidence, Decision, Decisions, Judgement};
pub use fit::{Misfit, Target, carries_text, check, fill_for, first_fitting, fitting_names};
pub use model::{ColumnPlan, DefaultOrigin, Origin, Plan, TableAction, TablePlan};
pub use select::is_selected;
