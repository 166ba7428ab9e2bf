//! A migration as steps: statements with their locks, costs, probes and undo.
//!
//! Everything here is data. The executor runs it, `roll plan` prints it, `lint` judges it, the
//! journal keeps it: `complete` and `rollback` run what `start` planned.
//!
//! [`plan`] applies the operations one after another to the model (`operation`), then reads the
//! steps off it: `expand` for start, `contract` for complete, one transaction a table in each.

mod attributes;
mod carried;
mod constrain;
mod contract;
mod dependents;
mod draft;
mod expand;
mod finding;
mod foreign;
mod index;
mod operation;
mod partitions;
mod recreate;
mod settle;
mod step;
mod trigger;
mod views;
mod whole;

#[cfg(test)]
mod tests;

pub use finding::{Check, Finding, FindingKind, Position};
pub use foreign::{Rest, RestOfTable, undo};
pub use step::{Assignment, Backfill, Cost, Key, Lock, LockMode, Mode, Plan, Probe, Step};
pub use whole::{Versions, plan, refreshed_views, version_views};
