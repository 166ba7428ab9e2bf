//! Permutations of the letters and digits of a text, everything else kept.
//!
//! The letters and digits of a text are slots, each with the size of its class; together they
//! are one number in mixed radix. If that number has at most 128 bits it goes through one keyed
//! permutation; a longer text goes through an alternating Feistel network over its two halves,
//! in place. Both are bijective for a fixed shape (which slots, of which classes, what between
//! them), and the shape does not change: so distinct texts get distinct fakes. Case is not part
//! of the number, it is put back afterwards: texts that citext calls distinct stay so.
//!
//! Exception: letters of scripts without a class ([`super::charclass`]) are filled, not
//! permuted; texts that differ only in such letters may collide. Fixed points exist (see
//! [`crate::transform::permute`]).

use super::canonical::{self, TAG_ROUND, tail, tail_mut};
use super::charclass::{Slot, neighbour, slot};
use crate::transform::key::DomainKey;
use crate::transform::permute::permute;

const LONG_ROUNDS: u8 = 10;

/// Which characters take part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    Digits,
    LettersAndDigits,
}

impl Take {
    fn slot(self, character: char) -> Option<Slot> {
        slot(character).filter(|slot| self == Self::LettersAndDigits || slot.is_digit)
    }
}

/// Appends the image of `text`: as many characters and as many bytes. Returns whether any
/// character took part.
pub(super) fn permute_text(
    key: &DomainKey,
    take: Take,
    tweak: u64,
    text: &str,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let (mut last, mut rank, mut slots) = (0_u128, 0_u128, 0_usize);
    let (mut fits, mut foreign) = (true, false);
    for character in text.chars() {
        let Some(slot) = take.slot(character) else {
            foreign |= take == Take::LettersAndDigits
                && !character.is_ascii()
                && character.is_alphanumeric();
            continue;
        };
        slots += 1;
        let top = u128::from(slot.size - 1);
        match last.checked_mul(u128::from(slot.size)).and_then(|last| last.checked_add(top)) {
            Some(next) if fits => {
                last = next;
                rank = rank * u128::from(slot.size) + u128::from(slot.index);
            }
            Some(_) | None => fits = false,
        }
    }
    out.extend_from_slice(text.as_bytes());
    if fits {
        unrank(take, text, permute(key.feistel(), tweak, last, rank), tail_mut(out, start));
    } else {
        permute_long(key, take, tweak, slots, text, out, start);
    }
    if foreign {
        fill_foreign(key, text, out, start);
    }
    slots > 0 || foreign
}

/// Writes the number into the slots, last slot first.
fn unrank(take: Take, text: &str, mut rank: u128, image: &mut [u8]) {
    for (at, character) in text.char_indices().rev() {
        let Some(slot) = take.slot(character) else { continue };
        let size = u128::from(slot.size);
        let index;
        (rank, index) = match u64::try_from(rank) {
            Ok(small) => {
                let size = u64::from(slot.size);
                (u128::from(small / size), small % size)
            }
            Err(_) => (rank / size, u64::try_from(rank % size).unwrap_or(0)),
        };
        put(image, at, slot.at(u32::try_from(index).unwrap_or(0)));
    }
}

/// Overwrites one character by another of the same length.
fn put(image: &mut [u8], at: usize, character: char) {
    let mut bytes = [0; 4];
    let bytes = character.encode_utf8(&mut bytes).as_bytes();
    if let Some(place) = image.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Ten rounds: each adds a stream, keyed by the indexes (so by no case) of one half, to the slots
/// of the other.
fn permute_long(
    key: &DomainKey,
    take: Take,
    tweak: u64,
    slots: usize,
    text: &str,
    out: &mut Vec<u8>,
    start: usize,
) {
    let mut places = text.char_indices().filter(|(_, character)| take.slot(*character).is_some());
    let middle = start + places.nth(slots / 2).map_or(0, |(at, _)| at);
    let end = start + text.len();
    for round in 0..LONG_ROUNDS {
        let (from, to) = match round % 2 {
            0 => (middle..end, start..middle),
            _ => (start..middle, middle..end), // odd rounds
        };
        let scratch = out.len();
        out.extend_from_slice(&tweak.to_be_bytes());
        let mut at = from.start;
        while let Some(character) = first_char(out.get(at..from.end).unwrap_or_default()) {
            if let Some(slot) = take.slot(character) {
                // Which form is the slot's class's to say, so no two halves share their bytes.
                match u8::try_from(slot.index) {
                    Ok(index) if slot.size <= 256 => out.push(index),
                    Ok(_) | Err(_) => out.extend_from_slice(&slot.index.to_be_bytes()),
                }
            }
            at += character.len_utf8();
        }
        let mut stream = key.stream(TAG_ROUND + round, tail(out, scratch));
        out.truncate(scratch);
        let mut at = to.start;
        while let Some(character) = first_char(out.get(at..to.end).unwrap_or_default()) {
            if let Some(slot) = take.slot(character) {
                let step = match u16::try_from(slot.size) {
                    Ok(size) if size <= 256 => {
                        (u32::from(stream.u16()) * u32::from(size)) >> u16::BITS
                    }
                    Ok(_) | Err(_) => stream.below(slot.size),
                };
                put(out, at, slot.at((slot.index + step) % slot.size));
            }
            at += character.len_utf8();
        }
    }
}

fn first_char(bytes: &[u8]) -> Option<char> {
    let width = match bytes.first()? {
        ascii @ 0..0x80 => return Some(char::from(*ascii)),
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    };
    std::str::from_utf8(bytes.get(..width)?).ok()?.chars().next()
}

fn fill_foreign(key: &DomainKey, text: &str, out: &mut Vec<u8>, start: usize) {
    let mut stream = canonical::exact(key, true, text, out);
    for (at, character) in text.char_indices() {
        if !character.is_ascii() && slot(character).is_none() {
            let pick = u32::from(stream.byte());
            if let Some(other) = neighbour(character, pick) {
                put(tail_mut(out, start), at, other);
            }
        }
    }
}
