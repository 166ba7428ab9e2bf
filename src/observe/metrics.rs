//! What can be scraped: names, kinds and units of all metrics, and the text that Prometheus reads.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>
//!
//! Labels there are none: every process follows one source into one target.
//! For users: `docs/metrics.md`.

use std::fmt::Write;

/// A metric; its name ends with its unit.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Grows from the start of the process.
    Counter,
    Gauge,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, help }
}

pub const STREAM_UP: Metric =
    gauge("backlot_stream_up", "1 while the stream is connected to both servers, else 0");
pub const STREAM_LAG_BYTES: Metric =
    gauge("backlot_stream_lag_bytes", "WAL of the source that is not yet applied");
pub const STREAM_LAG_SECONDS: Metric = gauge(
    "backlot_stream_lag_seconds",
    "Age of the last transaction applied, while there is WAL that is not applied; else 0",
);
pub const STREAM_TRANSACTIONS: Metric =
    counter("backlot_stream_transactions_applied_total", "Source transactions applied");
pub const STREAM_CHANGES: Metric =
    counter("backlot_stream_changes_applied_total", "Changes of rows applied");
pub const STREAM_ROWS_MASKED: Metric = counter(
    "backlot_stream_rows_masked_total",
    "Changes of rows masked, also those of transactions that are not committed, or never will be",
);
pub const STREAM_BYTES: Metric =
    counter("backlot_stream_bytes_applied_total", "Masked row bytes applied");
pub const STREAM_GROUPS: Metric = counter(
    "backlot_stream_groups_applied_total",
    "Target transactions committed; changes per group are the group's size",
);
pub const STREAM_APPLY_SECONDS: Metric =
    counter("backlot_stream_apply_seconds_total", "Time spent applying groups");
pub const STREAM_RECEIVED_LSN: Metric =
    gauge("backlot_stream_received_lsn", "Last position received from the source, as a number");
pub const STREAM_APPLIED_LSN: Metric = gauge(
    "backlot_stream_applied_lsn",
    "Checkpoint: everything committed before it is on the target",
);
pub const STREAM_FLUSHED_LSN: Metric = gauge(
    "backlot_stream_flushed_lsn",
    "Position that is flushed on the target and told to the source",
);
pub const STREAM_QUARANTINED: Metric =
    gauge("backlot_stream_quarantined_transactions", "Source transactions in the quarantine");
pub const STREAM_STALE_TABLES: Metric =
    gauge("backlot_stream_stale_tables", "Tables that are not followed until they are re-synced");
pub const STREAM_RECONNECTS: Metric =
    counter("backlot_stream_reconnects_total", "Times that the stream had to connect anew");
pub const SLOT_RETAINED_BYTES: Metric =
    gauge("backlot_slot_retained_bytes", "WAL that the slot keeps on the source's disk");
pub const SLOT_SAFE_BYTES: Metric = gauge(
    "backlot_slot_safe_bytes",
    "WAL that may be written until the slot is lost; absent without max_slot_wal_keep_size",
);

/// All of them, in the order of their documentation.
pub const METRICS: [Metric; 17] = [
    STREAM_UP,
    STREAM_LAG_BYTES,
    STREAM_LAG_SECONDS,
    STREAM_TRANSACTIONS,
    STREAM_ROWS_MASKED,
    STREAM_CHANGES,
    STREAM_BYTES,
    STREAM_GROUPS,
    STREAM_APPLY_SECONDS,
    STREAM_RECEIVED_LSN,
    STREAM_APPLIED_LSN,
    STREAM_FLUSHED_LSN,
    STREAM_QUARANTINED,
    STREAM_STALE_TABLES,
    STREAM_RECONNECTS,
    SLOT_RETAINED_BYTES,
    SLOT_SAFE_BYTES,
];

/// The value of a metric at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    Whole(u64),
    Seconds(f64),
}

/// The body of a scrape.
pub fn exposition(readings: &[(Metric, Reading)]) -> String {
    let mut out = String::new();
    for (metric, reading) in readings {
        let Metric { name, help, kind } = metric;
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        let value = match reading {
            Reading::Whole(value) => value.to_string(),
            Reading::Seconds(value) => value.to_string(),
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{METRICS, MetricKind, Reading, STREAM_LAG_SECONDS, STREAM_RECONNECTS, exposition};

    #[test]
    fn a_scrape_has_help_type_and_value_of_each_metric() {
        let readings = [
            (STREAM_RECONNECTS, Reading::Whole(u64::MAX)),
            (STREAM_LAG_SECONDS, Reading::Seconds(0.25)),
        ];
        let text = exposition(&readings);
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[1], "# TYPE backlot_stream_reconnects_total counter");
        assert_eq!(lines[2], "backlot_stream_reconnects_total 18446744073709551615");
        assert_eq!(lines[5], "backlot_stream_lag_seconds 0.25");
    }

    #[test]
    fn names_are_unique_documented_and_counters_end_with_total() {
        let names = METRICS.map(|metric| metric.name);
        for (at, metric) in METRICS.iter().enumerate() {
            assert!(!names[..at].contains(&metric.name), "{}", metric.name);
            let is_total = metric.name.ends_with("_total");
            assert_eq!(is_total, metric.kind == MetricKind::Counter, "{}", metric.name);
            let kind = if is_total { "counter" } else { "gauge" };
            let row = format!("| `{}` | {kind} |", metric.name);
            assert!(include_str!("../../docs/metrics.md").contains(&row), "{row}");
            assert!(!metric.help.contains('\n') && metric.name.starts_with("backlot_"));
        }
    }
}
