//! What other parts ask of the stream's middle thread.

use super::machine::BufferId;
use super::rules::Rules;
use super::status::TableState;
use crate::catalog::RelationName;
use crate::pg::Lsn;
use crossbeam_channel::Receiver;
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) enum Order {
    /// Bring what is complete to its end, then end.
    Stop,
    /// End once everything that committed before it is applied.
    EndAt(Lsn),
    /// Stand still between two transactions, with everything applied; `next` says what then.
    Fence {
        fenced: oneshot::Sender<()>,
        next: Receiver<Next>,
    },
    /// Try a quarantined transaction again.
    Retry {
        quarantine_id: i64,
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// The table is about to be copied again: its changes are dropped until it is spooled.
    Skip(Unit),
    /// The copy is done: it is put in place, then what was spooled is applied.
    Swap {
        spooled: Spooled,
        placing: Placing,
        swapped: oneshot::Sender<Swapped>,
    },
    DropSpool(Spooled),
    /// From the checkpoint again: a partition came that has to be copied.
    Anew,
}

/// How the stream goes on from a fence; without it, it simply goes on.
pub(super) enum Next {
    /// Stand still once more where everything that committed before `lsn` is applied and nothing
    /// else, until `go_on` is said (or its sender dropped).
    Mark { lsn: Lsn, reached: oneshot::Sender<()>, go_on: Receiver<()> },
    /// From `lsn` on keep the tables' changes, masked by these rules.
    Spool { lsn: Lsn, unit: Unit, rules: Arc<Rules>, reached: oneshot::Sender<Spooled> },
}

/// What is copied again together: a table of the target and the relations of the source whose
/// rows it takes (several partitions where the root routes them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) target: RelationName,
    pub(super) sources: Vec<RelationName>,
}

/// Tables whose changes are kept.
#[derive(Clone, Debug)]
pub(super) struct Spooled {
    pub(super) unit: Unit,
    pub(super) buffer: BufferId,
}

/// How a copy takes the place of the rows that are there.
#[derive(Clone)]
pub(super) struct Placing {
    pub(super) statements: Vec<String>,
    /// What the tables are then, as the statements write it down, and why.
    pub(super) states: Vec<(RelationName, TableState, Option<&'static str>)>,
}

pub(super) enum Swapped {
    Done,
    /// Another session holds a lock. The changes are still kept: the same may be asked again.
    Locked(String),
    Refused(String),
}
