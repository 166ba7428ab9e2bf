//! Runs the steps of a plan, each once however often the verb is begun.

use super::{Progress, Roll, RollError};
use crate::ddl::{Outcome, Work};
use crate::migrate::plan::{Mode, Step};
use crate::pg::Error;
use serde_json::json;
use std::collections::HashSet;

/// The steps of one verb of one migration.
pub(super) struct Runner<'a> {
    pub(super) roll: &'a mut Roll,
    /// Of the migration.
    pub(super) name: &'a str,
    pub(super) progress: &'a Progress,
}

impl Runner<'_> {
    /// Runs those that the journal does not know as done, in order.
    pub(super) async fn run_all(&mut self, steps: &[Step]) -> Result<(), RollError> {
        let done = self.done().await?;
        self.progress.change(|view| {
            view.step_count = steps.len();
            view.steps_done = 0;
        });
        for step in steps {
            if !done.contains(&step.id) {
                self.run(step).await?;
            }
            self.progress.change(|view| view.steps_done += 1);
        }
        self.progress.change(|view| view.step = None);
        Ok(())
    }

    /// Names of the steps that are done.
    pub(super) async fn done(&self) -> Result<HashSet<String>, RollError> {
        let records = self.roll.state().steps(self.name).await;
        let records = records.map_err(RollError::query("read the journal"))?;
        Ok(records.into_iter().filter(|record| record.is_done).map(|record| record.step).collect())
    }

    /// Runs what takes a step back, once.
    pub(super) async fn undo(&mut self, step: &Step) -> Result<(), RollError> {
        if step.undo.is_empty() {
            return Ok(());
        }
        let mut undo = step.clone();
        undo.id = format!("undo/{}", step.id);
        undo.statements = std::mem::take(&mut undo.undo);
        undo.mode = Mode::Transaction;
        undo.is_reversible = true;
        if self.done().await?.contains(&undo.id) {
            return Ok(());
        }
        self.run(&undo).await
    }

    async fn run(&mut self, step: &Step) -> Result<(), RollError> {
        self.progress.begin_step(&step.id);
        self.roll.check_lock().await?;
        let state = self.roll.state();
        let message = self.message(step);
        let claim = state.claim(self.name, &step.id, step.is_reversible);
        let announcement = state.announcement(self.name, &step.id, step.is_reversible);
        let conclusion = state.conclusion(self.name, &step.id);
        let work = Work {
            step: &step.id,
            statements: &step.statements,
            claim: &claim,
            announcement: &announcement,
            conclusion: &conclusion,
            message: Some(&message),
        };
        tracing::debug!(step = step.id, "run");
        let executor = &mut self.roll.executor;
        let outcome = match &step.mode {
            Mode::Transaction => executor.run(&work).await?,
            Mode::Script => executor.run_script(&work).await?,
            Mode::BuildIndex { index, partition } => {
                let built = executor.build_index(&work, index).await;
                match (built, partition) {
                    // undefined_table
                    (Err(error), Some(partition))
                        if error.server().and_then(Error::sqlstate) == Some("42P01")
                            && !self.roll.is_there(partition).await? =>
                    {
                        tracing::debug!(step = step.id, "partition is gone");
                        return Ok(());
                    }
                    (built, _) => built?,
                }
            }
            Mode::DropIndex { index } => executor.drop_index(&work, index).await?,
        };
        if outcome == Outcome::WasDone {
            tracing::debug!(step = step.id, "was done");
        }
        Ok(())
    }

    /// What the stream reads at the very place in the WAL where the shape changes.
    fn message(&self, step: &Step) -> String {
        json!({
            "kind": "roll_step",
            "schema": self.roll.options.schema,
            "migration": self.name,
            "step": step.id,
            "operation": step.operation,
            "statements": step.statements,
        })
        .to_string()
    }
}
