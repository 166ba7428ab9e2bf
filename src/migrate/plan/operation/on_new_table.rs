//! Operations on a table that the same migration makes: nobody sees it yet, so they apply to it
//! as they are.

use crate::migrate::plan::draft::{Draft, lock, step_id};
use crate::migrate::plan::{LockMode, Step};

/// `ALTER TABLE` of a new table. What takes it back is the table's own undo.
pub(super) fn alter(draft: &mut Draft, at: usize, physical: &str, words: &str, parts: &[String]) {
    let relation = draft.sql(physical);
    let statements = parts.iter().map(|part| format!("ALTER TABLE {relation} {part}")).collect();
    run(draft, at, physical, words, statements);
}

pub(super) fn run(
    draft: &mut Draft,
    at: usize,
    physical: &str,
    words: &str,
    statements: Vec<String>,
) {
    let lock = lock(draft.relation(physical), LockMode::AccessExclusive);
    let id = step_id("start", at, words);
    draft.start.push(Step::transaction(id, Some(at), statements, vec![lock]));
}
