//! `backlot clone start`

use super::stream::{follow, plain};
use super::{Selection, SourceArgs, decide, print_summary};
use crate::cli::display::{Display, Style};
use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output, project};
use crate::clone::{self, Follow, Options, Progress, RANGE_BYTES, Stage, Summary};
use crate::pg::{ConnInfo, Format, Session};
use crate::source::{Keeper, is_slot_name};
use crate::stream;
use crate::table_sync::Abort;
use crate::transform::key::RootKey;
use clap::{Args, ValueEnum};
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct StartArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The database to write (or BACKLOT_TARGET_URL); it must be empty
    #[arg(long, value_name = "URL")]
    target_url: Option<String>,
    #[command(flatten)]
    pub(super) target_branch: super::TargetBranch,
    /// Pairs of connections that copy at the same time
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Put the clone in the place of a target that holds data, once it is complete
    #[arg(long)]
    replace: bool,
    /// Drop what an interrupted clone left and begin anew
    #[arg(long)]
    restart: bool,
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Restore owners and grants too (the roles must exist on the target)
    #[arg(long)]
    with_owner: bool,
    /// COPY format: binary wherever the types allow it, or text everywhere
    #[arg(long, value_enum, default_value = "auto", hide_short_help = true)]
    format: FormatArg,
    /// How long the source's snapshot is held for a resume after a crash (0s: not at all)
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = crate::cli::parse_duration)]
    hold_snapshot: Duration,
    /// Follow the source from the clone's own snapshot on: makes a replication slot and publications
    /// there. once: until it has caught up; later: leave following to `clone stream`
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "now")]
    follow: Option<FollowArg>,
    /// Name of the replication slot, instead of one made from the target
    #[arg(long, value_name = "NAME", requires = "follow", value_parser = slot_name)]
    slot: Option<String>,
    /// Have the slot synchronised to the source's standbys (PostgreSQL 17 and newer)
    #[arg(long, requires = "follow")]
    failover: bool,
    /// Longest wait for running transactions, which hold up a new replication slot
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "follow", hide_short_help = true, value_parser = crate::cli::parse_duration)]
    slot_wait: Duration,
    /// Heap per range, in MiB
    #[arg(long, value_name = "MIB", hide_short_help = true, value_parser = clap::value_parser!(u64).range(1..=65536))]
    range_size: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FollowArg {
    Now,
    Once,
    Later,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    Auto,
    Text,
}

/// Lanes by default: more only fight for the same servers' cores.
const JOBS_LIMIT: usize = 8;
/// After Ctrl-C the lanes get this long to let go.
pub(in crate::cli) const GRACE: Duration = Duration::from_secs(10);

pub(super) async fn run(args: StartArgs, global: &Global) -> Result<(), Failure> {
    let has_url = args.target_url.is_some() || environment::text("BACKLOT_TARGET_URL").is_some();
    project::check_unnamed_target(has_url)?;
    if args.replace {
        project::check_replace(has_url)?;
    }
    let selection = Selection::read(&args.source)?;
    let key = environment::key(args.source.key_file.as_deref())?;
    let options = options(&args, &selection).await?;
    if args.dry_run {
        let progress = Progress::default();
        let planner = planner(&selection, &options.source);
        let summary = clone::plan_only(&options, &planner, &key, &progress).await?;
        return print_summary(&summary, global, true);
    }
    let summary = supervised(&options, &selection, &key, global).await?;
    print_summary(&summary, global, false)?;
    let until_caught_up = match args.follow {
        Some(FollowArg::Now) => false,
        Some(FollowArg::Once) => true,
        Some(FollowArg::Later) | None => return Ok(()),
    };
    let stream = stream::Options {
        until_caught_up,
        ..plain(options.source.clone(), options.target.clone())
    };
    follow(&stream, &Arc::new(key), &Arc::default(), global).await
}

async fn options(args: &StartArgs, selection: &Selection) -> Result<Options, Failure> {
    let (source_url, source) = environment::server(
        args.source.source_url.as_deref(),
        "BACKLOT_SOURCE_URL",
        "--source-url",
    )?;
    let (_, target) =
        environment::server(args.target_url.as_deref(), "BACKLOT_TARGET_URL", "--target-url")?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("find this program: {error}")))?;
    let hold_s = args.hold_snapshot.as_secs();
    // A slot must not outlive the clone that it was made for: that is the keeper process's work.
    let keeper = if hold_s == 0 && args.follow.is_none() {
        Keeper::Session
    } else {
        Keeper::Process { program, hold_s }
    };
    let follow = args.follow.map(|_| Follow {
        slot_name: args.slot.clone(),
        publications: selection.publications().to_vec(),
        config_file: selection.file().to_owned(),
        failover: args.failover,
        slot_wait: args.slot_wait,
    });
    let tools = environment::tools(source_major(&source).await?)?;
    Ok(Options {
        tools,
        source,
        source_url,
        target,
        config_hash: selection.hash.clone(),
        keeper,
        follow,
        jobs: args.jobs.map_or_else(default_jobs, usize::from),
        replace: args.replace,
        restart: args.restart,
        with_owner: args.with_owner,
        format: match args.format {
            FormatArg::Auto => None,
            FormatArg::Text => Some(Format::Text),
        },
        range_bytes: args.range_size.map_or(RANGE_BYTES, |mib| mib * 1024 * 1024),
    })
}

fn slot_name(text: &str) -> Result<String, String> {
    if is_slot_name(text) {
        Ok(text.to_owned())
    } else {
        Err("lower-case letters, digits and underscores, at most 45 of them".to_owned())
    }
}

pub(in crate::cli) fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).min(JOBS_LIMIT)
}

/// Which `pg_dump` will do depends on the source; that it cannot be reached is said here first.
pub(super) async fn source_major(source: &ConnInfo) -> Result<u32, Failure> {
    let side = clone::Side::Source;
    let session = Session::connect(source, "backlot")
        .await
        .map_err(|source| clone::CloneError::Connect { side, source })?;
    let sql = "select pg_catalog.current_setting('server_version_num')::int4 / 10000";
    let row = session.query_one(sql, &[]).await.map_err(crate::pg::Error::from)?;
    Ok(u32::try_from(row.get::<_, i32>(0)).unwrap_or(0))
}

fn planner<'a>(selection: &'a Selection, source: &'a ConnInfo) -> impl clone::Planner + 'a {
    async move |snapshot: &crate::source::Snapshot,
                catalog: &crate::catalog::Catalog,
                stored: Option<&str>| {
        decide(selection, source, snapshot.name(), catalog, stored).await
    }
}

/// Runs the clone with its display; Ctrl-C and SIGTERM leave a state that can be resumed.
pub(in crate::cli) async fn supervised(
    options: &Options,
    selection: &Selection,
    key: &RootKey,
    global: &Global,
) -> Result<Summary, Failure> {
    let progress = Arc::new(Progress::default());
    let abort = Arc::new(Abort::default());
    let display = Display::start(Arc::clone(&progress), Style::choose(global.json, global.quiet));
    let planner = planner(selection, &options.source);
    let job = clone::run(options, &planner, key, &progress, &abort);
    let mut job = Box::pin(job);
    let stopped = tokio::select! {
        result = &mut job => {
            drop(display);
            return result.map_err(Failure::from);
        }
        () = interrupted(global.json) => None,
        limit = over(global.timeout) => Some(limit),
    };
    let stage = progress.stage();
    abort.fire();
    // The lanes' transactions roll back; what is committed is in the journal. A swap is brought to
    // its end. All else is done again.
    let grace = match stage {
        Stage::Data | Stage::Swapping | Stage::Done => GRACE,
        // What was made on the source is taken away again.
        Stage::Connecting | Stage::Planning if options.follow.is_some() => GRACE,
        Stage::Connecting
        | Stage::Planning
        | Stage::Schema
        | Stage::PostData
        | Stage::Finishing => Duration::ZERO,
    };
    let ended = tokio::time::timeout(grace, &mut job).await;
    drop(display);
    match (ended, stopped) {
        (Ok(Ok(summary)), _) => Ok(summary),
        (_, Some(limit)) => Err(Failure::timeout(limit)),
        (_, None) => {
            Err(Failure::interrupted("interrupted; what is copied is kept")
                .hint(go_on(options, stage)))
        }
    }
}

/// What an interrupted clone says.
fn go_on(options: &Options, stage: Stage) -> String {
    let target = if options.replace { "; the target is untouched" } else { "" };
    if options.follow.is_some() && matches!(stage, Stage::Connecting | Stage::Planning) {
        return format!("nothing is left on the source: run the same command again{target}");
    }
    let slot = if options.follow.is_some() {
        "; that long the source keeps the replication slot, which `backlot clone stop` drops at once"
    } else {
        ""
    };
    format!(
        "run the same command again within {} and it goes on from the same snapshot{slot}{target}",
        hold_time(&options.keeper)
    )
}

/// Ends when the time is over.
async fn over(limit: Option<Duration>) -> Duration {
    let Some(limit) = limit else { return std::future::pending().await };
    tokio::time::sleep(limit).await;
    limit
}

fn hold_time(keeper: &Keeper) -> String {
    match keeper {
        Keeper::Session => "0 s".into(),
        Keeper::Process { hold_s, .. } if *hold_s < 120 => format!("{hold_s} s"),
        Keeper::Process { hold_s, .. } => format!("{} min", hold_s / 60),
    }
}

async fn interrupted(is_json: bool) {
    let kind = tokio::signal::unix::SignalKind::terminate();
    let Ok(mut terminate) = tokio::signal::unix::signal(kind) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    // With --json stderr holds one document: the error.
    if !is_json {
        output::say("stopping: letting go of the ranges in flight");
    }
}
