//! What the source publishes for a stream.
//!
//! Two publications: `backlot_<slot>` for tables whose rows can be told apart, and
//! `backlot_<slot>_insert` for the others. A table without a replica identity in a publication
//! that publishes updates makes the *source's own* UPDATE and DELETE fail (execReplication.c
//! `CheckCmdReplicaIdentity`): it is never put into one. Publications that an owner made are
//! checked and never changed.

mod create;
mod listed;
mod named;
mod plan;

pub use create::{
    PublicationError, PublicationNames, add_to_publications, create_publications,
    drop_publications, statements,
};
pub use listed::Listed;
pub use named::{NamedProblem, check_named};
pub use plan::{
    Followed, Following, PublicationPlan, RelationIdentity, plan_publications, relation_identities,
};
