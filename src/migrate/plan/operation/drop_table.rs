//! `drop_table`: hidden under another name at start, dropped at complete.

use crate::migrate::model::name;
use crate::migrate::operation::DropTable;
use crate::migrate::plan::draft::{Applied, Draft, lock, step_id};
use crate::migrate::plan::{Finding, FindingKind, LockMode, Step};
use crate::pg::Ident;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &DropTable) -> Applied {
    let table = draft.table(at, &body.name).map_err(|finding| vec![finding])?.clone();
    if table.is_changed() {
        let words = format!("table {:?} is changed and dropped in one migration", body.name);
        let kind = FindingKind::InvalidMigration;
        return Err(vec![Finding::new(kind, at, words).table(&body.name)]);
    }
    draft.model.tables.remove(&body.name);
    let relation = draft.sql(&table.physical);
    let lock = lock(draft.relation(&table.physical), LockMode::AccessExclusive);
    let id = step_id("start", at, "drop-table");
    if table.is_new {
        draft.start.push(Step::transaction(
            id,
            Some(at),
            vec![format!("DROP TABLE {relation}")],
            vec![lock],
        ));
        return Ok(());
    }
    let hidden = name::deleted_table(&table.physical);
    if draft.model.detail.tables.contains_key(&hidden) {
        let words = format!("table {hidden:?} exists already: an earlier migration left it");
        let kind = FindingKind::NameCollision;
        return Err(vec![Finding::new(kind, at, words).table(&body.name).named(&hidden)]);
    }
    let rename = format!("ALTER TABLE {relation} RENAME TO {}", Ident(&hidden));
    let back = format!(
        "ALTER TABLE IF EXISTS {} RENAME TO {}",
        draft.sql(&hidden),
        Ident(&table.physical)
    );
    draft.start.push(
        Step::transaction(id, Some(at), vec![rename], vec![lock.clone()])
            .undone_by(vec![back.clone()]),
    );
    let id = step_id("rollback", at, "drop-table");
    draft.rollback.push(Step::transaction(id, Some(at), vec![back], vec![lock]));
    draft.model.dropped.push(table);
    Ok(())
}
