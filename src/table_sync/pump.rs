//! The pump: two connections and two threads that move ranges from source to target.
//!
//! ```text
//! source socket → reader thread → channel of QUEUE_CHUNKS buffers → mask → target socket
//!                      ↑─────────── empty buffers come back ──────────┘
//! ```
//! Plain threads and blocking sockets: measured at a sixth of the CPU of two async tasks joined
//! by a channel (`replication.md`, 1.4). Memory is bounded by buffers, whatever the table.

use crate::catalog::RelationName;
use crate::pg::{Buffer, Chunk, ConnInfo, Error, Format, Interrupt, Oid};
use crate::sink::CopyIn;
use crate::source::{BlockRange, CopyOut};
use crate::state::{ALREADY_DONE, RangeId, range_done_statement, range_result_query};
use crate::transform::{Stage, StageError, TableMask};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Buffers between the two threads of a lane: one being read, one being masked, two in between.
const QUEUE_CHUNKS: usize = 4;

/// One range of one relation.
pub struct RangeJob<'j> {
    /// The run and the range that the journal notes with the rows; None: nothing is noted.
    pub journal: Option<(i64, RangeId)>,
    pub source: &'j RelationName,
    /// The relation to write: the partition root if a rule may move rows between partitions.
    pub target: &'j RelationName,
    pub columns: &'j [String],
    /// The source's, and `pg_attribute.attnum` of each column.
    pub identity: (Oid, &'j [i16]),
    pub range: BlockRange,
    pub filter: Option<&'j str>,
    pub format: Format,
    pub mask: &'j TableMask,
    pub counters: &'j Counters,
}

/// Live progress of a table; what is read, not what is committed.
#[derive(Debug, Default)]
pub struct Counters {
    pub bytes: AtomicU64,
    pub rows: AtomicU64,
}

/// What a finished range amounted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeResult {
    pub rows: u64,
    /// Bytes read from the source.
    pub bytes: u64,
    /// Values changed, per mask.
    pub changed: Vec<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    #[error("read from the source")]
    Source(#[source] Error),
    #[error("write to the target")]
    Target(#[source] Error),
    #[error("mask a row")]
    Mask(#[source] StageError),
    /// A column that takes the name of another would be masked by that one's rule.
    #[error(
        "its columns are not those that were planned: the source's table was altered meanwhile"
    )]
    Reshaped,
    /// Another transaction has committed the range: an earlier attempt's, whose answer was lost.
    #[error("the range is done already")]
    AlreadyDone,
    #[error("interrupted")]
    Interrupted,
}

/// Stops all lanes: sets a flag and shuts the sockets that they may be waiting on.
#[derive(Default)]
pub struct Abort {
    fired: AtomicBool,
    sockets: Mutex<Vec<Interrupt>>,
}

impl Abort {
    pub fn fire(&self) {
        self.fired.store(true, Ordering::SeqCst);
        if let Ok(sockets) = self.sockets.lock() {
            sockets.iter().for_each(Interrupt::fire);
        }
    }

    pub fn is_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    fn watch(&self, interrupt: Interrupt) {
        if let Ok(mut sockets) = self.sockets.lock() {
            if self.is_fired() {
                interrupt.fire();
            }
            sockets.push(interrupt);
        }
    }
}

/// A pair of connections that copies one range at a time.
pub struct Lane<'a> {
    out: CopyOut,
    into: CopyIn,
    abort: &'a Abort,
}

impl<'a> Lane<'a> {
    pub fn connect(
        source: &ConnInfo,
        target: &ConnInfo,
        snapshot_name: &str,
        abort: &'a Abort,
    ) -> Result<Self, RangeError> {
        let out = CopyOut::connect(source, snapshot_name).map_err(RangeError::Source)?;
        let into = CopyIn::connect(target).map_err(RangeError::Target)?;
        abort.watch(out.wire().interrupt().map_err(RangeError::Source)?);
        abort.watch(into.wire().interrupt().map_err(RangeError::Target)?);
        Ok(Self { out, into, abort })
    }

    /// Copies one range and commits it, together with its journal entry if it has one.
    ///
    /// # Errors
    /// The lane cannot be used afterwards; the target has nothing of the range.
    pub fn copy(&mut self, job: &RangeJob<'_>) -> Result<RangeResult, RangeError> {
        let result = self.transfer(job);
        if result.is_err() && self.abort.is_fired() {
            return Err(RangeError::Interrupted);
        }
        result
    }

    /// What the journal says of a range, if it is done.
    pub fn done(
        &mut self,
        run_id: i64,
        range_id: RangeId,
    ) -> Result<Option<RangeResult>, RangeError> {
        let query = range_result_query(run_id, range_id);
        let rows = self.into.query(&query).map_err(RangeError::Target)?;
        let Some([Some(rows), Some(bytes), Some(changed)]) = rows.first().map(Vec::as_slice) else {
            return Ok(None);
        };
        let number = |text: &str| {
            let malformed = Error::Protocol("a journal that cannot be read");
            text.parse::<u64>().map_err(|_| RangeError::Target(malformed))
        };
        let counts = changed.split(',').filter(|count| !count.is_empty());
        Ok(Some(RangeResult {
            rows: number(rows)?,
            bytes: number(bytes)?,
            changed: counts.map(number).collect::<Result<_, _>>()?,
        }))
    }

    fn transfer(&mut self, job: &RangeJob<'_>) -> Result<RangeResult, RangeError> {
        let held = self.out.hold(job.source, job.identity, job.columns);
        if !held.map_err(RangeError::Source)? {
            return Err(RangeError::Reshaped);
        }
        self.out
            .start(job.source, job.columns, job.range, job.filter, job.format)
            .map_err(RangeError::Source)?;
        self.into.start(job.target, job.columns, job.format).map_err(RangeError::Target)?;
        let (out, into) = (&mut self.out, &mut self.into);
        let unblock = out.wire().interrupt().map_err(RangeError::Source)?;
        let (bytes, changed) = thread::scope(|scope| {
            let (full_sender, full) = bounded(QUEUE_CHUNKS);
            let (empty_sender, empty) = bounded(QUEUE_CHUNKS);
            let reader = scope.spawn(move || read_chunks(out, &full_sender, &empty));
            let written = mask_and_write(into, job, full, &empty_sender);
            if written.is_err() {
                unblock.fire();
            }
            let read = reader.join().unwrap_or(Err(Error::Protocol("the reader thread panicked")));
            // A failed write is the cause of a failed read, never the other way round.
            let written = written?;
            read.map_err(RangeError::Source)?;
            Ok(written)
        })?;
        let rows = self.into.finish().map_err(RangeError::Target)?;
        let note = job.journal.map_or_else(
            || "commit".to_owned(),
            |(run_id, range_id)| range_done_statement(run_id, range_id, rows, bytes, &changed),
        );
        self.into.commit(&note).map_err(|error| match error.sqlstate() {
            Some(ALREADY_DONE) => RangeError::AlreadyDone,
            Some(_) | None => RangeError::Target(error),
        })?;
        Ok(RangeResult { rows, bytes, changed })
    }
}

fn read_chunks(
    out: &mut CopyOut,
    full: &Sender<Buffer>,
    empty: &Receiver<Buffer>,
) -> Result<(), Error> {
    loop {
        let mut buffer = empty.try_recv().unwrap_or_default();
        let chunk = out.chunk(&mut buffer)?;
        // The receiver is gone only if writing failed; that error is the one to report.
        if full.send(buffer).is_err() || chunk == Chunk::End {
            return Ok(());
        }
    }
}

fn mask_and_write(
    into: &mut CopyIn,
    job: &RangeJob<'_>,
    full: Receiver<Buffer>,
    empty: &Sender<Buffer>,
) -> Result<(u64, Vec<u64>), RangeError> {
    let mut stage = match job.mask {
        TableMask::KeepAll(_) => None,
        TableMask::Rules(masks) => Some(Stage::new(masks, job.format, job.columns.len())),
    };
    let mut bytes = 0;
    for buffer in full {
        let raw = buffer.as_slice();
        bytes += raw.len() as u64;
        job.counters.bytes.fetch_add(raw.len() as u64, Ordering::Relaxed);
        job.counters.rows.fetch_add(buffer.frame_count(), Ordering::Relaxed);
        let frames = match (&mut stage, job.mask) {
            (Some(stage), _) => stage.run(raw).map_err(RangeError::Mask)?,
            (None, TableMask::KeepAll(keep)) => keep.pass(raw),
            (None, TableMask::Rules(_)) => return Err(RangeError::Mask(StageError::Stream)),
        };
        into.write(frames).map_err(RangeError::Target)?;
        // A full channel only means that enough buffers are in use already.
        let _ = empty.try_send(buffer);
    }
    let changed = stage.map(|stage| stage.changed().to_vec()).unwrap_or_default();
    Ok((bytes, changed))
}
