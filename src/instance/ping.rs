//! Whether a server answers on its socket: the start of a connection, spoken by hand, so that a
//! blocking module needs no runtime.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use socket2::{Domain, SockAddr, Socket, Type};

/// A server on this machine that accepts and then says nothing for so long is not ready.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The SQLSTATE of `cannot_connect_now`: starting up, shutting down, in recovery.
const CANNOT_CONNECT_NOW: &[u8] = b"C57P03";

/// True when the server behind `socket` takes connections. Any answer but "cannot connect now"
/// counts, even a refusal: `PQping` (fe-connect.c) judges alike.
pub(super) fn answers(socket: &Path, user: &str, database: &str) -> bool {
    first_answer(socket, user, database).is_some_and(|answer| {
        let starting =
            answer.windows(CANNOT_CONNECT_NOW.len()).any(|part| part == CANNOT_CONNECT_NOW);
        matches!(answer.first(), Some(b'R' | b'E')) && !starting
    })
}

fn first_answer(socket: &Path, user: &str, database: &str) -> Option<Vec<u8>> {
    let stream = Socket::new(Domain::UNIX, Type::STREAM, None).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    // Also for the connect, which would wait for ever when the queue of a server that hangs is full.
    stream.set_write_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    stream.connect(&SockAddr::unix(socket).ok()?).ok()?;
    let mut stream = UnixStream::from(stream);
    let mut request = BytesMut::new();
    let parameters = [("user", user), ("database", database), ("application_name", "backlot ping")];
    frontend::startup_message(parameters, &mut request).ok()?;
    stream.write_all(&request).ok()?;
    // An error message is one short packet; the first read has its SQLSTATE.
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).ok()?;
    answer.truncate(length);
    let mut goodbye = BytesMut::new();
    frontend::terminate(&mut goodbye);
    // The server may have hung up already; there is nothing left to say to it then.
    let _ = stream.write_all(&goodbye);
    Some(answer)
}
