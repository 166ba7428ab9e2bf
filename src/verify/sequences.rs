//! Sequences: the target's must not be behind the source's, or rows that are inserted there
//! would meet keys that are taken. They are not in any snapshot: both are read as they are now.

use super::error::VerifyError;
use crate::catalog::{Catalog, RelationName};
use crate::pg::{Error, Session};
use serde::Serialize;
use std::collections::HashMap;

const SEQUENCES: &str = "select n.nspname::text, c.relname::text, s.seqincrement \
     from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where case c.relkind when 'S' then pg_catalog.has_sequence_privilege(c.oid, 'select') end";

/// A sequence that gives numbers which the source has given already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SequenceBehind {
    pub sequence: String,
    pub source: i64,
    pub target: i64,
}

/// Sequences of the catalog that both sides have; returns how many, and those behind.
pub(super) async fn compare(
    source: &Session,
    target: &Session,
    catalog: &Catalog,
    is_wanted: impl Fn(&RelationName) -> bool,
) -> Result<(usize, Vec<SequenceBehind>), VerifyError> {
    let failed = |error: Error| VerifyError::query("read the sequences")(error);
    let (ours, theirs) = (list(source).await.map_err(failed)?, list(target).await.map_err(failed)?);
    let (mut count, mut behind) = (0, Vec::new());
    for sequence in &catalog.sequences {
        let owner = sequence.owner.as_ref().map(|(table, _)| table);
        let (Some(increment), true) =
            (ours.get(&sequence.name), theirs.contains_key(&sequence.name))
        else {
            continue;
        };
        if owner.is_some_and(|table| !is_wanted(table)) {
            continue;
        }
        count += 1;
        let before = position(source, &sequence.name).await.map_err(failed)?;
        let after = position(target, &sequence.name).await.map_err(failed)?;
        let is_behind = if *increment > 0 { after < before } else { flip(after) < flip(before) };
        if is_behind {
            let (sequence, source, target) = (sequence.name.to_string(), before.0, after.0);
            behind.push(SequenceBehind { sequence, source, target });
        }
    }
    Ok((count, behind))
}

/// By name, with the increment.
async fn list(session: &Session) -> Result<HashMap<RelationName, i64>, Error> {
    let rows = session.query(SEQUENCES, &[]).await?;
    let name = |row: &tokio_postgres::Row| {
        RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1))
    };
    Ok(rows.iter().map(|row| (name(row), row.get(2))).collect())
}

async fn position(session: &Session, name: &RelationName) -> Result<(i64, bool), Error> {
    let row = session
        .query_one(&format!("select last_value, is_called from {}", name.sql()), &[])
        .await?;
    Ok((row.get(0), row.get(1)))
}

/// Of a sequence that counts down.
fn flip((value, is_called): (i64, bool)) -> (i64, bool) {
    (value.saturating_neg(), is_called)
}
