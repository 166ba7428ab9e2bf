//! `create_table`: the table is made under its final name; no old version sees it.

use super::definition;
use crate::catalog::detail::ConstraintKind;
use crate::migrate::expression;
use crate::migrate::model::{self, AddedConstraint, ConstraintBody, name};
use crate::migrate::operation::{Column, CreateTable, TableConstraint, TableConstraintType};
use crate::migrate::plan::draft::{Applied, Draft, check_name, lock, quoted_list, step_id};
use crate::migrate::plan::{Finding, FindingKind, LockMode, Step};
use crate::pg::{Ident, Literal};
use std::fmt::Write as _;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &CreateTable) -> Applied {
    check_name(at, "name", &body.name).map_err(|finding| vec![finding.table(&body.name)])?;
    if draft.model.tables.contains_key(&body.name) {
        let words = format!("table {:?} already exists", body.name);
        return Err(vec![
            Finding::new(FindingKind::TableAlreadyExists, at, words).table(&body.name),
        ]);
    }
    let mut findings = check_columns(at, body);
    findings.extend(check_keys(at, body));
    for (index, constraint) in body.constraints.iter().enumerate() {
        let field = format!("constraints[{index}]");
        findings.extend(check_constraint(at, body, constraint, &field));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let table = model_of(body);
    draft.unknown_tables.insert(body.name.clone());
    // Foreign keys may point to the table itself.
    draft.model.tables.insert(body.name.clone(), table);
    create(draft, at, body).map_err(|finding| vec![finding])
}

fn check_columns(at: usize, body: &CreateTable) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, column) in body.columns.iter().enumerate() {
        let field = format!("columns[{index}]");
        findings.extend(definition::check_column(at, &body.name, &field, column));
        if body.columns.iter().take(index).any(|other| other.name == column.name) {
            let words = format!("column {:?} stands twice in table {:?}", column.name, body.name);
            let kind = FindingKind::ColumnAlreadyExists;
            findings.push(
                Finding::new(kind, at, words).table(&body.name).column(&column.name).field(&field),
            );
        }
    }
    findings
}

fn check_keys(at: usize, body: &CreateTable) -> Option<Finding> {
    let is_key =
        |one: &&TableConstraint| one.constraint_type == Some(TableConstraintType::PrimaryKey);
    let keys = body.constraints.iter().filter(is_key).count();
    let in_columns = body.columns.iter().any(|column| column.is_primary_key);
    let words = format!("table {:?} has two primary keys", body.name);
    (keys + usize::from(in_columns) > 1)
        .then(|| Finding::new(FindingKind::PrimaryKeysAreAlreadySet, at, words).table(&body.name))
}

fn check_constraint(
    at: usize,
    table: &CreateTable,
    constraint: &TableConstraint,
    field: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(check_name(at, &format!("{field}.name"), &constraint.name).err());
    let invalid = |part: &str| {
        let words = format!("constraint {:?} cannot have {part}", constraint.name);
        Finding::new(FindingKind::CheckConstraintError, at, words).field(&format!("{field}.{part}"))
    };
    let missing = |part: &str| Finding::required(at, &format!("{field}.{part}"));
    let needs_columns = |findings: &mut Vec<Finding>| {
        if constraint.columns.is_empty() {
            findings.push(missing("columns"));
        }
    };
    match constraint.constraint_type {
        None => findings.push(missing("type")),
        Some(TableConstraintType::Unique | TableConstraintType::PrimaryKey) => {
            needs_columns(&mut findings);
        }
        Some(TableConstraintType::Check) => {
            if constraint.check.is_none() {
                findings.push(missing("check"));
            }
            if constraint.is_deferrable || constraint.is_initially_deferred {
                findings.push(invalid("deferrable"));
            }
            if constraint.index_parameters.is_some() {
                findings.push(invalid("index_parameters"));
            }
            if constraint.is_nulls_not_distinct {
                findings.push(invalid("nulls_not_distinct"));
            }
        }
        Some(TableConstraintType::ForeignKey) => {
            needs_columns(&mut findings);
            match &constraint.references {
                None => findings.push(missing("references")),
                Some(reference) => findings.extend(super::create_constraint::check_set_columns(
                    at,
                    &constraint.columns,
                    reference,
                )),
            }
        }
        Some(TableConstraintType::Exclude) => {
            if constraint.exclude.as_ref().and_then(|one| one.elements.as_ref()).is_none() {
                findings.push(missing("exclude.elements"));
            }
        }
    }
    let unknown = constraint
        .columns
        .iter()
        .filter(|name| !table.columns.iter().any(|column| &column.name == *name));
    findings.extend(unknown.map(|name| {
        let words = format!("column {name:?} does not exist in table {:?}", table.name);
        Finding::new(FindingKind::ColumnDoesNotExist, at, words).column(name).field(field)
    }));
    findings.into_iter().map(|one| one.table(&table.name).named(&constraint.name)).collect()
}

fn model_of(body: &CreateTable) -> model::Table {
    let mut table = model::Table {
        name: body.name.clone(),
        physical: body.name.clone(),
        is_new: true,
        columns: body.columns.iter().map(column_of).collect(),
        ..model::Table::default()
    };
    for constraint in &body.constraints {
        let kind = match constraint.constraint_type {
            Some(TableConstraintType::Check) | None => ConstraintKind::Check,
            Some(TableConstraintType::Unique) => ConstraintKind::Unique,
            Some(TableConstraintType::PrimaryKey) => ConstraintKind::PrimaryKey,
            Some(TableConstraintType::ForeignKey) => ConstraintKind::ForeignKey,
            Some(TableConstraintType::Exclude) => ConstraintKind::Exclude,
        };
        add_constraint(&mut table, &constraint.name, kind, &columns_of(body, constraint));
    }
    let keys = keys(body);
    if !keys.is_empty() {
        let name = name::primary_key(&body.name);
        add_constraint(&mut table, &name, ConstraintKind::PrimaryKey, &keys);
    }
    for column in &body.columns {
        let columns = std::slice::from_ref(&column.name);
        if let Some(check) = &column.check {
            add_constraint(&mut table, &check.name, ConstraintKind::Check, columns);
        }
        if let Some(reference) = &column.references {
            add_constraint(&mut table, &reference.name, ConstraintKind::ForeignKey, columns);
        }
        if column.is_unique {
            let name = name::conventional(&body.name, &column.name, "key");
            add_constraint(&mut table, &name, ConstraintKind::Unique, columns);
        }
    }
    table
}

/// What a constraint reads. A check need not say it.
fn columns_of(body: &CreateTable, constraint: &TableConstraint) -> Vec<String> {
    let text = constraint.check.as_deref().filter(|_| constraint.columns.is_empty());
    let Some(facts) = text.and_then(|text| expression::facts(text).ok()) else {
        return constraint.columns.clone();
    };
    let reads = |column: &&Column| facts.columns.contains(&column.name);
    body.columns.iter().filter(reads).map(|column| column.name.clone()).collect()
}

fn keys(body: &CreateTable) -> Vec<String> {
    let keys = body.columns.iter().filter(|column| column.is_primary_key);
    keys.map(|column| column.name.clone()).collect()
}

/// A constraint, and the index behind it.
fn add_constraint(table: &mut model::Table, name: &str, kind: ConstraintKind, columns: &[String]) {
    let columns = columns.to_vec();
    table.constraints.push(model::Constraint { name: name.to_owned(), kind, columns });
    let is_unique = match kind {
        ConstraintKind::PrimaryKey | ConstraintKind::Unique => true,
        ConstraintKind::Exclude => false,
        ConstraintKind::Check | ConstraintKind::ForeignKey | ConstraintKind::NotNull => return,
    };
    let (name, constraint) = (name.to_owned(), Some(name.to_owned()));
    table.indexes.push(model::Index { name, is_unique, constraint });
}

pub(super) fn column_of(column: &Column) -> model::Column {
    let is_identity = column.generated.as_ref().is_some_and(|one| one.identity.is_some());
    model::Column {
        name: column.name.clone(),
        physical: column.name.clone(),
        key: column.name.clone(),
        type_name: column.type_name.clone(),
        not_null: !column.is_nullable || column.is_primary_key || is_identity,
        default: column.default.clone(),
        view_default: None,
        comment: column.comment.clone(),
        is_generated: column.generated.as_ref().is_some_and(|one| one.expression.is_some()),
    }
}

fn create(draft: &mut Draft, at: usize, body: &CreateTable) -> Result<(), Finding> {
    let mut parts = Vec::new();
    let mut locks = Vec::new();
    for (index, column) in body.columns.iter().enumerate() {
        parts.push(column_sql(draft, at, body, (index, column), &mut locks)?);
    }
    let keys = keys(body);
    if !keys.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", quoted_list(&keys)));
    }
    for (index, constraint) in body.constraints.iter().enumerate() {
        let field = format!("constraints[{index}]");
        parts.extend(constraint_sql(draft, at, body, constraint, &field, &mut locks)?);
    }
    let relation = draft.sql(&body.name);
    let mut statements = vec![format!("CREATE TABLE {relation} (\n  {}\n)", parts.join(",\n  "))];
    if let Some(comment) = &body.comment {
        statements.push(format!("COMMENT ON TABLE {relation} IS {}", Literal(comment)));
    }
    for column in &body.columns {
        if let Some(comment) = &column.comment {
            let column = Ident(&column.name);
            statements
                .push(format!("COMMENT ON COLUMN {relation}.{column} IS {}", Literal(comment)));
        }
    }
    let undo = vec![format!("DROP TABLE IF EXISTS {relation}")];
    let id = step_id("start", at, "create-table");
    draft.start.push(Step::transaction(id, Some(at), statements, locks).undone_by(undo.clone()));
    let id = step_id("rollback", at, "create-table");
    draft.rollback.push(Step::transaction(id, Some(at), undo, Vec::new()));
    Ok(())
}

fn column_sql(
    draft: &mut Draft,
    at: usize,
    body: &CreateTable,
    (index, column): (usize, &Column),
    locks: &mut Vec<crate::migrate::plan::Lock>,
) -> Result<String, Finding> {
    let field = |part: &str| format!("columns[{index}].{part}");
    draft.check_type(at, &body.name, &column.name, (&field("type"), &column.type_name))?;
    if let Some(default) = &column.default {
        let default = (field("default"), default.as_str());
        let default = (default.0.as_str(), default.1);
        draft.check_default(at, &body.name, &column.name, default, &column.type_name)?;
    }
    if let Some(expression) = column.generated.as_ref().and_then(|one| one.expression.as_ref()) {
        draft.condition_type(at, &body.name, &field("generated.expression"), expression)?;
    }
    let mut sql = definition::column(column);
    if column.is_unique {
        sql.push_str(" UNIQUE");
    }
    if let Some(check) = &column.check {
        draft.condition(at, &body.name, &field("check.constraint"), &check.constraint)?;
        let text = definition::check(&check.name, &check.constraint, check.is_no_inherit);
        let _ = write!(sql, " {text}");
    }
    if let Some(reference) = &column.references {
        let own = (body.name.as_str(), column.name.as_str());
        definition::check_column_reference(draft, at, &field("references"), own, reference)?;
        let reference_of_table = definition::of_table(reference);
        let columns = std::slice::from_ref(&column.name);
        let deferrable =
            definition::deferrable(reference.is_deferrable, reference.is_initially_deferred);
        let key = Key { name: &reference.name, columns, deferrable };
        if let Some(text) = foreign_key(draft, at, &body.name, &key, &reference_of_table, locks)? {
            let _ = write!(sql, ",\n  {text}");
        }
    }
    Ok(sql)
}

struct Key<'a> {
    name: &'a str,
    columns: &'a [String],
    deferrable: &'a str,
}

/// The key inside of CREATE TABLE; `None` if it has to wait for what it points to.
fn foreign_key(
    draft: &mut Draft,
    at: usize,
    table: &str,
    key: &Key<'_>,
    reference: &crate::migrate::operation::TableForeignKeyReference,
    locks: &mut Vec<crate::migrate::plan::Lock>,
) -> Result<Option<String>, Finding> {
    let (definition, referenced) = definition::foreign_key(draft, key.columns, reference)?;
    let definition = format!("{definition}{}", key.deferrable);
    let target = draft.table(at, &reference.table)?;
    let waits = reference.columns.iter().any(|name| {
        target.column(name).is_some_and(|column| target.new_column(&column.physical).is_some())
    });
    let is_self = referenced == table;
    if waits {
        let constraint = AddedConstraint {
            operation: at,
            name: key.name.to_owned(),
            physical: key.name.to_owned(),
            body: ConstraintBody::ForeignKey { definition, referenced },
            columns: key.columns.to_vec(),
        };
        draft.change(at, table).added_constraints.push(constraint);
        return Ok(None);
    }
    if !is_self {
        locks.push(lock(draft.relation(&referenced), LockMode::ShareRowExclusive));
    }
    Ok(Some(format!("CONSTRAINT {} {definition}", Ident(key.name))))
}

fn constraint_sql(
    draft: &mut Draft,
    at: usize,
    body: &CreateTable,
    constraint: &TableConstraint,
    field: &str,
    locks: &mut Vec<crate::migrate::plan::Lock>,
) -> Result<Option<String>, Finding> {
    let deferrable =
        definition::deferrable(constraint.is_deferrable, constraint.is_initially_deferred);
    let (parameters, tablespace) =
        definition::index_parameters(constraint.index_parameters.as_ref());
    let tablespace = tablespace.replacen(" TABLESPACE", " USING INDEX TABLESPACE", 1);
    let columns = quoted_list(&constraint.columns);
    let name = Ident(&constraint.name);
    let distinct = if constraint.is_nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
    Ok(Some(match constraint.constraint_type {
        Some(TableConstraintType::Unique) => format!(
            "CONSTRAINT {name} UNIQUE{distinct} ({columns}){parameters}{tablespace}{deferrable}"
        ),
        Some(TableConstraintType::PrimaryKey) => {
            format!("CONSTRAINT {name} PRIMARY KEY ({columns}){parameters}{tablespace}{deferrable}")
        }
        Some(TableConstraintType::Check) | None => {
            let text = constraint.check.as_deref().unwrap_or_default();
            draft.condition(at, &body.name, &format!("{field}.check"), text)?;
            definition::check(&constraint.name, text, constraint.is_no_inherit)
        }
        Some(TableConstraintType::ForeignKey) => {
            let Some(reference) = &constraint.references else { return Ok(None) };
            let target = (reference.table.as_str(), reference.columns.as_slice());
            definition::check_reference(draft, at, &format!("{field}.references"), target)?;
            let key = Key { name: &constraint.name, columns: &constraint.columns, deferrable };
            return foreign_key(draft, at, &body.name, &key, reference, locks);
        }
        Some(TableConstraintType::Exclude) => {
            let exclude = constraint.exclude.clone().unwrap_or_default();
            let method = exclude.index_method.unwrap_or_else(|| "gist".to_owned());
            let predicate = exclude.predicate.map(|text| format!(" WHERE ({text})"));
            format!(
                "CONSTRAINT {name} EXCLUDE USING {method} ({}){parameters}{tablespace}{}{deferrable}",
                exclude.elements.unwrap_or_default(),
                predicate.unwrap_or_default()
            )
        }
    }))
}
