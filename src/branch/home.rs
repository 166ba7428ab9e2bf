//! What the functions of this module are told of the world.

use std::path::PathBuf;

use super::{Catalog, ForeignServer, Moment};
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
    /// Where the project's branches are databases of a server that others run.
    pub foreign: Option<ForeignServer>,
}

impl Home {
    pub fn catalog(&self) -> Catalog {
        Catalog::new(&self.state)
    }
}
