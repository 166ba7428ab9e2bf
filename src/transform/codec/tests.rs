use super::{array, binary, datetime, numeric, text};
use crate::pg::Kind;
use crate::transform::{Fault, Output, Value};
use proptest::prelude::*;

fn numeric_round_trip(decimal: &str, scale: usize) -> String {
    let (mut wire, mut back) = (Vec::new(), Vec::new());
    numeric::encode(decimal, scale, &mut wire).unwrap();
    numeric::decode(&wire, &mut back).unwrap();
    String::from_utf8(back).unwrap()
}

#[test]
fn numerics_of_any_length_keep_every_digit() {
    for decimal in [
        "0",
        "1",
        "-1",
        "10000",
        "12345678901234567890.123456789012345678",
        "0.0001",
        "-0.00000001",
        "99999.5",
        "123456789",
        "NaN",
        "Infinity",
        "-Infinity",
        "100000000000000000000000000000000000000",
    ] {
        assert_eq!(numeric_round_trip(decimal, 0), decimal);
    }
    let long = format!("9{}.{}1", "0".repeat(5000), "0".repeat(3000));
    assert_eq!(numeric_round_trip(&long, 0), long);
}

#[test]
fn a_numeric_shows_as_many_decimals_as_before() {
    let mut wire = Vec::new();
    numeric::encode("12.5", 4, &mut wire).unwrap();
    assert_eq!(numeric::scale(&wire), 4);
    let mut out = Vec::new();
    text::encode(&Kind::Numeric, Output::Text, b"1.2300", b"7", &mut out).unwrap();
    assert_eq!(out, b"7.0000");
    // `numeric_send` of Infinity, with the scale that it makes up.
    assert_eq!(numeric::scale(&[0, 0, 0, 0, 0xd0, 0, 0, 0x20]), 0);
}

#[test]
fn dates_and_timestamps_are_read_and_written_as_the_server_does() {
    for (shown, days) in [
        ("2000-01-01", 0),
        ("1999-12-31", -1),
        ("1970-01-01", -10_957),
        ("4713-01-01 BC", -2_451_507),
        ("infinity", i32::MAX),
        ("-infinity", i32::MIN),
        ("5874897-12-31", 2_145_031_948),
    ] {
        assert_eq!(datetime::parse_date(shown).unwrap(), days, "{shown}");
        let mut out = Vec::new();
        datetime::write_date(days, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), shown);
    }
    for shown in [
        "2024-02-29 23:59:59.123456",
        "0044-03-15 12:00:00 BC",
        "infinity",
        "294276-12-31 23:59:59.9",
    ] {
        let mut out = Vec::new();
        datetime::write_timestamp(datetime::parse_timestamp(shown).unwrap(), false, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), shown);
    }
    assert!(matches!(datetime::parse_date("14/03/2024"), Err(Fault::Malformed)));
}

#[test]
fn arrays_are_lifted_in_both_formats_with_nulls_and_bounds() {
    let mut lift = |element: &[u8], out: &mut Vec<u8>| {
        if element == b"drop" {
            return Ok(false);
        }
        out.extend(element.iter().map(u8::to_ascii_uppercase));
        Ok(true)
    };
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    array::lift_text(
        br#"[0:1]={{a,"b\"\\c"},{NULL,"NULL"},{drop,"x,}"}}"#,
        &mut scratch,
        &mut out,
        &mut lift,
    )
    .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"[0:1]={{"A","B\"\\C"},{NULL,"NULL"},{NULL,"X,}"}}"#
    );

    let mut wire = Vec::new();
    for value in [1, 0, 25, 3, 1] {
        wire.extend_from_slice(&i32::to_be_bytes(value));
    }
    for element in [Some("ab"), None, Some("drop")] {
        wire.extend_from_slice(
            &element.map_or(-1, |e| i32::try_from(e.len()).unwrap()).to_be_bytes(),
        );
        wire.extend_from_slice(element.unwrap_or_default().as_bytes());
    }
    let mut out = Vec::new();
    array::lift_binary(&wire, &mut out, &mut lift).unwrap();
    assert_eq!(&out[20..], b"\0\0\0\x02AB\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(out[7], 1, "the array says that it has NULLs now");
}

proptest! {
    #[test]
    fn decoding_any_bytes_never_panics(bytes: Vec<u8>) {
        let mut scratch = Vec::new();
        for kind in [Kind::Numeric, Kind::Inet, Kind::Jsonb, Kind::Date, Kind::Timestamptz, Kind::Uuid, Kind::Bytea, Kind::Macaddr] {
            let _ = binary::decode(&kind, &bytes, &mut scratch);
            let _ = text::decode(&kind, &bytes, &mut scratch);
        }
        let mut keep = |element: &[u8], out: &mut Vec<u8>| { out.extend_from_slice(element); Ok(true) };
        let mut out = Vec::new();
        let _ = array::lift_binary(&bytes, &mut out, &mut keep);
        let _ = array::lift_text(&bytes, &mut scratch, &mut out, &mut keep);
    }

    #[test]
    fn a_date_survives_its_text(days in -2_451_507i32..2_145_031_948) {
        let mut out = Vec::new();
        datetime::write_date(days, &mut out);
        prop_assert_eq!(datetime::parse_date(std::str::from_utf8(&out).unwrap()).unwrap(), days);
    }

    #[test]
    fn a_timestamp_survives_its_text(micros in -211_813_488_000_000_000i64..9_223_371_331_200_000_000) {
        let mut out = Vec::new();
        datetime::write_timestamp(micros, true, &mut out);
        let mut scratch = Vec::new();
        let value = text::decode(&Kind::Timestamptz, &out, &mut scratch).unwrap();
        prop_assert!(value == Value::Timestamp(micros));
    }
}
