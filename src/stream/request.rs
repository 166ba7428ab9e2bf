//! What other commands ask of the running stream, by rows of `backlot.request`.
//!
//! Whoever asked may be gone: nothing is held for it longer than a minute.

use super::begin::Begun;
use super::error::StreamError;
use super::mark::mark;
use super::options::Options;
use super::order::{Order, Unit};
use super::resync::Resync;
use super::rules::Rules;
use super::run::NAME;
use super::status::{Status, TableState};
use crate::catalog::RelationName;
use crate::pg::{ConnInfo, Error, Session};
use crate::state::known_columns;
use crate::transform::key::RootKey;
use crossbeam_channel::Sender;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

const POLL: Duration = Duration::from_millis(200);
/// A mark that nobody took for so long is of somebody who is gone.
const MARK_AGE_S: f64 = 120.0;

/// What an earlier session of the stream had taken: a re-sync starts over, all else is asked anew.
const RESET: &str = "update backlot.request set \
     state = case when kind = 'resync' then 'asked' else 'failed' end, \
     answer = case when kind = 'resync' then '{}' else pg_catalog.jsonb_build_object('reason', 'the stream was interrupted') end \
     where state = 'taken' or (state = 'answered' and kind = 'mark')";
const TAKE: &str = "update backlot.request set state = 'taken' where request_id = \
     (select r.request_id from backlot.request r where r.state = 'asked' order by r.request_id limit 1) \
     returning request_id, kind, arguments::text, \
     extract(epoch from pg_catalog.clock_timestamp() - asked_at)::float8";
const PUT_BACK: &str = "update backlot.request set state = 'asked' where request_id = $1";
const ANSWER: &str =
    "update backlot.request set state = $2, answer = $3::text::jsonb where request_id = $1";

pub(super) struct Requests {
    pub(super) source: ConnInfo,
    pub(super) target: ConnInfo,
    pub(super) key: Arc<RootKey>,
    pub(super) status: Arc<Status>,
    pub(super) rules: Arc<Rules>,
    pub(super) publications: Vec<String>,
    pub(super) orders: Sender<Order>,
    resync_every: Option<Duration>,
    /// Partitioned tables that their partitions' changes are sent as.
    senders: HashSet<RelationName>,
    /// Units that an earlier session had not finished.
    unfinished: Vec<Unit>,
    /// Re-syncs that are not done; None until the first requests are read.
    pending: watch::Sender<Option<usize>>,
}

/// A re-sync that waits for its turn.
struct Queued {
    unit: Unit,
    /// Who asked, if anybody.
    request: Option<Arc<Asked>>,
}

/// A request of several tables: answered when the last of them is done.
struct Asked {
    request_id: i64,
    failures: std::sync::Mutex<Vec<String>>,
}

impl Requests {
    pub(super) fn new(
        options: &Options,
        key: &Arc<RootKey>,
        status: &Arc<Status>,
        begun: &Begun,
        orders: Sender<Order>,
    ) -> Self {
        let is_open = |name: &RelationName| begun.states.get(name) == Some(&TableState::Resyncing);
        let senders = begun.listed.senders();
        let mut unfinished = begun.rules.units(&senders);
        unfinished.retain(|unit| unit.sources.iter().any(is_open));
        Self {
            source: options.source.clone(),
            target: options.target.clone(),
            key: Arc::clone(key),
            status: Arc::clone(status),
            rules: Arc::clone(&begun.rules),
            publications: begun.record.publications.clone(),
            orders,
            resync_every: options.resync_every,
            senders,
            unfinished,
            pending: watch::Sender::new(None),
        }
    }

    /// How many re-syncs are not done.
    pub(super) fn pending(&self) -> watch::Receiver<Option<usize>> {
        self.pending.subscribe()
    }

    /// Answers requests until it is dropped, or until a server is away.
    pub(super) async fn run(mut self) -> StreamError {
        let session = match Session::connect(&self.target, NAME).await {
            Ok(session) => session,
            Err(error) => return StreamError::target("connect to the target")(error),
        };
        let (queue, queued) = mpsc::unbounded_channel();
        let unfinished = std::mem::take(&mut self.unfinished);
        let this = Arc::new(self);
        let mut worker = std::pin::pin!(this.resync_all(queued));
        let mut asking = std::pin::pin!(this.ask(&session, &queue, unfinished));
        tokio::select! {
            // Neither ends but by an error.
            error = &mut worker => error,
            error = &mut asking => error,
        }
    }

    async fn ask(
        self: &Arc<Self>,
        session: &Session,
        queue: &mpsc::UnboundedSender<Queued>,
        unfinished: Vec<Unit>,
    ) -> StreamError {
        let failed = || StreamError::target("read the requests");
        if let Err(error) = session.execute_all(RESET).await {
            return failed()(error);
        }
        for unit in unfinished {
            self.enqueue(queue, unit, None);
        }
        let mut poll = tokio::time::interval(POLL);
        let mut resynced_at = Instant::now();
        loop {
            poll.tick().await;
            loop {
                let row = match session.query_opt(TAKE, &[]).await {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    Err(error) => return failed()(error.into()),
                };
                if let Err(error) = self.take(session, queue, &row).await {
                    return failed()(error);
                }
            }
            // From here on it is known how much there is to do.
            self.pending.send_modify(|pending| {
                pending.get_or_insert(0);
            });
            if self.resync_every.is_some_and(|every| resynced_at.elapsed() >= every) {
                resynced_at = Instant::now();
                self.enqueue_insert_only(queue);
            }
        }
    }

    fn enqueue_insert_only(&self, queue: &mpsc::UnboundedSender<Queued>) {
        let tables = self.status.tables();
        let is_insert_only = |name: &RelationName| {
            tables.get(name).is_some_and(|table| table.state == TableState::InsertOnly)
        };
        for unit in self.rules.units(&self.senders) {
            if unit.sources.iter().any(is_insert_only) {
                self.enqueue(queue, unit, None);
            }
        }
    }

    fn enqueue(
        &self,
        queue: &mpsc::UnboundedSender<Queued>,
        unit: Unit,
        request: Option<Arc<Asked>>,
    ) {
        self.pending.send_modify(|pending| *pending = Some(pending.unwrap_or(0) + 1));
        // The other end lives as long as this.
        drop(queue.send(Queued { unit, request }));
    }

    async fn take(
        self: &Arc<Self>,
        session: &Session,
        queue: &mpsc::UnboundedSender<Queued>,
        row: &tokio_postgres::Row,
    ) -> Result<(), Error> {
        let request_id: i64 = row.get(0);
        let arguments = serde_json::from_str::<Value>(row.get(2)).unwrap_or_default();
        let answered = match row.get::<_, &str>(1) {
            "stop" => {
                answer(session, request_id, "done", &json!({})).await?;
                drop(self.orders.send(Order::Stop));
                return Ok(());
            }
            "mark" if row.get::<_, f64>(3) > MARK_AGE_S => Err("it was asked too long ago".into()),
            "mark" => mark(self, session, request_id).await,
            "retry" => self.retry(&arguments).await,
            "resync" => match self.resync_units(&arguments) {
                Ok(units) => {
                    let failures = std::sync::Mutex::new(Vec::new());
                    let asked = Arc::new(Asked { request_id, failures });
                    for unit in units {
                        self.enqueue(queue, unit, Some(Arc::clone(&asked)));
                    }
                    return Ok(());
                }
                Err(_) if self.has_arrived(session).await? => {
                    // The next session knows it.
                    session.execute(PUT_BACK, &[&request_id]).await?;
                    drop(self.orders.send(Order::Anew));
                    return Ok(());
                }
                Err(reason) => Err(reason),
            },
            _ => Err("this version of backlot does not know such a request".into()),
        };
        match answered {
            Ok(()) => answer(session, request_id, "done", &json!({})).await,
            Err(reason) => answer(session, request_id, "failed", &json!({"reason": reason})).await,
        }
    }

    /// True if a table has been brought since the session began.
    async fn has_arrived(&self, session: &Session) -> Result<bool, Error> {
        let known = known_columns(session).await?;
        Ok(known.keys().any(|table| !self.rules.known.contains_key(table)))
    }

    async fn retry(&self, arguments: &Value) -> Result<(), String> {
        let id = arguments.get("quarantine_id").and_then(Value::as_i64);
        let quarantine_id = id.ok_or("no quarantine_id given")?;
        let (answer, answered) = oneshot::channel();
        drop(self.orders.send(Order::Retry { quarantine_id, answer }));
        answered.await.unwrap_or_else(|_| Err("the stream ended".into()))
    }

    /// The units of the tables that are named: as the source or the target calls them.
    fn resync_units(&self, arguments: &Value) -> Result<Vec<Unit>, String> {
        let tables = arguments.get("tables").and_then(Value::as_array);
        let tables = tables.map(Vec::as_slice).unwrap_or_default();
        let mut found = Vec::new();
        for table in tables.iter().filter_map(Value::as_str) {
            let mut named = self.rules.units(&self.senders);
            named.retain(|unit| {
                let is_part = |source: &RelationName| {
                    source.to_string() == table || self.rules.root_of(source) == table
                };
                unit.target.to_string() == table || unit.sources.iter().any(is_part)
            });
            if named.is_empty() {
                let is_later = self.rules.later.iter().any(|later| later.to_string() == table);
                return Err(if is_later {
                    format!(
                        "{table} came after the clone: with the source's URL, `clone resync` brings it"
                    )
                } else {
                    format!("the stream has no table {table}")
                });
            }
            found.extend(named);
        }
        found.dedup();
        if found.is_empty() { Err("no tables given".into()) } else { Ok(found) }
    }

    /// One re-sync after the other.
    async fn resync_all(
        self: &Arc<Self>,
        mut queue: mpsc::UnboundedReceiver<Queued>,
    ) -> StreamError {
        loop {
            let Some(Queued { unit, request }) = queue.recv().await else {
                // The sender lives as long as this.
                return StreamError::Panicked;
            };
            let outcome = Resync { requests: self, unit: &unit }.run().await;
            match (&outcome, request) {
                (Err(error), _) if error.is_passing() => {}
                (_, None) => {}
                (_, Some(asked)) => {
                    if let Err(error) = self.answer_resync(asked, &unit, outcome.as_ref()).await {
                        return StreamError::target("answer a request")(error);
                    }
                }
            }
            if let Err(error) = outcome {
                if error.is_passing() {
                    return error;
                }
                self.status.note(format!("{} was not copied again: {error}", unit.target));
            }
            self.pending.send_modify(|pending| *pending = pending.map(|one| one.saturating_sub(1)));
        }
    }

    async fn answer_resync(
        &self,
        asked: Arc<Asked>,
        unit: &Unit,
        outcome: Result<&u64, &StreamError>,
    ) -> Result<(), Error> {
        if let (Err(error), Ok(mut failures)) = (outcome, asked.failures.lock()) {
            failures.push(format!("{}: {error}", unit.target));
        }
        // Others of the same request are still to come.
        let Some(asked) = Arc::into_inner(asked) else { return Ok(()) };
        let failures = asked.failures.into_inner().unwrap_or_default();
        let session = Session::connect(&self.target, NAME).await?;
        let state = if failures.is_empty() { "done" } else { "failed" };
        answer(&session, asked.request_id, state, &json!({"reason": failures.join("; ")})).await
    }
}

pub(super) async fn answer(
    session: &Session,
    request_id: i64,
    state: &str,
    answer: &Value,
) -> Result<(), Error> {
    session.execute(ANSWER, &[&request_id, &state, &answer.to_string()]).await?;
    Ok(())
}
