use super::{CAPACITY, ENTRY_BYTES, HEADER_BYTES, INPUT_BYTES, Memo, PAUSE, Share, TRIAL};

const VALUE_BYTES: usize = ENTRY_BYTES - HEADER_BYTES;

/// What is remembered, of a share that is never given a pause.
fn find(memo: &mut Memo, share: &mut Share, input: &[u8]) -> Option<Vec<u8>> {
    share.pause = 0;
    let place = memo.seek(share, input).unwrap();
    memo.get(share, place, input).map(<[u8]>::to_vec)
}

fn put(memo: &mut Memo, share: &mut Share, input: &[u8], made: &[u8]) {
    share.pause = 0;
    let place = memo.seek(share, input).unwrap();
    memo.put(share, place, input, made);
}

#[test]
fn a_value_is_found_again_and_another_of_the_same_place_is_not_taken_for_it() {
    let mut memo = Memo::default();
    let mut share = Share::new();
    for number in 0..100_000u32 {
        let (input, made) = (number.to_be_bytes(), number.to_be_bytes().repeat(2));
        assert_eq!(find(&mut memo, &mut share, &input), None);
        put(&mut memo, &mut share, &input, &made);
        assert_eq!(find(&mut memo, &mut share, &input), Some(made));
    }
}

#[test]
fn what_was_written_over_is_not_found_and_nothing_else_in_its_place() {
    let mut memo = Memo::default();
    let mut share = Share::new();
    let made = |number: u32| vec![b'x'; number as usize % 40];
    for number in 0..3 * CAPACITY {
        put(&mut memo, &mut share, number.to_string().as_bytes(), &made(number));
    }
    let mut found = 0;
    for number in 0..3 * CAPACITY {
        if let Some(value) = find(&mut memo, &mut share, number.to_string().as_bytes()) {
            assert_eq!(value, made(number));
            assert!(number >= 2 * CAPACITY, "{number} is still there");
            found += 1;
        }
    }
    // Of those that came last, few have met another in their place.
    assert!(found > CAPACITY * 2 / 3, "{found}");
}

#[test]
fn columns_do_not_see_what_others_have() {
    let mut memo = Memo::default();
    let mut shares = [Share::new(), Share::new()];
    for number in 0..10_000u32 {
        let input = number.to_be_bytes();
        for (share, made) in shares.iter_mut().zip([b"one", b"two"]) {
            assert_eq!(find(&mut memo, share, &input), None);
            put(&mut memo, share, &input, made);
            assert_eq!(find(&mut memo, share, &input).unwrap(), made);
        }
    }
}

#[test]
fn values_that_come_in_turns_are_found() {
    let mut memo = Memo::default();
    let mut share = Share::new();
    let mut found = 0;
    for number in 0..10_000u32 {
        let input = (number % 1000).to_be_bytes();
        let Some(place) = memo.seek(&mut share, &input) else { continue };
        if memo.get(&mut share, place, &input).is_some() {
            found += 1;
        } else {
            memo.put(&share, place, &input, &input);
        }
    }
    assert!(found > 8_500, "{found}");
}

#[test]
fn a_memory_that_never_hits_is_left_alone_for_a_while_and_tried_again() {
    let mut memo = Memo::default();
    let mut share = Share::new();
    for round in 0..3 {
        for number in 0..TRIAL {
            let input = (round * TRIAL + number).to_be_bytes();
            let place = memo.seek(&mut share, &input).unwrap();
            assert_eq!(memo.get(&mut share, place, &input), None);
            memo.put(&share, place, &input, &input);
        }
        for _ in 0..PAUSE {
            assert!(memo.seek(&mut share, &[1]).is_none());
        }
    }
    assert!(memo.seek(&mut share, &[1]).is_some());
}

#[test]
fn long_values_are_left_alone() {
    let mut memo = Memo::default();
    let mut share = Share::new();
    assert!(memo.seek(&mut share, &[0; INPUT_BYTES]).is_some());
    assert!(memo.seek(&mut share, &[0; INPUT_BYTES + 1]).is_none());
    put(&mut memo, &mut share, b"a", &[0; VALUE_BYTES]);
    assert_eq!(find(&mut memo, &mut share, b"a"), None);
    put(&mut memo, &mut share, b"a", &[7; VALUE_BYTES - 1]);
    assert_eq!(find(&mut memo, &mut share, b"a"), Some(vec![7; VALUE_BYTES - 1]));
}
