//! `set_replica_identity`: at start, for both versions; rollback gives the old one back.

use crate::catalog::detail::{self, Table};
use crate::migrate::model;
use crate::migrate::operation::{ReplicaIdentityType, SetReplicaIdentity};
use crate::migrate::plan::draft::{Applied, Draft, lock, step_id};
use crate::migrate::plan::{Finding, FindingKind, LockMode, Step};
use crate::pg::Ident;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &SetReplicaIdentity) -> Applied {
    let table = draft.table(at, &body.table).map_err(|finding| vec![finding])?;
    let Some(kind) = body.identity.identity_type else {
        return Err(vec![Finding::required(at, "identity.type").table(&body.table)]);
    };
    let clause = match kind {
        ReplicaIdentityType::Nothing => "NOTHING".to_owned(),
        ReplicaIdentityType::Default => "DEFAULT".to_owned(),
        ReplicaIdentityType::Full => "FULL".to_owned(),
        ReplicaIdentityType::Index => {
            let name = body.identity.index.as_deref().unwrap_or_default();
            if name.is_empty() {
                return Err(vec![Finding::required(at, "identity.index").table(&body.table)]);
            }
            if !table.indexes.iter().any(|index| index.name == name) {
                let words = format!("index {name:?} does not exist on table {:?}", body.table);
                let finding = Finding::new(FindingKind::IndexDoesNotExist, at, words);
                return Err(vec![finding.table(&body.table).named(name)]);
            }
            if let Some(why) = unfit(table, name) {
                let words = format!("index {name:?} cannot be the replica identity: {why}");
                let finding = Finding::new(FindingKind::InvalidReplicaIdentity, at, words);
                return Err(vec![finding.table(&body.table).named(name)]);
            }
            format!("USING INDEX {}", Ident(name))
        }
    };
    let relation = draft.sql(&table.physical);
    let lock = lock(draft.relation(&table.physical), LockMode::AccessExclusive);
    let set = |clause: &str| format!("ALTER TABLE {relation} REPLICA IDENTITY {clause}");
    let (is_new, before) = (table.is_new, set(&current(&table.detail)));
    let id = step_id("start", at, "replica-identity");
    let step = Step::transaction(id, Some(at), vec![set(&clause)], vec![lock.clone()]);
    if is_new {
        draft.start.push(step);
        return Ok(());
    }
    let found = draft.change(at, &body.table);
    found.new_replica_identity = Some(clause);
    draft.start.push(step.undone_by(vec![before.clone()]));
    let id = step_id("rollback", at, "replica-identity");
    draft.rollback.push(Step::transaction(id, Some(at), vec![before], vec![lock]));
    Ok(())
}

/// What the server would have against the index (`ATExecReplicaIdentity`), at start.
fn unfit(table: &model::Table, name: &str) -> Option<&'static str> {
    if table.is_new {
        return None;
    }
    let Some(index) = table.detail.indexes.iter().find(|index| index.name == name) else {
        return Some("this migration makes it, after the backfill");
    };
    let is_not_null = |name: &Option<String>| {
        let column = name.as_ref().and_then(|name| table.detail.column(name));
        column.is_some_and(|column| column.not_null)
    };
    let faults = [
        (!index.is_unique, "it is not unique"),
        (!index.is_immediate, "it is deferrable"),
        (index.is_partial, "it is partial"),
        (
            !index.key_columns.iter().all(is_not_null),
            "it has an expression, or a column that may be NULL",
        ),
    ];
    faults.into_iter().find(|(is_there, _)| *is_there).map(|(_, why)| why)
}

/// What stands behind `REPLICA IDENTITY` for the table as it was loaded.
pub(in crate::migrate::plan) fn current(table: &Table) -> String {
    match table.replica_identity {
        detail::ReplicaIdentity::Default => "DEFAULT".to_owned(),
        detail::ReplicaIdentity::Nothing => "NOTHING".to_owned(),
        detail::ReplicaIdentity::Full => "FULL".to_owned(),
        detail::ReplicaIdentity::Index => {
            let index = table.indexes.iter().find(|index| index.is_replica_identity);
            index
                .map_or("DEFAULT".to_owned(), |index| format!("USING INDEX {}", Ident(&index.name)))
        }
    }
}
