//! What is allowed and will be regretted: rules with stable ids over a migration, and over its
//! plan and the schema where they are known.
//!
//! A finding of the validation stops a migration, a lint does not. Ids are never renamed.

mod expressions;
mod operations;
mod plan;
mod raw;
mod rule;
#[cfg(test)]
mod tests;
mod types;

pub use rule::{Level, Lint, RULES, Rule};

use super::file::Migration;
use super::plan::Plan;
use crate::catalog::detail::Schema;

/// What is known of the database that the migration is for.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    pub plan: &'a Plan,
    pub schema: &'a Schema,
}

/// All lints, in the order of the operations.
pub fn lint(migration: &Migration, planned: Option<Planned<'_>>) -> Vec<Lint> {
    let mut lints = Vec::new();
    for (at, operation) in migration.operations.iter().enumerate() {
        let mut found = rule::Found::at(at, &mut lints);
        operations::judge(operation, &mut found);
        types::judge(operation, &mut found);
        expressions::judge(operation, &mut found);
        raw::judge(operation, &mut found);
    }
    operations::judge_together(&migration.operations, &mut lints);
    if let Some(planned) = planned {
        plan::judge(migration, planned, &mut lints);
    }
    lints.sort_by_key(|lint| lint.operation.map_or(usize::MAX, |at| at));
    lints
}
