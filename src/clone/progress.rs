//! Live progress: written by the lanes, read by whoever shows it.

use crate::table_sync::Counters;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What the clone is doing, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Connecting,
    Planning,
    Schema,
    Data,
    PostData,
    Finishing,
    Swapping,
    Done,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Planning => "planning",
            Self::Schema => "schema",
            Self::Data => "data",
            Self::PostData => "indexes and constraints",
            Self::Finishing => "sequences, views, statistics",
            Self::Swapping => "swapping",
            Self::Done => "done",
        }
    }
}

/// One table's share.
#[derive(Debug)]
pub struct TableProgress {
    pub name: String,
    /// Size of the heap in the source: the measure of the way to go.
    pub size_bytes: u64,
    pub range_count: u64,
    /// Ranges that an earlier run had finished.
    pub ranges_before: u64,
    pub ranges_done: AtomicU64,
    pub counters: Counters,
}

#[derive(Debug)]
pub struct Progress {
    stage: Mutex<Stage>,
    notes: Mutex<Vec<String>>,
    tables: OnceLock<Vec<Arc<TableProgress>>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            stage: Mutex::new(Stage::Connecting),
            notes: Mutex::default(),
            tables: OnceLock::new(),
        }
    }
}

impl Progress {
    pub fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enter(&self, stage: Stage) {
        tracing::info!(stage = stage.name(), "clone");
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Something that the user should read; never a value of a row.
    pub fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text.into());
    }

    /// Notes since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Known once the ranges are planned.
    pub fn tables(&self) -> &[Arc<TableProgress>] {
        self.tables.get().map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn set_tables(&self, tables: Vec<Arc<TableProgress>>) {
        // Set once per run; a second run makes its own Progress.
        drop(self.tables.set(tables));
    }
}

impl TableProgress {
    pub fn is_done(&self) -> bool {
        self.ranges_done.load(Ordering::Relaxed) >= self.range_count
    }
}
