//! How large the next range is, and how long to wait before it.

use super::Backfilling;
use crate::pg::{Error, Lsn, Session};
use crate::roll::Progress;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A range is never smaller: each costs a commit.
const LEAST_ROWS: u32 = 50;
/// The first range, before anything is known of the table.
const FIRST_ROWS: u32 = 500;
/// A range whose statement takes longer gives up its row locks, unless it can be made no smaller.
const STATEMENT_LIMIT: Duration = Duration::from_millis(500);
/// Replicas are asked this often.
const LAG_PAUSE: Duration = Duration::from_millis(500);
/// After a range that could not be had.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Places of the WAL that are remembered while a replica is behind.
const MARK_LIMIT: usize = 1000;

/// `replay_lag` itself stands still with a replica that replays nothing (walsender.c
/// `LagTrackerRead`), so that the time is measured here.
const REPLAYED: &str = "select pg_catalog.pg_current_wal_flush_lsn()::text, pg_catalog.min(r.replay_lsn)::text, \
     coalesce(pg_catalog.bool_or(r.state is null), false) from pg_catalog.pg_stat_replication r";
const WAL: &str = "select pg_catalog.pg_current_wal_insert_lsn()::text";

pub(super) struct Throttle {
    options: Backfilling,
    rows: u32,
    /// The range cannot be made smaller, and is still too slow.
    is_patient: bool,
    asked_lag: Option<Instant>,
    /// It was said that the role is not told of replicas.
    is_blind: bool,
    /// Where the WAL was, and when, as far as some replica has not replayed it; oldest first.
    marks: VecDeque<(Instant, Lsn)>,
    /// Where the WAL was, and when.
    wal: Option<(Lsn, Instant)>,
}

impl Throttle {
    pub(super) fn new(options: Backfilling) -> Self {
        let rows = FIRST_ROWS.min(options.batch_rows);
        Self {
            options,
            rows,
            is_patient: false,
            asked_lag: None,
            is_blind: false,
            marks: VecDeque::new(),
            wal: None,
        }
    }

    /// Of the next range.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// Zero is none.
    pub(super) fn statement_timeout(&self) -> Duration {
        if self.is_patient {
            Duration::ZERO
        } else {
            STATEMENT_LIMIT.max(self.options.batch_time * 2)
        }
    }

    /// After a range that could not be had.
    pub(super) fn shrink(&mut self, attempt: u32) {
        self.is_patient = self.rows <= LEAST_ROWS && attempt > 1;
        self.rows = (self.rows / 2).max(LEAST_ROWS.min(self.options.batch_rows));
    }

    /// Waits as long as a replica is too far behind.
    pub(super) async fn before(
        &mut self,
        session: &Session,
        progress: &Progress,
    ) -> Result<(), Error> {
        let Some(limit) = self.options.max_lag else { return Ok(()) };
        if self.asked_lag.is_some_and(|asked| asked.elapsed() < LAG_PAUSE) {
            return Ok(());
        }
        let waits_for = |what: Option<&'static str>| {
            progress.change(|view| {
                if let Some(backfill) = &mut view.backfill {
                    backfill.waits_for = what;
                }
            });
        };
        // As long as it takes: a replica that never catches up is for people to look at.
        loop {
            let row = session.query_one(REPLAYED, &[]).await?;
            let flushed = parse_lsn(row.get(0))?;
            let replayed = row.get::<_, Option<&str>>(1).map(parse_lsn).transpose()?;
            if row.get(2) && !self.is_blind {
                self.is_blind = true;
                progress.note(
                    "the role is not told how far replicas are (grant pg_monitor to it): --max-replica-lag has no effect",
                );
            }
            let now = Instant::now();
            self.asked_lag = Some(now);
            if lag(&mut self.marks, (now, flushed), replayed) <= limit {
                waits_for(None);
                return Ok(());
            }
            waits_for(Some("a replica"));
            tokio::time::sleep(LAG_PAUSE).await;
        }
    }

    /// Learns from a range, and waits where the limits say so.
    pub(super) async fn after(
        &mut self,
        session: &Session,
        rows: u64,
        took: Duration,
    ) -> Result<(), Error> {
        self.rows = next_rows(self.rows, rows, took, self.options);
        self.is_patient = false;
        if let Some(limit) = self.options.wal_bytes_per_second {
            let at = parse_lsn(session.query_one(WAL, &[]).await?.get(0))?;
            if let Some((before, since)) = self.wal {
                tokio::time::sleep(wal_pause(at.bytes_since(before), since.elapsed(), limit)).await;
            }
            self.wal = Some((at, Instant::now()));
        }
        if !self.options.delay.is_zero() {
            tokio::time::sleep(self.options.delay).await;
        }
        Ok(())
    }
}

fn parse_lsn(text: &str) -> Result<Lsn, Error> {
    text.parse().map_err(|_| Error::Protocol("an unreadable pg_lsn"))
}

/// How long ago the WAL was where the last of the replicas is now; zero where there is none.
fn lag(
    marks: &mut VecDeque<(Instant, Lsn)>,
    (now, flushed): (Instant, Lsn),
    replayed: Option<Lsn>,
) -> Duration {
    let Some(replayed) = replayed else {
        marks.clear();
        return Duration::ZERO;
    };
    if marks.len() < MARK_LIMIT && marks.back().is_none_or(|(_, last)| *last < flushed) {
        marks.push_back((now, flushed));
    }
    while marks.front().is_some_and(|(_, lsn)| *lsn <= replayed) {
        marks.pop_front();
    }
    marks.front().map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
}

/// As many as take the wanted time, and at most twice as many as now.
fn next_rows(now: u32, done: u64, took: Duration, options: Backfilling) -> u32 {
    if done == 0 {
        return now;
    }
    let took_us = took.as_micros().max(1);
    let fitting = u128::from(done) * options.batch_time.as_micros() / took_us;
    let fitting = u32::try_from(fitting).unwrap_or(u32::MAX);
    let least = LEAST_ROWS.min(options.batch_rows);
    fitting.min(now.saturating_mul(2)).clamp(least, options.batch_rows.max(1))
}

/// Until `bytes` in all this time are no more than the limit.
#[expect(clippy::cast_precision_loss, reason = "a pause")]
fn wal_pause(bytes: u64, took: Duration, limit: u64) -> Duration {
    let due = Duration::from_secs_f64(bytes as f64 / limit.max(1) as f64);
    due.saturating_sub(took)
}

#[cfg(test)]
mod tests {
    use super::{Backfilling, lag, next_rows, wal_pause};
    use crate::pg::Lsn;
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    #[test]
    fn a_replica_that_stands_still_falls_behind() {
        let (start, mut marks) = (Instant::now(), VecDeque::new());
        let mut lag_at = |seconds: u64, flushed: u64, replayed: Option<u64>| {
            let now = start + Duration::from_secs(seconds);
            lag(&mut marks, (now, Lsn(flushed)), replayed.map(Lsn)).as_secs()
        };
        assert_eq!(lag_at(0, 100, Some(100)), 0);
        assert_eq!(lag_at(1, 200, Some(150)), 0);
        assert_eq!(lag_at(2, 300, Some(150)), 1);
        assert_eq!(lag_at(9, 300, Some(150)), 8);
        assert_eq!(lag_at(10, 300, Some(200)), 8);
        assert_eq!(lag_at(11, 300, Some(300)), 0);
        assert_eq!(lag_at(12, 400, Some(350)), 0);
        // It went away.
        assert_eq!(lag_at(20, 500, None), 0);
    }

    #[test]
    fn a_range_grows_to_the_wanted_time_and_shrinks_at_once() {
        let options = Backfilling::default();
        let rows = |now, done, ms| next_rows(now, done, Duration::from_millis(ms), options);
        assert_eq!(rows(500, 500, 5), 1000);
        assert_eq!(rows(8000, 8000, 80), 10_000);
        assert_eq!(rows(10_000, 10_000, 1000), 1000);
        assert_eq!(rows(50, 50, 60_000), 50);
        // A range without work says nothing.
        assert_eq!(rows(700, 0, 1), 700);
    }

    #[test]
    fn the_pause_brings_the_wal_rate_down_to_its_limit() {
        let ms = Duration::from_millis;
        assert_eq!(wal_pause(1000, ms(100), 1000), ms(900));
        assert_eq!(wal_pause(10, ms(100), 1000), Duration::ZERO);
    }
}
