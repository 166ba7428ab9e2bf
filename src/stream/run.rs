//! The stream's life: sessions one after another, until one ends in order or for good.

use super::begin::Connected;
use super::bind::Binder;
use super::control::{Control, Ending};
use super::error::StreamError;
use super::look::Eye;
use super::machine::{Machine, Settings};
use super::options::{HELD_BYTES, Options, Outcome};
use super::pipeline::{Detour, End, Pipeline, State};
use super::rules::Rules;
use super::slot::Guard;
use super::spill::Spill;
use super::status::{Phase, Status, TableState};
use super::worker::Worker;
use super::{begin, sequences, slot};
use crate::catalog::RelationName;
use crate::pg::{Lsn, Session};
use crate::sink::SequenceCopy;
use crate::sink::apply::OnError;
use crate::transform::key::RootKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// `application_name` of the stream's sessions.
pub(super) const NAME: &str = "backlot stream";
/// A server that is away is tried again after this, twice as long each time, up to the limit.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const PAUSE_LIMIT: Duration = Duration::from_secs(30);
/// For the threads to end before the slot is given up.
const GIVE_UP_WAIT: Duration = Duration::from_secs(20);
/// A session that lived this long starts the pauses anew.
const HEALTHY: Duration = Duration::from_mins(1);

/// What a session is started with, beside the options.
#[derive(Default)]
struct Circumstances {
    detour: Option<Detour>,
    /// Where a row was found to have no partition on the target.
    partitions_made_at: Option<Lsn>,
    as_text: bool,
    /// Applies to the first session: later ones go on towards the same end.
    end_at: Option<Lsn>,
    /// The backend that holds the target's lock.
    holder: Option<i32>,
    /// A server that was there before is waited for; one that never was is not.
    has_streamed: bool,
    slot_name: Option<String>,
}

impl Circumstances {
    /// True if the stream tries again: not before it has streamed at all, so that a mistyped
    /// address, or another stream on the same slot, is reported at once.
    fn may_pass(&self, error: &StreamError) -> bool {
        self.has_streamed && (error.is_passing() || matches!(error, StreamError::TargetBusy))
    }
}

/// Follows the source until `shutdown` says so, a request says so, or, if asked, everything is
/// applied that had committed when it began.
///
/// # Errors
/// [`StreamError`]: what was applied is checkpointed; the same call goes on from there.
pub async fn run(
    options: &Options,
    key: &Arc<RootKey>,
    status: &Arc<Status>,
    mut shutdown: watch::Receiver<bool>,
) -> Result<Outcome, StreamError> {
    let mut circumstances = Circumstances::default();
    let mut pause = FIRST_PAUSE;
    let mut guard = Guard::default();
    loop {
        let started = tokio::time::Instant::now();
        let ended = session(options, key, status, &shutdown, &mut circumstances).await;
        let error = match ended {
            Ok(Ended::Done(outcome)) => {
                status.enter(Phase::Stopped);
                return Ok(outcome);
            }
            Ok(Ended::Again) => continue,
            Err(error) if circumstances.may_pass(&error) && !*shutdown.borrow() => error,
            Err(error) => {
                status.enter(Phase::Stopped);
                return Err(error);
            }
        };
        if started.elapsed() >= HEALTHY {
            pause = FIRST_PAUSE;
        }
        announce(status, &error, pause);
        let slot_name = circumstances.slot_name.as_deref();
        let given_up = tokio::select! {
            // Nothing is lost when the sleep or the look is dropped.
            () = tokio::time::sleep(jittered(pause)) => None,
            error = slot::overdrawn(options, slot_name, &mut guard, status) => Some(error),
            _ = shutdown.changed() => return Err(error),
        };
        if let Some(error) = given_up {
            status.enter(Phase::Stopped);
            return Err(slot::give_up(options, error, status).await);
        }
        pause = (pause * 2).min(PAUSE_LIMIT);
    }
}

fn announce(status: &Status, error: &StreamError, pause: Duration) {
    if status.phase() != Phase::Reconnecting {
        let cause = std::error::Error::source(error).map(|source| format!(": {source}"));
        let cause = cause.unwrap_or_default();
        tracing::warn!(%error, cause, "the stream is interrupted");
        status.note(format!("{error}{cause}; trying again in {:.1} s", pause.as_secs_f32()));
    }
    status.enter(Phase::Reconnecting);
    status.count_reconnect();
}

/// Between half of the pause and all of it: streams that lost one server together do not come
/// back together.
fn jittered(pause: Duration) -> Duration {
    let nanoseconds =
        std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
    pause / 2 + (pause / 2).mul_f64(f64::from(nanoseconds % 1000) / 1000.0)
}

enum Ended {
    Done(Outcome),
    Again,
}

/// One session: both servers, all threads, from the checkpoint on.
async fn session(
    options: &Options,
    key: &Arc<RootKey>,
    status: &Arc<Status>,
    shutdown: &watch::Receiver<bool>,
    circumstances: &mut Circumstances,
) -> Result<Ended, StreamError> {
    let known = circumstances.slot_name.clone();
    let mut guard = Guard::default();
    let prepared = tokio::select! {
        prepared = Box::pin(prepare(options, key, status, shutdown, circumstances)) => prepared,
        error = slot::overdrawn(options, known.as_deref(), &mut guard, status) => Err(error),
    };
    let Prepared { begun, until, orders, pipeline } = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Err(slot::give_up(options, error, status).await),
    };
    let (ended_sender, mut ended) = oneshot::channel();
    let reader = pipeline.reader.control();
    status.enter(Phase::Streaming);
    circumstances.has_streamed = true;
    tracing::info!(slot = begun.record.slot_name, "streaming");
    std::thread::Builder::new()
        .name("stream".into())
        .spawn(move || drop(ended_sender.send(pipeline.run())))
        .map_err(StreamError::Thread)?;
    let control = Control::new(options, key, status, &begun, orders.clone());
    let ending = control.run(&mut ended, shutdown.clone(), until).await;
    let end = match ending {
        Ending::Pipeline(end) => end?,
        Ending::Lost(error @ StreamError::GivenUp { .. }) => {
            drop(orders.send(super::order::Order::Stop));
            // Threads that wait for a target do not keep the slot: the stream ends for good. A
            // walsender that is ended says so first, and waits for somebody to read it.
            drop(tokio::time::timeout(GIVE_UP_WAIT, ended).await);
            reader.interrupt();
            return Err(slot::give_up(options, error, status).await);
        }
        Ending::Lost(error) => {
            drop(orders.send(super::order::Order::Stop));
            let name = Some(begun.record.slot_name.as_str());
            let error = tokio::select! {
                _ = ended => error,
                error = slot::overdrawn(options, name, &mut guard, status) => error,
            };
            reader.interrupt();
            return Err(slot::give_up(options, error, status).await);
        }
    };
    match end {
        // A table that was given up on the way is copied again before the end.
        End::Drained { was_stopped: false } if begin::is_asked(&begun).await? => Ok(Ended::Again),
        End::Drained { was_stopped } => {
            let mut copy = SequenceCopy::default();
            let (source, target) = (&begun.source, &begun.target);
            let sequences = sequences::follow(&mut copy, source, target, &begun.rules).await?;
            let outcome = begin::outcome(&begun, status, was_stopped, sequences).await?;
            Ok(Ended::Done(outcome))
        }
        End::Again(detour) => {
            circumstances.detour = Some(detour);
            Ok(Ended::Again)
        }
        End::AsText => {
            circumstances.as_text = true;
            Ok(Ended::Again)
        }
        End::NewPartition(checkpoint) => {
            // What begins a session makes the source's partitions.
            circumstances.partitions_made_at = Some(checkpoint);
            Ok(Ended::Again)
        }
        End::Anew => Ok(Ended::Again),
    }
}

/// A session that is about to start.
struct Prepared {
    begun: begin::Begun,
    until: Option<Lsn>,
    orders: crossbeam_channel::Sender<super::order::Order>,
    pipeline: Pipeline,
}

async fn prepare(
    options: &Options,
    key: &Arc<RootKey>,
    status: &Arc<Status>,
    shutdown: &watch::Receiver<bool>,
    circumstances: &mut Circumstances,
) -> Result<Prepared, StreamError> {
    let as_text = circumstances.as_text;
    let (begun, connected) =
        begin::begin(options, key, status, (&mut circumstances.holder, as_text), shutdown).await?;
    circumstances.slot_name = Some(begun.record.slot_name.clone());
    let until = match (options.until_caught_up, circumstances.end_at) {
        (false, _) => None,
        (true, Some(lsn)) => Some(lsn),
        (true, None) => Some(begin::end_of_source(&begun.source).await?),
    };
    circumstances.end_at = until;
    let (orders, order_receiver) = crossbeam_channel::unbounded();
    let threads = Threads {
        options: options.clone(),
        key: Arc::clone(key),
        status: Arc::clone(status),
        states: begun.states.clone(),
        rules: begun.rules.clone(),
        source: Arc::clone(&begun.source),
        detour: circumstances.detour.clone(),
        partitions_made_at: circumstances.partitions_made_at,
        orders: order_receiver,
        runtime: tokio::runtime::Handle::current(),
    };
    let pipeline = tokio::task::spawn_blocking(move || threads.start(connected));
    let pipeline = pipeline.await.map_err(|_| StreamError::Panicked)??;
    Ok(Prepared { begun, until, orders, pipeline })
}

/// What the threads of a session need.
struct Threads {
    options: Options,
    key: Arc<RootKey>,
    status: Arc<Status>,
    states: BTreeMap<RelationName, TableState>,
    rules: Arc<Rules>,
    source: Arc<Session>,
    detour: Option<Detour>,
    partitions_made_at: Option<Lsn>,
    orders: crossbeam_channel::Receiver<super::order::Order>,
    runtime: tokio::runtime::Handle,
}

impl Threads {
    /// Starts the applier; the pipeline is for the caller's thread.
    fn start(&self, connected: Connected) -> Result<Pipeline, StreamError> {
        let Self { options, status, .. } = self;
        let Connected { reader, is_binary, mut applier } = connected;
        let checkpoint = applier.checkpoint();
        if let Some(at) = self.partitions_made_at {
            applier.partitions_made(at);
        }
        status.set_applied(checkpoint, None);
        let (work, work_receiver) = crossbeam_channel::bounded(1);
        let (done_sender, done) = crossbeam_channel::bounded(4);
        let worker = Worker { applier, acknowledge: reader.control(), status: Arc::clone(status) };
        std::thread::Builder::new()
            .name("applier".into())
            .spawn(move || worker.run(&work_receiver, &done_sender))
            .map_err(StreamError::Thread)?;
        let binder = Binder::new(
            Eye { runtime: self.runtime.clone(), source: Arc::clone(&self.source) },
            (&options.source, &options.target),
            Arc::clone(&self.key),
            Arc::clone(&self.rules),
            &self.states,
            is_binary,
            Arc::clone(status),
        )
        .map_err(StreamError::target("connect to the target"))?;
        Ok(Pipeline {
            machine: Machine::new(Settings {
                checkpoint,
                skip_foreign_origins: options.skip_foreign_origins,
                held_bytes: HELD_BYTES,
            }),
            binder,
            spill: Spill::new(options.spill_directory.clone()),
            reader,
            work,
            done,
            orders: self.orders.clone(),
            status: Arc::clone(status),
            detour: self.detour.clone(),
            quarantines: options.on_error == OnError::Quarantine,
            state: State::new(),
        })
    }
}
