//! A machine with a few bound tables of one text column, and messages made by hand.

use super::super::{
    Action, Binding, Followed, Machine, Route, Settings, Shape, relation::ShapeColumn,
};
use crate::catalog::RelationName;
use crate::pg::pgoutput::{
    Begin, Commit, Datum, Decoder, Message, OldTuple, ReplicaIdentity, Tuple,
};
use crate::pg::{Kind, Lsn, Oid};
use crate::sink::apply::{
    BoundColumn, BoundTable, CommitPoint, Extent, Group, Identity, KeyColumn, Operation,
};
use crate::stream::spill::Spill;
use crate::transform::{ColumnMask, MaskedRow, TableMask, Treatment, TupleStage};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1);

pub(super) struct Rig {
    pub(super) machine: Machine,
    spill: Spill,
    stored: Vec<super::super::StoredId>,
    stored_count: usize,
    pub(super) is_strict: bool,
    pub(super) failed: bool,
}

pub(super) fn name(name: &str) -> RelationName {
    RelationName::new("public", name)
}

pub(super) fn shape(oid: u32, relation: &str) -> Shape {
    let column =
        ShapeColumn { name: "v".into(), is_key: true, type_oid: Oid(25), type_modifier: -1 };
    let replica_identity = ReplicaIdentity::Default;
    Shape { oid: Oid(oid), name: name(relation), replica_identity, columns: vec![column] }
}

pub(super) fn followed(source: &str, target: &str, leaf_count: usize) -> Binding {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let column = BoundColumn {
        name: "v".into(),
        type_oid: Oid(25),
        type_name: "text".into(),
        is_array: false,
        is_written: true,
        is_identity_always: false,
    };
    let table = BoundTable {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        source: name(source),
        rules: Vec::new(),
        target: name(target),
        is_partitioned: false,
        columns: vec![column],
        identity: Identity::Key(vec![KeyColumn { position: 0, equality: None }]),
    };
    let stage = TupleStage::new(Arc::new(TableMask::new(Vec::new())));
    Binding::Followed(Box::new(Followed { table: Arc::new(table), stage, leaf_count }))
}

/// A rule on a column that the rows do not have.
pub(super) fn unmaskable(table: &str) -> Binding {
    let Binding::Followed(mut bound) = followed(table, table, 1) else { return Binding::Dropped };
    let mask = ColumnMask {
        position: 1,
        name: "w".into(),
        kind: Kind::Opaque,
        treatment: Treatment::Null,
        subject: Vec::new(),
    };
    bound.stage = TupleStage::new(Arc::new(TableMask::new(vec![mask])));
    Binding::Followed(bound)
}

pub(super) fn commit(commit_lsn: u64, end_lsn: u64) -> CommitPoint {
    CommitPoint { commit_lsn: Lsn(commit_lsn), end_lsn: Lsn(end_lsn), commit_time: 0 }
}

fn tuple(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [b"t".as_slice(), &length.to_be_bytes(), text.as_bytes()].concat()
}

fn split(bytes: &[u8]) -> Tuple<'_> {
    Tuple::split(1, bytes).unwrap().0
}

impl Rig {
    /// Tables t1 and t2 with the ids 1 and 2; everything is kept in memory.
    pub(super) fn new(checkpoint: u64) -> Self {
        Self::with(checkpoint, usize::MAX, false)
    }

    pub(super) fn with(checkpoint: u64, held_bytes: usize, skip_foreign_origins: bool) -> Self {
        let settings = Settings { checkpoint: Lsn(checkpoint), skip_foreign_origins, held_bytes };
        let mut machine = Machine::new(settings);
        for oid in [1, 2] {
            let table = format!("t{oid}");
            machine.bind(shape(oid, &table), followed(&table, &table, 1), Route::Apply);
        }
        Self {
            machine,
            spill: Spill::new(std::env::temp_dir()),
            stored: Vec::new(),
            stored_count: 0,
            is_strict: true,
            failed: false,
        }
    }

    pub(super) fn bind_as(&mut self, oid: u32, table: &str) -> &mut Self {
        self.machine.bind(shape(oid, table), followed(table, table, 1), Route::Apply);
        self
    }

    pub(super) fn bind_routed(&mut self, oid: u32, target: &str, leaf_count: usize) {
        let leaf = format!("t{oid}");
        self.machine.bind(shape(oid, &leaf), followed(&leaf, target, leaf_count), Route::Apply);
    }

    fn say(&mut self, message: Message<'_>) -> &mut Self {
        let said = self.machine.message(message, NOW);
        if self.is_strict {
            said.unwrap();
        } else {
            self.failed |= said.is_err();
        }
        self
    }

    pub(super) fn begin(&mut self, commit_lsn: u64, xid: u32) -> &mut Self {
        self.say(Message::Begin(Begin { commit_lsn: Lsn(commit_lsn), commit_time: 0, xid }))
    }

    pub(super) fn commit(&mut self, commit_lsn: u64, end_lsn: u64) -> &mut Self {
        self.say(Message::Commit(pg_commit(commit_lsn, end_lsn)))
    }

    pub(super) fn origin(&mut self) -> &mut Self {
        self.say(Message::Origin { origin_lsn: Lsn(1), name: "elsewhere" })
    }

    pub(super) fn insert(&mut self, relation: u32, text: &str) -> &mut Self {
        let new = tuple(text);
        self.say(Message::Insert { xid: None, relation: Oid(relation), new: split(&new) })
    }

    pub(super) fn update(&mut self, relation: u32, old: Option<&str>, new: &str) -> &mut Self {
        let (old, new) = (old.map(tuple), tuple(new));
        let old = old.as_deref().map(|old| OldTuple::Key(split(old)));
        self.say(Message::Update { xid: None, relation: Oid(relation), old, new: split(&new) })
    }

    pub(super) fn delete(&mut self, relation: u32, old: &str) -> &mut Self {
        let old = tuple(old);
        let old = OldTuple::Full(split(&old));
        self.say(Message::Delete { xid: None, relation: Oid(relation), old })
    }

    /// [`Message::Truncate`] can only be made by a decoder.
    pub(super) fn truncate(&mut self, relations: &[u32]) -> &mut Self {
        let count = u32::try_from(relations.len()).unwrap();
        let mut bytes = [b"T".as_slice(), &count.to_be_bytes(), &[0]].concat();
        bytes.extend(relations.iter().flat_map(|relation| relation.to_be_bytes()));
        let message = Decoder::default().decode(&bytes).unwrap();
        self.say(message)
    }

    pub(super) fn start(&mut self, xid: u32) -> &mut Self {
        self.say(Message::StreamStart { xid, is_first: false })
    }

    pub(super) fn stop(&mut self) -> &mut Self {
        self.say(Message::StreamStop)
    }

    pub(super) fn streamed(&mut self, subxid: u32, relation: u32, text: &str) -> &mut Self {
        let new = tuple(text);
        let (xid, relation) = (Some(subxid), Oid(relation));
        self.say(Message::Insert { xid, relation, new: split(&new) })
    }

    pub(super) fn streamed_truncate(&mut self, subxid: u32, relations: &[u32]) -> &mut Self {
        let count = u32::try_from(relations.len()).unwrap();
        let mut bytes = [b"T".as_slice(), &count.to_be_bytes(), &[0]].concat();
        bytes.extend(relations.iter().flat_map(|relation| relation.to_be_bytes()));
        let message = Decoder::default().decode(&bytes).unwrap();
        let Message::Truncate { truncate, .. } = message else { panic!("a TRUNCATE") };
        self.say(Message::Truncate { xid: Some(subxid), truncate })
    }

    pub(super) fn abort(&mut self, xid: u32, subxid: u32) -> &mut Self {
        self.say(Message::StreamAbort { xid, subxid })
    }

    pub(super) fn stream_commit(&mut self, xid: u32, at: u64, end_lsn: u64) -> &mut Self {
        self.say(Message::StreamCommit { xid, commit: pg_commit(at, end_lsn) })
    }

    /// What the machine wants, after segments were put away and read back as the stream does it.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.machine.next_action() {
            match action {
                Action::Store(id, segment) => {
                    self.spill.store(id, &segment).unwrap();
                    self.stored.push(id);
                    self.stored_count += 1;
                }
                Action::HandStored(release) => {
                    let segment = self.spill.load(release.stored).unwrap();
                    let group = self.machine.release(segment, &release);
                    let commit_lsn = release.commit_lsn;
                    actions.push(Action::Hand { group, commit_lsn });
                }
                Action::Forget(buffer) => {
                    self.spill.forget(buffer);
                    self.stored.retain(|id| id.buffer != buffer);
                }
                Action::Hand { .. }
                | Action::Barrier
                | Action::Advance(_)
                | Action::Stale { .. } => actions.push(action),
            }
        }
        actions
    }

    /// Segments put away so far.
    pub(super) fn stored(&mut self) -> usize {
        assert!(self.actions().is_empty());
        self.stored_count
    }

    pub(super) fn stored_now(&self) -> usize {
        self.stored.len()
    }
}

fn pg_commit(commit_lsn: u64, end_lsn: u64) -> Commit {
    Commit { commit_lsn: Lsn(commit_lsn), end_lsn: Lsn(end_lsn), commit_time: 0 }
}

pub(super) fn handed(actions: Vec<Action>) -> Vec<Group> {
    let group = |action| match action {
        Action::Hand { group, .. } => Some(group),
        Action::HandStored(_)
        | Action::Store(..)
        | Action::Forget(_)
        | Action::Barrier
        | Action::Advance(_)
        | Action::Stale { .. } => None,
    };
    actions.into_iter().filter_map(group).collect()
}

/// `1+a` is an insert into t1, `1:k>a` an update, `1-a` a delete, `1x` a truncate.
pub(super) fn applied(group: &Group) -> Vec<String> {
    let text = |row: MaskedRow| match group.rows.tuple(row).columns().next() {
        Some(Datum::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    };
    let change = |change: &crate::sink::apply::Change| {
        let table = &group.tables[change.table as usize].source.name;
        let table = table.trim_start_matches('t');
        match change.operation {
            Operation::Insert { new } => format!("{table}+{}", text(new)),
            Operation::Update { old, new } => {
                format!("{table}:{}>{}", old.map(text).unwrap_or_default(), text(new))
            }
            Operation::Delete { old } => format!("{table}-{}", text(old)),
            Operation::Truncate { .. } => format!("{table}x"),
        }
    };
    let ends = group.transactions.iter().map(|mark| mark.changes_end);
    assert!(ends.is_sorted() && (group.extent == Extent::Part || !group.transactions.is_empty()));
    group.changes.iter().map(change).collect()
}

pub(super) fn statements(group: &Group) -> Vec<u32> {
    let statement = |change: &crate::sink::apply::Change| match change.operation {
        Operation::Truncate { statement, .. } => Some(statement),
        Operation::Insert { .. } | Operation::Update { .. } | Operation::Delete { .. } => None,
    };
    group.changes.iter().filter_map(statement).collect()
}
