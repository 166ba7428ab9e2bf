//! One branch as the catalog has it.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{BackendKind, Captured, Moment};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Never used again; names are.
    pub id: String,
    pub name: String,
    /// What it was copied of; for display only, the parent may be gone.
    pub parent: Option<Parent>,
    pub state: BranchState,
    #[serde(default, skip_serializing_if = "Place::is_own")]
    pub place: Place,
    pub backend: BackendKind,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
    pub protected: bool,
    /// Of 127.0.0.1, for as long as the branch lives; of a foreign server, its own.
    pub port: u16,
    /// Of its password, which stands nowhere but in the credentials file. Empty where the server is
    /// not ours.
    pub scram_verifier: String,
    pub postgres_version: String,
    pub major: u32,
    /// Empty where the server is not ours.
    pub bin_dir: PathBuf,
    /// Of where the project is now: a copy of its directory has servers of its own.
    #[serde(default, skip_serializing)]
    pub socket_dir: PathBuf,
    /// None: never.
    pub sleep_after_seconds: Option<u64>,
    pub last_used_at: Moment,
    pub database: String,
    pub user: String,
    /// The user's; from the next start.
    pub settings: BTreeMap<String, String>,
    /// How it was made.
    pub captured: Option<Captured>,
}

/// Where a branch lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Place {
    /// A server of ours: its data lies in the state directory, the proxy stands before it.
    #[default]
    Own,
    /// A database of a server that others run.
    Foreign { host: String },
}

impl Place {
    pub fn is_own(&self) -> bool {
        match self {
            Self::Own => true,
            Self::Foreign { .. } => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    pub id: String,
    /// As it was called then.
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BranchState {
    Creating,
    Ready,
    Deleting,
}

impl BranchState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Deleting => "deleting",
        }
    }
}
