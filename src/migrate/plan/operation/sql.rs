//! `sql`: the user's own statements, as they are written.

use crate::migrate::operation::RawSql;
use crate::migrate::plan::draft::{Applied, Draft, step_id};
use crate::migrate::plan::{Cost, Finding, FindingKind, Mode, Step};

pub(super) fn apply(draft: &mut Draft, at: usize, body: &RawSql) -> Applied {
    let Some(up) = &body.up else { return Err(vec![Finding::required(at, "up")]) };
    if body.is_on_complete && body.down.is_some() {
        let words = "sql that runs on complete cannot have a down".to_owned();
        return Err(vec![Finding::new(FindingKind::InvalidMigration, at, words).field("down")]);
    }
    let phase = if body.is_on_complete { "complete" } else { "start" };
    let mut step =
        Step::transaction(step_id(phase, at, "sql"), Some(at), vec![up.clone()], Vec::new())
            .at_cost(Cost::Unknown);
    step.mode = Mode::Script;
    if body.is_on_complete {
        draft.must_refresh = true;
        draft.complete.push(step.irreversible());
        return Ok(());
    }
    draft.must_reload = true;
    if let Some(down) = &body.down {
        step.undo = vec![down.clone()];
        let mut back = step.clone();
        back.id = step_id("rollback", at, "sql");
        back.statements = vec![down.clone()];
        back.undo = Vec::new();
        draft.rollback.push(back);
    }
    draft.start.push(step);
    Ok(())
}
