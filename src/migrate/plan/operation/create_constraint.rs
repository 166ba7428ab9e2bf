//! `create_constraint`: over columns whose values `up` makes fit for it.

use super::replace_column::{Conversion, replace};
use super::{definition, on_new_table, quoted_list};
use crate::catalog::detail::ConstraintKind;
use crate::migrate::model::{ConstraintBody, Table};
use crate::migrate::operation::{
    ConstraintType, CreateConstraint, ForeignKeyAction, TableForeignKeyReference,
};
use crate::migrate::plan::draft::{Applied, Draft, check_name};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::Ident;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &CreateConstraint) -> Applied {
    let one = |finding: Finding| vec![finding];
    let table = draft.table(at, &body.table).map_err(one)?;
    let findings = check(table, at, body);
    if !findings.is_empty() {
        return Err(findings
            .into_iter()
            .map(|finding| finding.table(&body.table).named(&body.name))
            .collect());
    }
    if let Some(reference) = &body.references {
        let target = (reference.table.as_str(), reference.columns.as_slice());
        definition::check_reference(draft, at, "references", target).map_err(one)?;
    }
    create(draft, at, body).map_err(|finding| vec![finding.table(&body.table)])
}

fn check(table: &Table, at: usize, body: &CreateConstraint) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(check_name(at, "name", &body.name).err());
    if table.constraint(&body.name).is_some() {
        findings.push(super::constraint_exists(at, &body.table, &body.name));
    }
    let missing = |field: &str| Finding::required(at, field);
    match body.constraint_type {
        None => findings.push(missing("type")),
        Some(ConstraintType::Unique | ConstraintType::PrimaryKey) => {
            if body.columns.is_empty() {
                findings.push(missing("columns"));
            }
        }
        Some(ConstraintType::Check) => {
            if body.check.is_none() {
                findings.push(missing("check"));
            }
        }
        Some(ConstraintType::ForeignKey) => match &body.references {
            None => findings.push(missing("references")),
            Some(reference) => findings.extend(check_set_columns(at, &body.columns, reference)),
        },
    }
    let has_key = table.constraints.iter().any(|one| one.kind == ConstraintKind::PrimaryKey);
    if body.constraint_type == Some(ConstraintType::PrimaryKey) && has_key {
        let words = format!("table {:?} has a primary key already", body.table);
        findings.push(Finding::new(FindingKind::PrimaryKeysAreAlreadySet, at, words));
    }
    for column in &body.columns {
        if table.column(column).is_none() {
            findings.push(super::no_column(at, &body.table, column));
        }
        for (field, given) in [("up", &body.up), ("down", &body.down)] {
            if !given.contains_key(column) && !table.is_new {
                let words = format!("{field} for column {column:?} is missing");
                let kind = FindingKind::ColumnMigrationMissing;
                findings.push(Finding::new(kind, at, words).column(column).field(field));
            }
        }
    }
    findings
}

/// The columns of `ON DELETE SET NULL (…)`.
pub(super) fn check_set_columns(
    at: usize,
    columns: &[String],
    reference: &TableForeignKeyReference,
) -> Option<Finding> {
    let set = &reference.on_delete_set_columns;
    if set.is_empty() {
        return None;
    }
    let field = "references.on_delete_set_columns";
    let sets = matches!(
        reference.on_delete,
        Some(ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault)
    );
    if !sets {
        let words = "on_delete_set_columns goes with SET NULL and SET DEFAULT only".to_owned();
        let kind = FindingKind::UnexpectedOnDeleteSetColumn;
        return Some(Finding::new(kind, at, words).field(field));
    }
    let stray = set.iter().find(|column| !columns.contains(column))?;
    let words = format!("column {stray:?} of on_delete_set_columns is not part of the key");
    Some(Finding::new(FindingKind::InvalidOnDeleteSetColumn, at, words).column(stray).field(field))
}

fn create(draft: &mut Draft, at: usize, body: &CreateConstraint) -> Result<(), Finding> {
    let (is_new, table) = {
        let table = draft.table(at, &body.table)?;
        (table.is_new, table.physical.clone())
    };
    let mut physical = Vec::new();
    for column in &body.columns {
        if is_new {
            physical.push(column.clone());
            continue;
        }
        let up_field = format!("up.{column}");
        let down_field = format!("down.{column}");
        let conversion = Conversion {
            up: body.up.get(column).map(|text| (up_field.as_str(), text.as_str())),
            down: body.down.get(column).map(|text| (down_field.as_str(), text.as_str())),
            new_type: None,
        };
        physical.push(replace(draft, at, &body.table, column, &conversion)?);
    }
    let constraint = constraint_body(draft, at, body, &physical)?;
    if body.constraint_type == Some(ConstraintType::PrimaryKey) {
        let changed = draft.change(at, &body.table);
        for column in &physical {
            if let Some(new) = changed.new_column_mut(column) {
                new.not_null = true;
            }
        }
    }
    if is_new && !matches!(constraint, ConstraintBody::ForeignKey { .. }) {
        let part = on_new(body, &constraint);
        on_new_table::alter(draft, at, &table, "create-constraint", &[part]);
        super::know_constraint(draft, at, &body.table, &body.name, &constraint, &physical);
        return Ok(());
    }
    super::add_constraint(draft, at, &body.table, &body.name, constraint, physical);
    Ok(())
}

fn constraint_body(
    draft: &mut Draft,
    at: usize,
    body: &CreateConstraint,
    physical: &[String],
) -> Result<ConstraintBody, Finding> {
    let (parameters, tablespace) = definition::index_parameters(body.index_parameters.as_ref());
    let suffix = format!("{parameters}{tablespace}");
    let columns = physical.to_vec();
    let index = || super::constraint_index(draft, at, &body.table, &body.name);
    match body.constraint_type {
        Some(ConstraintType::Unique) => {
            Ok(ConstraintBody::Unique { columns, suffix, index: index()? })
        }
        Some(ConstraintType::PrimaryKey) => {
            Ok(ConstraintBody::PrimaryKey { columns, suffix, index: index()? })
        }
        Some(ConstraintType::Check) | None => {
            let text = body.check.as_deref().unwrap_or_default();
            let expression = draft.condition(at, &body.table, "check", text)?;
            Ok(ConstraintBody::Check { expression, is_no_inherit: body.is_no_inherit })
        }
        Some(ConstraintType::ForeignKey) => {
            let mut reference = body.references.clone().unwrap_or_default();
            // The columns of SET NULL are the key's own.
            let by_name = body.columns.iter().zip(physical);
            for set in &mut reference.on_delete_set_columns {
                if let Some((_, new)) = by_name.clone().find(|(column, _)| *column == set) {
                    set.clone_from(new);
                }
            }
            let (definition, referenced) = definition::foreign_key(draft, physical, &reference)?;
            Ok(ConstraintBody::ForeignKey { definition, referenced })
        }
    }
}

fn on_new(body: &CreateConstraint, constraint: &ConstraintBody) -> String {
    let name = Ident(&body.name);
    match constraint {
        ConstraintBody::Check { expression, is_no_inherit } => {
            format!("ADD {}", definition::check(&body.name, expression, *is_no_inherit))
        }
        ConstraintBody::Unique { columns, suffix, .. } => {
            format!("ADD CONSTRAINT {name} UNIQUE ({}){suffix}", quoted_list(columns))
        }
        ConstraintBody::PrimaryKey { columns, suffix, .. } => {
            format!("ADD CONSTRAINT {name} PRIMARY KEY ({}){suffix}", quoted_list(columns))
        }
        ConstraintBody::ForeignKey { definition, .. } => {
            format!("ADD CONSTRAINT {name} {definition}")
        }
    }
}
