//! The entry points of the fuzzer, which `tests/it/fuzz.rs` runs as well: each takes any bytes,
//! and must neither panic nor hand on what is not well-formed.

#![allow(dead_code, reason = "each user takes its part")]

use std::sync::{Arc, LazyLock};

use backlot::pg::pgoutput::{Decoder, Message, Tuple};
use backlot::pg::{Format, Kind, WalMessage, WalMessages, whole_frames};
use backlot::transform::key::RootKey;
use backlot::transform::op::Op;
use backlot::transform::{
    ColumnMask, MaskedRows, Memo, Rule, Shape, Stage, TableMask, Transform, Treatment, TupleStage,
    UnknownPath,
};

/// Columns of the rows that the stages are bound to.
pub(crate) const COLUMNS: u16 = 12;

/// Messages of one session, each behind its length in two bytes.
pub(crate) fn pgoutput(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (message, after) = after.split_at(length);
        let Ok(message) = decoder.decode(message) else { return };
        walk(message);
        rest = after;
    }
}

/// What a walsender sends: whole frames, messages in them, pgoutput in those.
pub(crate) fn wal_frames(bytes: &[u8]) {
    let Ok((length, count, _)) = whole_frames(bytes) else { return };
    let frames = &bytes[..length];
    let mut decoder = Decoder::default();
    let mut read = 0;
    for message in WalMessages::new(frames) {
        match message {
            Ok(WalMessage::Data { payload, .. }) => {
                if let Ok(message) = decoder.decode(payload) {
                    walk(message);
                }
            }
            Ok(WalMessage::Keepalive { .. }) => {}
            Err(_) => return,
        }
        read += 1;
    }
    assert_eq!(read, count, "every whole frame is a message");
}

fn walk(message: Message<'_>) {
    let check = |tuple: Tuple<'_>| {
        assert_eq!(tuple.columns().count(), usize::from(tuple.column_count()));
    };
    match message {
        Message::Relation { relation, .. } => assert!(relation.columns().count() <= 0xffff),
        Message::Insert { new, .. } => check(new),
        Message::Update { old, new, .. } => {
            if let Some(old) = old {
                check(old.tuple());
            }
            check(new);
        }
        Message::Delete { old, .. } => check(old.tuple()),
        Message::Truncate { truncate, .. } => assert!(truncate.relations().count() < 1 << 30),
        Message::Begin(_)
        | Message::Commit(_)
        | Message::Origin { .. }
        | Message::Type { .. }
        | Message::Logical(_)
        | Message::StreamStart { .. }
        | Message::StreamStop
        | Message::StreamCommit { .. }
        | Message::StreamAbort { .. } => {}
    }
}

/// COPY in the binary format: as frames, and as the content of one.
pub(crate) fn copy_binary(bytes: &[u8]) {
    copy(bytes, Format::Binary);
}

/// COPY in the text format.
pub(crate) fn copy_text(bytes: &[u8]) {
    copy(bytes, Format::Text);
}

fn copy(bytes: &[u8], format: Format) {
    for raw in [bytes.to_vec(), frame(bytes)] {
        let mut stage = Stage::new(masks(), format, usize::from(COLUMNS));
        if let Ok(frames) = stage.run(&raw) {
            let out = frames.bytes();
            assert_eq!(whole_frames(out).unwrap().0, out.len(), "whole frames come out");
        }
    }
}

pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 4).unwrap();
    [b"d".as_slice(), &length.to_be_bytes(), payload].concat()
}

/// Rows of a stream: as whole rows and as old keys.
pub(crate) fn tuples(bytes: &[u8]) {
    static MASK: LazyLock<Arc<TableMask>> = LazyLock::new(|| Arc::new(TableMask::new(columns())));
    let mut stage = TupleStage::new(Arc::clone(&MASK));
    let (mut memo, mut rows) = (Memo::default(), MaskedRows::default());
    let mut rest = bytes;
    while let Some((tuple, after)) = Tuple::split(COLUMNS, rest) {
        let masked =
            [stage.mask(tuple, &mut memo, &mut rows), stage.mask_key(tuple, &mut memo, &mut rows)];
        for row in masked.into_iter().flatten() {
            let masked = rows.tuple(row);
            assert_eq!(masked.columns().count(), tuple.columns().count());
        }
        rest = after;
    }
}

fn masks() -> &'static [ColumnMask] {
    static MASKS: LazyLock<Vec<ColumnMask>> = LazyLock::new(columns);
    &MASKS
}

pub(crate) fn columns() -> Vec<ColumnMask> {
    let json = || {
        let paths = [("$.ip", Transform::Ip), ("$.tags[*]", Transform::Alnum)]
            .map(|(path, transform)| (path.to_owned(), Rule::plain(transform)));
        Transform::Json { paths: paths.into(), unknown: UnknownPath::Fill }
    };
    let shift = || Transform::DateShift { max_days: 30, subject: None };
    // The last is kept: a column without a rule.
    let rules = [
        (Kind::Int8, Transform::Integer),
        (Kind::Text, Transform::Email),
        (Kind::Text, Transform::FirstName),
        (Kind::Text, Transform::Phone),
        (Kind::Date, shift()),
        (Kind::Jsonb, json()),
        (Kind::Json, json()),
        (Kind::Array(Box::new(Kind::Text)), Transform::Alnum),
        (Kind::Numeric, Transform::NumberNoise { percent: 10 }),
        (Kind::Timestamptz, shift()),
        (Kind::Inet, Transform::Ip),
    ];
    let key = RootKey::new([7; 32]);
    let mask = |(position, (kind, transform)): (usize, (Kind, Transform))| {
        let shape = Shape { kind: kind.clone(), max_chars: None, unique: false };
        let op = Op::build(&Rule::plain(transform), &shape, &key).expect("a rule that fits");
        ColumnMask {
            position,
            name: format!("c{position}"),
            kind,
            treatment: Treatment::Transform(Box::new(op)),
            subject: Vec::new(),
        }
    };
    rules.into_iter().enumerate().map(mask).collect()
}

/// One row that every rule of the entries takes, by column: as text, and as the send function
/// writes it.
fn row() -> Vec<(&'static [u8], Vec<u8>)> {
    let same = |text: &'static [u8]| (text, text.to_vec());
    let json = br#"{"ip": "10.0.0.1", "tags": ["a1", 2], "x": {"y": null}}"#;
    let array = [
        [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1].as_slice(),
        &[0, 0, 0, 2, b'a', b'1'],
        &[0, 0, 0, 1, b'b'],
    ]
    .concat();
    vec![
        (b"42", 42_i64.to_be_bytes().to_vec()),
        same(b"ada@example.org"),
        same("Zoë".as_bytes()),
        same(b"+44 20 7946 0000"),
        (b"1990-02-28", (-3_594_i32).to_be_bytes().to_vec()),
        (json, [b"\x01".as_slice(), json].concat()),
        same(json),
        (br#"{a1,"b"}"#, array),
        (b"-12.50", vec![0, 2, 0, 0, 0x40, 0, 0, 2, 0, 12, 0x13, 0x88]),
        (b"2020-02-29 23:59:59.5+00", 636_335_999_500_000_i64.to_be_bytes().to_vec()),
        (b"10.0.0.1", vec![2, 32, 0, 4, 10, 0, 0, 1]),
        same(b"kept"),
    ]
}

pub(crate) fn binary_row() -> Vec<u8> {
    let row = row();
    let mut bytes = COLUMNS.to_be_bytes().to_vec();
    for (_, value) in &row {
        bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(value);
    }
    bytes
}

pub(crate) fn text_row() -> Vec<u8> {
    let escape = |text: &[u8]| String::from_utf8_lossy(text).replace('\\', r"\\");
    let fields: Vec<String> = row().iter().map(|(text, _)| escape(text)).collect();
    format!("{}\n", fields.join("\t")).into_bytes()
}

pub(crate) fn tuple(is_binary: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (text, binary) in row() {
        let value = if is_binary { &binary } else { text };
        bytes.push(if is_binary { b'b' } else { b't' });
        bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(value);
    }
    bytes
}

fn message() -> Vec<u8> {
    let new = [5_u32.to_be_bytes().as_slice(), b"N", &[0, 12], &tuple(false)].concat();
    [b"I".as_slice(), &new].concat()
}

fn session() -> Vec<u8> {
    let message = message();
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message.as_slice()].concat().repeat(2)
}

fn wal() -> Vec<u8> {
    let data = [b"w".as_slice(), &[0; 24], &message()].concat();
    let keepalive = [b"k".as_slice(), &[0; 16], &[1]].concat();
    [frame(&data), frame(&keepalive), frame(&data)].concat()
}

/// What is fuzzed: one target each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Pgoutput,
    WalFrames,
    CopyBinary,
    CopyText,
    Tuples,
}

impl Entry {
    pub(crate) const ALL: [Self; 5] =
        [Self::Pgoutput, Self::WalFrames, Self::CopyBinary, Self::CopyText, Self::Tuples];

    /// The name of its target.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pgoutput => "pgoutput",
            Self::WalFrames => "wal_frames",
            Self::CopyBinary => "copy_binary",
            Self::CopyText => "copy_text",
            Self::Tuples => "tuples",
        }
    }

    pub(crate) fn run(self, bytes: &[u8]) {
        match self {
            Self::Pgoutput => pgoutput(bytes),
            Self::WalFrames => wal_frames(bytes),
            Self::CopyBinary => copy_binary(bytes),
            Self::CopyText => copy_text(bytes),
            Self::Tuples => tuples(bytes),
        }
    }

    /// Inputs without a fault.
    pub(crate) fn seeds(self) -> Vec<Vec<u8>> {
        match self {
            Self::Pgoutput => vec![session()],
            Self::WalFrames => vec![wal()],
            Self::CopyBinary => vec![binary_row(), frame(&binary_row()).repeat(2)],
            Self::CopyText => vec![text_row(), frame(&text_row()).repeat(2)],
            Self::Tuples => vec![tuple(false), tuple(true).repeat(2)],
        }
    }
}
