//! Puts a branch to sleep when nobody needs its server.
//!
//! The rule is simple and errs towards staying awake: every connected client keeps its branch
//! awake, and so does every process of the server that is not of its own housekeeping
//! (`pg_stat_activity.backend_type`): autovacuum, parallel work, walsenders, workers of
//! subscriptions and of extensions. Only whether the last query was long enough ago is asked of
//! the proxy; what is going on is asked of the server, which also knows those who came in by
//! its socket.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::door::Desk;
use crate::branch::{self, Branch, BranchError, BranchState, Change, Home, Lock, LockKind, Moment};
use crate::instance::{Server, StopMode};
use crate::pg::{ConnInfo, Error, Wire};

/// How often is looked, as a share of the time after which a branch sleeps…
const LOOKS: u32 = 4;
/// …but not more and not less often than this.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// The catalog learns this often that a branch is in use.
const NOTE_EVERY: Duration = Duration::from_mins(10);

/// Clients wait while the server is asked; one that is well answers within milliseconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// `postgres` may be dropped, and an application's be dropped by it while we are there.
const DATABASE: &str = "template1";

/// Returns one text: why the server must stay awake, or `none`. $after is in seconds, $housekeeping
/// [`branch::HOUSEKEEPING`].
const OPEN_WORK: &str = include_str!("sql/open_work.sql");

/// Looks after one branch until it is aborted.
pub(super) async fn look_after(desk: Arc<Desk>, clock: fn() -> Moment) {
    let mut noted = desk.activity.last_used();
    let mut told = None;
    loop {
        let rows = desk.home.catalog().read().ok();
        let branch = rows.and_then(|rows| rows.by_id(&desk.id).cloned());
        let after = branch.as_ref().and_then(|branch| branch.sleep_after_seconds);
        let after = after.map(Duration::from_secs);
        let pause = after.map_or(LONGEST, |after| (after / LOOKS).clamp(SHORTEST, LONGEST));
        tokio::select! {
            () = sleep(pause) => {}
            // Which may hold another time.
            () = desk.row_changed.notified() => continue,
        }
        let last_used = desk.activity.last_used();
        let mut outcome = Outcome::Busy;
        if let (Some(branch), Some(after)) = (branch, after)
            && branch.state == BranchState::Ready
            && last_used.elapsed() >= after
        {
            outcome = try_sleep(&desk, &branch, after).await;
            tell(&branch, &outcome, &mut told);
        }
        let has_slept = matches!(outcome, Outcome::Slept);
        if last_used > noted && (has_slept || last_used.duration_since(noted) >= NOTE_EVERY) {
            noted = last_used;
            note(&desk, clock(), last_used.elapsed()).await;
        }
    }
}

/// Each reason once, until another one takes its place.
fn tell(branch: &Branch, outcome: &Outcome, told: &mut Option<String>) {
    match outcome {
        Outcome::Slept => {
            *told = None;
            tracing::info!(branch = %branch.name, "asleep");
        }
        Outcome::Awake(reason) if told.as_ref() != Some(reason) => {
            tracing::info!(branch = %branch.name, reason, "stays awake");
            *told = Some(reason.clone());
        }
        Outcome::Awake(_) | Outcome::NotRunning | Outcome::Busy => {}
    }
}

async fn try_sleep(desk: &Desk, branch: &Branch, after: Duration) -> Outcome {
    if desk.activity.sessions() > 0 {
        return Outcome::Awake("a client".to_owned());
    }
    let mut held = desk.server.clone().lock_owned().await;
    let (home, branch) = (desk.home.clone(), branch.clone());
    let tried = tokio::task::spawn_blocking(move || {
        stop_if_idle(&home, &branch, after, &mut held).unwrap_or_else(|error| {
            tracing::warn!(branch = %branch.name, %error, "not put to sleep");
            Outcome::Busy
        })
    });
    tried.await.unwrap_or(Outcome::Busy)
}

enum Outcome {
    Slept,
    NotRunning,
    /// Somebody connects, or copies, starts or stops it.
    Busy,
    Awake(String),
}

fn stop_if_idle(
    home: &Home,
    branch: &Branch,
    after: Duration,
    held: &mut Option<Server>,
) -> Result<Outcome, BranchError> {
    // From here on nobody connects; whoever wants to, waits and wakes it again.
    let lock = home.state.branch(&branch.id).lock;
    if !lock.exists() {
        return Ok(Outcome::NotRunning);
    }
    let Some(_lock) = Lock::attempt_existing(&lock, LockKind::Exclusive)? else {
        return Ok(Outcome::Busy);
    };
    home.catalog().read()?.ready(&branch.id)?;
    // Ours is kept until its process is collected, whatever goes wrong on the way.
    let mut others = None;
    let server = match held {
        Some(server) => server,
        None => others.insert(branch::open(home, branch)?),
    };
    if !server.is_running() {
        if server.reap() {
            *held = None;
        }
        return Ok(Outcome::NotRunning);
    }
    let failed = |source| BranchError::Sql {
        what: "look for open work",
        branch: branch.name.clone(),
        source,
    };
    if let Some(reason) = open_work(server, after).map_err(failed)? {
        return Ok(Outcome::Awake(reason));
    }
    server.stop(StopMode::Fast)?;
    *held = None;
    Ok(Outcome::Slept)
}

/// Why the server must stay awake.
fn open_work(server: &Server, after: Duration) -> Result<Option<String>, Error> {
    let mut info = ConnInfo::parse(&server.url(DATABASE))?;
    info.connect_timeout_s = ANSWER_LIMIT.as_secs();
    let mut session = Wire::connect_within(&info, "backlot proxy", ANSWER_LIMIT)?;
    let sql = OPEN_WORK.replace("$after", &after.as_secs().to_string());
    let rows = session.simple(&sql.replace("$housekeeping", branch::HOUSEKEEPING))?;
    let reason = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    // What is not understood keeps it awake.
    Ok(Some(reason.unwrap_or_else(|| "unknown".to_owned())).filter(|reason| reason != "none"))
}

/// `branch describe` shows when a branch was used last: the catalog must know of it.
async fn note(desk: &Desk, now: Moment, ago: Duration) {
    let (home, id) = (desk.home.clone(), desk.id.clone());
    let used_at = Moment(now.0.saturating_sub(ago.as_secs()));
    let noted =
        tokio::task::spawn_blocking(move || branch::change(&home, &id, &[Change::UsedAt(used_at)]));
    if let Ok(Err(error)) = noted.await {
        tracing::debug!(branch = %desk.id, %error, "last use not noted");
    }
}
