//! The sync trigger: one function and two triggers a table, for the time in which both versions
//! write.
//!
//! For a pair of columns, the side that a writer changed is carried to the other, whichever
//! version the writer is of; a side that it did not change stays, whatever else the writer
//! changed. Where nothing tells the sides apart (INSERT, and columns that both versions share),
//! the version does: it is the new one if the first of the writer's schemas that is a version or
//! the base schema is the new version's (`current_schemas(false)`, which resolves quotes, roles'
//! defaults and schemas that do not exist).
//!
//! The triggers fire last of the BEFORE triggers, so that they see what the user's own triggers
//! made of the row. A row that the backfill has not reached is filled by whoever updates it
//! first, so that the backfill may pass it by.

use crate::catalog::detail::TableKind;
use crate::migrate::expression;
use crate::migrate::model::{Call, Model, Pair, Table, name};
use crate::pg::{Ident, Literal};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Types whose `=` says that two values are the same in every respect, and which have one.
const PLAIN_TYPES: &[&str] = &[
    "bigint",
    "boolean",
    "bytea",
    "date",
    "int",
    "smallint",
    "text",
    "uuid",
    "varchar",
    "timestamp",
    "timestamp with time zone",
];

pub(super) struct Schemas<'a> {
    pub(super) base: &'a str,
    pub(super) old: Option<&'a str>,
    pub(super) new: &'a str,
}

/// Creates the function and the triggers.
pub(super) fn create(model: &Model, table: &Table, schemas: &Schemas<'_>) -> Vec<String> {
    let relation = format!("{}.{}", Ident(&model.schema), Ident(&table.physical));
    let function = function_name(model, table);
    let body = function_body(model, table, schemas);
    let mut statements = vec![
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {}",
            dollar_quoted("", &body)
        ),
        format!(
            "CREATE TRIGGER {} BEFORE INSERT ON {relation} FOR EACH ROW{} EXECUTE FUNCTION {function}()",
            Ident(name::INSERT_TRIGGER),
            fires_on_insert(table)
        ),
    ];
    statements.push(format!(
        "CREATE TRIGGER {} BEFORE UPDATE ON {relation} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION {function}()",
        Ident(name::UPDATE_TRIGGER),
        fires(table)
    ));
    statements
}

/// Drops them, whether they are there or not.
pub(super) fn drop(model: &Model, table: &Table, physical: &str) -> Vec<String> {
    let relation = format!("{}.{}", Ident(&model.schema), Ident(physical));
    let mut statements: Vec<String> = [name::UPDATE_TRIGGER, name::INSERT_TRIGGER]
        .iter()
        .map(|trigger| format!("DROP TRIGGER IF EXISTS {} ON {relation}", Ident(trigger)))
        .collect();
    statements.push(format!("DROP FUNCTION IF EXISTS {}()", function_name(model, table)));
    for function in &table.functions {
        let types: Vec<&str> =
            function.parameters.iter().map(|one| one.type_name.as_str()).collect();
        statements.push(format!(
            "DROP FUNCTION IF EXISTS {}.{}({})",
            Ident(&model.schema),
            Ident(&function.name),
            types.join(", ")
        ));
    }
    statements
}

fn function_name(model: &Model, table: &Table) -> String {
    format!("{}.{}", Ident(&model.schema), Ident(&name::sync_function(&table.physical)))
}

/// The body may hold any quote but this one.
pub(super) fn dollar_quoted(head: &str, body: &str) -> String {
    let mut tag = "$sync$".to_owned();
    while body.contains(&tag) {
        tag.insert(1, 'x');
    }
    format!("{head}{tag}\n{body}{tag}")
}

fn function_body(model: &Model, table: &Table, schemas: &Schemas<'_>) -> String {
    let mut body = String::from("DECLARE\n  path name[] := pg_catalog.current_schemas(false);\n");
    let _ = writeln!(body, "  is_new boolean := {};", is_new(schemas));
    for (at, pair) in table.pairs.iter().enumerate() {
        if pair.up.is_some() {
            let _ = writeln!(body, "  up_{at} boolean;");
        }
        if pair.down.is_some() {
            let _ = writeln!(body, "  down_{at} boolean;");
        }
    }
    body.push_str("BEGIN\n  IF TG_OP = 'INSERT' THEN\n");
    for (at, pair) in table.pairs.iter().enumerate() {
        let drawn = pair.new.as_ref().filter(|_| pair.old_draws).map(|new| Ident(new).to_string());
        if pair.up.is_some() {
            let or = drawn.as_ref().map_or(String::new(), |new| format!(" OR NEW.{new} IS NULL"));
            let _ = writeln!(body, "    up_{at} := NOT is_new{or};");
        }
        if pair.down.is_some() {
            let and =
                drawn.as_ref().map_or(String::new(), |new| format!(" AND NEW.{new} IS NOT NULL"));
            let _ = writeln!(body, "    down_{at} := is_new{and};");
        }
    }
    body.push_str("  ELSE\n");
    for (at, pair) in table.pairs.iter().enumerate() {
        body.push_str(&update_directions(table, at, pair));
    }
    body.push_str("  END IF;\n");
    let column = |name: &str| format!("NEW.{}", Ident(name));
    let function = |name: &str| format!("{}.{}", Ident(&model.schema), Ident(name));
    for (at, pair) in table.pairs.iter().enumerate() {
        if let (Some(up), Some(new)) = (&pair.up, &pair.new) {
            let value = up.sql(&column, &function);
            let _ = writeln!(body, "  IF up_{at} THEN NEW.{} := {value}; END IF;", Ident(new));
        }
    }
    for (at, pair) in table.pairs.iter().enumerate().rev() {
        if let (Some(down), Some(old)) = (&pair.down, &pair.old) {
            let value = down.sql(&column, &function);
            let _ = writeln!(body, "  IF down_{at} THEN NEW.{} := {value}; END IF;", Ident(old));
        }
    }
    if table.has_marker() {
        let _ = writeln!(body, "  NEW.{} := false;", Ident(name::MARKER));
    }
    body.push_str("  RETURN NEW;\nEND\n");
    body
}

fn is_new(schemas: &Schemas<'_>) -> String {
    let at = |schema: &str| format!("pg_catalog.array_position(path, {}::name)", Literal(schema));
    let mut others = vec![at(schemas.base)];
    others.extend(schemas.old.map(at));
    // A schema that is not on the path comes last.
    format!(
        "COALESCE({} < COALESCE(LEAST({}), 2147483647), false)",
        at(schemas.new),
        others.join(", ")
    )
}

/// Which side of a pair an UPDATE changed.
fn update_directions(table: &Table, at: usize, pair: &Pair) -> String {
    let any = |columns: &BTreeSet<String>| {
        let changes: Vec<String> = columns.iter().map(|column| image_changed(column)).collect();
        if changes.is_empty() { "false".to_owned() } else { changes.join(" OR ") }
    };
    let own: BTreeSet<String> = pair.old.iter().chain(&pair.new).cloned().collect();
    let shared =
        |call: &Call| -> BTreeSet<String> { call.reads().difference(&own).cloned().collect() };
    let changed = |column: &Option<String>| {
        column.as_ref().map_or("false".to_owned(), |column| image_changed(column))
    };
    let (new, old) = (changed(&pair.new), changed(&pair.old));
    let mut text = String::new();
    if let Some(up) = &pair.up {
        let unfilled = if table.needs_backfill() {
            format!("OLD.{}", Ident(name::MARKER))
        } else {
            "false".to_owned()
        };
        let _ = writeln!(
            text,
            "    up_{at} := NOT ({new}) AND ({unfilled} OR {old} OR (NOT is_new AND ({})));",
            any(&shared(up))
        );
    }
    if let Some(down) = &pair.down {
        let not_up = if pair.up.is_some() { format!(" AND NOT up_{at}") } else { String::new() };
        let _ = writeln!(
            text,
            "    down_{at} := NOT ({old}) AND ({new} OR (is_new AND ({}))){not_up};",
            any(&shared(down))
        );
    }
    text
}

/// Inside of the function names are resolved by the writer's `search_path`: only what is
/// qualified is safe. The comparison of row images knows every type, and NULL.
fn image_changed(column: &str) -> String {
    let column = Ident(column);
    format!("pg_catalog.record_image_ne(ROW(NEW.{column}), ROW(OLD.{column}))")
}

/// A row that changes its partition is inserted into the new one after the UPDATE trigger: it is
/// not marked any more, and which side of a pair was written cannot be told there.
fn fires_on_insert(table: &Table) -> String {
    match table.detail.kind {
        TableKind::Partitioned => format!(" WHEN (NEW.{} IS NOT FALSE)", Ident(name::MARKER)),
        TableKind::Table => String::new(),
    }
}

/// The condition under which an UPDATE needs the trigger: a row that is not filled, or a change
/// of a column that some expression reads. Not the backfill's own update, which sets the marker.
fn fires(table: &Table) -> String {
    let mut columns = BTreeSet::<String>::new();
    for pair in &table.pairs {
        columns.extend(pair.old.iter().chain(&pair.new).cloned());
        columns.extend(pair.up.iter().chain(&pair.down).flat_map(Call::reads));
    }
    let changes: Vec<String> = columns.iter().map(|column| changed(table, column)).collect();
    let changes = changes.join(" OR ");
    if !table.needs_backfill() {
        return changes;
    }
    let marker = Ident(name::MARKER);
    format!("NEW.{marker} OR (NOT OLD.{marker} AND ({changes}))")
}

fn changed(table: &Table, column: &str) -> String {
    let new = table.new_column(column);
    let old = table.detail.column(column);
    let is_plain = match (new, old) {
        (Some(new), _) => new.collation.is_none() && is_plain_type(&new.type_name),
        (None, Some(old)) => old.collation_name.is_none() && is_plain_type(&old.type_name),
        (None, None) => false,
    };
    let column = Ident(column);
    if is_plain {
        format!("OLD.{column} IS DISTINCT FROM NEW.{column}")
    } else {
        format!("pg_catalog.record_image_ne(ROW(OLD.{column}), ROW(NEW.{column}))")
    }
}

fn is_plain_type(type_name: &str) -> bool {
    expression::base_type(type_name).is_ok_and(|base| PLAIN_TYPES.contains(&base.as_str()))
}
