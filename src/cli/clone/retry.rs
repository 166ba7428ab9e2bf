//! `backlot clone retry`

use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::pg::{ConnInfo, Error, Session};
use crate::sink::apply::{Applier, ApplyError, OnError};
use crate::state::{Journal, Quarantined, StreamRecord, create_stream_state};
use clap::Args;
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(in crate::cli) struct RetryArgs {
    /// Numbers of quarantined transactions, as `clone status` lists them
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<i64>,
    /// All of them, in the order of their commits
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// The database that follows (or BACKLOT_TARGET_URL)
    #[arg(long, value_name = "URL")]
    target_url: Option<String>,
    #[command(flatten)]
    pub(super) target_branch: super::TargetBranch,
}

const ASK: &str = "insert into backlot.request (kind, arguments) \
     values ('retry', pg_catalog.jsonb_build_object('quarantine_id', $1::bigint)) returning request_id";
const ANSWER: &str = "select state, answer ->> 'reason' from backlot.request where request_id = $1";
/// A running stream finishes what it has in hand first.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// Why a transaction stays in the quarantine; None if it is applied.
type Refusal = Option<String>;

pub(super) async fn run(args: RetryArgs, global: &Global) -> Result<(), Failure> {
    let flag = args.target_url.as_deref();
    let (_, info) = environment::server(flag, "BACKLOT_TARGET_URL", "--target-url")?;
    let session = Session::connect(&info, "backlot retry").await?;
    let Some((record, _)) = StreamRecord::read(&session).await? else {
        return Err(Failure::not_found("the target follows no source")
            .hint("`backlot clone start --follow` makes one that does"));
    };
    create_stream_state(&session).await?;
    let quarantine = Quarantined::list(&session).await?;
    let known = quarantine.iter().map(|one| one.id);
    let ids = known.filter(|id| args.all || args.ids.contains(id)).collect::<Vec<_>>();
    if let Some(unknown) = args.ids.iter().find(|id| !ids.contains(id)) {
        return Err(Failure::not_found(format!("no quarantined transaction {unknown}"))
            .hint("`backlot clone status` lists them"));
    }
    let results = match Journal::lock(&session).await? {
        Some(_lock) => directly(info, record.slot_name, ids).await?,
        None => by_the_stream(&session, ids).await?,
    };
    let left = Quarantined::list(&session).await?.len();
    print(&results, left, global)?;
    if left > 0 {
        return Err(Failure::left_over(left as u64, &[]));
    }
    Ok(())
}

/// The target's lock is held: no stream runs, and none can start.
async fn directly(
    info: ConnInfo,
    slot_name: String,
    ids: Vec<i64>,
) -> Result<Vec<(i64, Refusal)>, Failure> {
    let job = move || -> Result<Vec<(i64, Refusal)>, ApplyError> {
        let mut applier = Applier::connect(&info, &slot_name, OnError::Stop)?;
        let mut results = Vec::new();
        for id in ids {
            let refusal = match applier.retry(id) {
                Ok(()) => None,
                Err(ApplyError::Poison { poison }) => Some(poison.failure.to_string()),
                Err(error @ (ApplyError::Quarantine(_) | ApplyError::OtherRules { .. })) => {
                    Some(error.to_string())
                }
                Err(
                    error @ (ApplyError::Connection { .. }
                    | ApplyError::Restart { .. }
                    | ApplyError::NoPartition { .. }
                    | ApplyError::Locked { .. }
                    | ApplyError::Checkpoint { .. }
                    | ApplyError::NotQuarantined(_)),
                ) => return Err(error),
            };
            results.push((id, refusal));
        }
        Ok(results)
    };
    let done = tokio::task::spawn_blocking(job).await;
    done.map_err(|_| Failure::internal("the applier panicked"))?.map_err(failed)
}

fn failed(error: ApplyError) -> Failure {
    match error {
        ApplyError::Connection { source, .. } => source.into(),
        error @ ApplyError::NotQuarantined(_) => Failure::not_found(error.to_string()),
        error @ (ApplyError::Poison { .. }
        | ApplyError::Restart { .. }
        | ApplyError::NoPartition { .. }
        | ApplyError::Locked { .. }
        | ApplyError::Checkpoint { .. }
        | ApplyError::Quarantine(_)
        | ApplyError::OtherRules { .. }) => Failure::refused(error.to_string()),
    }
}

/// Asks whoever holds the target's lock.
async fn by_the_stream(session: &Session, ids: Vec<i64>) -> Result<Vec<(i64, Refusal)>, Failure> {
    let mut results = Vec::new();
    for id in ids {
        let row = session.query_one(ASK, &[&id]).await.map_err(Error::from)?;
        results.push((id, answer(session, row.get(0)).await?));
    }
    Ok(results)
}

async fn answer(session: &Session, request: i64) -> Result<Refusal, Failure> {
    let asked_at = Instant::now();
    while asked_at.elapsed() < ANSWER_LIMIT {
        let row = session.query_one(ANSWER, &[&request]).await.map_err(Error::from)?;
        match row.get::<_, &str>(0) {
            "done" => return Ok(None),
            "failed" => {
                let reason: Option<String> = row.get(1);
                return Ok(Some(reason.unwrap_or_else(|| "the stream gave no reason".into())));
            }
            _ => tokio::time::sleep(POLL).await, // asked, taken
        }
    }
    Err(Failure::timeout(ANSWER_LIMIT))
}

fn print(results: &[(i64, Refusal)], left: usize, global: &Global) -> Result<(), Failure> {
    if global.json {
        let retried = results.iter().map(
            |(id, refusal)| json!({"id": id, "applied": refusal.is_none(), "reason": refusal}),
        );
        let retried = retried.collect::<Vec<_>>();
        return output::json(&json!({"retried": retried, "quarantined": left}));
    }
    for (id, refusal) in results {
        match refusal {
            None => output::line(&format!("{id}: applied"))?,
            Some(reason) => output::line(&format!("{id}: stays in the quarantine: {reason}"))?,
        }
    }
    Ok(())
}
