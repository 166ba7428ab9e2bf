//! Wire: replication commands, the reader of a slot, what pgoutput sends, TLS and SCRAM.

mod at_once;
mod differential;
mod limits;
mod messages;
mod reader;
mod slot;
mod tls;

use std::time::{Duration, Instant};

use backlot::{
    pg::{ConnInfo, Lsn, Origin, Replication, SlotKind, StartOptions, WalMessage, pgoutput},
    source::WalReader,
};

use crate::support::{Database, query_value};

/// No answer of a server takes longer, even where other tests hold the machine.
const LIMIT: Duration = Duration::from_mins(1);
const BUDGET_BYTES: usize = 4 * 1024 * 1024;

fn info(database: &Database) -> ConnInfo {
    ConnInfo::parse(&database.url).unwrap()
}

fn replication(database: &Database) -> Replication {
    Replication::connect(&info(database), "backlot test").unwrap()
}

/// Slots are the cluster's: their names must differ between databases.
fn slot_name(database: &Database) -> String {
    format!("s_{}", database.name)
}

fn options(publication: &str) -> StartOptions {
    StartOptions {
        publications: vec![publication.to_owned()],
        binary: false,
        streaming: false,
        messages: true,
        origin: Origin::Any,
    }
}

/// Makes a permanent slot and reads from it.
fn follow(database: &Database, publication: &str) -> WalReader {
    let mut replication = replication(database);
    let slot = slot_name(database);
    replication.create_slot(&slot, SlotKind::Permanent).unwrap();
    WalReader::start(replication, &slot, Lsn::ZERO, &options(publication), BUDGET_BYTES).unwrap()
}

fn current_lsn(database: &Database) -> Lsn {
    query_value(database, "select pg_current_wal_insert_lsn()").parse().unwrap()
}

/// Payloads up to a message that `is_last` says yes to. What its chunk holds behind is dropped.
#[track_caller]
fn payloads_until(
    reader: &WalReader,
    mut is_last: impl FnMut(&pgoutput::Message<'_>) -> bool,
) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + LIMIT;
    let mut decoder = pgoutput::Decoder::default();
    let mut payloads = Vec::new();
    loop {
        let chunk = reader.chunks().recv_deadline(deadline).expect("a chunk").unwrap();
        for message in chunk.messages() {
            let WalMessage::Data { payload, .. } = message.unwrap() else { continue };
            payloads.push(payload.to_vec());
            if is_last(&decoder.decode(payload).unwrap()) {
                return payloads;
            }
        }
    }
}

/// Payloads up to the end of the transaction that emitted this logical message.
#[track_caller]
fn payloads_until_mark(reader: &WalReader, mark: &str) -> Vec<Vec<u8>> {
    let mut is_marked = false;
    payloads_until(reader, |message| {
        if let pgoutput::Message::Logical(logical) = message {
            is_marked |= logical.prefix == "mark" && logical.content == mark.as_bytes();
        }
        is_marked
            && matches!(
                message,
                pgoutput::Message::Commit(_) | pgoutput::Message::StreamCommit { .. }
            )
    })
}

fn mark(mark: &str) -> String {
    format!("select pg_logical_emit_message(true, 'mark', '{mark}');")
}
