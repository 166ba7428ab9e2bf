//! The parsed file.

use crate::catalog::RelationName;
use crate::document::Place;
use crate::transform::Rule;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// How far detected rules go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    #[default]
    Realistic,
    /// Drops or generalises the 18 identifiers of 45 CFR 164.514(b)(2).
    SafeHarbor,
}

/// What happens to a column in which personal data was found and which the file does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetectedPolicy {
    #[default]
    Transform,
    Keep,
    Error,
}

/// What happens to free text that the file does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreeTextPolicy {
    #[default]
    Fill,
    Null,
    Keep,
    Error,
}

/// What happens to a column that neither the file nor detection says anything about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnclassifiedPolicy {
    /// Numbers, dates, enums and the like are kept. A column that can hold text and was never
    /// examined is filled all the same.
    #[default]
    Keep,
    /// Columns that hold text are filled, the rest is kept.
    Fill,
    Null,
    Error,
}

/// What the stream does with a column that appears after the file was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewColumnPolicy {
    #[default]
    Detect,
    Null,
    StopTable,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    pub detected: DetectedPolicy,
    pub free_text: FreeTextPolicy,
    pub unclassified: UnclassifiedPolicy,
    pub new_column: NewColumnPolicy,
}

/// `schema.name`, each part with any number of `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub schema: String,
    pub name: String,
}

impl Pattern {
    pub fn matches(&self, relation: &RelationName) -> bool {
        glob(&self.schema, &relation.schema) && glob(&self.name, &relation.name)
    }
}

/// `*` stands for any characters; everything else for itself.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    pub name: String,
    /// Of the column's name.
    pub place: Place,
    pub rule: Rule,
    /// Of the rule.
    pub rule_place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    pub name: RelationName,
    pub place: Place,
    /// The condition that rows of the subset meet, as SQL.
    pub filter: Option<Placed<String>>,
    pub columns: Vec<ColumnSpec>,
}

/// `schema.table.column` in a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceEnd {
    pub table: RelationName,
    pub column: String,
    pub place: Place,
}

/// Two columns that hold the same values although no foreign key says so.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceSpec {
    pub from: ReferenceEnd,
    pub to: ReferenceEnd,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// As given to [`super::parse`]: for messages.
    pub file: String,
    pub profile: Profile,
    /// Empty: every table.
    pub include: Vec<Placed<Pattern>>,
    pub exclude: Vec<Placed<Pattern>>,
    pub schema_only: Vec<Placed<Pattern>>,
    pub defaults: Defaults,
    pub tables: Vec<TableSpec>,
    pub references: Vec<ReferenceSpec>,
    /// Of a stream: tables that came after the clone. They are not copied.
    pub later: Vec<RelationName>,
    /// Publications for a stream, made beforehand by an owner of the tables; empty: backlot makes
    /// its own.
    pub publications: Vec<Placed<String>>,
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(glob("*", "users") && glob("audit_*", "audit_log") && glob("*_log", "audit_log"));
        assert!(glob("a*t*g", "audit_log") && glob("users", "users") && glob("u*s", "us"));
        assert!(!glob("users", "users2") && !glob("u*us", "us") && !glob("audit_*", "Audit_log"));
        assert!(glob("**", "") && glob("a**b", "ab") && !glob("a*ab", "ab"));
    }
}
