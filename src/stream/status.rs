//! What a running stream knows of itself: written by its threads, read by displays and metrics.

use crate::catalog::RelationName;
use crate::pg::Lsn;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

/// What the stream is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Connecting,
    Streaming,
    /// A server is away; it is tried again.
    Reconnecting,
    /// No more is read; what is in flight is brought to its end.
    Draining,
    Stopped,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Streaming => "streaming",
            Self::Reconnecting => "reconnecting",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// State of a table in `backlot.stream_table`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableState {
    #[default]
    Streaming,
    InsertOnly,
    Stale,
    Resyncing,
}

impl TableState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Streaming => "streaming",
            Self::InsertOnly => "insert_only",
            Self::Stale => "stale",
            Self::Resyncing => "resyncing",
        }
    }

    pub fn parse(name: &str) -> Self {
        match name {
            "streaming" => Self::Streaming,
            "insert_only" => Self::InsertOnly,
            "resyncing" => Self::Resyncing,
            // Of a newer backlot: what is not understood is not followed.
            _ => Self::Stale,
        }
    }
}

/// Since the process started; of what is committed on the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub truncates: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStatus {
    pub state: TableState,
    pub reason: Option<String>,
    pub counts: TableCounts,
    /// Values that rules have changed.
    pub values_changed: u64,
}

/// The slot as the source shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotHealth {
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: String,
    /// WAL that the slot keeps on the source's disk.
    pub retained_bytes: u64,
    /// What may be written until the slot is lost; None without `max_slot_wal_keep_size`.
    pub safe_bytes: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Status {
    phase: AtomicU8,
    received: AtomicU64,
    applied: AtomicU64,
    acknowledged: AtomicU64,
    source_end: AtomicU64,
    commit_time: AtomicI64,
    transactions: AtomicU64,
    rows_masked: AtomicU64,
    changes: AtomicU64,
    bytes: AtomicU64,
    groups: AtomicU64,
    apply_us: AtomicU64,
    quarantined: AtomicU64,
    reconnects: AtomicU64,
    tables: Mutex<BTreeMap<RelationName, TableStatus>>,
    slot: Mutex<SlotHealth>,
    notes: Mutex<Vec<String>>,
}

/// A moment of a [`Status`]. Positions are 0 until they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Last position that came from the source.
    pub received: Lsn,
    /// The checkpoint: everything that committed before it is on the target.
    pub applied: Lsn,
    /// Flushed on the target and told to the source.
    pub acknowledged: Lsn,
    /// End of the source's WAL, as far as is known.
    pub source_end: Lsn,
    /// Of the last transaction applied: microseconds since 2000-01-01 UTC, by the source's clock.
    pub commit_time: Option<i64>,
    pub transactions: u64,
    /// Changes that were masked, committed or not.
    pub rows_masked: u64,
    pub changes: u64,
    /// Masked row bytes.
    pub bytes: u64,
    /// Target transactions.
    pub groups: u64,
    /// Time spent on them, in microseconds.
    pub apply_us: u64,
    pub quarantined: u64,
    pub reconnects: u64,
}

impl Numbers {
    pub fn lag_bytes(&self) -> u64 {
        self.source_end.bytes_since(self.applied)
    }

    /// Age of the last transaction applied, while there is WAL that is not; else 0.
    /// `now_us`: microseconds since 2000-01-01 UTC.
    pub fn lag_us(&self, now_us: i64) -> u64 {
        if self.lag_bytes() == 0 {
            return 0;
        }
        let age = self.commit_time.map_or(0, |time| now_us.saturating_sub(time));
        u64::try_from(age).unwrap_or(0)
    }
}

impl Status {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            1 => Phase::Streaming,
            2 => Phase::Reconnecting,
            3 => Phase::Draining,
            4 => Phase::Stopped,
            _ => Phase::Connecting,
        }
    }

    pub fn numbers(&self) -> Numbers {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let time = self.commit_time.load(Ordering::Relaxed);
        Numbers {
            received: Lsn(read(&self.received)),
            applied: Lsn(read(&self.applied)),
            acknowledged: Lsn(read(&self.acknowledged)),
            source_end: Lsn(read(&self.source_end)),
            commit_time: (time != 0).then_some(time),
            transactions: read(&self.transactions),
            rows_masked: read(&self.rows_masked),
            changes: read(&self.changes),
            bytes: read(&self.bytes),
            groups: read(&self.groups),
            apply_us: read(&self.apply_us),
            quarantined: read(&self.quarantined),
            reconnects: read(&self.reconnects),
        }
    }

    pub(super) fn source_end(&self) -> Lsn {
        Lsn(self.source_end.load(Ordering::Relaxed))
    }

    pub fn tables(&self) -> BTreeMap<RelationName, TableStatus> {
        self.tables.lock().map(|tables| tables.clone()).unwrap_or_default()
    }

    pub fn slot(&self) -> SlotHealth {
        self.slot.lock().map(|slot| slot.clone()).unwrap_or_default()
    }

    /// What is to be said to people, once.
    pub fn take_notes(&self) -> Vec<String> {
        self.notes.lock().map(|mut notes| std::mem::take(&mut *notes)).unwrap_or_default()
    }

    pub(super) fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::Connecting => 0,
            Phase::Streaming => 1,
            Phase::Reconnecting => 2,
            Phase::Draining => 3,
            Phase::Stopped => 4,
        };
        self.phase.store(number, Ordering::Relaxed);
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        /// Nobody reads the notes of a process without a display.
        const LIMIT: usize = 1000;
        if let Ok(mut notes) = self.notes.lock()
            && notes.len() < LIMIT
        {
            notes.push(note.into());
        }
    }

    pub(super) fn receive(&self, position: Lsn) {
        self.received.fetch_max(position.0, Ordering::Relaxed);
        self.source_end.fetch_max(position.0, Ordering::Relaxed);
    }

    pub(super) fn set_source_end(&self, position: Lsn) {
        self.source_end.fetch_max(position.0, Ordering::Relaxed);
    }

    pub(super) fn set_applied(&self, position: Lsn, commit_time: Option<i64>) {
        self.applied.fetch_max(position.0, Ordering::Relaxed);
        if let Some(time) = commit_time {
            self.commit_time.store(time, Ordering::Relaxed);
        }
    }

    pub(super) fn set_acknowledged(&self, position: Lsn) {
        self.acknowledged.fetch_max(position.0, Ordering::Relaxed);
    }

    pub(super) fn count_group(&self, transactions: u64, changes: u64, bytes: u64) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.transactions.fetch_add(transactions, Ordering::Relaxed);
        self.changes.fetch_add(changes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_masked(&self, rows: u64) {
        self.rows_masked.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn set_quarantined(&self, count: u64) {
        self.quarantined.store(count, Ordering::Relaxed);
    }

    pub(super) fn add_quarantined(&self, count: u64) {
        self.quarantined.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn count_apply_time(&self, time: std::time::Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.apply_us.fetch_add(microseconds, Ordering::Relaxed);
    }

    pub(super) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_slot(&self, health: SlotHealth) {
        if let Ok(mut slot) = self.slot.lock() {
            *slot = health;
        }
    }

    pub(super) fn with_table(&self, name: &RelationName, change: impl FnOnce(&mut TableStatus)) {
        if let Ok(mut tables) = self.tables.lock() {
            if !tables.contains_key(name) {
                tables.insert(name.clone(), TableStatus::default());
            }
            if let Some(table) = tables.get_mut(name) {
                change(table);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Numbers;
    use crate::pg::Lsn;

    #[test]
    fn a_stream_that_has_everything_has_no_lag_however_old_the_last_transaction_is() {
        let mut numbers = Numbers {
            applied: Lsn(100),
            source_end: Lsn(100),
            commit_time: Some(1),
            ..Numbers::default()
        };
        assert_eq!((numbers.lag_bytes(), numbers.lag_us(1_000_001)), (0, 0));
        numbers.source_end = Lsn(150);
        assert_eq!((numbers.lag_bytes(), numbers.lag_us(1_000_001)), (50, 1_000_000));
    }
}
