//! What a stream's target has of the source's columns: `backlot.stream_column`.

use crate::catalog::{KnownColumn, KnownColumns, RelationName};
use crate::pg::{Error, Literal, Session};

const READ: &str = "select schema_name, table_name, number, name, type_name, origin \
     from backlot.stream_column order by 1, 2, 3";

/// Of all tables. Empty where the state has no such table yet: an older backlot made it.
pub async fn known_columns(session: &Session) -> Result<KnownColumns, Error> {
    let sql = "select pg_catalog.to_regclass('backlot.stream_column') is not null";
    let mut known = KnownColumns::new();
    if !session.query_one(sql, &[]).await?.get::<_, bool>(0) {
        return Ok(known);
    }
    for row in session.query(READ, &[]).await? {
        let name = RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        known.entry(name).or_default().push(KnownColumn {
            number: row.get(2),
            name: row.get(3),
            type_name: row.get(4),
            origin: row.get(5),
        });
    }
    Ok(known)
}

/// Statements that write down what is known of one table.
pub fn known_statements(table: &RelationName, columns: &[KnownColumn]) -> Vec<String> {
    let (schema, name) = (Literal(&table.schema), Literal(&table.name));
    let mut statements = vec![format!(
        "delete from backlot.stream_column where schema_name = {schema} and table_name = {name}"
    )];
    let rows = columns.iter().map(|column| {
        let origin = column.origin.as_deref();
        let origin = origin.map_or_else(|| "null".to_owned(), |name| Literal(name).to_string());
        format!(
            "({schema}, {name}, {}, {}, {}, {origin})",
            column.number,
            Literal(&column.name),
            Literal(&column.type_name)
        )
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    if !rows.is_empty() {
        statements.push(format!(
            "insert into backlot.stream_column \
             (schema_name, table_name, number, name, type_name, origin) values {rows}"
        ));
    }
    statements
}
