//! Rows of the target that refer to nothing: for every foreign key, validated or not, and every
//! reference of the rules.
//!
//! Keys that the server does not vouch for (NOT VALID, references that are only in the rules) may
//! dangle in the source too: then as many may dangle in the target.

use super::error::VerifyError;
use crate::catalog::{Catalog, ColumnRef, RelationKind};
use crate::pg::{Ident, Session};
use crate::transform::plan::Plan;
use serde::Serialize;

const FOREIGN_KEYS: &str = include_str!("sql/foreign_keys.sql");

/// A reference some of whose rows lead nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Orphans {
    /// `schema.table(columns) -> schema.table(columns)`
    pub reference: String,
    /// The constraint; `None` for a reference of the rules.
    pub constraint: Option<String>,
    pub orphans: u64,
    /// Counted only where the source may have some.
    pub orphans_in_source: u64,
}

/// What was looked at, and what dangles.
#[derive(Clone, Debug, Default)]
pub(super) struct Integrity {
    pub(super) references: usize,
    pub(super) orphans: Vec<Orphans>,
    pub(super) notes: Vec<String>,
}

struct Reference {
    shown: String,
    constraint: Option<String>,
    /// Counts the orphans.
    sql: String,
    /// The server has checked it.
    is_vouched_for: bool,
}

/// Counts in the target's snapshot, and where that is needed in the source's.
pub(super) async fn count(
    source: &Session,
    target: &Session,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    plan: &Plan,
) -> Result<Integrity, VerifyError> {
    let mut found = Integrity::default();
    let mut references = foreign_keys(target, &mut found).await?;
    let configured = plan
        .references
        .iter()
        .filter_map(|(from, to)| configured(*from, *to, source_catalog, target_catalog));
    references.extend(configured);
    let is_subset = plan.tables.iter().any(|table| table.filter.is_some());
    for reference in references {
        found.references += 1;
        let orphans = ask(target, &reference.sql).await?;
        if orphans == 0 {
            continue;
        }
        let mut in_source = 0;
        if !reference.is_vouched_for {
            in_source = ask(source, &reference.sql).await?;
        }
        if orphans <= in_source {
            let Reference { shown, .. } = &reference;
            found.notes.push(format!("{shown}: {orphans} orphans, as in the source"));
        } else if is_subset && reference.constraint.is_none() {
            // A subset follows foreign keys; the rules' own references it does not know.
            let Reference { shown, .. } = &reference;
            found.notes.push(format!("{shown}: {orphans} orphans, of rows outside of the subset"));
        } else {
            found.orphans.push(Orphans {
                reference: reference.shown,
                constraint: reference.constraint,
                orphans,
                orphans_in_source: in_source,
            });
        }
    }
    Ok(found)
}

async fn ask(session: &Session, sql: &str) -> Result<u64, VerifyError> {
    let row = session
        .query_one(sql, &[])
        .await
        .map_err(|error| VerifyError::query("count orphans")(error.into()))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

async fn foreign_keys(
    target: &Session,
    found: &mut Integrity,
) -> Result<Vec<Reference>, VerifyError> {
    let rows = target
        .query(FOREIGN_KEYS, &[])
        .await
        .map_err(|error| VerifyError::query("list the target's foreign keys")(error.into()))?;
    let mut references = Vec::new();
    for row in rows {
        let text = |column: &str| row.get::<_, String>(column);
        let list = |column: &str| row.get::<_, Vec<String>>(column);
        let shown = format!(
            "{}.{}({}) -> {}.{}({})",
            text("from_schema"),
            text("from_name"),
            list("from_columns").join(", "),
            text("to_schema"),
            text("to_name"),
            list("to_columns").join(", ")
        );
        if row.get("is_period") {
            found.notes.push(format!("{shown}: not counted, a key over a period"));
            continue;
        }
        let columns = list("from_columns").into_iter().zip(list("to_columns"));
        let pairs = columns.zip(list("operators")).map(|((from, to), operator)| {
            format!("t.{} {operator} f.{}", Ident(&to), Ident(&from))
        });
        let sql = orphans_sql(
            &text("from_sql"),
            &text("to_sql"),
            &list("from_columns"),
            &pairs.collect::<Vec<_>>().join(" and "),
        );
        references.push(Reference {
            shown,
            constraint: Some(text("name")),
            sql,
            is_vouched_for: row.get("is_valid"),
        });
    }
    Ok(references)
}

/// A reference of the rules; `None` if one of its tables is not on the target.
fn configured(
    from: ColumnRef,
    to: ColumnRef,
    source: &Catalog,
    target: &Catalog,
) -> Option<Reference> {
    let end = |at: ColumnRef| {
        let table = source.table(at.table);
        let column = &table.columns.get(at.column)?.name;
        let there = target.find(&table.name).map(|id| target.table(id))?;
        there.column(column)?;
        let only = if there.kind == RelationKind::Partitioned { "" } else { "only " };
        let name = format!("{}({column})", table.name);
        Some((name, format!("{only}{}", table.name.sql()), column.clone()))
    };
    let (from, to) = (end(from)?, end(to)?);
    // The types may be others: text compares them all.
    let pair = format!("t.{}::text = f.{}::text", Ident(&to.2), Ident(&from.2));
    Some(Reference {
        shown: format!("{} -> {}", from.0, to.0),
        constraint: None,
        sql: orphans_sql(&from.1, &to.1, &[from.2], &pair),
        is_vouched_for: false,
    })
}

/// MATCH SIMPLE: a key with a NULL in it refers to nothing and need not.
fn orphans_sql(from: &str, to: &str, columns: &[String], pairs: &str) -> String {
    let present = columns
        .iter()
        .map(|name| format!("f.{} is not null", Ident(name)))
        .collect::<Vec<_>>()
        .join(" and ");
    format!(
        "select pg_catalog.count(*) from {from} f where {present} \
         and not exists (select from {to} t where {pairs})"
    )
}
