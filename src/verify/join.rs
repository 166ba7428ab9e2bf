//! The rows of both sides side by side: what is missing, what is too many, what differs, and what
//! of that is a leak.

use super::pairing::Pair;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// What the rules make of a source row.
pub(super) struct Entry {
    pub(super) key: u128,
    pub(super) row: u128,
    pub(super) shown: Box<str>,
    /// A short hash of each column.
    pub(super) columns: Box<[u32]>,
    /// Of each column with a rule the hash of the source's value, if it tells whose it is and the
    /// rule changed it; else zero.
    pub(super) originals: Box<[u64]>,
}

/// A row of the target.
pub(super) struct Stored {
    pub(super) key: u128,
    pub(super) row: u128,
    /// `None` if the rules make such a row.
    pub(super) detail: Option<Box<Detail>>,
}

pub(super) struct Detail {
    pub(super) shown: String,
    pub(super) columns: Box<[u32]>,
    /// As [`Entry::originals`], of what is stored.
    pub(super) values: Box<[u64]>,
    /// Columns whose value is somebody's own, so that no fake equals it by chance.
    pub(super) owned: Vec<usize>,
    /// Columns that show an original of some masked column.
    pub(super) hits: Vec<usize>,
}

/// A row that is on both sides and differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferentRow {
    pub key: String,
    pub columns: Vec<String>,
}

/// What differs in a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) missing: u64,
    pub(super) extra: u64,
    pub(super) different: u64,
    pub(super) missing_rows: Vec<String>,
    pub(super) extra_rows: Vec<String>,
    pub(super) different_rows: Vec<DifferentRow>,
    /// By position of the column: rows of the target that show a source value.
    pub(super) leaks: BTreeMap<usize, u64>,
    pub(super) examined_buckets: usize,
    pub(super) differing_buckets: usize,
}

/// Both sides sorted by key and row.
pub(super) fn join(
    pair: &Pair,
    entries: Vec<Entry>,
    stored: Vec<Stored>,
    shown: usize,
) -> Findings {
    let (mut findings, mut extra) = (Findings::default(), Vec::new());
    let mut unmatched = vec![HashSet::new(); pair.columns.len()];
    let (mut entries, mut stored) = (entries.into_iter().peekable(), stored.into_iter().peekable());
    loop {
        let keys = [entries.peek().map(|entry| entry.key), stored.peek().map(|row| row.key)];
        let Some(key) = keys.into_iter().flatten().min() else { break };
        let mut ours = Vec::new();
        while let Some(entry) = entries.next_if(|entry| entry.key == key) {
            ours.push(entry);
        }
        let mut theirs = Vec::new();
        while let Some(row) = stored.next_if(|row| row.key == key) {
            match ours.iter().position(|entry| entry.row == row.row) {
                Some(at) => drop(ours.swap_remove(at)),
                None => theirs.push(row),
            }
        }
        for entry in &ours {
            for (set, original) in unmatched.iter_mut().zip(&entry.originals) {
                set.extend(Some(*original).filter(|original| *original != 0));
            }
        }
        let mut theirs = theirs.into_iter();
        for entry in ours {
            match theirs.next() {
                Some(row) => findings.different(pair, &entry, &row, shown),
                None => findings.missing(&entry, shown),
            }
        }
        extra.extend(theirs);
    }
    for row in &extra {
        findings.extra(row, &unmatched, shown);
    }
    findings
}

impl Findings {
    fn missing(&mut self, entry: &Entry, shown: usize) {
        self.missing += 1;
        if self.missing_rows.len() < shown && !entry.shown.is_empty() {
            self.missing_rows.push(entry.shown.to_string());
        }
    }

    fn different(&mut self, pair: &Pair, entry: &Entry, row: &Stored, shown: usize) {
        self.different += 1;
        let Some(detail) = &row.detail else { return };
        let differs = |at: usize| entry.columns.get(at) != detail.columns.get(at);
        let columns = (0..pair.columns.len()).filter(|at| differs(*at));
        if self.different_rows.len() < shown {
            let name = |at: usize| Some(pair.columns.get(at)?.name.clone());
            let columns = columns.clone().filter_map(name).collect();
            self.different_rows.push(DifferentRow { key: entry.shown.to_string(), columns });
        }
        for at in columns {
            let own = detail.values.get(at).filter(|value| **value != 0);
            // The row shows its own source value, or anybody's.
            if (own.is_some() && own == entry.originals.get(at)) || detail.hits.contains(&at) {
                *self.leaks.entry(at).or_default() += 1;
            }
        }
    }

    /// A row that nothing of the source becomes: it leaks if it shows what a row that is missing
    /// should have had masked.
    fn extra(&mut self, row: &Stored, unmatched: &[HashSet<u64>], shown: usize) {
        self.extra += 1;
        let Some(detail) = &row.detail else { return };
        if self.extra_rows.len() < shown && !detail.shown.is_empty() {
            self.extra_rows.push(detail.shown.clone());
        }
        for (at, (value, originals)) in detail.values.iter().zip(unmatched).enumerate() {
            let is_own = detail.owned.contains(&at);
            if (is_own && originals.contains(value)) || detail.hits.contains(&at) {
                *self.leaks.entry(at).or_default() += 1;
            }
        }
    }
}
