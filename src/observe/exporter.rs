//! The endpoint that Prometheus scrapes: `GET /metrics`, nothing else, one request a connection.
//!
//! All that is exported is read from counters when it is asked for, so there is no recorder and
//! no HTTP server behind it. Never reads more of a request than its head.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// A scrape is answered at once, or its peer is none of ours.
const LIMIT: Duration = Duration::from_secs(5);
/// More of a request's head than any scraper sends.
const HEAD_BYTES: usize = 8 * 1024;
/// Connections that are served at the same time; others wait.
const CONNECTIONS: usize = 8;

/// Serves scrapes until it is dropped.
pub struct Exporter {
    /// With the port that was given to a port of 0.
    pub address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Exporter {
    /// `read` makes the body of each scrape.
    pub async fn start(
        address: SocketAddr,
        read: impl Fn() -> String + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, Arc::new(read)));
        Ok(Self { address, task })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, read: Arc<impl Fn() -> String + Send + Sync + 'static>) {
    /// Out of file descriptors, for example: not a reason to spin.
    const PAUSE: Duration = Duration::from_millis(100);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Nobody closes the semaphore.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((connection, _)) => {
                let read = Arc::clone(&read);
                tokio::spawn(async move {
                    // A scraper that went away is not told.
                    drop(tokio::time::timeout(LIMIT, answer(connection, &*read)).await);
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn answer(mut connection: TcpStream, read: &(impl Fn() -> String + Sync)) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let room = HEAD_BYTES.saturating_sub(head.len()) as u64;
        if (&mut connection).take(room).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let target =
        head.strip_prefix(b"GET ").and_then(|rest| rest.split(|byte| *byte == b' ').next());
    let (status, body) = match target {
        Some(b"/metrics") => ("200 OK", read()),
        Some(_) => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        None => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    connection.write_all(response.as_bytes()).await?;
    connection.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::Exporter;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        // The server may answer before it has all of a request that is too long.
        drop(connection.write_all(request).await);
        let mut answer = Vec::new();
        drop(connection.read_to_end(&mut answer).await);
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn scrapes_are_answered_and_nothing_else_is() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let exporter = Exporter::start(address, || "up 1\n".to_owned()).await.unwrap();
        for _ in 0..20 {
            let answer = ask(exporter.address, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nup 1\n") && answer.contains("Content-Length: 5\r\n"));
        }
        let other = ask(exporter.address, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(other.starts_with("HTTP/1.1 404 ") && !other.contains("up 1"), "{other}");
        let post = ask(exporter.address, b"POST /metrics HTTP/1.1\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        assert_eq!(ask(exporter.address, &b"x".repeat(100_000)).await, "");
    }
}
