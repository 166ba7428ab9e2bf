//! What a stream writes down of tables in the target's schema `backlot`, as statements.

use super::status::TableState;
use crate::catalog::RelationName;
use crate::pg::Literal;

/// What a table is from now on, why, for people, and the hash of the rules that it is masked by.
pub(super) fn state_statement(
    relation: &RelationName,
    state: TableState,
    reason: Option<&str>,
    rules_hash: &str,
) -> String {
    let insert = insertion(relation, state, reason, rules_hash);
    format!(
        "{insert} on conflict (relation) do update set state = excluded.state, \
         reason = excluded.reason, rules_hash = excluded.rules_hash, changed_at = pg_catalog.now()"
    )
}

/// As [`state_statement`], of a table of which nothing is written down; else that stays.
pub(super) fn first_state_statement(
    relation: &RelationName,
    state: TableState,
    reason: Option<&str>,
    rules_hash: &str,
) -> String {
    insertion(relation, state, reason, rules_hash) + " on conflict (relation) do nothing"
}

fn insertion(
    relation: &RelationName,
    state: TableState,
    reason: Option<&str>,
    rules_hash: &str,
) -> String {
    let reason = reason.map_or_else(|| "null".to_owned(), |reason| Literal(reason).to_string());
    format!(
        "insert into backlot.stream_table (relation, state, reason, rules_hash) values ({}, {}, {reason}, {})",
        Literal(&relation.to_string()),
        Literal(state.name()),
        Literal(rules_hash)
    )
}

/// What a table is masked by from now on. What it is, and why, stays; one of which nothing is
/// written down is followed.
pub(super) fn hash_statement(relation: &RelationName, rules_hash: &str) -> String {
    format!(
        "insert into backlot.stream_table (relation, state, rules_hash) values ({}, 'streaming', {}) \
         on conflict (relation) do update set rules_hash = excluded.rules_hash",
        Literal(&relation.to_string()),
        Literal(rules_hash)
    )
}

/// Forgets tables, named as [`RelationName`] prints them.
pub(super) fn forget_statement<'n>(relations: impl Iterator<Item = &'n String>) -> Option<String> {
    let names = relations.map(|name| Literal(name).to_string()).collect::<Vec<_>>().join(", ");
    let sql = format!("delete from backlot.stream_table where relation in ({names})");
    (!names.is_empty()).then_some(sql)
}

/// Asks the running stream, or the next one, to copy tables again.
pub(super) fn resync_statement(tables: &[&RelationName]) -> String {
    let names = tables.iter().map(ToString::to_string).collect::<Vec<_>>();
    let arguments = serde_json::json!({"tables": names}).to_string();
    format!(
        "insert into backlot.request (kind, arguments) values ('resync', {})",
        Literal(&arguments)
    )
}
