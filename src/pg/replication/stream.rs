//! A running stream: frames in, status updates out.

use super::ServerClock;
use crate::pg::wire::Arrived;
use crate::pg::{Buffer, Error, Interrupt, Lsn, Waker, Wire};
use std::time::Duration;

/// A server that says nothing for this long, or for twice its own `wal_sender_timeout` if that
/// is longer, is gone: status updates ask it to answer.
const SILENCE: Duration = Duration::from_mins(2);
/// Status updates go out at least this often, or three times per `wal_sender_timeout`.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// How far the stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The last position received.
    pub written: Lsn,
    /// Durable on the target: moves the slot's `confirmed_flush_lsn`.
    pub flushed: Lsn,
    /// Asks the server for a keepalive at once.
    pub wants_reply: bool,
}

/// The copy-both half of a [`Replication`](super::Replication). Reading never waits longer than
/// asked and never answers by itself: see `source::WalReader` for the thread that does.
pub struct WalStream {
    wire: Wire,
    arrived: Arrived,
    clock: ServerClock,
    wal_sender_timeout: Option<Duration>,
}

impl WalStream {
    pub(super) fn new(
        wire: Wire,
        clock: ServerClock,
        wal_sender_timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        let mut stream = Self { wire, arrived: Arrived::default(), clock, wal_sender_timeout };
        let limit = stream.silence_limit();
        stream.wire.limit_silence(limit)?;
        Ok(stream)
    }

    pub fn interrupt(&self) -> Result<Interrupt, Error> {
        self.wire.interrupt()
    }

    /// The longest pause between two status updates that the server does not take amiss.
    pub fn status_interval(&self) -> Duration {
        self.wal_sender_timeout.map_or(STATUS_INTERVAL, |limit| STATUS_INTERVAL.min(limit / 3))
    }

    /// A server that has sent nothing for this long, asked or not, is gone.
    pub fn silence_limit(&self) -> Duration {
        self.wal_sender_timeout.map_or(SILENCE, |limit| SILENCE.max(limit * 2))
    }

    /// The server's URL, without the password.
    pub fn host(&self) -> &str {
        self.wire.host()
    }

    /// Waits until bytes can be read (true), the waker fires, or the time is over.
    pub fn wait(&mut self, waker: &Waker, limit: Duration) -> Result<bool, Error> {
        match self.arrived.is_readable() {
            Some(is_readable) => Ok(is_readable),
            None => self.wire.wait(waker, limit),
        }
    }

    /// True if bytes can be read now.
    pub fn is_readable(&mut self) -> Result<bool, Error> {
        self.arrived.is_readable().map_or_else(|| self.wire.is_readable(), Ok)
    }

    /// Reads once, waiting if nothing is there. Returns the number of bytes.
    pub fn receive(&mut self) -> Result<usize, Error> {
        self.wire.receive(&mut self.arrived)
    }

    /// Bytes of whole CopyData frames that have arrived and were not taken.
    pub fn arrived_bytes(&self) -> usize {
        self.arrived.bytes
    }

    /// Their number.
    pub fn arrived_frames(&self) -> u64 {
        self.arrived.count
    }

    /// Replaces `buffer` by the whole CopyData frames that have arrived: read them with
    /// [`WalMessages`](super::WalMessages). The buffers are swapped, only a torn last frame moves.
    pub fn take(&mut self, buffer: &mut Buffer) {
        self.wire.take_frames(&mut self.arrived, buffer);
    }

    /// Standby status update.
    /// Source: <https://www.postgresql.org/docs/current/protocol-replication.html>
    pub fn send(&mut self, status: Status) -> Result<(), Error> {
        let mut message = [0; 34];
        let fields = [
            &b"r"[..],
            &status.written.max(status.flushed).0.to_be_bytes(),
            &status.flushed.0.to_be_bytes(),
            &status.flushed.0.to_be_bytes(),
            &self.clock.now_us().to_be_bytes(),
            &[u8::from(status.wants_reply)],
        ];
        for (to, from) in message.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        self.wire.send_copy_data(&message)
    }

    /// Leaves in order: a last status, CopyDone, everything that is still under way, Terminate.
    /// The slot is free when this returns. A server in the middle of a large transaction sends
    /// all of it first: [`Interrupt`] is for those who do not want to wait.
    pub fn finish(mut self, status: Status) -> Result<(), Error> {
        self.send(status)?;
        self.wire.finish_copy_both()
    }
}
