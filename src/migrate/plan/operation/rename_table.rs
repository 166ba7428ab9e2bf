//! `rename_table`: the view has the new name at once, the table gets it at complete.

use crate::migrate::operation::RenameTable;
use crate::migrate::plan::draft::{Applied, Draft, check_name, lock, step_id};
use crate::migrate::plan::{Finding, FindingKind, LockMode, Step};
use crate::pg::Ident;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &RenameTable) -> Applied {
    let one = |finding: Finding| vec![finding];
    draft.table(at, &body.from).map_err(one)?;
    check_name(at, "to", &body.to).map_err(|finding| vec![finding.table(&body.from)])?;
    if draft.model.tables.contains_key(&body.to) {
        let words = format!("table {:?} already exists", body.to);
        return Err(vec![Finding::new(FindingKind::TableAlreadyExists, at, words).table(&body.to)]);
    }
    draft.change(at, &body.from).name.clone_from(&body.to);
    let Some(mut table) = draft.model.tables.remove(&body.from) else { return Ok(()) };
    draft.unknown_tables.insert(body.to.clone());
    if table.is_new {
        let rename =
            format!("ALTER TABLE {} RENAME TO {}", draft.sql(&table.physical), Ident(&body.to));
        let lock = lock(draft.relation(&table.physical), LockMode::AccessExclusive);
        let undo = vec![format!("DROP TABLE IF EXISTS {}", draft.sql(&body.to))];
        draft.start.push(
            Step::transaction(
                step_id("start", at, "rename-table"),
                Some(at),
                vec![rename],
                vec![lock],
            )
            .undone_by(undo.clone()),
        );
        let id = step_id("rollback", at, "rename-table");
        draft.rollback.push(Step::transaction(id, Some(at), undo, Vec::new()));
        table.physical.clone_from(&body.to);
    }
    draft.model.tables.insert(body.to.clone(), table);
    Ok(())
}
