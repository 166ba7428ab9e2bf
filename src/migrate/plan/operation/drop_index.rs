//! `drop_index`: at complete, concurrently.

use crate::catalog::detail::Constraint;
use crate::migrate::model::Table;
use crate::migrate::operation::DropIndex;
use crate::migrate::plan::dependents;
use crate::migrate::plan::draft::{Applied, Draft, lock, step_id};
use crate::migrate::plan::{Finding, FindingKind, LockMode, Mode, Probe, Step};
use crate::pg::Literal;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &DropIndex) -> Applied {
    if body.name.is_empty() {
        return Err(vec![Finding::required(at, "name")]);
    }
    let Some(table) = draft.model.table_of_index(&body.name).map(str::to_owned) else {
        let words = format!("index {:?} does not exist", body.name);
        let kind = FindingKind::IndexDoesNotExist;
        return Err(vec![Finding::new(kind, at, words).named(&body.name)]);
    };
    let found = draft.table(at, &table).map_err(|finding| vec![finding])?;
    let behind = found
        .indexes
        .iter()
        .find(|index| index.name == body.name)
        .and_then(|index| index.constraint.clone());
    if let Some(constraint) = behind {
        let words = format!(
            "index {:?} belongs to constraint {constraint:?}: drop the constraint instead",
            body.name
        );
        let finding = Finding::new(FindingKind::DependentObject, at, words);
        return Err(vec![finding.table(&table).named(&body.name)]);
    }
    if let Some(key) = relying(draft, found, &body.name) {
        let words = format!("{key} relies on index {:?}: drop it first", body.name);
        let finding = Finding::new(FindingKind::DependentObject, at, words);
        return Err(vec![finding.table(&table).named(&body.name)]);
    }
    let (is_new, physical) = (found.is_new, found.physical.clone());
    let index = draft.relation(&body.name);
    let changed = draft.change(at, &table);
    changed.indexes.retain(|one| one.name != body.name);
    if is_new {
        let statement = format!("DROP INDEX {}", index.sql());
        super::on_new_table::run(draft, at, &physical, "drop-index", vec![statement]);
        return Ok(());
    }
    changed.dropped_indexes.insert(body.name.clone());
    let is_partitioned = changed.detail.kind == crate::catalog::detail::TableKind::Partitioned;
    let on = draft.relation(&physical);
    let concurrently = if is_partitioned { "" } else { "CONCURRENTLY " };
    let mut step = Step::transaction(
        step_id("complete", at, "drop-index"),
        Some(at),
        vec![format!("DROP INDEX {concurrently}IF EXISTS {}", index.sql())],
        vec![lock(on, LockMode::ShareUpdateExclusive)],
    )
    .irreversible();
    if is_partitioned {
        step.locks = vec![lock(draft.relation(&physical), LockMode::AccessExclusive)];
    } else {
        step.is_done = Probe(Some(format!(
            "SELECT pg_catalog.to_regclass({}) IS NULL",
            Literal(&index.sql())
        )));
        step.mode = Mode::DropIndex { index };
    }
    draft.complete.push(step);
    Ok(())
}

/// The foreign key that needs the index, if there is one that stays.
fn relying(draft: &Draft, table: &Table, index: &str) -> Option<String> {
    let mut inbound = table.detail.inbound.iter().chain(dependents::foreign(&draft.model, table));
    let relies = |key: &&Constraint| {
        key.referenced_index.as_deref() == Some(index) && !dependents::goes(&draft.model, key)
    };
    let key = inbound.find(relies)?;
    Some(format!("foreign key {:?} of table {:?}", key.name, key.table))
}
