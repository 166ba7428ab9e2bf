//! The data phase: lanes take ranges from a queue until it is empty.

use super::error::CloneError;
use super::progress::TableProgress;
use crate::pg::{ConnInfo, Retry};
use crate::source::BlockRange;
use crate::state::{PlannedRange, RangeId};
use crate::table_sync::{Abort, Lane, RangeError, RangeJob, RangeResult, TableJob};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Attempts at one range before the clone stops.
const ATTEMPTS: u32 = 4;
/// Pause before the second attempt; doubled for each further one.
const BACKOFF: Duration = Duration::from_millis(500);

pub(super) struct CopyPhase {
    pub(super) source: ConnInfo,
    pub(super) target: ConnInfo,
    pub(super) snapshot_name: String,
    pub(super) run_id: i64,
    pub(super) jobs: Arc<Vec<TableJob>>,
    pub(super) tables: Vec<Arc<TableProgress>>,
    pub(super) lanes: usize,
    pub(super) abort: Arc<Abort>,
}

struct Work<'p> {
    phase: &'p CopyPhase,
    /// Position of a relation in `phase.jobs` and `phase.tables`.
    by_name: HashMap<String, usize>,
    queue: Mutex<VecDeque<PlannedRange>>,
    results: Mutex<HashMap<RangeId, RangeResult>>,
    failure: Mutex<Option<CloneError>>,
}

impl<'p> Work<'p> {
    fn table(&self, range: &PlannedRange) -> Option<(&'p TableJob, &'p TableProgress)> {
        let at = *self.by_name.get(&range.relation)?;
        Some((self.phase.jobs.get(at)?, self.phase.tables.get(at)?))
    }
}

/// Copies all given ranges. On the first failure the other lanes are stopped.
pub(super) fn copy_ranges(
    phase: &CopyPhase,
    ranges: Vec<PlannedRange>,
) -> Result<HashMap<RangeId, RangeResult>, CloneError> {
    let by_name =
        phase.jobs.iter().enumerate().map(|(at, job)| (job.source.to_string(), at)).collect();
    let lanes = phase.lanes.min(ranges.len());
    let work = Work {
        phase,
        by_name,
        queue: Mutex::new(ranges.into()),
        results: Mutex::default(),
        failure: Mutex::default(),
    };
    thread::scope(|scope| {
        let handles = (0..lanes).map(|_| scope.spawn(|| run_lane(&work))).collect::<Vec<_>>();
        handles.into_iter().try_for_each(|lane| lane.join().map_err(|_| CloneError::Panicked))
    })?;
    if let Some(failure) = work.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    if phase.abort.is_fired() {
        return Err(CloneError::Interrupted);
    }
    Ok(work.results.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn run_lane(work: &Work<'_>) {
    let mut lane = None;
    loop {
        let next = work.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(range) = next.filter(|_| !work.phase.abort.is_fired()) else { return };
        match attempt(work, &range, &mut lane) {
            Ok(result) => {
                if let Some((_, table)) = work.table(&range) {
                    table.ranges_done.fetch_add(1, Ordering::Relaxed);
                }
                work.results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(range.id, result);
            }
            Err(source) => {
                let failure = match source {
                    RangeError::Interrupted => CloneError::Interrupted,
                    source @ (RangeError::Source(_)
                    | RangeError::Target(_)
                    | RangeError::Mask(_)
                    | RangeError::Reshaped
                    | RangeError::AlreadyDone) => {
                        CloneError::Range { relation: range.relation.clone(), source }
                    }
                };
                let mut slot = work.failure.lock().unwrap_or_else(PoisonError::into_inner);
                // The first failure is the cause; what it makes fail is not worth a word.
                slot.get_or_insert(failure);
                drop(slot);
                work.phase.abort.fire();
                return;
            }
        }
    }
}

/// Copies one range, again if the failure may pass. A failed lane is replaced by a new one.
fn attempt<'w>(
    work: &Work<'w>,
    range: &PlannedRange,
    lane: &mut Option<Lane<'w>>,
) -> Result<RangeResult, RangeError> {
    let mut pause = BACKOFF;
    for attempt in 1.. {
        let tried = match attempt {
            1 => try_range(work, range, lane),
            _ => complete_range(work, range, lane),
        };
        match tried {
            Ok(result) => return Ok(result),
            Err(error) => {
                *lane = None;
                let may_pass = match &error {
                    RangeError::Source(error) | RangeError::Target(error) => {
                        error.retry() != Retry::Never
                    }
                    RangeError::AlreadyDone => true,
                    RangeError::Mask(_) | RangeError::Reshaped | RangeError::Interrupted => false,
                };
                if !may_pass || attempt == ATTEMPTS || work.phase.abort.is_fired() {
                    return Err(error);
                }
                tracing::warn!(relation = %range.relation, attempt, %error, "range failed, trying again");
                thread::sleep(pause);
                pause *= 2;
            }
        }
    }
    unreachable!("the loop ends by returning")
}

/// What was lost may have been the answer to the COMMIT only: the journal knows.
fn complete_range<'w>(
    work: &Work<'w>,
    range: &PlannedRange,
    slot: &mut Option<Lane<'w>>,
) -> Result<RangeResult, RangeError> {
    let done = open_lane(work, slot)?.done(work.phase.run_id, range.id)?;
    done.map_or_else(|| try_range(work, range, slot), Ok)
}

fn open_lane<'s, 'w>(
    work: &Work<'w>,
    slot: &'s mut Option<Lane<'w>>,
) -> Result<&'s mut Lane<'w>, RangeError> {
    let phase = work.phase;
    match slot {
        Some(lane) => Ok(lane),
        None => Ok(slot.insert(Lane::connect(
            &phase.source,
            &phase.target,
            &phase.snapshot_name,
            &phase.abort,
        )?)),
    }
}

fn try_range<'w>(
    work: &Work<'w>,
    range: &PlannedRange,
    slot: &mut Option<Lane<'w>>,
) -> Result<RangeResult, RangeError> {
    let lane = open_lane(work, slot)?;
    let Some((job, table)) = work.table(range) else {
        // The plan and the journal are made from the same jobs.
        return Err(RangeError::Interrupted);
    };
    lane.copy(&RangeJob {
        journal: Some((work.phase.run_id, range.id)),
        source: &job.source,
        target: &job.target,
        columns: &job.columns,
        identity: (job.oid, &job.numbers),
        range: BlockRange { first: range.first_block, last: range.last_block },
        filter: job.filter.as_deref(),
        format: job.format,
        mask: &job.mask,
        counters: &table.counters,
    })
}
