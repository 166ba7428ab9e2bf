//! Copying a table again while the stream goes on.
//!
//! From a position on, the table's changes are kept instead of applied, and its rows at that
//! position are copied into a table of our own. Then, in one target transaction: the old rows go,
//! the copied ones come, and what was kept is applied. Whoever reads the target sees the table as
//! it was, then as it is.

use super::arrivals::NO_IDENTITY;
use super::error::StreamError;
use super::evolve::Evolution;
use super::mark::{Fence, SourceSnapshot};
use super::note::{resync_statement, state_statement};
use super::order::{Next, Order, Placing, Spooled, Swapped, Unit};
use super::request::Requests;
use super::rules::Rules;
use super::run::NAME;
use super::status::TableState;
use crate::catalog::{Filenodes, RelationName, Table};
use crate::pg::{ConnInfo, Format, Ident, Session, Wire};
use crate::sink::apply::{TargetTable, load_target};
use crate::source::BlockRange;
use crate::source::publication::Listed;
use crate::state::known_columns;
use crate::table_sync::{Abort, Counters, Lane, RangeError, RangeJob, table_mask, unkeyed};
use crate::transform::TableMask;
use crate::transform::plan::TablePlan;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A table that is truncated so often while it is copied is not waited for.
const ATTEMPTS: u32 = 5;
/// Nor is one whose columns change so often.
const SHAPE_ATTEMPTS: u32 = 2;
/// Locks that other sessions hold are tried for so many times; then the table is given up.
const LOCK_TRIES: u32 = 20;
/// The stream stands still while a lock of the target is waited for.
const LOCK_WAIT: &str = "2s";
/// After the first try; twice as long each time, up to the limit.
const LOCK_PAUSE: Duration = Duration::from_secs(1);
const LOCK_PAUSE_LIMIT: Duration = Duration::from_secs(30);
/// For the stream to come from the fence to the position.
const BARRIER_WAIT: Duration = Duration::from_mins(2);

pub(super) struct Resync<'r> {
    pub(super) requests: &'r Requests,
    pub(super) unit: &'r Unit,
}

impl Resync<'_> {
    /// Copies the unit again; returns how many rows.
    ///
    /// # Errors
    /// The tables are stale then, or, if a server is away, still to be copied.
    pub(super) async fn run(&self) -> Result<u64, StreamError> {
        tracing::info!(table = %self.unit.target, "copying again");
        let target = Session::connect(&self.requests.target, NAME)
            .await
            .map_err(StreamError::target("connect to the target"))?;
        self.set_states(&target, TableState::Resyncing, Some("it is being copied again")).await?;
        let outcome = self.try_copies(&target).await;
        match &outcome {
            Ok(rows) => {
                tracing::info!(table = %self.unit.target, rows, "copied again");
                self.requests
                    .status
                    .note(format!("{}: {rows} rows copied again", self.unit.target));
            }
            Err(error) if error.is_passing() => {}
            Err(error) => {
                self.set_states(&target, TableState::Stale, Some(&with_cause(error))).await?;
            }
        }
        outcome
    }

    /// Copies until nothing comes between, but not for ever.
    async fn try_copies(&self, target: &Session) -> Result<u64, StreamError> {
        let (mut overtaken, mut reshaped, mut locked) = (1, 1, 1);
        loop {
            match self.copy(target).await {
                Err(StreamError::Overtaken(_)) if overtaken < ATTEMPTS => overtaken += 1,
                Err(StreamError::Reshaped(_)) if reshaped < SHAPE_ATTEMPTS => reshaped += 1,
                // The stream goes on without the table meanwhile.
                Err(error) if error.is_lock() && locked < LOCK_TRIES => {
                    tokio::time::sleep(lock_pause(locked)).await;
                    locked += 1;
                }
                Err(error) if error.is_lock() => {
                    return Err(StreamError::Resync(with_cause(&error)));
                }
                outcome => return outcome,
            }
        }
    }

    async fn set_states(
        &self,
        target: &Session,
        state: TableState,
        reason: Option<&str>,
    ) -> Result<(), StreamError> {
        let requests = self.requests;
        let statements = states(&requests.rules, self.unit, None, |_| (state, reason)).join(";");
        let failed = StreamError::target("write the tables' states");
        target.execute_all(&statements).await.map_err(failed)?;
        for source in &self.unit.sources {
            requests.status.with_table(source, |table| {
                table.state = state;
                table.reason = reason.map(str::to_owned);
            });
        }
        Ok(())
    }

    async fn copy(&self, target: &Session) -> Result<u64, StreamError> {
        let requests = self.requests;
        drop(requests.orders.send(Order::Skip(self.unit.clone())));
        let fence = Fence::reach(&requests.orders).await?;
        let snapshot = SourceSnapshot::take(&requests.source, "resync").await;
        let snapshot = snapshot.map_err(StreamError::source("take a snapshot of the source"))?;
        // The stream stands still: the rules are bound to the tables as the snapshot shows them,
        // unless they are changed in this very moment, which the copy would notice.
        let rules = self.evolved(target).await?;
        let staging = staging_name(&self.unit.target);
        let make = format!(
            "set lock_timeout = '{LOCK_WAIT}'; drop table if exists {staging}; \
             create unlogged table {staging} (like {} including generated)",
            self.unit.target.sql()
        );
        target
            .execute_all(&make)
            .await
            .map_err(StreamError::target("make a table to copy into"))?;
        let (reached, standing) = oneshot::channel();
        let is_waiting = fence.go_on(Next::Spool {
            lsn: snapshot.created.consistent_point,
            unit: self.unit.clone(),
            rules: Arc::clone(&rules),
            reached,
        });
        if !is_waiting {
            let is_there = requests.orders.send(Order::Skip(self.unit.clone())).is_ok();
            let reason = "the stream was kept waiting for too long";
            let waited = StreamError::Resync(reason.to_owned());
            return Err(if is_there { waited } else { StreamError::Ended });
        }
        let spooled = match tokio::time::timeout(BARRIER_WAIT, standing).await {
            Ok(Ok(spooled)) => spooled,
            Ok(Err(_)) => return Err(StreamError::Ended),
            Err(_) => {
                let reason = "the stream did not come to the position";
                return Err(StreamError::Resync(reason.to_owned()));
            }
        };
        let copied = self.copy_rows(snapshot, &rules).await;
        let swapped = match copied {
            Ok(copy) => self.swap(&staging, &copy, &rules, spooled).await.map(|()| copy.rows),
            Err(error) => {
                drop(requests.orders.send(Order::DropSpool(spooled)));
                Err(error)
            }
        };
        if swapped.is_err() {
            // What is left of it is dropped by the next try at the latest.
            drop(target.execute_all(&format!("drop table if exists {staging}")).await);
        }
        swapped
    }

    /// The rules for the source's tables as they are now, and the target's table altered to them.
    async fn evolved(&self, target: &Session) -> Result<Arc<Rules>, StreamError> {
        let requests = self.requests;
        let known = known_columns(target).await;
        let known = known.map_err(StreamError::target("read what is known of the tables"))?;
        let rules = requests.rules.reload(&requests.source, known).await?;
        if rules.replaces_tables_of(&requests.rules) {
            // Another table by its name: the next session knows its columns.
            drop(requests.orders.send(Order::Anew));
            return Err(StreamError::Ended);
        }
        let name = self.unit.sources.first().unwrap_or(&self.unit.target);
        let Some(evolution) = Evolution::of(&rules, name) else { return Ok(Arc::new(rules)) };
        let keeps_rows = evolution.keeps_rows(&rules, &requests.source).await;
        let keeps_rows = keeps_rows.map_err(StreamError::source("read the source's columns"))?;
        // What else of the same root has rows that change with it.
        let others = rules.parts(&evolution.root).map(|(table, _)| &table.name);
        let others = others.filter(|name| !self.unit.sources.contains(name)).collect::<Vec<_>>();
        let notes = (!keeps_rows && !others.is_empty()).then(|| resync_statement(&others));
        if let Err(error) = evolution.run(&requests.target, notes.into_iter().collect()).await {
            return Err(StreamError::Resync(evolution.refused(&error)));
        }
        requests.status.note(evolution.describe());
        Ok(Arc::new(rules.knowing([(evolution.root, evolution.known)])?))
    }

    async fn copy_rows(
        &self,
        snapshot: SourceSnapshot,
        rules: &Arc<Rules>,
    ) -> Result<Copy, StreamError> {
        let failed = || StreamError::source("look whether the table was truncated");
        let before = snapshot.files(&self.requests.source).await.map_err(failed())?;
        let (source, target_info) = (self.requests.source.clone(), self.requests.target.clone());
        let (unit, bound) = (self.unit.clone(), Arc::clone(rules));
        let key = Arc::clone(&self.requests.key);
        let abort = Arc::new(Abort::default());
        let stop = AbortOnDrop(Arc::clone(&abort));
        let staging = staging_relation(&self.unit.target);
        let copied = tokio::task::spawn_blocking(move || {
            let servers = (&source, &target_info);
            copy_unit(servers, &unit, &staging, snapshot, (&bound, &key), &abort)
        });
        let copied = copied.await.map_err(|_| StreamError::Panicked)?;
        drop(stop);
        let copied = copied?;
        let session = Session::connect(&self.requests.source, NAME).await.map_err(failed())?;
        let now = Filenodes::read(&session).await.map_err(failed())?;
        // The snapshot does not show their rows any more (catalog::filenode).
        let tables = self.unit.sources.iter().filter_map(|name| rules.find(name));
        let mut replaced = tables.filter(|(table, _)| before.was_replaced(&now, table.oid));
        match replaced.next() {
            Some((table, _)) => Err(StreamError::Overtaken(table.name.clone())),
            None => Ok(copied),
        }
    }

    async fn swap(
        &self,
        staging: &str,
        copy: &Copy,
        rules: &Rules,
        spooled: Spooled,
    ) -> Result<(), StreamError> {
        let requests = self.requests;
        let source = Session::connect(&requests.source, NAME)
            .await
            .map_err(StreamError::source("connect to the source"))?;
        let listed = Listed::read(&source, &requests.publications).await;
        let listed = listed.map_err(StreamError::source("read the publications"))?;
        let to = self.unit.target.sql();
        // Rows of inheritance children are none of the copy's.
        let only = if copy.is_partitioned { "" } else { "only " };
        let columns = copy.columns.as_slice();
        let list = columns.iter().map(|name| Ident(name).to_string()).collect::<Vec<_>>();
        let list = list.join(", ");
        let mut statements = vec![
            format!("set local lock_timeout = '{LOCK_WAIT}'"),
            format!("delete from {only}{to}"),
            "set local lock_timeout to default".to_owned(),
            format!(
                "insert into {to} ({list}) overriding system value select {list} from {staging}"
            ),
            format!("drop table {staging}"),
        ];
        let state = |source: &RelationName| {
            if listed.is_insert_only(&rules.with_parents(source)) {
                (TableState::InsertOnly, Some(NO_IDENTITY))
            } else {
                (TableState::Streaming, None)
            }
        };
        statements.extend(states(rules, self.unit, Some(columns), state));
        let states = self.unit.sources.iter().map(|name| {
            let (state, reason) = state(name);
            (name.clone(), state, reason)
        });
        let placing = Placing { statements, states: states.collect() };
        let mut tries = 1;
        loop {
            let (swapped, outcome) = oneshot::channel();
            let (again, placing) = (spooled.clone(), placing.clone());
            drop(requests.orders.send(Order::Swap { spooled: again, placing, swapped }));
            match outcome.await {
                Ok(Swapped::Done) => return Ok(()),
                Ok(Swapped::Locked(_)) if tries < LOCK_TRIES => {
                    tokio::time::sleep(lock_pause(tries)).await;
                    tries += 1;
                }
                Ok(Swapped::Locked(reason)) => {
                    drop(requests.orders.send(Order::DropSpool(spooled)));
                    return Err(StreamError::Resync(reason));
                }
                Ok(Swapped::Refused(reason)) => return Err(StreamError::Reshaped(reason)),
                Err(_) => return Err(StreamError::Ended),
            }
        }
    }
}

fn lock_pause(tries: u32) -> Duration {
    LOCK_PAUSE.saturating_mul(1 << (tries - 1).min(5)).min(LOCK_PAUSE_LIMIT)
}

fn with_cause(error: &StreamError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// What was copied into the staging table.
struct Copy {
    rows: u64,
    columns: Vec<String>,
    /// The target table's rows are all its partitions'.
    is_partitioned: bool,
}

/// Ends the copy with the task that waits for it.
struct AbortOnDrop(Arc<Abort>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.fire();
    }
}

fn states<'s>(
    rules: &Rules,
    unit: &Unit,
    columns: Option<&[String]>,
    state: impl Fn(&RelationName) -> (TableState, Option<&'s str>),
) -> Vec<String> {
    let statement = |source| {
        let is_there = |name: &str| columns.is_none_or(|there| there.iter().any(|one| one == name));
        let hash = rules.find(source).map(|(table, plan)| plan.rules_hash(table, is_there));
        let (state, reason) = state(source);
        state_statement(source, state, reason, &hash.unwrap_or_default())
    };
    unit.sources.iter().map(statement).collect()
}

/// In our own schema, one for each table.
fn staging_relation(target: &RelationName) -> RelationName {
    use sha2::{Digest, Sha256};
    let hash = hex::encode(Sha256::digest(target.sql()));
    RelationName::new("backlot", format!("resync_{}", hash.get(..16).unwrap_or_default()))
}

fn staging_name(target: &RelationName) -> String {
    staging_relation(target).sql()
}

fn copy_unit(
    (source, target): (&ConnInfo, &ConnInfo),
    unit: &Unit,
    staging: &RelationName,
    snapshot: SourceSnapshot,
    (rules, key): (&Rules, &crate::transform::key::RootKey),
    abort: &Abort,
) -> Result<Copy, StreamError> {
    let mut wire =
        Wire::connect(target, NAME).map_err(StreamError::target("connect to the target"))?;
    let failed = StreamError::target("read the target's catalog");
    let to = load_target(&mut wire, &unit.target).map_err(failed)?;
    let to = to.ok_or_else(|| StreamError::Resync("the target does not have the table".into()))?;
    let name = &snapshot.created.snapshot_name;
    let mut lane = Lane::connect(source, target, name, abort).map_err(StreamError::Copy)?;
    // The lane is in the snapshot by now: the slot need not keep anything any more.
    drop(snapshot);
    let (mut rows, mut columns) = (0, Vec::new());
    for name in &unit.sources {
        let Some((table, plan)) = rules.find(name) else {
            return Err(StreamError::Resync(format!("the source does not have {name} any more")));
        };
        let copied = copied_columns(table, &to)?;
        if let Some((column, subject)) = unkeyed(plan, table, &copied) {
            return Err(StreamError::Resync(format!(
                "the rule of column {column} is keyed by {subject}, which the target does not have: \
                 add it there, then try again"
            )));
        }
        columns = copied
            .iter()
            .filter_map(|at| table.columns.get(*at))
            .map(|one| one.name.clone())
            .collect();
        let job = Copied { table, plan, positions: &copied, columns: &columns, staging };
        rows += job.run(&mut lane, key)?;
    }
    Ok(Copy { rows, columns, is_partitioned: to.is_partitioned })
}

/// Columns that both have. One that only the target has would be left without values.
fn copied_columns(table: &Table, to: &TargetTable) -> Result<Vec<usize>, StreamError> {
    for column in to.columns.iter().filter(|column| column.column.is_written) {
        let name = &column.column.name;
        if !table.copied_columns().any(|(_, one)| one.name == *name) {
            return Err(StreamError::Resync(format!(
                "the source does not have column {name} any more: drop it on the target too, then try again"
            )));
        }
    }
    let is_there = |name: &str| to.find(name).is_some_and(|one| one.column.is_written);
    Ok(table.copied_columns().filter(|(_, one)| is_there(&one.name)).map(|(at, _)| at).collect())
}

struct Copied<'c> {
    table: &'c Table,
    plan: &'c TablePlan,
    positions: &'c [usize],
    columns: &'c [String],
    staging: &'c RelationName,
}

impl Copied<'_> {
    fn run(
        &self,
        lane: &mut Lane<'_>,
        key: &crate::transform::key::RootKey,
    ) -> Result<u64, StreamError> {
        let mask: TableMask =
            table_mask(self.plan, self.table, self.positions, key).map_err(StreamError::Config)?;
        let columns = self.positions.iter().filter_map(|at| self.table.columns.get(*at));
        let numbers = columns.clone().map(|column| column.number).collect::<Vec<_>>();
        let has_binary = columns.clone().all(|column| column.has_binary);
        let result = lane.copy(&RangeJob {
            journal: None,
            source: &self.table.name,
            target: self.staging,
            columns: self.columns,
            identity: (self.table.oid, &numbers),
            range: BlockRange { first: 0, last: None },
            filter: self.plan.filter.as_deref(),
            format: if has_binary { Format::Binary } else { Format::Text },
            mask: &mask,
            counters: &Counters::default(),
        });
        result.map(|result| result.rows).map_err(|error| {
            if matches!(error, RangeError::Reshaped) {
                StreamError::Reshaped(error.to_string())
            } else {
                StreamError::Copy(error)
            }
        })
    }
}
