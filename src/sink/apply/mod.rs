//! Apply: groups of whole source transactions, each committed on the target together with the
//! checkpoint that says so.

mod applier;
mod changes;
mod checkpoint;
mod columns;
mod encode;
mod error;
mod flush;
mod fold;
mod group;
mod large;
mod pipeline;
mod plan;
mod quarantine;
mod row;
mod session;
mod set;
mod statement;
mod table;
mod target;
mod truncate;
mod whole;

pub use applier::{Applied, Applier};
pub use error::{ApplyError, Failure, NextRoute, OnError, Poison, Route};
pub use group::{Change, CommitPoint, Extent, Group, Operation, TransactionMark};
pub use session::Enforcement;
pub use table::{BoundColumn, BoundTable, Identity, KeyColumn};
pub use target::{SentIdentity, TargetColumn, TargetTable, load_target};
