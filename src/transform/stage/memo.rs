//! A small memory of masked values: names and cities repeat, and a keyed fake costs more than
//! looking up the last one.
//!
//! Direct-mapped, of fixed size, without allocation after the first row. A fake depends on the
//! value alone (a rule with a subject never comes here), so a hit is the same as a new one.

/// Places; a power of two.
const SLOT_COUNT: usize = 2048;
const INPUT_BYTES: usize = 30;
const OUTPUT_BYTES: usize = 32;
/// Look-ups after which a memory that is of no use is given up.
const TRIAL: u32 = 8192;
/// Hits of a trial that are worth going on, in the trial's share.
const WORTHWHILE: u32 = TRIAL / 4;

pub(super) struct Memo {
    slots: Vec<Slot>,
    lookups: u32,
    hits: u32,
    is_open: bool,
}

/// One cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slot {
    /// `u8::MAX` for an empty place.
    input_length: u8,
    output_length: u8,
    bytes: [u8; INPUT_BYTES + OUTPUT_BYTES],
}

const EMPTY: Slot =
    Slot { input_length: u8::MAX, output_length: 0, bytes: [0; INPUT_BYTES + OUTPUT_BYTES] };

impl Memo {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), lookups: 0, hits: 0, is_open: true }
    }

    /// True if a value of this length is worth asking for.
    pub(super) fn takes(&self, input: &[u8]) -> bool {
        self.is_open && input.len() <= INPUT_BYTES
    }

    /// What stood for the input before.
    pub(super) fn get(&mut self, input: &[u8]) -> Option<&[u8]> {
        if self.slots.is_empty() {
            self.slots.resize(SLOT_COUNT, EMPTY);
        }
        self.lookups += 1;
        if self.lookups == TRIAL {
            self.is_open = self.hits >= WORTHWHILE;
            (self.lookups, self.hits) = (0, 0);
        }
        let slot = self.slots.get(place(input))?;
        if usize::from(slot.input_length) != input.len()
            || slot.bytes.get(..input.len()) != Some(input)
        {
            return None;
        }
        self.hits += 1;
        slot.bytes.get(INPUT_BYTES..INPUT_BYTES + usize::from(slot.output_length))
    }

    pub(super) fn put(&mut self, input: &[u8], output: &[u8]) {
        if output.len() > OUTPUT_BYTES || input.len() > INPUT_BYTES {
            return;
        }
        let Some(slot) = self.slots.get_mut(place(input)) else { return };
        let (into, from) = slot.bytes.split_at_mut(INPUT_BYTES);
        if let (Some(into), Some(from)) =
            (into.get_mut(..input.len()), from.get_mut(..output.len()))
        {
            into.copy_from_slice(input);
            from.copy_from_slice(output);
            slot.input_length = u8::try_from(input.len()).unwrap_or(u8::MAX);
            slot.output_length = u8::try_from(output.len()).unwrap_or(0);
        }
    }
}

/// Eight bytes at a time, multiplied and folded; the last ones may count twice. The place decides
/// nothing but speed.
fn place(input: &[u8]) -> usize {
    let mut hash = input.len() as u64;
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
    usize::try_from(hash >> 32).unwrap_or(0) % SLOT_COUNT
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn fold(word: u64) -> u64 {
    let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::{Memo, TRIAL};

    #[test]
    fn a_value_is_found_again_and_another_of_the_same_place_is_not_taken_for_it() {
        let mut memo = Memo::new();
        for number in 0..100_000u32 {
            let input = number.to_be_bytes();
            if let Some(found) = memo.get(&input) {
                panic!("{number} was never put, found {found:?}");
            }
            memo.put(&input, &input.repeat(2));
            assert_eq!(memo.get(&input), Some(input.repeat(2).as_slice()));
        }
    }

    #[test]
    fn a_memory_that_never_hits_is_given_up() {
        let mut memo = Memo::new();
        for number in 0..TRIAL {
            assert!(memo.takes(&[1]));
            assert_eq!(memo.get(&number.to_be_bytes()), None);
        }
        assert!(!memo.takes(&[1]));
    }

    #[test]
    fn long_values_are_left_alone() {
        let mut memo = Memo::new();
        assert!(!memo.takes(&[0; 31]));
        assert_eq!(memo.get(b"a"), None);
        memo.put(b"a", &[0; 33]);
        assert_eq!(memo.get(b"a"), None);
    }
}
