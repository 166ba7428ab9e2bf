//! Digests of multisets of rows: whatever the order in which they come, equal digests mean
//! equal rows.
//!
//! A row's hash is SipHash-1-3 with 128 bits of output under a key that is drawn for this run
//! and known to nobody; a bucket's digest is the sum of its rows' hashes modulo 2^128, with
//! their count (Clarke et al., "Incremental multiset hash functions", 2003: MSet-Add-Hash). Two
//! different multisets have one digest with a probability of about 2^-128 for each bucket that is
//! compared: nobody who does not know the key can do better than by chance, and 2^40 buckets
//! leave a chance of 2^-88. Where a row's *key* collides, in 128 bits too, a difference is
//! still found, only told with the wrong key.

use crate::random::random_bytes;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// The keys of a run.
#[derive(Clone)]
pub(super) struct Keys {
    row: [u8; 16],
    key: [u8; 16],
    value: [u8; 16],
}

impl Keys {
    pub(super) fn draw() -> std::io::Result<Self> {
        Ok(Self { row: random_bytes()?, key: random_bytes()?, value: random_bytes()? })
    }

    #[cfg(test)]
    pub(super) fn fixed() -> Self {
        Self { row: [1; 16], key: [2; 16], value: [3; 16] }
    }

    pub(super) fn row(&self, image: &[u8]) -> u128 {
        hash(&self.row, image)
    }

    pub(super) fn key(&self, image: &[u8]) -> u128 {
        hash(&self.key, image)
    }

    /// Of one value; never zero, which stands for none.
    pub(super) fn value(&self, image: &[u8]) -> u64 {
        low(hash(&self.value, image)).max(1)
    }
}

fn hash(key: &[u8; 16], image: &[u8]) -> u128 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(image);
    hasher.finish128().as_u128()
}

/// The low half.
pub(super) fn low(hash: u128) -> u64 {
    u64::try_from(hash & u128::from(u64::MAX)).unwrap_or(0)
}

/// Rows whose keys fall into one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    sum: u128,
    pub(super) count: u64,
}

impl Bucket {
    pub(super) fn add(&mut self, row: u128) {
        self.sum = self.sum.wrapping_add(row);
        self.count += 1;
    }

    fn merge(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.count += other.count;
    }
}

/// The buckets of one side of a table. Their number is a power of two.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(Vec<Bucket>);

impl Buckets {
    pub(super) fn new(count: usize) -> Self {
        Self(vec![Bucket::default(); count.next_power_of_two()])
    }

    pub(super) fn add(&mut self, key: u128, row: u128) {
        let at = bucket_of(key, self.0.len());
        if let Some(bucket) = self.0.get_mut(at) {
            bucket.add(row);
        }
    }

    /// Adds what another lane has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        for (bucket, other) in self.0.iter_mut().zip(&other.0) {
            bucket.merge(*other);
        }
    }

    pub(super) fn row_count(&self) -> u64 {
        self.0.iter().map(|bucket| bucket.count).sum()
    }

    /// Buckets that differ, with the rows that they hold on this side and on the other.
    pub(super) fn differing(&self, other: &Self) -> Vec<(usize, u64)> {
        let none = Bucket::default();
        let count = self.0.len().max(other.0.len());
        let at = |side: &Self, at: usize| side.0.get(at).copied().unwrap_or(none);
        (0..count)
            .map(|place| (place, at(self, place), at(other, place)))
            .filter(|(_, left, right)| left != right)
            .map(|(place, left, right)| (place, left.count.max(right.count)))
            .collect()
    }
}

/// The bucket of a key.
pub(super) fn bucket_of(key: u128, count: usize) -> usize {
    usize::try_from(low(key)).unwrap_or(0) & (count.next_power_of_two() - 1)
}

#[cfg(test)]
mod tests {
    use super::{Buckets, Keys, bucket_of};

    fn buckets(rows: &[&str]) -> Buckets {
        let (keys, mut buckets) = (Keys::fixed(), Buckets::new(8));
        for row in rows {
            buckets.add(keys.key(row.as_bytes()), keys.row(row.as_bytes()));
        }
        buckets
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_their_number_does() {
        let left = buckets(&["a", "b", "b"]);
        assert_eq!(left.differing(&buckets(&["b", "a", "b"])), []);
        assert_eq!(left.differing(&buckets(&["a", "b"])).len(), 1);
        assert!(!left.differing(&buckets(&["a", "a", "b"])).is_empty());
    }

    #[test]
    fn what_lanes_have_seen_adds_up() {
        let mut sum = Buckets::default();
        sum.merge(&buckets(&["a", "b"]));
        sum.merge(&buckets(&["c"]));
        assert_eq!(sum.differing(&buckets(&["c", "b", "a"])), []);
        assert_eq!(sum.row_count(), 3);
    }

    #[test]
    fn a_side_without_rows_differs_where_the_other_has_some() {
        let key = Keys::fixed().key(b"a");
        assert_eq!(Buckets::default().differing(&buckets(&["a"])), [(bucket_of(key, 8), 1)]);
    }
}
