//! Bytes, as they come, in both directions.

use std::{
    io,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

/// Of a session, for each direction: a page of rows or of COPY.
const BUFFER_BYTES: usize = 32 * 1024;

/// When a branch was used last, and by how many it is.
#[derive(Debug)]
pub(super) struct Activity {
    since: Instant,
    /// Milliseconds after `since`.
    last: AtomicU64,
    sessions: AtomicUsize,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), last: AtomicU64::new(0), sessions: AtomicUsize::new(0) }
    }

    pub(super) fn touch(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Written by many, read by one that looks at whole seconds.
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn last_used(&self) -> Instant {
        self.since + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn begin_session(&self) -> SessionCount<'_> {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        SessionCount(self)
    }
}

/// Counts down when it is dropped.
pub(super) struct SessionCount<'a>(&'a Activity);

impl Drop for SessionCount<'_> {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Passes bytes on until the server has hung up. A client that hangs up does so to the server,
/// which may still have to say something.
pub(super) async fn relay(
    client: &mut TcpStream,
    server: &mut UnixStream,
    activity: &Activity,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        let ended = pump(&mut from_client, &mut to_server, activity).await;
        // Also when the client was reset: the server must not wait for it.
        let hung_up = to_server.shutdown().await;
        ended.and(hung_up)
    };
    let down = async {
        pump(&mut from_server, &mut to_client, activity).await?;
        to_client.shutdown().await
    };
    tokio::pin!(up, down);
    // What is cut off here was for a server that has hung up: nobody misses it.
    tokio::select! {
        ended = &mut down => ended,
        // The server may have said why before it went.
        ended = &mut up => down.await.and(ended),
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    activity: &Activity,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        activity.touch();
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
}
