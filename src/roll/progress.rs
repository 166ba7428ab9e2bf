//! What a verb is at, for who watches from another thread.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One moment of a verb.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The step under way.
    pub step: Option<String>,
    pub steps_done: usize,
    /// Of this part of the verb.
    pub step_count: usize,
    pub backfill: Option<BackfillView>,
}

/// One moment of a backfill.
#[derive(Clone, Debug)]
pub struct BackfillView {
    pub relation: String,
    pub rows: u64,
    /// By the statistics or the number of pages.
    pub row_estimate: u64,
    /// Of this process: a resumed backfill did the others before.
    pub rows_here: u64,
    pub since: Instant,
    /// Why it waits at the moment.
    pub waits_for: Option<&'static str>,
}

impl BackfillView {
    #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
    pub fn rows_per_second(&self) -> f64 {
        self.rows_here as f64 / self.since.elapsed().as_secs_f64().max(0.05)
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn eta_s(&self) -> Option<f64> {
        let left = self.row_estimate.saturating_sub(self.rows) as f64;
        let rate = self.rows_per_second();
        (rate > 0.0).then(|| left / rate)
    }
}

/// Written by the verb, read by the display.
#[derive(Debug, Default)]
pub struct Progress {
    view: Mutex<View>,
    notes: Mutex<Vec<String>>,
    /// Steps that began and were not shown yet.
    begun: Mutex<Vec<String>>,
}

impl Progress {
    pub fn view(&self) -> View {
        locked(&self.view).clone()
    }

    /// What people should know, each once.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.notes))
    }

    /// Names of the steps that began, each once.
    pub fn take_steps(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.begun))
    }

    pub(super) fn begin_step(&self, step: &str) {
        locked(&self.begun).push(step.to_owned());
        self.change(|view| view.step = Some(step.to_owned()));
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        locked(&self.notes).push(text.into());
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut locked(&self.view));
    }
}

/// A view is whole after every change: one that panicked left nothing half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
