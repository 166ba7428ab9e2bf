//! `rename_column`: the view has the new name at once, the column gets it at complete.

use crate::migrate::operation::RenameColumn;
use crate::migrate::plan::Finding;
use crate::migrate::plan::draft::{Applied, Draft, check_name};
use crate::pg::Ident;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &RenameColumn) -> Applied {
    let one = |finding: Finding| vec![finding.table(&body.table)];
    let table = draft.table(at, &body.table).map_err(one)?;
    check_name(at, "to", &body.to).map_err(one)?;
    if table.column(&body.from).is_none() {
        return Err(vec![super::no_column(at, &body.table, &body.from)]);
    }
    if table.column(&body.to).is_some() {
        return Err(vec![super::column_exists(at, &body.table, &body.to)]);
    }
    let (is_new, physical) = (table.is_new, table.physical.clone());
    let table = draft.change(at, &body.table);
    if let Some(column) = table.column_mut(&body.from) {
        column.name.clone_from(&body.to);
        if is_new {
            column.physical.clone_from(&body.to);
            column.key.clone_from(&body.to);
        }
    }
    if is_new {
        for constraint in &mut table.constraints {
            for column in constraint.columns.iter_mut().filter(|column| **column == body.from) {
                column.clone_from(&body.to);
            }
        }
        let sql = format!("RENAME COLUMN {} TO {}", Ident(&body.from), Ident(&body.to));
        super::on_new_table::alter(draft, at, &physical, "rename-column", &[sql]);
    }
    Ok(())
}
