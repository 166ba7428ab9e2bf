//! What the steps will do to the tables that are there.

use super::Planned;
use super::rule::{self, Found, Lint, Rule};
use crate::catalog::RelationName;
use crate::catalog::detail::Table;
use crate::migrate::file::Migration;
use crate::migrate::operation::{ConstraintType, CreateConstraint, CreateIndex, Operation};
use crate::migrate::plan::{Backfill, Cost, Key, Mode, Step};

/// Rows from which a backfill is worth a word.
const LARGE_ROWS: i64 = 1_000_000;

pub(super) fn judge(migration: &Migration, planned: Planned<'_>, lints: &mut Vec<Lint>) {
    let judge = Judge { planned };
    for step in planned.plan.start.iter().chain(&planned.plan.validate) {
        judge.step(step, lints);
        if !step.is_reversible {
            let message = format!("step {} cannot be taken back", step.id);
            lints.push(of(step.operation, rule::IRREVERSIBLE_START, message));
        }
    }
    for step in &planned.plan.complete {
        judge.step(step, lints);
    }
    for backfill in &planned.plan.backfill {
        judge.backfill(backfill, lints);
    }
    for (at, operation) in migration.operations.iter().enumerate() {
        let mut found = Found::at(at, lints);
        if let Operation::CreateIndex(index) = operation {
            judge.index(index, &mut found);
        } else if let Operation::CreateConstraint(constraint) = operation {
            judge.foreign_key(constraint, &migration.operations, &mut found);
        }
    }
}

fn of(operation: Option<usize>, rule: Rule, message: String) -> Lint {
    Lint { rule, operation, field: String::new(), message }
}

struct Judge<'a> {
    planned: Planned<'a>,
}

impl Judge<'_> {
    /// A table that is there; one that the migration makes is nobody's yet.
    fn table(&self, relation: &RelationName) -> Option<&Table> {
        let is_here = relation.schema == self.planned.schema.name;
        self.planned.schema.tables.get(&relation.name).filter(|_| is_here)
    }

    fn step(&self, step: &Step, lints: &mut Vec<Lint>) {
        let (relation, rule, what) = match &step.cost {
            Cost::Rewrite { relation } => (relation, rule::REWRITE, "writes anew"),
            Cost::Scan { relation } => (relation, rule::SCAN, "reads all of"),
            Cost::Build { relation } => (relation, rule::BUILD, "builds an index of"),
            Cost::Metadata | Cost::Unknown => return,
        };
        let is_locked =
            step.locks.iter().any(|lock| lock.relation == *relation && lock.mode.blocks_writes());
        let is_alone = matches!(step.mode, Mode::BuildIndex { .. } | Mode::DropIndex { .. });
        if is_locked && !is_alone && self.table(relation).is_some() {
            let message = format!("step {} {what} {relation} under a lock", step.id);
            lints.push(of(step.operation, rule, message));
        }
    }

    fn backfill(&self, backfill: &Backfill, lints: &mut Vec<Lint>) {
        let Some(table) = self.table(&backfill.table) else { return };
        let name = &backfill.table;
        if let Some(rows) = table.row_estimate.filter(|rows| *rows >= LARGE_ROWS) {
            let message = format!("about {rows} rows of {name} are filled");
            lints.push(of(None, rule::BACKFILL_LARGE, message));
        }
        if backfill.key == Key::Ctid {
            let message = format!("{name} has no key without NULLs to walk along");
            lints.push(of(None, rule::BACKFILL_NO_KEY, message));
        }
        let publications: Vec<_> = table.publications.iter().map(|of| of.name.as_str()).collect();
        if !publications.is_empty() {
            let message = format!("{name} is filled and published by {}", publications.join(", "));
            lints.push(of(None, rule::BACKFILL_PUBLISHED, message));
        }
        let is_fired =
            |of: &&crate::catalog::detail::Trigger| of.enabled != "D" && of.enabled != "R";
        if let Some(trigger) = table.triggers.iter().find(is_fired) {
            let message = format!("{name} is filled and has trigger `{}`", trigger.name);
            lints.push(of(None, rule::BACKFILL_TRIGGERS, message));
        }
    }

    /// The same columns, no condition, and as unique as the other one.
    fn index(&self, index: &CreateIndex, found: &mut Found<'_>) {
        let Some(table) = self.planned.schema.tables.get(&index.table) else { return };
        let is_plain = index.predicate.is_none()
            && index.method.is_none_or(|method| method.word() == "btree")
            && index.columns.iter().all(|column| {
                column.sort.is_none()
                    && column.nulls.is_none()
                    && column.operator_class.is_none()
                    && column.collate.is_none()
            });
        let columns: Vec<_> = index.columns.iter().map(|of| Some(of.column.clone())).collect();
        let same = table.indexes.iter().find(|there| {
            there.is_valid
                && !there.is_partial
                && there.key_columns == columns
                && there.definition.contains(" USING btree ")
                && !there.definition.contains(" DESC")
                && (there.is_unique || !index.is_unique)
        });
        if let Some(there) = same.filter(|_| is_plain) {
            let message = format!("index `{}` has these columns already", there.name);
            found.push(rule::SAME_INDEX, "columns", message);
        }
    }

    fn foreign_key(&self, of: &CreateConstraint, all: &[Operation], found: &mut Found<'_>) {
        if of.constraint_type != Some(ConstraintType::ForeignKey) {
            return;
        }
        let Some(table) = self.planned.schema.tables.get(&of.table) else { return };
        // Any order of the columns serves, as long as they come first.
        let serves = |keys: &[Option<String>]| {
            let first = keys.get(..of.columns.len());
            first.is_some_and(|first| first.iter().flatten().all(|key| of.columns.contains(key)))
                && keys.iter().take(of.columns.len()).all(Option::is_some)
        };
        let is_there =
            table.indexes.iter().any(|index| index.is_valid && serves(&index.key_columns));
        let is_made = all.iter().any(|operation| {
            let Operation::CreateIndex(index) = operation else { return false };
            let keys: Vec<_> = index.columns.iter().map(|of| Some(of.column.clone())).collect();
            index.table == of.table && serves(&keys)
        });
        if !is_there && !is_made {
            let message =
                format!("no index of `{}` begins with {}", of.table, of.columns.join(", "));
            found.push(rule::KEY_WITHOUT_INDEX, "columns", message);
        }
    }
}
