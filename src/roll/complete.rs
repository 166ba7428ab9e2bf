//! `complete`: contract. Afterwards only the new version is there.

use super::dependents;
use super::planning;
use super::start::active_run;
use super::steps::Runner;
use super::{Ended, Progress, Roll, RollError};
use crate::migrate::plan::Plan;
use crate::state::roll::{Outcome, Phase};

/// Completes the active migration. Where none is, and the last one was completed, that is the end
/// that a killed `complete` did not live to tell.
pub async fn complete(roll: &mut Roll, progress: &Progress) -> Result<Ended, RollError> {
    let (name, phase, plan) = match active_run(roll).await {
        Err(RollError::NotActive { schema }) => {
            return Ended::before(roll, &[Outcome::Completed], schema).await;
        }
        found => found?,
    };
    match phase {
        Phase::Active | Phase::Completing => contract(roll, &name, &plan, progress).await?,
        Phase::Starting | Phase::RollingBack => return Err(RollError::Active { name, phase }),
    }
    Ok(Ended::now(name, Outcome::Completed))
}

/// What `complete` would run.
pub async fn would_complete(roll: &Roll) -> Result<Vec<String>, RollError> {
    let (_, _, plan) = active_run(roll).await?;
    Ok(plan.complete.into_iter().flat_map(|step| step.statements).collect())
}

/// May be begun again and again.
pub(super) async fn contract(
    roll: &mut Roll,
    name: &str,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), RollError> {
    if let Some(previous) = &plan.previous {
        dependents::refuse(roll, previous).await?;
    }
    let entered = roll.state().enter(name, Phase::Completing).await;
    entered.map_err(RollError::query("note that the migration is completed"))?;
    Runner { roll, name, progress }.run_all(&plan.complete).await?;
    if plan.must_refresh {
        let views = planning::refreshed_views(roll, plan).await?;
        Runner { roll, name, progress }.run_all(&views).await?;
    }
    let finished = roll.state().finish(name).await;
    finished.map_err(RollError::query("note that the migration is complete"))
}
