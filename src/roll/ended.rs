//! How a migration ended, by this verb or by one before it.

use super::{Roll, RollError};
use crate::state::roll::Outcome;

/// A migration that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub name: String,
    pub outcome: Outcome,
    /// An earlier verb ended it, whose end its caller may not have seen.
    pub was_done: bool,
}

impl Ended {
    pub(super) fn now(name: String, outcome: Outcome) -> Self {
        Self { name, outcome, was_done: false }
    }

    /// What the journal says of the last migration, where none is active.
    ///
    /// # Errors
    /// [`RollError::NotActive`] unless it ended in one of these ways.
    pub(super) async fn before(
        roll: &Roll,
        outcomes: &[Outcome],
        schema: String,
    ) -> Result<Self, RollError> {
        let ended = roll.state().outcome().await.map_err(RollError::query("read the journal"))?;
        match ended {
            Some((name, outcome)) if outcomes.contains(&outcome) => {
                Ok(Self { name, outcome, was_done: true })
            }
            Some(_) | None => Err(RollError::NotActive { schema }),
        }
    }
}
