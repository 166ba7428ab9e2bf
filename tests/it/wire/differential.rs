//! Our decoder beside another one: `pg_walstream` reads the content of a copy of the slot, by SQL,
//! and both must say the same of every message.

use std::fmt::Write;

use backlot::{
    pg::{
        Lsn, SlotKind, StartOptions,
        pgoutput::{Decoder, Message, OldTuple, ReplicaIdentity, Tuple},
    },
    source::WalReader,
};
use pg_walstream::{LogicalReplicationMessage as Theirs, LogicalReplicationParser, TupleData};

use super::{BUDGET_BYTES, mark, options, payloads_until_mark, replication, slot_name};
use crate::support::{Database, database, query_strings, servers, sql};

const TABLES: &str = "
    create type mood as enum ('glad', 'sad');
    create domain short as varchar(20);
    create table keyed (id int primary key, a text, b bytea, n numeric, at timestamptz, j jsonb,
        t text[], m mood, s short, big text);
    alter table keyed alter big set storage external;
    create table whole (x float8, y json, z text);
    alter table whole replica identity full;
    create table bare (a int, b text);
    create publication p for table keyed, whole, bare with (publish = 'insert, update, delete, truncate');
    create publication inserts for table bare with (publish = 'insert');
    alter publication p drop table bare;";

/// A bit of everything, the same in every run.
fn workload(database: &Database) {
    let insert = |from: i32, to: i32| {
        format!(
            "insert into keyed select i, 'é' || i, decode(md5(i::text), 'hex'), i / 7.0,
                timestamptz '2020-01-01 00:00+00' + i * interval '1 h', jsonb_build_object('i', i),
                array['x', null, i::text], case i % 3 when 0 then 'glad' when 1 then 'sad' end::mood,
                nullif('s' || i, 's' || i / 5 * 5), case i % 10 when 0 then repeat('b', 5000) end
             from generate_series({from}, {to}) i;"
        )
    };
    for round in 0..12 {
        let base = round * 1000;
        sql(database, &insert(base, base + 40));
        sql(
            database,
            &format!(
                "update keyed set a = a || '!' where id between {base} and {base} + 20;
                 update keyed set id = id + 500 where id in ({base}, {base} + 1);
                 delete from keyed where id = {base} + 30;
                 insert into whole values ({round}.5, '{{\"a\": {round}}}', null), (null, null, 'z');
                 update whole set z = 'w' where x = {round}.5; delete from whole where z = 'z';
                 insert into bare values ({round}, repeat('r', {round}));
                 select pg_logical_emit_message({}, 'prefix', 'content {round}');",
                round % 2 == 0
            ),
        );
        sql(
            database,
            &format!(
                "begin; {} savepoint a; {} savepoint b; delete from keyed where id = {base} + 120;
                 rollback to a; {} release a; commit",
                insert(base + 100, base + 400),
                insert(base + 500 + 50, base + 500 + 350),
                insert(base + 410, base + 420),
            ),
        );
    }
    sql(database, "truncate whole; alter table keyed add column late text");
    sql(database, "insert into keyed (id, late) values (-1, 'l'); truncate keyed, whole cascade");
    sql(database, &mark("end"));
}

/// Every field of a message as text, in one form for both decoders.
fn ours(decoder: &mut Decoder, payload: &[u8]) -> String {
    let old = |old: Option<OldTuple<'_>>| match old {
        None => String::new(),
        Some(OldTuple::Key(tuple)) => format!("K {}", our_row(tuple)),
        Some(OldTuple::Full(tuple)) => format!("O {}", our_row(tuple)),
    };
    match decoder.decode(payload).unwrap() {
        Message::Begin(m) => format!("begin {} {} {}", m.commit_lsn.0, m.commit_time, m.xid),
        Message::Commit(m) => {
            format!("commit {} {} {}", m.commit_lsn.0, m.end_lsn.0, m.commit_time)
        }
        Message::Origin { origin_lsn, name } => format!("origin {} {name}", origin_lsn.0),
        Message::Relation { xid, relation } => {
            let identity = match relation.replica_identity {
                ReplicaIdentity::Default => 'd',
                ReplicaIdentity::Nothing => 'n',
                ReplicaIdentity::Full => 'f',
                ReplicaIdentity::Index => 'i',
            };
            let mut line = format!(
                "{xid:?} relation {} {}.{} {identity}",
                relation.oid, relation.schema, relation.name
            );
            for column in relation.columns() {
                let (name, oid) = (column.name, column.type_oid);
                write!(line, " {name}:{oid}:{}:{}", column.type_modifier, column.is_key).unwrap();
            }
            line
        }
        Message::Type { xid } => format!("{xid:?} type"),
        Message::Insert { xid, relation, new } => {
            format!("{xid:?} insert {relation} {}", our_row(new))
        }
        Message::Update { xid, relation, old: before, new } => {
            format!("{xid:?} update {relation} {} N {}", old(before), our_row(new))
        }
        Message::Delete { xid, relation, old: before } => {
            format!("{xid:?} delete {relation} {}", old(Some(before)))
        }
        Message::Truncate { xid, truncate } => {
            let ids: Vec<u32> = truncate.relations().map(|oid| oid.0).collect();
            format!("{xid:?} truncate {ids:?} {} {}", truncate.cascade, truncate.restart_identity)
        }
        Message::Logical(m) => format!(
            "{:?} message {} {} {} {}",
            m.xid,
            m.is_transactional,
            m.lsn.0,
            m.prefix,
            hex::encode(m.content)
        ),
        Message::StreamStart { xid, is_first } => format!("stream start {xid} {is_first}"),
        Message::StreamStop => "stream stop".into(),
        Message::StreamCommit { xid, commit: m } => {
            let (start, end) = (m.commit_lsn.0, m.end_lsn.0);
            format!("stream commit {xid} {start} {end} {}", m.commit_time)
        }
        Message::StreamAbort { xid, subxid } => format!("stream abort {xid} {subxid}"),
    }
}

fn our_row(tuple: Tuple<'_>) -> String {
    use backlot::pg::pgoutput::Datum;
    let column = |datum| match datum {
        Datum::Null => "n".into(),
        Datum::Unchanged => "u".into(),
        Datum::Text(bytes) => format!("t{}", hex::encode(bytes)),
        Datum::Binary(bytes) => format!("b{}", hex::encode(bytes)),
    };
    tuple.columns().map(column).collect::<Vec<String>>().join(" ")
}

fn theirs(parser: &mut LogicalReplicationParser, payload: &[u8]) -> String {
    let read = parser.parse_wal_message(payload).unwrap();
    let xid = read.xid;
    match read.message {
        Theirs::Begin { final_lsn, timestamp, xid } => {
            format!("begin {final_lsn} {timestamp} {xid}")
        }
        Theirs::Commit { commit_lsn, end_lsn, timestamp, .. } => {
            format!("commit {commit_lsn} {end_lsn} {timestamp}")
        }
        Theirs::Origin { origin_lsn, origin_name } => format!("origin {origin_lsn} {origin_name}"),
        Theirs::Relation { relation_id, namespace, relation_name, replica_identity, columns } => {
            let identity = char::from(replica_identity);
            let mut line =
                format!("{xid:?} relation {relation_id} {namespace}.{relation_name} {identity}");
            for column in columns {
                let (name, oid) = (&column.name, column.type_id);
                write!(line, " {name}:{oid}:{}:{}", column.type_modifier, column.is_key()).unwrap();
            }
            line
        }
        Theirs::Type { .. } => format!("{xid:?} type"),
        Theirs::Insert { relation_id, tuple } => {
            format!("{xid:?} insert {relation_id} {}", their_row(&tuple))
        }
        Theirs::Update { relation_id, old_tuple, new_tuple, key_type } => {
            let old =
                old_tuple.zip(key_type).map(|(row, mark)| format!("{mark} {}", their_row(&row)));
            let old = old.unwrap_or_default();
            format!("{xid:?} update {relation_id} {old} N {}", their_row(&new_tuple))
        }
        Theirs::Delete { relation_id, old_tuple, key_type } => {
            format!("{xid:?} delete {relation_id} {key_type} {}", their_row(&old_tuple))
        }
        Theirs::Truncate { relation_ids, flags } => {
            format!("{xid:?} truncate {relation_ids:?} {} {}", flags & 1 == 1, flags & 2 == 2)
        }
        Theirs::Message { flags, lsn, prefix, content } => {
            format!("{xid:?} message {} {lsn} {prefix} {}", flags & 1 == 1, hex::encode(content))
        }
        Theirs::StreamStart { xid, first_segment } => format!("stream start {xid} {first_segment}"),
        Theirs::StreamStop => "stream stop".into(),
        Theirs::StreamCommit { xid, commit_lsn, end_lsn, timestamp, .. } => {
            format!("stream commit {xid} {commit_lsn} {end_lsn} {timestamp}")
        }
        Theirs::StreamAbort { xid, subtransaction_xid, .. } => {
            format!("stream abort {xid} {subtransaction_xid}")
        }
        other @ (Theirs::BeginPrepare { .. }
        | Theirs::Prepare { .. }
        | Theirs::CommitPrepared { .. }
        | Theirs::RollbackPrepared { .. }
        | Theirs::StreamPrepare { .. }) => panic!("not asked for: {other:?}"),
    }
}

fn their_row(tuple: &TupleData) -> String {
    let column = |column: &pg_walstream::ColumnData| {
        format!("{}{}", char::from(column.data_type), hex::encode(column.as_bytes()))
    };
    tuple.columns.iter().map(column).collect::<Vec<String>>().join(" ")
}

/// The slot's content by SQL: another way through the server, and none of our code.
fn peeked(database: &Database, slot: &str, options: &StartOptions) -> Vec<Vec<u8>> {
    let rows = query_strings(
        database,
        &format!(
            "set logical_decoding_work_mem = '64kB';
             select encode(data, 'hex') from pg_logical_slot_peek_binary_changes('{slot}', null, null,
                 'proto_version', '1', 'publication_names', 'p,inserts', 'messages', 'true',
                 'binary', '{}')",
            options.binary
        ),
    );
    rows.iter().map(|row| hex::decode(&row[0]).unwrap()).collect()
}

/// A table that is analysed while a walsender decodes is described anew in that session, and not in
/// the other one (`rel_sync_cache_relation_cb`, pgoutput.c).
const NO_AUTOVACUUM: &str = "do $$ declare one regclass; begin
    for one in select oid from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
        execute format('alter table %s set (autovacuum_enabled = false, toast.autovacuum_enabled = false)', one);
    end loop; end $$";

/// Without the relations and types that are described as they were before: a session forgets what
/// it has told when others invalidate its cache (`rel_sync_cache_relation_cb`, pgoutput.c).
fn told_once(payloads: &[Vec<u8>]) -> Vec<&[u8]> {
    let mut told = std::collections::HashMap::new();
    let is_news = |payload: &&[u8]| match payload {
        [kind @ (b'R' | b'Y'), a, b, c, d, description @ ..] => {
            told.insert((*kind, [*a, *b, *c, *d]), description.to_vec()).as_deref()
                != Some(description)
        }
        _ => true,
    };
    payloads.iter().map(Vec::as_slice).filter(is_news).collect()
}

#[test]
fn every_message_is_read_as_pg_walstream_reads_it() {
    for cluster in servers() {
        for (binary, streaming) in [(false, false), (true, false), (false, true), (true, true)] {
            let database = database(cluster, "differential");
            sql(&database, TABLES);
            sql(&database, NO_AUTOVACUUM);
            let (slot, copy) = (slot_name(&database), format!("c_{}", database.name));
            let mut replication = replication(&database);
            replication.simple("set logical_decoding_work_mem = '64kB'").unwrap();
            replication.create_slot(&slot, SlotKind::Permanent).unwrap();
            let copied = format!("select pg_copy_logical_replication_slot('{slot}', '{copy}')");
            sql(&database, &copied);
            workload(&database);

            let mut options = StartOptions { binary, streaming, ..options("p") };
            options.publications.push("inserts".into());
            let reader =
                WalReader::start(replication, &slot, Lsn::ZERO, &options, BUDGET_BYTES).unwrap();
            let payloads = payloads_until_mark(&reader, "end");
            reader.stop().unwrap();
            let mut decoder = Decoder::default();
            let ours: Vec<String> =
                payloads.iter().map(|payload| ours(&mut decoder, payload)).collect();
            let mut parser =
                LogicalReplicationParser::with_protocol_version(if streaming { 2 } else { 1 });
            let theirs: Vec<String> =
                payloads.iter().map(|payload| theirs(&mut parser, payload)).collect();
            let differing = ours.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs);
            assert_eq!(
                differing.map(|at| (&ours[at], &theirs[at])),
                None,
                "binary {binary}, streaming {streaming}"
            );
            // Where a streamed transaction is cut depends on what those of other databases hold then.
            if !streaming {
                let by_sql = peeked(&database, &copy, &options);
                assert_eq!(told_once(&by_sql).len(), told_once(&payloads).len());
                assert!(told_once(&by_sql) == told_once(&payloads), "other bytes by SQL");
            }
            assert!(ours.len() > 4000, "{}", ours.len());
            assert_eq!(streaming, ours.iter().any(|line| line.starts_with("stream abort")));
            println!(
                "{}: {} messages, binary {binary}, streaming {streaming}",
                cluster.major,
                ours.len()
            );
        }
    }
}
