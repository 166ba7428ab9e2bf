//! `set_replica_identity`: at start, for both versions.

use crate::migrate::file::{record, words};
use crate::migrate::plan::FindingKind;

record! {
    pub struct SetReplicaIdentity {
        required "identity" => identity: ReplicaIdentity,
        required "table" => table: String,
    }
}

record! {
    pub struct ReplicaIdentity {
        /// The index's name, if the type is `index`.
        "index" => index: Option<String>,
        required "type" => identity_type: Option<ReplicaIdentityType>,
    }
}

words! {
    kind FindingKind::InvalidReplicaIdentity;
    pub enum ReplicaIdentityType {
        "nothing" => Nothing,
        "default" => Default,
        "index" => Index,
        "full" => Full,
    }
}
