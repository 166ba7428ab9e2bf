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
    pub backend: BackendKind,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
    pub protected: bool,
    /// On 127.0.0.1, for as long as the branch lives.
    pub port: u16,
    /// Of its password, which stands nowhere but in the credentials file.
    pub scram_verifier: String,
    pub postgres_version: String,
    pub major: u32,
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
