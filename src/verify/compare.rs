//! The comparison: every row of both sides read once, digests per bucket of keys, and the leak
//! scan on the way.

use super::digest::{Buckets, Keys};
use super::error::{Side, VerifyError};
use super::image::Imager;
use super::lanes::{self, Lane, Request, Sides, Task};
use super::leak::{Collector, Scan};
use super::pairing::{Origin, Pair};
use super::progress::Progress;
use super::rows::{Fields, Row, Rows};
use crate::pg::Format;
use crate::table_sync::TableJob;
use crate::transform::{Stage, TableMask};
use std::sync::{Mutex, PoisonError};

/// What the lanes share.
pub(super) struct Comparison<'c> {
    pub(super) pairs: &'c [Pair],
    pub(super) jobs: &'c [TableJob],
    pub(super) keys: &'c Keys,
    pub(super) scan: Option<&'c Scan>,
}

/// How a pair came out.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) source_rows: u64,
    pub(super) target_rows: u64,
    pub(super) bucket_count: usize,
    /// Buckets that differ, with the rows of the larger side.
    pub(super) differing: Vec<(usize, u64)>,
}

/// Of a pair while it is read. Buckets are given up once both sides are complete.
#[derive(Default)]
struct Tally {
    source: Buckets,
    target: Buckets,
    open_tasks: usize,
    outcome: Outcome,
}

/// Reads both sides; one outcome for each pair.
pub(super) fn compare(
    comparison: &Comparison<'_>,
    sides: &Sides,
    progress: &Progress,
) -> Result<Vec<Outcome>, VerifyError> {
    let Comparison { pairs, jobs, .. } = comparison;
    let queues = [Side::Source, Side::Target].map(|side| lanes::tasks(side, pairs, jobs, |_| true));
    let tallies = pairs.iter().map(|pair| Tally {
        outcome: Outcome { bucket_count: pair.bucket_count, ..Outcome::default() },
        ..Tally::default()
    });
    let mut tallies = tallies.collect::<Vec<_>>();
    for task in queues.iter().flatten() {
        if let Some(tally) = tallies.get_mut(task.pair) {
            tally.open_tasks += 1;
        }
    }
    let tallies = tallies.into_iter().map(Mutex::new).collect::<Vec<_>>();
    let work = |task: &Task, lane: &mut Lane<'_>| {
        let Some(pair) = pairs.get(task.pair) else { return Ok(()) };
        let buckets = match task.side {
            Side::Source => comparison.source(task, pair, lane)?,
            Side::Target => comparison.target(task, pair, lane)?,
        };
        if let Some(tally) = tallies.get(task.pair) {
            tally.lock().unwrap_or_else(PoisonError::into_inner).add(task.side, &buckets);
        }
        Ok(())
    };
    lanes::run(sides, progress, queues.into(), &work)?;
    let outcome =
        |tally: Mutex<Tally>| tally.into_inner().unwrap_or_else(PoisonError::into_inner).outcome;
    Ok(tallies.into_iter().map(outcome).collect())
}

impl Tally {
    fn add(&mut self, side: Side, buckets: &Buckets) {
        match side {
            Side::Source => self.source.merge(buckets),
            Side::Target => self.target.merge(buckets),
        }
        self.open_tasks -= 1;
        if self.open_tasks == 0 {
            let (source, target) =
                (std::mem::take(&mut self.source), std::mem::take(&mut self.target));
            self.outcome.source_rows = source.row_count();
            self.outcome.target_rows = target.row_count();
            self.outcome.differing = source.differing(&target);
        }
    }
}

impl Comparison<'_> {
    fn source(
        &self,
        task: &Task,
        pair: &Pair,
        lane: &mut Lane<'_>,
    ) -> Result<Buckets, VerifyError> {
        let mut buckets = Buckets::new(pair.bucket_count);
        let Some(origin) = pair.origins.get(task.member) else { return Ok(buckets) };
        let mut imager = Imager::new(self.keys);
        let mut collector = self.scan.map(|scan| Collector::new(scan, self.keys));
        let number = u32::try_from(task.pair).unwrap_or(u32::MAX);
        each_masked(self.jobs, pair, origin, task, lane, &mut |raw, masked| {
            let hashes = imager.hashes(pair, &origin.order, masked);
            buckets.add(hashes.key, hashes.row);
            if let Some(collector) = &mut collector {
                collector.row(&mut imager.reader, (number, pair), &origin.order, raw, masked);
            }
        })?;
        if let Some(collector) = collector {
            collector.commit();
        }
        Ok(buckets)
    }

    fn target(
        &self,
        task: &Task,
        pair: &Pair,
        lane: &mut Lane<'_>,
    ) -> Result<Buckets, VerifyError> {
        let mut buckets = Buckets::new(pair.bucket_count);
        let mut imager = Imager::new(self.keys);
        let order = (0..pair.columns.len()).collect::<Vec<_>>();
        each_stored(pair, task, lane, false, &mut |row| {
            let hashes = imager.hashes(pair, &order, row);
            buckets.add(hashes.key, hashes.row);
        })?;
        Ok(buckets)
    }
}

/// Reads a range of the source: each row as it is, and as the rules make it.
pub(super) fn each_masked(
    jobs: &[TableJob],
    pair: &Pair,
    origin: &Origin,
    task: &Task,
    lane: &mut Lane<'_>,
    each: &mut dyn FnMut(Row<'_>, Row<'_>),
) -> Result<(), VerifyError> {
    let Some(job) = jobs.get(origin.job) else { return Ok(()) };
    let width = job.columns.len();
    let mut stage = match &job.mask {
        TableMask::KeepAll(_) => None,
        TableMask::Rules(masks) => Some(Stage::new(masks, pair.format, width)),
    };
    let failed = || VerifyError::Rows { relation: job.source.to_string(), side: task.side };
    let (mut raw_fields, mut masked_fields) = (Fields::new(), Fields::new());
    let request = Request {
        relation: &job.source,
        columns: &job.columns,
        filter: job.filter.as_deref(),
        format: pair.format,
    };
    lane.read(task, &request, &mut |frames| {
        let mut raw = Rows::new(pair.format, width, frames);
        let Some(stage) = &mut stage else {
            while let Some(row) = raw.next(&mut raw_fields).map_err(|_| failed())? {
                each(row, row);
            }
            return Ok(());
        };
        let masked = stage
            .run(frames)
            .map_err(|source| VerifyError::Mask { relation: job.source.to_string(), source })?;
        let mut masked = Rows::new(pair.format, width, masked.bytes());
        while let Some(row) = raw.next(&mut raw_fields).map_err(|_| failed())? {
            let made = masked.next(&mut masked_fields).map_err(|_| failed())?;
            each(row, made.ok_or_else(failed)?);
        }
        Ok(())
    })
}

/// Reads a range of the target, with the row's place behind its columns if that is wanted.
pub(super) fn each_stored(
    pair: &Pair,
    task: &Task,
    lane: &mut Lane<'_>,
    with_place: bool,
    each: &mut dyn FnMut(Row<'_>),
) -> Result<(), VerifyError> {
    let Some(holder) = pair.holders.get(task.member) else { return Ok(()) };
    let mut columns = pair.column_names();
    if with_place {
        columns.push("ctid".to_owned());
    }
    let failed = || VerifyError::Rows { relation: holder.name.to_string(), side: task.side };
    let mut fields = Fields::new();
    let request = Request {
        relation: &holder.name,
        columns: &columns,
        // A system column is for SELECT alone.
        filter: with_place.then_some("true"),
        format: pair.format,
    };
    lane.read(task, &request, &mut |frames| {
        let mut rows = Rows::new(pair.format, columns.len(), frames);
        while let Some(row) = rows.next(&mut fields).map_err(|_| failed())? {
            each(row);
        }
        Ok(())
    })
}

/// A row's place as people write it, from what `ctid` sends.
pub(super) fn place(format: Format, field: Option<&[u8]>) -> Option<String> {
    let field = field?;
    if format == Format::Text {
        return std::str::from_utf8(field).ok().map(str::to_owned);
    }
    let (block, offset) = field.split_first_chunk::<4>()?;
    let offset = u16::from_be_bytes(*offset.first_chunk()?);
    Some(format!("({},{offset})", u32::from_be_bytes(*block)))
}
