//! The text of replication commands.
//!
//! Their grammar is the walsender's own (`repl_gram.y`, `repl_scanner.l`): keywords in upper case,
//! identifiers quoted as in SQL, strings without escapes.

use super::{PG_15, PG_16};
use crate::pg::{Ident, Lsn};
use std::fmt::{self, Write};

/// How long a slot lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Until its connection ends.
    Temporary,
    /// Until it is dropped.
    Permanent,
    /// Permanent, and synchronised to the standbys: PostgreSQL 17 and later.
    Failover,
}

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOptions {
    pub publications: Vec<String>,
    /// Values as their types' send functions write them.
    pub binary: bool,
    /// Transactions larger than the source's `logical_decoding_work_mem` before they commit.
    pub streaming: bool,
    /// Messages of `pg_logical_emit_message`.
    pub messages: bool,
    pub origin: Origin,
}

/// Whose changes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Any,
    /// Only those that the source did not itself get by replication: PostgreSQL 16 and later.
    None,
}

/// A string of the replication grammar: no backslash means anything, so no `E''` either.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

pub(super) fn create_slot(name: &str, kind: SlotKind, server_version: u32) -> String {
    let name = Ident(name);
    let temporary = if kind == SlotKind::Temporary { " TEMPORARY" } else { "" };
    if server_version < PG_15 {
        return format!(
            "CREATE_REPLICATION_SLOT {name}{temporary} LOGICAL pgoutput EXPORT_SNAPSHOT"
        );
    }
    let failover = if kind == SlotKind::Failover { ", FAILOVER true" } else { "" };
    format!(
        "CREATE_REPLICATION_SLOT {name}{temporary} LOGICAL pgoutput (SNAPSHOT 'export'{failover})"
    )
}

/// Waits while somebody reads from the slot.
pub(super) fn drop_slot(name: &str) -> String {
    format!("DROP_REPLICATION_SLOT {} WAIT", Ident(name))
}

pub(super) fn start(slot: &str, from: Lsn, options: &StartOptions, server_version: u32) -> String {
    // pgoutput splits the list as identifiers (SplitIdentifierString, varlena.c).
    let names: Vec<String> =
        options.publications.iter().map(|name| Ident(name).to_string()).collect();
    let names = names.join(",");
    let version = match (options.streaming, server_version) {
        (false, _) => 1,
        (true, ..PG_16) => 2,
        (true, _) => 4,
    };
    let mut command = format!(
        "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '{version}', publication_names {}",
        Ident(slot),
        Text(&names)
    );
    let switches = [
        (options.binary, "binary 'true'"),
        (options.streaming, "streaming 'on'"),
        (options.messages, "messages 'true'"),
        (options.origin == Origin::None, "origin 'none'"),
    ];
    for (_, text) in switches.iter().filter(|(is_on, _)| *is_on) {
        // Writing to a String cannot fail.
        let _ = write!(command, ", {text}");
    }
    command.push(')');
    command
}

#[cfg(test)]
mod tests {
    use super::{Origin, SlotKind, StartOptions, create_slot, drop_slot, start};
    use crate::pg::Lsn;

    #[test]
    fn a_slot_is_made_in_the_words_of_its_server() {
        let made = |kind, version| create_slot("a\"b c", kind, version);
        assert_eq!(
            made(SlotKind::Temporary, 140_023),
            r#"CREATE_REPLICATION_SLOT "a""b c" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT"#
        );
        assert_eq!(
            made(SlotKind::Permanent, 150_018),
            r#"CREATE_REPLICATION_SLOT "a""b c" LOGICAL pgoutput (SNAPSHOT 'export')"#
        );
        assert_eq!(
            made(SlotKind::Failover, 180_000),
            r#"CREATE_REPLICATION_SLOT "a""b c" LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER true)"#
        );
        assert_eq!(drop_slot("s"), r#"DROP_REPLICATION_SLOT "s" WAIT"#);
    }

    #[test]
    fn a_stream_is_started_with_the_protocol_of_its_server() {
        let mut options = StartOptions {
            publications: vec!["it's".into(), "a\"b, c".into()],
            binary: false,
            streaming: false,
            messages: false,
            origin: Origin::Any,
        };
        let from = Lsn(0x16_0000_0001);
        assert_eq!(
            start("s", from, &options, 180_000),
            r#"START_REPLICATION SLOT "s" LOGICAL 16/1 (proto_version '1', publication_names '"it''s","a""b, c"')"#
        );
        options = StartOptions {
            publications: vec![r"back\slash".into()],
            binary: true,
            streaming: true,
            messages: true,
            origin: Origin::None,
        };
        assert_eq!(
            start("s", Lsn::ZERO, &options, 160_000),
            r#"START_REPLICATION SLOT "s" LOGICAL 0/0 (proto_version '4', publication_names '"back\slash"', binary 'true', streaming 'on', messages 'true', origin 'none')"#
        );
        assert!(start("s", from, &options, 150_018).contains("proto_version '2'"));
    }
}
