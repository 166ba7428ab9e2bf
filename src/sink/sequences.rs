//! Sequences: brought to where the source's are, and never below what the target's rows use.
//!
//! Set-wise: a handful of statements for all of them, as a target may be far away and the stream
//! does this every few seconds.

use crate::catalog::{Catalog, RelationName, Sequence};
use crate::pg::{Error, Ident, Literal, Session};
use std::collections::{HashMap, HashSet};

const EXISTING: &str = "select n.nspname::text, c.relname::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S'";

const SET: &str = "select pg_catalog.count(pg_catalog.setval(s.name::pg_catalog.regclass, s.last_value, s.is_called)) \
     from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::bool[])) \
     as s (name, last_value, is_called)";

/// Sequences that one statement names: each takes a lock for its duration, and a server has room
/// for 6400 by default (`max_locks_per_transaction`).
const STATEMENT_SEQUENCES: usize = 500;

/// `last_value` and `is_called` of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceState {
    pub last_value: i64,
    pub is_called: bool,
}

/// Copies the state of every sequence once, as [`SequenceCopy::run`] does.
pub async fn copy_sequences(
    source: &Session,
    target: &Session,
    catalog: &Catalog,
    is_there: impl Fn(&Sequence) -> bool,
    is_masked: impl Fn(&RelationName, &str) -> bool,
) -> Result<usize, Error> {
    SequenceCopy::default().run(source, target, catalog, is_there, is_masked).await
}

/// Copies sequences again and again, and remembers what it has copied.
#[derive(Default)]
pub struct SequenceCopy {
    copied: HashMap<RelationName, SequenceState>,
}

impl SequenceCopy {
    /// Copies the state of the sequences that changed on the source since the last time.
    /// `is_there` tells whether the target has one; those that the source has dropped are passed
    /// over. `is_masked` tells whether a column has a rule: its sequence then starts behind the
    /// largest masked value. Returns how many were set.
    pub async fn run(
        &mut self,
        source: &Session,
        target: &Session,
        catalog: &Catalog,
        is_there: impl Fn(&Sequence) -> bool,
        is_masked: impl Fn(&RelationName, &str) -> bool,
    ) -> Result<usize, Error> {
        let existing = existing(source).await?;
        let wanted = |sequence: &&Sequence| existing.contains(&sequence.name) && is_there(sequence);
        let sequences = catalog.sequences.iter().filter(wanted).collect::<Vec<_>>();
        let mut count = 0;
        for chunk in sequences.chunks(STATEMENT_SEQUENCES) {
            let mut states = read(source, chunk).await?;
            states.retain(|(sequence, state)| self.copied.get(&sequence.name) != Some(state));
            set(target, &states, &is_masked).await?;
            count += states.len();
            let copied = states.into_iter().map(|(sequence, state)| (sequence.name.clone(), state));
            self.copied.extend(copied);
        }
        Ok(count)
    }
}

async fn existing(session: &Session) -> Result<HashSet<RelationName>, Error> {
    let rows = session.query(EXISTING, &[]).await?;
    let name = |row: &tokio_postgres::Row| {
        RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1))
    };
    Ok(rows.iter().map(name).collect())
}

/// A sequence's own row has what no view of all supported versions tells: a value that was set
/// but not yet called.
async fn read<'s>(
    source: &Session,
    sequences: &[&'s Sequence],
) -> Result<Vec<(&'s Sequence, SequenceState)>, Error> {
    let mut sql = String::new();
    for (at, sequence) in sequences.iter().enumerate() {
        let union = if at == 0 { "" } else { " union all " };
        let (at, name) = (at.to_string(), sequence.name.sql());
        sql.extend([union, "select ", &at, ", last_value, is_called from ", &name]);
    }
    let rows = source.query(&sql, &[]).await?;
    let state = |row: &tokio_postgres::Row| {
        let at = usize::try_from(row.get::<_, i32>(0)).ok()?;
        let state = SequenceState { last_value: row.get(1), is_called: row.get(2) };
        Some((*sequences.get(at)?, state))
    };
    Ok(rows.iter().filter_map(state).collect())
}

async fn set(
    target: &Session,
    states: &[(&Sequence, SequenceState)],
    is_masked: impl Fn(&RelationName, &str) -> bool,
) -> Result<(), Error> {
    let (mut names, mut values, mut called) = (Vec::new(), Vec::new(), Vec::new());
    let mut behind_rows = Vec::new();
    for (sequence, state) in states {
        let masked_owner =
            sequence.owner.as_ref().filter(|(table, column)| is_masked(table, column));
        if let Some((table, column)) = masked_owner {
            behind_rows.push(behind_largest(&sequence.name, *state, table, column));
        } else {
            names.push(sequence.name.sql());
            values.push(state.last_value);
            called.push(state.is_called);
        }
    }
    if !names.is_empty() {
        target.query_one(SET, &[&names, &values, &called]).await?;
    }
    if !behind_rows.is_empty() {
        target.execute_all(&behind_rows.join(" union all ")).await?;
    }
    Ok(())
}

fn behind_largest(
    sequence: &RelationName,
    state: SequenceState,
    table: &RelationName,
    column: &str,
) -> String {
    let SequenceState { last_value, is_called } = state;
    let largest = format!("coalesce(pg_catalog.max({})::bigint, 0)", Ident(column));
    format!(
        "select pg_catalog.setval({}, greatest({last_value}, {largest}), {is_called} or {largest} >= {last_value}) from {}",
        Literal(&sequence.sql()),
        table.sql()
    )
}
