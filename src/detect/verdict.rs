//! Decisions that need no more than their evidence.

use crate::transform::plan::{Confidence, Decision, Judgement};
use crate::transform::{Rule, Transform};

pub(super) fn harmless(class: &'static str, evidence: &str) -> Decision {
    Decision {
        rule: Rule::plain(Transform::Keep),
        judgement: Judgement::Harmless,
        class,
        evidence: evidence.to_owned(),
        confidence: Confidence::Likely,
        sensitive: false,
    }
}

/// Fits no column that gets here, so that the binder asks for a decision.
pub(super) fn undecidable() -> Rule {
    Rule::plain(Transform::Null)
}
