//! The reader of a slot: one plain thread that takes the stream off the socket.
//!
//! It never waits for the pipeline without going on talking to the source: keepalives are
//! answered here, status updates go out on time, and while the pipeline holds as much as it may,
//! only reading stops. Chunks of whole CopyData frames are handed on as they came, not copied.

mod thread;

use crate::pg::{Buffer, Error, Interrupt, Lsn, Replication, StartOptions, Waker, WalMessages};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A chunk costs at least what one read asks for (`pg::Wire`): so many fit into a budget.
const SMALLEST_CHUNK_BYTES: usize = 256 * 1024;
/// Buffers kept for the next chunks. Those that one large row made larger than this are let go.
const POOL_BUFFERS: usize = 8;
const POOLED_BYTES: usize = 1024 * 1024;
/// How long [`WalReader::stop`] waits for a server that is in the middle of a transaction.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The running reader of a slot. Dropping it cuts the connection; [`WalReader::stop`] leaves in
/// order.
pub struct WalReader {
    chunks: Receiver<Result<WalChunk, Error>>,
    control: WalControl,
    thread: Option<JoinHandle<()>>,
}

/// What other threads tell the reader and ask of it.
#[derive(Clone)]
pub struct WalControl(Arc<Shared>);

struct Shared {
    waker: Waker,
    interrupt: Interrupt,
    flushed: AtomicU64,
    received: AtomicU64,
    /// The reader has not seen the last `acknowledge` yet.
    is_flush_news: AtomicBool,
    is_pinged: AtomicBool,
    is_stopping: AtomicBool,
    /// The reader waits for the pipeline.
    is_stalled: AtomicBool,
    budget_bytes: usize,
    held_bytes: AtomicUsize,
    pool: (Sender<Buffer>, Receiver<Buffer>),
}

/// Whole CopyData frames. Counts against the budget until it is dropped, which also gives the
/// buffer back to the reader.
pub struct WalChunk {
    buffer: Buffer,
    shared: Arc<Shared>,
}

impl WalChunk {
    fn new(buffer: Buffer, shared: Arc<Shared>) -> Self {
        shared.held_bytes.fetch_add(buffer.capacity(), Ordering::SeqCst);
        Self { buffer, shared }
    }

    pub fn messages(&self) -> WalMessages<'_> {
        WalMessages::new(self.buffer.as_slice())
    }

    /// Bytes of frames in it.
    pub fn byte_count(&self) -> usize {
        self.buffer.as_slice().len()
    }
}

impl Drop for WalChunk {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.shared.held_bytes.fetch_sub(buffer.capacity(), Ordering::SeqCst);
        if buffer.capacity() <= POOLED_BYTES {
            // A full pool needs no more.
            drop(self.shared.pool.0.try_send(buffer));
        }
        if self.shared.is_stalled.load(Ordering::SeqCst) {
            self.shared.waker.wake();
        }
    }
}

impl WalReader {
    /// Starts the stream (see [`Replication::start`]) and the thread that reads it. The chunks
    /// that the pipeline holds stay below `budget_bytes`, but for one: a single row may be larger
    /// (up to 1 GB) and passes.
    pub fn start(
        replication: Replication,
        slot: &str,
        from: Lsn,
        options: &StartOptions,
        budget_bytes: usize,
    ) -> Result<Self, Error> {
        let stream = replication.start(slot, from, options)?;
        let shared = Arc::new(Shared {
            waker: Waker::new().map_err(|source| Error::io("make a socket pair", source))?,
            interrupt: stream.interrupt()?,
            // Nothing, not `from`: the target may hold it without having flushed it, left so by a
            // stream that was killed. The server takes 0 for no news.
            flushed: AtomicU64::new(0),
            received: AtomicU64::new(0),
            is_flush_news: AtomicBool::new(false),
            is_pinged: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            is_stalled: AtomicBool::new(false),
            budget_bytes,
            held_bytes: AtomicUsize::new(0),
            pool: crossbeam_channel::bounded(POOL_BUFFERS),
        });
        // Room for what the budget lets through, the chunk that passes it, and the last error.
        let (sender, chunks) = crossbeam_channel::bounded(budget_bytes / SMALLEST_CHUNK_BYTES + 2);
        let thread = std::thread::Builder::new()
            .name("wal reader".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || thread::read(stream, &shared, &sender)
            })
            .map_err(|source| Error::io("start a thread", source))?;
        Ok(Self { chunks, control: WalControl(shared), thread: Some(thread) })
    }

    /// The stream, in order. An error is the last item; after [`Self::stop`] there is none.
    pub fn chunks(&self) -> &Receiver<Result<WalChunk, Error>> {
        &self.chunks
    }

    /// For other threads.
    pub fn control(&self) -> WalControl {
        self.control.clone()
    }

    /// Leaves in order: acknowledges what is flushed, says goodbye, waits for the server's: the
    /// slot is free then. What had not been taken is dropped, and comes again in the next
    /// stream. A server that goes on sending one transaction for longer than ten seconds is cut
    /// off, which frees the slot as well.
    pub fn stop(mut self) -> Result<(), Error> {
        self.control.0.is_stopping.store(true, Ordering::SeqCst);
        self.control.0.waker.wake();
        let deadline = Instant::now() + DRAIN_LIMIT;
        let mut outcome = Ok(());
        loop {
            match self.chunks.recv_deadline(deadline) {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => outcome = Err(error),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.control.interrupt();
                    outcome = Ok(());
                    break;
                }
            }
        }
        self.join();
        outcome
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for WalReader {
    fn drop(&mut self) {
        self.control.interrupt();
        if let Some(thread) = self.thread.take() {
            // Its panic is a bug that has been printed already.
            drop(thread.join());
        }
    }
}

impl Deref for WalReader {
    type Target = WalControl;

    fn deref(&self) -> &WalControl {
        &self.control
    }
}

impl WalControl {
    /// Everything that committed below `flushed` is durable on the target. The source hears of
    /// it within a tenth of a second. Never goes back.
    pub fn acknowledge(&self, flushed: Lsn) {
        let before = self.0.flushed.fetch_max(flushed.0, Ordering::SeqCst);
        if before < flushed.0 && !self.0.is_flush_news.swap(true, Ordering::SeqCst) {
            self.0.waker.wake();
        }
    }

    /// Asks the source for a keepalive at once: its position says how far the stream has come
    /// where nothing else does.
    pub fn ping(&self) {
        self.0.is_pinged.store(true, Ordering::SeqCst);
        self.0.waker.wake();
    }

    /// The highest position that any message had.
    pub fn received(&self) -> Lsn {
        Lsn(self.0.received.load(Ordering::SeqCst))
    }

    /// Cuts the connection: the reader ends with an error.
    pub fn interrupt(&self) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
        self.0.interrupt.fire();
        self.0.waker.wake();
    }
}
