//! `backlot clone verify`

use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::pg::ConnInfo;
use crate::sink::apply::OnError;
use crate::stream::{self, Status, StreamError};
use crate::transform::key::RootKey;
use crate::transform::spec::Pattern;
use crate::verify::{
    self, Options, Progress, Report, Stage, TableDifference, Verdict, VerifyError,
};
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::SecretString;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

#[derive(Args)]
pub(in crate::cli) struct VerifyArgs {
    /// The database that was copied (or BACKLOT_SOURCE_URL); it is only read
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
    /// The database to verify (or BACKLOT_TARGET_URL); it is only read
    #[arg(long, value_name = "URL")]
    target_url: Option<String>,
    #[command(flatten)]
    pub(super) target_branch: super::TargetBranch,
    /// The key of the fakes: a file, or - for standard input (or BACKLOT_KEY, BACKLOT_KEY_FILE, .backlot/key)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Only these tables (schema.table, * allowed)
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    tables: Vec<String>,
    /// Connections to each side that read at the same time
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Rows that are listed of each table and kind of difference
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
    rows: u16,
    /// Do not look for source values of masked columns
    #[arg(long)]
    no_leak_scan: bool,
}

/// Log lines and events are written this often.
const LINE: Duration = Duration::from_secs(2);
/// Longest wait for a stream of our own to begin.
const STREAM_TIMEOUT: Duration = Duration::from_mins(1);
/// Bars are redrawn this often.
const FRAME: Duration = Duration::from_millis(100);

pub(super) async fn run(args: VerifyArgs, global: &Global) -> Result<(), Failure> {
    let key = Arc::new(environment::key(args.key_file.as_deref())?);
    let options = options(&args)?;
    let progress = Arc::new(Progress::default());
    let mut job = Box::pin(verified(&options, &key, &progress));
    let mut display = Display::new(global);
    let report = loop {
        tokio::select! {
            report = &mut job => break report,
            () = tokio::time::sleep(FRAME) => display.show(&progress),
        }
    };
    drop(display);
    let report = report?;
    print(&report, global)?;
    judge(&report)
}

/// Verifies; a target whose stream is not running is given one for the time being.
async fn verified(
    options: &Options,
    key: &Arc<RootKey>,
    progress: &Arc<Progress>,
) -> Result<Report, Failure> {
    match Box::pin(verify::run(options, key, progress)).await {
        Err(VerifyError::NoStream) => {}
        other => return other.map_err(Failure::from),
    }
    let following = stream::Options {
        source: options.source.clone(),
        target: options.target.clone(),
        until_caught_up: false,
        on_error: OnError::Stop,
        lag_limit_bytes: None,
        config: None,
        skip_foreign_origins: false,
        accept_timeline: false,
        spill_directory: environment::text("TMPDIR")
            .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        resync_every: None,
    };
    let status = Arc::new(Status::default());
    let (stop, shutdown) = watch::channel(false);
    let mut stream = Box::pin(stream::run(&following, key, &status, shutdown));
    let ended = tokio::select! {
        ended = &mut stream => ended,
        report = until_streaming(options, key, progress) => {
            // Its receiver lives as long as the stream.
            let _ = stop.send(true);
            return match stream.await {
                // Another one had begun before ours, and has answered.
                Ok(_) | Err(StreamError::TargetBusy) => report.map_err(Failure::from),
                Err(error) => Err(error.into()),
            };
        }
    };
    match ended {
        Err(StreamError::TargetBusy) => {
            until_streaming(options, key, progress).await.map_err(Failure::from)
        }
        // A stream that ends before it was told to has failed, or somebody stopped it.
        Err(error) => Err(error.into()),
        Ok(_) => Err(VerifyError::NoStream.into()),
    }
}

/// Tries until the stream has the target's lock.
async fn until_streaming(
    options: &Options,
    key: &Arc<RootKey>,
    progress: &Arc<Progress>,
) -> Result<Report, VerifyError> {
    let deadline = Instant::now() + STREAM_TIMEOUT;
    loop {
        match Box::pin(verify::run(options, key, progress)).await {
            Err(VerifyError::NoStream) if Instant::now() < deadline => {
                tokio::time::sleep(FRAME).await;
            }
            other => return other,
        }
    }
}

fn options(args: &VerifyArgs) -> Result<Options, Failure> {
    let server = |flag: &Option<String>, variable, name| -> Result<(SecretString, ConnInfo), _> {
        environment::server(flag.as_deref(), variable, name)
    };
    let (source_url, source) = server(&args.source_url, "BACKLOT_SOURCE_URL", "--source-url")?;
    let (target_url, target) = server(&args.target_url, "BACKLOT_TARGET_URL", "--target-url")?;
    let tables = args.tables.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?;
    Ok(Options {
        source,
        source_url,
        target,
        target_url,
        tables,
        jobs: args.jobs.map_or_else(super::default_jobs, usize::from),
        leak_scan: !args.no_leak_scan,
        shown: usize::from(args.rows),
    })
}

fn pattern(text: &str) -> Result<Pattern, Failure> {
    let (schema, name) = text.split_once('.').unwrap_or(("public", text));
    if schema.is_empty() || name.is_empty() {
        return Err(Failure::usage(format!("--tables {text}: write it as schema.table")));
    }
    Ok(Pattern { schema: schema.to_owned(), name: name.to_owned() })
}

/// Progress for people: a bar on a terminal, plain lines in a log, events with `--json`.
struct Display {
    bar: Option<ProgressBar>,
    is_json: bool,
    is_quiet: bool,
    stage: Option<Stage>,
    since: Instant,
    last: Option<Instant>,
}

impl Display {
    fn new(global: &Global) -> Self {
        let bar = (!global.json && !global.quiet && output::draws_bars()).then(|| {
            let template = "{spinner} {msg:32} {bar:30} {percent:>3} % {prefix}";
            let style = ProgressStyle::with_template(template);
            let bar = ProgressBar::new(1);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let (is_json, is_quiet) = (global.json, global.quiet);
        Self { bar, is_json, is_quiet, stage: None, since: Instant::now(), last: None }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shown rounded"
    )]
    fn show(&mut self, progress: &Progress) {
        let stage = progress.stage();
        let is_new = self.stage != Some(stage);
        if is_new {
            (self.stage, self.since) = (Some(stage), Instant::now());
        }
        let load = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
        let (size, done) = (load(&progress.size_bytes), load(&progress.done_bytes));
        let (bytes, rows) = (load(&progress.bytes), load(&progress.rows));
        let seconds = self.since.elapsed().as_secs_f64().max(0.05);
        let rate = (bytes as f64 / seconds) as u64;
        let left = size.saturating_sub(done) as f64;
        let eta = (done > 0).then(|| (left * seconds / done as f64) as u64);
        let eta_text = eta.map_or_else(|| "?".to_owned(), |eta| format!("{eta} s"));
        let talk =
            format!("{} rows, {}/s, {eta_text} left", output::count(rows), output::bytes(rate));
        if let Some(bar) = &self.bar {
            bar.set_message(stage.name());
            bar.set_length(size.max(1));
            bar.set_position(done);
            bar.set_prefix(talk);
            return bar.tick();
        }
        if self.is_quiet || !(is_new || self.last.is_none_or(|last| last.elapsed() >= LINE)) {
            return;
        }
        self.last = Some(Instant::now());
        if self.is_json {
            // Nobody can be told that stdout is closed; the report says it again.
            drop(output::json(&json!({
                "event": "progress", "stage": stage.name(), "bytes": bytes, "rows": rows,
                "bytes_per_second": rate, "eta_seconds": eta,
            })));
        } else if bytes == 0 {
            output::say(stage.name());
        } else {
            output::say(&format!("{}: {talk}", stage.name()));
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn print(report: &Report, global: &Global) -> Result<(), Failure> {
    if global.json {
        let mut document = serde_json::to_value(report)
            .map_err(|error| Failure::internal(format!("write the report: {error}")))?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("event".into(), json!("report"));
        }
        return output::json(&document);
    }
    if !report.differences.is_empty() {
        output::line(&table(&report.differences).to_string())?;
    }
    for table in &report.differences {
        rows(table)?;
    }
    for leak in &report.leaks {
        output::line(&format!("leak: {} ({}): {}", leak.column, leak.values, leak.because))?;
    }
    for orphans in &report.orphans {
        let count = output::count(orphans.orphans);
        output::line(&format!("orphans: {}: {count}", orphans.reference))?;
    }
    for sequence in &report.sequences_behind {
        output::line(&format!(
            "sequence: {} is at {}, behind the source's {}",
            sequence.sequence, sequence.target, sequence.source
        ))?;
    }
    for note in &report.notes {
        output::line(&format!("note: {note}"))?;
    }
    closing(report)
}

fn table(differences: &[TableDifference]) -> Table {
    let mut shown = Table::new();
    shown.load_style(presets::NOTHING);
    shown.set_header(["table", "rows in source", "in target", "missing", "extra", "different", ""]);
    for table in differences {
        let least = if table.is_complete { "" } else { "≥ " };
        let number = |number: u64, least: &str| {
            Cell::new(format!("{least}{}", output::count(number)))
                .set_alignment(CellAlignment::Right)
        };
        shown.add_row([
            Cell::new(&table.table),
            number(table.source_rows, ""),
            number(table.target_rows, ""),
            number(table.missing, least),
            number(table.extra, least),
            number(table.different, least),
            Cell::new(table.not_followed.as_deref().unwrap_or_default()),
        ]);
    }
    shown
}

fn rows(table: &TableDifference) -> Result<(), Failure> {
    for key in &table.missing_rows {
        output::line(&format!("missing: {}: {key}", table.table))?;
    }
    for key in &table.extra_rows {
        output::line(&format!("extra: {}: {key}", table.table))?;
    }
    for row in &table.different_rows {
        let columns = row.columns.join(", ");
        output::line(&format!("different: {}: {}: {columns}", table.table, row.key))?;
    }
    Ok(())
}

fn closing(report: &Report) -> Result<(), Failure> {
    let scan = match report.leak_scan {
        None => "leaks not looked for".to_owned(),
        Some(scan) if scan.share < 1.0 => {
            format!("{} leaks in a sample of {:.1} %", report.leaks.len(), scan.share * 100.0)
        }
        Some(_) => format!("{} leaks", report.leaks.len()),
    };
    let orphans: u64 = report.orphans.iter().map(|orphans| orphans.orphans).sum();
    let at = report.lsn.as_ref().map_or_else(String::new, |lsn| format!(" at {lsn}"));
    let word = if report.verdict == Verdict::Verified { "verified" } else { "not verified" };
    let equal = if report.differences.is_empty() {
        format!("{} rows of {} tables equal", output::count(report.rows), report.tables)
    } else {
        format!("{} of {} tables equal", report.tables_equal, report.tables)
    };
    output::line(&format!(
        "{word}{at}: {equal}, {orphans} orphans of {} references, {scan}, in {:.1} s",
        report.references, report.seconds
    ))
}

fn judge(report: &Report) -> Result<(), Failure> {
    match report.verdict {
        Verdict::Verified => Ok(()),
        Verdict::NotFollowed => {
            let tables = report.differences.iter().map(|table| table.table.clone());
            Err(Failure::left_over(0, &tables.collect::<Vec<_>>()))
        }
        Verdict::Differs => {
            Err(Failure::differs("the target is not what the rules make of the source"))
        }
        Verdict::Leaks => {
            Err(Failure::refused("source values of masked columns stand in the target")
                .hint("give the columns that are named a rule, and clone again"))
        }
    }
}
