//! `drop_constraint` and `drop_multicolumn_constraint`: the old version keeps the constraint, so
//! its columns stay as they are beside the new version's.

use super::on_new_table;
use super::replace_column::{Conversion, replace};
use crate::catalog::detail::ConstraintKind;
use crate::migrate::model::Constraint;
use crate::migrate::operation::{DropConstraint, DropMultiColumnConstraint};
use crate::migrate::plan::draft::{Applied, Draft};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::Ident;
use std::collections::BTreeMap;

pub(super) fn apply_single(draft: &mut Draft, at: usize, body: &DropConstraint) -> Applied {
    let one = |finding: Finding| vec![finding.table(&body.table).named(&body.name)];
    let (constraint, columns) = covered(draft, at, &body.table, &body.name).map_err(one)?;
    let [column] = columns.as_slice() else {
        let words = format!(
            "constraint {:?} covers {} columns: use drop_multicolumn_constraint",
            body.name,
            columns.len()
        );
        let kind = FindingKind::MultiColumnConstraintsNotSupported;
        return Err(one(Finding::new(kind, at, words)));
    };
    let is_new = draft.table(at, &body.table).map_err(one)?.is_new;
    let Some(down) = body.down.as_ref().or(is_new.then_some(column)) else {
        return Err(one(Finding::required(at, "down")));
    };
    let down = BTreeMap::from([(column.clone(), ("down".to_owned(), down.clone()))]);
    let up = body.up.as_ref().map(|up| (column.clone(), ("up".to_owned(), up.clone())));
    let values = Values { up: up.into_iter().collect(), down };
    drop(draft, at, &body.table, &constraint, &columns, &values).map_err(one)
}

pub(super) fn apply(draft: &mut Draft, at: usize, body: &DropMultiColumnConstraint) -> Applied {
    let one = |finding: Finding| vec![finding.table(&body.table).named(&body.name)];
    let (constraint, columns) = covered(draft, at, &body.table, &body.name).map_err(one)?;
    let is_new = draft.table(at, &body.table).map_err(one)?.is_new;
    let mut findings = Vec::new();
    for column in &columns {
        if !body.down.contains_key(column) && !is_new {
            let words = format!("down for column {column:?} is missing");
            let kind = FindingKind::ColumnMigrationMissing;
            findings.push(Finding::new(kind, at, words).column(column).field("down"));
        }
    }
    for (field, given) in [("up", &body.up), ("down", &body.down)] {
        for column in given.keys().filter(|column| !columns.contains(column)) {
            let words = format!("constraint {:?} does not cover column {column:?}", body.name);
            let kind = FindingKind::ColumnMigrationRedundant;
            findings.push(Finding::new(kind, at, words).column(column).field(field));
        }
    }
    if !findings.is_empty() {
        return Err(findings.into_iter().flat_map(one).collect());
    }
    let with_field = |word: &str, given: &BTreeMap<String, String>| {
        let field = |column: &String| format!("{word}.{column}");
        given.iter().map(|(column, text)| (column.clone(), (field(column), text.clone()))).collect()
    };
    let values = Values { up: with_field("up", &body.up), down: with_field("down", &body.down) };
    drop(draft, at, &body.table, &constraint, &columns, &values).map_err(one)
}

/// By column: the field and the expression.
struct Values {
    up: BTreeMap<String, (String, String)>,
    down: BTreeMap<String, (String, String)>,
}

/// The constraint and the new version's names of its columns.
fn covered(
    draft: &Draft,
    at: usize,
    table: &str,
    name: &str,
) -> Result<(Constraint, Vec<String>), Finding> {
    let found = draft.table(at, table)?;
    let droppable = |one: &&Constraint| match one.kind {
        ConstraintKind::Check | ConstraintKind::ForeignKey | ConstraintKind::Unique => true,
        ConstraintKind::NotNull | ConstraintKind::PrimaryKey | ConstraintKind::Exclude => false,
    };
    let Some(constraint) = found.constraint(name).filter(droppable) else {
        let words = format!("constraint {name:?} does not exist on table {table:?}");
        return Err(Finding::new(FindingKind::ConstraintDoesNotExist, at, words));
    };
    let names = constraint
        .columns
        .iter()
        .map(|key| found.column_by_key(key).map_or(key.clone(), |column| column.name.clone()));
    Ok((constraint.clone(), names.collect()))
}

fn drop(
    draft: &mut Draft,
    at: usize,
    table: &str,
    constraint: &Constraint,
    columns: &[String],
    values: &Values,
) -> Result<(), Finding> {
    let name = &constraint.name;
    let (is_new, physical) = {
        let found = draft.table(at, table)?;
        (found.is_new, found.physical.clone())
    };
    if is_new {
        let part = format!("DROP CONSTRAINT {}", Ident(name));
        on_new_table::alter(draft, at, &physical, "drop-constraint", &[part]);
    } else {
        let found = draft.table(at, table)?;
        // This migration may have given it the name, which takes effect at complete.
        let renamed = found.renamed_constraints.iter().find(|(_, to)| to == name);
        let original = renamed.map_or_else(|| name.clone(), |(from, _)| from.clone());
        let relied_on = found.detail.constraint(&original).and_then(|one| {
            let index = one.index.as_ref()?;
            found.detail.inbound.iter().find(|key| key.referenced_index.as_ref() == Some(index))
        });
        if let Some(key) = relied_on {
            let words = format!(
                "foreign key {:?} of table {:?} relies on constraint {name:?}: drop it first",
                key.name, key.table
            );
            return Err(Finding::new(FindingKind::DependentObject, at, words));
        }
        let changed = draft.change(at, table);
        changed.renamed_constraints.retain(|(_, to)| to != name);
        changed.dropped_constraints.insert(original);
        for column in columns {
            let pair = |values: &BTreeMap<String, (String, String)>| values.get(column).cloned();
            let (up, down) = (pair(&values.up), pair(&values.down));
            let conversion = Conversion {
                up: up.as_ref().map(|(field, text)| (field.as_str(), text.as_str())),
                down: down.as_ref().map(|(field, text)| (field.as_str(), text.as_str())),
                new_type: None,
            };
            replace(draft, at, table, column, &conversion)?;
        }
    }
    let changed = draft.change(at, table);
    changed.added_constraints.retain(|one| one.name != *name);
    changed.constraints.retain(|one| one.name != *name);
    changed.indexes.retain(|one| one.constraint.as_ref() != Some(name));
    Ok(())
}
