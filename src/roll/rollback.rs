//! `rollback`: takes back what start did. Afterwards only the old version is there.

use super::start::active_run;
use super::steps::Runner;
use super::{Ended, Progress, Roll, RollError, backfill, foreign};
use crate::migrate::plan::Plan;
use crate::state::roll::{Outcome, Phase};

/// What a rollback takes back, or would.
#[derive(Clone, Debug)]
pub struct Rollback {
    pub ended: Ended,
    /// What is run for it.
    pub statements: Vec<String>,
}

/// Rolls the active migration back. Where none is, and the last one was rolled back, that is the end
/// that a killed `rollback` did not live to tell.
pub async fn rollback(
    roll: &mut Roll,
    is_dry_run: bool,
    progress: &Progress,
) -> Result<Rollback, RollError> {
    let (name, phase, plan) = match active_run(roll).await {
        Err(RollError::NotActive { schema }) => {
            let ended = Ended::before(roll, &[Outcome::RolledBack], schema).await?;
            return Ok(Rollback { ended, statements: Vec::new() });
        }
        Err(RollError::Foreign { name }) => {
            return foreign::rollback(roll, name, is_dry_run, progress).await;
        }
        found => found?,
    };
    if phase == Phase::Completing {
        refuse_after_the_irreversible(roll, &name).await?;
    }
    let report = Rollback {
        ended: Ended::now(name, Outcome::RolledBack),
        statements: plan.rollback.iter().flat_map(|step| step.statements.clone()).collect(),
    };
    if !is_dry_run {
        take_back(roll, &report.ended.name, &plan, progress).await?;
    }
    Ok(report)
}

async fn refuse_after_the_irreversible(roll: &Roll, name: &str) -> Result<(), RollError> {
    let steps = roll.state().steps(name).await.map_err(RollError::query("read the journal"))?;
    // One that began may have run.
    match steps.into_iter().find(|record| !record.is_reversible) {
        Some(record) => Err(RollError::Irreversible { name: name.to_owned(), step: record.step }),
        None => Ok(()),
    }
}

/// May be begun again and again, also after a start that got only half way.
pub(super) async fn take_back(
    roll: &mut Roll,
    name: &str,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), RollError> {
    let entered = roll.state().enter(name, Phase::RollingBack).await;
    entered.map_err(RollError::query("note that the migration is rolled back"))?;
    let begun = roll.state().steps(name).await.map_err(RollError::query("read the journal"))?;
    if begun.is_empty() {
        // Nothing ran: nothing is there that only its owner could take away.
        let forgotten = roll.state().forget(name).await;
        return forgotten.map_err(RollError::query("note that the migration was rolled back"));
    }
    let mut runner = Runner { roll, name, progress };
    let done = runner.done().await?;
    // What complete did before its first irreversible step, youngest first.
    for step in plan.complete.iter().rev().filter(|step| done.contains(&step.id)) {
        runner.undo(step).await?;
    }
    runner.run_all(&plan.rollback).await?;
    for backfill in &plan.backfill {
        backfill::clear(roll, backfill).await?;
    }
    let forgotten = roll.state().forget(name).await;
    forgotten.map_err(RollError::query("note that the migration was rolled back"))
}
