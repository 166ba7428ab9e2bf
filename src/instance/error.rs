//! What can go wrong with a local server, one variant per thing that can be done about it.

use std::{io, path::PathBuf, time::Duration};

/// An error of this module. [`InstanceError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    #[error("find PostgreSQL {} server binaries: none in {} places searched{}",
        wanted.map_or_else(|| "any".to_owned(), |major| major.to_string()),
        searched, skipped_note(skipped))]
    BinariesMissing { wanted: Option<u32>, searched: usize, skipped: Vec<PathBuf> },
    #[error("run {program}")]
    Run { program: PathBuf, source: io::Error },
    #[error("run {program}: {status}\n{output}")]
    Failed { program: PathBuf, status: String, output: String },
    #[error("{action} {path}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("use {path} as the data directory: it is not empty and holds no PostgreSQL cluster")]
    NotACluster { path: PathBuf },
    #[error("make a cluster in {path}: there is one already")]
    AlreadyInitialised { path: PathBuf },
    #[error("run PostgreSQL {binaries} on {path}: the cluster is of PostgreSQL {cluster}")]
    WrongMajor { path: PathBuf, cluster: String, binaries: u32 },
    #[error("reach {path} as {account}: {blocked_at} is closed to that account")]
    Unreachable { path: PathBuf, blocked_at: PathBuf, account: String },
    #[error("find an unprivileged account to run PostgreSQL as: neither `postgres` nor `nobody`")]
    NoAccount,
    #[error("start PostgreSQL on {data_dir}: it stopped with {status}; its log ends:\n{log_tail}")]
    DiedAtStart { data_dir: PathBuf, status: String, log_tail: String },
    #[error(
        "start PostgreSQL on {data_dir}: not answering after {waited:?}; its log ends:\n{log_tail}"
    )]
    StartTimeout { data_dir: PathBuf, waited: Duration, log_tail: String },
    #[error("start PostgreSQL on {data_dir}: it runs already (pid {pid})")]
    AlreadyRunning { data_dir: PathBuf, pid: u32 },
    #[error("stop PostgreSQL on {data_dir}: pid {pid} still there after {waited:?}")]
    StopTimeout { data_dir: PathBuf, pid: u32, waited: Duration },
    #[error("hold PostgreSQL on {data_dir} still: {reason}")]
    NotFrozen { data_dir: PathBuf, reason: &'static str },
    #[error("use the setting {name}: {reason}")]
    BadSetting { name: String, reason: &'static str },
}

impl InstanceError {
    /// What the user can do, when there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::BinariesMissing { .. } => Some(
                "run `make setup`, install the `postgresql` package, or set BACKLOT_PG_BIN to a \
                 directory that has `postgres` and `initdb`",
            ),
            Self::Unreachable { .. } | Self::NoAccount => Some(
                "PostgreSQL refuses to run as root: use a directory that other accounts can enter, \
                 or run as an ordinary user",
            ),
            Self::WrongMajor { .. } => Some("name binaries of the cluster's version"),
            Self::NotACluster { .. } | Self::AlreadyInitialised { .. } => {
                Some("choose an empty or new directory")
            }
            Self::AlreadyRunning { .. } => Some("open the running server or stop it first"),
            Self::DiedAtStart { .. } | Self::StartTimeout { .. } => {
                Some("the log file beside the data directory has the whole story")
            }
            Self::StopTimeout { .. } => Some("stop it in immediate mode"),
            Self::NotFrozen { .. }
            | Self::Run { .. }
            | Self::Failed { .. }
            | Self::File { .. }
            | Self::BadSetting { .. } => None,
        }
    }
}

fn skipped_note(skipped: &[PathBuf]) -> String {
    let Some(first) = skipped.first() else { return String::new() };
    format!(
        " ({} left out because the account that the server would run as cannot enter them: {})",
        skipped.len(),
        first.display()
    )
}
