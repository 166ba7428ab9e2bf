//! Lanes: connections inside the two snapshots that read one range of blocks at a time, `jobs` of
//! them on each side, both sides at the same time.

use super::error::{Side, VerifyError};
use super::pairing::Pair;
use super::progress::Progress;
use crate::catalog::RelationName;
use crate::pg::{Buffer, Chunk, ConnInfo, Error, Format, Retry};
use crate::source::{BlockRange, CopyOut};
use crate::table_sync::TableJob;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Heap per range: a range that is read again after a lost connection costs little.
const RANGE_BYTES: u64 = 64 * 1024 * 1024;
/// `BLCKSZ` of every packaged PostgreSQL; only the evenness of the split depends on it.
const BLOCK_BYTES: u64 = 8192;
/// Attempts at one range; the snapshots outlive a lost connection.
const ATTEMPTS: u32 = 4;
/// Pause before the second attempt; doubled for each further one.
const BACKOFF: Duration = Duration::from_millis(500);

/// Where the two snapshots are read.
pub(super) struct Sides {
    pub(super) source: ConnInfo,
    pub(super) target: ConnInfo,
    pub(super) source_snapshot: String,
    pub(super) target_snapshot: String,
    /// Connections on each side.
    pub(super) jobs: usize,
}

/// A range of one table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) side: Side,
    /// Position of the pair.
    pub(super) pair: usize,
    /// Position in its origins or holders.
    pub(super) member: usize,
    range: BlockRange,
    size_bytes: u64,
}

/// What a task reads.
pub(super) struct Request<'r> {
    pub(super) relation: &'r RelationName,
    pub(super) columns: &'r [String],
    pub(super) filter: Option<&'r str>,
    pub(super) format: Format,
}

/// One connection and what it has to look at while it reads.
pub(super) struct Lane<'l> {
    out: CopyOut,
    buffer: Buffer,
    stop: &'l AtomicBool,
    progress: &'l Progress,
}

impl Lane<'_> {
    /// Reads the range; `each` gets whole CopyData frames.
    pub(super) fn read(
        &mut self,
        task: &Task,
        request: &Request<'_>,
        each: &mut dyn FnMut(&[u8]) -> Result<(), VerifyError>,
    ) -> Result<(), VerifyError> {
        let failed = |source: Error| VerifyError::Read {
            relation: request.relation.to_string(),
            side: task.side,
            source,
        };
        let Request { relation, columns, filter, format } = request;
        self.out.start(relation, columns, task.range, *filter, *format).map_err(failed)?;
        loop {
            let chunk = self.out.chunk(&mut self.buffer).map_err(failed)?;
            let frames = self.buffer.as_slice();
            self.progress.bytes.fetch_add(frames.len() as u64, Ordering::Relaxed);
            self.progress.rows.fetch_add(self.buffer.frame_count(), Ordering::Relaxed);
            each(frames)?;
            if chunk == Chunk::End || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
}

/// All ranges of one side of some pairs, in their order.
pub(super) fn tasks(
    side: Side,
    pairs: &[Pair],
    jobs: &[TableJob],
    is_wanted: impl Fn(usize) -> bool,
) -> VecDeque<Task> {
    let mut tasks = VecDeque::new();
    for (at, pair) in pairs.iter().enumerate().filter(|(at, _)| is_wanted(*at)) {
        let origin =
            |job: usize| jobs.get(job).map_or((0, false), |job| (job.size_bytes, job.is_heap));
        let sizes: Vec<(u64, bool)> = match side {
            Side::Source => pair.origins.iter().map(|table| origin(table.job)).collect(),
            Side::Target => {
                pair.holders.iter().map(|table| (table.size_bytes, table.is_heap)).collect()
            }
        };
        for (member, (size_bytes, is_heap)) in sizes.into_iter().enumerate() {
            let range = |(range, size_bytes)| Task { side, pair: at, member, range, size_bytes };
            tasks.extend(split(size_bytes, is_heap).into_iter().map(range));
        }
    }
    tasks
}

/// The last range has no end: rows beyond the size that was measured cannot be missed.
fn split(size_bytes: u64, is_heap: bool) -> Vec<(BlockRange, u64)> {
    let count = if is_heap { size_bytes.div_ceil(RANGE_BYTES).max(1) } else { 1 };
    let block = |at: u64| i64::try_from(at * (RANGE_BYTES / BLOCK_BYTES)).unwrap_or(i64::MAX);
    let range =
        |at: u64| BlockRange { first: block(at), last: (at + 1 < count).then(|| block(at + 1)) };
    (0..count).map(|at| (range(at), size_bytes / count)).collect()
}

/// Carries the tasks out; `work` must count nothing of a range before it is read to its end. On
/// the first failure all lanes stop.
pub(super) fn run(
    sides: &Sides,
    progress: &Progress,
    queues: Vec<VecDeque<Task>>,
    work: &(dyn Fn(&Task, &mut Lane<'_>) -> Result<(), VerifyError> + Sync),
) -> Result<(), VerifyError> {
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let size = queues.iter().flatten().map(|task| task.size_bytes).sum();
    progress.begin(size);
    let queues = queues.into_iter().map(|queue| (queue.len(), Mutex::new(queue)));
    let queues = queues.collect::<Vec<_>>();
    let lane = |queue| {
        if let Err(error) = run_lane(sides, progress, queue, work, &stop) {
            stop.store(true, Ordering::Relaxed);
            // The first failure is the cause.
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    };
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for (length, queue) in &queues {
            let lanes = 0..sides.jobs.max(1).min(*length);
            handles.extend(lanes.map(|_| scope.spawn(|| lane(queue))));
        }
        handles.into_iter().try_for_each(|lane| lane.join().map_err(|_| VerifyError::Panicked))
    })?;
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn run_lane(
    sides: &Sides,
    progress: &Progress,
    queue: &Mutex<VecDeque<Task>>,
    work: &(dyn Fn(&Task, &mut Lane<'_>) -> Result<(), VerifyError> + Sync),
    stop: &AtomicBool,
) -> Result<(), VerifyError> {
    let mut lane = None;
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(task) = next.filter(|_| !stop.load(Ordering::Relaxed)) else { return Ok(()) };
        let mut pause = BACKOFF;
        let mut attempt = 1;
        while let Err(error) = attempt_task(sides, progress, &task, work, stop, &mut lane) {
            lane = None;
            if attempt == ATTEMPTS || !may_pass(&error) || stop.load(Ordering::Relaxed) {
                return Err(error);
            }
            tracing::warn!(attempt, %error, "range failed, trying again");
            thread::sleep(pause);
            pause *= 2;
            attempt += 1;
        }
        progress.done_bytes.fetch_add(task.size_bytes, Ordering::Relaxed);
    }
}

fn attempt_task<'l>(
    sides: &Sides,
    progress: &'l Progress,
    task: &Task,
    work: &(dyn Fn(&Task, &mut Lane<'_>) -> Result<(), VerifyError> + Sync),
    stop: &'l AtomicBool,
    slot: &mut Option<Lane<'l>>,
) -> Result<(), VerifyError> {
    let lane = match slot {
        Some(lane) => lane,
        None => slot.insert(Lane {
            out: connect(sides, task.side)?,
            buffer: Buffer::default(),
            stop,
            progress,
        }),
    };
    work(task, lane)
}

fn connect(sides: &Sides, side: Side) -> Result<CopyOut, VerifyError> {
    let (info, snapshot) = match side {
        Side::Source => (&sides.source, &sides.source_snapshot),
        Side::Target => (&sides.target, &sides.target_snapshot),
    };
    CopyOut::connect(info, snapshot).map_err(|source| VerifyError::Connect { side, source })
}

fn may_pass(error: &VerifyError) -> bool {
    // The others come from the rules or the rows: they come again.
    matches!(error, VerifyError::Connect { source, .. } | VerifyError::Read { source, .. }
        if source.retry() != Retry::Never)
}

#[cfg(test)]
mod tests {
    use super::{RANGE_BYTES, split};

    #[test]
    fn ranges_cover_a_table_and_the_last_is_open() {
        let ranges = split(RANGE_BYTES * 2 + 1, true);
        assert_eq!(ranges.len(), 3);
        assert_eq!(ranges[0].0.last, Some(ranges[1].0.first));
        assert_eq!((ranges[0].0.first, ranges[2].0.last), (0, None));
        assert_eq!(split(RANGE_BYTES * 2 + 1, false).len(), 1);
        assert_eq!(split(0, true).len(), 1);
    }
}
