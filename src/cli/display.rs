//! Progress for people: bars on a terminal, plain lines in a log, events with `--json`.

use super::output;
use crate::clone::{Progress, Stage};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bars are redrawn this often.
const FRAME: Duration = Duration::from_millis(100);
/// Log lines and events are written this often.
const LINE: Duration = Duration::from_secs(2);
/// Tables shown at the same time.
const TABLE_LIMIT: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Bars,
    Lines,
    Events,
    Nothing,
}

impl Style {
    pub(super) fn choose(is_json: bool, is_quiet: bool) -> Self {
        match (is_json, is_quiet) {
            (true, _) => Self::Events,
            (false, true) => Self::Nothing,
            (false, false) if output::draws_bars() => Self::Bars,
            (false, false) => Self::Lines,
        }
    }
}

/// Shows a clone's progress from a thread of its own until it is dropped.
pub(super) struct Display {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    pub(super) fn start(progress: Arc<Progress>, style: Style) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || show(&progress, style, &seen));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A display that panicked must not hide the result.
            drop(thread.join());
        }
    }
}

/// Totals at one moment.
#[derive(Clone, Copy, Default)]
struct Totals {
    size_bytes: u64,
    /// Of `size_bytes`, by ranges done and bytes under way.
    done_bytes: u64,
    bytes: u64,
    rows: u64,
    tables: usize,
    tables_done: usize,
}

fn totals(progress: &Progress) -> Totals {
    let mut totals = Totals::default();
    for table in progress.tables() {
        let done = table.ranges_done.load(Ordering::Relaxed);
        totals.tables += 1;
        totals.tables_done += usize::from(table.is_done());
        // Empty tables count as a byte, so that a clone of empty tables has a way to go.
        let size = table.size_bytes.max(1);
        totals.size_bytes += size;
        let finished = (size * done).checked_div(table.range_count).unwrap_or(size);
        let moving = table.counters.bytes.load(Ordering::Relaxed);
        totals.bytes += moving;
        totals.rows += table.counters.rows.load(Ordering::Relaxed);
        totals.done_bytes += finished.max(moving.min(size));
    }
    totals
}

/// Since the data phase began.
struct Clock {
    since: Option<Instant>,
}

/// What moved per second.
#[derive(Clone, Copy, Default)]
struct Rate {
    bytes: f64,
    rows: f64,
}

impl Clock {
    #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
    fn rate(&mut self, stage: Stage, totals: Totals) -> Rate {
        if stage != Stage::Data || totals.bytes == 0 {
            return Rate::default();
        }
        // The first look at moving bytes sets the clock: what came before it took no known time.
        let Some(since) = self.since else {
            self.since = Some(Instant::now());
            return Rate::default();
        };
        let seconds = since.elapsed().as_secs_f64().max(0.05);
        Rate { bytes: totals.bytes as f64 / seconds, rows: totals.rows as f64 / seconds }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn eta_s(totals: Totals, rate: f64) -> Option<f64> {
    let left = totals.size_bytes.saturating_sub(totals.done_bytes) as f64;
    (rate > 0.0 && totals.done_bytes > 0).then(|| left / rate)
}

fn show(progress: &Progress, style: Style, stop: &AtomicBool) {
    let mut bars = (style == Style::Bars).then(Bars::new);
    let mut clock = Clock { since: None };
    let mut last_line: Option<Instant> = None;
    let mut last_stage = None;
    loop {
        let is_last = stop.load(Ordering::SeqCst);
        let stage = progress.stage();
        let totals = totals(progress);
        let rate = clock.rate(stage, totals);
        for note in progress.take_notes() {
            match (style, &bars) {
                (Style::Events, _) => {
                    drop(output::json(&json!({"event": "note", "message": note})));
                }
                (Style::Bars, Some(bars)) => bars.say(&format!("note: {note}")),
                _ => output::say(&format!("note: {note}")), // lines, and quiet: a note is always said
            }
        }
        if let Some(bars) = &mut bars {
            bars.draw(progress, stage, totals, rate);
        } else if last_stage != Some(stage) || last_line.is_none_or(|last| last.elapsed() >= LINE) {
            if last_stage != Some(stage) || stage == Stage::Data {
                write_line(style, stage, totals, rate);
            }
            last_line = Some(Instant::now());
        }
        last_stage = Some(stage);
        if is_last {
            if let Some(bars) = &bars {
                bars.clear();
            }
            return;
        }
        std::thread::park_timeout(FRAME);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive rate, shown rounded"
)]
fn write_line(style: Style, stage: Stage, totals: Totals, rate: Rate) {
    let eta = eta_s(totals, rate.bytes);
    match style {
        Style::Events => drop(output::json(&json!({
            "event": "progress", "stage": stage.name(), "bytes": totals.bytes, "rows": totals.rows,
            "tables_done": totals.tables_done, "tables": totals.tables,
            "bytes_per_second": rate.bytes as u64, "rows_per_second": rate.rows as u64, "eta_seconds": eta.map(|eta| eta as u64),
        }))),
        Style::Lines if stage == Stage::Data && totals.bytes > 0 => output::say(&format!(
            "{}: {} of {} tables, {} rows, {} ({} rows/s, {}/s), {} left",
            stage.name(),
            totals.tables_done,
            totals.tables,
            output::count(totals.rows),
            output::bytes(totals.bytes),
            output::count(rate.rows as u64),
            output::bytes(rate.bytes as u64),
            eta.map_or_else(|| "?".to_owned(), |eta| format!("{eta:.0} s")),
        )),
        Style::Lines => output::say(stage.name()),
        Style::Nothing | Style::Bars => {}
    }
}

struct Bars {
    area: MultiProgress,
    total: ProgressBar,
    tables: HashMap<String, ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        let area = MultiProgress::new();
        let total = area.add(ProgressBar::new(0));
        let template = "{spinner} {msg:24} {bar:30} {percent:>3} % {prefix}";
        total.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self { area, total, tables: HashMap::new() }
    }

    fn say(&self, text: &str) {
        // A terminal that is gone cannot be written to.
        drop(self.area.println(text));
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive rate, shown rounded"
    )]
    fn draw(&mut self, progress: &Progress, stage: Stage, totals: Totals, rate: Rate) {
        self.total.set_length(totals.size_bytes.max(1));
        self.total.set_position(if stage == Stage::Data {
            totals.done_bytes
        } else {
            self.total.position()
        });
        self.total.set_message(stage.name());
        let eta =
            eta_s(totals, rate.bytes).map_or_else(String::new, |eta| format!(", {eta:.0} s left"));
        self.total.set_prefix(format!(
            "{} of {} tables, {} rows/s, {}/s{eta}",
            totals.tables_done,
            totals.tables,
            output::count(rate.rows as u64),
            output::bytes(rate.bytes as u64)
        ));
        self.total.tick();
        for table in progress.tables() {
            let bytes = table.counters.bytes.load(Ordering::Relaxed);
            if table.is_done() || stage != Stage::Data {
                if let Some(bar) = self.tables.remove(&table.name) {
                    bar.finish_and_clear();
                }
            } else if bytes > 0
                && (self.tables.contains_key(&table.name) || self.tables.len() < TABLE_LIMIT)
            {
                let bar = self.tables.entry(table.name.clone()).or_insert_with(|| {
                    let bar = self.area.add(ProgressBar::new(table.size_bytes.max(1)));
                    let template = "  {msg:24} {bar:30} {percent:>3} % {bytes}, {bytes_per_sec}";
                    bar.set_style(
                        ProgressStyle::with_template(template)
                            .unwrap_or_else(|_| ProgressStyle::default_bar()),
                    );
                    bar.set_message(table.name.clone());
                    bar
                });
                bar.set_position(bytes);
            }
        }
    }

    fn clear(&self) {
        for bar in self.tables.values() {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}
