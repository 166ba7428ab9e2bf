//! `alter_column`: any of eight changes of one column at once.

use super::replace_column::{Conversion, replace};
use super::{definition, on_new_table};
use crate::migrate::model::{ConstraintBody, Table};
use crate::migrate::operation::{AlterColumn, Change};
use crate::migrate::plan::draft::{Applied, Draft, check_name};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::{Ident, Literal};

pub(super) fn apply(draft: &mut Draft, at: usize, body: &AlterColumn) -> Applied {
    let one = |finding: Finding| vec![finding.table(&body.table).column(&body.column)];
    let table = draft.table(at, &body.table).map_err(|finding| vec![finding])?;
    let findings = check(table, at, body);
    if !findings.is_empty() {
        return Err(findings
            .into_iter()
            .map(|f| f.table(&body.table).column(&body.column))
            .collect());
    }
    if let Some(reference) = &body.references {
        let own = (body.table.as_str(), body.column.as_str());
        definition::check_column_reference(draft, at, "references", own, reference)
            .map_err(|finding| vec![finding])?;
    }
    check_texts(draft, at, body).map_err(one)?;
    let is_new = draft.table(at, &body.table).map_err(one)?.is_new;
    if is_new {
        return alter_new_table(draft, at, body).map_err(one);
    }
    if is_light(body) {
        alter_lightly(draft, at, body);
        return Ok(());
    }
    let up = body.up.as_deref().map(|text| ("up", text));
    let down = body.down.as_deref().map(|text| ("down", text));
    let conversion = Conversion { up, down, new_type: body.type_name.as_deref() };
    let physical = replace(draft, at, &body.table, &body.column, &conversion).map_err(one)?;
    change(draft, at, body, &physical);
    add_constraints(draft, at, body, &physical).map_err(one)
}

/// Only the default or the comment changes and every value stays: no second column is needed.
fn is_light(body: &AlterColumn) -> bool {
    let is_same = |text: &Option<String>| {
        text.as_ref().is_none_or(|text| text.trim().trim_matches('"') == body.column)
    };
    body.type_name.is_none()
        && body.check.is_none()
        && body.references.is_none()
        && body.unique.is_none()
        && body.is_nullable.is_none()
        && is_same(&body.up)
        && is_same(&body.down)
}

fn check(table: &Table, at: usize, body: &AlterColumn) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(column) = table.column(&body.column) else {
        return vec![super::no_column(at, &body.table, &body.column)];
    };
    let has_changes = body.type_name.is_some()
        || body.check.is_some()
        || body.references.is_some()
        || body.unique.is_some()
        || body.is_nullable.is_some()
        || !body.default.is_keep()
        || !body.comment.is_keep();
    if !has_changes {
        let words = format!("alter_column of {:?} changes nothing", body.column);
        return vec![Finding::new(FindingKind::AlterColumnNoChanges, at, words)];
    }
    let mut needs = |field: &str, text: &Option<String>| {
        if text.is_none() {
            findings.push(Finding::required(at, field));
        }
    };
    if body.type_name.is_some() || body.check.is_some() || body.references.is_some() {
        needs("up", &body.up);
        needs("down", &body.down);
    } else if body.is_nullable == Some(false) {
        needs("up", &body.up);
    } else if body.is_nullable == Some(true) {
        needs("down", &body.down);
    }
    match body.is_nullable {
        Some(false) if column.not_null => {
            let words = format!("column {:?} is NOT NULL already", body.column);
            findings.push(Finding::new(FindingKind::ColumnIsNotNullable, at, words));
        }
        Some(true) if !column.not_null => {
            let words = format!("column {:?} is nullable already", body.column);
            findings.push(Finding::new(FindingKind::ColumnIsNullable, at, words));
        }
        Some(_) | None => (),
    }
    let mut names = Vec::new();
    if let Some(check) = &body.check {
        names.push(&check.name);
        findings.extend(definition::check_check(at, "check", check));
    }
    names.extend(body.references.as_ref().map(|one| &one.name));
    if let Some(unique) = &body.unique {
        names.push(&unique.name);
        findings.extend(check_name(at, "unique.name", &unique.name).err());
    }
    for name in names {
        if table.constraint(name).is_some() {
            findings.push(super::constraint_exists(at, &body.table, name));
        }
    }
    findings
}

/// Expressions that are no column's value.
fn check_texts(draft: &mut Draft, at: usize, body: &AlterColumn) -> Result<(), Finding> {
    let table = draft.table(at, &body.table)?;
    let before = table.column(&body.column).map(|column| column.type_name.clone());
    let type_name = body.type_name.clone().or(before).unwrap_or_default();
    if let Some(text) = &body.type_name {
        draft.check_type(at, &body.table, &body.column, ("type", text))?;
    }
    if let Change::Set(default) = &body.default {
        draft.check_default(at, &body.table, &body.column, ("default", default), &type_name)?;
    }
    Ok(())
}

/// What changes on the new column itself.
fn change(draft: &mut Draft, at: usize, body: &AlterColumn, physical: &str) {
    let table = draft.change(at, &body.table);
    if let Some(new) = table.new_column_mut(physical) {
        if let Some(is_nullable) = body.is_nullable {
            new.not_null = !is_nullable;
        }
        match &body.default {
            Change::Keep => (),
            Change::Remove => {
                (new.default, new.late_default, new.instant_default) = (None, None, None);
            }
            Change::Set(default) => {
                new.default = Some(default.clone());
                new.has_old_default = false;
                new.late_default = None;
            }
        }
        match &body.comment {
            Change::Keep => (),
            Change::Remove => new.comment = None,
            Change::Set(comment) => new.comment = Some(comment.clone()),
        }
    }
    if let Some(column) = table.column_mut(&body.column) {
        if let Some(is_nullable) = body.is_nullable {
            column.not_null = !is_nullable;
        }
        if !body.default.is_keep() {
            column.view_default = None;
        }
    }
}

fn add_constraints(
    draft: &mut Draft,
    at: usize,
    body: &AlterColumn,
    physical: &str,
) -> Result<(), Finding> {
    let columns = vec![physical.to_owned()];
    if let Some(check) = &body.check {
        let expression = draft.condition(at, &body.table, "check.constraint", &check.constraint)?;
        let body_of = ConstraintBody::Check { expression, is_no_inherit: check.is_no_inherit };
        super::add_constraint(draft, at, &body.table, &check.name, body_of, columns.clone());
    }
    if let Some(reference) = &body.references {
        let of_table = definition::of_table(reference);
        let (definition, referenced) = definition::foreign_key(draft, &columns, &of_table)?;
        let deferrable =
            definition::deferrable(reference.is_deferrable, reference.is_initially_deferred);
        let definition = format!("{definition}{deferrable}");
        let body_of = ConstraintBody::ForeignKey { definition, referenced };
        super::add_constraint(draft, at, &body.table, &reference.name, body_of, columns.clone());
    }
    if let Some(unique) = &body.unique {
        let index = super::constraint_index(draft, at, &body.table, &unique.name)?;
        let suffix = String::new();
        let body_of = ConstraintBody::Unique { columns: columns.clone(), suffix, index };
        super::add_constraint(draft, at, &body.table, &unique.name, body_of, columns);
    }
    Ok(())
}

fn alter_lightly(draft: &mut Draft, at: usize, body: &AlterColumn) {
    let table = draft.change(at, &body.table);
    let Some(column) = table.column_mut(&body.column) else { return };
    let physical = column.physical.clone();
    let default = match &body.default {
        Change::Keep => None,
        Change::Remove => Some(None),
        Change::Set(text) => Some(Some(text.clone())),
    };
    let comment = match &body.comment {
        Change::Keep => None,
        Change::Remove => Some(None),
        Change::Set(text) => Some(Some(text.clone())),
    };
    if let Some(default) = &default {
        column.default.clone_from(default);
        // NULL as a constant would be no default, and the column's own would apply.
        let absent = || format!("NULLIF('', '')::{}", column.type_name);
        column.view_default = Some(default.clone().unwrap_or_else(absent));
    }
    if let Some(comment) = &comment {
        column.comment.clone_from(comment);
    }
    if let Some(new) = table.new_column_mut(&physical) {
        if let Some(default) = default {
            new.default = default;
            (new.late_default, new.instant_default) = (None, None);
        }
        if let Some(comment) = comment {
            new.comment = comment;
        }
        return;
    }
    table.late_defaults.extend(default.map(|default| (physical.clone(), default)));
    table.late_comments.extend(comment.map(|comment| (physical, comment)));
}

/// Nobody sees the table yet: it has no rows to convert.
fn alter_new_table(draft: &mut Draft, at: usize, body: &AlterColumn) -> Result<(), Finding> {
    let name = Ident(&body.column);
    let mut parts = Vec::new();
    if let Some(type_name) = &body.type_name {
        parts.push(format!("ALTER COLUMN {name} TYPE {type_name} USING NULL::{type_name}"));
    }
    match body.is_nullable {
        Some(true) => parts.push(format!("ALTER COLUMN {name} DROP NOT NULL")),
        Some(false) => parts.push(format!("ALTER COLUMN {name} SET NOT NULL")),
        None => (),
    }
    match &body.default {
        Change::Keep => (),
        Change::Remove => parts.push(format!("ALTER COLUMN {name} DROP DEFAULT")),
        Change::Set(text) => parts.push(format!("ALTER COLUMN {name} SET DEFAULT {text}")),
    }
    let table = draft.change(at, &body.table);
    let physical = table.physical.clone();
    if let Some(column) = table.column_mut(&body.column) {
        if let Some(type_name) = &body.type_name {
            column.type_name.clone_from(type_name);
        }
        column.not_null = body.is_nullable.map_or(column.not_null, |is_nullable| !is_nullable);
    }
    if let Some(check) = &body.check {
        draft.condition(at, &body.table, "check.constraint", &check.constraint)?;
        let check = definition::check(&check.name, &check.constraint, check.is_no_inherit);
        parts.push(format!("ADD {check}"));
    }
    if let Some(unique) = &body.unique {
        parts.push(format!("ADD CONSTRAINT {} UNIQUE ({name})", Ident(&unique.name)));
    }
    if let Some(reference) = &body.references {
        let of_table = definition::of_table(reference);
        let columns = std::slice::from_ref(&body.column);
        let (definition, referenced) = definition::foreign_key(draft, columns, &of_table)?;
        let body_of = ConstraintBody::ForeignKey { definition, referenced };
        super::add_constraint(draft, at, &body.table, &reference.name, body_of, columns.to_vec());
    }
    on_new_table::alter(draft, at, &physical, "alter-column", &parts);
    let comment = match &body.comment {
        Change::Keep => return Ok(()),
        Change::Remove => "NULL".to_owned(),
        Change::Set(text) => Literal(text).to_string(),
    };
    let column = format!("{}.{name}", draft.sql(&physical));
    let statement = format!("COMMENT ON COLUMN {column} IS {comment}");
    on_new_table::run(draft, at, &physical, "alter-column-comment", vec![statement]);
    Ok(())
}
