use super::*;
use std::collections::HashSet;

fn distinct_emails(count: u64) -> usize {
    let op = op(Transform::Email, Kind::Text);
    let mut seen: HashSet<u64> = HashSet::with_capacity(usize::try_from(count).unwrap());
    let (mut value, mut out) = (String::new(), Vec::new());
    let hash = siphasher::sip::SipHasher24::new();
    for number in 0..count {
        use std::fmt::Write;
        value.clear();
        write!(value, "user{number}@gmail.com").unwrap();
        out.clear();
        op.apply(Value::Text(&value), None, &mut out).unwrap();
        seen.insert(hash.hash(&out));
    }
    seen.len()
}

#[test]
fn two_million_distinct_emails_get_distinct_fakes() {
    assert_eq!(distinct_emails(2_000_000), 2_000_000);
}

#[test]
fn integers_of_16_bits_are_permuted() {
    let op = op(Transform::Integer, Kind::Int2);
    let images: HashSet<i64> =
        (i64::from(i16::MIN)..=i64::from(i16::MAX)).map(|value| int(&op, value)).collect();
    assert_eq!(images.len(), 1 << 16);
    assert!(images.iter().all(|image| i16::try_from(*image).is_ok()));
}

#[test]
fn larger_integers_stay_apart_around_the_edges() {
    let op = op(Transform::Integer, Kind::Int8);
    let mut seen = HashSet::new();
    for edge in [0, 1 << 15, 1 << 31, 1 << 40] {
        for value in edge - 5_000..edge + 5_000 {
            seen.insert((value, int(&op, value)));
        }
    }
    let images: HashSet<i64> = seen.iter().map(|(_, image)| *image).collect();
    assert_eq!(images.len(), seen.len());
}

#[test]
fn digit_strings_are_permuted_by_length() {
    let op = op(Transform::Digits, Kind::Text);
    for length in 1..=4 {
        let count = 10_usize.pow(length);
        let images: HashSet<String> = (0..count)
            .map(|number| text(&op, &format!("{number:0width$}", width = length as usize)))
            .collect();
        assert_eq!(images.len(), count);
    }
    let five: HashSet<String> =
        (0..65_536).map(|number| text(&op, &format!("{number:05}"))).collect();
    assert_eq!(five.len(), 65_536);
}

#[test]
fn alnum_is_bijective_for_a_shape() {
    let op = op(Transform::Alnum, Kind::Text);
    let mut images = HashSet::new();
    let letters = || 'a'..='z';
    for one in letters() {
        for two in letters() {
            for digit in '0'..='9' {
                images.insert(text(&op, &format!("{one}-{two}{digit}")));
            }
        }
    }
    assert_eq!(images.len(), 26 * 26 * 10);
    // Longer than 128 bits: the network over halves.
    let long: HashSet<String> = (0..20_000)
        .map(|number| text(&op, &format!("abcdefghijklmnopqrstuvwxyzabcdef{number:05}ж")))
        .collect();
    assert_eq!(long.len(), 20_000);
}

#[test]
fn uuids_stay_apart_and_are_version_4() {
    let op = op(Transform::Uuid, Kind::Uuid);
    let mut seen = HashSet::new();
    for number in 0..100_000_u128 {
        for version in [4_u128 << 76 | 2 << 62, 7 << 76 | 2 << 62, 0] {
            let value = (number | version).to_be_bytes();
            let Ok(Output::Uuid(fake)) = op.apply(Value::Uuid(value), None, &mut Vec::new()) else {
                panic!()
            };
            assert_eq!((fake[6] >> 4, fake[8] >> 6), (4, 2));
            assert!(seen.insert(fake));
        }
    }
    let by_text = super::op(Transform::Uuid, Kind::Text);
    let value = "018f3e2a-7b1c-7def-8123-456789abcdef";
    let Ok(Output::Uuid(fake)) = op.apply(
        Value::Uuid(hex::decode(value.replace('-', "")).unwrap().try_into().unwrap()),
        None,
        &mut Vec::new(),
    ) else {
        panic!()
    };
    assert_eq!(text(&by_text, value).replace('-', ""), hex::encode(fake));
}

#[test]
fn macs_stay_apart() {
    let op = op(Transform::Mac, Kind::Macaddr);
    let mut seen = HashSet::new();
    for number in 0..65_536_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let mut out = Vec::new();
        op.apply(Value::Mac(&[8, 0, 0x2b, 1, high, low]), None, &mut out).unwrap();
        assert!(seen.insert(out));
    }
}

#[test]
fn ssns_of_nearby_areas_stay_apart() {
    let op = op(Transform::Ssn, Kind::Int4);
    let images: HashSet<i64> = (1_000_000..1_100_000).map(|number| int(&op, number)).collect();
    assert_eq!(images.len(), 100_000);
}

#[test]
fn cards_of_one_issuer_stay_apart() {
    let op = op(Transform::Card, Kind::Text);
    let images: HashSet<String> =
        (0..50_000).map(|number| text(&op, &format!("411111{number:09}0"))).collect();
    assert_eq!(images.len(), 50_000);
}
