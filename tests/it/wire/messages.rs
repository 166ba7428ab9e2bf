//! What pgoutput sends for what was done, on real servers: the decoder against PostgreSQL.

use std::{collections::HashMap, fmt::Write};

use backlot::{
    pg::{
        Lsn, Origin, SlotKind, StartOptions,
        pgoutput::{Datum, Decoder, Message, Tuple},
    },
    source::WalReader,
};

use super::{
    BUDGET_BYTES, info, mark, options, payloads_until, payloads_until_mark, replication, slot_name,
};
use crate::support::{Database, database, servers, sql};

/// Messages as lines. Names instead of object ids; transactions by the order of appearance.
#[derive(Default)]
pub(super) struct Render {
    decoder: Decoder,
    relations: HashMap<u32, String>,
    xids: Vec<u32>,
}

impl Render {
    pub(super) fn lines(payloads: &[Vec<u8>]) -> Vec<String> {
        let mut render = Self::default();
        payloads.iter().map(|payload| render.line(payload)).collect()
    }

    fn line(&mut self, payload: &[u8]) -> String {
        let mut decoder = std::mem::take(&mut self.decoder);
        let message = decoder.decode(payload).unwrap();
        self.decoder = decoder;
        match message {
            Message::Begin(begin) => format!("begin {}", self.xid(begin.xid)),
            Message::Commit(commit) => {
                assert!(commit.end_lsn > commit.commit_lsn);
                "commit".into()
            }
            Message::Origin { name, .. } => format!("origin {name}"),
            Message::Relation { xid, relation } => {
                self.relations.insert(relation.oid.0, relation.name.to_owned());
                let columns = relation.columns().map(|column| {
                    let key = if column.is_key { "*" } else { "" };
                    format!("{}{key}:{}", column.name, column.type_oid)
                });
                let columns: Vec<String> = columns.collect();
                let identity = relation.replica_identity;
                let xid = self.change(xid);
                format!("{xid}relation {} {identity:?} {}", relation.name, columns.join(" "))
            }
            Message::Type { xid } => format!("{}type", self.change(xid)),
            Message::Insert { xid, relation, new } => {
                format!("{}insert {} {}", self.change(xid), self.relation(relation.0), row(new))
            }
            Message::Update { xid, relation, old, new } => {
                let xid = self.change(xid);
                let old = old.map(|old| format!("{} -> ", row(old.tuple()))).unwrap_or_default();
                format!("{xid}update {} {old}{}", self.relation(relation.0), row(new))
            }
            Message::Delete { xid, relation, old } => {
                let xid = self.change(xid);
                format!("{xid}delete {} {}", self.relation(relation.0), row(old.tuple()))
            }
            Message::Truncate { xid, truncate } => {
                let xid = self.change(xid);
                let mut names: Vec<&str> =
                    truncate.relations().map(|oid| self.relation(oid.0)).collect();
                names.sort_unstable();
                let (cascade, restart) = (truncate.cascade, truncate.restart_identity);
                format!("{xid}truncate {} cascade {cascade} restart {restart}", names.join(" "))
            }
            Message::Logical(logical) => {
                let xid = self.change(logical.xid);
                let content = String::from_utf8_lossy(logical.content);
                format!("{xid}message {} {content} {}", logical.prefix, logical.is_transactional)
            }
            Message::StreamStart { xid, is_first } => {
                format!("stream start {} first {is_first}", self.xid(xid))
            }
            Message::StreamStop => "stream stop".into(),
            Message::StreamCommit { xid, .. } => format!("stream commit {}", self.xid(xid)),
            Message::StreamAbort { xid, subxid } => {
                format!("stream abort {} {}", self.xid(xid), self.xid(subxid))
            }
        }
    }

    fn xid(&mut self, xid: u32) -> String {
        let at = self.xids.iter().position(|known| *known == xid).unwrap_or_else(|| {
            self.xids.push(xid);
            self.xids.len() - 1
        });
        format!("x{at}")
    }

    fn change(&mut self, xid: Option<u32>) -> String {
        xid.map(|xid| format!("{}: ", self.xid(xid))).unwrap_or_default()
    }

    fn relation(&self, oid: u32) -> &str {
        self.relations.get(&oid).expect("a relation is sent before its changes")
    }
}

fn row(tuple: Tuple<'_>) -> String {
    let mut line = String::new();
    for datum in tuple.columns() {
        if !line.is_empty() {
            line.push('|');
        }
        match datum {
            Datum::Null => line.push('∅'),
            Datum::Unchanged => line.push('…'),
            Datum::Text(bytes) if bytes.len() > 40 => {
                write!(line, "{} bytes", bytes.len()).unwrap();
            }
            Datum::Text(bytes) => line.push_str(&String::from_utf8_lossy(bytes)),
            Datum::Binary(bytes) => write!(line, "0x{}", hex::encode(bytes)).unwrap(),
        }
    }
    line
}

/// Everything that `statements` send, with these options. Each string is a transaction.
fn sent(
    database: &Database,
    options: &StartOptions,
    session: &str,
    statements: &[&str],
) -> Vec<String> {
    let mut replication = replication(database);
    replication.simple(session).unwrap();
    let slot = slot_name(database);
    replication.create_slot(&slot, SlotKind::Temporary).unwrap();
    let reader = WalReader::start(replication, &slot, Lsn::ZERO, options, BUDGET_BYTES).unwrap();
    for statement in statements {
        sql(database, statement);
    }
    sql(database, &mark("end"));
    let mut lines = Render::lines(&payloads_until_mark(&reader, "end"));
    reader.stop().unwrap();
    // The mark's own transaction.
    lines.truncate(lines.len() - 3);
    lines
}

const TABLES: &str = "
    create table plain (id int primary key, a text, big text);
    alter table plain alter big set storage external;
    create table whole (id int, a text, big text);
    alter table whole alter big set storage external;
    alter table whole replica identity full;
    create table child (id int primary key, plain int references plain);
    create publication p for all tables;";

#[test]
fn every_kind_of_change_arrives_as_it_was_made() {
    for cluster in servers() {
        let database = database(cluster, "changes");
        sql(&database, TABLES);
        let lines = sent(
            &database,
            &options("p"),
            "",
            &[
                "insert into plain values (1, 'é', repeat('b', 5000)), (2, null, '')",
                "update plain set a = 'x' where id = 1; update plain set id = 9 where id = 1;",
                "insert into whole values (1, 'one', repeat('b', 5000)); update whole set a = null;
                 delete from whole; delete from plain where id = 9",
                "truncate plain, whole restart identity cascade",
                "select pg_logical_emit_message(true, 'inside', 'kept')",
                "select pg_logical_emit_message(false, 'outside', 'at once')",
                "begin; insert into plain values (3); savepoint s; insert into plain values (4);
                 rollback to s; insert into plain values (5); commit",
            ],
        );
        let expected = "\
begin x0
relation plain Default id*:23 a:25 big:25
insert plain 1|é|5000 bytes
insert plain 2|∅|
commit
begin x1
update plain 1|x|…
update plain 1|∅|∅ -> 9|x|…
commit
begin x2
relation whole Full id*:23 a*:25 big*:25
insert whole 1|one|5000 bytes
update whole 1|one|5000 bytes -> 1|∅|…
delete whole 1|∅|5000 bytes
delete plain 9|∅|∅
commit
begin x3
relation plain Default id*:23 a:25 big:25
relation whole Full id*:23 a*:25 big*:25
relation child Default id*:23 plain:23
truncate child plain whole cascade true restart true
commit
begin x4
message inside kept true
commit
message outside at once false
begin x5
relation plain Default id*:23 a:25 big:25
insert plain 3|∅|∅
insert plain 5|∅|∅
commit";
        // Whether a relation is sent again after its truncation depends on the version.
        assert_eq!(without_repeats(&lines), without_repeats(&expected.lines().collect::<Vec<_>>()));
    }
}

/// Without the relations that are sent a second time unchanged.
fn without_repeats(lines: &[impl AsRef<str>]) -> Vec<&str> {
    let mut seen = Vec::new();
    lines
        .iter()
        .map(AsRef::as_ref)
        .filter(|line| {
            let is_repeat = seen.contains(line);
            if line.starts_with("relation ") {
                seen.push(line);
            }
            !is_repeat
        })
        .collect()
}

#[test]
fn a_relation_is_sent_again_when_its_shape_has_changed() {
    for cluster in servers() {
        let database = database(cluster, "reshaped");
        sql(&database, TABLES);
        let lines = sent(
            &database,
            &options("p"),
            "",
            &[
                "insert into plain values (1)",
                "alter table plain add column n numeric",
                "insert into plain values (2, 'a', 'b', 1.50)",
                "alter table plain drop column a, alter n type text, replica identity full",
                "insert into plain values (3, 'b', 'n')",
                "create table born (id int generated always as identity, d int generated always as (1) stored)",
                "insert into born default values",
            ],
        );
        let expected = "\
begin x0
relation plain Default id*:23 a:25 big:25
insert plain 1|∅|∅
commit
begin x1
relation plain Default id*:23 a:25 big:25 n:1700
insert plain 2|a|b|1.50
commit
begin x2
relation plain Full id*:23 big*:25 n*:25
insert plain 3|b|n
commit
begin x3
relation born Default id:23
insert born 1
commit";
        assert_eq!(lines, expected.lines().collect::<Vec<_>>());
    }
}

#[test]
fn binary_values_are_binary_where_the_type_can() {
    for cluster in servers() {
        let database = database(cluster, "binary");
        sql(
            &database,
            "create type mood as enum ('glad');
             create table t (id int primary key, b bool, m mood, acl aclitem, a text[]);
             create publication p for all tables;",
        );
        let options = StartOptions { binary: true, ..options("p") };
        let insert = "insert into t values (258, true, 'glad', null, '{x}');
            update t set acl = makeaclitem(10, 10, 'SELECT', false)";
        let lines = sent(&database, &options, "", &[insert]);
        let values = "0x00000102|0x01|0x676c6164|";
        let array = "0x0000000100000000000000190000000100000001000000017";
        assert!(lines.iter().any(|line| line == "type"), "{lines:?}");
        let insert = lines.iter().find(|line| line.starts_with("insert")).unwrap();
        assert!(insert.starts_with(&format!("insert t {values}∅|{array}")), "{insert}");
        // aclitem has no send function.
        let update = lines.iter().find(|line| line.starts_with("update")).unwrap();
        assert!(update.starts_with(&format!("update t {values}postgres=r/postgres|")), "{update}");
    }
}

#[test]
fn a_large_transaction_is_streamed_and_what_it_rolls_back_is_aborted() {
    for cluster in servers() {
        let database = database(cluster, "streamed");
        sql(&database, TABLES);
        let options = StartOptions { streaming: true, ..options("p") };
        let lines = sent(
            &database,
            &options,
            "set logical_decoding_work_mem = '64kB'",
            &["begin;
               insert into plain select i, repeat('a', 100) from generate_series(1, 1000) i;
               savepoint gone; insert into plain select i, repeat('a', 100) from generate_series(2001, 3000) i;
               rollback to gone; savepoint kept; insert into plain values (5000);
               select pg_logical_emit_message(true, 'inside', 'kept');
               truncate whole; commit"],
        );
        let rows = |xid: &str| {
            let start = format!("{xid}: insert plain ");
            lines.iter().filter(|line| line.starts_with(&start)).count()
        };
        let abort = lines.iter().find(|line| line.starts_with("stream abort x0 ")).unwrap();
        let aborted = abort.strip_prefix("stream abort x0 ").unwrap();
        assert_eq!(rows("x0"), 1000);
        assert!(rows(aborted) > 0 && rows(aborted) <= 1000, "{aborted}");
        assert_eq!(lines.first().unwrap(), "stream start x0 first true");
        assert!(lines.iter().any(|line| line == "stream start x0 first false"));
        assert_eq!(lines.last().unwrap(), "stream commit x0");
        let is_kept = |line: &&String| line.contains("insert plain 5000|");
        let kept = lines.iter().find(is_kept).unwrap().split(':').next().unwrap();
        assert!(kept != aborted && kept != "x0");
        assert!(
            lines
                .iter()
                .any(|line| line == &format!("{kept}: truncate whole cascade false restart false"))
        );
        assert!(lines.iter().any(|line| line == &format!("{kept}: message inside kept true")
            || line == "x0: message inside kept true"));
        let blocks = lines.iter().filter(|line| line.starts_with("stream start")).count();
        assert_eq!(blocks, lines.iter().filter(|line| *line == "stream stop").count());
    }
}

#[test]
fn a_streamed_transaction_that_rolls_back_is_aborted_whole() {
    for cluster in servers() {
        let database = database(cluster, "aborted");
        sql(&database, TABLES);
        let mut replication = replication(&database);
        replication.simple("set logical_decoding_work_mem = '64kB'").unwrap();
        let slot = slot_name(&database);
        replication.create_slot(&slot, SlotKind::Temporary).unwrap();
        let options = StartOptions { streaming: true, ..options("p") };
        let reader =
            WalReader::start(replication, &slot, Lsn::ZERO, &options, BUDGET_BYTES).unwrap();
        let mut writer = backlot::pg::Wire::connect(&info(&database), "writer").unwrap();
        let insert = "begin; insert into public.plain
            select i, repeat('a', 100) from generate_series(1, 2000) i";
        writer.simple(insert).unwrap();
        // Flushes the WAL up to here: the server decodes and streams what is not committed yet.
        sql(&database, "insert into child values (1)");
        let (mut is_rolled_back, mut is_marked) = (false, false);
        let payloads = payloads_until(&reader, |message| {
            if matches!(message, Message::StreamStop) && !is_rolled_back {
                is_rolled_back = true;
                writer.simple("rollback").unwrap();
                sql(&database, &mark("end"));
            }
            is_marked |= matches!(message, Message::Logical(_));
            is_marked && matches!(message, Message::Commit(_))
        });
        reader.stop().unwrap();
        let lines = Render::lines(&payloads);
        let started = lines.iter().position(|line| line.starts_with("stream start")).unwrap();
        let xid = lines[started].split(' ').nth(2).unwrap();
        assert!(lines[started..].contains(&format!("stream abort {xid} {xid}")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("stream commit")));
    }
}

#[test]
fn changes_of_another_origin_are_marked_and_can_be_left_out() {
    for cluster in servers() {
        let database = database(cluster, "origin");
        sql(&database, TABLES);
        let origin = format!("o_{}", database.name);
        let replicated = format!(
            "select pg_replication_origin_create('{origin}');
             select pg_replication_origin_session_setup('{origin}');
             insert into plain values (1)"
        );
        let lines = sent(&database, &options("p"), "", &[&replicated]);
        assert_eq!(lines[1], format!("origin {origin}"));
        if cluster.major >= 16 {
            let options = StartOptions { origin: Origin::None, ..options("p") };
            let replicated = format!(
                "select pg_replication_origin_session_setup('{origin}'); insert into plain values (2)"
            );
            let lines =
                sent(&database, &options, "", &[&replicated, "insert into plain values (3)"]);
            let inserts: Vec<_> = lines.iter().filter(|line| line.starts_with("insert")).collect();
            assert_eq!(inserts, ["insert plain 3|∅|∅"]);
        }
    }
}
