//! Columns and constraints as SQL, from the fields of the file.

use crate::migrate::operation::{
    CheckConstraint, Column, ForeignKeyAction, ForeignKeyMatch, ForeignKeyReference, Generated,
    IndexParameters, TableForeignKeyReference, UserSpecifiedValues,
};
use crate::migrate::plan::draft::{Draft, check_name};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::Ident;
use std::fmt::Write as _;

/// The findings that every column of `create_table` and `add_column` can have.
pub(super) fn check_column(at: usize, table: &str, field: &str, column: &Column) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (part, text) in [("name", &column.name), ("type", &column.type_name)] {
        if text.is_empty() {
            let words = format!("column {:?} has no {part}", column.name);
            let finding = Finding::new(FindingKind::ColumnIsInvalid, at, words);
            findings.push(finding.field(&format!("{field}.{part}")));
        }
    }
    if !column.name.is_empty() {
        findings.extend(check_name(at, &format!("{field}.name"), &column.name).err());
    }
    if let Some(check) = &column.check {
        findings.extend(check_check(at, &format!("{field}.check"), check));
    }
    if let Some(generated) = &column.generated {
        let is_one = generated.expression.is_some() != generated.identity.is_some();
        if !is_one || column.default.is_some() {
            let words = format!(
                "column {:?}: generated is either an expression or an identity, without a default",
                column.name
            );
            findings.push(Finding::new(FindingKind::InvalidGeneratedColumn, at, words));
        }
    }
    findings.into_iter().map(|finding| finding.table(table).column(&column.name)).collect()
}

/// The findings that the check of a column can have.
pub(super) fn check_check(at: usize, field: &str, check: &CheckConstraint) -> Vec<Finding> {
    let missing = |part: &str| {
        let words = format!("check {:?} of a column has no {part}", check.name);
        let finding = Finding::new(FindingKind::CheckConstraintError, at, words);
        finding.named(&check.name).field(&format!("{field}.{part}"))
    };
    let mut findings = Vec::new();
    match check_name(at, &format!("{field}.name"), &check.name) {
        Err(_) if check.name.is_empty() => findings.push(missing("name")),
        other => findings.extend(other.err()),
    }
    if check.constraint.is_empty() {
        findings.push(missing("constraint"));
    }
    findings
}

/// # Errors
/// If the reference of a column has no name, or what it refers to does not exist.
pub(super) fn check_column_reference(
    draft: &Draft,
    at: usize,
    field: &str,
    (table, column): (&str, &str),
    reference: &ForeignKeyReference,
) -> Result<(), Finding> {
    if !reference.name.is_empty() {
        check_name(at, &format!("{field}.name"), &reference.name)?;
    }
    let target = (reference.table.as_str(), std::slice::from_ref(&reference.column));
    let inner = match check_name(at, &format!("{field}.name"), &reference.name) {
        Ok(()) => check_reference(draft, at, field, target),
        error => error,
    };
    inner.map_err(|inner| {
        let words = format!("the reference of column {column:?} is invalid: {}", inner.message);
        let finding = Finding::new(FindingKind::ColumnReferenceError, at, words);
        let field = inner.field.unwrap_or_else(|| field.to_owned());
        finding.table(table).column(column).named(&reference.name).field(&field)
    })
}

/// # Errors
/// If what the key refers to does not exist.
pub(super) fn check_reference(
    draft: &Draft,
    at: usize,
    field: &str,
    (table, columns): (&str, &[String]),
) -> Result<(), Finding> {
    for (name, part) in [(table, "table"), (columns.first().map_or("", String::as_str), "columns")]
    {
        if name.is_empty() {
            return Err(Finding::required(at, &format!("{field}.{part}")));
        }
    }
    let found = draft.table(at, table).map_err(|finding| finding.field(field))?;
    for column in columns {
        if found.column(column).is_none() {
            let words = format!("column {column:?} does not exist in table {table:?}");
            return Err(Finding::new(FindingKind::ColumnDoesNotExist, at, words)
                .table(table)
                .column(column)
                .field(field));
        }
    }
    Ok(())
}

/// `"id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL DEFAULT 1`, without constraints.
pub(super) fn column(column: &Column) -> String {
    let mut sql = format!("{} {}", Ident(&column.name), column.type_name);
    if let Some(generated) = &column.generated {
        let _ = write!(sql, " {}", self::generated(generated, generated.expression.as_deref()));
    }
    if let Some(default) = &column.default {
        let _ = write!(sql, " DEFAULT {default}");
    }
    // An identity column is NOT NULL by itself.
    let is_identity = column.generated.as_ref().is_some_and(|one| one.identity.is_some());
    if !column.is_nullable && !is_identity {
        sql.push_str(" NOT NULL");
    }
    sql
}

/// `expression`: over the physical columns.
pub(super) fn generated(generated: &Generated, expression: Option<&str>) -> String {
    if let Some(expression) = expression {
        return format!("GENERATED ALWAYS AS ({expression}) STORED");
    }
    let identity = generated.identity.clone().unwrap_or_default();
    let word = match identity.user_specified_values {
        Some(UserSpecifiedValues::Always) => "ALWAYS",
        Some(UserSpecifiedValues::ByDefault) | None => "BY DEFAULT",
    };
    let options = identity.sequence_options.map(|options| format!(" ({options})"));
    format!("GENERATED {word} AS IDENTITY{}", options.unwrap_or_default())
}

pub(super) fn check(name: &str, expression: &str, is_no_inherit: bool) -> String {
    let no_inherit = if is_no_inherit { " NO INHERIT" } else { "" };
    format!("CONSTRAINT {} CHECK ({expression}\n){no_inherit}", Ident(name))
}

/// `FOREIGN KEY (…) REFERENCES …` over physical names, and the physical name of the other table.
pub(super) fn foreign_key(
    draft: &Draft,
    columns: &[String],
    reference: &TableForeignKeyReference,
) -> Result<(String, String), Finding> {
    let target = draft.table(0, &reference.table)?;
    let referenced: Vec<String> = reference
        .columns
        .iter()
        .map(|name| target.column(name).map_or(name.clone(), |column| column.physical.clone()))
        .collect();
    let mut sql = format!(
        "FOREIGN KEY ({}) REFERENCES {} ({})",
        super::quoted_list(columns),
        draft.sql(&target.physical),
        super::quoted_list(&referenced)
    );
    match reference.match_type {
        Some(ForeignKeyMatch::Full) => sql.push_str(" MATCH FULL"),
        Some(ForeignKeyMatch::Partial) => sql.push_str(" MATCH PARTIAL"),
        Some(ForeignKeyMatch::Simple) | None => (),
    }
    if let Some(action) = reference.on_delete {
        let _ = write!(sql, " ON DELETE {}", self::action(action));
        if !reference.on_delete_set_columns.is_empty() {
            let _ = write!(sql, " ({})", super::quoted_list(&reference.on_delete_set_columns));
        }
    }
    if let Some(action) = reference.on_update {
        let _ = write!(sql, " ON UPDATE {}", self::action(action));
    }
    Ok((sql, target.physical.clone()))
}

pub(super) fn deferrable(is_deferrable: bool, is_initially_deferred: bool) -> &'static str {
    match (is_deferrable, is_initially_deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, false) => "",
    }
}

pub(super) fn of_table(reference: &ForeignKeyReference) -> TableForeignKeyReference {
    TableForeignKeyReference {
        table: reference.table.clone(),
        columns: vec![reference.column.clone()],
        match_type: reference.match_type,
        on_delete: reference.on_delete,
        on_update: reference.on_update,
        on_delete_set_columns: Vec::new(),
    }
}

fn action(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "NO ACTION",
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::Cascade => "CASCADE",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
    }
}

/// ` INCLUDE (…) WITH (…)`, as it stands behind the columns of an index; the tablespace apart,
/// because constraints and indexes say it in different words.
pub(super) fn index_parameters(parameters: Option<&IndexParameters>) -> (String, String) {
    let Some(parameters) = parameters else { return (String::new(), String::new()) };
    let mut sql = String::new();
    if !parameters.include_columns.is_empty() {
        let _ = write!(sql, " INCLUDE ({})", super::quoted_list(&parameters.include_columns));
    }
    if let Some(storage) = &parameters.storage_parameters {
        let _ = write!(sql, " WITH ({storage})");
    }
    let tablespace = parameters.tablespace.as_ref();
    (sql, tablespace.map_or(String::new(), |name| format!(" TABLESPACE {}", Ident(name))))
}
