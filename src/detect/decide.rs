//! Decisions for all columns of a catalog. Pure.

use super::column;
use super::sample::Samples;
use crate::catalog::{Catalog, Table};
use crate::pg::Kind;
use crate::pii;
use crate::transform::Transform;
use crate::transform::plan::{Decision, Decisions, Judgement};

/// Decides every column that can be decided: all that can hold text, and others where their
/// names tell of a class. Partitions are left to their root; generated columns to the target.
pub fn decide(catalog: &Catalog, samples: &Samples) -> Decisions {
    let mut decisions = Decisions::default();
    for table in catalog.tables.iter().filter(|table| !table.partitioning.is_partition) {
        let values = samples.tables.get(&table.name);
        let subject = subject(catalog, table);
        for found in table.columns.iter().filter(|column| column.is_copied()) {
            let seen = values.and_then(|values| values.columns.get(&found.name));
            let Some(mut decision) = column::decide(table, found, seen) else { continue };
            name_subject(&mut decision, subject, found.kind.element());
            decisions.insert(table.name.clone(), found.name.clone(), decision);
        }
    }
    decisions
}

/// The column that says whom a row of an event table is about: the one foreign key to the primary
/// key of a table of people, which keys that table's own dates too. Dates of one person then
/// shift together across tables.
fn subject<'a>(catalog: &'a Catalog, table: &Table) -> Option<&'a str> {
    if pii::is_person_table(&table.name.name) {
        return None;
    }
    let mut columns = catalog
        .foreign_keys
        .iter()
        .filter(|key| key.from == table.name && pii::is_person_table(&key.to.name))
        .filter(|key| {
            let to = catalog.find(&key.to).map(|id| catalog.table(id));
            to.is_some_and(|to| to.primary_key == key.to_columns)
        })
        .filter_map(|key| match key.from_columns.as_slice() {
            [column] => Some(column.as_str()),
            _ => None,
        });
    let first = columns.next()?;
    columns.all(|other| other == first).then_some(first)
}

fn name_subject(decision: &mut Decision, column: Option<&str>, kind: &Kind) {
    let date = matches!(kind, Kind::Date | Kind::Timestamp | Kind::Timestamptz);
    if let (Transform::DateShift { subject, .. }, Judgement::Personal, true) =
        (&mut decision.rule.transform, decision.judgement, date)
    {
        *subject = column.map(str::to_owned);
    }
}
