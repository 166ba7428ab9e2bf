//! What the functions of this module are told of the world.

use std::path::PathBuf;

use super::{Catalog, Moment};
use crate::instance::Search;
use crate::project::State;

/// A project's branches, and what the caller knows of the environment.
#[derive(Clone, Debug)]
pub struct Home {
    /// The project's name.
    pub project: String,
    pub state: State,
    /// Of the user, not of the project: holds the clusters that new ones are copied from.
    pub cache: PathBuf,
    pub search: Search,
    pub now: Moment,
}

impl Home {
    pub fn catalog(&self) -> Catalog {
        Catalog::new(&self.state)
    }
}
