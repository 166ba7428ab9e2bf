//! Live progress: written by the lanes, read by whoever shows it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a verification is doing, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Connecting,
    /// Waiting for the stream to mark a position on both sides.
    Marking,
    Comparing,
    /// Reading tables that differ once more, to tell which rows.
    Narrowing,
    Done,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Marking => "marking a position on both sides",
            Self::Comparing => "comparing",
            Self::Narrowing => "looking for the rows that differ",
            Self::Done => "done",
        }
    }
}

#[derive(Debug)]
pub struct Progress {
    stage: Mutex<Stage>,
    /// Heap of both sides: the measure of the way to go.
    pub size_bytes: AtomicU64,
    /// Of that, in ranges that are done.
    pub done_bytes: AtomicU64,
    /// Read from both sides.
    pub bytes: AtomicU64,
    pub rows: AtomicU64,
    pub tables: AtomicUsize,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            stage: Mutex::new(Stage::Connecting),
            size_bytes: AtomicU64::default(),
            done_bytes: AtomicU64::default(),
            bytes: AtomicU64::default(),
            rows: AtomicU64::default(),
            tables: AtomicUsize::default(),
        }
    }
}

impl Progress {
    pub fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, stage: Stage) {
        tracing::info!(stage = stage.name(), "verify");
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// A new way to go.
    pub(super) fn begin(&self, size_bytes: u64) {
        self.size_bytes.store(size_bytes, Ordering::Relaxed);
        self.done_bytes.store(0, Ordering::Relaxed);
    }
}
