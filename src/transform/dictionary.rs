//! The word lists that fakes are made of: pinned, so that a fake never changes with a dependency.
//!
//! Snapshots of the English lists of the `fake` crate 5.1.0 (Apache-2.0 OR MIT), sorted, without
//! duplicates, ASCII letters only. Changing one changes fakes: it takes a new
//! [`super::op::ALGORITHM_VERSION`] and a new pin in this file's test.

use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// A sorted list of words, at least one. Packed, because a draw goes anywhere: the first names
/// and where they begin take 28 kB and stay in the cache, slices of them would not.
pub(crate) struct Words {
    /// One word a line.
    text: &'static str,
    /// Where each begins, and where the next one would.
    starts: Box<[u16]>,
}

impl Words {
    fn new(text: &'static str) -> Self {
        let mut next = 0;
        let starts = text.lines().map(|word| {
            let start = next;
            next += word.len() + 1;
            start
        });
        let mut starts = starts.collect::<Vec<_>>();
        starts.push(next);
        let short = |start| u16::try_from(start).expect("a list has less than 64 kB");
        Self { text, starts: starts.into_iter().map(short).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The word at a place below [`Words::len`].
    pub(crate) fn at(&self, place: usize) -> &'static str {
        let Some([start, next]) = self.starts.get(place..).and_then(|rest| rest.first_chunk())
        else {
            return "";
        };
        self.text.get(usize::from(*start)..usize::from(*next) - 1).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.text.lines()
    }

    pub(crate) fn contains(&self, word: &str) -> bool {
        let starts = self.starts.split_last().map_or(&[][..], |(_, starts)| starts);
        let order = |start: &u16| {
            let rest = self.text.get(usize::from(*start)..).unwrap_or_default();
            rest.lines().next().unwrap_or_default().cmp(word)
        };
        starts.binary_search_by(order).is_ok()
    }
}

macro_rules! dictionaries {
    ($($name:ident = $file:literal;)*) => {
        $(pub(crate) static $name: LazyLock<Words> =
            LazyLock::new(|| Words::new(include_str!($file)));)*

        const FILES: &[(&str, &str)] = &[$(($file, include_str!($file))),*];
    };
}

dictionaries! {
    FIRST_NAMES = "dictionary/first_name.txt";
    LAST_NAMES = "dictionary/last_name.txt";
    STREET_SUFFIXES = "dictionary/street_suffix.txt";
    CITY_PREFIXES = "dictionary/city_prefix.txt";
    CITY_SUFFIXES = "dictionary/city_suffix.txt";
    COMPANY_WORDS = "dictionary/company_word.txt";
    COMPANY_SUFFIXES = "dictionary/company_suffix.txt";
}

static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (name, text) in FILES {
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex::encode(hash.finalize())
});

/// SHA-256 over the names and contents of all dictionaries, in hexadecimal.
pub fn dictionary_hash() -> &'static str {
    &HASH
}

#[cfg(test)]
mod tests {
    use super::*;
    use fake::locales::{Data, EN};

    #[test]
    fn the_hash_is_pinned() {
        assert_eq!(
            dictionary_hash(),
            "e3075e50b86b98ba220aa48a5ee46b6280b569eea072bd133c1d34399db8a2e5"
        );
    }

    #[test]
    fn words_are_sorted_distinct_ascii_and_many() {
        for (name, text) in FILES {
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines.is_sorted_by(|one, two| one < two), "{name}");
            let is_plain =
                |line: &&str| line.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b' ');
            assert!(lines.iter().all(is_plain), "{name}");
        }
        assert!(FIRST_NAMES.len() >= 1000);
        assert!(LAST_NAMES.len() >= 400);
    }

    #[test]
    fn a_word_is_found_by_its_place_and_by_itself() {
        for words in [&FIRST_NAMES, &STREET_SUFFIXES] {
            assert_eq!(words.len(), words.iter().count());
            for (place, word) in words.iter().enumerate() {
                assert_eq!(words.at(place), word);
                assert!(words.contains(word));
            }
            assert_eq!(words.at(words.len()), "");
            assert!(!words.contains("") && !words.contains("Zzz"));
        }
    }

    #[test]
    fn snapshots_hold_only_words_of_the_fake_crate() {
        for (words, source) in [
            (&FIRST_NAMES, EN::NAME_FIRST_NAME),
            (&LAST_NAMES, EN::NAME_LAST_NAME),
            (&STREET_SUFFIXES, EN::ADDRESS_STREET_SUFFIX),
            (&CITY_SUFFIXES, EN::ADDRESS_CITY_SUFFIX),
        ] {
            assert!(words.iter().all(|word| source.contains(&word)));
        }
    }
}
