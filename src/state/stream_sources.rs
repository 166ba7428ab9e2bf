//! Which tables of the source a stream's target follows: `backlot.stream_source`.

use crate::catalog::RelationName;
use crate::pg::{Error, Literal, Oid, Session};
use std::collections::BTreeMap;

const READ: &str = "select relation, oid from backlot.stream_source";

/// By name, as [`RelationName`] prints it.
pub async fn source_oids(session: &Session) -> Result<BTreeMap<String, Oid>, Error> {
    let rows = session.query(READ, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), Oid(row.get(1)))).collect())
}

/// The statement that writes down which tables these are; None without any.
pub fn source_statement(tables: &BTreeMap<RelationName, Oid>) -> Option<String> {
    let row =
        |(name, oid): (&RelationName, &Oid)| format!("({}, {oid})", Literal(&name.to_string()));
    let rows = tables.iter().map(row).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "insert into backlot.stream_source (relation, oid) values {rows} \
         on conflict (relation) do update set oid = excluded.oid"
    );
    (!rows.is_empty()).then_some(sql)
}
