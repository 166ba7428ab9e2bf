//! Types of new columns.

use super::rule::{self, Found, Rule};
use crate::migrate::operation::{Column, Operation, TableConstraintType};

pub(super) fn judge(operation: &Operation, found: &mut Found<'_>) {
    if let Operation::CreateTable(body) = operation {
        let keys = body.constraints.iter();
        let mut keys =
            keys.filter(|of| of.constraint_type == Some(TableConstraintType::PrimaryKey));
        let key = keys.next().map(|key| key.columns.as_slice()).unwrap_or_default();
        for (at, column) in body.columns.iter().enumerate() {
            let field = format!("columns[{at}].type");
            // A key of several columns is mostly of other tables' keys.
            let is_key = match key {
                [] => {
                    column.is_primary_key
                        && body.columns.iter().filter(|of| of.is_primary_key).count() == 1
                }
                [only] => *only == column.name,
                _ => false,
            };
            let is_reference = column.references.is_some();
            if is_key && !is_reference && is_small(&column.type_name) {
                let message = format!("key `{}` is {}", column.name, column.type_name);
                found.push(rule::SMALL_KEY, field.clone(), message);
            }
            judge_column(column, &field, found);
        }
    } else if let Operation::AddColumn(body) = operation {
        judge_column(&body.column, "column.type", found);
    } else if let Operation::AlterColumn(body) = operation
        && let Some(type_name) = &body.type_name
        && let Some(rule) = rule_of(type_name)
    {
        found.push(rule, "type", format!("`{}` becomes {type_name}", body.column));
    }
}

fn judge_column(column: &Column, field: &str, found: &mut Found<'_>) {
    if let Some(rule) = rule_of(&column.type_name) {
        found.push(rule, field, format!("`{}` is {}", column.name, column.type_name));
    }
}

fn is_small(type_name: &str) -> bool {
    let small = [
        "int",
        "integer",
        "int4",
        "serial",
        "serial4",
        "smallint",
        "int2",
        "smallserial",
        "serial2",
    ];
    small.contains(&words(type_name).as_str())
}

/// In lower case, one space between words, without arrays.
fn words(type_name: &str) -> String {
    let plain = type_name.to_lowercase().replace("[]", "");
    let plain = plain.strip_prefix("pg_catalog.").unwrap_or(&plain).to_owned();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rule_of(type_name: &str) -> Option<Rule> {
    let words = words(type_name);
    let (name, modifier) = match words.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest)),
        None => (words.as_str(), None),
    };
    let has_zone = words.ends_with("with time zone");
    match name {
        "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8" => {
            Some(rule::SERIAL)
        }
        "char" | "character" | "bpchar" => Some(rule::FIXED_CHAR),
        "varchar" | "character varying" if modifier.is_some() => Some(rule::LIMITED_VARCHAR),
        "timestamp" | "timestamp without time zone" if !has_zone => Some(rule::PLAIN_TIMESTAMP),
        "timetz" | "time with time zone" => Some(rule::TIME_WITH_ZONE),
        "json" => Some(rule::PLAIN_JSON),
        "money" => Some(rule::MONEY),
        _ => None,
    }
}
