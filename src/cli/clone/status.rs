//! `backlot clone status`

use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::pg::{ConnInfo, Error, Lsn, Session};
use crate::source::{SlotState, position};
use crate::state::{Checkpoint, CloneProgress, LockHolder, Overview, StreamProgress};
use clap::Args;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Args)]
pub(in crate::cli) struct StatusArgs {
    /// The database that is copied or followed (or BACKLOT_SOURCE_URL); without it, lag and slot are not known
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
    /// The database that was made or is being made (or BACKLOT_TARGET_URL)
    #[arg(long, value_name = "URL")]
    target_url: Option<String>,
    #[command(flatten)]
    pub(super) target_branch: super::TargetBranch,
}

/// `application_name` of a running stream's sessions.
const STREAM_NAME: &str = "backlot stream";
/// Between the two looks at the checkpoint that give the rate.
const RATE_PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(args: StatusArgs, global: &Global) -> Result<(), Failure> {
    let flag = args.target_url.as_deref();
    let (_, target) = environment::server(flag, "BACKLOT_TARGET_URL", "--target-url")?;
    let session = Session::connect(&target, "backlot status").await?;
    let overview = Overview::read(&session).await?;
    if overview.clone.is_none() && overview.stream.is_none() {
        let hint = "`backlot clone start` makes a clone, `--follow` lets it follow its source";
        return Err(Failure::not_found("the target has no clone and no stream").hint(hint));
    }
    let report = Report {
        source: source(&args, &overview).await?,
        rate: rate(&session, &overview).await?,
        overview,
    };
    if global.json {
        output::json(&report.json())?;
    } else {
        report.print()?;
    }
    let Some(stream) = &report.overview.stream else { return Ok(()) };
    let (quarantined, stale) = (stream.quarantine.len(), stream.stale());
    if quarantined > 0 || !stale.is_empty() {
        return Err(Failure::left_over(quarantined as u64, &stale));
    }
    Ok(())
}

struct Report {
    overview: Overview,
    source: SourceLook,
    rate: Option<Rate>,
}

/// What the source says, if it was asked and could be.
enum SourceLook {
    NotAsked,
    Failed(Error),
    Seen { end: Lsn, slot: Option<SlotState> },
}

struct Rate {
    changes_per_second: f64,
    bytes_per_second: f64,
}

async fn source(args: &StatusArgs, overview: &Overview) -> Result<SourceLook, Failure> {
    let is_named = args.source_url.is_some() || environment::text("BACKLOT_SOURCE_URL").is_some();
    let (Some(stream), true) = (&overview.stream, is_named) else {
        return Ok(SourceLook::NotAsked);
    };
    let flag = args.source_url.as_deref();
    let (_, info) = environment::server(flag, "BACKLOT_SOURCE_URL", "--source-url")?;
    Ok(look(&info, &stream.record.slot_name).await.unwrap_or_else(SourceLook::Failed))
}

async fn look(info: &ConnInfo, slot_name: &str) -> Result<SourceLook, Error> {
    let session = Session::connect(info, "backlot status").await?;
    let slot = SlotState::read(&session, slot_name).await?;
    Ok(SourceLook::Seen { end: position(&session).await?, slot })
}

/// By two looks at the checkpoint of a stream that runs.
async fn rate(session: &Session, overview: &Overview) -> Result<Option<Rate>, Failure> {
    let Some(stream) = overview.stream.as_ref().filter(|_| overview.is_streaming()) else {
        return Ok(None);
    };
    tokio::time::sleep(RATE_PAUSE).await;
    let Some(after) = Checkpoint::read(session).await? else { return Ok(None) };
    let before = &stream.checkpoint;
    let seconds = (after.looked_at - before.looked_at).max(0.001);
    let a_second = |after: i64, before: i64| to_float(after.saturating_sub(before)) / seconds;
    Ok(Some(Rate {
        changes_per_second: a_second(after.changes, before.changes),
        bytes_per_second: a_second(after.bytes, before.bytes),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "shown rounded")]
fn to_float(number: i64) -> f64 {
    number as f64
}

impl Overview {
    fn is_streaming(&self) -> bool {
        self.holder.as_ref().is_some_and(is_stream)
    }
}

fn is_stream(holder: &LockHolder) -> bool {
    holder.application_name.as_deref() == Some(STREAM_NAME)
}

impl CloneProgress {
    fn is_done(&self) -> bool {
        self.finished_at.is_some()
    }

    /// If the rest goes as what is done did, and somebody works on it.
    fn eta_s(&self, is_running: bool) -> Option<f64> {
        let can_tell = is_running && !self.is_done() && self.ranges_done > 0;
        let rest = to_float(self.ranges - self.ranges_done) / to_float(self.ranges_done.max(1));
        can_tell.then_some(self.seconds * rest)
    }
}

impl Report {
    fn lag_bytes(&self, stream: &StreamProgress) -> Option<u64> {
        match &self.source {
            SourceLook::Seen { end, .. } => Some(end.bytes_since(stream.checkpoint.end_lsn)),
            SourceLook::NotAsked | SourceLook::Failed(_) => None,
        }
    }

    /// Age of the last transaction applied, unless everything is.
    fn lag_s(&self, stream: &StreamProgress) -> Option<f64> {
        if self.lag_bytes(stream) == Some(0) {
            return Some(0.0);
        }
        stream.checkpoint.commit_age_s
    }

    fn json(&self) -> Value {
        let Overview { clone, stream, holder } = &self.overview;
        let is_cloning = holder.as_ref().is_some_and(|holder| !is_stream(holder));
        let clone = clone.as_ref().map(|clone| {
            json!({
                "source": clone.source, "phase": clone.phase, "started_at": clone.started_at,
                "finished_at": clone.finished_at, "seconds": clone.seconds, "ranges": clone.ranges,
                "ranges_done": clone.ranges_done, "rows": clone.rows, "bytes": clone.bytes,
                "is_running": is_cloning, "eta_seconds": clone.eta_s(is_cloning),
            })
        });
        json!({
            "clone": clone,
            "stream": stream.as_ref().map(|stream| self.stream_json(stream)),
            "lock_holder": holder,
        })
    }

    fn stream_json(&self, stream: &StreamProgress) -> Value {
        let StreamProgress { record, checkpoint, tables, quarantine } = stream;
        let (slot, error) = match &self.source {
            SourceLook::NotAsked => (None, None),
            SourceLook::Failed(error) => (None, Some(error.to_string())),
            SourceLook::Seen { end, slot } => {
                (slot.as_ref().map(|slot| slot_json(slot, *end)), None)
            }
        };
        json!({
            "is_running": self.overview.is_streaming(), "source": record.source,
            "slot_name": record.slot_name, "publications": record.publications,
            "started_at": checkpoint.started_at, "checkpoint": checkpoint.end_lsn.to_string(),
            "last_commit_at": checkpoint.commit_time, "updated_at": checkpoint.updated_at,
            "lag_bytes": self.lag_bytes(stream), "lag_seconds": self.lag_s(stream),
            "transactions": checkpoint.transactions, "changes": checkpoint.changes,
            "bytes": checkpoint.bytes,
            "changes_per_second": self.rate.as_ref().map(|rate| rate.changes_per_second),
            "bytes_per_second": self.rate.as_ref().map(|rate| rate.bytes_per_second),
            "slot": slot, "source_error": error, "tables": tables, "quarantine": quarantine,
        })
    }

    fn print(&self) -> Result<(), Failure> {
        let mut facts = Table::new();
        facts.load_style(presets::NOTHING);
        let Overview { clone, stream, holder } = &self.overview;
        if let Some(clone) = clone {
            facts.add_row(["clone", &self.clone_line(clone)]);
        }
        if let Some(stream) = stream {
            for (name, value) in self.stream_lines(stream) {
                facts.add_row([name, &value]);
            }
        } else {
            facts.add_row(["stream", "none: the clone is as its source was"]);
        }
        if let Some(holder) = holder {
            facts.add_row(["runs", &holder_line(holder)]);
        }
        output::line(&trimmed(&facts))?;
        let Some(stream) = stream else { return Ok(()) };
        print_tables(stream)
    }

    fn clone_line(&self, clone: &CloneProgress) -> String {
        let CloneProgress { source, phase, ranges, ranges_done, .. } = clone;
        if let Some(finished_at) = &clone.finished_at {
            return format!("of {source}, complete since {finished_at}");
        }
        let rows = output::count(u64::try_from(clone.rows).unwrap_or(0));
        let bytes = output::bytes(u64::try_from(clone.bytes).unwrap_or(0));
        let holder = self.overview.holder.as_ref();
        let is_running = holder.is_some_and(|holder| !is_stream(holder));
        let rest = match clone.eta_s(is_running) {
            Some(eta) => format!("about {eta:.0} s left"),
            None if is_running => "running".to_owned(),
            None => "interrupted: the same `backlot clone start` goes on".to_owned(),
        };
        format!(
            "of {source}, phase {phase}: {ranges_done} of {ranges} ranges, {rows} rows, {bytes}; {rest}"
        )
    }

    fn stream_lines(&self, stream: &StreamProgress) -> Vec<(&'static str, String)> {
        let StreamProgress { record, checkpoint, .. } = stream;
        let running = if self.overview.is_streaming() { "running" } else { "not running" };
        let lag = match (self.lag_bytes(stream), self.lag_s(stream)) {
            (Some(bytes), Some(seconds)) => format!("{}, {seconds:.1} s", output::bytes(bytes)),
            (Some(bytes), None) => output::bytes(bytes),
            (None, _) => "not known: the source was not asked (--source-url)".to_owned(),
        };
        let lag = match &self.source {
            SourceLook::Failed(error) => format!("not known: {error}"),
            SourceLook::NotAsked | SourceLook::Seen { .. } => lag,
        };
        let count = |number: i64| output::count(u64::try_from(number).unwrap_or(0));
        let rate =
            self.rate.as_ref().map(|rate| format!("; {:.0} changes/s", rate.changes_per_second));
        let mut lines = vec![
            ("stream", format!("of {}, {running}", record.source)),
            ("lag", lag),
            (
                "last commit",
                format!(
                    "{}, checkpoint {}",
                    checkpoint.commit_time.as_deref().unwrap_or("none yet"),
                    checkpoint.end_lsn
                ),
            ),
            (
                "applied",
                format!(
                    "{} transactions, {} changes{}",
                    count(checkpoint.transactions),
                    count(checkpoint.changes),
                    rate.unwrap_or_default()
                ),
            ),
        ];
        if let SourceLook::Seen { end, slot } = &self.source {
            lines.push(("slot", slot_line(&record.slot_name, slot.as_ref(), *end)));
        }
        lines
    }
}

fn slot_json(slot: &SlotState, end: Lsn) -> Value {
    json!({
        "wal_status": slot.wal_status, "retained_bytes": retained(slot, end),
        "safe_wal_size": slot.safe_wal_bytes, "active_pid": slot.holder.as_ref().map(|holder| holder.pid),
        "confirmed_flush_lsn": slot.confirmed_flush_lsn.map(|lsn| lsn.to_string()), "loss": slot.loss(),
    })
}

fn retained(slot: &SlotState, end: Lsn) -> u64 {
    end.bytes_since(slot.restart_lsn.unwrap_or(end))
}

fn slot_line(name: &str, slot: Option<&SlotState>, end: Lsn) -> String {
    let Some(slot) = slot else {
        return format!(
            "{name} is gone: build the target anew with `backlot clone start --follow --replace`"
        );
    };
    if let Some(loss) = slot.loss() {
        return format!("{name} is lost: {loss}");
    }
    let status = slot.wal_status.as_deref().unwrap_or("unknown");
    let kept = output::bytes(retained(slot, end));
    let safe = slot.safe_wal_bytes.map(|bytes| {
        format!(", {} more until it is lost", output::bytes(u64::try_from(bytes).unwrap_or(0)))
    });
    let holder =
        slot.holder.as_ref().map_or("nobody".to_owned(), |holder| format!("pid {}", holder.pid));
    format!("{name}, {status}, keeps {kept} of WAL{}, read by {holder}", safe.unwrap_or_default())
}

fn holder_line(holder: &LockHolder) -> String {
    let name = holder.application_name.as_deref().unwrap_or("unknown");
    let since = holder.since.as_deref().unwrap_or("unknown");
    format!("{name}, pid {} on the target, since {since}", holder.pid)
}

fn print_tables(stream: &StreamProgress) -> Result<(), Failure> {
    let mut tables = Table::new();
    tables.load_style(presets::NOTHING).set_header(["table", "state", "reason"]);
    for table in &stream.tables {
        tables.add_row([&table.table, &table.state, table.reason.as_deref().unwrap_or_default()]);
    }
    if !stream.tables.is_empty() {
        output::line(&trimmed(&tables))?;
    }
    let mut quarantine = Table::new();
    quarantine.load_style(presets::NOTHING);
    quarantine.set_header(["quarantined", "commit", "changes", "table", "reason"]);
    for one in &stream.quarantine {
        quarantine.add_row([
            &one.id.to_string(),
            &one.commit_lsn,
            &one.changes.to_string(),
            one.relation.as_deref().unwrap_or_default(),
            &one.reason,
        ]);
    }
    if stream.quarantine.is_empty() { Ok(()) } else { output::line(&trimmed(&quarantine)) }
}

/// Without blanks at the end of lines.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
