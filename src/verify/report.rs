//! What a verification came to. Counts, names and keys that may be shown; never a value.

use super::join::DifferentRow;
use super::orphans::Orphans;
use super::sequences::SequenceBehind;
use serde::Serialize;

/// The worst that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Verified,
    /// Only tables differ that the stream does not follow.
    NotFollowed,
    Differs,
    /// Source values of masked columns stand in the target.
    Leaks,
}

/// A table that is not what the rules make of the source.
#[derive(Clone, Debug, Serialize)]
pub struct TableDifference {
    pub table: String,
    pub source_rows: u64,
    pub target_rows: u64,
    /// Rows that only the source has.
    pub missing: u64,
    /// Rows that only the target has.
    pub extra: u64,
    /// Rows of one key with other values.
    pub different: u64,
    /// False if so much differs that not all of it was counted: the counts are lower bounds.
    pub is_complete: bool,
    /// Why the table need not be equal: the stream says so.
    pub not_followed: Option<String>,
    /// Keys as the target has them.
    pub missing_rows: Vec<String>,
    pub extra_rows: Vec<String>,
    pub different_rows: Vec<DifferentRow>,
}

/// A column of the target that shows source values of masked columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    pub column: String,
    /// Different values, or rows where they were counted by rows.
    pub values: u64,
    pub because: &'static str,
}

/// How far the leak scan looked.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LeakScan {
    /// Source values that were looked for.
    pub originals: u64,
    /// Share of all values that was looked at, chosen by hash; 1 unless memory did not do.
    pub share: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub source: String,
    pub target: String,
    pub verdict: Verdict,
    /// The position up to which both sides were compared, if a stream feeds the target.
    pub lsn: Option<String>,
    pub rows: u64,
    pub tables: usize,
    pub tables_equal: usize,
    pub differences: Vec<TableDifference>,
    pub references: usize,
    pub orphans: Vec<Orphans>,
    pub sequences: usize,
    pub sequences_behind: Vec<SequenceBehind>,
    pub leaks: Vec<Leak>,
    /// `None` if it was not asked for.
    pub leak_scan: Option<LeakScan>,
    /// What was not compared, and what is no fault.
    pub notes: Vec<String>,
    pub bytes: u64,
    pub seconds: f64,
}

impl Report {
    pub(super) fn judge(&mut self) {
        let is_plain = |table: &TableDifference| table.not_followed.is_none();
        self.verdict = if !self.leaks.is_empty() {
            Verdict::Leaks
        } else if self.differences.iter().any(is_plain)
            || !self.orphans.is_empty()
            || !self.sequences_behind.is_empty()
        {
            Verdict::Differs
        } else if !self.differences.is_empty() {
            Verdict::NotFollowed
        } else {
            Verdict::Verified
        };
    }
}
