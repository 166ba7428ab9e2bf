//! `backlot clone stream`

use super::SourceArgs;
use super::follower::Follower;
use super::metrics::MetricsArgs;
use super::planner::{Selection, outcome};
use crate::catalog;
use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::pg::{ConnInfo, Session};
use crate::sink::apply::OnError;
use crate::stream::{self, Numbers, Options, Outcome, Status};
use crate::transform::key::RootKey;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

#[derive(Args)]
pub(in crate::cli) struct StreamArgs {
    #[command(flatten)]
    pub(super) servers: ServerArgs,
    /// Other rules than those of `clone start`: tables whose rules differ are copied again
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// End once everything is applied that had committed when the stream began
    #[arg(long)]
    until_caught_up: bool,
    /// What to do with a source transaction that the target refuses
    #[arg(long, value_enum, default_value = "stop")]
    on_error: OnErrorArg,
    /// Give the slot up rather than keep more WAL than this on the source (500MB, 20GB); default: never
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_lag: Option<u64>,
    /// Leave out what the source itself received by replication
    #[arg(long)]
    skip_replicated: bool,
    /// Go on although the source failed over to another timeline, which is the one expected from then on
    #[arg(long)]
    accept_timeline: bool,
    /// Copy tables without replica identity again this often
    #[arg(long, value_name = "TIME", value_parser = crate::cli::parse_duration)]
    resync_every: Option<Duration>,
    #[command(flatten)]
    metrics: MetricsArgs,
}

/// Source, target and key of a stream.
#[derive(Args, Clone)]
pub(in crate::cli) struct ServerArgs {
    /// The database that is followed (or BACKLOT_SOURCE_URL); it is only read
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
    /// The database that follows (or BACKLOT_TARGET_URL)
    #[arg(long, value_name = "URL")]
    target_url: Option<String>,
    #[command(flatten)]
    pub(super) target_branch: super::TargetBranch,
    /// The key of the fakes: a file, or - for standard input (or BACKLOT_KEY, BACKLOT_KEY_FILE, .backlot/key)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnErrorArg {
    Stop,
    Quarantine,
}

pub(super) async fn run(args: StreamArgs, global: &Global) -> Result<(), Failure> {
    let (mut options, key) = args.servers.read()?;
    if let Some(file) = &args.config {
        options.config = Some(effective(file, &options.source).await?);
    }
    options.until_caught_up = args.until_caught_up;
    options.on_error = match args.on_error {
        OnErrorArg::Stop => OnError::Stop,
        OnErrorArg::Quarantine => OnError::Quarantine,
    };
    options.lag_limit_bytes = args.max_lag;
    options.skip_foreign_origins = args.skip_replicated;
    options.accept_timeline = args.accept_timeline;
    options.resync_every = args.resync_every;
    let status = Arc::new(Status::default());
    let exporter = args.metrics.serve(&status, global.quiet || global.json).await?;
    let followed = follow(&options, &key, &status, global).await;
    drop(exporter);
    followed
}

/// Follows to the end that was asked for and says what it came to.
pub(super) async fn follow(
    options: &Options,
    key: &Arc<RootKey>,
    status: &Arc<Status>,
    global: &Global,
) -> Result<(), Failure> {
    let (outcome, seconds) = supervised(options, key, status, global).await?;
    print_summary(&outcome, status, seconds, global)?;
    if outcome.quarantined > 0 || !outcome.stale.is_empty() {
        return Err(Failure::left_over(outcome.quarantined, &outcome.stale));
    }
    Ok(())
}

impl ServerArgs {
    /// A stream of these with nothing asked for.
    pub(super) fn read(&self) -> Result<(Options, Arc<RootKey>), Failure> {
        let options = plain(self.source()?, self.target()?);
        let key = Arc::new(environment::key(self.key_file.as_deref())?);
        Ok((options, key))
    }

    pub(super) fn source(&self) -> Result<ConnInfo, Failure> {
        let flag = self.source_url.as_deref();
        environment::server(flag, "BACKLOT_SOURCE_URL", "--source-url").map(|(_, info)| info)
    }

    pub(super) fn target(&self) -> Result<ConnInfo, Failure> {
        let flag = self.target_url.as_deref();
        environment::server(flag, "BACKLOT_TARGET_URL", "--target-url").map(|(_, info)| info)
    }
}

/// A stream from one to the other with nothing asked for.
pub(super) fn plain(source: ConnInfo, target: ConnInfo) -> Options {
    let spill_directory = environment::text("TMPDIR").unwrap_or_else(|| "/tmp".into()).into();
    Options {
        source,
        target,
        until_caught_up: false,
        on_error: OnError::Stop,
        lag_limit_bytes: None,
        config: None,
        skip_foreign_origins: false,
        accept_timeline: false,
        spill_directory,
        resync_every: None,
    }
}

/// The file with every column decided, as `clone start` would.
async fn effective(file: &std::path::Path, source: &ConnInfo) -> Result<String, Failure> {
    let args = SourceArgs::of_config(file.to_owned());
    let selection = Selection::read(&args)?;
    let session = Session::connect(source, "backlot").await?;
    let catalog = catalog::load(&session).await?;
    let outcome = outcome(&selection, source, None, &catalog).await?;
    Ok(outcome.config)
}

/// Runs the stream with its display. A first signal ends it in order, a second one at once.
pub(super) async fn supervised(
    options: &Options,
    key: &Arc<RootKey>,
    status: &Arc<Status>,
    global: &Global,
) -> Result<(Outcome, f64), Failure> {
    let (stop, shutdown) = watch::channel(false);
    let started = Instant::now();
    let display = Follower::start(Arc::clone(status), global);
    let mut job = Box::pin(stream::run(options, key, status, shutdown));
    let result = tokio::select! {
        // Nothing of the job is lost: it is polled again below.
        result = &mut job => result.map_err(Failure::from),
        () = signalled() => {
            // Its receiver lives as long as the job.
            let _ = stop.send(true);
            if !global.json {
                output::say("stopping: bringing what is in flight to its end");
            }
            tokio::select! {
                result = &mut job => result.map_err(Failure::from),
                () = signalled() => {
                    let hint = "what is committed is checkpointed; the same command goes on from there";
                    Err(Failure::interrupted("interrupted twice").hint(hint))
                }
            }
        }
    };
    drop(display);
    drop(job);
    Ok((result?, started.elapsed().as_secs_f64()))
}

async fn signalled() {
    let kind = tokio::signal::unix::SignalKind::terminate();
    let Ok(mut terminate) = tokio::signal::unix::signal(kind) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown rounded")]
fn print_summary(
    outcome: &Outcome,
    status: &Status,
    seconds: f64,
    global: &Global,
) -> Result<(), Failure> {
    let numbers = status.numbers();
    let tables = status.tables();
    let rate = numbers.changes as f64 / seconds.max(0.001);
    let values_changed = tables.values().map(|table| table.values_changed).sum::<u64>();
    if global.json {
        let shown = tables.iter().map(|(name, table)| {
            json!({
                "table": name.to_string(), "state": table.state.name(), "reason": table.reason,
                "inserts": table.counts.inserts, "updates": table.counts.updates,
                "deletes": table.counts.deletes, "truncates": table.counts.truncates,
                "values_changed": table.values_changed,
            })
        });
        return output::json(&json!({
            "event": "summary", "ended": ended(outcome), "checkpoint": outcome.checkpoint.to_string(),
            "transactions": numbers.transactions, "changes": numbers.changes, "bytes": numbers.bytes,
            "target_transactions": numbers.groups, "seconds": seconds, "changes_per_second": rate,
            "lag_bytes": numbers.lag_bytes(), "reconnects": numbers.reconnects,
            "quarantined": outcome.quarantined, "stale": outcome.stale, "sequences": outcome.sequences,
            "values_changed": values_changed, "tables": shown.collect::<Vec<_>>(),
        }));
    }
    output::line(&format!(
        "{}: {} transactions, {} changes in {seconds:.1} s ({} changes/s), {} values masked, lag {}, checkpoint {}",
        ended(outcome),
        output::count(numbers.transactions),
        output::count(numbers.changes),
        output::count(to_whole(rate)),
        output::count(values_changed),
        output::bytes(numbers.lag_bytes()),
        outcome.checkpoint,
    ))
}

fn ended(outcome: &Outcome) -> &'static str {
    if outcome.was_stopped { "stopped" } else { "caught up" }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate, never negative"
)]
fn to_whole(rate: f64) -> u64 {
    rate.round() as u64
}

/// A moment of the stream, as an event.
pub(super) fn event(status: &Status, numbers: &Numbers, now_us: i64) -> serde_json::Value {
    let slot = status.slot();
    json!({
        "event": "status", "phase": status.phase().name(),
        "received": numbers.received.to_string(), "applied": numbers.applied.to_string(),
        "acknowledged": numbers.acknowledged.to_string(), "source_end": numbers.source_end.to_string(),
        "lag_bytes": numbers.lag_bytes(), "lag_us": numbers.lag_us(now_us),
        "transactions": numbers.transactions, "changes": numbers.changes, "bytes": numbers.bytes,
        "quarantined": numbers.quarantined, "reconnects": numbers.reconnects,
        "slot": {"wal_status": slot.wal_status, "retained_bytes": slot.retained_bytes, "safe_bytes": slot.safe_bytes},
    })
}

/// `500MB`, `20GB`, `1TB`, or plain bytes: decimal, as sizes are printed.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || "write it as 500MB, 20GB or 1TB".to_owned();
    let upper = text.trim().to_uppercase();
    let split = upper.find(|c: char| !c.is_ascii_digit()).unwrap_or(upper.len());
    let (digits, unit) = upper.split_at(split);
    let scale: u64 = match unit.trim().trim_end_matches('B') {
        "" => 1,
        "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(scale).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("500MB"), Ok(500_000_000));
        assert_eq!(parse_size("2 gb"), Ok(2_000_000_000));
        assert_eq!(parse_size("77"), Ok(77));
        for bad in ["", "GB", "5 parsecs", "99999999999999TB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
