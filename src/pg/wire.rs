//! The data path's own connection: blocking, one buffer each way, COPY in both directions.
//!
//! tokio-postgres queues requests without a bound and copies every row into a message of its
//! own; here whole socket buffers of CopyData frames are handed on. Framing and authentication
//! come from `postgres-protocol`.
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY>

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "`Message` is the library's: what is not named breaks the protocol"
)]

mod auth;
mod buffer;
mod certificate;
mod copy;
mod copy_both;
mod frame;
mod pipeline;
mod stream;

use crate::pg::session::{LOCK_TIMEOUT, PINNED, UNLIMITED};
use crate::pg::{ConnInfo, Error};
use bytes::BytesMut;
use frame::message_length;
use postgres_protocol::message::backend::{self, Message};
use postgres_protocol::message::frontend;
use std::io::{Read, Write};
use std::time::Duration;
use stream::Stream;

pub use buffer::Buffer;
pub use copy::Chunk;
pub(super) use copy_both::Arrived;
pub use frame::whole_frames;
pub use pipeline::{Parameters, Reply};
pub use stream::Interrupt;

/// Reads ask for this much at once.
const READ_BYTES: usize = 256 * 1024;
/// A server that says nothing for this long while it owes an answer is gone. Long, because a
/// COPY may rightly be silent while a `where` clause skips rows.
const SILENCE_TIMEOUT: Duration = Duration::from_hours(1);

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Sql,
    /// A walsender of the database: replication commands and plain SQL, simple protocol only.
    Replication,
}

/// A blocking connection.
pub struct Wire {
    stream: Stream,
    /// Bytes read and not yet consumed.
    inbox: Buffer,
    outbox: BytesMut,
    host: String,
    /// How long one read may take.
    silence_limit: Duration,
}

impl Wire {
    pub fn connect(info: &ConnInfo, application_name: &str) -> Result<Self, Error> {
        Self::open(info, application_name, Purpose::Sql, SILENCE_TIMEOUT)
    }

    /// As [`Wire::connect`], for questions that are answered at once: a server that says nothing
    /// for `limit` is taken for gone, from the first byte on.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it is.
    pub fn connect_within(
        info: &ConnInfo,
        application_name: &str,
        limit: Duration,
    ) -> Result<Self, Error> {
        Self::open(info, application_name, Purpose::Sql, limit)
    }

    /// A walsender's connection, for [`Replication`](crate::pg::Replication).
    pub(super) fn connect_walsender(
        info: &ConnInfo,
        application_name: &str,
    ) -> Result<Self, Error> {
        Self::open(info, application_name, Purpose::Replication, SILENCE_TIMEOUT)
    }

    fn open(
        info: &ConnInfo,
        application_name: &str,
        purpose: Purpose,
        silence_limit: Duration,
    ) -> Result<Self, Error> {
        let stream = Stream::connect(info)?;
        let mut wire = Self {
            stream,
            inbox: Buffer::default(),
            outbox: BytesMut::with_capacity(READ_BYTES),
            host: info.to_string(),
            silence_limit,
        };
        wire.limit_silence(silence_limit)?;
        wire.startup(info, application_name, purpose)?;
        Ok(wire)
    }

    /// The server's URL, without the password.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// A handle that makes a blocked read or write of this connection return with an error.
    pub fn interrupt(&self) -> Result<Interrupt, Error> {
        self.stream.interrupt().map_err(|source| Error::io("clone the socket", source))
    }

    fn startup(
        &mut self,
        info: &ConnInfo,
        application_name: &str,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let mut options = format!("-c lock_timeout={LOCK_TIMEOUT}");
        for (name, value) in PINNED {
            // An empty search_path cannot be said here; data-path statements qualify all names.
            if !value.is_empty() {
                options.extend([" -c ", name, "=", value]);
            }
        }
        let mut parameters = vec![
            ("user", info.user.as_str()),
            ("database", info.dbname.as_str()),
            ("application_name", application_name),
            ("client_encoding", "UTF8"),
            ("options", options.as_str()),
        ];
        match purpose {
            Purpose::Sql => {}
            Purpose::Replication => {
                parameters.push(("replication", "database"));
                // Or the sender would leave schemas out of regclass and its like.
                parameters.push(("search_path", ""));
            }
        }
        frontend::startup_message(parameters, &mut self.outbox)
            .map_err(|source| Error::io("encode the startup message", source))?;
        self.flush()?;
        auth::authenticate(self, info)?;
        self.until_ready()?;
        // A startup message that names what the server does not have is refused.
        self.simple(UNLIMITED).map(drop)
    }

    /// Runs statements by the simple protocol; returns the rows of the last one that has any,
    /// as text.
    pub fn simple(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.send_query(sql)?;
        self.until_ready()
    }

    /// The first column of what [`Wire::simple`] returns, without NULLs.
    ///
    /// # Errors
    /// As [`Wire::simple`].
    pub fn column(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        let rows = self.simple(sql)?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    fn send_query(&mut self, sql: &str) -> Result<(), Error> {
        frontend::query(sql, &mut self.outbox)
            .map_err(|source| Error::io("encode a query", source))?;
        self.flush()
    }

    /// A failed write most often means that the server has said why and closed: look first.
    fn write_failed(&mut self, source: std::io::Error) -> Result<(), Error> {
        loop {
            match self.message() {
                Ok(Message::ErrorResponse(body)) => return Err(server_error(&body)),
                Ok(_) => {}
                Err(_) => return Err(Error::io(format!("write to {}", self.host), source)),
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let out = self.outbox.split();
        let written = self.stream.write_all(&out).and_then(|()| self.stream.flush());
        written.or_else(|source| self.write_failed(source))
    }

    /// Skips what may come at any time; reports an error only once the server is ready again.
    fn unexpected(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::ErrorResponse(body) => {
                let error = server_error(&body);
                // After FATAL the server closes instead of becoming ready.
                drop(self.until_ready());
                Err(error)
            }
            Message::NoticeResponse(_)
            | Message::ParameterStatus(_)
            | Message::NotificationResponse(_) => Ok(()),
            // `Message` is the library's and non-exhaustive: anything else here breaks the protocol.
            _ => Err(Error::Protocol("a message out of turn")),
        }
    }

    fn until_ready(&mut self) -> Result<Vec<Vec<Option<String>>>, Error> {
        let mut rows = Vec::new();
        let mut failure = None;
        loop {
            let message = match self.message() {
                Ok(message) => message,
                // After FATAL the server closes instead of becoming ready.
                Err(lost) => return Err(failure.unwrap_or(lost)),
            };
            match message {
                Message::ReadyForQuery(_) => break,
                Message::ErrorResponse(body) => failure = Some(server_error(&body)),
                Message::RowDescription(_) => rows.clear(),
                Message::DataRow(body) => rows.push(text_row(&body)?),
                Message::CommandComplete(_)
                | Message::EmptyQueryResponse
                | Message::BackendKeyData(_)
                | Message::CopyData(_)
                | Message::CopyDone => {}
                other => self.unexpected(other)?,
            }
        }
        failure.map_or(Ok(rows), Err)
    }

    fn message(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(length) = message_length(self.inbox.as_slice())?
                && let Some(whole) = self.inbox.as_slice().get(..length)
            {
                let mut bytes = BytesMut::from(whole);
                self.inbox.consume(length);
                return Message::parse(&mut bytes)
                    .map_err(|_| Error::Protocol("a message that cannot be read"))?
                    .ok_or(Error::Protocol("a message shorter than its length"));
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<(), Error> {
        let filled = self.inbox.filled;
        let missing = message_length(self.inbox.as_slice())?.unwrap_or(0).saturating_sub(filled);
        let read = self.stream.read(self.inbox.room(missing.max(READ_BYTES)));
        self.inbox.filled += *read.as_ref().unwrap_or(&0);
        match read {
            Ok(0) => {
                let closed = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                Err(Error::io(format!("{} closed the connection", self.host), closed))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(Error::Timeout {
                what: format!("data from {}", self.host),
                seconds: self.silence_limit.as_secs(),
            }),
            Err(source) => Err(Error::io(format!("read from {}", self.host), source)),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        frontend::terminate(&mut self.outbox);
        let out = self.outbox.split();
        // Best effort: a server that is gone needs no goodbye.
        drop(self.stream.write_all(&out));
    }
}

fn server_error(body: &backend::ErrorResponseBody) -> Error {
    Error::Server(Box::new(crate::pg::ServerError::from_fields(body.fields())))
}

fn text_row(body: &backend::DataRowBody) -> Result<Vec<Option<String>>, Error> {
    use fallible_iterator::FallibleIterator;
    let bytes = body.buffer();
    body.ranges()
        .map(|range| {
            Ok(range.map(|range| {
                String::from_utf8_lossy(bytes.get(range).unwrap_or_default()).into_owned()
            }))
        })
        .collect()
        .map_err(|_| Error::Protocol("a data row that cannot be read"))
}
