//! Messages as proto.c writes them, put together here by hand.

use super::{
    Begin, Commit, Datum, DecodeError, Decoder, Logical, Message, OldTuple, RelationColumn,
    ReplicaIdentity,
};
use crate::pg::{Lsn, Oid};
use proptest::collection::vec;
use proptest::prelude::*;

/// A message under construction.
#[derive(Clone, Debug)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        self.0.extend(text.as_bytes());
        self.u8(0)
    }

    fn tuple(self, mark: u8, values: &[Datum<'_>]) -> Self {
        let count = u16::try_from(values.len()).unwrap();
        values.iter().fold(self.u8(mark).u16(count), |bytes, value| match value {
            Datum::Null => bytes.u8(b'n'),
            Datum::Unchanged => bytes.u8(b'u'),
            Datum::Text(value) => bytes.u8(b't').value(value),
            Datum::Binary(value) => bytes.u8(b'b').value(value),
        })
    }

    fn value(self, value: &[u8]) -> Self {
        let mut bytes = self.u32(u32::try_from(value.len()).unwrap());
        bytes.0.extend(value);
        bytes
    }
}

const VALUES: &[Datum<'_>] =
    &[Datum::Text(b"one"), Datum::Null, Datum::Unchanged, Datum::Binary(&[0, 1]), Datum::Text(b"")];

fn stream_start() -> Vec<u8> {
    Bytes::new(b'S').u32(7).u8(1).0
}

/// Decodes one message, inside a streamed block if told so, and hands it to `look`.
fn decoded(is_streamed: bool, bytes: &[u8], look: impl FnOnce(Message<'_>)) {
    let mut decoder = Decoder::default();
    if is_streamed {
        decoder.decode(&stream_start()).unwrap();
    }
    look(decoder.decode(bytes).unwrap());
}

/// Every kind of message; those of a streamed block with a transaction id in front.
fn every_message(is_streamed: bool) -> Vec<Vec<u8>> {
    let change = |kind| if is_streamed { Bytes::new(kind).u32(9) } else { Bytes::new(kind) };
    let relation = change(b'R').u32(16_384).text("public").text("t").u8(b'd').u16(2);
    let relation = relation.u8(1).text("id").u32(23).u32(u32::MAX).u8(0).text("a").u32(25).u32(8);
    let messages = [
        Bytes::new(b'B').u64(1).u64(2).u32(3),
        Bytes::new(b'C').u8(0).u64(1).u64(2).u64(3),
        Bytes::new(b'O').u64(1).text("origin"),
        Bytes::new(b'c').u32(7).u8(0).u64(1).u64(2).u64(3),
        Bytes::new(b'A').u32(7).u32(9),
        Bytes::new(b'S').u32(7).u8(0),
        Bytes::new(b'E'),
        relation,
        change(b'Y').u32(16_390).text("public").text("mood"),
        change(b'I').u32(16_384).tuple(b'N', VALUES),
        change(b'U').u32(16_384).tuple(b'N', VALUES),
        change(b'U').u32(16_384).tuple(b'K', &VALUES[..2]).tuple(b'N', VALUES),
        change(b'U').u32(16_384).tuple(b'O', VALUES).tuple(b'N', VALUES),
        change(b'D').u32(16_384).tuple(b'K', &VALUES[..2]),
        change(b'D').u32(16_384).tuple(b'O', VALUES),
        change(b'T').u32(2).u8(3).u32(16_384).u32(16_385),
        change(b'M').u8(1).u64(5).text("prefix").value(b"content"),
    ];
    messages.into_iter().map(|message| message.0).collect()
}

#[test]
fn the_ends_of_a_transaction_are_read() {
    let begin = Bytes::new(b'B').u64(0x10).u64(20).u32(30).0;
    let expected = Begin { commit_lsn: Lsn(0x10), commit_time: 20, xid: 30 };
    decoded(false, &begin, |message| assert_eq!(message, Message::Begin(expected)));

    let commit = Commit { commit_lsn: Lsn(1), end_lsn: Lsn(2), commit_time: -3 };
    let bytes = Bytes::new(b'C').u8(0).u64(1).u64(2).u64((-3_i64).cast_unsigned()).0;
    decoded(false, &bytes, |message| assert_eq!(message, Message::Commit(commit)));
    let bytes = Bytes::new(b'c').u32(7).u8(0).u64(1).u64(2).u64((-3_i64).cast_unsigned()).0;
    decoded(false, &bytes, |message| {
        assert_eq!(message, Message::StreamCommit { xid: 7, commit });
    });
    let bytes = Bytes::new(b'O').u64(9).text("elsewhere").0;
    decoded(false, &bytes, |message| {
        assert_eq!(message, Message::Origin { origin_lsn: Lsn(9), name: "elsewhere" });
    });
}

#[test]
fn an_abort_is_read_in_the_short_form_and_in_the_long_form_of_version_4() {
    let abort = Message::StreamAbort { xid: 7, subxid: 9 };
    let short = Bytes::new(b'A').u32(7).u32(9);
    decoded(false, &short.clone().0, |message| assert_eq!(message, abort));
    decoded(false, &short.u64(1).u64(2).0, |message| assert_eq!(message, abort));
}

#[test]
fn changes_have_a_transaction_id_exactly_inside_a_streamed_block() {
    let mut decoder = Decoder::default();
    let plain = Bytes::new(b'I').u32(5).tuple(b'N', VALUES).0;
    let streamed = Bytes::new(b'I').u32(9).u32(5).tuple(b'N', VALUES).0;
    let mut xid = |bytes: &[u8]| {
        let message = decoder.decode(bytes).unwrap();
        let Message::Insert { xid, relation: Oid(5), new } = message else {
            let is_edge = matches!(message, Message::StreamStart { .. } | Message::StreamStop);
            assert!(is_edge, "{message:?}");
            return None;
        };
        assert!(new.columns().eq(VALUES.iter().copied()));
        xid
    };
    assert_eq!(xid(&plain), None);
    xid(&stream_start());
    assert_eq!(xid(&streamed), Some(9));
    xid(b"E");
    assert_eq!(xid(&plain), None);
}

#[test]
fn old_and_new_rows_are_told_apart() {
    let update = |old: Option<u8>| {
        let bytes = Bytes::new(b'U').u32(5);
        let bytes = old.map_or(bytes.clone(), |mark| bytes.tuple(mark, &VALUES[..2]));
        bytes.tuple(b'N', VALUES).0
    };
    for (mark, is_key) in [(None, None), (Some(b'K'), Some(true)), (Some(b'O'), Some(false))] {
        decoded(false, &update(mark), |message| {
            let Message::Update { xid: None, relation: Oid(5), old, new } = message else {
                panic!("{message:?}");
            };
            assert_eq!(old.map(|old| matches!(old, OldTuple::Key(_))), is_key);
            assert!(old.is_none_or(|old| old.tuple().columns().eq(VALUES[..2].iter().copied())));
            assert_eq!(usize::from(new.column_count()), VALUES.len());
        });
    }
    // A deletion without the old row cannot be applied.
    let bytes = Bytes::new(b'D').u32(5).tuple(b'N', VALUES).0;
    assert_eq!(Decoder::default().decode(&bytes), Err(DecodeError::Malformed("Delete")));
}

#[test]
fn a_relation_names_its_columns_and_its_identity() {
    for (mark, identity) in [
        (b'd', ReplicaIdentity::Default),
        (b'n', ReplicaIdentity::Nothing),
        (b'f', ReplicaIdentity::Full),
        (b'i', ReplicaIdentity::Index),
    ] {
        let bytes = Bytes::new(b'R').u32(5).text("").text("ü").u8(mark).u16(2);
        let bytes = bytes.u8(1).text("id").u32(23).u32(u32::MAX).u8(0).text("é").u32(25).u32(8).0;
        decoded(false, &bytes, |message| {
            let Message::Relation { xid: None, relation } = message else { panic!("{message:?}") };
            assert_eq!((relation.oid, relation.schema, relation.name), (Oid(5), "", "ü"));
            assert_eq!(relation.replica_identity, identity);
            let column = |is_key, name, type_oid, type_modifier| RelationColumn {
                is_key,
                name,
                type_oid: Oid(type_oid),
                type_modifier,
            };
            let expected = [column(true, "id", 23, -1), column(false, "é", 25, 8)];
            assert!(relation.columns().eq(expected));
        });
    }
    let unknown = Bytes::new(b'R').u32(5).text("").text("t").u8(b'x').u16(0).0;
    assert_eq!(Decoder::default().decode(&unknown), Err(DecodeError::Malformed("Relation")));
    let invalid = [b"R\0\0\0\x05\xff\0t\0d".as_slice(), &[0, 0]].concat();
    assert_eq!(Decoder::default().decode(&invalid), Err(DecodeError::Malformed("Relation")));
}

#[test]
fn a_truncation_lists_its_relations_and_options() {
    for options in 0..4 {
        let bytes = Bytes::new(b'T').u32(2).u8(options).u32(5).u32(6).0;
        decoded(false, &bytes, |message| {
            let Message::Truncate { truncate, .. } = message else { panic!("{message:?}") };
            assert!(truncate.relations().eq([Oid(5), Oid(6)]));
            let read = (truncate.cascade, truncate.restart_identity);
            assert_eq!(read, (options & 1 == 1, options & 2 == 2));
        });
    }
    let endless = Bytes::new(b'T').u32(u32::MAX).u8(0).u32(5).0;
    assert!(Decoder::default().decode(&endless).is_err());
}

#[test]
fn a_logical_message_carries_bytes() {
    for is_transactional in [false, true] {
        let bytes = Bytes::new(b'M').u8(u8::from(is_transactional)).u64(5).text("p").value(&[0, 9]);
        let logical =
            Logical { xid: None, is_transactional, lsn: Lsn(5), prefix: "p", content: &[0, 9] };
        decoded(false, &bytes.0, |message| assert_eq!(message, Message::Logical(logical)));
    }
}

#[test]
fn prepared_transactions_and_the_unknown_are_refused() {
    for kind in (0..=u8::MAX).filter(|kind| !b"BCORYIUDTMSEcA".contains(kind)) {
        let bytes = Bytes::new(kind).u64(0).u64(0).u64(0).0;
        assert_eq!(Decoder::default().decode(&bytes), Err(DecodeError::UnknownKind), "{kind}");
    }
}

#[test]
fn a_message_that_is_cut_anywhere_is_an_error() {
    for is_streamed in [false, true] {
        for message in every_message(is_streamed) {
            for cut in 0..message.len() {
                let mut decoder = Decoder::default();
                if is_streamed {
                    decoder.decode(&stream_start()).unwrap();
                }
                let result = decoder.decode(&message[..cut]);
                // A type says nothing that is read.
                let is_type = message[0] == b'Y' && cut >= if is_streamed { 5 } else { 1 };
                assert_eq!(result.is_ok(), is_type, "{} cut at {cut}", char::from(message[0]));
            }
        }
    }
}

#[test]
fn row_values_are_never_printed() {
    let bytes = Bytes::new(b'I').u32(5).tuple(b'N', &[Datum::Text(b"canary")]).0;
    decoded(false, &bytes, |message| assert!(!format!("{message:?}").contains("canary")));
    let bytes = Bytes::new(b'M').u8(0).u64(5).text("p").value(b"canary").0;
    decoded(false, &bytes, |message| {
        let shown = format!("{message:?}");
        assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
    });
}

/// Walks everything that a message offers.
fn walk(message: Message<'_>) {
    match message {
        Message::Relation { relation, .. } => {
            assert!(relation.columns().all(|column| !column.name.contains('\0')));
        }
        Message::Insert { new, .. } => assert_walked(new),
        Message::Update { old, new, .. } => {
            if let Some(old) = old {
                assert_walked(old.tuple());
            }
            assert_walked(new);
        }
        Message::Delete { old, .. } => assert_walked(old.tuple()),
        Message::Truncate { truncate, .. } => drop(truncate.relations().count()),
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

fn assert_walked(tuple: super::Tuple<'_>) {
    assert_eq!(tuple.columns().count(), usize::from(tuple.column_count()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Random bytes behind each kind: the reader ends with a message or an error.
    #[test]
    fn no_bytes_make_it_panic(
        kinds in vec(prop::sample::select(b"BCORYIUDTMSEcA".to_vec()), 1..8),
        body in vec(any::<u8>(), 0..64),
    ) {
        let mut decoder = Decoder::default();
        for kind in kinds {
            let bytes = [[kind].as_slice(), &body].concat();
            if let Ok(message) = decoder.decode(&bytes) {
                walk(message);
            }
        }
    }

    /// Real messages with a few bytes changed come further into the reader than noise does.
    #[test]
    fn no_change_of_a_message_makes_it_panic(
        is_streamed in any::<bool>(),
        which in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let messages = every_message(is_streamed);
        let mut bytes = messages[which.index(messages.len())].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut decoder = Decoder::default();
        if is_streamed {
            decoder.decode(&stream_start()).unwrap();
        }
        if let Ok(message) = decoder.decode(&bytes) {
            walk(message);
        }
    }

    #[test]
    fn a_row_is_read_as_it_was_written(
        values in vec((0_u8..4, vec(any::<u8>(), 0..20)), 0..40),
    ) {
        let values: Vec<Datum<'_>> = values.iter().map(|(kind, bytes)| match kind {
            0 => Datum::Null,
            1 => Datum::Unchanged,
            2 => Datum::Text(bytes),
            _ => Datum::Binary(bytes),
        }).collect();
        let bytes = Bytes::new(b'I').u32(5).tuple(b'N', &values).0;
        decoded(false, &bytes, |message| {
            let Message::Insert { new, .. } = message else { panic!("{message:?}") };
            assert!(new.columns().eq(values.iter().copied()));
        });
    }
}
