//! Progress of verbs of `roll`: a bar on a terminal, lines in a log, with `--json` one event a line, of
//! which the last is the result.

use crate::cli::display::Style;
use crate::cli::{Global, output};
use crate::roll::{BackfillView, Progress, View};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The bar is redrawn this often.
const FRAME: Duration = Duration::from_millis(100);
/// Lines and events are written this often.
const LINE: Duration = Duration::from_secs(2);

/// Shows a verb's progress from a thread of its own until it is dropped.
pub(super) struct Report {
    pub(super) progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Report {
    pub(super) fn start(global: &Global, is_verbose: bool) -> Self {
        let style = Style::choose(global.json, global.quiet);
        let progress = Arc::new(Progress::default());
        let stop = Arc::new(AtomicBool::new(false));
        let (watched, seen) = (Arc::clone(&progress), Arc::clone(&stop));
        let thread = std::thread::spawn(move || show(&watched, style, is_verbose, &seen));
        Self { progress, stop, thread: Some(thread) }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A display that panicked must not hide the result.
            drop(thread.join());
        }
    }
}

fn show(progress: &Progress, style: Style, is_verbose: bool, stop: &AtomicBool) {
    let bar = (style == Style::Bars).then(bar);
    let mut last_line = None::<Instant>;
    loop {
        let is_last = stop.load(Ordering::SeqCst);
        let view = progress.view();
        for note in progress.take_notes() {
            match (style, &bar) {
                (Style::Events, _) => event(&json!({"event": "note", "message": note})),
                (_, Some(bar)) => bar.println(format!("note: {note}")),
                (_, None) => output::say(&format!("note: {note}")),
            }
        }
        for step in progress.take_steps().iter().filter(|_| is_verbose) {
            match (style, &bar) {
                (Style::Events, _) => event(&json!({"event": "step", "step": step})),
                (_, Some(bar)) => bar.println(format!("step {step}")),
                (_, None) => output::say(&format!("step {step}")),
            }
        }
        if let Some(bar) = &bar {
            draw(bar, &view);
        } else if let Some(backfill) = &view.backfill
            && last_line.is_none_or(|last| last.elapsed() >= LINE)
        {
            write_line(style, backfill);
            last_line = Some(Instant::now());
        }
        if is_last {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            return;
        }
        std::thread::park_timeout(FRAME);
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{spinner} {msg:30} {bar:30} {percent:>3} % {prefix}";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

fn draw(bar: &ProgressBar, view: &View) {
    if let Some(backfill) = &view.backfill {
        bar.set_length(backfill.row_estimate.max(1));
        bar.set_position(backfill.rows);
        bar.set_message(format!("backfill {}", backfill.relation));
        bar.set_prefix(pace(backfill));
    } else {
        bar.set_length(view.step_count.max(1) as u64);
        bar.set_position(view.steps_done as u64);
        bar.set_message(view.step.clone().unwrap_or_default());
        bar.set_prefix(String::new());
    }
    bar.tick();
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive rate, shown rounded"
)]
fn pace(backfill: &BackfillView) -> String {
    if let Some(reason) = backfill.waits_for {
        return format!("waits for {reason}");
    }
    let rate = output::count(backfill.rows_per_second() as u64);
    match backfill.eta_s() {
        Some(eta) => format!("{rate} rows/s, {eta:.0} s left"),
        None => format!("{rate} rows/s"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive rate, shown rounded"
)]
fn write_line(style: Style, backfill: &BackfillView) {
    match style {
        Style::Events => event(&json!({
            "event": "backfill", "relation": backfill.relation, "rows": backfill.rows,
            "row_estimate": backfill.row_estimate,
            "rows_per_second": backfill.rows_per_second() as u64,
            "eta_seconds": backfill.eta_s().map(|eta| eta as u64),
            "waits_for": backfill.waits_for,
        })),
        Style::Lines => output::say(&format!(
            "backfill {}: {} of about {} rows ({})",
            backfill.relation,
            output::count(backfill.rows),
            output::count(backfill.row_estimate),
            pace(backfill),
        )),
        Style::Nothing | Style::Bars => {}
    }
}

/// One event a line. Whoever reads them may have gone: the migration goes on.
fn event(event: &serde_json::Value) {
    drop(output::json(event));
}
