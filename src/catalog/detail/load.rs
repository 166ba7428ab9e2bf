//! Loads a [`Schema`] in eleven queries, however many tables there are.

use crate::catalog::detail::{Constraint, Schema, Table, VersionSchema, View};
use crate::pg::{Error, Oid, Session};
use serde::de::DeserializeOwned;
use std::collections::HashMap;

const SCHEMA: &str = include_str!("sql/schema.sql");
const TABLES: &str = include_str!("sql/tables.sql");
const COLUMNS: &str = include_str!("sql/columns.sql");
const CONSTRAINTS: &str = include_str!("sql/constraints.sql");
const INDEXES: &str = include_str!("sql/indexes.sql");
const TRIGGERS: &str = include_str!("sql/triggers.sql");
const POLICIES: &str = include_str!("sql/policies.sql");
const PUBLICATIONS: &str = include_str!("sql/publications.sql");
const STATISTICS: &str = include_str!("sql/statistics.sql");
const DEPENDENTS: &str = include_str!("sql/dependents.sql");
const VIEWS: &str = include_str!("sql/views.sql");
const VERSION_SCHEMAS: &str = include_str!("sql/version_schemas.sql");
/// The first version whose publications have column lists and row filters.
const PUBLICATION_LISTS: i32 = 150_000;

/// Loads what the session's snapshot sees; `None` if there is no such schema.
///
/// The session's `search_path` must be empty: the texts of the model are qualified by it.
pub async fn load(session: &Session, schema: &str) -> Result<Option<Schema>, Error> {
    let Some(row) = session.query_opt(SCHEMA, &[&schema]).await? else { return Ok(None) };
    let mut loaded: Schema = parse(row.get(0))?;
    loaded.versions = rows::<VersionSchema>(session, VERSION_SCHEMAS, schema).await?;

    let mut tables = Vec::<(Oid, Table)>::new();
    for row in session.query(TABLES, &[&schema]).await? {
        tables.push((Oid(row.get(0)), parse(row.get(1))?));
    }
    let mut columns = by_table(session, COLUMNS, schema).await?;
    let mut indexes = by_table(session, INDEXES, schema).await?;
    let mut triggers = by_table(session, TRIGGERS, schema).await?;
    let mut policies = by_table(session, POLICIES, schema).await?;
    let mut publications = if loaded.server_version >= PUBLICATION_LISTS {
        by_table(session, PUBLICATIONS, schema).await?
    } else {
        HashMap::new()
    };
    let mut statistics = by_table(session, STATISTICS, schema).await?;
    let mut dependents = by_table(session, DEPENDENTS, schema).await?;
    for (oid, table) in &mut tables {
        table.columns = columns.remove(oid).unwrap_or_default();
        table.indexes = indexes.remove(oid).unwrap_or_default();
        table.triggers = triggers.remove(oid).unwrap_or_default();
        table.policies = policies.remove(oid).unwrap_or_default();
        table.publications = publications.remove(oid).unwrap_or_default();
        table.statistics = statistics.remove(oid).unwrap_or_default();
        table.dependents = dependents.remove(oid).unwrap_or_default();
    }
    loaded.tables = tables.into_iter().map(|(_, table)| (table.name.clone(), table)).collect();
    for row in session.query(CONSTRAINTS, &[&schema]).await? {
        place(&mut loaded, parse(row.get(1))?);
    }
    let versions: Vec<String> = loaded.versions.iter().map(|one| one.name.clone()).collect();
    for row in session.query(VIEWS, &[&schema, &versions]).await? {
        loaded.views.push(parse::<View>(row.get(0))?);
    }
    Ok(Some(loaded))
}

/// A constraint belongs to its table, and a foreign key also to the one that it refers to.
fn place(schema: &mut Schema, constraint: Constraint) {
    let is_inbound = constraint.referenced_schema.as_ref() == Some(&schema.name);
    if let Some(to) = constraint.referenced_table.as_ref().filter(|_| is_inbound)
        && let Some(table) = schema.tables.get_mut(to)
        && constraint.schema == schema.name
    {
        table.inbound.push(constraint.clone());
    }
    if constraint.schema != schema.name {
        schema.foreign_inbound.push(constraint);
    } else if let Some(table) = schema.tables.get_mut(&constraint.table) {
        table.constraints.push(constraint);
    }
}

async fn by_table<T: DeserializeOwned>(
    session: &Session,
    query: &str,
    schema: &str,
) -> Result<HashMap<Oid, Vec<T>>, Error> {
    let mut found = HashMap::<Oid, Vec<T>>::new();
    for row in session.query(query, &[&schema]).await? {
        found.entry(Oid(row.get(0))).or_default().push(parse(row.get(1))?);
    }
    Ok(found)
}

async fn rows<T: DeserializeOwned>(
    session: &Session,
    query: &str,
    schema: &str,
) -> Result<Vec<T>, Error> {
    session.query(query, &[&schema]).await?.iter().map(|row| parse(row.get(0))).collect()
}

/// The queries of this module make the text, so that only a server that breaks its word gets here.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Protocol("the catalogs gave an unknown shape"))
}
