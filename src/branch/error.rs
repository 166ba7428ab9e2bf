//! What can go wrong with a branch, one variant per thing that can be done about it.

use std::{fmt, io, path::PathBuf, time::Duration};

use super::BackendKind;
use crate::instance::InstanceError;
use crate::pg;
use crate::project::ProjectError;

#[derive(Debug, thiserror::Error)]
pub enum BranchError {
    #[error("{action} {path}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Project(#[from] ProjectError),
    #[error(transparent)]
    Instance(#[from] InstanceError),
    #[error("{what} on branch {branch}")]
    Sql { what: &'static str, branch: String, source: pg::Error },
    #[error("no branch {name}{}", nearest.as_deref().map(|near| format!("; {near}")).unwrap_or_default())]
    None { name: String, nearest: Option<String> },
    #[error("there is a branch {name} already")]
    Exists { name: String },
    #[error("branch {name} is {state}")]
    NotReady { name: String, state: &'static str },
    #[error("branch {name} is busy: not free after {waited:?}")]
    Busy { name: String, waited: Duration },
    #[error("branch {name} is protected")]
    Protected { name: String },
    #[error("read the catalog {path}: {reason}")]
    Catalog { path: PathBuf, reason: String },
    #[error("{path} holds the data of a branch that {catalog} does not know")]
    Unknown { path: PathBuf, catalog: PathBuf },
    #[error("use `{name}` as the name of a branch: {reason}")]
    BadName { name: String, reason: &'static str },
    #[error("branch by {backend}: {reason}")]
    Backend { backend: BackendKind, reason: String },
    #[error("copy branch {name}: {what} lies outside of its data directory")]
    Outside { name: String, what: PathBuf },
    #[error("copy {bytes} bytes: more than {limit}, which is what a plain copy may take here")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("run {program}: {output}")]
    Tool { program: &'static str, output: String },
    #[error("{what}: only root may do that")]
    NeedsRoot { what: &'static str },
    #[error("there is a pool already: {image}")]
    PoolExists { image: PathBuf },
    #[error("mount the pool: this project has none")]
    NoPool,
    #[error("move the branches into the pool: some were made or deleted meanwhile")]
    Overtaken,
    #[error("the pool {image} is not mounted")]
    NotMounted { image: PathBuf },
    #[error("find a free port between {first} and {last}")]
    NoPort { first: u16, last: u16 },
    #[error("set {key}: {reason}")]
    BadSetting { key: String, reason: String },
    #[error("{what} branch {name}: its server is not run by backlot")]
    Foreign { what: &'static str, name: String },
    #[error("branch {name} is a database that backlot did not make: it stays, and stays protected")]
    NotOurs { name: String },
    #[error("branch {name} is on {lives}, and the project file names {named}")]
    Elsewhere { name: String, lives: String, named: String },
    #[error("{what} database {database}: {by}")]
    InUse { what: Use, database: String, by: String, source: pg::Error },
    /// `grant`: the statement that mends it.
    #[error("copy database {database}: role {role} {lacks}")]
    MayNot { database: String, role: String, lacks: &'static str, grant: String, source: pg::Error },
    /// Never leaves this module: the backup API is next.
    #[error("the server would stand still too long")]
    OverBudget,
}

/// What a database was wanted for that somebody is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Copy,
    Drop,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "copy",
            Self::Drop => "drop",
        })
    }
}

impl BranchError {
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(super) fn sql(what: &'static str, branch: &str) -> impl Fn(pg::Error) -> Self {
        let branch = branch.to_owned();
        move |source| Self::Sql { what, branch: branch.clone(), source }
    }
}
