//! The middle thread: what the reader brings goes through the machine to the applier.
//!
//! It alone owns the machine, so whatever other parts want of the stream's order (a fence, a
//! barrier, an end) they ask of it with an [`Order`].

use super::bind::{BindError, Binder};
use super::error::StreamError;
use super::look::Standing;
use super::machine::{Action, Applier as Readiness, Machine, MachineError, Release, Route as Way};
use super::order::{Next, Order, Placing, Spooled, Swapped, Unit};
use super::rules::Rules;
use super::spill::Spill;
use super::status::{Status, TableState};
use super::worker::{Done, Work};
use crate::pg::pgoutput::{Decoder, Message};
use crate::pg::{Error, Lsn, WalMessage};
use crate::sink::apply::{Extent, Group, Route};
use crate::source::{WalChunk, WalReader};
use crate::stream::machine::Shape;
use crossbeam_channel::{Receiver, Sender, select_biased};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Looked at the clock at least this often while something waits to be handed over.
const TICK: Duration = Duration::from_millis(20);
/// A group that is only paced goes soon.
const PACED_TICK: Duration = Duration::from_millis(1);
const IDLE_TICK: Duration = Duration::from_millis(500);
/// Longest time that the stream waits at a fence or a barrier for whoever asked for it.
const FENCE_LIMIT: Duration = Duration::from_mins(1);

/// A transaction that goes to the applier by a route of its own: it failed before.
#[derive(Clone, Debug)]
pub(super) struct Detour {
    pub(super) commit_lsn: Lsn,
    pub(super) route: Route,
}

/// Why the thread ended.
pub(super) enum End {
    /// What was complete is applied, flushed and acknowledged.
    Drained { was_stopped: bool },
    /// From the checkpoint again, with this detour.
    Again(Detour),
    /// From the checkpoint again, with all values as text.
    AsText,
    /// From the checkpoint again, with the tables' states as they are now.
    Anew,
    /// From this checkpoint again: behind it stands a row of a partition that came meanwhile.
    NewPartition(Lsn),
}

pub(super) struct Pipeline {
    pub(super) machine: Machine,
    pub(super) binder: Binder,
    pub(super) spill: Spill,
    pub(super) reader: WalReader,
    pub(super) work: Sender<Work>,
    pub(super) done: Receiver<Done>,
    pub(super) orders: Receiver<Order>,
    pub(super) status: Arc<Status>,
    pub(super) detour: Option<Detour>,
    /// Mark a table stale whose rows cannot be masked, instead of stopping.
    pub(super) quarantines: bool,
    pub(super) state: State,
}

/// What changes while it runs.
pub(super) struct State {
    decoder: Decoder,
    started: Instant,
    /// Work that the applier has not answered yet.
    in_flight: usize,
    barrier: Option<Waiting>,
    /// Orders that wait for the end of a transaction.
    deferred: VecDeque<Order>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::default(),
            started: Instant::now(),
            in_flight: 0,
            barrier: None,
            deferred: VecDeque::new(),
        }
    }
}

/// What happens at a barrier.
enum Waiting {
    /// The stream ends.
    End,
    /// Whoever asked is told, and says when to go on.
    Mark { reached: oneshot::Sender<()>, go_on: Receiver<()> },
    /// From here on the tables' changes are kept.
    Spool { unit: Unit, rules: Arc<Rules>, reached: oneshot::Sender<Spooled> },
}

enum Event {
    Chunk(Result<WalChunk, Error>),
    Done(Done),
    Order(Order),
    Tick,
    ReaderGone,
}

/// The pipeline ends, well or not.
type Ended = Result<End, StreamError>;

impl Pipeline {
    /// Runs until something ends it; leaves the source in order if it can.
    pub(super) fn run(mut self) -> Ended {
        loop {
            let step = match self.wait() {
                Event::Chunk(Ok(chunk)) => self.chunk(&chunk),
                Event::Chunk(Err(error)) => {
                    Err(Err(StreamError::source("read the replication slot")(error)))
                }
                Event::ReaderGone => Err(Err(StreamError::Panicked)),
                Event::Done(done) => self.answered(done),
                Event::Order(order) => self.order(order),
                Event::Tick => {
                    self.look_around();
                    Ok(())
                }
            };
            let step = step.and_then(|()| {
                self.machine.close_if_due(self.now(), self.readiness());
                self.act()
            });
            let step = step.and_then(|()| self.deferred());
            if let Err(ended) = step {
                return self.end(ended);
            }
        }
    }

    fn now(&self) -> Duration {
        self.state.started.elapsed()
    }

    fn readiness(&self) -> Readiness {
        match self.state.in_flight {
            0 => Readiness::Idle,
            1 => Readiness::Busy,
            _ => Readiness::Full,
        }
    }

    fn wait(&self) -> Event {
        let tick = match (self.machine.has_gathered(), self.readiness()) {
            (false, _) => IDLE_TICK,
            (true, Readiness::Idle) => PACED_TICK,
            (true, Readiness::Busy | Readiness::Full) => TICK,
        };
        select_biased! {
            recv(self.done) -> done => done.map_or(Event::Tick, Event::Done),
            recv(self.orders) -> order => order.map_or(Event::Tick, Event::Order),
            recv(self.reader.chunks()) -> chunk => chunk.map_or(Event::ReaderGone, Event::Chunk),
            default(tick) => Event::Tick,
        }
    }

    fn chunk(&mut self, chunk: &WalChunk) -> Result<(), Ended> {
        let now = self.now();
        self.machine.set_source_end(self.status.source_end());
        for message in chunk.messages() {
            let message = message.map_err(|error| Err(StreamError::Protocol(error.to_string())))?;
            match message {
                WalMessage::Data { payload, .. } => {
                    let message = self.state.decoder.decode(payload);
                    let message =
                        message.map_err(|error| Err(StreamError::Protocol(error.to_string())))?;
                    self.message(message, now)?;
                }
                WalMessage::Keepalive { end, reply_requested, .. } => {
                    self.machine.keepalive(end, reply_requested);
                }
            }
            if self.machine.is_at_boundary() && self.machine.has_gathered() {
                self.take_answers()?;
                self.machine.close_if_due(now, self.readiness());
            }
            self.act()?;
            self.deferred()?;
        }
        self.status.receive(self.reader.received());
        self.status.count_masked(self.machine.take_masked_count());
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, now: Duration) -> Result<(), Ended> {
        if let Message::Relation { relation, .. } = message {
            let shape = Shape::of(&relation);
            let view = self.binder.look(&shape, self.machine.commit_lsn()).map_err(unbound)?;
            if view.table != Standing::Same || !self.machine.recognise(&shape) {
                if view.table == Standing::Replaced
                    || self.binder.lacks_partition(&shape).map_err(unbound)?
                {
                    // It is made, or copied, before the next session reads.
                    return Err(Ok(End::Anew));
                }
                if let Some(step) = self.binder.step(&shape, &view).map_err(unbound)? {
                    let is_settled = self.machine.settle();
                    self.act()?;
                    self.wait_idle()?;
                    self.binder.take(&shape, step, is_settled).map_err(unbound)?;
                }
                let (binding, way) = self.binder.bind(&shape, &view).map_err(unbound)?;
                self.machine.bind(shape, binding, way);
                // Its other partitions may have been given up with it.
                self.machine.skip(|name| self.binder.is_skipped(name));
            }
            return Ok(());
        }
        self.machine.message(message, now).map_err(|error| self.broken(error))
    }

    /// A row that cannot be masked ends the stream, or, where errors are put aside, the following
    /// of its table.
    fn broken(&mut self, error: MachineError) -> Ended {
        let (relation, source) = match error {
            MachineError::Protocol(what) => {
                return Err(StreamError::Protocol(format!("the walsender sent {what}")));
            }
            MachineError::Mask { relation, source } => (relation, source),
        };
        if !self.quarantines {
            let relation = relation.to_string();
            let commit_lsn = self.machine.passed();
            return Err(StreamError::Mask { relation, commit_lsn, source });
        }
        let reason = format!("a row cannot be masked: {source}");
        match self.binder.give_up(&relation, &reason) {
            Ok(()) => Ok(End::Anew),
            Err(error) => Err(error.into()),
        }
    }

    /// Does what the machine wants.
    fn act(&mut self) -> Result<(), Ended> {
        while let Some(action) = self.machine.next_action() {
            match action {
                Action::Hand { group, commit_lsn } => self.hand(group, commit_lsn)?,
                Action::HandStored(release) => self.hand_stored(&release)?,
                Action::Store(id, segment) => {
                    self.spill
                        .store(id, &segment)
                        .map_err(|error| Err(StreamError::Spill(error)))?;
                }
                Action::Forget(buffer) => self.spill.forget(buffer),
                Action::Advance(lsn) => self.send(Work::Advance(lsn))?,
                Action::Barrier => self.at_barrier()?,
                Action::Stale { target, reason } => {
                    let given_up = self.binder.give_up_target(&target, &reason);
                    given_up.map_err(|error| Err(error.into()))?;
                }
            }
        }
        Ok(())
    }

    fn hand(&mut self, group: Group, commit_lsn: Lsn) -> Result<(), Ended> {
        let detour = self
            .detour
            .as_ref()
            .filter(|detour| detour.commit_lsn == commit_lsn && group.extent != Extent::Whole);
        let route = detour.map_or(Route::Fast, |detour| detour.route.clone());
        self.send(Work::Group { group: Box::new(group), route, commit_lsn })
    }

    fn hand_stored(&mut self, release: &Release) -> Result<(), Ended> {
        let segment = self.spill.load(release.stored);
        let segment = segment.map_err(|error| Err(StreamError::Spill(error)))?;
        let group = self.machine.release(segment, release);
        self.hand(group, release.commit_lsn)
    }

    /// Waits until the applier takes it.
    fn send(&mut self, work: Work) -> Result<(), Ended> {
        while self.state.in_flight >= 2 {
            self.wait_done()?;
        }
        self.state.in_flight += 1;
        if self.work.send(work).is_err() {
            // It says why it ended.
            self.wait_idle()?;
        }
        Ok(())
    }

    fn wait_idle(&mut self) -> Result<(), Ended> {
        while self.state.in_flight > 0 {
            self.wait_done()?;
        }
        Ok(())
    }

    fn wait_done(&mut self) -> Result<(), Ended> {
        match self.done.recv() {
            Ok(done) => self.answered(done),
            Err(_) => Err(Err(StreamError::Panicked)),
        }
    }

    /// What has come meanwhile. Asked for behind every transaction, so it has to cost nothing.
    fn take_answers(&mut self) -> Result<(), Ended> {
        while self.state.in_flight > 0 && !self.done.is_empty() {
            self.wait_done()?;
        }
        Ok(())
    }

    fn answered(&mut self, done: Done) -> Result<(), Ended> {
        self.state.in_flight = self.state.in_flight.saturating_sub(1);
        match done {
            Done::Group { group, net_changes } => {
                self.machine.reuse(*group, net_changes);
                Ok(())
            }
            Done::Applied => Ok(()),
            Done::Refused(reason) => {
                self.status.note(reason);
                Ok(())
            }
            Done::Failed { error, commit_lsn } => Err(failed(error, commit_lsn)),
        }
    }

    fn order(&mut self, order: Order) -> Result<(), Ended> {
        match order {
            Order::Stop => Err(self.drain(true)),
            Order::Anew => Err(Ok(End::Anew)),
            Order::DropSpool(spooled) => {
                self.machine.drop_spool(spooled.buffer);
                self.binder.end_spool(&spooled.unit);
                self.machine.set_route(&spooled.unit.target, Way::Skip);
                Ok(())
            }
            Order::EndAt(_)
            | Order::Fence { .. }
            | Order::Retry { .. }
            | Order::Skip(_)
            | Order::Swap { .. } => {
                self.state.deferred.push_back(order);
                Ok(())
            }
        }
    }

    /// Carries out what waits for the end of a transaction. One barrier at a time.
    fn deferred(&mut self) -> Result<(), Ended> {
        while !self.state.deferred.is_empty()
            && self.state.barrier.is_none()
            && self.machine.is_at_boundary()
        {
            let Some(order) = self.state.deferred.pop_front() else { break };
            match order {
                Order::EndAt(lsn) => self.set_barrier(Waiting::End, lsn)?,
                Order::Fence { fenced, next } => self.fence(fenced, &next)?,
                Order::Retry { quarantine_id, answer } => self.retry(quarantine_id, answer)?,
                Order::Skip(unit) => {
                    self.machine.set_route(&unit.target, Way::Skip);
                    self.binder.set_states(&unit, TableState::Resyncing);
                }
                Order::Swap { spooled, placing, swapped } => {
                    let outcome = self.swap(&spooled, placing)?;
                    // Nobody may be left to hear of it.
                    drop(swapped.send(outcome));
                }
                Order::Stop | Order::Anew | Order::DropSpool(_) => self.order(order)?,
            }
        }
        Ok(())
    }

    /// Nothing has come for a while: an idle source says where it is only when asked.
    fn look_around(&self) {
        if self.state.barrier.is_some() {
            self.reader.ping();
        }
    }

    fn set_barrier(&mut self, waiting: Waiting, lsn: Lsn) -> Result<(), Ended> {
        self.state.barrier = Some(waiting);
        self.machine.set_barrier(lsn);
        self.reader.ping();
        self.act()
    }

    /// Stands still between two transactions for whoever asked for it.
    fn fence(&mut self, fenced: oneshot::Sender<()>, next: &Receiver<Next>) -> Result<(), Ended> {
        self.machine.close();
        self.act()?;
        self.wait_idle()?;
        if fenced.send(()).is_err() {
            return Ok(());
        }
        match next.recv_timeout(FENCE_LIMIT) {
            Ok(Next::Mark { lsn, reached, go_on }) => {
                self.set_barrier(Waiting::Mark { reached, go_on }, lsn)
            }
            Ok(Next::Spool { lsn, unit, rules, reached }) => {
                self.set_barrier(Waiting::Spool { unit, rules, reached }, lsn)
            }
            // Who asked is gone or too slow.
            Err(_) => Ok(()),
        }
    }

    fn at_barrier(&mut self) -> Result<(), Ended> {
        match self.state.barrier.take() {
            Some(Waiting::End) => Err(self.drain(false)),
            Some(Waiting::Mark { reached, go_on }) => {
                self.wait_idle()?;
                if reached.send(()).is_ok() {
                    // The end of the wait is the same whether it was said or not.
                    let _ = go_on.recv_timeout(FENCE_LIMIT);
                }
                Ok(())
            }
            Some(Waiting::Spool { unit, rules, reached }) => self.start_spool(unit, rules, reached),
            None => Ok(()),
        }
    }

    fn start_spool(
        &mut self,
        unit: Unit,
        rules: Arc<Rules>,
        reached: oneshot::Sender<Spooled>,
    ) -> Result<(), Ended> {
        self.binder.set_rules(rules);
        let buffer = self.machine.start_spool(&unit.target);
        self.binder.start_spool(&unit, buffer);
        // The target may have been changed to fit since the relations were bound.
        let (machine, binder) = (&mut self.machine, &mut self.binder);
        machine
            .rebind(|name| unit.sources.contains(name), |shape| binder.rebind(shape))
            .map_err(unbound)?;
        let spooled = Spooled { unit, buffer };
        if let Err(unsent) = reached.send(spooled) {
            self.order(Order::DropSpool(unsent))?;
        }
        Ok(())
    }

    fn retry(&mut self, id: i64, answer: oneshot::Sender<Result<(), String>>) -> Result<(), Ended> {
        self.wait_idle()?;
        let outcome = self.ask(Work::Retry(id))?;
        // Nobody may be left to hear of it.
        drop(answer.send(outcome));
        Ok(())
    }

    /// Work that may be refused; nothing else is in flight.
    fn ask(&mut self, work: Work) -> Result<Result<(), String>, Ended> {
        self.send(work)?;
        let done = self.done.recv().map_err(|_| Err(StreamError::Panicked))?;
        self.state.in_flight -= 1;
        match done {
            Done::Group { .. } | Done::Applied => Ok(Ok(())),
            Done::Refused(reason) => Ok(Err(reason)),
            Done::Failed { error, commit_lsn } => Err(failed(error, commit_lsn)),
        }
    }

    /// Puts a copied table in the place of the old rows and applies what was spooled since, in
    /// one target transaction. What does not fit leaves the table stale; where a lock is not to be
    /// had, everything stays as it was.
    fn swap(&mut self, spooled: &Spooled, placing: Placing) -> Result<Swapped, Ended> {
        let Spooled { unit, buffer } = spooled;
        if let Some(reason) = self.binder.unfit(unit) {
            self.binder.end_spool(unit);
            self.machine.drop_spool(*buffer);
            self.machine.set_route(&unit.target, Way::Skip);
            self.binder
                .write_states(unit, TableState::Stale, Some(&reason))
                .map_err(|e| Err(e.into()))?;
            return Ok(Swapped::Refused(reason));
        }
        // What was spooled is behind the checkpoint, or it would be sent once more.
        self.machine.close_and_advance(self.now());
        self.act()?;
        self.wait_idle()?;
        let swapped = self.put_in_place(unit, *buffer, placing.statements);
        if let Err(Ok(End::Again(Detour { commit_lsn: Lsn::ZERO, route }))) = swapped {
            let reason = match route {
                Route::Quarantine(failure) => failure.to_string(),
                Route::Fast | Route::Careful => "its changes do not fit the copy".to_owned(),
            };
            self.binder
                .write_states(unit, TableState::Stale, Some(&reason))
                .map_err(|e| Err(e.into()))?;
            return Err(Ok(End::Anew));
        }
        if let Err(reason) = swapped? {
            return Ok(Swapped::Locked(reason));
        }
        for (source, state, reason) in &placing.states {
            self.binder.set_state(source, *state, *reason);
        }
        Ok(Swapped::Done)
    }

    fn put_in_place(
        &mut self,
        unit: &Unit,
        buffer: super::machine::BufferId,
        statements: Vec<String>,
    ) -> Result<Result<(), String>, Ended> {
        if let Err(reason) = self.ask(Work::Open(statements))? {
            return Ok(Err(reason));
        }
        self.binder.end_spool(unit);
        self.machine.set_route(&unit.target, Way::Apply);
        self.machine.take_spool(buffer);
        self.act()?;
        self.send(Work::Close)?;
        self.wait_idle().map(Ok)
    }

    fn drain(&mut self, was_stopped: bool) -> Ended {
        self.status.enter(super::Phase::Draining);
        match self.drained() {
            Ok(()) => Ok(End::Drained { was_stopped }),
            Err(ended) => ended,
        }
    }

    fn drained(&mut self) -> Result<(), Ended> {
        self.machine.clear_barrier();
        let has_parts = self.machine.drain(self.now());
        self.act()?;
        if !has_parts {
            self.send(Work::Settle)?;
        }
        self.wait_idle()
    }

    fn end(self, ended: Ended) -> Ended {
        for (relation, changed) in self.machine.changed() {
            let changed = changed.iter().sum::<u64>();
            self.status.with_table(relation, |table| table.values_changed += changed);
        }
        // A source that is gone needs no goodbye.
        let left = self.reader.stop();
        if let (Ok(_), Err(error)) = (&ended, &left) {
            tracing::debug!(%error, "the source was not left in order");
        }
        ended
    }
}

fn unbound(error: BindError) -> Ended {
    if matches!(error, BindError::NeedsText) { Ok(End::AsText) } else { Err(error.into()) }
}

fn failed(error: crate::sink::apply::ApplyError, commit_lsn: Lsn) -> Ended {
    use crate::sink::apply::{ApplyError, NextRoute};
    match error {
        ApplyError::Restart { failure, next } => {
            let route = match next {
                NextRoute::Careful => Route::Careful,
                NextRoute::Quarantine => Route::Quarantine(failure),
            };
            Ok(End::Again(Detour { commit_lsn, route }))
        }
        ApplyError::NoPartition { failure, checkpoint } => {
            // A streamed transaction shows its relations before the catalog shows what it made.
            tracing::info!(%failure, "a row came before its partition");
            Ok(End::NewPartition(checkpoint))
        }
        ApplyError::Connection { .. }
        | ApplyError::Poison { .. }
        | ApplyError::Checkpoint { .. }
        | ApplyError::Locked { .. }
        | ApplyError::NotQuarantined(_)
        | ApplyError::Quarantine(_)
        | ApplyError::OtherRules { .. } => Err(StreamError::Apply(error)),
    }
}
