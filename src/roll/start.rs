//! `start` and `resume`: expand, backfill, the new version's views.

use super::steps::Runner;
use super::{Ended, Progress, Roll, RollError, backfill, planning, rollback};
use crate::migrate::plan::Plan;
use crate::state::roll::{Outcome, Phase};
use serde_json::Value;

/// A migration and the document that the history keeps of it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub name: &'a str,
    /// `{"operations": […], "version_schema": …}`, as pgroll keeps it.
    pub document: &'a str,
}

/// What there is to do for a `start`.
#[derive(Debug)]
pub enum Begun {
    /// It has to be planned.
    Anew,
    /// It was started and did not get to its end: this is its plan.
    HalfWay(Box<Plan>),
}

/// Whether this migration may start now.
pub async fn begin(roll: &Roll, named: Named<'_>) -> Result<Begun, RollError> {
    let state = roll.state();
    let active = state.active().await.map_err(RollError::query("read the history"))?;
    if let Some(active) = active {
        let (phase, plan) = run_of(roll, &active.name).await?;
        if active.name != named.name || !matches!(phase, Phase::Starting | Phase::Active) {
            return Err(RollError::Active { name: active.name, phase });
        }
        if !is_same(&active.migration, named.document) {
            return Err(RollError::Changed { name: active.name });
        }
        // One that is active has nothing left to do: whoever starts it again did not see its end.
        return Ok(Begun::HalfWay(Box::new(plan)));
    }
    let history = state.history().await.map_err(RollError::query("read the history"))?;
    if history.iter().any(|record| record.name == named.name) {
        return Err(RollError::Known { name: named.name.to_owned() });
    }
    if history.is_empty()
        && state.holds_tables().await.map_err(RollError::query("look for tables"))?
    {
        return Err(RollError::NeedsBaseline { schema: roll.options.schema.clone() });
    }
    Ok(Begun::Anew)
}

/// True if this migration was started and its completing began, or has ended: a `start` that was to
/// complete it, too, has `complete` left.
pub async fn is_at_its_end(roll: &Roll, named: Named<'_>) -> Result<bool, RollError> {
    let state = roll.state();
    let history = state.history().await.map_err(RollError::query("read the history"))?;
    let Some(record) = history.iter().find(|record| record.name == named.name) else {
        return Ok(false);
    };
    let is_at_end = if record.is_done {
        let outcome = state.outcome().await.map_err(RollError::query("read the journal"))?;
        outcome == Some((named.name.to_owned(), Outcome::Completed))
    } else {
        run_of(roll, named.name).await?.0 == Phase::Completing
    };
    if is_at_end && !is_same(&record.migration, named.document) {
        return Err(RollError::Changed { name: named.name.to_owned() });
    }
    Ok(is_at_end)
}

/// Runs a plan from its first step on. What fails for good is rolled back; what may pass is left
/// for `resume`.
pub async fn go_on(
    roll: &mut Roll,
    named: Named<'_>,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), RollError> {
    let document = written(named.name, plan)?;
    match roll.state().begin_run(named.name, named.document, &document).await {
        Ok(()) => {}
        // unique_violation: whoever does not take our lock, a pgroll, was faster.
        Err(error) if error.sqlstate() == Some("23505") => {
            return Err(RollError::Busy {
                schema: roll.options.schema.clone(),
                holder: "a pgroll, which began at the same moment".to_owned(),
            });
        }
        Err(error) => return Err(RollError::query("note the migration")(error)),
    }
    expand(roll, named.name, plan, progress).await
}

/// What a `resume` came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The migration is active.
    Started(String),
    Ended(Ended),
}

/// Goes on with whatever was under way: start, complete or rollback.
pub async fn resume(roll: &mut Roll, progress: &Progress) -> Result<Resumed, RollError> {
    let (name, phase, plan) = match active_run(roll).await {
        Err(RollError::NotActive { schema }) => {
            let any = [Outcome::Completed, Outcome::RolledBack];
            return Ended::before(roll, &any, schema).await.map(Resumed::Ended);
        }
        found => found?,
    };
    match phase {
        Phase::Starting => expand(roll, &name, &plan, progress).await?,
        Phase::Active => {}
        Phase::Completing => {
            super::complete::contract(roll, &name, &plan, progress).await?;
            return Ok(Resumed::Ended(Ended::now(name, Outcome::Completed)));
        }
        Phase::RollingBack => {
            rollback::take_back(roll, &name, &plan, progress).await?;
            return Ok(Resumed::Ended(Ended::now(name, Outcome::RolledBack)));
        }
    }
    Ok(Resumed::Started(name))
}

/// From the first step that is not done to the last; may be begun again and again.
pub(super) async fn expand(
    roll: &mut Roll,
    name: &str,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), RollError> {
    let result = try_expand(roll, name, plan, progress).await;
    let Err(error) = result else { return Ok(()) };
    if error.is_passing() {
        return Err(error);
    }
    // As pgroll does: a start that failed leaves nothing.
    progress.note(format!("start failed, rolling back: {error}"));
    match rollback::take_back(roll, name, plan, progress).await {
        Ok(()) => Err(RollError::RolledBack { name: name.to_owned(), source: Box::new(error) }),
        Err(second) => {
            progress.note(format!("the rollback failed too: {second}"));
            Err(error)
        }
    }
}

async fn try_expand(
    roll: &mut Roll,
    name: &str,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), RollError> {
    let mut runner = Runner { roll, name, progress };
    runner.run_all(&plan.start).await?;
    for backfill in &plan.backfill {
        backfill::fill(runner.roll, name, backfill, progress).await?;
    }
    runner.run_all(&plan.validate).await?;
    if plan.must_reload {
        let views = planning::reloaded_views(roll, plan).await?;
        // Kept as they are now: a process that takes over must make the same ones.
        let plan = Plan { views, must_reload: false, ..plan.clone() };
        keep(roll, name, &plan).await?;
        Runner { roll, name, progress }.run_all(&plan.views).await?;
    } else {
        runner.run_all(&plan.views).await?;
    }
    let entered = roll.state().enter(name, Phase::Active).await;
    entered.map_err(RollError::query("note that the migration is active"))
}

pub(super) fn written(name: &str, plan: &Plan) -> Result<String, RollError> {
    serde_json::to_string(plan)
        .map_err(|error| RollError::Journal { name: name.to_owned(), reason: error.to_string() })
}

async fn keep(roll: &Roll, name: &str, plan: &Plan) -> Result<(), RollError> {
    let kept = roll.state().replace_plan(name, &written(name, plan)?).await;
    kept.map_err(RollError::query("keep the plan"))
}

/// The active migration with its phase and plan.
pub(super) async fn active_run(roll: &Roll) -> Result<(String, Phase, Plan), RollError> {
    let active = roll.state().active().await.map_err(RollError::query("read the history"))?;
    let Some(active) = active else {
        return Err(RollError::NotActive { schema: roll.options.schema.clone() });
    };
    let (phase, plan) = run_of(roll, &active.name).await?;
    Ok((active.name, phase, plan))
}

async fn run_of(roll: &Roll, name: &str) -> Result<(Phase, Plan), RollError> {
    let run = roll.state().run(name).await.map_err(RollError::query("read the journal"))?;
    let Some((phase, plan)) = run else {
        return Err(RollError::Foreign { name: name.to_owned() });
    };
    let plan = serde_json::from_str(&plan)
        .map_err(|error| RollError::Journal { name: name.to_owned(), reason: error.to_string() })?;
    Ok((phase, plan))
}

/// By what they say, not by how it is written.
fn is_same(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    read(one).is_some_and(|one| Some(one) == read(other))
}
