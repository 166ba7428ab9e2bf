//! What a target knows of the stream that feeds it.

use crate::pg::{Error, Lsn, Session};

const CREATE: &str = include_str!("sql/stream.sql");

const READ: &str = "select s.slot_name, s.source, s.source_system_identifier, s.source_database, s.timeline, \
     s.publications, s.owns_publications, s.consistent_lsn::text as consistent_lsn, s.key_id, \
     s.algorithm_version, s.dictionary_hash, s.config, c.end_lsn::text as end_lsn \
     from backlot.stream s join backlot.checkpoint c using (slot_name)";

const WRITE: &str = "with stream as (insert into backlot.stream (slot_name, source, source_system_identifier, \
     source_database, timeline, publications, owns_publications, consistent_lsn, key_id, algorithm_version, \
     dictionary_hash, config) values ($1, $2, $3, $4, $5, $6, $7, $8::text::pg_lsn, $9, $10, $11, $12)) \
     insert into backlot.checkpoint (slot_name, end_lsn) values ($1, $8::text::pg_lsn)";

/// The stream of a target: written when its slot is made; only the timeline and the rules change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    pub slot_name: String,
    /// `host:port/database`, for people.
    pub source: String,
    /// `pg_control_system().system_identifier`.
    pub source_system_identifier: String,
    pub source_database: String,
    pub timeline: i32,
    pub publications: Vec<String>,
    /// True if backlot made the publications: `clone stop` drops them then.
    pub owns_publications: bool,
    pub consistent_lsn: Lsn,
    pub key_id: String,
    pub algorithm_version: i32,
    pub dictionary_hash: String,
    /// The effective transforms.yaml.
    pub config: String,
}

/// A row of `backlot.stream_table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTable {
    /// As [`crate::catalog::RelationName`] prints it.
    pub relation: String,
    /// `streaming`, `insert_only`, `stale` or `resyncing`.
    pub state: &'static str,
    pub reason: Option<String>,
    pub rules_hash: String,
}

const WRITE_TABLES: &str = "insert into backlot.stream_table (relation, state, reason, rules_hash) \
     select t.* from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), \
     pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[])) t";

/// Writes the states of the tables of a new stream.
pub async fn write_stream_tables(session: &Session, tables: &[StreamTable]) -> Result<(), Error> {
    let relations = tables.iter().map(|table| table.relation.as_str()).collect::<Vec<_>>();
    let states = tables.iter().map(|table| table.state).collect::<Vec<_>>();
    let reasons = tables.iter().map(|table| table.reason.as_deref()).collect::<Vec<_>>();
    let hashes = tables.iter().map(|table| table.rules_hash.as_str()).collect::<Vec<_>>();
    session.execute(WRITE_TABLES, &[&relations, &states, &reasons, &hashes]).await?;
    Ok(())
}

/// Asks the stream that runs on this target to end. It sees that within a moment and drains.
pub async fn ask_to_stop(session: &Session) -> Result<(), Error> {
    let sql = "insert into backlot.request (kind) values ('stop')";
    session.execute(sql, &[]).await?;
    Ok(())
}

/// Makes the tables of a stream's state, if they are not there.
pub async fn create_stream_state(session: &Session) -> Result<(), Error> {
    session.execute_all(&format!("begin;{CREATE}commit")).await
}

impl StreamRecord {
    /// The target's stream and its checkpoint: everything that committed on the source before
    /// that position is here. None if no stream feeds this target.
    pub async fn read(session: &Session) -> Result<Option<(Self, Lsn)>, Error> {
        let sql = "select pg_catalog.to_regclass('backlot.checkpoint') is not null";
        if !session.query_one(sql, &[]).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        let Some(row) = session.query_opt(READ, &[]).await? else { return Ok(None) };
        let lsn = |name| {
            let text: &str = row.get(name);
            text.parse::<Lsn>().map_err(|_| Error::Protocol("a pg_lsn that cannot be read"))
        };
        let record = Self {
            slot_name: row.get("slot_name"),
            source: row.get("source"),
            source_system_identifier: row.get("source_system_identifier"),
            source_database: row.get("source_database"),
            timeline: row.get("timeline"),
            publications: row.get("publications"),
            owns_publications: row.get("owns_publications"),
            consistent_lsn: lsn("consistent_lsn")?,
            key_id: row.get("key_id"),
            algorithm_version: row.get("algorithm_version"),
            dictionary_hash: row.get("dictionary_hash"),
            config: row.get("config"),
        };
        let checkpoint = lsn("end_lsn")?;
        Ok(Some((record, checkpoint)))
    }

    /// Writes the stream with its first checkpoint, the slot's consistent point. The state's
    /// tables must be there.
    pub async fn write(&self, session: &Session) -> Result<(), Error> {
        let lsn = self.consistent_lsn.to_string();
        session
            .execute(
                WRITE,
                &[
                    &self.slot_name,
                    &self.source,
                    &self.source_system_identifier,
                    &self.source_database,
                    &self.timeline,
                    &self.publications,
                    &self.owns_publications,
                    &lsn,
                    &self.key_id,
                    &self.algorithm_version,
                    &self.dictionary_hash,
                    &self.config,
                ],
            )
            .await?;
        Ok(())
    }

    /// Forgets the stream, its checkpoint and its quarantine.
    pub async fn remove(session: &Session) -> Result<(), Error> {
        session
            .execute_all(
                "truncate backlot.stream, backlot.checkpoint, backlot.stream_table, backlot.stream_column, \
                 backlot.stream_source, backlot.quarantine, backlot.quarantine_part, backlot.request",
            )
            .await
    }
}
