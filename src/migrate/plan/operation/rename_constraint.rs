//! `rename_constraint`: at complete.

use super::on_new_table;
use crate::catalog::detail::ConstraintKind;
use crate::migrate::model::Constraint;
use crate::migrate::operation::RenameConstraint;
use crate::migrate::plan::draft::{Applied, Draft, check_name};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::Ident;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &RenameConstraint) -> Applied {
    let one = |finding: Finding| vec![finding.table(&body.table).named(&body.from)];
    let table = draft.table(at, &body.table).map_err(|finding| vec![finding])?;
    let renamable = |constraint: &Constraint| match constraint.kind {
        ConstraintKind::Check | ConstraintKind::ForeignKey | ConstraintKind::Unique => true,
        ConstraintKind::NotNull | ConstraintKind::PrimaryKey | ConstraintKind::Exclude => false,
    };
    if table.constraint(&body.from).is_none_or(|one| !renamable(one)) {
        let words = format!("constraint {:?} does not exist on table {:?}", body.from, body.table);
        return Err(one(Finding::new(FindingKind::ConstraintDoesNotExist, at, words)));
    }
    check_name(at, "to", &body.to).map_err(one)?;
    if table.constraint(&body.to).is_some() {
        return Err(vec![super::constraint_exists(at, &body.table, &body.to)]);
    }
    let (is_new, physical) = (table.is_new, table.physical.clone());
    let changed = draft.change(at, &body.table);
    for constraint in changed.constraints.iter_mut().filter(|one| one.name == body.from) {
        constraint.name.clone_from(&body.to);
    }
    for index in
        changed.indexes.iter_mut().filter(|one| one.constraint.as_ref() == Some(&body.from))
    {
        index.name.clone_from(&body.to);
        index.constraint = Some(body.to.clone());
    }
    // A constraint of this migration is made under the name at once.
    let physical_of_new = changed.free_constraint(&body.to);
    if let Some(added) = changed.added_constraints.iter_mut().find(|one| one.name == body.from) {
        added.name.clone_from(&body.to);
        added.physical = physical_of_new;
        return Ok(());
    }
    if is_new {
        let part = format!("RENAME CONSTRAINT {} TO {}", Ident(&body.from), Ident(&body.to));
        on_new_table::alter(draft, at, &physical, "rename-constraint", &[part]);
        return Ok(());
    }
    match changed.renamed_constraints.iter_mut().find(|(_, to)| *to == body.from) {
        Some((_, to)) => to.clone_from(&body.to),
        None => changed.renamed_constraints.push((body.from.clone(), body.to.clone())),
    }
    Ok(())
}
