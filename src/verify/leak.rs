//! The leak scan: source values of masked columns that stand in the target.
//!
//! Equal digests prove that a row of the target is what the rules made of its source row. So the
//! scan reads that, once, where original and result are both at hand:
//! - a value that a rule changed is an *original*;
//! - a value that stands in the result as it stood in the source (in a column without a rule, in
//!   a part of a JSON document that its rule keeps, a value that its rule leaves) is a *rest*.
//!
//! A rest that is an original somewhere else is a leak: masked here, shown there. Rows of the
//! target that are not what the rules make are looked through by `narrow`, on the target.
//! A fake that equals somebody else's original is neither: it is no rest.
//!
//! Memory: at most [`ORIGINALS`] and [`RESTS`] hashes of 59 bits. Beyond that a share of all
//! values is looked at, chosen by their hashes, the same on both sides; the report says which.

use super::digest::Keys;
use super::marks::{Mark, each_mark, fakes_are_apart, is_own};
use super::pairing::{Pair, PairColumn};
use super::rows::Row;
use crate::pg::{Format, Kind};
use crate::transform::{Found, Reader, Transform};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// 32 MiB, twice that while they are sorted.
const ORIGINALS: usize = 4 * 1024 * 1024;
/// 16 bytes each and the table's room.
const RESTS: usize = 1024 * 1024;
/// Values seen lately by a lane, so that labels cost nothing.
const LATELY: usize = 8192;
/// The low bits of a hash tell how many digits a number has; zero for all else.
const LENGTH_BITS: u64 = 0x1f;

/// A column: position of the pair, position in its columns.
pub(super) type Place = (u32, u32);

/// What all lanes have seen.
#[derive(Default)]
pub(super) struct Scan {
    seen: Mutex<Seen>,
}

struct Seen {
    originals: Vec<u64>,
    rests: HashSet<(u64, Place)>,
    /// Values that a rule that never keeps one has kept.
    unchanged: BTreeMap<Place, u64>,
    /// Hashes above are not looked at.
    ceiling: u64,
}

impl Default for Seen {
    fn default() -> Self {
        let (originals, rests) = (Vec::new(), HashSet::new());
        Self { originals, rests, unchanged: BTreeMap::new(), ceiling: u64::MAX }
    }
}

/// What was found at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) place: Place,
    /// Different values.
    pub(super) values: u64,
}

/// All originals, for looking single values up.
pub(super) struct Originals {
    hashes: Vec<u64>,
    ceiling: u64,
}

impl Originals {
    pub(super) fn has(&self, keys: &Keys, mark: Mark, text: &str) -> bool {
        self.hashes.binary_search(&hash(keys, mark, text)).is_ok()
    }

    /// Of all values, how many were looked at.
    pub(super) fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
        let share = self.ceiling as f64 / u64::MAX as f64;
        share
    }

    pub(super) fn count(&self) -> u64 {
        self.hashes.len() as u64
    }
}

fn hash(keys: &Keys, mark: Mark, text: &str) -> u64 {
    let length = match mark {
        Mark::Whole | Mark::Email => 0,
        Mark::Digits(length) => u64::from(length) & LENGTH_BITS,
    };
    (keys.value(text.as_bytes()) & !LENGTH_BITS) | length
}

impl Scan {
    fn merge(&self, lane: &mut Collector<'_>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { originals, rests, unchanged, ceiling } = &mut *seen;
        originals.append(&mut lane.originals);
        rests.extend(lane.rests.drain());
        for (place, more) in lane.unchanged.drain() {
            *unchanged.entry(place).or_default() += more;
        }
        let mut is_full = rests.len() > RESTS;
        if originals.len() >= 2 * ORIGINALS {
            originals.sort_unstable();
            originals.dedup();
            is_full |= originals.len() > ORIGINALS;
        }
        while is_full {
            *ceiling /= 2;
            originals.retain(|hash| hash <= ceiling);
            rests.retain(|(hash, _)| hash <= ceiling);
            is_full = originals.len() > ORIGINALS || rests.len() > RESTS;
        }
    }

    /// Joins the two.
    pub(super) fn finish(self) -> (Originals, Vec<Hit>) {
        let Seen { mut originals, rests, unchanged, ceiling } =
            self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        originals.retain(|hash| *hash <= ceiling);
        originals.sort_unstable();
        originals.dedup();
        let mut density = [0.0; 32];
        for hash in &originals {
            let length = usize::try_from(hash & LENGTH_BITS).unwrap_or(0);
            if let Some(density) = density.get_mut(length).filter(|_| length > 0) {
                *density += 0.1_f64.powi(i32::try_from(length).unwrap_or(0));
            }
        }
        let mut found = BTreeMap::<Place, Tally>::new();
        for (hash, place) in rests.iter().filter(|(hash, _)| *hash <= ceiling) {
            let tally = found.entry(*place).or_default();
            let is_original = originals.binary_search(hash).is_ok();
            let length = usize::try_from(hash & LENGTH_BITS).unwrap_or(0);
            if length == 0 {
                tally.certain += u64::from(is_original);
            } else {
                tally.numbers += u64::from(is_original);
                tally.by_chance += density.get(length).copied().unwrap_or(0.0);
            }
        }
        for (place, count) in unchanged {
            found.entry(place).or_default().certain += count;
        }
        let hits = found.into_iter().map(|(place, tally)| Hit { place, values: tally.values() });
        let hits = hits.filter(|hit| hit.values > 0).collect();
        (Originals { hashes: originals, ceiling }, hits)
    }
}

#[derive(Default)]
struct Tally {
    certain: u64,
    numbers: u64,
    /// Numbers that would be found if all were drawn by lot.
    by_chance: f64,
}

impl Tally {
    /// Where originals are dense among the numbers of their length, some are met by chance.
    fn values(&self) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "compared with an estimate")]
        let numbers = self.numbers as f64;
        let few = if self.by_chance < 0.05 { 0.0 } else { 3.0 };
        self.certain + if numbers > 4.0 * self.by_chance + few { self.numbers } else { 0 }
    }
}

/// What one lane sees of one range; nothing counts before [`Collector::commit`].
pub(super) struct Collector<'s> {
    scan: &'s Scan,
    keys: &'s Keys,
    originals: Vec<u64>,
    rests: HashSet<(u64, Place)>,
    unchanged: HashMap<Place, u64>,
    lately: Vec<u64>,
    lower: String,
    before: Vec<(u64, bool)>,
}

impl<'s> Collector<'s> {
    pub(super) fn new(scan: &'s Scan, keys: &'s Keys) -> Self {
        Self {
            scan,
            keys,
            originals: Vec::new(),
            rests: HashSet::new(),
            unchanged: HashMap::new(),
            lately: vec![0; LATELY],
            lower: String::new(),
            before: Vec::new(),
        }
    }

    pub(super) fn commit(mut self) {
        self.scan.merge(&mut self);
    }

    /// A row of the source and what the rules made of it.
    pub(super) fn row(
        &mut self,
        reader: &mut Reader,
        (at, pair): (u32, &Pair),
        order: &[usize],
        raw: Row<'_>,
        masked: Row<'_>,
    ) {
        for ((column, position), number) in pair.columns.iter().zip(order).zip(0..) {
            if !may_hold_text(&column.kind) {
                continue;
            }
            let Some(before) = raw.field(*position) else { continue };
            let after = masked.field(*position);
            let place = (at, number);
            match &column.rule {
                None => self.rests_of(reader, column, pair.format, before, place),
                Some(rule) if after == Some(before) => {
                    self.kept(reader, column, rule, pair.format, before, place);
                }
                Some(rule) => {
                    self.changed(reader, (column, rule), pair.format, (before, after), place);
                }
            }
        }
    }

    fn rests_of(
        &mut self,
        reader: &mut Reader,
        column: &PairColumn,
        format: Format,
        field: &[u8],
        place: Place,
    ) {
        let Self { keys, rests, lately, lower, .. } = self;
        reader.texts(&column.kind, format, field, &mut |found| {
            each_mark(found, lower, &mut |mark, text| {
                let hash = hash(keys, mark, text);
                if is_new(lately, hash ^ u64::from(place.1)) {
                    rests.insert((hash, place));
                }
            });
        });
    }

    /// A rule left the value as it is: a fixed point of a permutation, or a leak if the rule has
    /// none.
    fn kept(
        &mut self,
        reader: &mut Reader,
        column: &PairColumn,
        rule: &Transform,
        format: Format,
        field: &[u8],
        place: Place,
    ) {
        self.rests_of(reader, column, format, field, place);
        if !fakes_are_apart(rule) {
            return;
        }
        let Self { lower, unchanged, .. } = self;
        reader.texts(&column.kind, format, field, &mut |found| {
            each_mark(found, lower, &mut |mark, text| {
                if is_own(mark, text, rule) {
                    *unchanged.entry(place).or_default() += 1;
                }
            });
        });
    }

    fn changed(
        &mut self,
        reader: &mut Reader,
        (column, rule): (&PairColumn, &Transform),
        format: Format,
        (before, after): (&[u8], Option<&[u8]>),
        place: Place,
    ) {
        let Self { keys, originals, rests, lately, lower, before: raw, .. } = self;
        raw.clear();
        reader.texts(&column.kind, format, before, &mut |found| {
            each_mark(found, lower, &mut |mark, text| {
                raw.push((hash(keys, mark, text), is_own(mark, text, rule)));
            });
        });
        // In a document or an array, and inside of a text, some of it may stand.
        let may_stand = matches!(column.kind, Kind::Array(_) | Kind::Json | Kind::Jsonb)
            || matches!(rule, Transform::Json { .. } | Transform::Code | Transform::Url);
        if let Some(after) = after.filter(|_| may_stand) {
            reader.texts(&column.kind, format, after, &mut |found| {
                each_mark(found, lower, &mut |mark, text| {
                    let hash = hash(keys, mark, text);
                    let before = raw.len();
                    raw.retain(|(own, _)| *own != hash);
                    if raw.len() < before && is_new(lately, hash ^ u64::from(place.1)) {
                        rests.insert((hash, place));
                    }
                });
            });
        }
        for (hash, _) in raw.iter().filter(|(_, is_own)| *is_own) {
            if is_new(lately, !hash) {
                originals.push(*hash);
            }
        }
    }
}

/// False if the same was asked lately.
fn is_new(lately: &mut [u64], hash: u64) -> bool {
    let at = usize::try_from(hash >> 8).unwrap_or(0) % LATELY;
    lately.get_mut(at).is_none_or(|slot| std::mem::replace(slot, hash) != hash)
}

/// Calls `each` for the marks of a value that are somebody's own.
pub(super) fn own_marks(
    reader: &mut Reader,
    column: &PairColumn,
    format: Format,
    field: &[u8],
    each: &mut dyn FnMut(Mark, &str),
) {
    let mut lower = String::new();
    reader.texts(&column.kind, format, field, &mut |found: Found<'_>| {
        each_mark(found, &mut lower, &mut |mark, text| {
            if column.rule.as_ref().is_none_or(|rule| is_own(mark, text, rule)) {
                each(mark, text);
            }
        });
    });
}

pub(super) fn may_hold_text(kind: &Kind) -> bool {
    matches!(
        kind.element(),
        Kind::Text
            | Kind::Bpchar
            | Kind::Citext
            | Kind::Json
            | Kind::Jsonb
            | Kind::Xml
            | Kind::Hstore
            | Kind::Tsvector
            | Kind::Composite
            | Kind::Opaque
    )
}
