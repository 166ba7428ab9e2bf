//! The copy-both mode of a walsender: frames in, status out, neither waiting for the other.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "`Message` is the library's: what is not named breaks the protocol"
)]

use super::frame::{message_length, whole_frames};
use super::{Buffer, Wire, server_error};
use crate::pg::Error;
use crate::pg::waker::{Waker, poll};
use bytes::BufMut;
use postgres_protocol::message::backend::{COPY_DATA_TAG, Message};
use postgres_protocol::message::frontend;
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Write};
use std::time::Duration;

/// `CopyBothResponse`: postgres-protocol does not know it.
const COPY_BOTH_TAG: u8 = b'W';

/// What stands at the start of the inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pg) struct Arrived {
    /// Bytes of whole CopyData frames.
    pub(in crate::pg) bytes: usize,
    pub(in crate::pg) count: u64,
    /// Behind the frames stands another message. It is read once they are taken.
    is_interrupted: bool,
}

impl Arrived {
    /// Without looking at the socket: whether [`Wire::receive`] has something to do.
    pub(in crate::pg) fn is_readable(self) -> Option<bool> {
        self.is_interrupted.then_some(self.bytes == 0)
    }
}

impl Wire {
    /// Sends a command that is answered by copy-both mode.
    pub(in crate::pg) fn start_copy_both(&mut self, command: &str) -> Result<(), Error> {
        self.send_query(command)?;
        loop {
            if self.next_tag()? == COPY_BOTH_TAG {
                let length = message_length(self.inbox.as_slice())?.unwrap_or_default();
                while self.inbox.filled < length {
                    self.read_more()?;
                }
                self.inbox.consume(length);
                return Ok(());
            }
            let message = self.message()?;
            self.unexpected(message)?;
        }
    }

    fn next_tag(&mut self) -> Result<u8, Error> {
        loop {
            if let Some(tag) = self.inbox.as_slice().first() {
                return Ok(*tag);
            }
            self.read_more()?;
        }
    }

    /// Limits how long one read may be silent.
    pub(in crate::pg) fn limit_silence(&mut self, limit: Duration) -> Result<(), Error> {
        self.silence_limit = limit;
        let set = self.stream.set_read_timeout(limit);
        set.map_err(|source| Error::io("set the socket's read timeout", source))
    }

    /// Waits until bytes can be read (true), the waker fires, or the time is over.
    pub(in crate::pg) fn wait(&mut self, waker: &Waker, limit: Duration) -> Result<bool, Error> {
        if self.stream.has_plaintext() {
            return Ok(true);
        }
        let mut sources = [
            PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN),
            PollFd::new(waker, PollFlags::IN),
        ];
        self.poll(&mut sources, limit)?;
        let [socket, woken] = sources.map(|source| !source.revents().is_empty());
        if woken {
            waker.clear();
        }
        Ok(socket)
    }

    /// True if bytes are there now.
    pub(in crate::pg) fn is_readable(&mut self) -> Result<bool, Error> {
        if self.stream.has_plaintext() {
            return Ok(true);
        }
        let mut sources = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
        Ok(self.poll(&mut sources, Duration::ZERO)? > 0)
    }

    fn poll(&self, sources: &mut [PollFd<'_>], limit: Duration) -> Result<usize, Error> {
        poll(sources, limit).map_err(|source| Error::io(format!("wait for {}", self.host), source))
    }

    /// Reads once; `arrived` grows by what became whole. Returns the bytes read.
    pub(in crate::pg) fn receive(&mut self, arrived: &mut Arrived) -> Result<usize, Error> {
        let before = self.inbox.filled;
        if !arrived.is_interrupted {
            self.read_more()?;
        }
        let read = self.inbox.filled - before;
        loop {
            let rest = self.inbox.as_slice().get(arrived.bytes..).unwrap_or_default();
            let (bytes, count, is_interrupted) = whole_frames(rest)?;
            arrived.bytes += bytes;
            arrived.count += count;
            arrived.is_interrupted = is_interrupted;
            if !is_interrupted || arrived.bytes > 0 {
                return Ok(read);
            }
            self.between_frames()?;
        }
    }

    /// A message in the stream that is no frame: a notice, or the stream's end.
    fn between_frames(&mut self) -> Result<(), Error> {
        match self.message()? {
            Message::CopyDone | Message::CommandComplete(_) => {
                let ended = io::Error::from(io::ErrorKind::ConnectionAborted);
                Err(Error::io(
                    format!("{} ended the stream: is it shutting down?", self.host),
                    ended,
                ))
            }
            other => self.unexpected(other),
        }
    }

    /// Replaces `buffer` by the frames that arrived.
    pub(in crate::pg) fn take_frames(&mut self, arrived: &mut Arrived, buffer: &mut Buffer) {
        self.hand_on(arrived.bytes, arrived.count, buffer);
        *arrived = Arrived { is_interrupted: arrived.is_interrupted, ..Arrived::default() };
    }

    /// Sends one CopyData frame.
    pub(in crate::pg) fn send_copy_data(&mut self, payload: &[u8]) -> Result<(), Error> {
        let length = u32::try_from(payload.len() + 4)
            .map_err(|_| Error::Protocol("a frame longer than PostgreSQL allows"))?;
        self.outbox.put_u8(COPY_DATA_TAG);
        self.outbox.put_u32(length);
        self.outbox.put_slice(payload);
        let out = self.outbox.split();
        let written = self.stream.write_all(&out).and_then(|()| self.stream.flush());
        written.or_else(|source| self.write_failed(source))
    }

    /// Says that nothing more will come, and reads what is still under way until the server is
    /// ready again.
    pub(in crate::pg) fn finish_copy_both(&mut self) -> Result<(), Error> {
        frontend::copy_done(&mut self.outbox);
        self.flush()?;
        let mut failure = None;
        loop {
            match self.message()? {
                Message::ReadyForQuery(_) => break,
                Message::ErrorResponse(body) => failure = Some(server_error(&body)),
                Message::CopyData(_) | Message::CopyDone | Message::CommandComplete(_) => {}
                other => self.unexpected(other)?,
            }
        }
        failure.map_or(Ok(()), Err)
    }
}
