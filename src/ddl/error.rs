//! What went wrong with a statement, and what may be done about it.

use crate::pg;
use std::time::Duration;

/// Characters of a statement that an error shows.
const STATEMENT_SHOWN: usize = 160;

#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error("connect")]
    Connect(#[source] pg::Error),
    /// Others held the lock, again and again.
    #[error("{step}: no lock within {attempts} attempts for `{statement}`")]
    Locked {
        step: String,
        statement: String,
        attempts: u32,
        #[source]
        source: pg::Error,
    },
    /// The server said no, and would again.
    #[error("{step}: `{statement}`")]
    Refused {
        step: String,
        statement: String,
        #[source]
        source: pg::Error,
    },
    /// The server went away and did not come back, or was out of something.
    #[error("{step}: gave up after {attempts} attempts at `{statement}`")]
    Lost {
        step: String,
        statement: String,
        attempts: u32,
        #[source]
        source: pg::Error,
    },
    #[error("{step}: index {index} was not built within {} s, or somebody cancelled it", limit.as_secs())]
    TooSlow { step: String, index: String, limit: Duration },
}

impl ExecuteError {
    pub(super) fn of(step: &str, statement: &str, attempts: u32, source: pg::Error) -> Self {
        let (step, statement) = (step.to_owned(), shortened(statement));
        if source.sqlstate() == Some("55P03") {
            Self::Locked { step, statement, attempts, source }
        } else if source.retry() == pg::Retry::Never {
            Self::Refused { step, statement, source }
        } else {
            Self::Lost { step, statement, attempts, source }
        }
    }

    /// What the server or the connection said.
    pub fn server(&self) -> Option<&pg::Error> {
        match self {
            Self::Connect(source)
            | Self::Locked { source, .. }
            | Self::Refused { source, .. }
            | Self::Lost { source, .. } => Some(source),
            Self::TooSlow { .. } => None,
        }
    }

    /// True if the same again may work.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect(source) => source.retry() != pg::Retry::Never,
            Self::Locked { .. } | Self::Lost { .. } | Self::TooSlow { .. } => true,
            Self::Refused { .. } => false,
        }
    }
}

/// On one line.
fn shortened(statement: &str) -> String {
    let words = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(STATEMENT_SHOWN) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_statement_is_shown_on_one_line_and_not_to_its_end() {
        assert_eq!(shortened("alter table\n    t"), "alter table t");
        assert_eq!(shortened(&"ä".repeat(1000)).chars().count(), 161);
    }
}
