//! What can go wrong with `--follow`.

use crate::source::SlotError;
use crate::source::publication::PublicationError;

#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("rows of a subset cannot be followed: {} has a condition", .0.join(", "))]
    Subset(Vec<String>),
    #[error("the role may not publish the tables: it lacks {}", .lacks.join(", "))]
    MayNotPublish { lacks: Vec<String>, names: Vec<String>, statements: Vec<String> },
    #[error("the source's tables were changed while they were published")]
    TablesChanged,
    #[error("the source cannot be followed: {what}")]
    NotFollowable { what: String, fix: String },
    #[error(transparent)]
    Publication(PublicationError),
    #[error(transparent)]
    Slot(SlotError),
    #[error("the replication slot {name} was lost during the clone: {reason}")]
    SlotLost { name: String, reason: String },
}
