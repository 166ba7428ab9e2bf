//! Errors of a PostgreSQL server or connection, without the values that servers quote in them.
//!
//! A server's DETAIL, CONTEXT and HINT quote row values (`Key (email)=(…)`, `COPY t, line 1: "…"`),
//! and so do the messages of data exceptions (`invalid input syntax for type integer: "…"`).
//! They are dropped here, at the boundary: nothing above this module ever holds them. The one DETAIL
//! that is kept is that of `dependent_objects_still_exist`, which names objects.

use postgres_protocol::message::backend::ErrorFields;
use std::fmt;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Server(Box<ServerError>),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("TLS with {host}: {reason}")]
    Tls { host: String, reason: String },
    /// TLS is required, and the server has none.
    #[error("{host} has no TLS, and nothing is sent there without")]
    NoTls { host: String },
    #[error("{0}")]
    Authentication(String),
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("no answer within {seconds} s while waiting for {what}")]
    Timeout { what: String, seconds: u64 },
    #[error("invalid connection string: {0}")]
    Url(String),
}

/// When the same statement may work if tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once, in a new transaction.
    Now,
    /// After a pause: the server is starting, full, or gone for the moment.
    Backoff,
    Never,
}

/// An ErrorResponse with everything that may hold a row value taken out.
/// Source: <https://www.postgresql.org/docs/current/protocol-error-fields.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    pub sqlstate: String,
    /// Safe to print: the server's message where its class never quotes values, else the
    /// name of the condition.
    pub message: String,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)?;
        if let Some(table) = &self.table {
            write!(f, ", table {}.{table}", self.schema.as_deref().unwrap_or("?"))?;
        }
        for (what, name) in
            [("column", &self.column), ("type", &self.data_type), ("constraint", &self.constraint)]
        {
            if let Some(name) = name {
                write!(f, ", {what} {name}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

impl Error {
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.sqlstate),
            Self::Io { .. }
            | Self::Tls { .. }
            | Self::NoTls { .. }
            | Self::Authentication(_)
            | Self::Protocol(_)
            | Self::Timeout { .. }
            | Self::Url(_) => None,
        }
    }

    /// Classification of `replication.md` 1.5 (11): connection and resource classes come back,
    /// everything about privileges, names and data does not.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Io { .. } | Self::Timeout { .. } => Retry::Backoff,
            Self::Server(error) => match error.sqlstate.as_str() {
                "40001" | "40P01" => Retry::Now,
                "57P01" | "57P02" | "57P03" | "55006" | "55P03" => Retry::Backoff,
                state if state.starts_with("08") || state.starts_with("53") => Retry::Backoff,
                _ => Retry::Never,
            },
            Self::Tls { .. }
            | Self::NoTls { .. }
            | Self::Authentication(_)
            | Self::Protocol(_)
            | Self::Url(_) => Retry::Never,
        }
    }

    /// True if the server could not be reached or went away (exit code 8).
    pub fn is_connection(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Timeout { .. } | Self::Tls { .. } => true,
            Self::Server(error) => {
                error.sqlstate.starts_with("08") || error.sqlstate.starts_with("57P")
            }
            Self::NoTls { .. } | Self::Authentication(_) | Self::Protocol(_) | Self::Url(_) => {
                false
            }
        }
    }

    /// True for a statement that failed only because one before it in its transaction did.
    pub(crate) fn is_aftermath(&self) -> bool {
        self.sqlstate() == Some("25P02")
    }

    /// True for a wrong password, role or `pg_hba` entry (exit code 3).
    pub fn is_authentication(&self) -> bool {
        matches!(self, Self::Authentication(_))
            || self.sqlstate().is_some_and(|state| state.starts_with("28"))
    }
}

impl ServerError {
    pub(crate) fn from_fields(mut fields: ErrorFields<'_>) -> Self {
        use fallible_iterator::FallibleIterator;
        let mut error = Self {
            sqlstate: String::new(),
            message: String::new(),
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
        };
        let (mut message, mut detail) = (String::new(), String::new());
        while let Ok(Some(field)) = fields.next() {
            let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => error.sqlstate = text(),
                b'M' => message = text(),
                b'D' => detail = text(),
                b's' => error.schema = Some(text()),
                b't' => error.table = Some(text()),
                b'c' => error.column = Some(text()),
                b'd' => error.data_type = Some(text()),
                b'n' => error.constraint = Some(text()),
                // Everything else either repeats these or quotes values.
                _ => {}
            }
        }
        error.message = with_dependents(&error.sqlstate, message, &detail);
        error
    }

    fn from_db_error(db: &tokio_postgres::error::DbError) -> Self {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let sqlstate = db.code().code().to_owned();
        Self {
            message: with_dependents(
                &sqlstate,
                db.message().to_owned(),
                db.detail().unwrap_or_default(),
            ),
            sqlstate,
            schema: own(db.schema()),
            table: own(db.table()),
            column: own(db.column()),
            data_type: own(db.datatype()),
            constraint: own(db.constraint()),
        }
    }
}

/// With what depends on the object, where that is what the server complains of: no value is among it.
fn with_dependents(sqlstate: &str, message: String, detail: &str) -> String {
    let message = safe_message(sqlstate, message);
    if sqlstate != "2BP01" || detail.is_empty() {
        return message;
    }
    format!("{message}: {}", detail.lines().collect::<Vec<_>>().join(", "))
}

/// The server's own message for classes that speak of names, privileges and resources;
/// the condition's name for those that speak of data (22, 23, 44), of user code (P0, 38, 39),
/// or of anything unknown.
fn safe_message(sqlstate: &str, message: String) -> String {
    const QUOTE_NO_VALUES: &[&str] = &[
        "03", "08", "0A", "25", "26", "28", "2B", "34", "3B", "3D", "3F", "40", "42", "53", "54",
        "55", "57", "58",
    ];
    let class = sqlstate.get(..2).unwrap_or_default();
    if QUOTE_NO_VALUES.contains(&class) && !matches!(sqlstate, "42804" | "42846") {
        return message;
    }
    condition_name(sqlstate).to_owned()
}

/// Condition names: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(crate) fn condition_name(sqlstate: &str) -> &'static str {
    match sqlstate {
        "22001" => "string data right truncation: a value is too long for its column",
        "22003" => "numeric value out of range",
        "22007" => "invalid datetime format",
        "22008" => "datetime field overflow",
        "22012" => "division by zero",
        "22021" => "character not in repertoire",
        "22023" => "invalid parameter value",
        "22026" => "string data length mismatch",
        "22P02" => "invalid text representation: a value does not fit its type",
        "22P03" => "invalid binary representation",
        "22P04" => "bad COPY file format",
        "22P05" => "untranslatable character",
        "22032" => "invalid JSON text",
        "2200N" => "invalid XML content",
        "23502" => "not-null violation",
        "23503" => "foreign key violation",
        "23505" => "unique violation",
        "23514" => "check violation",
        "23P01" => "exclusion violation",
        "23001" => "restrict violation",
        "42804" => "datatype mismatch",
        "42846" => "cannot coerce",
        "44000" => "WITH CHECK OPTION violation",
        "P0001" => "an exception raised by a function of the database",
        "XX000" => "internal error of the server",
        "XX001" => "data corrupted",
        "XX002" => "index corrupted",
        _ => match sqlstate.get(..2).unwrap_or_default() {
            "22" => "data exception",
            "23" => "integrity constraint violation",
            "38" | "39" => "error in an external routine",
            "P0" => "PL/pgSQL error",
            _ => "server error",
        },
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::Server(Box::new(ServerError::from_db_error(db)));
        }
        // Without a DbError the text names a step of the protocol or an OS error, never a row.
        let what = error.to_string();
        let aborted = || io::Error::from(io::ErrorKind::ConnectionAborted);
        let Some(source) = error.into_source() else {
            return Self::Io { what, source: aborted() };
        };
        match source.downcast::<io::Error>() {
            Ok(source) => Self::Io { what, source: *source },
            Err(other) if what.contains("authentication") => {
                Self::Authentication(other.to_string())
            }
            Err(_) => Self::Io { what, source: aborted() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Retry, safe_message, with_dependents};

    #[test]
    fn messages_of_data_errors_are_replaced_by_the_name_of_the_condition() {
        let raw = "invalid input syntax for type integer: \"canary\"".to_owned();
        assert!(!safe_message("22P02", raw.clone()).contains("canary"));
        assert!(!safe_message("P0001", raw.clone()).contains("canary"));
        assert!(!safe_message("99999", raw).contains("canary"));
        assert_eq!(
            safe_message("42P01", "relation \"x\" does not exist".into()),
            "relation \"x\" does not exist"
        );
    }

    #[test]
    fn what_depends_on_an_object_is_named_and_no_other_detail_is() {
        let said = |state, detail| with_dependents(state, "cannot drop view a".into(), detail);
        assert_eq!(
            said("2BP01", "view b depends on view a\nview c depends on view b"),
            "cannot drop view a: view b depends on view a, view c depends on view b"
        );
        assert_eq!(said("42P01", "canary"), "cannot drop view a");
    }

    #[test]
    fn a_lost_connection_is_worth_another_try_and_a_protocol_error_is_not() {
        let lost = Error::io("read", std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert_eq!(lost.retry(), Retry::Backoff);
        assert_eq!(Error::Protocol("x").retry(), Retry::Never);
    }
}
