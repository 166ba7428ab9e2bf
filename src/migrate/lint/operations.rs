//! What operations do by being what they are.

use super::rule::{self, Found, Lint};
use crate::migrate::operation::{
    AlterColumn, CreateTable, DropConstraint, DropMultiColumnConstraint, Operation,
    ReplicaIdentityType, TableConstraintType,
};
use pg_query::protobuf::KeywordKind;
use std::collections::BTreeSet;

pub(super) fn judge(operation: &Operation, found: &mut Found<'_>) {
    match operation {
        Operation::CreateTable(body) => create_table(body, found),
        Operation::DropTable(body) => {
            found.push(rule::DROP_TABLE, "name", format!("table `{}` is dropped", body.name));
        }
        Operation::RenameTable(body) => name("to", &body.to, found),
        Operation::AddColumn(body) => name("column.name", &body.column.name, found),
        Operation::DropColumn(body) if body.down.is_none() => {
            let message = format!("`{}.{}` is dropped without `down`", body.table, body.column);
            found.push(rule::DROP_COLUMN_WITHOUT_DOWN, "down", message);
        }
        Operation::RenameColumn(body) => name("to", &body.to, found),
        Operation::AlterColumn(body) => alter_column(body, found),
        Operation::DropConstraint(body) => drop_constraint(body, found),
        Operation::DropMultiColumnConstraint(body) => drop_constraints(body, found),
        Operation::CreateIndex(body) => name("name", &body.name, found),
        Operation::SetReplicaIdentity(body) => match body.identity.identity_type {
            Some(ReplicaIdentityType::Full) => {
                let message = format!("`{}` gets replica identity FULL", body.table);
                found.push(rule::IDENTITY_FULL, "identity.type", message);
            }
            Some(ReplicaIdentityType::Nothing) => {
                let message = format!("`{}` gets replica identity NOTHING", body.table);
                found.push(rule::IDENTITY_NOTHING, "identity.type", message);
            }
            Some(ReplicaIdentityType::Default | ReplicaIdentityType::Index) | None => {}
        },
        Operation::DropColumn(_)
        | Operation::CreateConstraint(_)
        | Operation::RenameConstraint(_)
        | Operation::DropIndex(_)
        | Operation::Sql(_) => {}
    }
}

fn create_table(body: &CreateTable, found: &mut Found<'_>) {
    name("name", &body.name, found);
    for (at, column) in body.columns.iter().enumerate() {
        name(&format!("columns[{at}].name"), &column.name, found);
    }
    let is_key = |kind: Option<TableConstraintType>| kind == Some(TableConstraintType::PrimaryKey);
    let has_key = body.columns.iter().any(|column| column.is_primary_key)
        || body.constraints.iter().any(|of| is_key(of.constraint_type));
    if !has_key {
        let message = format!("table `{}` has no primary key", body.name);
        found.push(rule::TABLE_WITHOUT_KEY, "name", message);
    }
}

/// The column as it is, in or without quotes or parentheses.
pub(super) fn is_column_itself(expression: &str, column: &str) -> bool {
    let text = expression.trim().trim_start_matches('(').trim_end_matches(')').trim();
    text == column || text == crate::pg::Ident(column).to_string()
}

fn alter_column(body: &AlterColumn, found: &mut Found<'_>) {
    let is_same = |text: &Option<String>| {
        text.as_deref().is_some_and(|text| is_column_itself(text, &body.column))
    };
    let what = format!("`{}.{}`", body.table, body.column);
    if body.is_nullable == Some(false) && is_same(&body.up) {
        let message = format!("{what} becomes NOT NULL and `up` keeps its NULLs");
        found.push(rule::NOT_NULL_KEEPS, "up", message);
    }
    if body.is_nullable == Some(true) && is_same(&body.down) {
        let message = format!("{what} becomes nullable and `down` gives the old version its NULLs");
        found.push(rule::NULLABLE_KEEPS, "down", message);
    }
}

fn drop_constraint(body: &DropConstraint, found: &mut Found<'_>) {
    let message = format!("`{}` of `{}` is dropped by `drop_constraint`", body.name, body.table);
    found.push(rule::SINGLE_DROP, "", message);
}

fn drop_constraints(body: &DropMultiColumnConstraint, found: &mut Found<'_>) {
    let is_kept = !body.down.is_empty()
        && body.down.iter().all(|(column, down)| is_column_itself(down, column));
    if is_kept {
        let message = format!("`down` keeps every value that `{}` refuses", body.name);
        found.push(rule::DROPPED_KEEPS, "down", message);
    }
}

fn name(field: &str, name: &str, found: &mut Found<'_>) {
    let is_plain = |letter: char| letter.is_lowercase() || letter.is_ascii_digit() || letter == '_';
    if !name.chars().all(is_plain) {
        found.push(rule::MIXED_CASE, field, format!("`{name}` needs quotes"));
    } else if is_keyword(name) {
        found.push(rule::KEYWORD, field, format!("`{name}` is a word of SQL"));
    }
}

fn is_keyword(name: &str) -> bool {
    let Ok(scanned) = pg_query::scan(name) else { return false };
    let kind = scanned.tokens.first().map(|token| token.keyword_kind);
    kind == Some(KeywordKind::ReservedKeyword as i32)
}

/// What operations do together.
pub(super) fn judge_together(operations: &[Operation], lints: &mut Vec<Lint>) {
    let mut seen = BTreeSet::new();
    for (at, operation) in operations.iter().enumerate() {
        let Operation::AlterColumn(body) = operation else { continue };
        if !seen.insert((&body.table, &body.column)) {
            let message = format!("`{}.{}` is altered again", body.table, body.column);
            Found::at(at, lints).push(rule::ALTER_TWICE, "column", message);
        }
    }
}
