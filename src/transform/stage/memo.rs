//! A small memory of masked values: names and cities repeat, and a keyed fake costs more than
//! looking up the last one.
//!
//! One for all columns that a thread masks, of fixed size whatever the number of tables. It fits
//! the processor's cache: from further away a value comes no sooner than a new fake is made.
//! Entries are written round and round in the order in which they came; a table of places,
//! direct-mapped, says where the last one of a hash is. A fake depends on the mask and the value
//! alone (a rule with a subject never comes here), so a hit is the same as a new one.

use std::sync::atomic::{AtomicU32, Ordering};

/// Entries: 768 KiB, of which the kernel gives what is written. A power of two.
const CAPACITY: u32 = 1 << 13;
/// Places for each entry: two hashes seldom have the same.
const SPREAD: u32 = 2;
/// Length of an entry: the mask it is of, the lengths of its two values, and those.
const ENTRY_BYTES: usize = 96;
const HEADER_BYTES: usize = 6;
/// A value that leaves less than this for its fake is not worth looking up.
const INPUT_BYTES: usize = 60;
/// Look-ups after which a column without use for the memory gives it up for a while. Too few to
/// write over all that other columns have.
const TRIAL: u32 = CAPACITY / 2;
/// Hits of a trial that are worth going on.
const WORTHWHILE: u32 = TRIAL / 4;
/// Values that are not looked up then.
const PAUSE: u32 = 32 * TRIAL;

/// Masked values of several columns, and what they were made of.
#[derive(Default)]
pub struct Memo {
    /// By the hash: the number of its last entry below, the rest of the hash above.
    places: Vec<u32>,
    entries: Vec<u8>,
    /// The number of the entry that is written next.
    next: u32,
}

/// One column's part in a memory.
pub(super) struct Share {
    /// Of this column, in this format, of this stage.
    id: u32,
    lookups: u32,
    hits: u32,
    /// Values that are not looked up.
    pause: u32,
}

/// Where a value is looked for.
#[derive(Clone, Copy)]
pub(super) struct Place {
    at: usize,
    /// Of the value's hash, in the bits above an entry's number.
    rest: u32,
}

impl Memo {
    /// Where the input is looked for; None if it is not worth it.
    pub(super) fn seek(&mut self, share: &mut Share, input: &[u8]) -> Option<Place> {
        if self.places.is_empty() {
            // Zeroes from the kernel: what is not written takes no memory.
            self.places = vec![0; (CAPACITY * SPREAD) as usize];
            self.entries = vec![0; CAPACITY as usize * ENTRY_BYTES];
        }
        share.takes(input).then(|| Place::of(share.id, input))
    }

    /// What stood for the input before.
    pub(super) fn get(&self, share: &mut Share, place: Place, input: &[u8]) -> Option<&[u8]> {
        let made = self.find(share.id, place, input)?;
        share.hits += 1;
        Some(made)
    }

    /// The entry may have been written over since its place was.
    fn find(&self, id: u32, place: Place, input: &[u8]) -> Option<&[u8]> {
        let found = *self.places.get(place.at)?;
        let number = found & (CAPACITY - 1);
        if found != place.rest | number {
            return None;
        }
        let start = number as usize * ENTRY_BYTES;
        let entry = self.entries.get(start..start + ENTRY_BYTES)?;
        let ([id_0, id_1, id_2, id_3, input_length, made_length], values) =
            entry.split_first_chunk::<HEADER_BYTES>()?;
        let (of, made) = values.split_at_checked(usize::from(*input_length))?;
        let is_it = u32::from_be_bytes([*id_0, *id_1, *id_2, *id_3]) == id && of == input;
        made.get(..usize::from(*made_length)).filter(|_| is_it)
    }

    /// Keeps what stands for the input, if it is not too long.
    pub(super) fn put(&mut self, share: &Share, place: Place, input: &[u8], made: &[u8]) {
        let (Ok(input_length), Ok(made_length)) =
            (u8::try_from(input.len()), u8::try_from(made.len()))
        else {
            return;
        };
        let start = self.next as usize * ENTRY_BYTES;
        let entry = self.entries.get_mut(start..start + ENTRY_BYTES);
        let Some((header, values)) = entry.and_then(<[u8]>::split_first_chunk_mut::<HEADER_BYTES>)
        else {
            return;
        };
        let Some((of, values)) = values.split_at_mut_checked(input.len()) else { return };
        let (Some(stands_for), Some(at)) =
            (values.get_mut(..made.len()), self.places.get_mut(place.at))
        else {
            return;
        };
        let [id_0, id_1, id_2, id_3] = share.id.to_be_bytes();
        *header = [id_0, id_1, id_2, id_3, input_length, made_length];
        of.copy_from_slice(input);
        stands_for.copy_from_slice(made);
        *at = place.rest | self.next;
        self.next = (self.next + 1) & (CAPACITY - 1);
    }
}

impl Place {
    /// Eight bytes at a time, multiplied and folded; the last ones may count twice. It decides
    /// nothing but speed.
    #[expect(clippy::cast_possible_truncation, reason = "two parts of a hash")]
    fn of(id: u32, input: &[u8]) -> Self {
        let mut hash = u64::from(id) << 32 | input.len() as u64;
        if let Some(last) = input.last_chunk::<8>() {
            for word in input.as_chunks().0 {
                hash = fold(hash ^ u64::from_le_bytes(*word));
            }
            hash = fold(hash ^ u64::from_le_bytes(*last));
        } else if let (Some(first), Some(last)) = (input.first_chunk(), input.last_chunk()) {
            let word = u64::from(u32::from_le_bytes(*first)) << 32;
            hash = fold(hash ^ word ^ u64::from(u32::from_le_bytes(*last)));
        } else {
            hash = fold(input.iter().fold(hash, |hash, byte| hash << 8 | u64::from(*byte)));
        }
        let rest = hash as u32 & !(CAPACITY - 1);
        let at = ((hash >> 32) as u32 & (CAPACITY * SPREAD - 1)) as usize;
        Self { at, rest }
    }
}

impl Share {
    pub(super) fn new() -> Self {
        // An entry that was never written is of 0.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, lookups: 0, hits: 0, pause: 0 }
    }

    /// True if this value is worth looking up.
    fn takes(&mut self, input: &[u8]) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        if input.len() > INPUT_BYTES {
            return false;
        }
        self.lookups += 1;
        if self.lookups == TRIAL {
            self.pause = if self.hits >= WORTHWHILE { 0 } else { PAUSE };
            (self.lookups, self.hits) = (0, 0);
        }
        true
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn fold(word: u64) -> u64 {
    let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests;
