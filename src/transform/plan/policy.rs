//! What the file's `defaults` and profile make of a decision.

use super::decision::{Decision, Judgement};
use crate::transform::spec::{DetectedPolicy, FreeTextPolicy, Profile, Spec, UnclassifiedPolicy};
use crate::transform::{DateUnit, Rule, Transform};

pub(super) enum Act {
    /// Candidates in order of preference; the first that fits is taken.
    Apply(Vec<Rule>),
    Keep,
    Null,
    /// The policy wants a person to decide.
    Refuse,
}

pub(super) fn act(spec: &Spec, decision: &Decision) -> Act {
    let apply = || Act::Apply(vec![decision.rule.clone()]);
    match decision.judgement {
        Judgement::Harmless => apply(),
        Judgement::Personal => match spec.defaults.detected {
            DetectedPolicy::Transform => Act::Apply(candidates(spec.profile, decision)),
            DetectedPolicy::Keep => Act::Keep,
            DetectedPolicy::Error => Act::Refuse,
        },
        Judgement::FreeText => match spec.defaults.free_text {
            FreeTextPolicy::Fill => apply(),
            FreeTextPolicy::Null => Act::Null,
            FreeTextPolicy::Keep => Act::Keep,
            FreeTextPolicy::Error => Act::Refuse,
        },
        Judgement::Unknown => match spec.defaults.unclassified {
            // Text of which nothing is known is closed all the same.
            UnclassifiedPolicy::Keep | UnclassifiedPolicy::Fill => apply(),
            UnclassifiedPolicy::Null => Act::Null,
            UnclassifiedPolicy::Error => Act::Refuse,
        },
    }
}

/// Safe Harbor: dates become years, places and ages coarser; fakes stay fakes.
fn candidates(profile: Profile, decision: &Decision) -> Vec<Rule> {
    let own = decision.rule.clone();
    if profile == Profile::Realistic {
        return vec![own];
    }
    let mut rules = Vec::new();
    match (&own.transform, decision.class) {
        (Transform::DateShift { .. }, _) => {
            rules.push(Rule::plain(Transform::DateBucket { unit: DateUnit::Year }));
        }
        (_, "age") => rules.push(Rule::plain(Transform::NumberBucket { width: 10 })),
        (_, "geo" | "biometric_image") => rules.push(Rule::plain(Transform::Null)),
        _ => {}
    }
    rules.push(own);
    rules
}
