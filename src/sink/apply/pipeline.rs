//! Statements on their way: queued without waiting, each with the row count that it has to
//! report.

use super::error::{Cause, Severity, StepError};
use super::statement::{Shape, Statement};
use crate::pg::{Error, Oid, Parameters, Reply, Wire};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Statements that may be unanswered: their answers (some 20 bytes each) fit the sockets.
const WINDOW: usize = 4096;
/// Prepared statements that are kept; then all are forgotten.
const STATEMENT_LIMIT: usize = 1000;

pub(super) struct Pipeline {
    wire: Wire,
    expected: VecDeque<Expected>,
    replies: VecDeque<Reply>,
    /// Statements since the last Sync.
    unsynced: usize,
    failure: Option<StepError>,
    rows: Vec<Vec<Option<String>>>,
    statements: HashMap<(u64, Shape), Arc<str>>,
    fixed: HashMap<&'static str, Arc<str>>,
    statement_count: u64,
    forget: bool,
}

#[derive(Clone, Copy)]
enum Expected {
    Statement {
        table: Option<u32>,
        /// None where any count is right.
        rows: Option<u64>,
    },
    Ready,
}

impl Pipeline {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            expected: VecDeque::new(),
            replies: VecDeque::new(),
            unsynced: 0,
            failure: None,
            rows: Vec::new(),
            statements: HashMap::new(),
            fixed: HashMap::new(),
            statement_count: 0,
            forget: false,
        }
    }

    /// The connection itself, while nothing is under way on it.
    pub(super) fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// The name of a change's statement, parsed if this connection has not seen it.
    pub(super) fn prepare(
        &mut self,
        table: u64,
        shape: &Shape,
        make: impl FnOnce() -> Statement,
    ) -> Result<Arc<str>, StepError> {
        // The key is cloned where a table is looked up: shapes are a few words long.
        if let Some(name) = self.statements.get(&(table, shape.clone())) {
            return Ok(Arc::clone(name));
        }
        let statement = make();
        let name = self.parse(&statement.sql, &statement.types)?;
        self.statements.insert((table, shape.clone()), Arc::clone(&name));
        Ok(name)
    }

    /// As [`Pipeline::prepare`], for a statement of our own.
    pub(super) fn prepare_fixed(
        &mut self,
        sql: &'static str,
        types: &[Oid],
    ) -> Result<Arc<str>, StepError> {
        if let Some(name) = self.fixed.get(sql) {
            return Ok(Arc::clone(name));
        }
        let name = self.parse(sql, types)?;
        self.fixed.insert(sql, Arc::clone(&name));
        Ok(name)
    }

    fn parse(&mut self, sql: &str, types: &[Oid]) -> Result<Arc<str>, StepError> {
        self.statement_count += 1;
        let name = Arc::<str>::from(format!("s{}", self.statement_count));
        self.wire.queue_parse(&name, sql, types)?;
        Ok(name)
    }

    /// Queues a prepared statement that has to change `rows` rows of a table.
    ///
    /// # Errors
    /// Also those of statements before it: nothing more is to be queued then.
    pub(super) fn execute(
        &mut self,
        name: &str,
        parameters: &Parameters,
        table: Option<u32>,
        rows: Option<u64>,
    ) -> Result<(), StepError> {
        self.expected.push_back(Expected::Statement { table, rows });
        self.unsynced += 1;
        self.wire.queue_execute(name, parameters)?;
        if self.expected.len() >= WINDOW { self.settle().map(drop) } else { Ok(()) }
    }

    /// Queues a statement without parameters that is not kept.
    pub(super) fn once(&mut self, sql: &str, table: Option<u32>) -> Result<(), StepError> {
        self.wire.queue_parse("", sql, &[])?;
        self.execute("", &Parameters::default(), table, None)
    }

    /// Queues a simple query of `count` statements.
    pub(super) fn query(&mut self, sql: &str, count: usize) -> Result<(), StepError> {
        self.sync();
        self.wire.queue_query(sql)?;
        let statement = Expected::Statement { table: None, rows: None };
        self.expected.extend(std::iter::repeat_n(statement, count));
        self.expected.push_back(Expected::Ready);
        Ok(())
    }

    /// Queues the start of a COPY of `rows` rows; [`Pipeline::copy_data`] and
    /// [`Pipeline::copy_done`] follow.
    pub(super) fn copy(&mut self, sql: &str, table: u32, rows: u64) -> Result<(), StepError> {
        self.sync();
        self.wire.queue_query(sql)?;
        self.expected.push_back(Expected::Statement { table: Some(table), rows: Some(rows) });
        self.expected.push_back(Expected::Ready);
        Ok(())
    }

    pub(super) fn copy_data(&mut self, data: &[u8]) -> Result<(), StepError> {
        Ok(self.wire.queue_copy_data(data)?)
    }

    pub(super) fn copy_done(&mut self) {
        self.wire.queue_copy_done();
    }

    fn sync(&mut self) {
        if self.unsynced > 0 {
            self.wire.queue_sync();
            self.expected.push_back(Expected::Ready);
            self.unsynced = 0;
        }
    }

    /// Sends what is queued and waits for all answers; returns the rows that came.
    ///
    /// # Errors
    /// The first failure; the transaction is to be rolled back then.
    pub(super) fn settle(&mut self) -> Result<Vec<Vec<Option<String>>>, StepError> {
        self.sync();
        let sent = self.wire.send_queued();
        while sent.is_ok() && !self.expected.is_empty() {
            if self.replies.is_empty()
                && let Err(error) = self.wire.read_replies(&mut self.replies)
            {
                // A server that ends a session says why before it closes.
                return Err(self.failure.take().unwrap_or_else(|| error.into()));
            }
            while let Some(reply) = self.replies.pop_front() {
                self.take(reply)?;
            }
        }
        sent?;
        let rows = std::mem::take(&mut self.rows);
        match self.failure.take() {
            Some(failure) => {
                self.forget = true;
                Err(failure)
            }
            None => Ok(rows),
        }
    }

    fn take(&mut self, reply: Reply) -> Result<(), Error> {
        let out_of_turn = Error::Protocol("an answer that nothing asked for");
        match reply {
            Reply::Row(row) => self.rows.push(row),
            Reply::Complete(found) => {
                let Some(Expected::Statement { table, rows }) = self.expected.pop_front() else {
                    return Err(out_of_turn);
                };
                if let Some(expected) = rows.filter(|rows| *rows != found) {
                    let cause = Cause::RowCount { expected, found };
                    self.failure.get_or_insert(StepError { table, cause });
                }
            }
            Reply::Failed(error) => {
                let table = match self.expected.front() {
                    Some(Expected::Statement { table, .. }) => *table,
                    Some(Expected::Ready) | None => None,
                };
                let cause = Cause::Database(Error::Server(error));
                self.failure.get_or_insert(StepError { table, cause });
            }
            Reply::Ready => loop {
                // After a failure the statements up to here were skipped.
                match self.expected.pop_front() {
                    Some(Expected::Ready) => break,
                    Some(Expected::Statement { .. }) => {}
                    None => return Err(out_of_turn),
                }
            },
        }
        Ok(())
    }

    /// Rolls the transaction back. After a failure the prepared statements go too: those behind
    /// it were never parsed.
    pub(super) fn rollback(&mut self) -> Result<(), StepError> {
        // What is still under way may fail as well: it is what is rolled back.
        if let Err(error) = self.settle()
            && error.severity() == Severity::Connection
        {
            return Err(error);
        }
        self.query("rollback", 1)?;
        self.settle()?;
        if std::mem::take(&mut self.forget) { self.forget_statements() } else { Ok(()) }
    }

    /// Keeps the number of prepared statements in bounds; between transactions.
    pub(super) fn tidy(&mut self) -> Result<(), StepError> {
        if self.statements.len() > STATEMENT_LIMIT { self.forget_statements() } else { Ok(()) }
    }

    fn forget_statements(&mut self) -> Result<(), StepError> {
        self.statements.clear();
        self.fixed.clear();
        self.query("deallocate all", 1)?;
        self.settle().map(drop)
    }
}
