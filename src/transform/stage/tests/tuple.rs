use super::{mask, rules, wire};
use crate::pg::Kind;
use crate::pg::pgoutput::{Datum, Tuple};
use crate::transform::{
    ColumnMask, MaskedRows, Memo, StageError, TableMask, Transform, Treatment, TupleStage,
};

fn tuple<'a>(columns: &[Datum<'_>], wire: &'a [u8]) -> Tuple<'a> {
    Tuple::split(u16::try_from(columns.len()).unwrap(), wire).unwrap().0
}

/// The masked tuple's columns, as the wire has them.
fn masked(
    (stage, memo): (&mut TupleStage, &mut Memo),
    columns: &[Datum<'_>],
) -> Result<Vec<u8>, StageError> {
    let mut out = MaskedRows::default();
    let row = stage.mask(tuple(columns, &wire(columns)), memo, &mut out)?;
    Ok(out.tuple(row).bytes().to_vec())
}

fn shift(subject: Vec<(usize, Kind)>) -> ColumnMask {
    let shift = Transform::DateShift { max_days: 300, subject: None };
    ColumnMask { subject, ..mask(1, Kind::Date, shift) }
}

const DAY: Datum<'_> = Datum::Binary(&[0, 0, 0x20, 0]);

#[test]
fn only_ruled_columns_change_and_what_was_not_sent_stays_so() {
    let email = mask(1, Kind::Text, Transform::Email);
    let name = mask(3, Kind::Text, Transform::FirstName);
    let mut stage = TupleStage::new(rules(vec![name, email]));
    let columns = [
        Datum::Binary(&[0, 0, 0, 7]),
        Datum::Binary(b"ada@lovelace.example.net"),
        Datum::Text(b"kept"),
        Datum::Unchanged,
        Datum::Null,
    ];
    let (mut memo, mut out) = (Memo::default(), MaskedRows::default());
    let row = stage.mask(tuple(&columns, &wire(&columns)), &mut memo, &mut out).unwrap();
    let made = out.tuple(row).columns().collect::<Vec<_>>();
    assert_eq!(made.len(), 5);
    assert!(
        matches!(made[1], Datum::Binary(value) if value.windows(9).any(|part| part == b"@example."))
    );
    assert!(made[0] == columns[0] && made[2..] == columns[2..]);
    assert_eq!(stage.changed(), [1, 0]);
    // A second time out of the memory.
    assert!(masked((&mut stage, &mut memo), &columns).unwrap() == out.tuple(row).bytes());
    assert_eq!(stage.changed(), [2, 0]);
}

#[test]
fn a_null_rule_makes_null_of_values_alone() {
    let null = ColumnMask { treatment: Treatment::Null, ..mask(0, Kind::Text, Transform::Email) };
    let mut stage = TupleStage::new(rules(vec![null]));
    let rest = Datum::Text(b"x");
    for (before, after) in [
        (Datum::Text(b"secret"), Datum::Null),
        (Datum::Binary(b""), Datum::Null),
        (Datum::Null, Datum::Null),
        (Datum::Unchanged, Datum::Unchanged),
    ] {
        assert!(
            masked((&mut stage, &mut Memo::default()), &[before, rest]).unwrap()
                == wire(&[after, rest])
        );
    }
    assert_eq!(stage.changed(), [2]);
}

#[test]
fn a_table_without_rules_goes_through_as_it_is() {
    let mut stage = TupleStage::new(rules(Vec::new()));
    let columns = [Datum::Text(b"a"), Datum::Unchanged, Datum::Binary(b"b")];
    assert!(masked((&mut stage, &mut Memo::default()), &columns).unwrap() == wire(&columns));
}

#[test]
fn a_subject_that_was_not_sent_fails_closed() {
    let mut stage = TupleStage::new(rules(vec![shift(vec![(0, Kind::Text), (2, Kind::Int4)])]));
    let number = Datum::Binary(&[0, 0, 0, 1]);
    let expected = StageError::Subject { column: "c1".to_owned() };
    let (mut memo, mut out) = (Memo::default(), MaskedRows::default());
    let mut fails = |columns: &[Datum<'_>], is_key: bool| {
        let wire = wire(columns);
        let tuple = tuple(columns, &wire);
        let made = if is_key {
            stage.mask_key(tuple, &mut memo, &mut out)
        } else {
            stage.mask(tuple, &mut memo, &mut out)
        };
        let failed = made.as_ref().is_err_and(|error| *error == expected);
        assert_eq!(out.byte_count() > 0, made.is_ok(), "a failed row leaves nothing");
        out.clear();
        failed
    };
    assert!(!fails(&[Datum::Text(b"ada"), DAY, number], false));
    assert!(fails(&[Datum::Unchanged, DAY, number], false));
    assert!(fails(&[Datum::Text(b"ada"), DAY], false), "the row is too short");
    // A NULL subject adds nothing, as in a COPY; in an old key it only means "not of the key".
    assert!(!fails(&[Datum::Null, DAY, number], false));
    assert!(fails(&[Datum::Null, DAY, number], true));
    // Nothing to mask, nothing to key.
    assert!(!fails(&[Datum::Unchanged, Datum::Null, number], true));
}

#[test]
fn a_row_too_short_for_its_rules_is_refused() {
    let mut stage = TupleStage::new(rules(vec![mask(2, Kind::Text, Transform::Email)]));
    let error = masked(
        (&mut stage, &mut Memo::default()),
        &[Datum::Text(b"a"), Datum::Text(b"b@c.example")],
    )
    .unwrap_err();
    assert_eq!(error, StageError::Missing { column: "c2".to_owned() });
}

#[test]
fn a_value_that_cannot_be_read_is_not_passed_on_nor_named() {
    let mut stage = TupleStage::new(rules(vec![mask(1, Kind::Date, {
        Transform::DateShift { max_days: 300, subject: None }
    })]));
    let mut out = MaskedRows::default();
    let columns = [Datum::Text(b"before"), Datum::Binary(b"secret")];
    let error =
        stage.mask(tuple(&columns, &wire(&columns)), &mut Memo::default(), &mut out).unwrap_err();
    assert_eq!(error.to_string(), "column c1: the value is not well-formed for its type");
    assert_eq!(out.byte_count(), 0);
}

#[test]
fn rows_come_back_from_a_byte_stream_as_they_were() {
    let mut stage = TupleStage::new(rules(Vec::new()));
    let mut rows = MaskedRows::default();
    let tuples: [&[Datum<'_>]; 3] =
        [&[Datum::Text(b"one"), Datum::Null], &[], &[Datum::Unchanged, Datum::Binary(&[0; 300])]];
    let memo = &mut Memo::default();
    let made =
        tuples.map(|columns| stage.mask(tuple(columns, &wire(columns)), memo, &mut rows).unwrap());
    let mut stream = Vec::new();
    for row in made {
        rows.write(row, &mut stream);
    }
    let mut rest = stream.as_slice();
    let mut back = MaskedRows::default();
    let first = back.copy(&rows, made[0]);
    for columns in tuples {
        let row = back.read(&mut rest).unwrap();
        assert!(back.tuple(row).columns().eq(columns.iter().copied()));
    }
    assert!(rest.is_empty() && back.read(&mut rest).is_none());
    assert!(back.tuple(first) == rows.tuple(made[0]));
    // Cut anywhere, it has the rows that are whole.
    let ends = [6 + 9, 6 + 9 + 6, stream.len()];
    for length in 0..stream.len() {
        let mut cut = &stream[..length];
        let count = std::iter::from_fn(|| back.read(&mut cut)).count();
        assert_eq!(count, ends.iter().filter(|end| **end <= length).count());
    }
}

#[test]
fn rows_that_nobody_wrote_are_refused() {
    let mut rows = MaskedRows::default();
    for bytes in [b"\0\x01\0\0\0\x02nn".as_slice(), b"\0\x02\0\0\0\x01n", b"\0\x01\0\0\0\x01?"] {
        let mut rest = bytes;
        assert!(rows.read(&mut rest).is_none() && rest.len() == bytes.len());
    }
    assert_eq!(rows.byte_count(), 0);
}

#[test]
fn text_and_binary_of_a_column_do_not_share_a_memory() {
    // The same four bytes are two values of bytea.
    let mut stage = TupleStage::new(rules(vec![mask(0, Kind::Bytea, Transform::TextFill)]));
    let fresh = || TupleStage::new(rules(vec![mask(0, Kind::Bytea, Transform::TextFill)]));
    let columns = [Datum::Binary(b"\\x41"), Datum::Text(b"\\x41")];
    let memo = &mut Memo::default();
    for column in columns {
        let other = masked((&mut fresh(), &mut Memo::default()), &[column]).unwrap();
        assert!(masked((&mut stage, memo), &[column]).unwrap() == other);
    }
}

#[test]
fn a_stage_moves_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    let TableMask::KeepAll(_) = &*rules(Vec::new()) else { panic!("no rules") };
    is_send(&TupleStage::new(rules(Vec::new())));
}
