//! The new version's schema: one view a table, with the names that the version has for things.
//!
//! A partition has no view of its own: the partitioned table's shows its rows.
//!
//! A view is updatable and runs with its user's rights (`security_invoker`, PostgreSQL 15+). It
//! has the grants of the previous version's view of the same table, or of the table.

use crate::catalog::RelationName;
use crate::catalog::detail::{ColumnGrant, Grant, View};
use crate::migrate::model::{Column, Model, Table};
use crate::migrate::plan::draft::lock;
use crate::migrate::plan::{LockMode, Step};
use crate::pg::{Ident, Literal};
use std::fmt::Write as _;

const SECURITY_INVOKER: i32 = 150_000;
/// Views of one transaction: each takes a lock on itself and its table until the end
/// (`max_locks_per_transaction` is 64 by default).
const VIEWS_A_STEP: usize = 200;

/// Steps that make the version's schema and its views, or replace them.
pub(super) fn steps(model: &Model, previous: Option<&str>, version_schema: &str) -> Vec<Step> {
    let undo = vec![format!("DROP SCHEMA IF EXISTS {} CASCADE", Ident(version_schema))];
    let mut statements = vec![format!("CREATE SCHEMA IF NOT EXISTS {}", Ident(version_schema))];
    statements.extend(schema_grants(model, previous, version_schema));
    let mut steps = vec![
        Step::transaction("views/0000/schema".to_owned(), None, statements, Vec::new())
            .undone_by(undo),
    ];
    let is_whole = |table: &&Table| !table.detail.is_partition;
    let tables: Vec<&Table> = model.tables.values().filter(is_whole).collect();
    for (at, chunk) in tables.chunks(VIEWS_A_STEP).enumerate() {
        let statements: Vec<String> =
            chunk.iter().flat_map(|table| view(model, table, previous, version_schema)).collect();
        let locks = chunk.iter().map(|table| {
            lock(RelationName::new(&model.schema, &table.physical), LockMode::AccessShare)
        });
        let id = format!("views/{:04}/views", at + 1);
        steps.push(Step::transaction(id, None, statements, locks.collect()));
    }
    steps
}

/// Replaces the views where their columns have only grown, makes the others anew, and drops those
/// whose table is gone; grants stay.
pub(super) fn refresh(model: &Model, version_schema: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let is_whole = |table: &&Table| !table.detail.is_partition;
    let views = model.detail.views.iter().filter(|view| view.schema == version_schema);
    let mut statements: Vec<String> = views
        .filter(|view| !model.tables.contains_key(&view.name))
        .map(|view| format!("DROP VIEW {}", RelationName::new(&view.schema, &view.name).sql()))
        .collect();
    for table in model.tables.values().filter(is_whole) {
        let before = model
            .detail
            .views
            .iter()
            .find(|view| view.schema == version_schema && view.name == table.name);
        let columns: Vec<&String> = table.columns.iter().map(|column| &column.name).collect();
        if let Some(before) = before {
            let before: Vec<&String> = before.columns.iter().collect();
            if columns == before {
                continue;
            }
            if !columns.starts_with(&before) {
                let name = RelationName::new(version_schema, &table.name);
                statements.push(format!("DROP VIEW {}", name.sql()));
            }
        }
        statements.extend(view(model, table, Some(version_schema), version_schema));
    }
    if !statements.is_empty() {
        let id = "complete/9999/views".to_owned();
        steps.push(Step::transaction(id, None, statements, Vec::new()));
    }
    steps
}

fn schema_grants(model: &Model, previous: Option<&str>, version_schema: &str) -> Vec<String> {
    let before = model.detail.versions.iter().find(|one| Some(one.name.as_str()) == previous);
    let grants = before.map_or(&model.detail.grants, |one| &one.grants);
    let usage = grants.iter().filter(|grant| grant.privilege == "USAGE");
    usage.map(|one| grant(one, None, &format!("SCHEMA {}", Ident(version_schema)))).collect()
}

fn view(model: &Model, table: &Table, previous: Option<&str>, version_schema: &str) -> Vec<String> {
    let name = RelationName::new(version_schema, &table.name);
    let options = if model.server_version >= SECURITY_INVOKER {
        " WITH (security_invoker = true)"
    } else {
        ""
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let from = RelationName::new(&model.schema, &table.physical);
    let mut statements = vec![format!(
        "CREATE OR REPLACE VIEW {}{options} AS SELECT {} FROM {}",
        name.sql(),
        columns.join(", "),
        from.sql()
    )];
    for column in &table.columns {
        let Some(default) = &column.view_default else { continue };
        statements.push(format!(
            "ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {default}",
            name.sql(),
            Ident(&column.name)
        ));
    }
    if let Some(comment) = &table.detail.comment {
        statements.push(format!("COMMENT ON VIEW {} IS {}", name.sql(), Literal(comment)));
    }
    statements.extend(grants(model, table, previous, &name));
    statements
}

fn column(column: &Column) -> String {
    if column.physical == column.name {
        return Ident(&column.name).to_string();
    }
    format!("{} AS {}", Ident(&column.physical), Ident(&column.name))
}

fn grants(
    model: &Model,
    table: &Table,
    previous: Option<&str>,
    name: &RelationName,
) -> Vec<String> {
    let is_before =
        |view: &&View| Some(view.schema.as_str()) == previous && view.name == table.detail.name;
    let on = format!("TABLE {}", name.sql());
    let before = model.detail.views.iter().find(is_before);
    let whole = before.map_or(&table.detail.grants, |view| &view.grants);
    let of_table = table.detail.columns.iter().flat_map(|column| {
        let of_column =
            |grant: &Grant| ColumnGrant { column: column.name.clone(), grant: grant.clone() };
        column.grants.iter().map(of_column)
    });
    let by_column: Vec<ColumnGrant> =
        before.map_or_else(|| of_table.collect(), |view| view.column_grants.clone());
    let mut statements: Vec<String> = whole.iter().map(|one| grant(one, None, &on)).collect();
    for one in by_column {
        // The old name, as the new version has it.
        let Some(column) = table.column_by_key(&one.column) else { continue };
        statements.push(grant(&one.grant, Some(&column.name), &on));
    }
    statements
}

/// `GRANT SELECT ("email") ON TABLE … TO "app" WITH GRANT OPTION`
pub(super) fn grant(grant: &Grant, column: Option<&str>, on: &str) -> String {
    let mut sql = format!("GRANT {}", grant.privilege);
    if let Some(column) = column {
        let _ = write!(sql, " ({})", Ident(column));
    }
    let to = grant.grantee.as_ref().map_or("PUBLIC".to_owned(), |role| Ident(role).to_string());
    let _ = write!(sql, " ON {on} TO {to}");
    if grant.is_grantable {
        sql.push_str(" WITH GRANT OPTION");
    }
    sql
}
