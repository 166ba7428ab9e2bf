//! What detection found out about columns: the second source of rules beside the file.

use crate::catalog::RelationName;
use crate::transform::Rule;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A hint, such as a name that means several things.
    Weak,
    /// The name, or most of the values.
    Likely,
    /// The type, or the name together with the values.
    Certain,
}

/// What kind of verdict a decision is: policies of the file apply by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// Personal data of a class.
    Personal,
    /// Text that may mention anybody.
    FreeText,
    /// Nothing speaks for or against it: closed to be safe.
    Unknown,
    /// Evidence that it names nobody.
    Harmless,
}

/// Evidence and class describe; they never quote a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub rule: Rule,
    pub judgement: Judgement,
    /// Name of the class (`email`, `free_text`, `code`, …).
    pub class: &'static str,
    pub evidence: String,
    pub confidence: Confidence,
    /// Kept, but worth a look: health, beliefs, quasi-identifiers.
    pub sensitive: bool,
}

/// Decisions by table and column name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    map: BTreeMap<RelationName, BTreeMap<String, Decision>>,
}

impl Decisions {
    pub fn get(&self, table: &RelationName, column: &str) -> Option<&Decision> {
        self.map.get(table)?.get(column)
    }

    pub fn insert(&mut self, table: RelationName, column: impl Into<String>, decision: Decision) {
        self.map.entry(table).or_default().insert(column.into(), decision);
    }

    /// By table name, then column name.
    pub fn iter(&self) -> impl Iterator<Item = (&RelationName, &str, &Decision)> {
        self.map.iter().flat_map(|(table, columns)| {
            columns.iter().map(move |(column, decision)| (table, column.as_str(), decision))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}
