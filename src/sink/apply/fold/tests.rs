//! Net changes against a model: a map from key to row, changed one by one or net.

use super::{Folded, Net, NetChange};
use crate::catalog::RelationName;
use crate::pg::Oid;
use crate::pg::pgoutput::{Datum, Tuple};
use crate::sink::apply::{BoundColumn, BoundTable, Identity, KeyColumn, Operation};
use crate::transform::{MaskedRow, MaskedRows, Memo, TableMask, TupleStage};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys 0..KEYS; three columns beside the key.
const KEYS: u8 = 6;
type Row = [Option<u8>; 3];
type Model = BTreeMap<u8, Row>;

fn table() -> BoundTable {
    let column = |name: &str| BoundColumn {
        name: name.into(),
        type_oid: Oid(25),
        type_name: "text".into(),
        is_array: false,
        is_written: true,
        is_identity_always: false,
    };
    BoundTable {
        id: 1,
        source: RelationName::new("public", "t"),
        rules: Vec::new(),
        target: RelationName::new("public", "t"),
        is_partitioned: false,
        // The key is not the first column.
        columns: ["a", "k", "b", "c"].map(column).into(),
        identity: Identity::Key(vec![KeyColumn { position: 1, equality: None }]),
    }
}

struct Source {
    rows: MaskedRows,
    stage: TupleStage,
}

impl Source {
    fn new() -> Self {
        Self {
            rows: MaskedRows::default(),
            stage: TupleStage::new(Arc::new(TableMask::new(vec![]))),
        }
    }

    /// A row whose columns in `unchanged` are not sent.
    fn row(&mut self, key: u8, row: Row, unchanged: [bool; 3]) -> MaskedRow {
        let mut bytes = Vec::new();
        let mut put = |value: Option<u8>, is_unchanged: bool| match value {
            _ if is_unchanged => bytes.push(b'u'),
            None => bytes.push(b'n'),
            Some(value) => bytes.extend([b't', 0, 0, 0, 1, value]),
        };
        put(row[0], unchanged[0]);
        put(Some(key), false);
        put(row[1], unchanged[1]);
        put(row[2], unchanged[2]);
        let (tuple, _) = Tuple::split(4, &bytes).unwrap();
        self.stage.mask(tuple, &mut Memo::default(), &mut self.rows).unwrap()
    }
}

#[derive(Debug)]
struct NotSent;

fn byte(datum: Datum<'_>) -> Result<Option<u8>, NotSent> {
    match datum {
        Datum::Unchanged => Err(NotSent),
        Datum::Null => Ok(None),
        Datum::Text(bytes) | Datum::Binary(bytes) => Ok(Some(bytes[0])),
    }
}

fn key_of(rows: &MaskedRows, row: MaskedRow) -> u8 {
    byte(rows.tuple(row).columns().nth(1).unwrap()).unwrap().unwrap()
}

fn overlay(row: &mut Row, values: &[Datum<'_>]) {
    for (place, position) in [0, 2, 3].into_iter().enumerate() {
        if let Ok(value) = byte(values[position]) {
            row[place] = value;
        }
    }
}

/// Carries the net changes out: deletes, updates, inserts; each must find what it expects.
fn write(net: &mut Net, rows: &MaskedRows, model: &mut Model) {
    let mut values = Vec::new();
    for change in net.changes() {
        if let NetChange::Delete { key } = change {
            assert!(model.remove(&key_of(rows, key)).is_some(), "a deleted row was not there");
        }
    }
    for change in net.changes() {
        if let NetChange::Update { key, new } = change {
            net.values(rows, new, &mut values);
            let row = model.get_mut(&key_of(rows, key)).expect("an updated row was not there");
            overlay(row, &values);
        }
    }
    for change in net.changes() {
        if let NetChange::Insert(new) = change {
            net.values(rows, new, &mut values);
            assert!(!values.contains(&Datum::Unchanged), "a new row has all columns");
            let mut row = [None; 3];
            overlay(&mut row, &values);
            let key = byte(values[1]).unwrap().unwrap();
            assert!(model.insert(key, row).is_none(), "a new row was there");
        }
    }
    net.clear();
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, Row),
    Update(u8, Row, [bool; 3]),
    Rekey(u8, u8, Row, [bool; 3]),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let row = || proptest::array::uniform3(proptest::option::of(any::<u8>()));
    let unchanged = || proptest::array::uniform3(any::<bool>());
    prop_oneof![
        4 => (0..KEYS, row()).prop_map(|(key, row)| Step::Insert(key, row)),
        6 => (0..KEYS, row(), unchanged()).prop_map(|(key, row, not)| Step::Update(key, row, not)),
        1 => (0..KEYS, 0..KEYS, row(), unchanged())
            .prop_map(|(from, to, row, not)| Step::Rekey(from, to, row, not)),
        3 => (0..KEYS).prop_map(Step::Delete),
    ]
}

/// The operation of a step, if the source's table has it so, and what it makes of that table.
fn happen(source: &mut Source, model: &mut Model, step: &Step) -> Option<Operation> {
    const SENT: [bool; 3] = [false; 3];
    let changed = |model: &mut Model, from: u8, to: u8, row: Row, unchanged: [bool; 3]| {
        let mut now = model.remove(&from)?;
        for at in 0..3 {
            if !unchanged[at] {
                now[at] = row[at];
            }
        }
        model.insert(to, now);
        Some(())
    };
    match *step {
        Step::Insert(key, row) if !model.contains_key(&key) => {
            model.insert(key, row);
            Some(Operation::Insert { new: source.row(key, row, SENT) })
        }
        Step::Update(key, row, unchanged) => {
            changed(model, key, key, row, unchanged)?;
            Some(Operation::Update { old: None, new: source.row(key, row, unchanged) })
        }
        Step::Rekey(from, to, row, unchanged) if from == to || !model.contains_key(&to) => {
            changed(model, from, to, row, unchanged)?;
            let old = Some(source.row(from, [None; 3], SENT));
            Some(Operation::Update { old, new: source.row(to, row, unchanged) })
        }
        Step::Delete(key) => {
            model.remove(&key)?;
            Some(Operation::Delete { old: source.row(key, [None; 3], SENT) })
        }
        Step::Insert(..) | Step::Rekey(..) => None,
    }
}

/// A change by itself.
fn alone(rows: &MaskedRows, model: &mut Model, operation: Operation) {
    let Operation::Update { old: Some(old), new } = operation else { panic!("only key changes") };
    let values = rows.tuple(new).columns().collect::<Vec<_>>();
    let mut row = model.remove(&key_of(rows, old)).unwrap();
    overlay(&mut row, &values);
    assert!(model.insert(key_of(rows, new), row).is_none());
}

proptest! {
    #[test]
    fn net_changes_come_to_the_same_as_all_changes(
        before in proptest::collection::btree_map(0..KEYS, proptest::array::uniform3(any::<Option<u8>>()), 0..4),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let (table, mut source, mut net) = (table(), Source::new(), Net::default());
        let (mut expected, mut target) = (before.clone(), before);
        for step in &steps {
            let Some(operation) = happen(&mut source, &mut expected, step) else { continue };
            loop {
                match net.fold(&source.rows, &table, operation) {
                    Folded::Yes => break,
                    Folded::Full => write(&mut net, &source.rows, &mut target),
                    Folded::Alone => {
                        write(&mut net, &source.rows, &mut target);
                        alone(&source.rows, &mut target, operation);
                        break;
                    }
                    Folded::Contradiction => panic!("{step:?} did happen"),
                }
            }
        }
        write(&mut net, &source.rows, &mut target);
        prop_assert_eq!(expected, target);
    }
}

#[test]
fn what_cannot_have_happened_is_no_net_change() {
    let (table, mut source) = (table(), Source::new());
    let row = |source: &mut Source| source.row(1, [None; 3], [false; 3]);
    let new = row(&mut source);
    let insert = Operation::Insert { new };
    let update = Operation::Update { old: None, new };
    let delete = Operation::Delete { old: new };
    for impossible in [[update, insert], [insert, insert], [delete, delete], [delete, update]] {
        let mut net = Net::default();
        // The index is made by the first UPDATE or DELETE; before it, INSERTs are taken as they are.
        let other = Operation::Delete { old: source.row(2, [None; 3], [false; 3]) };
        let folded = [other].into_iter().chain(impossible);
        let folded = folded.map(|change| net.fold(&source.rows, &table, change));
        assert_eq!(folded.last(), Some(Folded::Contradiction), "{impossible:?}");
    }
}

#[test]
fn a_row_with_many_partial_updates_ends_the_run() {
    let (table, mut source, mut net) = (table(), Source::new(), Net::default());
    let mut folded = Vec::new();
    for at in 0..40 {
        let unchanged = [at % 2 == 0, at % 2 == 1, at % 3 == 0];
        let new = source.row(1, [Some(1); 3], unchanged);
        folded.push(net.fold(&source.rows, &table, Operation::Update { old: None, new }));
        if folded.last() == Some(&Folded::Full) {
            return;
        }
    }
    panic!("{folded:?}");
}
