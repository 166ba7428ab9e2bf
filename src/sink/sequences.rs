//! Sequences: brought to where the source's are, and never below what the target's rows use.

use crate::catalog::{Catalog, RelationName, Sequence};
use crate::pg::{Error, Ident, Literal, Session};

/// `last_value` and `is_called` of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceState {
    pub last_value: i64,
    pub is_called: bool,
}

/// Copies the state of every sequence. `masked` tells whether a column has a rule: its sequence
/// then starts behind the largest masked value. Returns how many were set.
pub async fn copy_sequences(
    source: &Session,
    target: &Session,
    catalog: &Catalog,
    is_there: impl Fn(&Sequence) -> bool,
    is_masked: impl Fn(&RelationName, &str) -> bool,
) -> Result<usize, Error> {
    let mut count = 0;
    for sequence in catalog.sequences.iter().filter(|sequence| is_there(sequence)) {
        let state = read(source, &sequence.name).await?;
        let name = Literal(&sequence.name.sql()).to_string();
        let mut set =
            format!("select pg_catalog.setval({name}, {}, {})", state.last_value, state.is_called);
        if let Some((table, column)) = &sequence.owner
            && is_masked(table, column)
        {
            let column = Ident(column);
            set = format!(
                "select pg_catalog.setval({name}, greatest({}, coalesce(max({column}), 0)), {} or coalesce(max({column}), 0) >= {}) from {}",
                state.last_value,
                state.is_called,
                state.last_value,
                table.sql()
            );
        }
        target.execute_all(&set).await?;
        count += 1;
    }
    Ok(count)
}

async fn read(source: &Session, name: &RelationName) -> Result<SequenceState, Error> {
    let row =
        source.query_one(&format!("select last_value, is_called from {}", name.sql()), &[]).await?;
    Ok(SequenceState { last_value: row.get(0), is_called: row.get(1) })
}
