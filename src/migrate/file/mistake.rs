//! A mistake in a migration file.

use crate::document::Diagnostic;
use crate::migrate::plan::FindingKind;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What the validation would call it.
    pub kind: FindingKind,
    pub diagnostic: Diagnostic,
}

/// `file:line:column: error: message`, and the hint on a line of its own.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}
