//! Loads a [`Catalog`] in six queries, however many tables there are.

use crate::catalog::types::{TypeRow, Types};
use crate::catalog::{
    Catalog, Column, ForeignKey, Generated, Index, Partitioning, RelationKind, RelationName,
    Sequence, Table,
};
use crate::pg::{Error, Oid, Session};
use std::collections::HashMap;
use tokio_postgres::Row;

const USER_TABLES: &str = include_str!("sql/user_tables.sql");
const TABLES: &str = concat!(
    "with user_tables as (",
    include_str!("sql/user_tables.sql"),
    ")",
    include_str!("sql/tables.sql")
);
const COLUMNS: &str = include_str!("sql/columns.sql");
const TYPES: &str = include_str!("sql/types.sql");
const INDEXES: &str = include_str!("sql/indexes.sql");
const FOREIGN_KEYS: &str = include_str!("sql/foreign_keys.sql");
const SEQUENCES: &str = include_str!("sql/sequences.sql");

/// Loads what the session's snapshot sees.
pub async fn load(session: &Session) -> Result<Catalog, Error> {
    let queries = [TYPES, COLUMNS, INDEXES, TABLES, FOREIGN_KEYS, SEQUENCES];
    let [types, columns, indexes, tables, foreign_keys, sequences] =
        session.query_at_once(queries).await?;
    let mut columns_of = columns_of(&columns, &types_of(&types));
    let mut indexes_of = indexes_of(&indexes);
    let table = |row: &Row| {
        let oid = Oid(row.get("oid"));
        let columns = columns_of.remove(&oid).unwrap_or_default();
        table(row, columns, indexes_of.remove(&oid).unwrap_or_default())
    };
    let mut tables = tables.iter().map(table).collect::<Vec<_>>();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let foreign_keys = foreign_keys.iter().map(foreign_key).collect();
    let sequences = sequences.iter().map(sequence).collect();
    Ok(Catalog { tables, foreign_keys, sequences })
}

/// A table without anything of it.
pub struct TableName {
    pub oid: Oid,
    pub name: RelationName,
    pub is_partition: bool,
}

/// The tables that [`load`] has.
pub async fn table_names(session: &Session) -> Result<Vec<TableName>, Error> {
    let rows = session.query(USER_TABLES, &[]).await?;
    let name = |row: &Row| TableName {
        oid: Oid(row.get("oid")),
        name: RelationName::new(row.get::<_, String>("schema"), row.get::<_, String>("name")),
        is_partition: row.get("is_partition"),
    };
    Ok(rows.iter().map(name).collect())
}

fn types_of(rows: &[Row]) -> Types {
    let mut types = Types::default();
    for row in rows {
        types.0.insert(
            Oid(row.get("oid")),
            TypeRow {
                name: row.get("name"),
                type_type: row.get("type_type"),
                element: Oid(row.get("element")),
                base: Oid(row.get("base")),
                type_modifier: row.get("type_modifier"),
                has_binary: row.get("has_binary"),
                is_array: row.get("is_array"),
                range_subtype: Oid(row.get("range_subtype")),
                fields: row.get::<_, Vec<u32>>("fields").into_iter().map(Oid).collect(),
                labels: row.get("labels"),
            },
        );
    }
    types
}

fn columns_of(rows: &[Row], types: &Types) -> HashMap<Oid, Vec<Column>> {
    let mut columns = HashMap::<Oid, Vec<Column>>::new();
    for row in rows {
        let type_oid = Oid(row.get("type_oid"));
        columns.entry(Oid(row.get("table_oid"))).or_default().push(Column {
            name: row.get("name"),
            number: row.get("number"),
            type_oid,
            type_name: row.get("type_name"),
            kind: types.kind(type_oid),
            max_chars: types.max_chars(type_oid, row.get("type_modifier")),
            not_null: row.get("not_null"),
            generated: match row.get("generated") {
                "s" => Generated::Stored,
                "v" => Generated::Virtual,
                _ => Generated::No,
            },
            identity: !row.get::<_, &str>("identity").is_empty(),
            has_binary: types.has_binary(type_oid),
            enum_labels: types.labels(type_oid),
            comment: row.get("comment"),
        });
    }
    columns
}

fn indexes_of(rows: &[Row]) -> HashMap<Oid, Vec<Index>> {
    let mut indexes = HashMap::<Oid, Vec<Index>>::new();
    for row in rows {
        indexes.entry(Oid(row.get("table_oid"))).or_default().push(Index {
            name: row.get("name"),
            is_unique: row.get("is_unique"),
            key_columns: row.get("columns"),
            has_expressions: row.get("has_expressions"),
            is_partial: row.get("is_partial"),
        });
    }
    indexes
}

fn table(row: &Row, columns: Vec<Column>, indexes: Vec<Index>) -> Table {
    let parents = row
        .get::<_, Vec<String>>("parent_schemas")
        .into_iter()
        .zip(row.get::<_, Vec<String>>("parent_names"));
    let reltuples: f64 = row.get("reltuples");
    Table {
        oid: Oid(row.get("oid")),
        name: RelationName::new(row.get::<_, String>("schema"), row.get::<_, String>("name")),
        kind: if row.get::<_, &str>("kind") == "p" {
            RelationKind::Partitioned
        } else {
            RelationKind::Table
        },
        columns,
        primary_key: row.get("primary_key"),
        indexes,
        partitioning: Partitioning {
            parents: parents.map(|(schema, name)| RelationName::new(schema, name)).collect(),
            is_partition: row.get("is_partition"),
            key_columns: row.get("partition_columns"),
            hashes_oids: row.get("hashes_oids"),
        },
        size_bytes: u64::try_from(row.get::<_, i64>("size_bytes")).unwrap_or(0),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, tested for sign"
        )]
        row_estimate: (reltuples >= 0.0).then_some(reltuples as u64),
        is_heap: row.get("is_heap"),
        is_readable: row.get("is_readable"),
        row_security: row.get("row_security"),
        comment: row.get("comment"),
    }
}

fn foreign_key(row: &Row) -> ForeignKey {
    let name =
        |schema, name| RelationName::new(row.get::<_, String>(schema), row.get::<_, String>(name));
    ForeignKey {
        oid: Oid(row.get("oid")),
        name: row.get("name"),
        from: name("from_schema", "from_name"),
        from_columns: row.get("from_columns"),
        to: name("to_schema", "to_name"),
        to_columns: row.get("to_columns"),
        is_valid: row.get("is_valid"),
    }
}

fn sequence(row: &Row) -> Sequence {
    let owner_table = row.get::<_, Option<String>>("owner_table");
    let owner = owner_table.map(|table| {
        let schema: Option<String> = row.get("owner_schema");
        let column: Option<String> = row.get("owner_column");
        (RelationName::new(schema.unwrap_or_default(), table), column.unwrap_or_default())
    });
    Sequence {
        name: RelationName::new(row.get::<_, String>("schema"), row.get::<_, String>("name")),
        owner,
    }
}
