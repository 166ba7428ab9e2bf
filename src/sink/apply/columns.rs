//! Sets of columns of one table.

/// Positions of columns; equal sets of one table are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Columns(Vec<u64>);

impl Columns {
    /// The positions in `0..count` of which `is_in` is true.
    pub(super) fn pick(count: usize, mut is_in: impl FnMut(usize) -> bool) -> Self {
        let mut words = vec![0; count.div_ceil(64)];
        for (at, word) in words.iter_mut().enumerate() {
            for bit in 0..64.min(count - at * 64) {
                if is_in(at * 64 + bit) {
                    *word |= 1 << bit;
                }
            }
        }
        Self(words)
    }

    pub(super) fn contains(&self, position: usize) -> bool {
        self.0.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Columns;

    #[test]
    fn a_set_holds_what_was_picked() {
        let set = Columns::pick(130, |position| position % 3 == 0);
        for position in 0..200 {
            assert_eq!(set.contains(position), position < 130 && position % 3 == 0, "{position}");
        }
        assert_ne!(set, Columns::pick(130, |position| position % 3 == 0 && position != 129));
    }
}
