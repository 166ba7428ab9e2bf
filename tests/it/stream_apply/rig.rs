//! A source whose changes are taken from a real slot, a target, and an applier between them.

use std::collections::HashMap;
use std::sync::Arc;

use backlot::catalog::RelationName;
use backlot::pg::pgoutput::{Decoder, Message, ReplicaIdentity};
use backlot::pg::{ConnInfo, Lsn, Oid, Session, Wire};
use backlot::sink::apply::{
    Applied, Applier, Change, CommitPoint, Extent, Group, OnError, Operation, Route, SentIdentity,
    TransactionMark, load_target,
};
use backlot::state::{StreamRecord, create_stream_state};
use backlot::transform::{Memo, TableMask, TupleStage};

use crate::support::database::{block_on, connect};
use crate::support::{Cluster, Database, database, query_strings, sql, try_query_strings};

/// Stands for the hash of the rules of every table.
pub(super) const RULES: &str = "rules";

pub(super) struct Rig {
    pub(super) source: Database,
    pub(super) target: Database,
    pub(super) slot: String,
    is_binary: bool,
}

impl Rig {
    /// Both sides get `ddl`; the source's tables are published.
    pub(super) fn new(cluster: &'static Cluster, ddl: &str, is_binary: bool) -> Self {
        Self::with_target(cluster, cluster, ddl, ddl, is_binary)
    }

    pub(super) fn with_target(
        source: &'static Cluster,
        target: &'static Cluster,
        source_ddl: &str,
        target_ddl: &str,
        is_binary: bool,
    ) -> Self {
        let (source, target) = (database(source, "applysource"), database(target, "applytarget"));
        sql(&source, source_ddl);
        sql(&target, target_ddl);
        let slot = source.name.clone();
        sql(&source, "create publication p for all tables");
        query_strings(
            &source,
            &format!("select lsn from pg_create_logical_replication_slot('{slot}', 'pgoutput')"),
        );
        let record = StreamRecord {
            slot_name: slot.clone(),
            source: "test".into(),
            source_system_identifier: "1".into(),
            source_database: source.name.clone(),
            timeline: 1,
            publications: vec!["p".into()],
            owns_publications: true,
            consistent_lsn: Lsn(1),
            key_id: String::new(),
            algorithm_version: 1,
            dictionary_hash: String::new(),
            config: String::new(),
        };
        let info = ConnInfo::parse(&target.url).unwrap();
        block_on(async {
            let session = Session::connect(&info, "test").await.unwrap();
            create_stream_state(&session).await.unwrap();
            record.write(&session).await.unwrap();
        });
        let tables = format!(
            "insert into backlot.stream_table (relation, state, rules_hash) \
             select n.nspname || '.' || c.relname, 'streaming', '{RULES}' from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'backlot')"
        );
        sql(&target, &tables);
        Self { source, target, slot, is_binary }
    }

    pub(super) fn applier(&self, on_error: OnError) -> Applier {
        Applier::connect(&ConnInfo::parse(&self.target.url).unwrap(), &self.slot, on_error).unwrap()
    }

    /// What was committed on the source since the last call, as one group.
    pub(super) fn group(&mut self) -> Group {
        self.groups(usize::MAX).remove(0)
    }

    /// One transaction in parts of so many changes, or everything as one group.
    pub(super) fn groups(&mut self, part: usize) -> Vec<Group> {
        // Decoding sees what is flushed, and the test servers commit without waiting for that.
        sql(
            &self.source,
            "set synchronous_commit = on; select pg_logical_emit_message(true, 'flush', '')",
        );
        let mut assembly = Assembly { part, ..Assembly::default() };
        let options = if self.is_binary { ", 'binary', 'true'" } else { "" };
        let query = format!(
            "select data from pg_logical_slot_get_binary_changes('{}', null, null, \
             'proto_version', '1', 'publication_names', 'p'{options})",
            self.slot
        );
        let url = self.source.url.clone();
        let messages: Vec<Vec<u8>> = block_on(async move {
            let client = connect(&url).await.unwrap();
            client.query(&query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
        });
        let info = ConnInfo::parse(&self.target.url).unwrap();
        let mut wire = Wire::connect(&info, "test").unwrap();
        let mut decoder = Decoder::default();
        for bytes in &messages {
            assembly.take(&mut wire, decoder.decode(bytes).unwrap());
        }
        assembly.parts.push(assembly.group);
        assembly.parts
    }

    /// Applies everything that the source has committed as one group.
    pub(super) fn follow(&mut self, applier: &mut Applier, route: &Route) -> Applied {
        let group = self.group();
        applier.apply(&group, route).unwrap()
    }

    #[track_caller]
    pub(super) fn assert_same(&self) {
        let (source, target) = (rows(&self.source), rows(&self.target));
        assert_eq!(source.len(), target.len(), "tables");
        for ((name, source), (_, target)) in source.iter().zip(&target) {
            let missing = source.iter().filter(|row| !target.contains(row)).take(5);
            let extra = target.iter().filter(|row| !source.contains(row)).take(5);
            assert!(
                source == target,
                "{name}: {} rows, on the target {}; missing {:?}, extra {:?}; {}",
                source.len(),
                target.len(),
                missing.collect::<Vec<_>>(),
                extra.collect::<Vec<_>>(),
                self.target.url
            );
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A server has few slots. Best effort: a failed test has said what is wrong.
        let sql = format!("select pg_drop_replication_slot('{}')", self.slot);
        drop(try_query_strings(&self.source, &sql));
    }
}

/// Every row of every user table, as text.
pub(super) fn rows(database: &Database) -> Vec<(String, Vec<String>)> {
    let tables = query_strings(
        database,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'backlot') order by 1",
    );
    let rows = |name: String| {
        let sql = format!("select t::text from only {name} t order by 1");
        let found = query_strings(database, &sql).into_iter().flatten().collect();
        (name, found)
    };
    tables.into_iter().flatten().map(rows).collect()
}

/// What the stream's machine does, for whole transactions.
#[derive(Default)]
struct Assembly {
    group: Group,
    tables: HashMap<Oid, u32>,
    stages: Vec<TupleStage>,
    xid: u32,
    statement: u32,
    /// A group of so many changes is handed on as a part.
    part: usize,
    parts: Vec<Group>,
}

impl Assembly {
    fn take(&mut self, wire: &mut Wire, message: Message<'_>) {
        match message {
            Message::Begin(begin) => self.xid = begin.xid,
            Message::Commit(commit) => {
                self.group.transactions.push(TransactionMark {
                    xid: self.xid,
                    changes_end: self.group.changes.len(),
                    commit: CommitPoint {
                        commit_lsn: commit.commit_lsn,
                        end_lsn: commit.end_lsn,
                        commit_time: commit.commit_time,
                    },
                });
                if !self.parts.is_empty() {
                    self.group.extent = Extent::LastPart;
                }
            }
            Message::Relation { relation, .. } => {
                let name = RelationName::new(relation.schema, relation.name);
                let columns = relation.columns().map(|column| column.name).collect::<Vec<_>>();
                let keys = relation.columns().enumerate().filter(|(_, column)| column.is_key);
                let keys = keys.map(|(at, _)| at).collect::<Vec<_>>();
                let identity = match relation.replica_identity {
                    ReplicaIdentity::Full => SentIdentity::Full,
                    ReplicaIdentity::Nothing => SentIdentity::Nothing,
                    ReplicaIdentity::Default | ReplicaIdentity::Index => SentIdentity::Key(keys),
                };
                let target = load_target(wire, &name).unwrap().unwrap();
                let rules = vec![(name.clone(), RULES.to_owned())];
                let bound = target.bind(&name, rules, &columns, &identity);
                self.tables.insert(relation.oid, u32::try_from(self.group.tables.len()).unwrap());
                self.group.tables.push(Arc::new(bound));
                self.stages.push(TupleStage::new(Arc::new(TableMask::new(vec![]))));
            }
            Message::Insert { relation, new, .. } => {
                let new = self.mask(relation, new);
                self.push(relation, Operation::Insert { new });
            }
            Message::Update { relation, old, new, .. } => {
                let old = old.map(|old| self.mask(relation, old.tuple()));
                let new = self.mask(relation, new);
                self.push(relation, Operation::Update { old, new });
            }
            Message::Delete { relation, old, .. } => {
                let old = self.mask(relation, old.tuple());
                self.push(relation, Operation::Delete { old });
            }
            Message::Truncate { truncate, .. } => {
                self.statement += 1;
                let (statement, restart_identity) = (self.statement, truncate.restart_identity);
                for relation in truncate.relations() {
                    self.push(relation, Operation::Truncate { statement, restart_identity });
                }
            }
            Message::Origin { .. }
            | Message::Type { .. }
            | Message::Logical(_)
            | Message::StreamStart { .. }
            | Message::StreamStop
            | Message::StreamCommit { .. }
            | Message::StreamAbort { .. } => (),
        }
    }

    fn mask(
        &mut self,
        relation: Oid,
        tuple: backlot::pg::pgoutput::Tuple<'_>,
    ) -> backlot::transform::MaskedRow {
        let table = self.tables[&relation] as usize;
        self.stages[table].mask(tuple, &mut Memo::default(), &mut self.group.rows).unwrap()
    }

    fn push(&mut self, relation: Oid, operation: Operation) {
        self.group.changes.push(Change { table: self.tables[&relation], operation });
        if self.group.changes.len() >= self.part {
            let tables = self.group.tables.clone();
            let part = std::mem::replace(&mut self.group, Group { tables, ..Group::default() });
            self.parts.push(Group { extent: Extent::Part, ..part });
        }
    }
}
