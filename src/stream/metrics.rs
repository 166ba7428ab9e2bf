//! A stream's status as metrics.

use super::status::{Phase, Status, TableState};
use crate::observe::metrics::{
    self, Metric, Reading, SLOT_RETAINED_BYTES, SLOT_SAFE_BYTES, STREAM_APPLIED_LSN,
    STREAM_APPLY_SECONDS, STREAM_BYTES, STREAM_CHANGES, STREAM_FLUSHED_LSN, STREAM_GROUPS,
    STREAM_LAG_BYTES, STREAM_LAG_SECONDS, STREAM_QUARANTINED, STREAM_RECEIVED_LSN,
    STREAM_RECONNECTS, STREAM_ROWS_MASKED, STREAM_STALE_TABLES, STREAM_TRANSACTIONS, STREAM_UP,
};

impl Status {
    /// The body of a scrape. `now_us`: microseconds since 2000-01-01 UTC.
    pub fn exposition(&self, now_us: i64) -> String {
        metrics::exposition(&self.readings(now_us))
    }

    fn readings(&self, now_us: i64) -> Vec<(Metric, Reading)> {
        let numbers = self.numbers();
        let slot = self.slot();
        let is_up = match self.phase() {
            Phase::Streaming | Phase::Draining => 1,
            Phase::Connecting | Phase::Reconnecting | Phase::Stopped => 0,
        };
        let stale = self.tables().values().filter(|table| table.state == TableState::Stale).count();
        let mut readings = vec![
            (STREAM_UP, Reading::Whole(is_up)),
            (STREAM_LAG_BYTES, Reading::Whole(numbers.lag_bytes())),
            (STREAM_LAG_SECONDS, seconds(numbers.lag_us(now_us))),
            (STREAM_TRANSACTIONS, Reading::Whole(numbers.transactions)),
            (STREAM_ROWS_MASKED, Reading::Whole(numbers.rows_masked)),
            (STREAM_CHANGES, Reading::Whole(numbers.changes)),
            (STREAM_BYTES, Reading::Whole(numbers.bytes)),
            (STREAM_GROUPS, Reading::Whole(numbers.groups)),
            (STREAM_APPLY_SECONDS, seconds(numbers.apply_us)),
            (STREAM_RECEIVED_LSN, Reading::Whole(numbers.received.0)),
            (STREAM_APPLIED_LSN, Reading::Whole(numbers.applied.0)),
            (STREAM_FLUSHED_LSN, Reading::Whole(numbers.acknowledged.0)),
            (STREAM_QUARANTINED, Reading::Whole(numbers.quarantined)),
            (STREAM_STALE_TABLES, Reading::Whole(stale as u64)),
            (STREAM_RECONNECTS, Reading::Whole(numbers.reconnects)),
            (SLOT_RETAINED_BYTES, Reading::Whole(slot.retained_bytes)),
        ];
        readings.extend(slot.safe_bytes.map(|bytes| (SLOT_SAFE_BYTES, Reading::Whole(bytes))));
        readings
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for the next 285 years")]
fn seconds(microseconds: u64) -> Reading {
    Reading::Seconds(microseconds as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::super::status::{Phase, SlotHealth, Status};
    use crate::observe::metrics::METRICS;
    use crate::pg::Lsn;

    #[test]
    fn every_metric_is_read_once_with_its_unit() {
        let status = Status::default();
        status.enter(Phase::Streaming);
        status.set_applied(Lsn(1_000), Some(2_000_000));
        status.set_source_end(Lsn(1_500));
        status.count_group(2, 30, 4_096);
        status.count_masked(31);
        status.count_apply_time(std::time::Duration::from_millis(250));
        let (retained_bytes, safe_bytes) = (700, Some(9));
        status.set_slot(SlotHealth { wal_status: "reserved".into(), retained_bytes, safe_bytes });
        let text = status.exposition(3_500_000);
        let values = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
        assert_eq!(values.len(), METRICS.len());
        for (metric, line) in METRICS.iter().zip(&values) {
            assert!(line.starts_with(&format!("{} ", metric.name)), "{line}");
        }
        for line in [
            "backlot_stream_up 1",
            "backlot_stream_lag_bytes 500",
            "backlot_stream_lag_seconds 1.5",
            "backlot_stream_rows_masked_total 31",
            "backlot_stream_changes_applied_total 30",
            "backlot_stream_apply_seconds_total 0.25",
            "backlot_slot_safe_bytes 9",
        ] {
            assert!(values.contains(&line), "{line} in {text}");
        }
        status.enter(Phase::Reconnecting);
        status.set_slot(SlotHealth::default());
        let text = status.exposition(3_500_000);
        assert!(
            text.contains("backlot_stream_up 0\n") && !text.contains("backlot_slot_safe_bytes")
        );
    }
}
