//! The executor: one session, one step at a time.

use super::{ExecuteError, Patience};
use crate::pg::{ConnInfo, Error, Ident, Literal, Retry, Session};
use std::time::{Duration, Instant};

/// The prefix of our logical messages.
const MESSAGE_PREFIX: &str = "backlot";

/// What a session of this role in this database begins with.
const OWN_TIMES: &str = "reset \"TimeZone\"; reset \"DateStyle\"; reset \"IntervalStyle\"";

/// Of the session that the statements run on.
#[derive(Clone, Debug)]
pub struct ExecutorOptions {
    pub application_name: String,
    /// In this order; texts of users are read by it.
    pub search_path: Vec<String>,
    /// Whose rights the statements run with; notes are always written by the login role.
    pub role: Option<String>,
    /// Texts of users are computed with the `TimeZone`, `DateStyle` and `IntervalStyle` that their own
    /// sessions have.
    pub has_own_times: bool,
    pub patience: Patience,
}

/// Statements that belong together, and how it is noted that they ran.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The step's name, for errors.
    pub step: &'a str,
    pub statements: &'a [String],
    /// Notes that the step is done. Runs first, in the transaction of the statements; touches no
    /// row if they ran before.
    pub claim: &'a str,
    /// Notes that a step begins that cannot run in a transaction; touches no row if it began before.
    pub announcement: &'a str,
    /// Notes the end of an announced step.
    pub conclusion: &'a str,
    /// Sent to the WAL in the same transaction, for who follows it.
    pub message: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ran,
    /// Noted before: nothing was run.
    WasDone,
}

/// A statement that failed.
pub(super) struct Failed {
    pub(super) statement: String,
    pub(super) source: Error,
}

/// Runs DDL. Connects when first needed, and again when the connection was lost: what was under way
/// then is either noted or undone by the server.
pub struct Executor {
    info: ConnInfo,
    pub(super) options: ExecutorOptions,
    session: Option<Session>,
}

impl Executor {
    pub fn new(info: ConnInfo, options: ExecutorOptions) -> Self {
        Self { info, options, session: None }
    }

    /// The session, for reading and for rows; DDL goes through [`Executor::run`] and its kin.
    pub async fn session(&mut self) -> Result<&Session, ExecuteError> {
        let mut attempt = 0;
        while self.session.is_none() {
            attempt += 1;
            match self.connect().await {
                Ok(session) => self.session = Some(session),
                Err(error) if self.may_retry(&error, attempt) => self.pause(attempt).await,
                Err(error) => return Err(ExecuteError::Connect(error)),
            }
        }
        self.session.as_ref().ok_or(ExecuteError::Connect(Error::Protocol("no session")))
    }

    /// Another session with the same settings, for rows beside those of the first.
    pub async fn another_session(&self) -> Result<Session, Error> {
        self.connect().await
    }

    async fn connect(&self) -> Result<Session, Error> {
        let session = Session::connect(&self.info, &self.options.application_name).await?;
        if self.options.has_own_times {
            session.execute_all(OWN_TIMES).await?;
        }
        // The inferred-migrations switch is the one that pgroll documents for other tools.
        session
            .execute_all(&format!(
                "set lock_timeout = {}; set pgroll.no_inferred_migrations = 'TRUE'",
                self.options.patience.left_ms(Duration::ZERO)
            ))
            .await?;
        // A client that is killed must not leave a long statement behind. Where the server's system
        // cannot tell that a client is gone, it says no, and the statement runs to its end.
        drop(session.execute_all("set client_connection_check_interval = '1s'").await);
        Ok(session)
    }

    /// After an error of the connection the next call makes a new one.
    pub fn forget_session(&mut self) {
        self.session = None;
    }

    pub fn search_path(&self) -> String {
        let names = self.options.search_path.iter().map(|name| Ident(name).to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    /// All statements in one transaction, with the claim and the message.
    pub async fn run(&mut self, work: &Work<'_>) -> Result<Outcome, ExecuteError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.try_run(work).await {
                Ok(outcome) => return Ok(outcome),
                Err(failed) => self.after(work, failed, attempt).await?,
            }
        }
    }

    /// As [`Executor::run`] where the server lets it; else the text by itself (25001:
    /// `PreventInTransactionBlock`, xact.c), noted before and after.
    pub async fn run_script(&mut self, work: &Work<'_>) -> Result<Outcome, ExecuteError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let result = match self.try_run(work).await {
                Err(failed) if failed.source.sqlstate() == Some("25001") => {
                    self.try_outside(work).await
                }
                other => other,
            };
            match result {
                Ok(outcome) => return Ok(outcome),
                Err(failed) => self.after(work, failed, attempt).await?,
            }
        }
    }

    /// Waits before another try, or gives the error.
    pub(super) async fn after(
        &mut self,
        work: &Work<'_>,
        failed: Failed,
        attempt: u32,
    ) -> Result<(), ExecuteError> {
        let Failed { statement, source } = failed;
        if source.is_connection() {
            self.session = None;
        }
        if !self.may_retry(&source, attempt) {
            return Err(ExecuteError::of(work.step, &statement, attempt, source));
        }
        tracing::debug!(step = work.step, attempt, error = %source, "again");
        self.pause(attempt).await;
        Ok(())
    }

    fn may_retry(&self, error: &Error, attempt: u32) -> bool {
        attempt < self.options.patience.attempts && error.retry() != Retry::Never
    }

    pub(super) async fn pause(&self, attempt: u32) {
        tokio::time::sleep(self.options.patience.pause(attempt)).await;
    }

    async fn try_run(&mut self, work: &Work<'_>) -> Result<Outcome, Failed> {
        let settings = self.local_settings();
        let patience = self.options.patience;
        let session = self.usable("connect").await?;
        let result = transaction(session, work, &settings, patience).await;
        if result.is_err() || matches!(result, Ok(Outcome::WasDone)) {
            // If this fails too, the connection is gone, and the transaction with it.
            drop(session.execute_all("rollback").await);
        }
        result
    }

    /// Statements that may not run in a transaction, each by itself.
    async fn try_outside(&mut self, work: &Work<'_>) -> Result<Outcome, Failed> {
        let is_first = self.announce(work).await?;
        match self.outside(work.statements).await {
            // Announced by a process that did not see the end: what is there already is its work.
            Err(failed) if !is_first && is_duplicate(&failed.source) => {}
            other => other?,
        }
        self.conclude(work).await?;
        Ok(Outcome::Ran)
    }

    /// Runs statements outside of a transaction, without a lock timeout and within a limit of their
    /// own: they wait for locks that no writer waits behind (SHARE UPDATE EXCLUSIVE), and for
    /// transactions that are older.
    pub(super) async fn outside(&mut self, statements: &[String]) -> Result<(), Failed> {
        let limit = self.options.patience.build_limit.as_millis();
        let mut settings = format!(
            "set search_path = {};set lock_timeout = 0;set statement_timeout = {limit}",
            self.search_path()
        );
        if let Some(role) = &self.options.role {
            settings.extend([";set role ", &Ident(role).to_string()]);
        }
        let unset = format!(
            "reset role;set search_path = '';set statement_timeout = 0;set lock_timeout = {}",
            self.options.patience.left_ms(Duration::ZERO)
        );
        let session = self.usable("connect").await?;
        step(session, &settings).await?;
        for statement in statements {
            let result = step(session, statement).await;
            if result.is_err() {
                // The error of the statement is the one to tell of.
                drop(step(session, &unset).await);
            }
            result?;
        }
        step(session, &unset).await
    }

    /// Notes that a step outside of a transaction begins; true if no one did before.
    pub(super) async fn announce(&mut self, work: &Work<'_>) -> Result<bool, Failed> {
        let session = self.usable("connect").await?;
        let rows = session.execute(work.announcement, &[]).await;
        rows.map(|rows| rows == 1).map_err(|error| failed(work.announcement, error.into()))
    }

    /// Notes the end of such a step, with its message.
    pub(super) async fn conclude(&mut self, work: &Work<'_>) -> Result<(), Failed> {
        let session = self.usable("connect").await?;
        let emit = work.message.map(emission).unwrap_or_default();
        step(session, &format!("begin;{};{emit};commit", work.conclusion)).await
    }

    pub(super) async fn usable(&mut self, statement: &str) -> Result<&Session, Failed> {
        self.session().await.map_err(|error| match error {
            ExecuteError::Connect(source)
            | ExecuteError::Locked { source, .. }
            | ExecuteError::Refused { source, .. }
            | ExecuteError::Lost { source, .. } => failed(statement, source),
            ExecuteError::TooSlow { .. } => failed(statement, Error::Protocol("no session")),
        })
    }

    fn local_settings(&self) -> String {
        let mut settings = format!("set local search_path = {}", self.search_path());
        if let Some(role) = &self.options.role {
            settings.extend([";set local role ", &Ident(role).to_string()]);
        }
        settings
    }
}

async fn transaction(
    session: &Session,
    work: &Work<'_>,
    settings: &str,
    patience: Patience,
) -> Result<Outcome, Failed> {
    step(session, "begin").await?;
    let rows = session.execute(work.claim, &[]).await;
    if rows.map_err(|error| failed(work.claim, error.into()))? == 0 {
        return Ok(Outcome::WasDone);
    }
    step(session, settings).await?;
    // From the first statement's wait on: it may already hold another lock, as for a foreign key.
    let begun = Instant::now();
    for statement in work.statements {
        let left_ms = patience.left_ms(begun.elapsed());
        // One message for both: a version of thousands of views is as many statements.
        let timed = format!("set local lock_timeout = {left_ms};{statement}");
        session.execute_all(&timed).await.map_err(|error| failed(statement, error))?;
    }
    let emit = work.message.map(emission).unwrap_or_default();
    step(session, &format!("reset role;{emit};commit")).await?;
    Ok(Outcome::Ran)
}

pub(super) async fn step(session: &Session, statement: &str) -> Result<(), Failed> {
    session.execute_all(statement).await.map_err(|error| failed(statement, error))
}

pub(super) fn failed(statement: &str, source: Error) -> Failed {
    Failed { statement: statement.to_owned(), source }
}

fn emission(message: &str) -> String {
    format!(
        "select pg_catalog.pg_logical_emit_message(true, {}, {})",
        Literal(MESSAGE_PREFIX),
        Literal(message)
    )
}

/// `duplicate_table`, `duplicate_column`, `duplicate_object`, `duplicate_schema`,
/// `duplicate_function`.
fn is_duplicate(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("42P07" | "42701" | "42710" | "42P06" | "42723"))
}
