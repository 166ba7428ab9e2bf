//! The fuzzer's entry points over noise and over damaged rows, for as long as a test may take.
//! `make fuzz` goes on from there, guided by coverage.

#[path = "../../fuzz/entries.rs"]
mod entries;

use entries::{COLUMNS, Entry, binary_row, columns, frame, text_row, tuple};
use proptest::{collection::vec, prelude::*, sample::Index};

/// Damage that starts from rows that are refused would not come far.
#[test]
fn the_seeds_are_rows_that_every_rule_takes() {
    use backlot::pg::{Format, pgoutput::Tuple};
    use backlot::transform::{MaskedRows, Memo, Stage, TableMask, TupleStage};
    let masks = columns();
    for (format, row) in [(Format::Binary, binary_row()), (Format::Text, text_row())] {
        let mut stage = Stage::new(&masks, format, usize::from(COLUMNS));
        assert!(stage.run(&frame(&row)).is_ok(), "{format}");
        assert!(stage.changed().iter().all(|changed| *changed > 0), "{:?}", stage.changed());
    }
    for is_binary in [false, true] {
        let bytes = tuple(is_binary);
        let mut stage = TupleStage::new(TableMask::new(columns()).into());
        let (row, _) = Tuple::split(COLUMNS, &bytes).unwrap();
        assert_eq!(stage.mask(row, &mut Memo::default(), &mut MaskedRows::default()).err(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise_makes_no_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        for entry in Entry::ALL {
            entry.run(&bytes);
        }
    }

    #[test]
    fn damage_makes_no_reader_panic(
        entry in prop::sample::select(Entry::ALL.to_vec()),
        which in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<Index>()),
    ) {
        let seeds = entry.seeds();
        let mut bytes = seeds[which.index(seeds.len())].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        entry.run(&bytes);
    }
}
