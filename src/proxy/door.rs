//! One branch's port: takes clients in, one task for each.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::ProxyError;
use super::greeting::{Ending, authenticate, greet};
use super::message::{First, Startup};
use super::reach::{Unreached, cancel, reach, ready};
use super::relay::{Activity, relay};
use crate::branch::{self, Home};
use crate::instance::Server;

/// To say who it is and prove it. PostgreSQL's `authentication_timeout` is a minute, for networks
/// and people; here a program on this machine answers.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// Clients that have not said who they are, at one time and port. Sessions have the limit of
/// their server.
const STRANGERS: usize = 256;
/// Before the next attempt when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the tasks of one branch share.
pub(super) struct Desk {
    pub(super) home: Home,
    pub(super) id: String,
    pub(super) activity: Activity,
    /// Held by who starts or stops the server. The server, when we started it: its process is
    /// our child, to be collected when it ends.
    pub(super) server: Arc<Mutex<Option<Server>>>,
    /// Told when the branch's row has changed.
    pub(super) row_changed: Notify,
    /// Set when the branch is not ready any more, and never will be.
    pub(super) is_gone: AtomicBool,
    strangers: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(home: Home, id: String) -> Self {
        Self {
            home,
            id,
            activity: Activity::new(),
            server: Arc::default(),
            row_changed: Notify::new(),
            is_gone: AtomicBool::new(false),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
        }
    }
}

/// Binds a port of the loopback.
pub(super) async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((branch::LOOPBACK, port))).await
}

/// Takes clients in until it is aborted. Sessions that have begun go on.
pub(super) async fn attend(desk: Arc<Desk>, listener: TcpListener) {
    loop {
        // Beyond the limit, clients wait in the kernel's queue.
        let Ok(place) = desk.strangers.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve_client(&desk, client, place).await {
                        tracing::debug!(branch = %desk.id, %error, "session ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "client not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_client(
    desk: &Desk,
    mut client: TcpStream,
    place: OwnedSemaphorePermit,
) -> Result<(), ProxyError> {
    // Small packets are whole messages.
    client.set_nodelay(true).map_err(ProxyError::Client)?;
    let admitted = timeout(GREETING_LIMIT, admit(desk, &mut client)).await;
    let startup = match admitted {
        Ok(Ok(Some(startup))) => startup,
        Ok(Err(unreached)) => return turn_away(desk, &mut client, unreached).await,
        // It has what it wanted, or knows that it said nothing.
        Ok(Ok(None)) | Err(_) => return Ok(()),
    };
    drop(place);
    let reached = tokio::select! {
        reached = reach(desk, &startup) => reached,
        // A start that others wait for too goes on in its thread.
        () = left(&client) => return Ok(()),
    };
    let mut reached = match reached {
        Ok(reached) => reached,
        Err(unreached) => return turn_away(desk, &mut client, unreached).await,
    };
    let _count = desk.activity.begin_session();
    desk.activity.touch();
    client.write_all(&reached.greeting).await.map_err(ProxyError::Client)?;
    drop(std::mem::take(&mut reached.greeting));
    let ended = relay(&mut client, &mut reached.server, &desk.activity).await;
    desk.activity.touch();
    ended.map_err(ProxyError::Client)
}

/// None: there is nothing more to do for this client.
async fn admit(desk: &Desk, client: &mut TcpStream) -> Result<Option<Startup>, Unreached> {
    let lost = |error| Unreached::Ended(Ending::Lost(error));
    let startup = match greet(client).await.map_err(lost)? {
        None | Some(First::Encryption) => return Ok(None),
        Some(First::Cancel(packet)) => {
            cancel(desk, &packet).await;
            return Ok(None);
        }
        Some(First::Startup(startup)) => startup,
    };
    let branch = ready(desk)?;
    let declined = startup.declined.as_deref();
    let proof = authenticate(client, &branch, startup.user(), declined).await;
    proof.map_err(Unreached::Ended)?;
    Ok(Some(startup))
}

/// Returns when the client has hung up. One that speaks before its turn is not looked at again.
async fn left(client: &TcpStream) {
    if client.peek(&mut [0]).await.is_ok_and(|count| count > 0) {
        std::future::pending::<()>().await;
    }
}

async fn turn_away(
    desk: &Desk,
    client: &mut TcpStream,
    unreached: Unreached,
) -> Result<(), ProxyError> {
    let packet = match unreached {
        Unreached::Said(said) => said.freeze(),
        Unreached::Ended(Ending::Lost(error)) => return Err(error),
        Unreached::Ended(Ending::Refused(refusal)) => {
            // Its text repeats what the client said.
            tracing::debug!(branch = %desk.id, sqlstate = refusal.sqlstate, "client refused");
            refusal.packet()
        }
    };
    client.write_all(&packet).await.map_err(ProxyError::Client)?;
    client.shutdown().await.map_err(ProxyError::Client)
}
