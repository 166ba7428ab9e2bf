use super::*;
use crate::transform::DateUnit;

fn date(op: &Op, day: i32, subject: Option<&[u8]>) -> i32 {
    match op.apply(Value::Date(day), subject, &mut Vec::new()).unwrap() {
        Output::Date(day) => day,
        Output::Same => day,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_shift_is_the_subjects_and_never_zero() {
    let op = op(Transform::DateShift { max_days: 10, subject: Some("id".into()) }, Kind::Date);
    let mut seen = std::collections::HashSet::new();
    for subject in 0..2_000_u32 {
        let shift = date(&op, 100, Some(&subject.to_be_bytes())) - 100;
        assert_eq!(date(&op, 5_000, Some(&subject.to_be_bytes())) - 5_000, shift);
        assert!(shift != 0 && (-10..=10).contains(&shift));
        seen.insert(shift);
    }
    assert_eq!(seen.len(), 20);
}

#[test]
fn shifts_stay_in_range_and_leave_infinities() {
    let op = op(Transform::DateShift { max_days: 1_000_000, subject: None }, Kind::Date);
    for day in [-2_451_545, -2_451_544, 2_145_031_948, 2_145_031_947, 0] {
        let fake = date(&op, day, None);
        assert!((-2_451_545..=2_145_031_948).contains(&fake) && fake != day);
    }
    for day in [i32::MIN, i32::MAX] {
        assert_eq!(op.apply(Value::Date(day), None, &mut Vec::new()), Ok(Output::Same));
    }
    for micros in [i64::MIN, i64::MAX] {
        assert_eq!(op.apply(Value::Timestamp(micros), None, &mut Vec::new()), Ok(Output::Same));
    }
    let last = 9_223_371_331_200_000_000 - 1;
    let Ok(Output::Timestamp(fake)) = op.apply(Value::Timestamp(last), None, &mut Vec::new())
    else {
        panic!()
    };
    assert!(fake < last && (last - fake) % 86_400_000_000 == 0);
}

#[test]
fn a_bucket_is_its_units_first_day() {
    let year = op(Transform::DateBucket { unit: DateUnit::Year }, Kind::Timestamp);
    let micros = 400 * 86_400_000_000 + 12_345;
    let bucket = year.apply(Value::Timestamp(micros), None, &mut Vec::new());
    assert_eq!(bucket, Ok(Output::Timestamp(366 * 86_400_000_000)));
    assert_eq!(
        text(
            &op(Transform::DateBucket { unit: DateUnit::Quarter }, Kind::Text),
            "1999-12-31 23:59:59"
        ),
        "1999-10-01 00:00:00"
    );
}

#[test]
fn number_buckets_floor() {
    let bucket = |width| op(Transform::NumberBucket { width }, Kind::Numeric);
    assert_eq!(int(&bucket(10), 47), 40);
    assert_eq!(int(&bucket(10), -41), -50);
    assert_eq!(int(&bucket(1_000), -32_768), -32_000, "stays an int2");
    for (value, width, expected) in [
        ("47.9", 10, "40"),
        ("-41", 10, "-50"),
        ("-40", 10, "-40"),
        ("-40.5", 10, "-50"),
        ("0.5", 10, "0"),
        ("-0.5", 10, "0"), // -10 would need another digit
        ("9.99", 1, "9"),
        ("123456789012345678901234567890", 1_000, "123456789012345678901234567000"),
        ("NaN", 10, "NaN"),
    ] {
        assert_eq!(numeric(&bucket(width), value), expected, "{value}");
    }
    let float = bucket(10).apply(Value::Float(-1.5), None, &mut Vec::new());
    assert_eq!(float, Ok(Output::Float(-10.0)));
}

#[test]
fn noise_keeps_sign_scale_and_range() {
    let op = op(Transform::NumberNoise { percent: 20 }, Kind::Numeric);
    for value in ["12345.67", "-99.99", "0.05", "99999999999999999999999999.99", "0.9", "1"] {
        let fake = numeric(&op, value);
        let scale = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        assert_eq!(scale(&fake), scale(value), "{value} {fake}");
        assert_eq!(fake.starts_with('-'), value.starts_with('-'));
        let (before, after): (f64, f64) = (value.parse().unwrap(), fake.parse().unwrap());
        let unit = 10_f64.powi(-i32::try_from(scale(value)).unwrap());
        assert!((before - after).abs() <= before.abs() * 0.2 + unit, "{value} {fake}");
        assert!(fake.len() <= value.len(), "{value} {fake}");
    }
    for value in [i64::from(i16::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN, 100_000] {
        let fake = int(&op, value);
        assert!(fake != value && (fake < 0) == (value < 0));
        assert!(i16::try_from(value).is_err() || i16::try_from(fake).is_ok());
        assert!(i32::try_from(value).is_err() || i32::try_from(fake).is_ok());
    }
    assert_eq!(op.apply(Value::Float(f64::NAN), None, &mut Vec::new()), Ok(Output::Same));
    assert_eq!(numeric(&op, "-Infinity"), "-Infinity");
}

#[test]
fn integers_agree_across_widths_and_numerics() {
    let integer = op(Transform::Integer, Kind::Int8);
    let decimal = op(Transform::Integer, Kind::Numeric);
    for value in [0, 1, -1, 32_767, 32_768, -32_768, i64::from(i32::MAX), i64::MAX, i64::MIN] {
        assert_eq!(numeric(&decimal, &value.to_string()), int(&integer, value).to_string());
        assert_eq!(i16::try_from(value).is_ok(), i16::try_from(int(&integer, value)).is_ok());
        assert_eq!(i32::try_from(value).is_ok(), i32::try_from(int(&integer, value)).is_ok());
    }
}

#[test]
fn numerics_keep_their_digits_and_stay_apart() {
    for transform in [Transform::Integer, Transform::Digits] {
        let op = op(transform, Kind::Numeric);
        let mut seen = std::collections::HashSet::new();
        for whole in 0..60 {
            for fraction in 1..100 {
                let value = format!("{whole}.{fraction:02}");
                let value = value.trim_end_matches('0');
                let fake = numeric(&op, value);
                assert_eq!(fake.len(), value.len(), "{value} {fake}");
                assert!(!fake.ends_with('0') && (whole == 0) == fake.starts_with("0."));
                assert!(seen.insert(fake));
            }
        }
        let huge = "123456789012345678901234567890123456789012345.5";
        assert_eq!(numeric(&op, huge).len(), huge.len());
        assert_ne!(numeric(&op, huge), huge);
        let beyond = numeric(&op, "9223372036854775808");
        assert!(beyond.len() == 19 && beyond.parse::<i64>().is_err());
    }
}

#[test]
fn digits_of_integers_keep_their_number() {
    let op = op(Transform::Digits, Kind::Int8);
    for value in [0, 9, 10, 99, 32_767, 99_999, 2_147_483_647, 2_147_483_648, i64::MAX, -5, -10] {
        let fake = int(&op, value);
        let length = |value: i64| (if value < 0 { !value } else { value }).to_string().len();
        assert_eq!(length(fake), length(value), "{value} {fake}");
    }
}
