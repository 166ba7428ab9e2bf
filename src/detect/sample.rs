//! Samples of the source: at most one query per table, bounded in rows, bytes and time.

use crate::catalog::{Catalog, Column, RelationKind, RelationName, Table};
use crate::pg::{Ident, Kind};
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Longest text taken of a value, in characters: enough to see what it is.
const TEXT_MAX_CHARS: u32 = 2000;
/// A document that is cut off cannot be read, so documents get more.
const DOCUMENT_MAX_CHARS: u32 = 16_384;
/// Tables above this size are sampled by page instead of from their start.
const TABLESAMPLE_MIN_BYTES: u64 = 64 * 1024 * 1024;
/// `TABLESAMPLE` returns about this many times the wanted rows, because pages differ.
const TABLESAMPLE_MARGIN: f64 = 4.0;
const TABLESAMPLE_MIN_PERCENT: f64 = 0.001;
/// Above the session's own `statement_timeout`, for a server that does not answer at all.
pub const QUERY_TIMEOUT: Duration = Duration::from_mins(2);
/// Separates the elements of an array; no text in practice holds it.
const ELEMENT_SEPARATOR: char = '\u{1f}';

#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error("sample table {table}")]
    Query {
        table: RelationName,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("sample table {table}: no answer within {} s", QUERY_TIMEOUT.as_secs())]
    Timeout { table: RelationName },
}

/// Non-null values of one column. `Debug` prints counts.
#[derive(Clone, Default, PartialEq)]
pub struct ColumnSample {
    values: Vec<String>,
    pub null_count: usize,
}

impl ColumnSample {
    pub fn new(values: Vec<String>, null_count: usize) -> Self {
        Self { values, null_count }
    }

    pub fn texts(&self) -> Vec<&str> {
        self.values.iter().map(String::as_str).collect()
    }
}

impl fmt::Debug for ColumnSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values, {} nulls", self.values.len(), self.null_count)
    }
}

/// Samples of one table by column name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSample {
    pub row_count: usize,
    pub columns: BTreeMap<String, ColumnSample>,
}

/// Samples of a database. Holds raw values: never log, never write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    pub tables: BTreeMap<RelationName, TableSample>,
}

/// Samples up to `rows` rows of every table, partitions through their root.
///
/// # Errors
/// The first table that cannot be read, or does not answer in time.
pub async fn sample(client: &Client, catalog: &Catalog, rows: u32) -> Result<Samples, SampleError> {
    let mut samples = Samples::default();
    for table in catalog.tables.iter().filter(|table| !table.partitioning.is_partition) {
        let columns: Vec<&Column> = table.columns.iter().filter(|one| is_sampled(one)).collect();
        if columns.is_empty() || rows == 0 {
            continue;
        }
        let text = query(table, &columns, rows);
        let mut found = run(client, table, &text).await?;
        if found.is_empty() && text.contains("tablesample") {
            // The estimate of the table's size was wrong: take what is there.
            found = run(client, table, &limited(table, &columns, rows)).await?;
        }
        samples.tables.insert(table.name.clone(), collect(&columns, &found));
    }
    Ok(samples)
}

async fn run(
    client: &Client,
    table: &Table,
    text: &str,
) -> Result<Vec<Vec<Option<String>>>, SampleError> {
    let answer = tokio::time::timeout(QUERY_TIMEOUT, client.simple_query(text))
        .await
        .map_err(|_elapsed| SampleError::Timeout { table: table.name.clone() })?
        .map_err(|source| SampleError::Query { table: table.name.clone(), source })?;
    let mut rows = Vec::new();
    for message in answer {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
        }
    }
    Ok(rows)
}

fn collect(columns: &[&Column], rows: &[Vec<Option<String>>]) -> TableSample {
    let mut sample = TableSample { row_count: rows.len(), columns: BTreeMap::new() };
    for (at, column) in columns.iter().enumerate() {
        let mut found = ColumnSample::default();
        for row in rows {
            match row.get(at).and_then(Option::as_ref) {
                None => found.null_count += 1,
                Some(text) if matches!(column.kind, Kind::Array(_)) => {
                    let elements = text.split(ELEMENT_SEPARATOR).filter(|one| !one.is_empty());
                    found.values.extend(elements.map(str::to_owned));
                }
                Some(text) => found.values.push(text.clone()),
            }
        }
        sample.columns.insert(column.name.clone(), found);
    }
    sample
}

/// Types that decide by themselves are not read, nor what the target computes.
fn is_sampled(column: &Column) -> bool {
    let kind = column.kind.element();
    column.is_copied()
        && !column.identity
        && (kind.is_text()
            || kind.is_integer()
            || matches!(kind, Kind::Numeric | Kind::Json | Kind::Jsonb))
}

fn query(table: &Table, columns: &[&Column], rows: u32) -> String {
    let big = table.kind == RelationKind::Table
        && table.is_heap
        && table.size_bytes > TABLESAMPLE_MIN_BYTES;
    match table.row_estimate {
        Some(estimate) if big && estimate > 0 => {
            #[expect(clippy::cast_precision_loss, reason = "a share in percent")]
            let share = f64::from(rows) / estimate as f64 * 100.0 * TABLESAMPLE_MARGIN;
            let percent = share.clamp(TABLESAMPLE_MIN_PERCENT, 100.0);
            format!(
                "select {} from {} tablesample system ({percent:.4}) limit {rows}",
                list(columns),
                table.name.sql()
            )
        }
        _ => limited(table, columns, rows),
    }
}

fn limited(table: &Table, columns: &[&Column], rows: u32) -> String {
    format!("select {} from {} limit {rows}", list(columns), table.name.sql())
}

fn list(columns: &[&Column]) -> String {
    let mut text = String::new();
    for (at, column) in columns.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let name = Ident(&column.name);
        let value = if matches!(column.kind, Kind::Array(_)) {
            format!("pg_catalog.array_to_string({name}, E'\\x1f')")
        } else {
            format!("{name}::pg_catalog.text")
        };
        let json = matches!(column.kind.element(), Kind::Json | Kind::Jsonb);
        let chars = if json { DOCUMENT_MAX_CHARS } else { TEXT_MAX_CHARS };
        let _ = write!(text, "{comma}pg_catalog.left({value}, {chars})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{collect, query};
    use crate::transform::plan::sketch::{catalog, column};

    #[test]
    fn one_bounded_query_reads_a_table() {
        let mut catalog = catalog(&["public.users: e\"mail text, tags text[]"]);
        let users = catalog.tables.first_mut().unwrap();
        let sampled: Vec<_> = users.columns.iter().collect();
        assert_eq!(
            query(users, &sampled, 100),
            "select pg_catalog.left(\"e\"\"mail\"::pg_catalog.text, 2000), \
             pg_catalog.left(pg_catalog.array_to_string(\"tags\", E'\\x1f'), 2000) \
             from \"public\".\"users\" limit 100"
        );
        users.size_bytes = 1 << 30;
        users.row_estimate = Some(1_000_000);
        let sampled: Vec<_> = users.columns.iter().collect();
        let text = query(users, &sampled, 100);
        assert!(text.ends_with("tablesample system (0.0400) limit 100"), "{text}");
    }

    #[test]
    fn samples_print_counts_only() {
        let columns = [column("tags", "text[]")];
        let columns: Vec<_> = columns.iter().collect();
        let sample = collect(&columns, &[vec![Some("jane\u{1f}joe".into())], vec![None]]);
        let text = format!("{sample:?}");
        assert!(text.contains("2 values, 1 nulls") && !text.contains("jane"), "{text}");
    }
}
