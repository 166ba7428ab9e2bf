//! COPY OUT and COPY IN on a [`Wire`].

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "`Message` is the library's: what is not named breaks the protocol"
)]

use super::frame::whole_frames;
use super::{Buffer, Wire, server_error};
use crate::pg::Error;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use std::io::Write;
use std::time::Duration;

/// A chunk is handed on when it holds at least this much.
const CHUNK_BYTES: usize = 128 * 1024;
/// A backend sends 8 kB at a time, and waking up for each costs both sides more than the copy.
/// Once a COPY is under way, a read that brings less than this is followed by a short pause, in
/// which the socket fills (`replication.md` 1.4: a quarter of the CPU).
const BURST_BYTES: usize = 32 * 1024;
const BURST_PAUSE: Duration = Duration::from_micros(200);

/// What a COPY OUT delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The buffer holds whole CopyData frames, more may follow.
    Frames,
    /// The COPY is complete; the buffer may hold the last frames.
    End,
}

impl Wire {
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
                self.hand_on(frames, frame_count, buffer);
                return Ok(Chunk::Frames);
            }
            let before = self.inbox.filled;
            self.read_more()?;
            if before >= BURST_BYTES && self.inbox.filled - before < BURST_BYTES {
                std::thread::sleep(BURST_PAUSE);
            }
        }
    }

    /// Swaps the inbox, of which the first `frames` bytes are whole frames, with `buffer`; what
    /// stands behind them stays.
    pub(super) fn hand_on(&mut self, frames: usize, frame_count: u64, buffer: &mut Buffer) {
        buffer.replace(self.inbox.as_slice().get(frames..).unwrap_or_default());
        self.inbox.filled = frames;
        self.inbox.frame_count = frame_count;
        std::mem::swap(buffer, &mut self.inbox);
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
}

pub(super) fn copied_rows(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}
