//! One column: type, name and values together.

use super::sample::ColumnSample;
use crate::catalog::{Column, Table};
use crate::pg::Kind;
use crate::pii::{self, Class, Finding, TextProfile};
use crate::transform::op::{is_code, is_long_number};
use crate::transform::plan::{
    Confidence, Decision, Judgement, Target, carries_text, fill_for, first_fitting,
};
use crate::transform::{Rule, Transform, UnknownPath};

/// A name whose shape so few values have is refuted (percent).
const REFUTED_BELOW: usize = 10;
/// A name whose shape so many values have is certain (percent).
const CERTAIN_FROM: usize = 50;
/// Fewer values refute nothing.
const REFUTE_MIN_VALUES: usize = 5;
/// Labels are only taken for harmless if so many of them name nobody.
const LABEL_MIN_VALUES: usize = 20;
/// Labels, codes and the like may be names of people that often (percent).
const PEOPLE_MAX: usize = 5;
const LABEL_MAX_CHARS: usize = 60;

struct Context<'a> {
    table: &'a Table,
    column: &'a Column,
    target: Target<'a>,
    samples: Vec<&'a str>,
    profile: TextProfile,
}

/// `None` if nothing speaks for personal data and the type cannot hold text.
pub(super) fn decide(
    table: &Table,
    column: &Column,
    sample: Option<&ColumnSample>,
) -> Option<Decision> {
    let samples = sample.map(ColumnSample::texts).unwrap_or_default();
    let profile = TextProfile::of(&samples);
    let target = Target::new(table, column);
    let context = Context { table, column, target, samples, profile };
    let by_type = |class: Class| {
        let evidence = format!("type {}", column.type_name);
        Some(context.personal(&Finding { class, confidence: Confidence::Certain, evidence }))
    };
    match column.kind.element() {
        Kind::Text | Kind::Bpchar | Kind::Citext => Some(context.guarded(context.text())),
        Kind::Json | Kind::Jsonb => Some(context.documents()),
        Kind::Inet | Kind::Cidr => by_type(Class::Ip),
        Kind::Macaddr | Kind::Macaddr8 => by_type(Class::MacDevice),
        Kind::Tsvector => by_type(Class::SearchCopy),
        Kind::Bytea => Some(context.bytes()),
        Kind::Xml | Kind::Hstore => Some(context.unknown("documents of any content")),
        Kind::Composite | Kind::Range | Kind::Opaque => context.opaque(),
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric => context.number(),
        Kind::Float4
        | Kind::Float8
        | Kind::Uuid
        | Kind::Date
        | Kind::Timestamp
        | Kind::Timestamptz
        | Kind::Enum => context.by_name().map(|found| context.personal(&found)),
        Kind::Bool | Kind::Array(_) => None,
    }
}

impl Context<'_> {
    fn by_name(&self) -> Option<Finding> {
        pii::classify_name(&self.table.name.name, &self.column.name, &self.column.kind)
    }

    fn number(&self) -> Option<Decision> {
        let by_value = pii::classify_values(&self.samples, &self.column.kind);
        let found = match (self.by_name(), by_value) {
            (Some(name), Some(value)) if name.confidence == Confidence::Weak => {
                joined(&name, &value)
            }
            // A weak name on a number is more often a count or a code (`cap`, `plate`).
            (Some(name), None) if name.confidence == Confidence::Weak => {
                let share = pii::support(name.class, &self.samples);
                let confirmed = share.is_some_and(|share| share >= CERTAIN_FROM);
                if !confirmed && name.class != Class::Geo {
                    return None;
                }
                name
            }
            (Some(name), _) => name,
            (None, Some(value)) => value,
            (None, None) => return self.long_number(),
        };
        Some(self.personal(&found))
    }

    /// Numbers as long as those of people and accounts, under a name that says nothing.
    fn long_number(&self) -> Option<Decision> {
        let long = self.samples.iter().filter(|text| is_long_number(text)).count();
        let share = pii::percent(long, self.profile.rows);
        (share >= CERTAIN_FROM)
            .then(|| self.unknown(&format!("{share} % of {} numbers are long", self.profile.rows)))
    }

    fn opaque(&self) -> Option<Decision> {
        let name = self.column.type_name.trim_end_matches("[]");
        let bare = name.split('(').next().unwrap_or(name);
        let bare = bare.rsplit('.').next().unwrap_or(bare).trim_matches('"');
        let class = match bare {
            "vector" | "halfvec" | "sparsevec" => Some(Class::Embedding),
            "geometry" | "geography" | "point" | "lseg" | "path" | "box" | "polygon" | "circle"
            | "line" => Some(Class::Geo),
            _ => None,
        };
        if let Some(class) = class {
            let evidence = format!("type {}", self.column.type_name);
            return Some(self.personal(&Finding {
                class,
                confidence: Confidence::Certain,
                evidence,
            }));
        }
        if let Some(found) = self.by_name() {
            return Some(self.personal(&found));
        }
        carries_text(self.column).then(|| self.unknown("a type of any content"))
    }

    /// A sample proves nothing of the rows that it left out: text is only kept under a guard that
    /// looks at every value, and not at all if the guard stops much of the sample.
    fn guarded(&self, mut decision: Decision) -> Decision {
        if !decision.rule.is_keep() {
            return decision;
        }
        let passed = self.samples.iter().filter(|text| is_code(text)).count();
        if pii::percent(passed, self.samples.len()) < CERTAIN_FROM && !self.samples.is_empty() {
            return self.unknown(&format!("{}, but not of the shape of codes", decision.evidence));
        }
        let guard = [Rule::plain(Transform::Code)];
        decision.rule = first_fitting(&guard, &[self.target]).unwrap_or(decision.rule);
        decision
    }

    fn bytes(&self) -> Decision {
        match self.by_name() {
            Some(found) if found.confidence > Confidence::Weak => self.personal(&found),
            _ => self.unknown("bytes of any content"),
        }
    }

    fn text(&self) -> Decision {
        let by_name = self.by_name();
        if self.profile.rows == 0 {
            return self.text_unseen(by_name.as_ref());
        }
        if self.holds_documents() {
            return self.documents();
        }
        let by_value = pii::classify_values(&self.samples, &self.column.kind);
        match (by_name, by_value) {
            (Some(name), value) => self.text_named(&name, value),
            (None, Some(value)) => self.text_valued(&value),
            (None, None) => self.text_unnamed(),
        }
    }

    /// No values: the name alone.
    fn text_unseen(&self, by_name: Option<&Finding>) -> Decision {
        match by_name {
            Some(found) if pii::is_kept_class(found.class) => {
                self.unknown(&format!("{}, no values to see if it is a code", found.evidence))
            }
            Some(found) if found.confidence > Confidence::Weak => self.personal(found),
            Some(found) => self.unknown(&format!("{}, no values to confirm it", found.evidence)),
            None if pii::is_code_name(&self.column.name) => {
                harmless("code", "name says code; no values")
            }
            None if pii::is_digest_name(&self.column.name) => {
                harmless("digest", "name says digest of content; no values")
            }
            None => self.unknown("no values to judge by"),
        }
    }

    /// The name has spoken: values confirm, refute, or know better.
    fn text_named(&self, name: &Finding, value: Option<Finding>) -> Decision {
        let rows = self.profile.rows;
        let share = pii::support(name.class, &self.samples);
        if let Some(share) = share.filter(|share| *share >= CERTAIN_FROM) {
            let evidence = format!(
                "{}; {share} % of {rows} values are {}",
                name.evidence,
                name.class.plural()
            );
            let confidence = Confidence::Certain;
            return self.personal(&Finding { class: name.class, confidence, evidence });
        }
        // A shape that only one class has beats a name, except that long text is no code.
        if let Some(value) = value.as_ref().filter(|value| value.confidence > Confidence::Weak) {
            if value.class == name.class || value.class != Class::FreeText {
                return self.personal(&joined(name, value));
            }
            if pii::is_kept_class(name.class) {
                return self.personal(value);
            }
        }
        if pii::is_kept_class(name.class) {
            return if self.profile.looks_like_code() {
                let evidence = format!("{}; {}", name.evidence, self.code_evidence());
                self.personal(&Finding { evidence, ..name.clone() })
            } else {
                self.unknown(&format!("{}, values are no codes", name.evidence))
            };
        }
        let refuted = share.is_some_and(|share| share < REFUTED_BELOW)
            && rows >= REFUTE_MIN_VALUES
            && (pii::is_strict(name.class)
                || self.profile.looks_like_code() && !is_listed(name.class));
        let code_like_text = name.class == Class::FreeText && self.is_harmless_code();
        if refuted || name.confidence == Confidence::Weak || code_like_text {
            return match value {
                Some(value) => self.text_valued(&value),
                None => self.text_unnamed(),
            };
        }
        self.personal(name)
    }

    /// Values speak without a name.
    fn text_valued(&self, value: &Finding) -> Decision {
        // Dictionaries hit short lists by chance; a repeated code is none the less a code.
        let chance = value.confidence == Confidence::Weak && self.is_harmless_code();
        if chance { harmless("code", &self.code_evidence()) } else { self.personal(value) }
    }

    fn text_unnamed(&self) -> Decision {
        let name = &self.column.name;
        let rows = self.profile.rows;
        if self.is_harmless_code() {
            return harmless("code", &self.code_evidence());
        }
        if pii::is_digest_name(name) && self.most(pii::validate::is_digest) {
            return harmless("digest", &format!("name and {rows} values say digest"));
        }
        if self.most(pii::validate::is_uuid) {
            return self.uuids();
        }
        let nobody = self.people() < PEOPLE_MAX && pii::count_entities(&self.samples) == 0;
        let short = self.profile.average_chars <= LABEL_MAX_CHARS;
        if pii::is_code_name(name) && nobody && short {
            let evidence = format!("name says code; nobody is named in {rows} values");
            return harmless("code", &evidence);
        }
        let person = pii::is_person_table(&self.table.name.name);
        if pii::is_label_name(name) && nobody && short && !person && rows >= LABEL_MIN_VALUES {
            let evidence = format!("name says label; nobody is named in {rows} values");
            return harmless("label", &evidence);
        }
        self.unknown(&format!("{rows} values of no known shape"))
    }

    /// UUIDs in text: keys if the name says so.
    fn uuids(&self) -> Decision {
        let name = self.column.name.to_lowercase();
        let key = ["id", "uuid", "guid", "key"].iter().any(|word| name.ends_with(word));
        let evidence = format!("{} values are UUIDs", self.profile.rows);
        if key {
            return harmless("uuid", &evidence);
        }
        let mut decision = self.unknown(&evidence);
        let rule = first_fitting(&[Rule::plain(Transform::Uuid)], &[self.target]);
        decision.rule = rule.unwrap_or(decision.rule);
        decision
    }

    fn documents(&self) -> Decision {
        let found = pii::classify_documents(&self.table.name.name, &self.samples);
        let classes: Vec<&str> = found.classes.iter().map(|class| class.name()).collect();
        let documents = found.documents;
        let evidence = match (documents, found.keys_are_personal, classes.is_empty()) {
            (0, _, _) => "JSON of any content".to_owned(),
            (_, true, _) => {
                format!("{documents} documents, object keys are addresses or numbers of people")
            }
            (_, _, true) => format!("{documents} documents, no path of a known class"),
            (_, _, false) => format!("{documents} documents hold {}", classes.join(", ")),
        };
        // No rule reaches keys: such documents go.
        let rules = if found.keys_are_personal {
            vec![Transform::Null, Transform::Constant { value: "{}".to_owned() }]
        } else {
            vec![Transform::Json { paths: found.paths, unknown: UnknownPath::Fill }]
        };
        let rules: Vec<Rule> = rules.into_iter().map(Rule::plain).collect();
        let mut decision = self.unknown(&evidence);
        decision.rule = first_fitting(&rules, &[self.target]).unwrap_or(decision.rule);
        if found.keys_are_personal || !classes.is_empty() {
            decision.judgement = Judgement::Personal;
            decision.class = Class::ChangeCopy.name();
            decision.confidence = Confidence::Likely;
            decision.sensitive = found.sensitive;
        }
        decision
    }

    /// Documents in a text column.
    fn holds_documents(&self) -> bool {
        self.most(|text| {
            text.trim_start().starts_with(['{', '['])
                && serde_json::from_str::<serde_json::Value>(text).is_ok()
        })
    }

    fn is_harmless_code(&self) -> bool {
        self.profile.looks_like_code()
            && self.people() < 4 * PEOPLE_MAX
            && pii::count_entities(&self.samples) == 0
    }

    fn code_evidence(&self) -> String {
        let TextProfile { distinct, rows, .. } = self.profile;
        format!("{distinct} distinct short values in {rows}")
    }

    /// Percent of values that are names of people.
    fn people(&self) -> usize {
        let person = |text: &&&str| {
            pii::validate::is_full_name(text)
                || pii::validate::is_given_name(text)
                || pii::validate::is_surname(text)
        };
        pii::percent(self.samples.iter().filter(person).count(), self.profile.rows)
    }

    fn most(&self, check: fn(&str) -> bool) -> bool {
        let filled = self.samples.iter().filter(|value| !value.trim().is_empty());
        pii::percent(filled.filter(|value| check(value)).count(), self.profile.rows) >= 95
    }

    fn personal(&self, found: &Finding) -> Decision {
        let Finding { class, confidence, evidence } = found;
        let (column, kind) = (self.column, &self.column.kind);
        let remedies = pii::remedies(*class, &column.name, kind, column.max_chars, &self.samples);
        let rules: Vec<Rule> = remedies.into_iter().map(Rule::plain).collect();
        let kept = rules.iter().all(Rule::is_keep);
        let judgement = if kept {
            Judgement::Harmless
        } else if *class == Class::FreeText {
            Judgement::FreeText
        } else {
            Judgement::Personal
        };
        let rule = first_fitting(&rules, &[self.target]).or_else(|| fill_for(&[self.target]));
        let evidence = if kept { format!("sensitive, kept: {evidence}") } else { evidence.clone() };
        Decision {
            rule: rule.unwrap_or_else(undecidable),
            judgement,
            class: class.name(),
            evidence,
            confidence: *confidence,
            sensitive: pii::is_kept_class(*class),
        }
    }

    fn unknown(&self, evidence: &str) -> Decision {
        Decision {
            rule: fill_for(&[self.target]).unwrap_or_else(undecidable),
            judgement: Judgement::Unknown,
            class: "unknown",
            evidence: evidence.to_owned(),
            confidence: Confidence::Weak,
            sensitive: false,
        }
    }
}

/// Classes whose values are known by lists: what no list has is no less a name.
fn is_listed(class: Class) -> bool {
    matches!(
        class,
        Class::FirstName | Class::LastName | Class::FullName | Class::Street | Class::City
    )
}

/// Both, if they agree; else what the values say.
fn joined(name: &Finding, value: &Finding) -> Finding {
    if name.class != value.class {
        return value.clone();
    }
    let evidence = format!("{}; {}", name.evidence, value.evidence);
    Finding { class: value.class, confidence: Confidence::Certain, evidence }
}

fn harmless(class: &'static str, evidence: &str) -> Decision {
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
fn undecidable() -> Rule {
    Rule::plain(Transform::Null)
}
