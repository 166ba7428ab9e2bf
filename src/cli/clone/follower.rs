//! The display of a stream: one line that is redrawn on a terminal, plain lines now and then in a
//! log, events with `--json`.

use super::stream::event;
use crate::cli::{Global, output};
use crate::stream::{Numbers, Status};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

const FRAME: Duration = Duration::from_secs(1);
const LINE: Duration = Duration::from_secs(10);
/// Seconds from 1970 to 2000, where PostgreSQL's clock begins.
const EPOCH_S: u64 = 946_684_800;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Line,
    Lines,
    Events,
    Nothing,
}

/// Shows a stream from a thread of its own until it is dropped.
pub(super) struct Follower {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub(super) fn start(status: Arc<Status>, global: &Global) -> Self {
        let style = match (global.json, global.quiet) {
            (true, _) => Style::Events,
            (false, true) => Style::Nothing,
            (false, false) if output::draws_bars() => Style::Line,
            (false, false) => Style::Lines,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || show(&status, style, &seen));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A display that panicked must not hide the result.
            drop(thread.join());
        }
    }
}

fn show(status: &Status, style: Style, stop: &AtomicBool) {
    let line = (style == Style::Line).then(|| {
        let line = ProgressBar::new_spinner();
        line.with_style(
            ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        )
    });
    let mut before = (Instant::now(), Numbers::default());
    let mut lined_at: Option<Instant> = None;
    loop {
        let is_last = stop.load(Ordering::SeqCst);
        for note in status.take_notes() {
            say(style, line.as_ref(), &note);
        }
        let numbers = status.numbers();
        let rate = rate(before, numbers);
        before = (Instant::now(), numbers);
        let is_due = lined_at.is_none_or(|at| at.elapsed() >= LINE);
        match style {
            Style::Line => {
                if let Some(line) = &line {
                    line.set_message(text(status, &numbers, rate));
                    line.tick();
                }
            }
            Style::Lines if is_due && lined_at.is_some() => {
                output::say(&text(status, &numbers, rate));
            }
            Style::Events if is_due || is_last => {
                drop(output::json(&event(status, &numbers, now_us())));
            }
            Style::Lines | Style::Events | Style::Nothing => {}
        }
        if is_due {
            lined_at = Some(Instant::now());
        }
        if is_last {
            break;
        }
        std::thread::park_timeout(FRAME);
    }
    if let Some(line) = line {
        line.finish_and_clear();
    }
}

fn say(style: Style, line: Option<&ProgressBar>, note: &str) {
    match (style, line) {
        (Style::Events, _) => drop(output::json(&json!({"event": "note", "message": note}))),
        (_, Some(line)) => line.println(note),
        (Style::Nothing, None) => {}
        (Style::Line | Style::Lines, None) => output::say(note),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shown rounded"
)]
fn rate((then, before): (Instant, Numbers), now: Numbers) -> u64 {
    let changes = now.changes.saturating_sub(before.changes) as f64;
    (changes / then.elapsed().as_secs_f64().max(0.05)) as u64
}

fn text(status: &Status, numbers: &Numbers, rate: u64) -> String {
    let lag_us = Duration::from_micros(numbers.lag_us(now_us()));
    let mut text = format!(
        "{}  {} changes/s  lag {} ({:.1} s)  {} transactions, {} changes",
        status.phase().name(),
        output::count(rate),
        output::bytes(numbers.lag_bytes()),
        lag_us.as_secs_f64(),
        output::count(numbers.transactions),
        output::count(numbers.changes),
    );
    if numbers.quarantined > 0 {
        text.push_str("  quarantined: ");
        text.push_str(&output::count(numbers.quarantined));
    }
    text
}

/// Microseconds since 2000-01-01 UTC, by our clock.
pub(super) fn now_us() -> i64 {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_S);
    let passed = start.elapsed().unwrap_or_default();
    i64::try_from(passed.as_micros()).unwrap_or(i64::MAX)
}
