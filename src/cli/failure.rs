//! Failures as users see them: what went wrong, why, what to do, and a stable exit code.

mod branch;
mod following;
mod roll;
mod stream;
mod verify;

use crate::clone::{CloneError, Side};
use crate::instance::InstanceError;
use crate::pg::{Error, Retry};
use crate::source::SnapshotError;
use crate::table_sync::RangeError;
use crate::transform::spec::Diagnostic;
use serde_json::json;
use std::error::Error as _;
use std::process::ExitCode;

/// Exit codes; documented in the README and never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Internal = 1,
    Usage = 2,
    Auth = 3,
    NotFound = 4,
    Conflict = 5,
    Timeout = 6,
    Refused = 7,
    Unreachable = 8,
    LeftOver = 9,
    Differs = 10,
    Interrupted = 130,
}

impl Code {
    pub(super) const ALL: [Self; 11] = [
        Self::Internal,
        Self::Usage,
        Self::Auth,
        Self::NotFound,
        Self::Conflict,
        Self::Timeout,
        Self::Refused,
        Self::Unreachable,
        Self::LeftOver,
        Self::Differs,
        Self::Interrupted,
    ];

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Internal => "an error inside of backlot or of a server",
            Self::Usage => "usage, configuration or migration file",
            Self::Auth => "login or privileges",
            Self::NotFound => "not there",
            Self::Conflict => "busy, or there already",
            Self::Timeout => "out of time, or no lock to be had; try again",
            Self::Refused => "refused as unsafe, or not confirmed (--yes)",
            Self::Unreachable => "server unreachable or program missing",
            Self::LeftOver => "done, but transactions are quarantined or tables not followed",
            Self::Differs => "the target differs (clone verify), or rows do not fit (roll)",
            Self::Interrupted => "interrupted; run it again: it goes on",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::LeftOver => "left_over",
            Self::Differs => "differs",
            Self::Interrupted => "interrupted",
        }
    }
}

#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    retryable: bool,
    /// For programs only: members of the JSON error.
    details: Option<Box<serde_json::Map<String, serde_json::Value>>>,
}

impl Failure {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            retryable: false,
            details: None,
        }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    pub(super) fn privileges(message: impl Into<String>) -> Self {
        Self::new(Code::Auth, message)
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(Code::Refused, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// A target is not what it should be.
    pub(super) fn differs(message: impl Into<String>) -> Self {
        Self::new(Code::Differs, message)
    }

    /// A program that must be there is not.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(Code::Unreachable, message)
    }

    pub(super) fn interrupted(message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::new(Code::Interrupted, message) }
    }

    pub(super) fn timeout(limit: std::time::Duration) -> Self {
        let message = format!("not done within {} s", limit.as_secs());
        Self { retryable: true, ..Self::new(Code::Timeout, message) }
            .hint("run it again: it goes on where it stopped")
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn config(diagnostics: &[Diagnostic]) -> Self {
        let mut failure =
            Self::usage(format!("the configuration has {} problem(s)", diagnostics.len()));
        failure.causes = diagnostics.iter().map(ToString::to_string).collect();
        failure
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(super) fn causes(mut self, causes: Vec<String>) -> Self {
        self.causes = causes;
        self
    }

    #[must_use]
    pub(super) fn findings(mut self, findings: Vec<serde_json::Value>) -> Self {
        let member = ("findings".to_owned(), findings.into());
        self.details = Some(Box::new(serde_json::Map::from_iter([member])));
        self
    }

    /// Several failures of one kind as one; the first one's words and code.
    pub(super) fn joined(failures: Vec<Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let mut first = failures.next()?;
        first.causes.extend(failures.flat_map(|failure| failure.causes));
        Some(first)
    }

    #[must_use]
    fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Prints the failure to stderr and gives the exit code.
    pub(super) fn report(&self, as_json: bool) -> ExitCode {
        if as_json {
            let mut document = json!({"error": {
                "code": self.code.name(), "message": self.message, "causes": self.causes,
                "hint": self.hint, "retryable": self.retryable,
            }});
            if let (Some(details), Some(error)) =
                (&self.details, document.get_mut("error").and_then(|error| error.as_object_mut()))
            {
                error.extend((**details).clone());
            }
            super::output::say(&document.to_string());
        } else {
            super::output::say(&format!("error: {}", self.message));
            for cause in &self.causes {
                super::output::say(&format!("caused by: {cause}"));
            }
            if let Some(hint) = &self.hint {
                super::output::say(&format!("hint: {hint}"));
            }
        }
        ExitCode::from(self.code as u8)
    }
}

/// clap's own errors: help and version are no failures.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let first = error.to_string();
        let first =
            first.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return Failure::usage(first).hint("see --help").report(true);
    }
    // Printing fails only if nobody listens.
    drop(error.print());
    ExitCode::from(if error.use_stderr() { Code::Usage as u8 } else { 0 })
}

/// The code that fits what a server said or did.
fn code_of(error: &Error) -> Code {
    if error.is_authentication() || error.sqlstate() == Some("42501") {
        return Code::Auth;
    }
    if matches!(error, Error::NoTls { .. }) {
        return Code::Refused;
    }
    if error.is_connection() || error.sqlstate().is_some_and(|state| state.starts_with("53")) {
        return Code::Unreachable;
    }
    match error.sqlstate() {
        Some("3D000" | "42P01" | "3F000") => Code::NotFound,
        Some("55P03" | "55006") => Code::Conflict,
        _ if matches!(error, Error::Url(_)) => Code::Usage,
        _ => Code::Internal,
    }
}

fn hint_of(error: &Error, side: &str) -> Option<String> {
    let hint = match error.sqlstate() {
        Some("28P01" | "28000") => {
            format!("check the user and password in the {side}'s URL, or PGPASSWORD")
        }
        Some("3D000") => format!("create the {side}'s database first, or name another in its URL"),
        Some("42501") => format!("grant the {side}'s role what the message names"),
        Some("53100") => format!(
            "make room on the {side}'s disk and run the same command again: it goes on where it stopped"
        ),
        Some("55P03") => {
            format!("another session of the {side} holds a lock: try again when it is gone")
        }
        Some("53200") => format!(
            "raise max_locks_per_transaction on the {side} and restart it, if it is out of shared memory: \
             a transaction locks every partition, index and view that it touches"
        ),
        Some("53300") => format!("the {side} has no free connections: lower --jobs"),
        Some("23505") => {
            "masked values collide: give the column a rule that keeps values distinct".to_owned()
        }
        Some("23514" | "23502" | "22001") => {
            "a masked value does not meet the column's constraint: choose another rule for it"
                .to_owned()
        }
        _ if matches!(error, Error::Authentication(_)) => {
            format!("check the password in the {side}'s URL, or PGPASSWORD")
        }
        _ if matches!(error, Error::NoTls { .. }) => format!(
            "turn TLS on on the {side}; if the network between is trusted, say so: add sslmode=disable to the {side}'s URL"
        ),
        _ if matches!(error, Error::Tls { .. }) => format!(
            "name the {side}'s root certificate by sslrootcert in its URL, and the host as its certificate does"
        ),
        _ if error.is_connection() => {
            format!("is the {side} running, and are host and port right?")
        }
        _ => return None,
    };
    Some(hint)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::new(code_of(&error), "PostgreSQL said no").caused_by(&error);
        failure.retryable = error.retry() != Retry::Never;
        failure.hint = hint_of(&error, "server");
        failure
    }
}

impl From<InstanceError> for Failure {
    fn from(error: InstanceError) -> Self {
        let mut failure = Self::new(Code::Unreachable, error.to_string());
        failure.hint = error.hint().map(str::to_owned);
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        }
        failure
    }
}

impl From<CloneError> for Failure {
    fn from(error: CloneError) -> Self {
        let (code, hint) = clone_code(&error);
        let mut failure = if let CloneError::Config(diagnostics) = &error {
            Self::config(diagnostics)
        } else {
            Self::new(code, error.to_string())
        };
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        }
        failure.hint = hint;
        failure.retryable = matches!(code, Code::Unreachable | Code::Conflict | Code::Interrupted);
        failure
    }
}

const AGAIN: &str = "run the same command again: it goes on where it stopped";

fn clone_code(error: &CloneError) -> (Code, Option<String>) {
    let say = |hint: &str| Some(hint.to_owned());
    match error {
        CloneError::Connect { side, source } => {
            (code_of(source), hint_of(source, &side.to_string()))
        }
        CloneError::Query { source, .. } => (code_of(source), hint_of(source, "server")),
        CloneError::SameDatabase => (Code::Refused, say("name another database as target")),
        CloneError::TargetNotEmpty(_) => (
            Code::Refused,
            say(
                "name an empty database, or use --replace: it swaps the new clone in once it is complete",
            ),
        ),
        CloneError::MayNotReplace { role, .. } => (
            Code::Auth,
            Some(format!(
                "--replace makes a database beside the target and renames both: \
                 alter role {role} createdb; and make it the owner of the target"
            )),
        ),
        CloneError::TargetBusy => (Code::Conflict, say("wait for it, or stop it")),
        CloneError::Version { .. } => (Code::Refused, say("use a server of another version")),
        CloneError::Unreadable(tables) => (
            Code::Auth,
            Some(format!("grant select on {} to the role, or --exclude them", tables.join(", "))),
        ),
        CloneError::RowSecurity(_) => (
            Code::Refused,
            say(
                "rows that a policy hides would be missing: use a role with BYPASSRLS, or --exclude the tables",
            ),
        ),
        CloneError::Config(_) | CloneError::Subset(_) => (Code::Usage, None),
        CloneError::NoSuchTable(_) => {
            (Code::NotFound, say("name tables as schema.table; * stands for any characters"))
        }
        CloneError::Sample { source, .. } => (code_of(source), hint_of(source, "source")),
        CloneError::OtherRun { .. } => (
            Code::Refused,
            say("run it as it was, or use --restart to drop the unfinished clone and begin anew"),
        ),
        CloneError::Snapshot(SnapshotError::Source(source)) => {
            (code_of(source), hint_of(source, "source"))
        }
        CloneError::Snapshot(_) => (Code::Internal, say(AGAIN)),
        CloneError::Tool { program, .. } => {
            (Code::Unreachable, Some(format!("is {program} installed and executable?")))
        }
        CloneError::Schema { program, messages, .. } => schema_code(program, messages),
        CloneError::Range { source, .. } => range_code(source),
        CloneError::Overtaken(_) => (
            Code::Conflict,
            say("run the same command again when that is over, or leave it out by --exclude"),
        ),
        CloneError::Follow(error) => stream::follow_code(error),
        CloneError::Bring(error) => (Code::Refused, Some(stream::bring_hint(error))),
        CloneError::Interrupted => (Code::Interrupted, say(AGAIN)),
        CloneError::Panicked => (Code::Internal, say("this is a bug in backlot: please report it")),
    }
}

fn schema_code(program: &str, messages: &[String]) -> (Code, Option<String>) {
    if is_outage(messages) {
        let side = if program == "pg_dump" { Side::Source } else { Side::Target };
        let hint = format!(
            "bring the {side} back, with room on its disk and free connections, and {AGAIN}"
        );
        return (Code::Unreachable, Some(hint));
    }
    let hint = "the target lacks something that the schema needs, or masked data breaks a constraint: \
                mend it and run the same command again";
    (Code::Internal, Some(hint.to_owned()))
}

/// True if a tool could not reach its server, or the server had no room.
fn is_outage(messages: &[String]) -> bool {
    const OUTAGES: &[&str] = &[
        "connection to server",
        "could not extend file",
        "could not write to file",
        "server closed the connection",
        "terminating connection",
        "the database system is",
        "out of memory",
    ];
    messages.iter().any(|message| OUTAGES.iter().any(|outage| message.contains(outage)))
}

fn range_code(error: &RangeError) -> (Code, Option<String>) {
    let of = |error: &Error, side: Side| {
        let code = code_of(error);
        let hint = hint_of(error, &side.to_string());
        let hint = if error.is_connection() {
            Some(format!("bring the {side} back and {AGAIN}"))
        } else {
            hint
        };
        (code, hint)
    };
    match error {
        RangeError::Source(error) => of(error, Side::Source),
        RangeError::Target(error) => of(error, Side::Target),
        RangeError::Mask(_) => (Code::Internal, Some("choose another rule for the column".into())),
        RangeError::Reshaped => (
            Code::Conflict,
            Some("use --restart to drop the unfinished clone and begin anew".into()),
        ),
        RangeError::AlreadyDone | RangeError::Interrupted => {
            (Code::Interrupted, Some(AGAIN.into()))
        }
    }
}
