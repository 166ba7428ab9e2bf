//! The case's database as a client of it sees it.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::case::{Object, ObjectKind};

/// The schema of everything but the state, one line an object.
const PICTURE: &str = include_str!("picture.sql");

/// A statement's rows as `a|b`, NULL as `∅`, or the SQLSTATE of its failure.
pub(super) async fn run(client: &Client, text: &str) -> Result<Vec<String>, (String, String)> {
    let messages = client.simple_query(text).await.map_err(|error| {
        let code = error.code().map_or("", |code| code.code()).to_owned();
        let said =
            error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned());
        (code, said)
    })?;
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|at| row.get(at).unwrap_or("∅"));
            Some(values.collect::<Vec<_>>().join("|"))
        }
        // Row descriptions and command tags; the enum is the driver's and may grow.
        SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => None,
    };
    Ok(messages.iter().filter_map(row).collect())
}

/// As [`run`]; it must succeed.
pub(super) async fn must(client: &Client, text: &str) -> Result<Vec<String>, String> {
    run(client, text).await.map_err(|(code, said)| format!("{code}: {said}\n{text}"))
}

/// Whatever the step before left behind is gone.
pub(super) async fn set_path(client: &Client, schema: &str) -> Result<(), String> {
    let path = quoted(schema);
    must(
        client,
        &format!("rollback; reset session authorization; reset all; set search_path = {path}"),
    )
    .await
    .map(drop)
}

pub(super) async fn picture(client: &Client) -> Result<Vec<String>, String> {
    // A name is qualified where the path does not show it.
    must(client, "rollback; reset session authorization; reset all; set search_path = pg_catalog")
        .await?;
    must(client, PICTURE).await
}

/// What one has and the other has not.
pub(super) fn difference(before: &[String], after: &[String]) -> Result<(), String> {
    let only = |these: &[String], those: &[String], sign: &str| -> String {
        let lines = these.iter().filter(|line| !those.contains(line));
        lines.fold(String::new(), |text, line| format!("{text}\n  {sign} {line}"))
    };
    let text = only(before, after, "-") + &only(after, before, "+");
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// Whether the object is there. `schema`: its own, or that of the version.
pub(super) async fn is_there(
    client: &Client,
    schema: &str,
    object: &Object,
) -> Result<bool, String> {
    let (of, name) = (literal(&object.of), literal(&object.name));
    let in_schema = format!(
        "relnamespace = (select oid from pg_namespace where nspname = {})",
        literal(schema)
    );
    let query = match object.kind {
        ObjectKind::Table => format!("pg_class where relkind in ('r', 'p') and relname = {name} and {in_schema}"),
        ObjectKind::View => format!("pg_class where relkind = 'v' and relname = {name} and {in_schema}"),
        ObjectKind::Index => format!(
            "pg_class join pg_index on indexrelid = pg_class.oid where indisvalid and relname = {name} and {in_schema}"
        ),
        ObjectKind::Column => format!(
            "pg_class join pg_attribute on attrelid = pg_class.oid
             where attnum > 0 and not attisdropped and relname = {of} and attname = {name} and {in_schema}"
        ),
        ObjectKind::Constraint => format!(
            "pg_class join pg_constraint on conrelid = pg_class.oid
             where relname = {of} and conname = {name} and {in_schema}"
        ),
    };
    let rows = must(client, &format!("select exists (select from {query})")).await?;
    Ok(rows == ["t"])
}

/// Empties every table of the schema, and gives its sequences their beginnings.
pub(super) async fn empty(client: &Client, schema: &str) -> Result<(), String> {
    let query = format!(
        "select string_agg(oid::regclass::text, ', ') from pg_class
         where relkind in ('r', 'p') and relnamespace = {}::regnamespace",
        literal(&quoted(schema))
    );
    let tables = must(client, &query).await?;
    if tables == ["∅"] {
        return Ok(());
    }
    must(client, &format!("truncate {} restart identity cascade", tables.join(""))).await.map(drop)
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
