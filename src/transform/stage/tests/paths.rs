//! A value has one fake, whichever way its row comes: COPY or stream, binary or text.

use super::super::field::push_canonical;
use super::{root, rules, wire};
use crate::pg::pgoutput::{Datum, Tuple};
use crate::pg::{Format, Kind};
use crate::transform::codec::{array, binary, text};
use crate::transform::op::{Op, accepts};
use crate::transform::{
    ColumnMask, DateUnit, Fault, MaskedRows, Memo, Output, Rule, Shape, Stage, StageError,
    TableMask, Transform, Treatment, TupleStage, UnknownPath,
};
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

/// Every kind that has a codec.
const KINDS: [Kind; 23] = [
    Kind::Bool,
    Kind::Int2,
    Kind::Int4,
    Kind::Int8,
    Kind::Float4,
    Kind::Float8,
    Kind::Numeric,
    Kind::Text,
    Kind::Bpchar,
    Kind::Citext,
    Kind::Bytea,
    Kind::Uuid,
    Kind::Date,
    Kind::Timestamp,
    Kind::Timestamptz,
    Kind::Inet,
    Kind::Cidr,
    Kind::Macaddr,
    Kind::Macaddr8,
    Kind::Json,
    Kind::Jsonb,
    Kind::Xml,
    Kind::Enum,
];

/// The whole catalogue, with plain arguments.
fn transforms(kind: &Kind) -> Vec<Transform> {
    let paths = [("$.email", Transform::Email), ("$.seen[*]", Transform::Ip)]
        .map(|(path, transform)| (path.to_owned(), Rule::plain(transform)));
    let shift = |subject| Transform::DateShift { max_days: 365, subject };
    let json = |unknown| Transform::Json { paths: paths.clone().into(), unknown };
    vec![
        Transform::Keep,
        Transform::Null,
        Transform::Constant { value: constant(kind).to_owned() },
        Transform::Email,
        Transform::Username,
        Transform::FirstName,
        Transform::LastName,
        Transform::FullName,
        Transform::Phone,
        Transform::Ssn,
        Transform::Digits,
        Transform::Card,
        Transform::Iban,
        Transform::Alnum,
        Transform::Integer,
        Transform::Uuid,
        Transform::Street,
        Transform::City,
        Transform::Postal,
        Transform::Company,
        Transform::Ip,
        Transform::Mac,
        Transform::Url,
        shift(None),
        shift(Some("subject".to_owned())),
        Transform::DateBucket { unit: DateUnit::Quarter },
        Transform::NumberBucket { width: 10 },
        Transform::NumberNoise { percent: 20 },
        Transform::TextFill,
        Transform::Code,
        Transform::HashToken { length: 6 },
        json(UnknownPath::Fill),
        json(UnknownPath::Null),
        json(UnknownPath::Keep),
    ]
}

/// Does not compile when the catalogue has a transform that [`transforms`] may lack.
fn is_listed(transform: &Transform) {
    match transform {
        Transform::Keep
        | Transform::Null
        | Transform::Constant { .. }
        | Transform::Email
        | Transform::Username
        | Transform::FirstName
        | Transform::LastName
        | Transform::FullName
        | Transform::Phone
        | Transform::Ssn
        | Transform::Digits
        | Transform::Card
        | Transform::Iban
        | Transform::Alnum
        | Transform::Integer
        | Transform::Uuid
        | Transform::Street
        | Transform::City
        | Transform::Postal
        | Transform::Company
        | Transform::Ip
        | Transform::Mac
        | Transform::Url
        | Transform::DateShift { .. }
        | Transform::DateBucket { .. }
        | Transform::NumberBucket { .. }
        | Transform::NumberNoise { .. }
        | Transform::TextFill
        | Transform::Code
        | Transform::HashToken { .. }
        | Transform::Json { .. } => {}
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other kinds take a small number")]
fn constant(kind: &Kind) -> &'static str {
    match kind.element() {
        Kind::Bool => "true",
        Kind::Uuid => "0198a9d2-7c1b-7d3e-8f00-123456789abc",
        Kind::Date => "2001-02-03",
        Kind::Timestamp | Kind::Timestamptz => "2001-02-03 04:05:06",
        Kind::Inet | Kind::Cidr => "192.0.2.0/24",
        Kind::Macaddr => "00:00:5e:00:53:01",
        Kind::Macaddr8 => "00:00:5e:00:53:01:02:03",
        _ => "12",
    }
}

/// One value as the server writes it.
#[derive(Clone)]
struct Sample {
    binary: Vec<u8>,
    text: Vec<u8>,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ({:02x?})", String::from_utf8_lossy(&self.text), self.binary)
    }
}

impl Sample {
    fn new(binary: &[u8], text: impl AsRef<str>) -> Self {
        Self { binary: binary.to_vec(), text: text.as_ref().as_bytes().to_vec() }
    }

    fn field(&self, format: Format) -> &[u8] {
        match format {
            Format::Binary => &self.binary,
            Format::Text => &self.text,
        }
    }
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\0]{0,40}",
        "[a-z]{1,9}\\.[a-z]{1,9}@[a-z]{1,9}\\.(com|de)",
        "\\+?[0-9() -]{7,16}",
        "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9])",
        "[A-Z]{2}[0-9]{2}[A-Z0-9]{10,20}",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}",
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(/[0-9]{1,2})?",
        "https?://[a-z]{1,9}\\.org/[a-z0-9/?=&#]{0,20}",
        "[A-Z][a-z]{1,9} [A-Z][a-z\\\\\t\n\"{},]{1,9}",
        json(),
    ]
}

fn json() -> impl Strategy<Value = String> {
    let string = prop_oneof!["[^\0]{0,12}", "[a-z]{1,5}@[a-z]{1,5}\\.com", "10\\.[0-9]\\.0\\.1"];
    let number = any::<i32>();
    ((string.clone(), string), number, any::<bool>()).prop_map(|((one, two), number, flag)| {
        serde_json::json!({"email": one, "seen": [two, null, number], "other": {"flag": flag}})
            .to_string()
    })
}

fn decimal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("NaN".to_owned()),
        Just("-Infinity".to_owned()),
        (any::<i64>(), 0_usize..6, "[0-9]{5}").prop_map(|(whole, scale, fraction)| {
            let point = if scale == 0 { "" } else { "." };
            format!("{}{point}{}", whole >> 20, &fraction[..scale.min(5)])
        }),
    ]
}

fn float_text(value: f64, shortest: &str) -> String {
    match (value.is_nan(), value.is_infinite(), value > 0.0) {
        (true, ..) => "NaN".to_owned(),
        (_, true, true) => "Infinity".to_owned(),
        (_, true, false) => "-Infinity".to_owned(),
        _ => shortest.to_owned(),
    }
}

fn address(is_cidr: bool) -> impl Strategy<Value = Sample> {
    (any::<IpAddr>(), any::<u8>()).prop_map(move |(address, prefix)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = if is_cidr { longest } else { prefix % (longest + 1) };
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let length = u8::try_from(octets.len()).unwrap();
        let family = if length == 4 { 2 } else { 3 };
        let mut wire = vec![family, prefix, u8::from(is_cidr), length];
        wire.extend(octets);
        // `inet_out` leaves the longest prefix away, `cidr_out` does not.
        if prefix == longest && !is_cidr {
            Sample::new(&wire, address.to_string())
        } else {
            Sample::new(&wire, format!("{address}/{prefix}"))
        }
    })
}

fn octets(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

fn timestamp(kind: &Kind, micros: i64) -> Sample {
    let mut out = Vec::new();
    text::encode(kind, Output::Timestamp(micros), b"", b"", &mut out).unwrap();
    Sample { binary: micros.to_be_bytes().to_vec(), text: out }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn sample(kind: &Kind) -> BoxedStrategy<Sample> {
    const LAST_MICROS: i64 = 9_223_371_331_199_999_999;
    let micros =
        || prop_oneof![-211_813_488_000_000_000..=LAST_MICROS, Just(i64::MAX), Just(i64::MIN)];
    match kind {
        Kind::Text | Kind::Citext | Kind::Xml | Kind::Enum => {
            words().prop_map(|text| Sample::new(text.as_bytes(), &text)).boxed()
        }
        Kind::Bpchar => words()
            .prop_map(|text| format!("{text}   "))
            .prop_map(|text| Sample::new(text.as_bytes(), &text))
            .boxed(),
        Kind::Bool => any::<bool>()
            .prop_map(|value| Sample::new(&[u8::from(value)], if value { "t" } else { "f" }))
            .boxed(),
        Kind::Int2 => any::<i16>()
            .prop_map(|value| Sample::new(&value.to_be_bytes(), value.to_string()))
            .boxed(),
        Kind::Int4 => any::<i32>()
            .prop_map(|value| Sample::new(&value.to_be_bytes(), value.to_string()))
            .boxed(),
        Kind::Int8 => any::<i64>()
            .prop_map(|value| Sample::new(&value.to_be_bytes(), value.to_string()))
            .boxed(),
        Kind::Float4 => any::<f32>()
            .prop_map(|value| {
                let text = float_text(value.into(), &format!("{value:?}"));
                Sample::new(&value.to_be_bytes(), text)
            })
            .boxed(),
        Kind::Float8 => any::<f64>()
            .prop_map(|value| {
                Sample::new(&value.to_be_bytes(), float_text(value, &format!("{value:?}")))
            })
            .boxed(),
        Kind::Numeric => decimal()
            .prop_map(|text| {
                let mut wire = Vec::new();
                let output = Output::Text;
                binary::encode(&Kind::Numeric, output, b"", text.as_bytes(), &mut wire).unwrap();
                Sample::new(&wire, text)
            })
            .boxed(),
        Kind::Date => prop_oneof![-2_451_545..2_145_031_949, Just(i32::MAX), Just(i32::MIN)]
            .prop_map(|days| {
                let mut out = Vec::new();
                text::encode(&Kind::Date, Output::Date(days), b"", b"", &mut out).unwrap();
                Sample { binary: days.to_be_bytes().to_vec(), text: out }
            })
            .boxed(),
        Kind::Timestamp => micros().prop_map(|micros| timestamp(&Kind::Timestamp, micros)).boxed(),
        Kind::Timestamptz => {
            micros().prop_map(|micros| timestamp(&Kind::Timestamptz, micros)).boxed()
        }
        Kind::Uuid => any::<[u8; 16]>()
            .prop_map(|bytes| {
                let hex = octets(&bytes, "");
                let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
                Sample::new(&bytes, parts.join("-"))
            })
            .boxed(),
        Kind::Bytea => prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Sample::new(&bytes, format!("\\x{}", octets(&bytes, ""))))
            .boxed(),
        Kind::Inet => address(false).boxed(),
        Kind::Cidr => address(true).boxed(),
        Kind::Macaddr => {
            any::<[u8; 6]>().prop_map(|bytes| Sample::new(&bytes, octets(&bytes, ":"))).boxed()
        }
        Kind::Macaddr8 => {
            any::<[u8; 8]>().prop_map(|bytes| Sample::new(&bytes, octets(&bytes, ":"))).boxed()
        }
        Kind::Json => json().prop_map(|text| Sample::new(text.as_bytes(), &text)).boxed(),
        Kind::Jsonb => {
            json().prop_map(|text| Sample::new(&[b"\x01", text.as_bytes()].concat(), &text)).boxed()
        }
        Kind::Array(element) => array_sample(element).boxed(),
        Kind::Hstore | Kind::Tsvector | Kind::Composite | Kind::Range | Kind::Opaque => {
            unreachable!("{kind:?} has no codec")
        }
    }
}

/// Arrays of one dimension, with NULLs and a lower bound of their own.
fn array_sample(element: &Kind) -> impl Strategy<Value = Sample> + use<> {
    let elements = prop::collection::vec(prop::option::weighted(0.8, sample(element)), 0..4);
    (elements, 0_i32..3).prop_map(|(elements, bound)| {
        if elements.is_empty() {
            return Sample::new(&[0; 12], "{}");
        }
        let has_null = elements.iter().any(Option::is_none);
        let length = i32::try_from(elements.len()).unwrap();
        let mut wire = Vec::new();
        for word in [1, i32::from(has_null), 25, length, bound] {
            wire.extend_from_slice(&word.to_be_bytes());
        }
        let mut shown = Vec::new();
        for element in &elements {
            let length =
                element.as_ref().map_or(-1, |one| i32::try_from(one.binary.len()).unwrap());
            wire.extend_from_slice(&length.to_be_bytes());
            let Some(element) = element else {
                shown.push("NULL".to_owned());
                continue;
            };
            wire.extend_from_slice(&element.binary);
            let text = String::from_utf8(element.text.clone()).unwrap();
            shown.push(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
        }
        let last = bound + length - 1;
        let bounds = if bound == 1 { String::new() } else { format!("[{bound}:{last}]=") };
        Sample::new(&wire, format!("{bounds}{{{}}}", shown.join(",")))
    })
}

fn treatment(transform: &Transform, kind: &Kind, max_chars: Option<u32>) -> Treatment {
    is_listed(transform);
    if *transform == Transform::Null {
        return Treatment::Null;
    }
    let shape = Shape { kind: kind.clone(), max_chars, unique: false };
    let op = Op::build(&Rule::plain(transform.clone()), &shape, &root());
    Treatment::Transform(Box::new(op.unwrap_or_else(|error| panic!("{kind:?}: {error}"))))
}

/// A table of a text, which keys a rule that has a subject, and a masked column.
struct Case {
    transform: Transform,
    mask: Arc<TableMask>,
    /// Position in [`ALL_KINDS`].
    kind: usize,
}

/// All kinds, then arrays of them.
static ALL_KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let arrays = KINDS.iter().map(|kind| Kind::Array(Box::new(kind.clone())));
    KINDS.iter().cloned().chain(arrays).collect()
});

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let mut cases = Vec::new();
    for (at, kind) in ALL_KINDS.iter().enumerate() {
        for transform in transforms(kind).into_iter().filter(|one| accepts(one, kind)) {
            let is_keyed = matches!(transform, Transform::DateShift { subject: Some(_), .. });
            for max_chars in [None, Some(12)] {
                let subject = if is_keyed { vec![(0, Kind::Text)] } else { Vec::new() };
                let treatment = treatment(&transform, kind, max_chars);
                let (name, kind) = ("c1".to_owned(), kind.clone());
                let mask = rules(vec![ColumnMask { position: 1, name, kind, treatment, subject }]);
                cases.push(Case { transform: transform.clone(), mask, kind: at });
            }
        }
    }
    cases
});

type Made = Result<Option<Vec<u8>>, StageError>;

/// The value as it comes out of a COPY, unescaped, and how many values were changed.
fn copied(case: &Case, format: Format, subject: &[u8], value: &[u8]) -> (Made, u64) {
    let TableMask::Rules(masks) = &*case.mask else { panic!("no rules") };
    let mut row = Vec::new();
    match format {
        Format::Binary => {
            row.extend_from_slice(&[0, 2]);
            for field in [subject, value] {
                row.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
                row.extend_from_slice(field);
            }
        }
        Format::Text => {
            super::super::text::escape(subject, &mut row);
            row.push(b'\t');
            super::super::text::escape(value, &mut row);
            row.push(b'\n');
        }
    }
    let mut frame = b"d".to_vec();
    frame.extend_from_slice(&u32::try_from(row.len() + 4).unwrap().to_be_bytes());
    frame.extend_from_slice(&row);
    let mut stage = Stage::new(masks, format, 2);
    let made = stage.run(&frame).map(|frames| copied_field(format, &frames.bytes()[5..]));
    (made, stage.changed()[0])
}

fn copied_field(format: Format, row: &[u8]) -> Option<Vec<u8>> {
    match format {
        Format::Binary => {
            let subject = u32::from_be_bytes(row[2..6].try_into().unwrap()) as usize;
            let (length, value) = row[6 + subject..].split_first_chunk::<4>().unwrap();
            let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
            assert_eq!(length, value.len());
            Some(value.to_vec())
        }
        Format::Text => {
            let line = row.strip_suffix(b"\n").unwrap();
            let field = line.split(|byte| *byte == b'\t').nth(1).unwrap();
            let mut out = Vec::new();
            super::super::text::unescape(field, &mut out).unwrap();
            (field != b"\\N").then_some(out)
        }
    }
}

/// The value as it comes out of a tuple.
fn streamed(
    (stage, memo): (&mut TupleStage, &mut Memo),
    format: Format,
    subject: &[u8],
    value: &[u8],
) -> Made {
    let datum = |value| match format {
        Format::Binary => Datum::Binary(value),
        Format::Text => Datum::Text(value),
    };
    let wire = wire(&[datum(subject), datum(value)]);
    let mut out = MaskedRows::default();
    let row = stage.mask(Tuple::split(2, &wire).unwrap().0, memo, &mut out)?;
    Ok(match (out.tuple(row).columns().nth(1).unwrap(), format) {
        (Datum::Binary(value), Format::Binary) | (Datum::Text(value), Format::Text) => {
            Some(value.to_vec())
        }
        (Datum::Null, _) => None,
        (other, _) => panic!("{other:?}"),
    })
}

/// What the elements of a value are, whatever its format; of a numeric also its scale.
fn canonical(kind: &Kind, format: Format, field: &[u8]) -> Vec<Option<Vec<u8>>> {
    let scalar = kind.element();
    let mut found = Vec::new();
    let mut read = |field: &[u8], _: &mut Vec<u8>| -> Result<bool, Fault> {
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        let value = match format {
            Format::Binary => binary::decode(scalar, field, &mut scratch)?,
            Format::Text => text::decode(scalar, field, &mut scratch)?,
        };
        push_canonical(value, &mut out);
        if *scalar == Kind::Numeric {
            out.push(u8::try_from(shown_scale(format, field)).unwrap());
        }
        found.push(Some(out));
        Ok(true)
    };
    let (mut out, mut element) = (Vec::new(), Vec::new());
    match (kind, format) {
        (Kind::Array(_), Format::Binary) => array::lift_binary(field, &mut out, &mut read),
        (Kind::Array(_), Format::Text) => {
            array::lift_text(field, &mut element, &mut out, &mut read)
        }
        _ => read(field, &mut out).map(drop),
    }
    .unwrap();
    found
}

fn shown_scale(format: Format, field: &[u8]) -> usize {
    match format {
        Format::Binary if matches!(field[4], 0xc0 | 0xd0 | 0xf0) => 0,
        Format::Binary => usize::from(u16::from_be_bytes([field[6], field[7]]) & 0x3fff),
        Format::Text => {
            field.iter().position(|byte| *byte == b'.').map_or(0, |at| field.len() - at - 1)
        }
    }
}

fn check(case: &Case, subject: &str, sample: &Sample) -> Result<(), TestCaseError> {
    let (transform, kind) = (&case.transform, &ALL_KINDS[case.kind]);
    let mut stage = TupleStage::new(Arc::clone(&case.mask));
    let mut memo = Memo::default();
    let mut both = [Format::Binary, Format::Text].map(|format| {
        let value = sample.field(format);
        let (copied, changed) = copied(case, format, subject.as_bytes(), value);
        let before = stage.changed()[0];
        // The second time out of the memory.
        let streamed =
            [(); 2].map(|()| streamed((&mut stage, &mut memo), format, subject.as_bytes(), value));
        (format, copied, changed, streamed, stage.changed()[0] - before)
    });
    for (format, copied, changed, [streamed, again], changed_twice) in &both {
        prop_assert_eq!(copied, streamed, "{:?} {:?} {}", transform, kind, format);
        prop_assert_eq!(streamed, again, "{:?} {:?} {}, a second time", transform, kind, format);
        if copied.is_ok() {
            prop_assert_eq!(changed * 2, *changed_twice, "{:?} {:?} {}", transform, kind, format);
        }
    }
    let [binary, text] = both.each_mut().map(|(format, copied, ..)| {
        copied.as_ref().map(|made| made.as_ref().map(|made| canonical(kind, *format, made)))
    });
    prop_assert_eq!(binary, text, "{:?} {:?}: binary and text", transform, kind);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_transform_gives_the_same_fake_by_every_path(
        subject in words(),
        samples in ALL_KINDS.iter().map(sample).collect::<Vec<_>>(),
    ) {
        for case in CASES.iter() {
            check(case, &subject, &samples[case.kind])?;
        }
    }
}
