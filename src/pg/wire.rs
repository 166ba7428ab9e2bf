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
mod stream;

use crate::pg::session::{LOCK_TIMEOUT, PINNED};
use crate::pg::{ConnInfo, Error};
use bytes::BytesMut;
use postgres_protocol::message::backend::{self, Message};
use postgres_protocol::message::frontend;
use std::io::{Read, Write};
use std::time::Duration;
use stream::Stream;

pub use stream::Interrupt;

/// Reads ask for this much at once.
const READ_BYTES: usize = 256 * 1024;
/// A chunk is handed on when it holds at least this much.
const CHUNK_BYTES: usize = 128 * 1024;
/// A backend sends 8 kB at a time, and waking up for each costs both sides more than the copy.
/// Once a COPY is under way, a read that brings less than this is followed by a short pause, in
/// which the socket fills (`replication.md` 1.4: a quarter of the CPU).
const BURST_BYTES: usize = 32 * 1024;
const BURST_PAUSE: Duration = Duration::from_micros(200);
/// Longest single message: PostgreSQL's own limit for a row (`MaxAllocSize`, memutils.h).
const MESSAGE_LIMIT_BYTES: usize = 0x3fff_ffff + 1024;
/// A server that says nothing for this long while it owes an answer is gone. Long, because a
/// COPY may rightly be silent while a `where` clause skips rows.
const SILENCE_TIMEOUT: Duration = Duration::from_hours(1);

/// A blocking connection.
pub struct Wire {
    stream: Stream,
    /// Bytes read and not yet consumed.
    inbox: Buffer,
    outbox: BytesMut,
    host: String,
}

/// Bytes whose storage is zeroed once and reused: a `Vec` would be zeroed again for every read.
#[derive(Default)]
pub struct Buffer {
    storage: Vec<u8>,
    filled: usize,
    frame_count: u64,
}

impl Buffer {
    pub fn as_slice(&self) -> &[u8] {
        self.storage.get(..self.filled).unwrap_or_default()
    }

    /// `CopyData` frames in it: a backend sends one a row, and one more at the end of a binary
    /// COPY. For showing progress, not for counting rows.
    pub fn frame_count(&self) -> u64 {
        self.frame_count
    }

    fn replace(&mut self, bytes: &[u8]) {
        self.filled = 0;
        self.room(bytes.len());
        if let Some(start) = self.storage.get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
        self.filled = bytes.len();
    }

    /// Drops the first `count` bytes.
    fn consume(&mut self, count: usize) {
        let count = count.min(self.filled);
        self.storage.copy_within(count..self.filled, 0);
        self.filled -= count;
    }

    /// The unfilled part, at least `bytes` long.
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let wanted = self.filled + bytes;
        if self.storage.len() < wanted {
            self.storage.resize(wanted, 0);
        }
        self.storage.get_mut(self.filled..).unwrap_or_default()
    }
}

/// What a COPY OUT delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The buffer holds whole CopyData frames, more may follow.
    Frames,
    /// The COPY is complete; the buffer may hold the last frames.
    End,
}

impl Wire {
    pub fn connect(info: &ConnInfo, application_name: &str) -> Result<Self, Error> {
        let stream = Stream::connect(info)?;
        let mut wire = Self {
            stream,
            inbox: Buffer::default(),
            outbox: BytesMut::with_capacity(READ_BYTES),
            host: info.to_string(),
        };
        wire.startup(info, application_name)?;
        Ok(wire)
    }

    /// A handle that makes a blocked read or write of this connection return with an error.
    pub fn interrupt(&self) -> Result<Interrupt, Error> {
        self.stream.interrupt().map_err(|source| Error::io("clone the socket", source))
    }

    fn startup(&mut self, info: &ConnInfo, application_name: &str) -> Result<(), Error> {
        let mut options = format!("-c lock_timeout={LOCK_TIMEOUT}");
        for (name, value) in PINNED {
            // An empty search_path cannot be said here; data-path statements qualify all names.
            if !value.is_empty() {
                options.extend([" -c ", name, "=", value]);
            }
        }
        let parameters = [
            ("user", info.user.as_str()),
            ("database", info.dbname.as_str()),
            ("application_name", application_name),
            ("client_encoding", "UTF8"),
            ("options", options.as_str()),
        ];
        frontend::startup_message(parameters, &mut self.outbox)
            .map_err(|source| Error::io("encode the startup message", source))?;
        self.flush()?;
        auth::authenticate(self, info)?;
        self.until_ready().map(drop)
    }

    /// Runs statements by the simple protocol; returns the rows of the last one that has any,
    /// as text.
    pub fn simple(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.send_query(sql)?;
        self.until_ready()
    }

    fn send_query(&mut self, sql: &str) -> Result<(), Error> {
        frontend::query(sql, &mut self.outbox)
            .map_err(|source| Error::io("encode a query", source))?;
        self.flush()
    }

    /// Starts `COPY … TO STDOUT`; read it with [`Wire::copy_chunk`] to [`Chunk::End`].
    pub fn start_copy_out(&mut self, sql: &str) -> Result<(), Error> {
        self.send_query(sql)?;
        loop {
            match self.message()? {
                Message::CopyOutResponse(_) => return Ok(()),
                other => self.unexpected(other)?,
            }
        }
    }

    /// Starts `COPY … FROM STDIN`.
    pub fn start_copy_in(&mut self, sql: &str) -> Result<(), Error> {
        self.send_query(sql)?;
        loop {
            match self.message()? {
                Message::CopyInResponse(_) => return Ok(()),
                other => self.unexpected(other)?,
            }
        }
    }

    /// Replaces `buffer` by the next whole CopyData frames, headers included.
    /// The buffers of the two are swapped, not copied; only a torn last frame moves.
    pub fn copy_chunk(&mut self, buffer: &mut Buffer) -> Result<Chunk, Error> {
        let (mut frames, mut frame_count) = (0, 0);
        loop {
            let rest = self.inbox.as_slice().get(frames..).unwrap_or_default();
            let (more, count, end) = whole_frames(rest)?;
            frames += more;
            frame_count += count;
            if end {
                buffer.replace(self.inbox.as_slice().get(..frames).unwrap_or_default());
                buffer.frame_count = frame_count;
                self.inbox.consume(frames);
                return self.finish_copy_out();
            }
            if frames >= CHUNK_BYTES {
                buffer.replace(self.inbox.as_slice().get(frames..).unwrap_or_default());
                self.inbox.filled = frames;
                self.inbox.frame_count = frame_count;
                std::mem::swap(buffer, &mut self.inbox);
                return Ok(Chunk::Frames);
            }
            let before = self.inbox.filled;
            self.read_more()?;
            if before >= BURST_BYTES && self.inbox.filled - before < BURST_BYTES {
                std::thread::sleep(BURST_PAUSE);
            }
        }
    }

    fn finish_copy_out(&mut self) -> Result<Chunk, Error> {
        loop {
            match self.message()? {
                Message::CopyDone => break,
                other => self.unexpected(other)?,
            }
        }
        self.until_ready()?;
        Ok(Chunk::End)
    }

    /// Sends CopyData frames as they are.
    pub fn write_frames(&mut self, frames: &[u8]) -> Result<(), Error> {
        self.stream.write_all(frames).or_else(|source| self.write_failed(source))
    }

    /// Ends a COPY IN; returns the server's row count.
    pub fn finish_copy_in(&mut self) -> Result<u64, Error> {
        frontend::copy_done(&mut self.outbox);
        self.flush()?;
        let mut rows = 0;
        let mut failure = None;
        loop {
            match self.message()? {
                Message::CommandComplete(body) => {
                    rows = copied_rows(body.tag().unwrap_or_default());
                }
                Message::ErrorResponse(body) => failure = Some(server_error(&body)),
                Message::ReadyForQuery(_) => break,
                other => self.unexpected(other)?,
            }
        }
        failure.map_or(Ok(rows), Err)
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
            match self.message()? {
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
                seconds: SILENCE_TIMEOUT.as_secs(),
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

fn copied_rows(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
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

/// Length of the message at the start of `bytes`, tag included, once its header is there.
fn message_length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some((header, _)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let [_, length @ ..] = *header;
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=MESSAGE_LIMIT_BYTES).contains(&length) {
        return Err(Error::Protocol("a message longer than PostgreSQL allows"));
    }
    Ok(Some(length + 1))
}

/// Bytes and number of whole `CopyData` frames at the start, and whether another message stands
/// behind them.
fn whole_frames(bytes: &[u8]) -> Result<(usize, u64, bool), Error> {
    let (mut at, mut count) = (0, 0);
    while let Some(rest) = bytes.get(at..)
        && let Some(length) = message_length(rest)?
    {
        if rest.first() != Some(&backend::COPY_DATA_TAG) {
            return Ok((at, count, true));
        }
        if rest.len() < length {
            break;
        }
        at += length;
        count += 1;
    }
    Ok((at, count, false))
}

#[cfg(test)]
mod tests {
    use super::whole_frames;

    #[test]
    fn only_whole_frames_are_handed_on() {
        let frame = [b'd', 0, 0, 0, 6, 1, 2];
        let mut bytes = frame.repeat(2);
        assert_eq!(whole_frames(&bytes).unwrap(), (14, 2, false));
        bytes.extend_from_slice(&frame[..6]);
        assert_eq!(whole_frames(&bytes).unwrap(), (14, 2, false));
        bytes.truncate(14);
        bytes.extend_from_slice(&[b'c', 0, 0, 0, 4]);
        assert_eq!(whole_frames(&bytes).unwrap(), (14, 2, true));
        assert!(whole_frames(&[b'd', 0, 0, 0, 1]).is_err());
        assert!(whole_frames(&[b'd', 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
