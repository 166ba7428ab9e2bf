//! `status`: where the migrations of a schema stand.

use super::{Roll, RollError};
use crate::state::roll::{BackfillProgress, Phase};

/// What is there, and what is under way.
#[derive(Clone, Debug)]
pub struct Status {
    pub schema: String,
    /// The newest version whose schema exists.
    pub version: Option<String>,
    pub active: Option<ActiveStatus>,
    pub migration_count: usize,
}

/// A migration between start and complete.
#[derive(Clone, Debug)]
pub struct ActiveStatus {
    pub name: String,
    /// `None`: a pgroll started it.
    pub phase: Option<Phase>,
    pub steps_done: usize,
    pub backfills: Vec<BackfillProgress>,
    /// Rollback is refused from here on.
    pub is_irreversible: bool,
}

impl Status {
    pub async fn read(roll: &Roll) -> Result<Self, RollError> {
        let failed = || RollError::query("read the history");
        let state = roll.state();
        let version = state.latest_version().await.map_err(failed())?;
        let history = state.history().await.map_err(failed())?;
        let active = match state.active().await.map_err(failed())? {
            None => None,
            Some(record) => Some(active(roll, record.name).await?),
        };
        Ok(Self {
            schema: roll.options.schema.clone(),
            version,
            active,
            migration_count: history.len(),
        })
    }

    /// pgroll's words.
    pub fn word(&self) -> &'static str {
        match (&self.active, &self.version, self.migration_count) {
            (Some(_), _, _) => "In progress",
            (None, None, 0) => "No migrations",
            (None, _, _) => "Complete",
        }
    }
}

async fn active(roll: &Roll, name: String) -> Result<ActiveStatus, RollError> {
    let failed = || RollError::query("read the journal");
    let state = roll.state();
    if !state.has_journal().await.map_err(failed())? {
        let (steps_done, backfills) = (0, Vec::new());
        return Ok(ActiveStatus {
            name,
            phase: None,
            steps_done,
            backfills,
            is_irreversible: false,
        });
    }
    let run = state.run(&name).await.map_err(failed())?;
    let steps = state.steps(&name).await.map_err(failed())?;
    let backfills = state.backfills(&name).await.map_err(failed())?;
    Ok(ActiveStatus {
        phase: run.map(|(phase, _)| phase),
        steps_done: steps.iter().filter(|step| step.is_done).count(),
        is_irreversible: steps.iter().any(|step| !step.is_reversible),
        backfills,
        name,
    })
}
