//! The reader's thread.

use super::{Shared, WalChunk};
use crate::pg::{Error, Lsn, Status, WalMessage, WalMessages, WalStream};
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// While the pipeline is busy, frames are gathered up to this.
const CHUNK_BYTES: usize = 128 * 1024;
/// Acknowledgements go out at most this often.
const ACKNOWLEDGE_INTERVAL: Duration = Duration::from_millis(100);
/// A walsender flushes once a row, and waking up for each costs both sides more than the row
/// (`replication.md` 1.4: a quarter of the CPU). More reads than this within the window are a
/// burst: from then on a pause before each read lets the socket fill, until nothing comes for
/// longer than the quiet time. A few rows, as one transaction on an idle stream brings them, never
/// wait. Where cores are short the walsender sends in drops, so the window is wide.
const BURST_READS: u32 = 6;
const BURST_WINDOW: Duration = Duration::from_millis(5);
/// The pause is as long as fills so much of what a Unix socket's sender may fill by default
/// (208 KiB, `net.core.wmem_default`), and then the walsender stands still. The kernel counts the
/// memory that it keeps a frame in: there is room for 166 frames of 250 bytes, or 277 of 60.
const BURST_MEMORY: u64 = 140 * 1024;
const LONGEST_PAUSE: Duration = Duration::from_millis(1);
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);
const QUIET: Duration = Duration::from_millis(5);
/// In a burst, the pipeline is given a chunk this often.
const HOLD: Duration = Duration::from_millis(5);
/// A read that brings this much needs no pause.
const FULL_READ_BYTES: usize = 128 * 1024;

/// Reads until told to stop, the pipeline is gone, or an error.
pub(super) fn read(stream: WalStream, shared: &Arc<Shared>, chunks: &Sender<Item>) {
    let mut reader = Reader {
        stream,
        shared: Arc::clone(shared),
        chunks: chunks.clone(),
        pace: Pace::new(),
        status_at: Instant::now(),
        heard_at: Instant::now(),
        handed_at: Instant::now(),
        is_reply_due: false,
    };
    let outcome = reader.run().and_then(|()| reader.leave());
    if let Err(error) = outcome {
        // Nobody may be left to hear of it.
        drop(chunks.send(Err(error)));
    }
}

type Item = Result<WalChunk, Error>;

struct Reader {
    stream: WalStream,
    shared: Arc<Shared>,
    chunks: Sender<Item>,
    pace: Pace,
    /// When the last status update went out.
    status_at: Instant,
    /// When the last bytes came in.
    heard_at: Instant,
    /// When the pipeline was last given a chunk.
    handed_at: Instant,
    /// A keepalive asked for an answer.
    is_reply_due: bool,
}

impl Reader {
    fn run(&mut self) -> Result<(), Error> {
        while !self.shared.is_stopping.load(Ordering::SeqCst) {
            self.talk()?;
            if self.is_over_budget() {
                self.stall()?;
                continue;
            }
            if self.is_readable()? {
                self.receive()?;
            }
            if self.is_chunk_due()? && !self.hand_on()? {
                break;
            }
        }
        Ok(())
    }

    /// Sends a status update if one is due.
    fn talk(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let is_pinged = self.shared.is_pinged.swap(false, Ordering::SeqCst);
        if !is_pinged && !self.is_reply_due && now < self.status_due() {
            return Ok(());
        }
        self.is_reply_due = false;
        self.shared.is_flush_news.store(false, Ordering::SeqCst);
        // Asked for when it has been silent: an answer shows that it lives, and how far it is.
        let is_silent = now.duration_since(self.heard_at) >= self.stream.status_interval();
        self.status_at = now;
        let status = self.status(is_pinged || is_silent);
        self.stream.send(status)
    }

    fn status(&self, wants_reply: bool) -> Status {
        Status {
            written: Lsn(self.shared.received.load(Ordering::SeqCst)),
            flushed: Lsn(self.shared.flushed.load(Ordering::SeqCst)),
            wants_reply,
        }
    }

    fn status_due(&self) -> Instant {
        let has_news = self.shared.is_flush_news.load(Ordering::SeqCst);
        let interval = self.stream.status_interval();
        self.status_at + if has_news { interval.min(ACKNOWLEDGE_INTERVAL) } else { interval }
    }

    fn until_status(&self) -> Duration {
        self.status_due().saturating_duration_since(Instant::now())
    }

    /// Waits for bytes; false when there is something else to do first.
    fn is_readable(&mut self) -> Result<bool, Error> {
        self.pace.before_read();
        if self.stream.is_readable()? {
            return Ok(true);
        }
        let silence = self.heard_at.elapsed();
        if silence >= self.stream.silence_limit() {
            return Err(Error::Timeout {
                what: format!("an answer of {}", self.stream.host()),
                seconds: silence.as_secs(),
            });
        }
        let mut limit = self.until_status();
        // Held no longer than that, whether more comes or not.
        if self.stream.arrived_bytes() > 0 {
            limit = limit.min(HOLD.saturating_sub(self.handed_at.elapsed()));
        }
        let waits_from = Instant::now();
        let is_readable = self.stream.wait(&self.shared.waker, limit)?;
        self.pace.woke(waits_from.elapsed(), is_readable);
        Ok(is_readable)
    }

    /// Reads once.
    fn receive(&mut self) -> Result<(), Error> {
        let frames = self.stream.arrived_frames();
        let read = self.stream.receive()?;
        self.heard_at = Instant::now();
        let frames = self.stream.arrived_frames().saturating_sub(frames);
        self.pace.after_read(read, frames, self.heard_at);
        Ok(())
    }

    /// Whether what became whole goes to the pipeline now. In a burst, waking it for each read
    /// costs both sides; while it has enough to do, a larger chunk costs it less.
    fn is_chunk_due(&mut self) -> Result<bool, Error> {
        let arrived = self.stream.arrived_bytes();
        if arrived == 0 || arrived >= CHUNK_BYTES {
            return Ok(arrived > 0);
        }
        if self.pace.holds(self.handed_at.elapsed()) {
            return Ok(false);
        }
        Ok(self.chunks.is_empty() || !self.stream.is_readable()?)
    }

    /// Hands on what became whole; false if nobody takes it any more.
    fn hand_on(&mut self) -> Result<bool, Error> {
        self.handed_at = Instant::now();
        let mut buffer = self.shared.pool.1.try_recv().unwrap_or_default();
        self.stream.take(&mut buffer);
        let mut received = 0;
        for message in WalMessages::new(buffer.as_slice()) {
            let end = match message? {
                WalMessage::Data { end, .. } => end,
                WalMessage::Keepalive { end, reply_requested, .. } => {
                    self.is_reply_due |= reply_requested;
                    end
                }
            };
            received = received.max(end.0);
        }
        self.shared.received.fetch_max(received, Ordering::SeqCst);
        // The budget lets no more through than the channel holds: this does not wait.
        Ok(self.chunks.send(Ok(WalChunk::new(buffer, Arc::clone(&self.shared)))).is_ok())
    }

    fn is_over_budget(&self) -> bool {
        self.shared.held_bytes.load(Ordering::SeqCst) >= self.shared.budget_bytes
    }

    /// Waits for the pipeline, or until a status update is due.
    fn stall(&mut self) -> Result<(), Error> {
        self.shared.is_stalled.store(true, Ordering::SeqCst);
        // Looked at again: what was given back before the line above woke nobody.
        if self.is_over_budget() {
            let waited = self.shared.waker.wait(self.until_status());
            waited.map_err(|source| Error::io("wait for the pipeline", source))?;
        }
        self.shared.is_stalled.store(false, Ordering::SeqCst);
        // Silence is measured from when we listen again.
        self.heard_at = Instant::now();
        Ok(())
    }

    fn leave(self) -> Result<(), Error> {
        let status = self.status(false);
        self.stream.finish(status)
    }
}

/// When to pause before a read.
struct Pace {
    window_start: Instant,
    reads: u32,
    is_burst: bool,
    pause: Duration,
}

impl Pace {
    fn new() -> Self {
        Self { window_start: Instant::now(), reads: 0, is_burst: false, pause: LONGEST_PAUSE / 2 }
    }

    /// Whether what came waits for more, so long after the pipeline was last given something.
    fn holds(&self, since: Duration) -> bool {
        self.is_burst && since < HOLD
    }

    fn before_read(&self) {
        if self.is_burst {
            std::thread::sleep(self.pause);
        }
    }

    /// After a wait: what came soon is part of the burst, and more of it will come.
    fn woke(&mut self, waited: Duration, is_readable: bool) {
        if waited >= QUIET {
            self.is_burst = false;
            self.reads = 0;
        } else if is_readable {
            self.before_read();
        }
    }

    fn after_read(&mut self, bytes: usize, frames: u64, now: Instant) {
        if self.is_burst {
            let frame = frame_memory(bytes as u64 / frames.max(1));
            let is_full = frames * frame > BURST_MEMORY;
            let pause = if is_full { self.pause * 7 / 8 } else { self.pause * 9 / 8 };
            self.pause = pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
        if now.duration_since(self.window_start) > BURST_WINDOW {
            self.window_start = now;
            self.reads = 0;
        }
        self.reads += 1;
        self.is_burst = (self.is_burst || self.reads > BURST_READS) && bytes < FULL_READ_BYTES;
    }
}

/// What the kernel keeps frames of so many bytes in, on average: what describes one, and a buffer
/// of a power of two that ends with the list of its parts (`sk_buff` and `skb_shared_info` of
/// Linux, as `SKB_TRUESIZE` counts them on 64 bits).
fn frame_memory(bytes: u64) -> u64 {
    const DESCRIPTION: u64 = 256;
    const PARTS: u64 = 320;
    DESCRIPTION + (bytes + PARTS) * 3 / 2
}

#[cfg(test)]
mod tests {
    use super::{BURST_MEMORY, BURST_WINDOW, Duration, frame_memory};
    use super::{BURST_READS, FULL_READ_BYTES, HOLD, LONGEST_PAUSE, Pace, QUIET, SHORTEST_PAUSE};

    const FRAME_BYTES: usize = 250;

    /// Reads of so many frames.
    fn read(pace: &mut Pace, reads: u32, frames: usize) {
        let now = pace.window_start;
        (0..reads).for_each(|_| pace.after_read(frames * FRAME_BYTES, frames as u64, now));
    }

    #[test]
    fn a_few_rows_go_on_at_once_and_a_burst_is_held() {
        let mut pace = Pace::new();
        read(&mut pace, BURST_READS, 1);
        assert!(!pace.holds(Duration::ZERO));
        read(&mut pace, 1, 1);
        assert!(pace.holds(Duration::ZERO) && !pace.holds(HOLD));
        // A full socket needs no pause, and after a quiet time nothing waits.
        pace.after_read(FULL_READ_BYTES, 1000, pace.window_start);
        assert!(!pace.holds(Duration::ZERO));
        read(&mut pace, 1, 1);
        assert!(pace.holds(Duration::ZERO));
        pace.woke(QUIET, true);
        assert!(!pace.holds(Duration::ZERO));
    }

    #[test]
    fn a_row_in_its_own_time_is_no_burst() {
        let mut pace = Pace::new();
        for _ in 0..100 {
            let later = pace.window_start + BURST_WINDOW + Duration::from_micros(1);
            pace.after_read(FRAME_BYTES, 1, later);
        }
        assert!(!pace.holds(Duration::ZERO));
    }

    #[test]
    fn a_pause_brings_what_the_socket_holds_short_of_standing_still() {
        // Socket buffers hold so many, as measured.
        for (bytes, room) in [(250, 166), (60, 277)] {
            let wanted = BURST_MEMORY / frame_memory(bytes);
            assert!(wanted > room / 2 && wanted < room * 9 / 10, "{wanted} of {room}");
        }
        for (frames, pause) in [(20, LONGEST_PAUSE), (125, LONGEST_PAUSE), (135, SHORTEST_PAUSE)] {
            let mut pace = Pace::new();
            read(&mut pace, 100, frames);
            assert_eq!(pace.pause, pause, "{frames} frames");
        }
    }
}
