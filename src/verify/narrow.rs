//! Which rows differ: a second reading of a table whose digests differ, that looks only at the
//! buckets that do.
//!
//! Values are compared by their hashes and never shown. A key is shown where it can be: kept
//! surrogates, and fakes that we have made ourselves. The key of a row that only the target has
//! may be anybody's; such a row is told by its place (`ctid`).

use super::compare::{Comparison, Outcome, each_masked, each_stored, place};
use super::digest::{bucket_of, low};
use super::error::{Side, VerifyError};
use super::image::{Hashes, Imager};
use super::join::{Detail, Entry, Findings, Stored, join};
use super::lanes::{self, Lane, Sides, Task};
use super::leak::{Originals, may_hold_text, own_marks};
use super::marks::{fakes_are_apart, fakes_are_common};
use super::pairing::{Pair, PairColumn};
use super::progress::Progress;
use super::rows::Row;
use crate::pg::Kind;
use std::sync::{Mutex, PoisonError};

/// Memory for the rows of the buckets that differ. What does not fit is not looked at, and the
/// report says so.
const BUDGET_BYTES: u64 = 64 * 1024 * 1024;
/// Of a row on either side, its key's text and the allocator's share included.
const ROW_BYTES: u64 = 256;
/// Shorter values are somebody else's by chance.
const TELLING_BYTES: usize = 6;

/// What is looked at in one pair.
struct Search<'s> {
    comparison: &'s Comparison<'s>,
    pair: &'s Pair,
    originals: Option<&'s Originals>,
    /// By bucket.
    wanted: Vec<bool>,
}

/// Looks for the rows of the pair at `at` that differ; lists up to `shown` of each kind.
pub(super) fn narrow(
    comparison: &Comparison<'_>,
    (sides, progress): (&Sides, &Progress),
    (at, outcome): (usize, &Outcome),
    originals: Option<&Originals>,
    shown: usize,
) -> Result<Findings, VerifyError> {
    let Some(pair) = comparison.pairs.get(at) else { return Ok(Findings::default()) };
    let row_bytes = ROW_BYTES + 32 * pair.columns.len() as u64;
    let mut wanted = vec![false; outcome.bucket_count.next_power_of_two()];
    let mut room = BUDGET_BYTES / row_bytes;
    let mut examined = 0;
    for (bucket, rows) in &outcome.differing {
        if examined > 0 && *rows > room {
            break;
        }
        room = room.saturating_sub(*rows);
        examined += 1;
        if let Some(wanted) = wanted.get_mut(*bucket) {
            *wanted = true;
        }
    }
    let search = Search { comparison, pair, originals, wanted };
    let entries = search.source(at, sides, progress)?;
    let stored = search.target(at, sides, progress, &entries)?;
    let mut findings = join(pair, entries, stored, shown);
    findings.examined_buckets = examined;
    findings.differing_buckets = outcome.differing.len();
    Ok(findings)
}

impl Search<'_> {
    fn is_wanted(&self, key: u128) -> bool {
        self.wanted.get(bucket_of(key, self.wanted.len())) == Some(&true)
    }

    fn hashes(&self, imager: &mut Imager<'_>, order: &[usize], row: Row<'_>) -> Hashes {
        if self.pair.key.is_empty() {
            // The bucket is the row's, as it was the first time.
            imager.hashes(self.pair, order, row)
        } else {
            imager.hashes_by_column(self.pair, order, row)
        }
    }

    /// What the rules make of the source's rows, in the wanted buckets, by key.
    fn source(
        &self,
        at: usize,
        sides: &Sides,
        progress: &Progress,
    ) -> Result<Vec<Entry>, VerifyError> {
        let Comparison { pairs, jobs, keys, .. } = self.comparison;
        let all = Mutex::new(Vec::new());
        let tasks = lanes::tasks(Side::Source, pairs, jobs, |pair| pair == at);
        lanes::run(sides, progress, vec![tasks], &|task: &Task, lane: &mut Lane<'_>| {
            let Some(origin) = self.pair.origins.get(task.member) else { return Ok(()) };
            let (mut imager, mut found) = (Imager::new(keys), Vec::new());
            each_masked(jobs, self.pair, origin, task, lane, &mut |raw, masked| {
                let hashes = self.hashes(&mut imager, &origin.order, masked);
                if self.is_wanted(hashes.key) {
                    found.push(self.entry(&mut imager, &origin.order, (raw, masked), hashes));
                }
            })?;
            all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut found);
            Ok(())
        })?;
        let mut entries = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        entries.sort_unstable_by_key(|entry: &Entry| (entry.key, entry.row));
        Ok(entries)
    }

    fn entry(
        &self,
        imager: &mut Imager<'_>,
        order: &[usize],
        (raw, masked): (Row<'_>, Row<'_>),
        hashes: Hashes,
    ) -> Entry {
        let pair = self.pair;
        let columns = columns(imager, pair, order, masked);
        let mut originals = Vec::new();
        for (column, position) in pair.columns.iter().zip(order) {
            let Some(before) = raw.field(*position).filter(|field| is_telling(column, field))
            else {
                originals.push(0);
                continue;
            };
            let original = imager.value(column, pair, Some(before));
            let made = imager.value(column, pair, masked.field(*position));
            originals.push(if made == original { 0 } else { original });
        }
        let shown = pair.key.iter().filter_map(|at| {
            let (column, position) = (pair.columns.get(*at)?, order.get(*at)?);
            Some(show(imager, column, pair, masked.field(*position), true))
        });
        let shown = shown.collect::<Vec<_>>().join(", ").into();
        Entry { key: hashes.key, row: hashes.row, shown, columns, originals: originals.into() }
    }

    /// The target's rows in the wanted buckets; with details where they are none of `entries`.
    fn target(
        &self,
        at: usize,
        sides: &Sides,
        progress: &Progress,
        entries: &[Entry],
    ) -> Result<Vec<Stored>, VerifyError> {
        let Comparison { pairs, jobs, keys, .. } = self.comparison;
        let order = (0..self.pair.columns.len()).collect::<Vec<_>>();
        let with_place = !self.pair.key.is_empty();
        let all = Mutex::new(Vec::new());
        let tasks = lanes::tasks(Side::Target, pairs, jobs, |pair| pair == at);
        lanes::run(sides, progress, vec![tasks], &|task: &Task, lane: &mut Lane<'_>| {
            let (mut imager, mut found) = (Imager::new(keys), Vec::new());
            each_stored(self.pair, task, lane, with_place, &mut |row| {
                let hashes = self.hashes(&mut imager, &order, row);
                if !self.is_wanted(hashes.key) {
                    return;
                }
                let known = (hashes.key, hashes.row);
                let is_known =
                    entries.binary_search_by_key(&known, |entry| (entry.key, entry.row)).is_ok();
                let detail = (!is_known).then(|| {
                    let relation = self.pair.holders.get(task.member).map(|table| &table.name);
                    let place = with_place.then(|| place(self.pair.format, row.field(order.len())));
                    let place = place.flatten().map_or_else(String::new, |place| match relation {
                        Some(relation) if *relation != self.pair.name => {
                            format!("ctid {place} of {relation}")
                        }
                        _ => format!("ctid {place}"),
                    });
                    Box::new(self.detail(&mut imager, &order, row, place))
                });
                found.push(Stored { key: hashes.key, row: hashes.row, detail });
            })?;
            all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut found);
            Ok(())
        })?;
        let mut stored = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        stored.sort_unstable_by_key(|row: &Stored| (row.key, row.row));
        Ok(stored)
    }

    fn detail(
        &self,
        imager: &mut Imager<'_>,
        order: &[usize],
        row: Row<'_>,
        place: String,
    ) -> Detail {
        let pair = self.pair;
        let columns = columns(imager, pair, order, row);
        let (mut values, mut owned, mut hits) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (column, position)) in pair.columns.iter().zip(order).enumerate() {
            let field = row.field(*position);
            let telling = field.filter(|field| is_telling(column, field));
            values.push(telling.map_or(0, |field| imager.value(column, pair, Some(field))));
            let Some(field) = field.filter(|_| may_hold_text(&column.kind)) else { continue };
            let is_apart = column.rule.as_ref().is_none_or(fakes_are_apart);
            let (mut is_own, mut is_hit, keys) = (false, false, imager.keys);
            own_marks(&mut imager.reader, column, pair.format, field, &mut |mark, text| {
                is_own = true;
                is_hit |= self.originals.is_some_and(|all| is_apart && all.has(keys, mark, text));
            });
            owned.extend((is_own && telling.is_some()).then_some(at));
            hits.extend(is_hit.then_some(at));
        }
        let shown = pair.key.iter().filter_map(|at| {
            let (column, position) = (pair.columns.get(*at)?, order.get(*at)?);
            Some(show(imager, column, pair, row.field(*position), false))
        });
        let mut shown = shown.collect::<Vec<_>>();
        shown.extend(Some(place).filter(|place| !place.is_empty()));
        Detail { shown: shown.join(", "), columns, values: values.into(), owned, hits }
    }
}

/// A short hash of each column.
fn columns(imager: &mut Imager<'_>, pair: &Pair, order: &[usize], row: Row<'_>) -> Box<[u32]> {
    let columns = pair.columns.iter().zip(order);
    let hash = |(column, position): (&PairColumn, &usize)| {
        let hash = imager.value(column, pair, row.field(*position));
        u32::try_from(low(hash.into()) >> 32).unwrap_or(0)
    };
    columns.map(hash).collect()
}

/// True if a value of a ruled column cannot be a fake of another one by chance.
fn is_telling(column: &PairColumn, field: &[u8]) -> bool {
    column.rule.as_ref().is_some_and(|rule| !fakes_are_common(rule))
        && may_hold_text(&column.kind)
        && field.len() >= TELLING_BYTES
}

/// A column of a key for people. `is_ours`: we have made it, so a masked one is a fake.
fn show(
    imager: &mut Imager<'_>,
    column: &PairColumn,
    pair: &Pair,
    field: Option<&[u8]>,
    is_ours: bool,
) -> String {
    let Some(field) = field else { return "null".into() };
    let is_surrogate = column.kind.is_integer()
        || matches!(column.kind, Kind::Uuid | Kind::Date | Kind::Timestamp | Kind::Timestamptz);
    let may_be_shown = if column.rule.is_some() { is_ours } else { is_surrogate };
    may_be_shown
        .then(|| imager.reader.show(&column.kind, pair.format, field))
        .flatten()
        .unwrap_or_else(|| format!("({}, {} bytes)", column.name, field.len()))
}
