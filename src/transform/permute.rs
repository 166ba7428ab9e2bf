//! Keyed permutations of `0..=last` for any `last` up to 2^128 − 1.
//!
//! An alternating Feistel network over `b × 2^s ≥ last + 1` cells, where `2^s` is about the
//! square root of the domain; the round function is SipHash-2-4 under a key of its own, and
//! results outside the domain are walked on (the cycle returns inside, because the input was
//! inside). The surplus is below `2^s` cells, so a walk is rare: one pass in all but a fraction
//! `1 / sqrt(n)` of cases.
//!
//! Why no shuffle table below 10⁶: a table is one domain size under one tweak, an op meets many
//! (every length of a digit string, every shape of a code), and building one costs 10⁶ draws on
//! the first value. Small domains get more rounds instead ([`SMALL_ROUNDS`]): published attacks
//! on small-domain Feistel (FF3, Durak–Vaudenay) use few rounds, and all of them need known
//! pairs of original and fake, which a clone does not hand out.
//!
//! A permutation has fixed points: about one per domain on average, so a value keeps itself with
//! probability 1/n. Removing them would break bijectivity.

use siphasher::sip::SipHasher24;

/// Rounds for domains of at least [`SMALL_DOMAIN`] values (FF1, NIST SP 800-38G, uses 10).
const ROUNDS: u64 = 10;
const SMALL_ROUNDS: u64 = 18;
const SMALL_DOMAIN: u128 = 1_000_000;

/// The image of `value` under the permutation of `0..=last` that the key and `tweak` select.
/// A `value` beyond `last` is a caller's bug and comes back unchanged.
pub(crate) fn permute(key: &SipHasher24, tweak: u64, last: u128, value: u128) -> u128 {
    if last == 0 || value > last {
        return value;
    }
    let cells = Cells::new(key, tweak, last);
    let mut image = cells.pass(key, value);
    // Ends: a pass is a bijection of the cells, so the cycle of `value` comes back to it.
    while image > last {
        image = cells.pass(key, image);
    }
    image
}

/// The rectangle of cells that the network works on.
struct Cells {
    /// The low half is `0..2^shift`.
    shift: u32,
    mask: u64,
    /// The high half is `0..rows`, with `rows ≤ 2^64`.
    rows: u128,
    rounds: u64,
    tweak: u64,
}

impl Cells {
    fn new(key: &SipHasher24, tweak: u64, last: u128) -> Self {
        let bits = 128 - last.leading_zeros();
        let shift = bits.div_ceil(2);
        let mut domain = [0_u8; 24];
        let (size, rest) = domain.split_at_mut(16);
        size.copy_from_slice(&last.to_be_bytes());
        rest.copy_from_slice(&tweak.to_be_bytes());
        Self {
            shift,
            mask: u64::MAX >> (64 - shift),
            rows: (last >> shift) + 1,
            rounds: if last < SMALL_DOMAIN { SMALL_ROUNDS } else { ROUNDS },
            tweak: key.hash(&domain),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked to the low 64 bits or below rows")]
    fn pass(&self, key: &SipHasher24, value: u128) -> u128 {
        let mut high = value >> self.shift;
        let mut low = value as u64 & self.mask;
        let mut round = 0;
        while round < self.rounds {
            low = low.wrapping_add(self.round(key, round, high as u64)) & self.mask;
            let step = (u128::from(self.round(key, round + 1, low)) * self.rows) >> 64;
            high += step;
            if high >= self.rows {
                high -= self.rows;
            }
            round += 2;
        }
        (high << self.shift) | u128::from(low)
    }

    fn round(&self, key: &SipHasher24, round: u64, half: u64) -> u64 {
        let mut message = [0_u8; 16];
        let (one, two) = message.split_at_mut(8);
        one.copy_from_slice(&half.to_le_bytes());
        two.copy_from_slice(&self.tweak.wrapping_add(round).to_le_bytes());
        key.hash(&message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn key() -> SipHasher24 {
        SipHasher24::new_with_keys(1, 2)
    }

    #[test]
    fn every_small_domain_is_permuted() {
        for last in 0..700_u128 {
            let images: HashSet<u128> =
                (0..=last).map(|value| permute(&key(), 3, last, value)).collect();
            assert_eq!(images.len() as u128, last + 1, "0..={last}");
            assert!(images.iter().all(|&image| image <= last));
        }
    }

    #[test]
    fn domains_up_to_2_to_16_are_permuted() {
        for last in [9_999_u128, 32_766, 32_767, 65_535] {
            let mut seen = vec![false; usize::try_from(last).unwrap() + 1];
            for value in 0..=last {
                let image = usize::try_from(permute(&key(), 0, last, value)).unwrap();
                assert!(!std::mem::replace(&mut seen[image], true), "{last}: {image} twice");
            }
        }
    }

    #[test]
    fn large_domains_have_no_collision_in_a_sample() {
        for last in [999_999_999, (1 << 63) - 1, (1 << 122) - 1, u128::MAX - 1, u128::MAX] {
            let mut images: Vec<u128> =
                (0..100_000_u128).map(|value| permute(&key(), 0, last, value)).collect();
            images.sort_unstable();
            images.dedup();
            assert_eq!(images.len(), 100_000);
            assert!(images.iter().all(|&image| image <= last));
        }
    }

    #[test]
    fn large_domains_have_no_collision_among_a_million() {
        for last in [999_999_999, (1 << 63) - 1, (1 << 122) - 1, u128::MAX] {
            let mut images: Vec<u128> = (0..1_000_000_u128)
                .map(|value| permute(&key(), 0, last, value.wrapping_mul(0x9e37_79b9) % last))
                .collect();
            images.sort_unstable();
            images.dedup();
            let mut values: Vec<u128> =
                (0..1_000_000_u128).map(|value| value.wrapping_mul(0x9e37_79b9) % last).collect();
            values.sort_unstable();
            values.dedup();
            assert_eq!(images.len(), values.len());
        }
    }

    #[test]
    fn tweaks_and_domains_give_other_permutations() {
        let image = |tweak, last| permute(&key(), tweak, last, 12_345);
        assert_ne!(image(0, 999_999_999), image(1, 999_999_999));
        assert_ne!(image(0, 999_999_999), image(0, 999_999_998));
    }

    #[test]
    fn images_spread_over_the_domain() {
        let mut counts = [0_u32; 10];
        for value in 0..10_000 {
            counts[usize::try_from(permute(&key(), 0, 999_999, value) / 100_000).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }
}
