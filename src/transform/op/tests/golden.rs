//! Golden vectors: what this version of the algorithm makes under a fixed key. A change here is a
//! new [`ALGORITHM_VERSION`](super::super::ALGORITHM_VERSION). `BACKLOT_BLESS=1` rewrites them.

use super::*;
use crate::transform::{DateUnit, UnknownPath};
use std::fmt::Write;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/transforms.tsv");

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(Transform, Kind, &'static [&'static str])> {
    let names: &[&str] = &["Alice", "alice", "BOB", "Zoë", "X"];
    let shift = || Transform::DateShift { max_days: 30, subject: None };
    let year = || Transform::DateBucket { unit: DateUnit::Year };
    let paths = [("$.email", Transform::Email), ("$.contacts[*].phone", Transform::Phone)]
        .map(|(path, transform)| (path.to_owned(), Rule::plain(transform)));
    vec![
        (
            Transform::Email,
            Kind::Text,
            &["alice@gmail.com", " Alice@Gmail.com", "alice@", "用户@例子.公司"],
        ),
        (Transform::Username, Kind::Text, &["alice", "bob_99"]),
        (Transform::FirstName, Kind::Text, names),
        (Transform::LastName, Kind::Text, &["Smith", "O'Neil", "müller"]),
        (Transform::FullName, Kind::Text, &["Alice Smith", "Smith, Alice", "ALICE SMITH"]),
        (
            Transform::Phone,
            Kind::Text,
            &[
                "(415) 867-5309",
                "+1-415-867-5309",
                "+49 30 901820",
                "030 901820",
                "867-5309",
                "112",
                "none",
            ],
        ),
        (Transform::Phone, Kind::Int8, &["4158675309", "4930901820123"]),
        (Transform::Ssn, Kind::Text, &["078-05-1120", "078051120", "078-05-11"]),
        (Transform::Ssn, Kind::Int4, &["78051120"]),
        (Transform::Digits, Kind::Text, &["0", "12345", "12-34-5", "AB123456", "none"]),
        (Transform::Digits, Kind::Int8, &["7", "12345", "2147483647", "-40"]),
        (Transform::Digits, Kind::Numeric, &["12.5", "0.05", "123456789012345678901234567890"]),
        (Transform::Card, Kind::Text, &["4111 1111 1111 1111", "378282246310005", "12"]),
        (
            Transform::Iban,
            Kind::Text,
            &["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "DE89"],
        ),
        (
            Transform::Alnum,
            Kind::Text,
            &["AB-1234", "ab-1234", "Straße 7", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"],
        ),
        (Transform::Alnum, Kind::Citext, &["AB-1234"]),
        (Transform::Integer, Kind::Int2, &["0", "1", "-1", "32767"]),
        (Transform::Integer, Kind::Int8, &["1", "32768", "2147483648", "-9223372036854775808"]),
        (Transform::Integer, Kind::Numeric, &["1", "9223372036854775808", "-1.5"]),
        (
            Transform::Uuid,
            Kind::Uuid,
            &["6b0a7ab6-7a53-4d5e-9a3c-2f0d8f6d1f10", "018f3e2a-7b1c-7def-8123-456789abcdef"],
        ),
        (Transform::Uuid, Kind::Text, &["6B0A7AB6-7A53-4D5E-9A3C-2F0D8F6D1F10", "none"]),
        (Transform::Street, Kind::Text, &["12 Main Street", "Hauptstraße 12", "PO Box"]),
        (Transform::City, Kind::Text, &["Berlin", "NEW YORK", "東京"]),
        (Transform::Postal, Kind::Text, &["94103", "SW1A 1AA", "10115-1234"]),
        (Transform::Company, Kind::Text, &["Acme Inc.", "Globex"]),
        (Transform::Ip, Kind::Text, &["8.8.8.8", "10.0.0.0/8", "2a00:1450::1", "none"]),
        (Transform::Ip, Kind::Inet, &["8.8.8.8/32", "2a00:1450::1/64"]),
        (Transform::Ip, Kind::Cidr, &["10.1.0.0/16"]),
        (Transform::Mac, Kind::Text, &["08:00:2b:01:02:03", "0800.2B01.0203", "none"]),
        (
            Transform::Url,
            Kind::Text,
            &["https://acme.com/a/b.html?q=alice", "ftp://u:p@h:21", "alice"],
        ),
        (shift(), Kind::Date, &["0", "-2451545", "2147483647"]),
        (shift(), Kind::Timestamp, &["0", "86399999999"]),
        (shift(), Kind::Text, &["1985-03-12", "1985-03-12T10:00:00Z", "12.3.1985"]),
        (year(), Kind::Date, &["0", "365", "-1"]),
        (Transform::NumberBucket { width: 10 }, Kind::Numeric, &["47.5", "-47.5"]),
        (Transform::NumberNoise { percent: 10 }, Kind::Numeric, &["1234.56", "99.9"]),
        (Transform::NumberNoise { percent: 10 }, Kind::Int4, &["123456", "-7"]),
        (Transform::TextFill, Kind::Text, &["Hello, Wörld 42!", "東京 Москва", "x"]),
        (Transform::HashToken { length: 16 }, Kind::Text, &["secret", "Secret"]),
        (
            Transform::Json { paths: paths.into(), unknown: UnknownPath::Fill },
            Kind::Jsonb,
            &[
                r#"{"email": "alice@gmail.com", "contacts": [{"phone": "415-867-5309", "n": 1}], "note": "call \u00e9ve"}"#,
            ],
        ),
    ]
}

fn image(op: &Op, kind: &Kind, input: &str) -> String {
    let mut out = Vec::new();
    let mut octets = [0; 16];
    let value = match kind {
        Kind::Text | Kind::Citext => Value::Text(input),
        Kind::Int2 | Kind::Int4 | Kind::Int8 => Value::Int(input.parse().unwrap()),
        Kind::Numeric => Value::Numeric(input),
        Kind::Date => Value::Date(input.parse().unwrap()),
        Kind::Timestamp => Value::Timestamp(input.parse().unwrap()),
        Kind::Uuid => {
            hex::decode_to_slice(input.replace('-', ""), &mut octets).unwrap();
            Value::Uuid(octets)
        }
        Kind::Inet | Kind::Cidr => {
            let (address, prefix) = input.split_once('/').unwrap();
            Value::Inet(address.parse().unwrap(), prefix.parse().unwrap())
        }
        Kind::Jsonb => Value::Json(input),
        other => panic!("no golden values of {other:?}"),
    };
    match op.apply(value, None, &mut out).unwrap() {
        Output::Text => String::from_utf8(out).unwrap(),
        Output::Same => "=".into(),
        Output::Int(value) | Output::Timestamp(value) => value.to_string(),
        Output::Date(day) => day.to_string(),
        Output::Uuid(uuid) => hex::encode(uuid),
        Output::Inet(address, prefix) => format!("{address}/{prefix}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fakes_of_this_version_never_change() {
    let mut made = format!(
        "# transform\tkind\tinput\toutput; algorithm version {}, key 0x01..0x20\n",
        crate::transform::op::ALGORITHM_VERSION
    );
    for (transform, kind, inputs) in cases() {
        let op = op(transform.clone(), kind.clone());
        for input in inputs {
            let fake = image(&op, &kind, input);
            writeln!(made, "{}\t{kind:?}\t{input}\t{fake}", transform.name()).unwrap();
        }
    }
    if std::env::var_os("BACKLOT_BLESS").is_some() {
        std::fs::write(FILE, &made).unwrap();
    }
    let pinned = std::fs::read_to_string(FILE).unwrap();
    for (made, pinned) in made.lines().zip(pinned.lines()) {
        assert_eq!(made, pinned);
    }
    assert_eq!(made.lines().count(), pinned.lines().count());
}
