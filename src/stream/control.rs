//! The control task: what happens beside the stream of rows. Requests of other commands, the
//! slot's guard, sequences.

use super::arrivals::{LATER, Lookout, say_later};
use super::begin::Begun;
use super::error::StreamError;
use super::note::state_statement;
use super::options::Options;
use super::order::Order;
use super::pipeline::End;
use super::request::Requests;
use super::sequences;
use super::slot::{Guard, LOOK_EVERY};
use super::status::{Status, TableState};
use crate::pg::Lsn;
use crate::sink::SequenceCopy;
use crate::transform::key::RootKey;
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior};

const SEQUENCES_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Control<'c> {
    options: &'c Options,
    status: &'c Arc<Status>,
    begun: &'c Begun,
    orders: Sender<Order>,
    requests: Requests,
}

pub(super) enum Ending {
    Pipeline(Result<End, StreamError>),
    /// The stream must end, because of this.
    Lost(StreamError),
}

type PipelineEnd = oneshot::Receiver<Result<End, StreamError>>;

impl<'c> Control<'c> {
    pub(super) fn new(
        options: &'c Options,
        key: &Arc<RootKey>,
        status: &'c Arc<Status>,
        begun: &'c Begun,
        orders: Sender<Order>,
    ) -> Self {
        let requests = Requests::new(options, key, status, begun, orders.clone());
        Self { options, status, begun, orders, requests }
    }

    /// Until the pipeline ends, or the stream must. With `until` it ends there, once no table is
    /// being copied.
    pub(super) async fn run(
        self,
        ended: &mut PipelineEnd,
        mut shutdown: watch::Receiver<bool>,
        mut until: Option<Lsn>,
    ) -> Ending {
        let mut pending = self.requests.pending();
        let mut requests = tokio::spawn(self.requests.run());
        let side = Side {
            options: self.options,
            status: self.status,
            begun: self.begun,
            orders: self.orders.clone(),
            pending: pending.clone(),
        };
        let mut watching = std::pin::pin!(side.watch());
        let mut is_stopping = *shutdown.borrow();
        let mut is_ending = false;
        if is_stopping {
            drop(self.orders.send(Order::Stop));
        }
        let ending = loop {
            tokio::select! {
                // Each arm may be dropped at any time: the channels keep what they hold, and what
                // `watch` does is done again.
                end = &mut *ended => {
                    break Ending::Pipeline(end.unwrap_or(Err(StreamError::Panicked)));
                }
                error = &mut watching, if !is_stopping => break Ending::Lost(error),
                error = &mut requests, if !is_stopping && !is_ending => {
                    let error = error.unwrap_or(StreamError::Panicked);
                    if !matches!(error, StreamError::Ended) {
                        break Ending::Lost(error);
                    }
                    // Why, the pipeline says.
                    is_ending = true;
                }
                _ = pending.wait_for(|pending| *pending == Some(0)), if until.is_some() => {
                    if let Some(lsn) = until.take() {
                        // A pipeline that has ended already says so itself.
                        drop(self.orders.send(Order::EndAt(lsn)));
                    }
                }
                changed = shutdown.changed(), if !is_stopping => {
                    if changed.is_err() || *shutdown.borrow() {
                        is_stopping = true;
                        drop(self.orders.send(Order::Stop));
                        // Whatever stands at a fence lets go.
                        requests.abort();
                    }
                }
            }
        };
        requests.abort();
        ending
    }
}

struct Side<'c> {
    options: &'c Options,
    status: &'c Arc<Status>,
    begun: &'c Begun,
    orders: Sender<Order>,
    pending: watch::Receiver<Option<usize>>,
}

impl Side<'_> {
    /// Ends with the reason why the stream cannot go on.
    async fn watch(&self) -> StreamError {
        tokio::select! {
            // Side by side: a target that does not answer must not hide what the slot keeps.
            error = self.look() => error,
            error = self.follow() => error,
        }
    }

    async fn look(&self) -> StreamError {
        let (limit, name) = (self.options.lag_limit_bytes, &self.begun.record.slot_name);
        let mut tick = ticks(LOOK_EVERY);
        let mut guard = Guard::default();
        loop {
            tick.tick().await;
            if let Err(error) = guard.look(&self.begun.source, name, limit, self.status).await {
                return error;
            }
        }
    }

    async fn follow(&self) -> StreamError {
        let begun = self.begun;
        let mut tick = ticks(SEQUENCES_EVERY);
        let mut copy = SequenceCopy::default();
        let mut lookout = Lookout::new(&begun.rules);
        loop {
            tick.tick().await;
            let followed =
                sequences::follow(&mut copy, &begun.source, &begun.target, &begun.rules).await;
            let arrived = match followed {
                Ok(_) => self.arrive(&mut lookout).await,
                Err(error) => Err(error),
            };
            if let Err(error) = arrived {
                return error;
            }
        }
    }

    /// New tables and partitions of the source.
    async fn arrive(&self, lookout: &mut Lookout) -> Result<(), StreamError> {
        let sighted = lookout.look(self.begun, &self.options.target, self.status).await?;
        for table in &sighted.later {
            say_later(table, self.status);
            let sql = state_statement(table, TableState::Stale, Some(LATER), "");
            let written = self.begun.target.execute_all(&sql).await;
            written.map_err(StreamError::target("write the tables' states"))?;
        }
        // A copy that runs is not begun anew for it.
        if sighted.needs_session && *self.pending.borrow() == Some(0) {
            drop(self.orders.send(Order::Anew));
        }
        Ok(())
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
