//! Foreign keys, exclusions and validations after the backfill, so that complete reads no rows.

use crate::catalog::RelationName;
use crate::migrate::model::{AddedConstraint, ConstraintBody, Model, name};
use crate::migrate::plan::carried::{Check, Key};
use crate::migrate::plan::draft::{lock, step_id};
use crate::migrate::plan::expand::{Work, not_null_name};
use crate::migrate::plan::partitions;
use crate::migrate::plan::trigger::dollar_quoted;
use crate::migrate::plan::{Cost, LockMode, Step};
use crate::pg::{Ident, Literal};

/// Foreign keys of the table's own operations, exclusions, and validations of the checks.
pub(super) fn constraints(work: &Work<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let relation = work.relation();
    for exclusion in &work.carried.exclusions {
        let statement = format!(
            "ALTER TABLE {} ADD CONSTRAINT {} {}",
            relation.sql(),
            Ident(&exclusion.duplicate),
            exclusion.definition
        );
        let id = work.id("validate", &format!("exclusion {}", exclusion.duplicate));
        let locks = vec![lock(relation.clone(), LockMode::AccessExclusive)];
        steps.push(
            Step::transaction(id, Some(work.at()), vec![statement], locks)
                .at_cost(Cost::Build { relation: relation.clone() }),
        );
    }
    for added in &work.table.added_constraints {
        if let ConstraintBody::ForeignKey { definition, referenced } = &added.body {
            let target = RelationName::new(&work.model.schema, referenced);
            steps.extend(add_key(&relation, &target, added, definition, work));
        }
    }
    let mut checks: Vec<(usize, String)> = Vec::new();
    for column in
        work.table.new_columns.iter().filter(|one| one.not_null && !one.is_not_null_at_once)
    {
        checks.push((column.operation, name::not_null_check(not_null_name(column))));
    }
    let valid = work.carried.checks.iter().filter(|check| check.constraint.is_valid);
    let (doubtful, sure) = valid.partition::<Vec<&Check>, _>(|check| check.is_doubtful);
    checks.extend(sure.iter().map(|check| (work.at(), check.duplicate.clone())));
    for check in doubtful {
        let mut step = validate(&relation, work.at(), &check.duplicate);
        for statement in &mut step.statements {
            *statement = if_there(&relation, &check.duplicate, statement);
        }
        steps.push(step);
    }
    for added in &work.table.added_constraints {
        if matches!(added.body, ConstraintBody::Check { .. }) {
            checks.push((added.operation, added.physical.clone()));
        }
    }
    steps.extend(checks.into_iter().map(|(at, name)| validate(&relation, at, &name)));
    steps
}

/// A statement on a constraint that was left out if it did not fit.
pub(super) fn if_there(relation: &RelationName, constraint: &str, statement: &str) -> String {
    dollar_quoted(
        "DO ",
        &format!(
            "BEGIN\n  IF EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = {}::pg_catalog.regclass AND conname = {}) THEN\n    {statement};\n  END IF;\nEND\n",
            Literal(&relation.sql()),
            Literal(constraint)
        ),
    )
}

fn add_key(
    relation: &RelationName,
    target: &RelationName,
    added: &AddedConstraint,
    definition: &str,
    work: &Work<'_>,
) -> Vec<Step> {
    // A table of this migration is empty, and before PostgreSQL 18 a partitioned table cannot
    // have a key that is not valid.
    let at_once = work.table.is_new || partitions::must_validate_at_once(work.model, work.table);
    key_steps(relation, target, (&added.physical, definition), added.operation, at_once)
}

/// A foreign key: not valid first, because adding it so does not read the table.
fn key_steps(
    relation: &RelationName,
    target: &RelationName,
    (name, definition): (&str, &str),
    at: usize,
    at_once: bool,
) -> Vec<Step> {
    let not_valid = if at_once { "" } else { " NOT VALID" };
    // ALTER TABLE would wait for the one table while it holds the other; two statements share one
    // limit of waiting.
    let statements = vec![
        format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", relation.sql()),
        format!(
            "ALTER TABLE {} ADD CONSTRAINT {} {definition}{not_valid}",
            relation.sql(),
            Ident(name)
        ),
    ];
    let mut locks = vec![lock(relation.clone(), LockMode::ShareRowExclusive)];
    if target != relation {
        locks.push(lock(target.clone(), LockMode::ShareRowExclusive));
    }
    let undo = format!(
        "ALTER TABLE IF EXISTS {} DROP CONSTRAINT IF EXISTS {}",
        relation.sql(),
        Ident(name)
    );
    let id = step_id("validate", at, &format!("foreign-key {name}"));
    let cost = if at_once { Cost::Scan { relation: relation.clone() } } else { Cost::Metadata };
    let add =
        Step::transaction(id, Some(at), statements, locks).at_cost(cost).undone_by(vec![undo]);
    if at_once {
        return vec![add];
    }
    let mut check = validate(relation, at, name);
    if target != relation {
        check.locks.push(lock(target.clone(), LockMode::RowShare));
    }
    vec![add, check]
}

fn validate(relation: &RelationName, at: usize, name: &str) -> Step {
    let statement = format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", relation.sql(), Ident(name));
    let id = step_id("validate", at, &format!("validate {name}"));
    let locks = vec![lock(relation.clone(), LockMode::ShareUpdateExclusive)];
    Step::transaction(id, Some(at), vec![statement], locks)
        .at_cost(Cost::Scan { relation: relation.clone() })
}

/// The copies of foreign keys from and to replaced columns.
pub(super) fn carried_keys(model: &Model, keys: &[Key]) -> Vec<Step> {
    let mut steps = Vec::new();
    for key in keys {
        let at = model
            .tables
            .values()
            .filter(|table| [&key.table.name, &key.referenced.name].contains(&&table.detail.name))
            .filter_map(|table| table.first_operation)
            .min()
            .unwrap_or(0);
        let owner = model.tables.values().find(|table| table.detail.name == key.table.name);
        let at_once = owner.is_some_and(|table| partitions::must_validate_at_once(model, table));
        let mut made =
            key_steps(&key.table, &key.referenced, (&key.duplicate, &key.definition), at, at_once);
        if !key.constraint.is_valid {
            // As it was: for new rows only.
            made.truncate(1);
        }
        steps.extend(made);
    }
    steps
}
