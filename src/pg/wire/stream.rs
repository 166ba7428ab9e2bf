//! The socket under a [`Wire`](super::Wire): TCP, TLS over TCP, or a Unix socket.

use super::SILENCE_TIMEOUT;
use super::certificate::end_point;
use crate::pg::{ConnInfo, Error, SslMode, tls};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Socket buffers: enough that neither side waits for the other's scheduling.
const SOCKET_BUFFER_BYTES: usize = 1024 * 1024;

/// A peer that acknowledges nothing, or takes nothing in, for this long is gone. Keepalives do not
/// tell while bytes are under way, and retransmission alone would go on for a quarter of an hour.
/// Long, because a paused server or one that waits for a lock takes nothing in either.
#[cfg(target_os = "linux")]
const UNANSWERED_TIMEOUT: Duration = Duration::from_mins(5);

pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

/// Ends a connection from another thread.
#[derive(Debug)]
pub struct Interrupt(InterruptSocket);

#[derive(Debug)]
enum InterruptSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Interrupt {
    /// Shuts the socket down; a thread that waits on it sees an error at once.
    pub fn fire(&self) {
        // A socket that is already closed is what was wanted.
        drop(match &self.0 {
            InterruptSocket::Tcp(stream) => stream.shutdown(Shutdown::Both),
            InterruptSocket::Unix(stream) => stream.shutdown(Shutdown::Both),
        });
    }
}

impl Stream {
    pub(super) fn connect(info: &ConnInfo) -> Result<Self, Error> {
        if info.is_unix_socket() {
            let stream = connect_unix(info)
                .map_err(|source| Error::io(format!("connect to {info}"), source))?;
            // Best effort: larger buffers only spare wake-ups.
            drop(SockRef::from(&stream).set_recv_buffer_size(SOCKET_BUFFER_BYTES));
            drop(SockRef::from(&stream).set_send_buffer_size(SOCKET_BUFFER_BYTES));
            drop(stream.set_read_timeout(Some(SILENCE_TIMEOUT)));
            return Ok(Self::Unix(stream));
        }
        let stream = connect_tcp(info)?;
        if info.sslmode == SslMode::Disable {
            return Ok(Self::Tcp(stream));
        }
        negotiate_tls(info, stream)
    }

    /// What binds an authentication to this TLS connection; None without TLS, or if the
    /// certificate's signature has no hash.
    pub(super) fn end_point(&self) -> Option<Vec<u8>> {
        match self {
            Self::Tls(stream) => end_point(stream.conn.peer_certificates()?.first()?),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// The socket, to be polled.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.get_ref().as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    /// True if bytes are decrypted and not yet read: the socket does not show them.
    pub(super) fn has_plaintext(&mut self) -> bool {
        match self {
            Self::Tls(stream) => stream
                .conn
                .process_new_packets()
                .is_ok_and(|state| state.plaintext_bytes_to_read() > 0),
            Self::Tcp(_) | Self::Unix(_) => false,
        }
    }

    pub(super) fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Self::Tls(stream) => stream.get_ref().set_read_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
        }
    }

    pub(super) fn interrupt(&self) -> io::Result<Interrupt> {
        Ok(Interrupt(match self {
            Self::Tcp(stream) => InterruptSocket::Tcp(stream.try_clone()?),
            Self::Tls(stream) => InterruptSocket::Tcp(stream.get_ref().try_clone()?),
            Self::Unix(stream) => InterruptSocket::Unix(stream.try_clone()?),
        }))
    }
}

/// A postmaster that hangs takes nobody in: when its queue is full, connecting would block for as
/// long as it does.
fn connect_unix(info: &ConnInfo) -> io::Result<UnixStream> {
    let timeout = Duration::from_secs(info.connect_timeout_s.max(1));
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux: connecting counts as sending (unix(7), SO_SNDTIMEO).
    socket.set_write_timeout(Some(timeout))?;
    socket.connect(&SockAddr::unix(format!("{}/.s.PGSQL.{}", info.host, info.port))?)?;
    socket.set_write_timeout(None)?;
    Ok(socket.into())
}

fn connect_tcp(info: &ConnInfo) -> Result<TcpStream, Error> {
    let failed = |source| Error::io(format!("connect to {info}"), source);
    let timeout = Duration::from_secs(info.connect_timeout_s.max(1));
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (info.host.as_str(), info.port).to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                tune(&stream).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_TIMEOUT))?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNANSWERED_TIMEOUT))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)
}

/// SSLRequest: the server answers with one byte, `S` or `N`.
/// Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>
fn negotiate_tls(info: &ConnInfo, mut stream: TcpStream) -> Result<Stream, Error> {
    let failed = |source| Error::io(format!("ask {info} for TLS"), source);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).map_err(failed)?;
    let mut answer = [0];
    stream.read_exact(&mut answer).map_err(failed)?;
    let refuse = |reason: String| Error::Tls { host: info.host.clone(), reason };
    match (answer, info.sslmode) {
        ([b'S'], _) => {
            let name = ServerName::try_from(info.host.clone()).map_err(|_| {
                refuse("the host is no name or address that a certificate can have".into())
            })?;
            let config = Arc::new(tls::client_config(info)?);
            let mut session =
                ClientConnection::new(config, name).map_err(|error| refuse(error.to_string()))?;
            while session.is_handshaking() {
                let done = session.complete_io(&mut stream);
                done.map_err(|error| tls::handshake_error(info, error))?;
            }
            Ok(Stream::Tls(Box::new(StreamOwned::new(session, stream))))
        }
        (_, SslMode::Prefer) => Ok(Stream::Tcp(stream)),
        _ => Err(Error::NoTls { host: info.host.clone() }),
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}
