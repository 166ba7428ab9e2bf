//! What a replaced column takes with it: the checks, indexes and keys that are made over the new
//! column beside the old ones, and take their names at complete.

use crate::catalog::RelationName;
use crate::catalog::detail::{Constraint, ConstraintKind, Index};
use crate::migrate::expression::{self, IndexBody, SyntaxError};
use crate::migrate::model::{Model, Table, name};
use crate::migrate::plan::dependents;
use crate::migrate::plan::{Finding, FindingKind};
use std::collections::BTreeMap;

/// A CHECK over replaced columns.
pub(super) struct Check {
    pub(super) constraint: Constraint,
    pub(super) duplicate: String,
    /// Over the new columns.
    pub(super) expression: String,
    /// A column that it reads gets another type: it may mean nothing for that.
    pub(super) is_doubtful: bool,
}

/// An index over replaced columns, behind a constraint or not.
pub(super) struct CarriedIndex {
    pub(super) index: Index,
    pub(super) duplicate: String,
    /// Over the new columns.
    pub(super) body: IndexBody,
    pub(super) constraint: Option<Constraint>,
}

/// An exclusion constraint over replaced columns: it cannot be built concurrently.
pub(super) struct Exclusion {
    pub(super) constraint: Constraint,
    pub(super) duplicate: String,
    pub(super) definition: String,
}

/// A foreign key from or to replaced columns.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) constraint: Constraint,
    pub(super) duplicate: String,
    /// `FOREIGN KEY …`, without NOT VALID.
    pub(super) definition: String,
    /// The table that has it, by its physical name.
    pub(super) table: RelationName,
    pub(super) referenced: RelationName,
}

pub(super) struct Carried {
    pub(super) checks: Vec<Check>,
    pub(super) indexes: Vec<CarriedIndex>,
    pub(super) exclusions: Vec<Exclusion>,
}

/// Checks and indexes of one table.
pub(super) fn of_table(table: &Table) -> Result<Carried, Finding> {
    let new = table.replacements();
    let mut carried = Carried { checks: Vec::new(), indexes: Vec::new(), exclusions: Vec::new() };
    if new.is_empty() {
        return Ok(carried);
    }
    let unreadable = |error: SyntaxError| refused(table, &error.message);
    let is_kept = |name: &str| !table.dropped_constraints.contains(name);
    let touches = |columns: &[String]| columns.iter().any(|column| new.contains_key(column));
    for constraint in &table.detail.constraints {
        if !is_kept(&constraint.name) || !touches(&constraint.columns) || constraint.is_inherited {
            continue;
        }
        let duplicate = name::duplicate(&constraint.name);
        let text = constraint.expression.as_deref().unwrap_or_default();
        match constraint.kind {
            ConstraintKind::Check => carried.checks.push(Check {
                constraint: constraint.clone(),
                duplicate,
                expression: expression::rename_columns(text, &new).map_err(unreadable)?,
                is_doubtful: table.new_columns.iter().any(|column| {
                    let replaced = column.replaces.as_ref();
                    column.has_new_type
                        && replaced.is_some_and(|name| constraint.columns.contains(name))
                }),
            }),
            ConstraintKind::Exclude => carried.exclusions.push(Exclusion {
                constraint: constraint.clone(),
                duplicate,
                definition: expression::key_constraint_on(&constraint.definition, &new, &new)
                    .map_err(unreadable)?,
            }),
            // Keys and unique constraints come with their indexes, foreign keys by `keys`, and
            // NOT NULL is the column's.
            ConstraintKind::PrimaryKey
            | ConstraintKind::Unique
            | ConstraintKind::ForeignKey
            | ConstraintKind::NotNull => (),
        }
    }
    for index in &table.detail.indexes {
        let is_constraint_kept = index.constraint.as_deref().is_none_or(is_kept);
        let is_dropped = table.dropped_indexes.contains(&index.name);
        if !touches(&index.columns) || !is_constraint_kept || is_dropped || index.is_exclusion {
            continue;
        }
        let duplicate = name::duplicate(&index.name);
        let body = expression::index_body(&index.definition, &new).map_err(unreadable)?;
        let constraint = index.constraint.as_ref().and_then(|name| table.detail.constraint(name));
        carried.indexes.push(CarriedIndex {
            index: index.clone(),
            duplicate,
            body,
            constraint: constraint.cloned(),
        });
    }
    Ok(carried)
}

/// Foreign keys of any table of which one end is replaced.
pub(super) fn keys(model: &Model) -> Result<Vec<Key>, Finding> {
    let none = BTreeMap::new();
    let replaced: BTreeMap<&str, BTreeMap<String, String>> = model
        .tables
        .values()
        .filter(|table| !table.is_new)
        .map(|table| (table.detail.name.as_str(), table.replacements()))
        .collect();
    let mut keys = Vec::new();
    for table in model.tables.values().filter(|table| !table.is_new) {
        let own = table.detail.constraints.iter().chain(dependents::foreign(model, table));
        for constraint in own {
            if constraint.kind != ConstraintKind::ForeignKey || constraint.is_inherited {
                continue;
            }
            let is_own = constraint.schema == model.schema;
            if is_own && table.dropped_constraints.contains(&constraint.name) {
                continue;
            }
            let local = if is_own { replaced.get(constraint.table.as_str()) } else { None };
            let is_inside = constraint.referenced_schema.as_ref() == Some(&model.schema);
            let target = constraint.referenced_table.as_deref().unwrap_or_default();
            let far = if is_inside { replaced.get(target) } else { None };
            let (local, far) = (local.unwrap_or(&none), far.unwrap_or(&none));
            let is_touched = constraint.columns.iter().any(|column| local.contains_key(column))
                || constraint.referenced_columns.iter().any(|column| far.contains_key(column));
            if !is_touched {
                continue;
            }
            let definition = expression::key_constraint_on(&constraint.definition, local, far)
                .map_err(|error| refused(table, &error.message))?;
            let definition = definition.strip_suffix(" NOT VALID").unwrap_or(&definition);
            keys.push(Key {
                duplicate: name::duplicate(&constraint.name),
                definition: definition.to_owned(),
                table: RelationName::new(&constraint.schema, &constraint.table),
                referenced: RelationName::new(
                    constraint.referenced_schema.clone().unwrap_or_default(),
                    target,
                ),
                constraint: constraint.clone(),
            });
        }
    }
    Ok(keys)
}

fn refused(table: &Table, message: &str) -> Finding {
    let mut finding = Finding::new(FindingKind::DependentObject, 0, message.to_owned());
    finding.operation = table.first_operation;
    finding.table(&table.name)
}
