//! From a client that may enter to its branch's server, which is woken if it sleeps.

use std::{
    io::{
        self,
        ErrorKind::{InvalidData, InvalidInput, PermissionDenied},
    },
    path::PathBuf,
    sync::atomic::Ordering,
    time::Duration,
};

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::door::Desk;
use super::error::chain;
use super::greeting::Ending;
use super::message::{Refusal, SERVER_LIMIT, Startup, read_message, sqlstate};
use crate::branch::{self, Branch, BranchError, BranchState, Lock, LockKind};

/// How long a client is held while its branch is copied, stopped or started. Drivers wait for 10
/// to 30 s. A start goes on without the client for as long as `instance` waits for one: recovery of
/// a large branch may take minutes.
const HOLD_LIMIT: Duration = Duration::from_secs(30);
/// As `instance` looks at a server that starts.
const POLL: Duration = Duration::from_millis(2);
/// For what a server does at the start of a session: login triggers run then.
const STARTUP_LIMIT: Duration = Duration::from_mins(1);
/// A server answers a cancel request by hanging up.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

/// A session that has begun.
pub(super) struct Reached {
    pub(super) server: UnixStream,
    /// What the server said, up to its first `ReadyForQuery`: for the client.
    pub(super) greeting: BytesMut,
}

/// What came of one attempt.
enum Attempt {
    Begun(Reached),
    /// The server's own refusal, for the client as it is.
    Refused(BytesMut),
    /// Nothing listens, or it starts or stops.
    NotNow,
    /// Another attempt would end alike.
    Never(String),
}

/// Why no session began.
pub(super) enum Unreached {
    /// Bytes for the client.
    Said(BytesMut),
    Ended(Ending),
}

/// Begins the client's session. The branch's lock is shared until the server knows of it:
/// whoever then takes the lock for itself finds it among the server's sessions.
pub(super) async fn reach(desk: &Desk, startup: &Startup) -> Result<Reached, Unreached> {
    let deadline = Instant::now() + HOLD_LIMIT;
    loop {
        let branch = ready(desk)?;
        let lock = share(desk, &branch, deadline).await?;
        let attempt = timeout(STARTUP_LIMIT, begin(&socket(&branch), startup)).await;
        drop(lock);
        match attempt {
            Ok(Ok(Attempt::Begun(reached))) => return Ok(reached),
            Ok(Ok(Attempt::Refused(said))) => return Err(Unreached::Said(said)),
            Ok(Ok(Attempt::Never(reason))) => {
                tracing::warn!(branch = %branch.name, reason, "not reached");
                let text = format!("branch {} cannot be reached: {reason}", branch.name);
                return Err(refuse(text, look_at_logs(&branch)));
            }
            // It was there and went: it may be back.
            Ok(Ok(Attempt::NotNow) | Err(_)) if Instant::now() < deadline => {}
            Ok(Ok(Attempt::NotNow) | Err(_)) | Err(_) => {
                let name = &branch.name;
                let text = format!("branch {name} does not answer after {HOLD_LIMIT:?}");
                return Err(refuse(text, wait_ready(name)));
            }
        }
        wake(desk, &branch, deadline).await?;
    }
}

/// The branch as the catalog has it now: a password that was changed holds at once.
pub(super) fn ready(desk: &Desk) -> Result<Branch, Unreached> {
    // One small file of this machine, read whole: not worth a thread.
    let rows = desk.home.catalog().read();
    let gone = || Refusal {
        sqlstate: "3D000",
        message: "there is no such branch any more".to_owned(),
        hint: Some("`backlot branch list` shows what there is".to_owned()),
    };
    match rows.as_ref().map(|rows| rows.by_id(&desk.id)) {
        Ok(Some(branch)) if branch.state == BranchState::Ready => Ok(branch.clone()),
        Ok(Some(branch)) if branch.state == BranchState::Creating => {
            let text = format!("branch {} is being made", branch.name);
            Err(refuse(text, wait_ready(&branch.name)))
        }
        Ok(_) => Err(Unreached::Ended(Ending::Refused(gone()))),
        Err(error) => {
            tracing::error!(%error, "catalog not read");
            Err(Unreached::Ended(Ending::Refused(Refusal {
                sqlstate: "57P03",
                message: "the catalog of branches cannot be read".to_owned(),
                hint: Some("`backlot branch list` says why".to_owned()),
            })))
        }
    }
}

/// Waits while somebody has the branch for itself.
async fn share(desk: &Desk, branch: &Branch, deadline: Instant) -> Result<Lock, Unreached> {
    let path = desk.home.state.branch(&branch.id).lock;
    loop {
        // It is being deleted, by who has the lock.
        if desk.is_gone.load(Ordering::Relaxed) {
            ready(desk)?;
        }
        match Lock::attempt_existing(&path, LockKind::Shared) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if Instant::now() < deadline => sleep(POLL).await,
            Ok(None) => {
                let text = format!("branch {} is busy: not free after {HOLD_LIMIT:?}", branch.name);
                return Err(refuse(text, wait_ready(&branch.name)));
            }
            Err(error) => {
                ready(desk)?;
                return Err(failed(&error, branch));
            }
        }
    }
}

/// Starts the server, once for everybody who waits for it.
async fn wake(desk: &Desk, branch: &Branch, deadline: Instant) -> Result<(), Unreached> {
    let late = |_| {
        let text = format!("branch {} is not awake after {HOLD_LIMIT:?}", branch.name);
        refuse(text, wait_ready(&branch.name))
    };
    let mut running = timeout_at(deadline, desk.server.clone().lock_owned()).await.map_err(late)?;
    let (home, row) = (desk.home.clone(), branch.clone());
    // Goes on when this client has left: the others wait for the same start.
    let woken = tokio::task::spawn_blocking(move || {
        let (server, has_started) = branch::wake(&home, &row)?;
        if has_started {
            tracing::info!(branch = %row.name, "woken");
            if let Some(mut old) = running.replace(server) {
                old.reap();
            }
        }
        Ok::<_, BranchError>(has_started)
    });
    match timeout_at(deadline, woken).await.map_err(late)? {
        Ok(Ok(has_started)) => {
            desk.activity.touch();
            if !has_started {
                // Somebody else's start, which takes no connections yet.
                sleep(POLL).await;
            }
            Ok(())
        }
        Ok(Err(error)) => {
            ready(desk)?;
            Err(failed(&error, branch))
        }
        Err(_) => {
            let hint = "`.backlot/state/proxy.log` says why; then try again";
            Err(refuse("a thread of the proxy panicked".to_owned(), hint.to_owned()))
        }
    }
}

/// One connection to the server, up to the point where it takes queries.
async fn begin(socket: &PathBuf, startup: &Startup) -> io::Result<Attempt> {
    let mut server = match UnixStream::connect(socket).await {
        Ok(server) => server,
        // Not ours to enter, or no address of a socket.
        Err(error) if matches!(error.kind(), PermissionDenied | InvalidInput) => {
            return Ok(Attempt::Never(format!("its socket: {error}")));
        }
        Err(_) => return Ok(Attempt::NotNow),
    };
    server.write_all(&startup.packet()).await?;
    let mut greeting = BytesMut::new();
    loop {
        let (kind, body) = match read_message(&mut server, SERVER_LIMIT).await {
            Err(error) if error.kind() == InvalidData => {
                return Ok(Attempt::Never(format!("its server sent {error}")));
            }
            read => read?,
        };
        match kind {
            b'E' if sqlstate(&body) == Some(b"57P03") => return Ok(Attempt::NotNow),
            b'R' if body.as_ref() != [0; 4] => {
                let reason = "its server asks for a password on the private socket";
                return Ok(Attempt::Never(reason.to_owned()));
            }
            _ => {}
        }
        greeting.extend_from_slice(&super::message::message(kind, &body));
        match kind {
            b'E' => return Ok(Attempt::Refused(greeting)),
            b'Z' => return Ok(Attempt::Begun(Reached { server, greeting })),
            _ if greeting.len() > SERVER_LIMIT => {
                return Ok(Attempt::Never("its server greets without an end".to_owned()));
            }
            // Parameters, key, notices.
            _ => {}
        }
    }
}

/// Passes a cancel request on. One port is one server, so the key that it gave the client needs
/// no translation; a server that sleeps has nothing to cancel and is not woken.
pub(super) async fn cancel(desk: &Desk, packet: &[u8]) {
    let Ok(branch) = ready(desk) else { return };
    let ask = async {
        let mut server = UnixStream::connect(socket(&branch)).await?;
        server.write_all(packet).await?;
        // It hangs up when the signal is sent; so do we then, as libpq's PQcancel expects.
        tokio::io::copy(&mut server, &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = timeout(CANCEL_LIMIT, ask).await {
        tracing::debug!(%error, branch = %branch.name, "cancel request not passed on");
    }
}

fn socket(branch: &Branch) -> PathBuf {
    branch.socket_dir.join(branch::SOCKET_NAME)
}

fn failed(error: &BranchError, branch: &Branch) -> Unreached {
    tracing::warn!(%error, branch = %branch.name, "not woken");
    let passes = matches!(error, BranchError::Busy { .. } | BranchError::NotReady { .. });
    let hint = if passes { wait_ready(&branch.name) } else { look_at_logs(branch) };
    refuse(chain(error), hint)
}

fn wait_ready(name: &str) -> String {
    format!("try again, or let `backlot branch wait-ready {name}` wait for it")
}

fn look_at_logs(branch: &Branch) -> String {
    format!("`backlot branch logs {}` shows what its server says", branch.name)
}

/// `cannot_connect_now`: drivers that try again do so on this, and `pg_isready` says that the
/// server rejects connections.
fn refuse(message: String, hint: String) -> Unreached {
    Unreached::Ended(Ending::Refused(Refusal { sqlstate: "57P03", message, hint: Some(hint) }))
}
