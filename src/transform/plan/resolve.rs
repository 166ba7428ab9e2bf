//! One class, one rule: the file's, else detection's, else the default.

use super::bind::{Binder, Bound, Explicit};
use super::classes::{Bond, Class, column_name};
use super::decision::{Confidence, Decision, Judgement};
use super::fit::{self, Target};
use super::model::{DefaultOrigin, Origin};
use super::policy::{self, Act};
use crate::catalog::ColumnRef;
use crate::transform::spec::{Diagnostic, Place, UnclassifiedPolicy};
use crate::transform::{Rule, Transform};

impl<'a> Binder<'a> {
    /// Binds all members of a class and returns what each got.
    pub(super) fn resolve(&mut self, class: &Class) -> Vec<(ColumnRef, Bound)> {
        let named: Vec<(ColumnRef, Explicit<'a>)> = class
            .members
            .iter()
            .filter_map(|member| Some((*member, *self.explicit.get(member)?)))
            .collect();
        match first_in_file(&named) {
            Some((source, explicit)) => self.by_file(class, &named, source, explicit),
            None => self.by_evidence(class),
        }
    }

    fn by_file(
        &mut self,
        class: &Class,
        named: &[(ColumnRef, Explicit<'a>)],
        source: ColumnRef,
        explicit: Explicit<'a>,
    ) -> Vec<(ColumnRef, Bound)> {
        for (other, found) in named.iter().filter(|(other, _)| *other != source) {
            if !same_rule(&found.rule.rule, &explicit.rule.rule) {
                self.contradiction(*other, *found, source, explicit);
            }
        }
        let rule = &explicit.rule.rule;
        for member in &class.members {
            let target = self.target(*member);
            if !self.travels(*member) {
                continue;
            }
            let Err(misfit) = fit::check(rule, &target) else { continue };
            let own = named.iter().find(|(at, _)| at == member);
            let place = own.map_or(explicit.rule.rule_place, |(_, own)| own.rule.rule_place);
            let name = column_name(self.catalog, *member);
            let message = if own.is_some() {
                format!("`{name}`: {misfit}")
            } else {
                let source = column_name(self.catalog, source);
                format!("the rule of `{source}` reaches `{name}` too: {misfit}")
            };
            let fitting = fit::fitting_names(&target).join(", ");
            let diagnostic = Diagnostic::error(&self.spec.file, place, message)
                .with_hint(format!("these fit `{name}`: {fitting}"));
            self.found.push(diagnostic);
        }
        let bound = |member: &ColumnRef| {
            let (rule, origin) = match named.iter().find(|(at, _)| at == member) {
                Some((_, own)) => {
                    let line = own.rule.rule_place.line;
                    (own.rule.rule.clone(), Origin::Config { line })
                }
                None => (rule.clone(), self.follow(*member, source)),
            };
            (*member, Bound { rule, origin })
        };
        class.members.iter().map(bound).collect()
    }

    fn contradiction(
        &mut self,
        other: ColumnRef,
        found: Explicit<'_>,
        source: ColumnRef,
        explicit: Explicit<'_>,
    ) {
        let Place { line, column } = explicit.rule.rule_place;
        let why = match self.classes.bond(other, source) {
            Some(Bond::Parent) => "one is a partition or child of the other",
            Some(Bond::ForeignKey) => "a foreign key joins them",
            Some(Bond::Reference) | None => "`references` joins them",
        };
        let (left, right) = (column_name(self.catalog, other), column_name(self.catalog, source));
        let message = format!(
            "`{left}` is `{}` here, but `{right}` is `{}` at {}:{line}:{column}: {why}",
            describe(&found.rule.rule),
            describe(&explicit.rule.rule),
            self.spec.file,
        );
        let diagnostic = Diagnostic::error(&self.spec.file, found.rule.rule_place, message)
            .with_hint("columns that hold the same values take one rule: leave one of the two out");
        self.found.push(diagnostic);
    }

    /// How the rule of `source` came to `member`.
    fn follow(&self, member: ColumnRef, source: ColumnRef) -> Origin {
        match self.classes.bond(member, source) {
            Some(Bond::Parent) => Origin::PartitionRoot,
            Some(Bond::ForeignKey) => {
                Origin::ForeignKey { from: column_name(self.catalog, source) }
            }
            Some(Bond::Reference) | None => Origin::Reference,
        }
    }

    fn by_evidence(&mut self, class: &Class) -> Vec<(ColumnRef, Bound)> {
        let Some((source, decision)) = self.strongest(class) else {
            return self.by_default(class);
        };
        let kept_key =
            decision.confidence == Confidence::Weak || decision.judgement != Judgement::Personal;
        if kept_key && self.is_surrogate(class) {
            return all(class, &Rule::plain(Transform::Keep), DefaultOrigin::SurrogateKey);
        }
        let targets = self.targets(class);
        let fill = || fit::fill_for(&targets);
        let rule = match policy::act(self.spec, decision) {
            Act::Apply(rules) => fit::first_fitting(&rules, &targets).or_else(fill),
            Act::Keep => Some(Rule::plain(Transform::Keep)),
            Act::Null => {
                fit::first_fitting(&[Rule::plain(Transform::Null)], &targets).or_else(fill)
            }
            Act::Refuse => None,
        };
        let Some(rule) = rule else {
            self.undecided(source, &decision.evidence);
            return all(class, &Rule::plain(Transform::Null), DefaultOrigin::FailClosed);
        };
        let bound = |member: &ColumnRef| {
            let origin = if *member == source {
                Origin::Detected {
                    class: decision.class,
                    evidence: decision.evidence.clone(),
                    confidence: decision.confidence,
                }
            } else {
                self.follow(*member, source)
            };
            (*member, Bound { rule: rule.clone(), origin })
        };
        class.members.iter().map(bound).collect()
    }

    /// The decision that speaks for the class: see [`weight`], then by confidence, then the
    /// referenced member's.
    fn strongest(&self, class: &Class) -> Option<(ColumnRef, &'a Decision)> {
        let decisions = self.decisions;
        let mut best: Option<(ColumnRef, &'a Decision, (u8, Confidence))> = None;
        for member in class.members.iter().filter(|member| self.travels(**member)) {
            let table = self.catalog.table(member.table);
            let Some(column) = table.columns.get(member.column) else { continue };
            let Some(found) = decisions.get(&table.name, &column.name) else { continue };
            let is_root = class.members.first() == Some(member);
            let weight = (weight(found.judgement, is_root), found.confidence);
            if best.is_none_or(|(_, _, best)| weight > best) {
                best = Some((*member, found, weight));
            }
        }
        best.map(|(member, found, _)| (member, found))
    }

    /// Integer and uuid primary keys, and what refers to them.
    fn is_surrogate(&self, class: &Class) -> bool {
        class.members.iter().any(|member| {
            let table = self.catalog.table(member.table);
            table.columns.get(member.column).is_some_and(|column| {
                (column.kind.is_integer() || column.kind == crate::pg::Kind::Uuid)
                    && (column.identity || table.primary_key.contains(&column.name))
            })
        })
    }

    fn by_default(&mut self, class: &Class) -> Vec<(ColumnRef, Bound)> {
        let keep = Rule::plain(Transform::Keep);
        let travelling: Vec<ColumnRef> =
            class.members.iter().copied().filter(|member| self.travels(*member)).collect();
        let Some(first) = travelling.first().copied() else {
            return all(class, &keep, DefaultOrigin::NotCopied);
        };
        if self.is_surrogate(class) {
            return all(class, &keep, DefaultOrigin::SurrogateKey);
        }
        let targets = self.targets(class);
        let text = targets.iter().any(|target| fit::carries_text(target.column));
        let null = || fit::first_fitting(&[Rule::plain(Transform::Null)], &targets);
        let (rule, origin) = match (self.spec.defaults.unclassified, text) {
            (UnclassifiedPolicy::Keep | UnclassifiedPolicy::Fill, false) => {
                (Some(keep), DefaultOrigin::Kept)
            }
            (UnclassifiedPolicy::Keep, true) => {
                (fit::fill_for(&targets), DefaultOrigin::FailClosed)
            }
            (UnclassifiedPolicy::Fill, true) => {
                (fit::fill_for(&targets), DefaultOrigin::Policy("fill"))
            }
            (UnclassifiedPolicy::Null, true) => {
                (null().or_else(|| fit::fill_for(&targets)), DefaultOrigin::Policy("null"))
            }
            // A number that must not be null, or a key, stays.
            (UnclassifiedPolicy::Null, false) => {
                (Some(null().unwrap_or(keep)), DefaultOrigin::Policy("null"))
            }
            (UnclassifiedPolicy::Error, _) => (None, DefaultOrigin::Policy("error")),
        };
        let Some(rule) = rule else {
            self.undecided(first, "nothing is known of it");
            return all(class, &Rule::plain(Transform::Null), DefaultOrigin::FailClosed);
        };
        if origin == DefaultOrigin::FailClosed {
            let name = column_name(self.catalog, first);
            let message = format!(
                "`{name}` has no rule and was not examined: it becomes `{}`",
                rule.transform.name()
            );
            self.warn(message, "give it a rule, or run `backlot clone config`");
        }
        all(class, &rule, origin)
    }

    fn undecided(&mut self, at: ColumnRef, evidence: &str) {
        let target = self.target(at);
        let name = column_name(self.catalog, at);
        let type_name = &target.column.type_name;
        let message = format!("`{name}` ({type_name}) needs a rule: {evidence}");
        let table = &self.catalog.table(at.table).name;
        let place = self
            .spec
            .tables
            .iter()
            .find(|spec| spec.name == *table)
            .map_or(Place::default(), |spec| spec.place);
        let fitting = fit::fitting_names(&target).join(", ");
        let hint = format!("write one under `tables: {table}: columns:`; these fit: {fitting}");
        self.found.push(Diagnostic::error(&self.spec.file, place, message).with_hint(hint));
    }

    fn target(&self, at: ColumnRef) -> Target<'a> {
        let table = self.catalog.table(at.table);
        let column = table.columns.get(at.column);
        Target::new(table, column.expect("a class only holds columns of its catalog"))
    }

    fn targets(&self, class: &Class) -> Vec<Target<'a>> {
        let travelling = class.members.iter().filter(|member| self.travels(**member));
        travelling.map(|member| self.target(*member)).collect()
    }
}

/// A referenced code list speaks for the columns that refer to it; a referring column whose few
/// values look like codes does not speak for the list.
fn weight(judgement: Judgement, is_root: bool) -> u8 {
    match judgement {
        Judgement::Personal => 4,
        Judgement::Harmless if is_root => 3,
        Judgement::FreeText => 2,
        Judgement::Unknown => 1,
        Judgement::Harmless => 0,
    }
}

fn all(class: &Class, rule: &Rule, origin: DefaultOrigin) -> Vec<(ColumnRef, Bound)> {
    let bound = || Bound { rule: rule.clone(), origin: Origin::Default(origin) };
    class.members.iter().map(|member| (*member, bound())).collect()
}

fn first_in_file<'a>(named: &[(ColumnRef, Explicit<'a>)]) -> Option<(ColumnRef, Explicit<'a>)> {
    named.iter().copied().min_by_key(|(_, explicit)| explicit.rule.rule_place)
}

/// Equal but for the subject, which is a column of each table's own.
fn same_rule(left: &Rule, right: &Rule) -> bool {
    let transforms = match (&left.transform, &right.transform) {
        (
            Transform::DateShift { max_days: left, .. },
            Transform::DateShift { max_days: right, .. },
        ) => left == right,
        (left, right) => left == right,
    };
    transforms && left.domain() == right.domain()
}

fn describe(rule: &Rule) -> String {
    match &rule.domain {
        Some(domain) => format!("{} in domain {domain}", rule.transform.name()),
        None => rule.transform.name().to_owned(),
    }
}
