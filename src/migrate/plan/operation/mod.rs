//! One file per operation: what is wrong with it, and what it does to the model.

mod add_column;
mod alter_column;
mod create_constraint;
mod create_index;
mod create_table;
mod definition;
mod drop_column;
mod drop_constraint;
mod drop_index;
mod drop_table;
mod on_new_table;
mod rename_column;
mod rename_constraint;
mod rename_table;
mod replace_column;
mod set_replica_identity;
mod sql;

use crate::catalog::detail::ConstraintKind;
use crate::migrate::model::{self, AddedConstraint, ConstraintBody, Model, Table};
use crate::migrate::operation::Operation;
use crate::migrate::plan::dependents;
use crate::migrate::plan::draft::{Applied, Draft};
use crate::migrate::plan::{Finding, FindingKind};

pub(super) use crate::migrate::plan::draft::quoted_list;

/// Applies the operation at `at` to the draft, or says why it cannot be.
pub(super) fn apply(draft: &mut Draft, at: usize, operation: &Operation) -> Applied {
    match operation {
        Operation::CreateTable(body) => create_table::apply(draft, at, body),
        Operation::DropTable(body) => drop_table::apply(draft, at, body),
        Operation::RenameTable(body) => rename_table::apply(draft, at, body),
        Operation::AddColumn(body) => add_column::apply(draft, at, body),
        Operation::DropColumn(body) => drop_column::apply(draft, at, body),
        Operation::RenameColumn(body) => rename_column::apply(draft, at, body),
        Operation::AlterColumn(body) => alter_column::apply(draft, at, body),
        Operation::CreateConstraint(body) => create_constraint::apply(draft, at, body),
        Operation::DropConstraint(body) => drop_constraint::apply_single(draft, at, body),
        Operation::DropMultiColumnConstraint(body) => drop_constraint::apply(draft, at, body),
        Operation::RenameConstraint(body) => rename_constraint::apply(draft, at, body),
        Operation::CreateIndex(body) => create_index::apply(draft, at, body),
        Operation::DropIndex(body) => drop_index::apply(draft, at, body),
        Operation::SetReplicaIdentity(body) => set_replica_identity::apply(draft, at, body),
        Operation::Sql(body) => sql::apply(draft, at, body),
    }
}

fn no_column(at: usize, table: &str, column: &str) -> Finding {
    let words = format!("column {column:?} does not exist in table {table:?}");
    Finding::new(FindingKind::ColumnDoesNotExist, at, words).table(table).column(column)
}

fn column_exists(at: usize, table: &str, column: &str) -> Finding {
    let words = format!("column {column:?} already exists in table {table:?}");
    Finding::new(FindingKind::ColumnAlreadyExists, at, words).table(table).column(column)
}

fn constraint_exists(at: usize, table: &str, name: &str) -> Finding {
    let words = format!("constraint {name:?} already exists on table {table:?}");
    Finding::new(FindingKind::ConstraintAlreadyExists, at, words).table(table).named(name)
}

fn left_behind(at: usize, table: &str, physical: &str) -> Finding {
    let words = format!(
        "column {physical:?} exists in table {table:?}: a migration that was not completed left it"
    );
    Finding::new(FindingKind::NameCollision, at, words).table(table).column(physical)
}

/// What depends on a column and can neither go with it nor be carried over.
fn blocking(model: &Model, table: &Table, key: &str, is_replaced: bool) -> Vec<String> {
    if is_replaced {
        dependents::not_replaceable(model, table, key)
    } else {
        dependents::all(model, table, key)
    }
}

/// The constraint, to be made at start and known to later operations.
fn add_constraint(
    draft: &mut Draft,
    at: usize,
    table: &str,
    name: &str,
    body: ConstraintBody,
    columns: Vec<String>,
) {
    know_constraint(draft, at, table, name, &body, &columns);
    let table = draft.change(at, table);
    let (name, physical) = (name.to_owned(), table.free_constraint(name));
    table.added_constraints.push(AddedConstraint { operation: at, name, physical, body, columns });
}

/// Later operations see the constraint and the index behind it.
fn know_constraint(
    draft: &mut Draft,
    at: usize,
    table: &str,
    name: &str,
    body: &ConstraintBody,
    physical: &[String],
) {
    let kind = match body {
        ConstraintBody::Check { .. } => ConstraintKind::Check,
        ConstraintBody::Unique { .. } => ConstraintKind::Unique,
        ConstraintBody::PrimaryKey { .. } => ConstraintKind::PrimaryKey,
        ConstraintBody::ForeignKey { .. } => ConstraintKind::ForeignKey,
    };
    let table = draft.change(at, table);
    let key_of = |physical: &String| {
        let column = table.columns.iter().find(|column| &column.physical == physical);
        column.map_or(physical.clone(), |column| column.key.clone())
    };
    let columns = physical.iter().map(key_of).collect();
    table.constraints.push(model::Constraint { name: name.to_owned(), kind, columns });
    if matches!(body, ConstraintBody::Unique { .. } | ConstraintBody::PrimaryKey { .. }) {
        let constraint = Some(name.to_owned());
        table.indexes.push(model::Index { name: name.to_owned(), is_unique: true, constraint });
    }
}

/// The name of the index behind a constraint of the name until complete.
///
/// # Errors
/// If something other than a constraint of the table has it.
fn constraint_index(draft: &Draft, at: usize, table: &str, name: &str) -> Result<String, Finding> {
    let found = draft.table(at, table)?;
    let free = found.free_constraint(name);
    let is_partitioned = found.detail.kind == crate::catalog::detail::TableKind::Partitioned;
    if draft.model.has_relation(&free) || (free != name && is_partitioned) {
        let words = format!("{name:?} is the name of a table or an index already");
        let finding = Finding::new(FindingKind::NameCollision, at, words);
        return Err(finding.table(table).named(name));
    }
    Ok(free)
}

/// The name, or with the first number that no index or constraint of the schema has.
fn free_name(draft: &Draft, name: &str) -> String {
    let is_taken = |name: &str| {
        draft.model.has_relation(name)
            || draft.model.tables.values().any(|table| table.constraint(name).is_some())
    };
    model::name::free(name, is_taken)
}
