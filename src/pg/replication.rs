//! A walsender's connection: what only replication commands can do, and the stream itself.
//!
//! The simple protocol only: a walsender knows no other. SQL works here as well.
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html>

mod command;
mod message;
mod stream;

pub use command::{Origin, SlotKind, StartOptions};
pub use message::{WalMessage, WalMessages};
pub use stream::{Status, WalStream};

use crate::pg::{ConnInfo, Error, Interrupt, Lsn, Wire};
use std::time::{Duration, Instant};

const PG_15: u32 = 150_000;
const PG_16: u32 = 160_000;

/// What the server's settings say about the connection, and its clock: status updates carry the
/// time, and only the server's own means something to it.
const FACTS: &str = "select pg_catalog.current_setting('server_version_num'), \
     (select setting from pg_catalog.pg_settings where name = 'wal_sender_timeout'), \
     pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp() - timestamptz '2000-01-01 00:00:00+00') \
       * 1000000)::pg_catalog.int8";

/// Longest wait for one running transaction when a slot is made. Nobody queues behind that wait.
const SLOT_WAIT: Duration = Duration::from_mins(5);

pub struct Replication {
    wire: Wire,
    server_version: u32,
    wal_sender_timeout: Option<Duration>,
    clock: ServerClock,
}

/// The server's clock, carried on by our own.
#[derive(Clone, Copy, Debug)]
struct ServerClock {
    /// Microseconds since 2000-01-01 UTC.
    read_us: i64,
    read_at: Instant,
}

impl ServerClock {
    fn now_us(&self) -> i64 {
        let passed = i64::try_from(self.read_at.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.read_us.saturating_add(passed)
    }
}

/// The answer to `IDENTIFY_SYSTEM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemIdentity {
    /// As `pg_control_system().system_identifier` prints it.
    pub system_identifier: String,
    pub timeline: i32,
    /// How far the WAL is flushed; on a standby, how far it is replayed.
    pub flushed: Lsn,
    pub database: String,
}

/// A slot that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// A transaction is in the snapshot exactly if its commit record starts below.
    pub consistent_point: Lsn,
    /// For `SET TRANSACTION SNAPSHOT`. Gone with the connection's next command.
    pub snapshot_name: String,
}

impl Replication {
    /// The role needs REPLICATION (or SUPERUSER), and `pg_hba.conf` lets it in as to the
    /// database itself.
    pub fn connect(info: &ConnInfo, application_name: &str) -> Result<Self, Error> {
        let mut wire = Wire::connect_walsender(info, application_name)?;
        let rows = wire.simple(FACTS)?;
        let mut fact = rows.into_iter().flatten().map(Option::unwrap_or_default);
        let mut number = || {
            let text = fact.next().unwrap_or_default();
            text.parse::<i64>().map_err(|_| Error::Protocol("a setting that is no number"))
        };
        let (version, timeout_ms, read_us) = (number()?, number()?, number()?);
        let mut replication = Self {
            wire,
            server_version: u32::try_from(version)
                .map_err(|_| Error::Protocol("a server version out of range"))?,
            wal_sender_timeout: u64::try_from(timeout_ms)
                .ok()
                .filter(|timeout| *timeout > 0)
                .map(Duration::from_millis),
            clock: ServerClock { read_us, read_at: Instant::now() },
        };
        replication.limit_slot_wait(SLOT_WAIT)?;
        Ok(replication)
    }

    /// `server_version_num`.
    pub fn server_version(&self) -> u32 {
        self.server_version
    }

    /// A handle that ends a blocked call from another thread.
    pub fn interrupt(&self) -> Result<Interrupt, Error> {
        self.wire.interrupt()
    }

    /// How long [`Self::create_slot`] waits for any one transaction that is running then; after
    /// that it fails with SQLSTATE 55P03. Five minutes unless set.
    pub fn limit_slot_wait(&mut self, limit: Duration) -> Result<(), Error> {
        // 0 would be no limit.
        self.wire.simple(&format!("set lock_timeout = {}", limit.as_millis().max(1)))?;
        Ok(())
    }

    /// A transaction with more changes than this is sent before it commits, where the client takes
    /// such (`StartOptions::streaming`). Never raises what the server is set to.
    /// `logical_decoding_work_mem`, runtime-config-resource.html.
    pub fn limit_decoding_memory(&mut self, bytes: u32) -> Result<(), Error> {
        self.wire.simple(&format!(
            "select pg_catalog.set_config(name, '{bytes}B', false) from pg_catalog.pg_settings \
             where name = 'logical_decoding_work_mem' and setting::bigint * 1024 > {bytes}"
        ))?;
        Ok(())
    }

    pub fn identify_system(&mut self) -> Result<SystemIdentity, Error> {
        let [system_identifier, timeline, flushed, database] =
            one_row(self.wire.simple("IDENTIFY_SYSTEM")?)?;
        Ok(SystemIdentity {
            system_identifier,
            timeline: timeline
                .parse()
                .map_err(|_| Error::Protocol("a timeline that is no number"))?,
            flushed: position(&flushed)?,
            database,
        })
    }

    /// Makes a slot for pgoutput and exports the snapshot of its consistent point. Waits for
    /// every transaction that is running (snapbuild.c `SnapBuildWaitSnapshot`).
    pub fn create_slot(&mut self, name: &str, kind: SlotKind) -> Result<CreatedSlot, Error> {
        let sql = command::create_slot(name, kind, self.server_version);
        let [_, consistent_point, snapshot_name, _] = one_row(self.wire.simple(&sql)?)?;
        Ok(CreatedSlot { consistent_point: position(&consistent_point)?, snapshot_name })
    }

    /// Waits while somebody reads from it. SQLSTATE 42704 if there is none.
    pub fn drop_slot(&mut self, name: &str) -> Result<(), Error> {
        self.wire.simple(&command::drop_slot(name)).map(drop)
    }

    /// Runs SQL on this connection. Ends an exported snapshot.
    pub fn simple(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.wire.simple(sql)
    }

    /// Starts the stream. The server goes on from the greater of `from` and the slot's
    /// `confirmed_flush_lsn`. SQLSTATE 55006 while another connection reads from the slot.
    pub fn start(
        mut self,
        slot: &str,
        from: Lsn,
        options: &StartOptions,
    ) -> Result<WalStream, Error> {
        self.wire.start_copy_both(&command::start(slot, from, options, self.server_version))?;
        WalStream::new(self.wire, self.clock, self.wal_sender_timeout)
    }
}

/// The first columns of the only row; NULL is the empty string.
fn one_row<const N: usize>(rows: Vec<Vec<Option<String>>>) -> Result<[String; N], Error> {
    let [row] =
        <[_; 1]>::try_from(rows).map_err(|_| Error::Protocol("an answer that is not one row"))?;
    let values: Vec<String> = row.into_iter().map(Option::unwrap_or_default).take(N).collect();
    values.try_into().map_err(|_| Error::Protocol("a row with too few columns"))
}

fn position(text: &str) -> Result<Lsn, Error> {
    text.parse().map_err(|_| Error::Protocol("a WAL position that cannot be read"))
}
