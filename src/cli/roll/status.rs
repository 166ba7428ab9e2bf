//! `backlot roll status`

use super::arguments::ServerArgs;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::roll::{Backfilling, Roll, Status};
use serde_json::{Value, json};

pub(super) async fn run(server: &ServerArgs, global: &Global) -> Result<(), Failure> {
    let roll = Roll::open(server.options(Backfilling::default())?).await?;
    let status = Status::read(&roll).await?;
    let document = document(&status);
    if global.json {
        return output::json(&document);
    }
    // pgroll's form, with what it does not know after it.
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::internal(format!("write JSON: {error}")))?;
    output::line(&text)
}

fn document(status: &Status) -> Value {
    let mut document = json!({
        "schema": status.schema,
        "version": status.version.as_deref().unwrap_or_default(),
        "status": status.word(),
    });
    if let (Some(active), Some(map)) = (&status.active, document.as_object_mut()) {
        let backfills = active.backfills.iter().map(|backfill| {
            json!({
                "relation": backfill.relation, "rows": backfill.rows,
                "row_estimate": backfill.row_estimate, "is_done": backfill.is_done,
            })
        });
        map.insert(
            "active".into(),
            json!({
                "migration": active.name,
                "phase": active.phase.map_or("started by pgroll", crate::state::roll::Phase::name),
                "steps_done": active.steps_done,
                "may_roll_back": !active.is_irreversible,
                "backfills": backfills.collect::<Vec<_>>(),
            }),
        );
    }
    document
}
