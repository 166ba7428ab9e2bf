//! The shape of a column's values: counts only.

use std::collections::BTreeSet;

/// What can be said of samples without quoting one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextProfile {
    /// Samples that are not empty.
    pub rows: usize,
    pub distinct: usize,
    pub average_chars: usize,
    pub longest_chars: usize,
    pub most_words: usize,
}

/// A column with fewer samples proves nothing by repetition.
const CODE_MIN_ROWS: usize = 20;
const CODE_MAX_DISTINCT: usize = 30;
/// Every value of a code is seen that often on average.
const CODE_MIN_REPEATS: usize = 5;
const CODE_MAX_CHARS: usize = 40;
const CODE_MAX_WORDS: usize = 4;

impl TextProfile {
    pub fn of(samples: &[&str]) -> Self {
        let filled = samples.iter().filter(|value| !value.trim().is_empty());
        let distinct: BTreeSet<&str> = filled.clone().copied().collect();
        let chars = |value: &&&str| value.chars().count();
        let rows = filled.clone().count();
        let total: usize = filled.clone().map(|value| chars(&value)).sum();
        Self {
            rows,
            distinct: distinct.len(),
            average_chars: total.checked_div(rows).unwrap_or(0),
            longest_chars: filled.clone().map(|value| chars(&value)).max().unwrap_or(0),
            most_words: filled.map(|value| value.split_whitespace().count()).max().unwrap_or(0),
        }
    }

    /// Few short values, each many times: states, kinds, codes.
    pub fn looks_like_code(&self) -> bool {
        self.rows >= CODE_MIN_ROWS
            && self.distinct <= CODE_MAX_DISTINCT
            && self.distinct * CODE_MIN_REPEATS <= self.rows
            && self.longest_chars <= CODE_MAX_CHARS
            && self.most_words <= CODE_MAX_WORDS
    }
}

/// Whole percent of `part` in `total`, 0 of nothing. 100 only if all.
pub fn percent(part: usize, total: usize) -> usize {
    (part * 100).checked_div(total).unwrap_or(0)
}
