//! What keeps a migration from going on.

use crate::ddl::ExecuteError;
use crate::migrate::plan::Finding;
use crate::pg;
use crate::state::roll::Phase;

#[derive(Debug, thiserror::Error)]
pub enum RollError {
    #[error("connect")]
    Connect(#[source] pg::Error),
    #[error("{what}")]
    Query {
        what: String,
        #[source]
        source: pg::Error,
    },
    /// Neither `backlot roll init` nor `pgroll init` ran here.
    #[error("schema {state} does not hold the state of migrations")]
    NotInitialised { state: String },
    /// Another process works on the schema.
    #[error("schema {schema} is being migrated by {holder}")]
    Busy { schema: String, holder: String },
    /// The session that held the lock is gone: another may have begun.
    #[error("the session that holds the lock of schema {schema} was lost")]
    LockLost {
        schema: String,
        #[source]
        source: pg::Error,
    },
    /// It does not exist, or the login role is no member of it.
    #[error("take role {role}")]
    Role {
        role: String,
        #[source]
        source: pg::Error,
    },
    #[error("there is no schema {schema}")]
    NoSchema { schema: String },
    #[error("migration {name} is {}", phase.name())]
    Active { name: String, phase: Phase },
    #[error("migration {name} is active, and a pgroll started it")]
    Foreign { name: String },
    /// Or it cannot be told whether it has.
    #[error("a pgroll may have begun to complete migration {name}")]
    ForeignCompleting { name: String },
    #[error("no migration is active in schema {schema}")]
    NotActive { schema: String },
    #[error("migration {name} has run before")]
    Known { name: String },
    /// Tables without a history: nobody knows what they are the result of.
    #[error("schema {schema} has tables and no history of migrations")]
    NeedsBaseline { schema: String },
    /// The file is not what was started under its name.
    #[error("migration {name} was started from another file")]
    Changed { name: String },
    #[error("migration {name} cannot run on this schema: {} problem(s)", findings.len())]
    Invalid { name: String, findings: Vec<Finding> },
    #[error("the history has {there}, the directory has {here} in its place")]
    OtherHistory { there: String, here: String },
    #[error(transparent)]
    Step(#[from] ExecuteError),
    #[error("backfill of {relation}")]
    Backfill {
        relation: String,
        #[source]
        source: pg::Error,
    },
    /// The update reaches them no more: a policy or a trigger of the user's stands before them.
    #[error("backfill of {relation}: a policy or a trigger keeps it from rows")]
    Unreachable { relation: String },
    /// A failed start was taken back.
    #[error("migration {name} failed and was rolled back")]
    RolledBack {
        name: String,
        #[source]
        source: Box<RollError>,
    },
    /// Made by others after start.
    #[error("version {schema} cannot be dropped: {} on it", depend(objects))]
    Depended { schema: String, objects: Vec<String> },
    /// What a step did cannot be undone.
    #[error("migration {name} cannot be rolled back any more: {step} has run")]
    Irreversible { name: String, step: String },
    #[error("the journal of migration {name} cannot be read: {reason}")]
    Journal { name: String, reason: String },
}

impl RollError {
    pub(super) fn query(what: impl Into<String>) -> impl FnOnce(pg::Error) -> Self {
        let what = what.into();
        move |source| Self::Query { what, source }
    }

    /// True if the same verb may go on later: nothing needs to be taken back.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Step(error) => error.is_passing(),
            Self::Connect(source) | Self::Query { source, .. } | Self::Backfill { source, .. } => {
                source.retry() != pg::Retry::Never
            }
            Self::Busy { .. } | Self::LockLost { .. } => true,
            Self::NotInitialised { .. }
            | Self::NoSchema { .. }
            | Self::Role { .. }
            | Self::Active { .. }
            | Self::Foreign { .. }
            | Self::ForeignCompleting { .. }
            | Self::NotActive { .. }
            | Self::Known { .. }
            | Self::NeedsBaseline { .. }
            | Self::Changed { .. }
            | Self::Invalid { .. }
            | Self::OtherHistory { .. }
            | Self::Unreachable { .. }
            | Self::RolledBack { .. }
            | Self::Depended { .. }
            | Self::Irreversible { .. }
            | Self::Journal { .. } => false,
        }
    }
}

fn depend(objects: &[String]) -> String {
    let verb = if objects.len() == 1 { "depends" } else { "depend" };
    format!("{} {verb}", objects.join(", "))
}
