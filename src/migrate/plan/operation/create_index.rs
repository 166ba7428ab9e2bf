//! `create_index`: concurrently, at start.

use super::on_new_table;
use crate::migrate::model::{AddedIndex, Index, Table};
use crate::migrate::operation::{CreateIndex, IndexColumn, IndexMethod, IndexNulls, IndexSort};
use crate::migrate::plan::draft::{Applied, Draft, check_name};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::Ident;
use std::fmt::Write as _;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &CreateIndex) -> Applied {
    let one = |finding: Finding| vec![finding.table(&body.table).named(&body.name)];
    check_name(at, "name", &body.name).map_err(one)?;
    let table = draft.table(at, &body.table).map_err(|finding| vec![finding])?;
    if body.columns.is_empty() {
        return Err(one(Finding::required(at, "columns")));
    }
    for column in &body.columns {
        if table.column(&column.column).is_none() {
            return Err(vec![super::no_column(at, &body.table, &column.column)]);
        }
    }
    // One that is dropped is there until complete.
    if draft.model.has_relation(&body.name) {
        let words = format!("index {:?} already exists", body.name);
        return Err(one(Finding::new(FindingKind::IndexAlreadyExists, at, words)));
    }
    let (is_new, physical) = (table.is_new, table.physical.clone());
    let mut sql = String::new();
    if let Some(method) = body.method {
        let _ = write!(sql, " USING {}", self::method(method));
    }
    let columns: Vec<String> = body.columns.iter().map(|one| element(table, one)).collect();
    let _ = write!(sql, " ({})", columns.join(", "));
    if let Some(storage) = &body.storage_parameters {
        let _ = write!(sql, " WITH ({storage})");
    }
    if let Some(predicate) = &body.predicate {
        let predicate = draft.condition(at, &body.table, "predicate", predicate).map_err(one)?;
        let _ = write!(sql, " WHERE {predicate}");
    }
    let changed = draft.change(at, &body.table);
    let (name, is_unique) = (body.name.clone(), body.is_unique);
    changed.indexes.push(Index { name: name.clone(), is_unique, constraint: None });
    if is_new {
        let unique = if is_unique { "UNIQUE " } else { "" };
        let on = draft.sql(&physical);
        let statement = format!("CREATE {unique}INDEX {} ON {on}{sql}", Ident(&name));
        on_new_table::run(draft, at, &physical, "create-index", vec![statement]);
        return Ok(());
    }
    changed.added_indexes.push(AddedIndex { operation: at, name, is_unique, body: sql });
    Ok(())
}

fn element(table: &Table, column: &IndexColumn) -> String {
    let physical = table.column(&column.column).map_or(&column.column, |found| &found.physical);
    let mut sql = Ident(physical).to_string();
    if let Some(collation) = &column.collate {
        let _ = write!(sql, " COLLATE {}", dotted(collation));
    }
    if let Some(class) = &column.operator_class
        && let Some(name) = &class.name
    {
        let _ = write!(sql, " {}", dotted(name));
        if !class.parameters.is_empty() {
            let _ = write!(sql, " ({})", class.parameters.join(", "));
        }
    }
    match column.sort {
        Some(IndexSort::Ascending) => sql.push_str(" ASC"),
        Some(IndexSort::Descending) => sql.push_str(" DESC"),
        None => (),
    }
    match column.nulls {
        Some(IndexNulls::First) => sql.push_str(" NULLS FIRST"),
        Some(IndexNulls::Last) => sql.push_str(" NULLS LAST"),
        None => (),
    }
    sql
}

/// A name as pgroll's files have it: with quotes of its own, or plain and taken as it is.
fn dotted(name: &str) -> String {
    if name.contains('"') || name.contains('.') { name.to_owned() } else { Ident(name).to_string() }
}

fn method(method: IndexMethod) -> &'static str {
    match method {
        IndexMethod::Btree => "btree",
        IndexMethod::Hash => "hash",
        IndexMethod::Gist => "gist",
        IndexMethod::Spgist => "spgist",
        IndexMethod::Gin => "gin",
        IndexMethod::Brin => "brin",
    }
}
