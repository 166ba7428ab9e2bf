//! A configuration for a source that has moved on since it was written.
//!
//! Columns that were renamed keep their rules. A column that came later is decided by what it was
//! computed from, or by the policy `new_column`: what its name gives away is masked as its class
//! is, what else can hold text is filled, and the rest (numbers, dates, labels) is kept.

use super::{classify_name, is_kept_class, remedies};
use crate::catalog::{Catalog, Column, KnownColumn, KnownColumns, RelationName, Table};
use crate::transform::plan::{Target, carries_text, fill_for, first_fitting, is_selected};
use crate::transform::spec::{
    ColumnSpec, NewColumnPolicy, Pattern, Place, Placed, ReferenceEnd, Spec, TableSpec,
};
use crate::transform::{Rule, Transform};
use std::collections::HashSet;

/// Of what no file says.
const NOWHERE: Place = Place { line: 1, column: 1 };
/// Of the new version of a column, while a migration runs (pgroll's `TemporaryName`).
const NEW_VERSION_PREFIX: &str = "_pgroll_new_";

/// The configuration for this catalog. What it says of tables and columns that are gone is left
/// out. `known`: what the target has of each table; a table that is neither in it nor in the
/// configuration came later. If it is empty, nothing did.
pub fn evolve(spec: &Spec, catalog: &Catalog, known: &KnownColumns) -> Spec {
    let mut evolved = spec.clone();
    evolved.tables.retain(|table| catalog.find(&table.name).is_some());
    let is_there =
        |one: &Placed<Pattern>| catalog.iter().any(|(_, table)| one.value.matches(&table.name));
    evolved.exclude.retain(is_there);
    evolved.schema_only.retain(is_there);
    // Without any, every table would be taken.
    if evolved.include.iter().any(is_there) {
        evolved.include.retain(is_there);
    }
    for (name, columns) in known {
        let Some(id) = catalog.find(name) else { continue };
        let table = catalog.table(id);
        let decided = columns_of(table, columns, (spec, catalog));
        match evolved.tables.iter_mut().find(|one| one.name == *name) {
            Some(one) => one.columns = decided,
            None if decided.is_empty() => {}
            None => evolved.tables.push(TableSpec {
                name: name.clone(),
                place: NOWHERE,
                filter: None,
                columns: decided,
            }),
        }
    }
    if !known.is_empty() {
        evolved.later = later(spec, catalog, known);
    }
    for table in &mut evolved.tables {
        let found = catalog.find(&table.name).map(|id| catalog.table(id));
        let is_there = |name: &str| found.and_then(|table| table.column(name)).is_some();
        table.columns.retain(|column| is_there(&column.name));
    }
    let is_there = |end: &ReferenceEnd| {
        let found = catalog.find(&end.table).map(|id| catalog.table(id));
        found.and_then(|table| table.column(&end.column)).is_some()
    };
    evolved.references.retain(|one| is_there(&one.from) && is_there(&one.to));
    evolved
}

fn later(spec: &Spec, catalog: &Catalog, known: &KnownColumns) -> Vec<RelationName> {
    let is_later = |table: &&Table| {
        !table.partitioning.is_partition
            && !known.contains_key(&table.name)
            && !spec.tables.iter().any(|one| one.name == table.name)
            && is_selected(spec, &table.name)
    };
    let tables = catalog.iter().map(|(_, table)| table).filter(is_later);
    tables.map(|table| table.name.clone()).collect()
}

/// The name that decides a column: its own when the configuration was made, or that of the column
/// which it is the new version of. None: it came later.
pub fn origin(column: &Column, table: &Table, known: &[KnownColumn]) -> Option<String> {
    if let Some(known) = known.iter().find(|known| known.number == column.number) {
        return known.origin.clone();
    }
    let (_, old) = table.column(column.name.strip_prefix(NEW_VERSION_PREFIX)?)?;
    known.iter().find(|known| known.number == old.number)?.origin.clone()
}

fn columns_of(
    table: &Table,
    known: &[KnownColumn],
    (spec, catalog): (&Spec, &Catalog),
) -> Vec<ColumnSpec> {
    let configured = spec.tables.iter().find(|one| one.name == table.name);
    let rule_of = |name: &str| {
        configured.and_then(|one| one.columns.iter().find(|column| column.name == name))
    };
    let columns = table.copied_columns().map(|(_, column)| (column, origin(column, table, known)));
    let columns = columns.collect::<Vec<_>>();
    // A new column may be decided by a newer configuration, but not by the rule of an old one.
    let taken = columns.iter().filter_map(|(_, origin)| origin.as_deref()).collect::<HashSet<_>>();
    let decided = |(column, origin): &(&Column, Option<String>)| {
        let name = origin.as_deref().unwrap_or(&column.name);
        let is_own = origin.is_some() || !taken.contains(name);
        let target = Target::new(table, column);
        match rule_of(name).filter(|_| is_own) {
            Some(decided) => {
                // A rule of the type that it had before is no reason to let it through.
                let rule = fitting(&decided.rule, &target).unwrap_or_else(|| decided.rule.clone());
                Some(ColumnSpec { name: column.name.clone(), rule, ..decided.clone() })
            }
            // It follows what it refers to.
            None if origin.is_some() || refers(catalog, table, column) => None,
            None => Some(ColumnSpec {
                name: column.name.clone(),
                place: NOWHERE,
                rule: new_rule(spec.defaults.new_column, table, &target),
                rule_place: NOWHERE,
            }),
        }
    };
    columns.iter().filter_map(decided).collect()
}

/// True if a foreign key of the table has the column.
fn refers(catalog: &Catalog, table: &Table, column: &Column) -> bool {
    let mut keys = catalog.foreign_keys.iter().filter(|key| key.from == table.name);
    keys.any(|key| key.from_columns.contains(&column.name))
}

/// The rule, or what closes the column if it does not fit; None if nothing does.
fn fitting(rule: &Rule, target: &Target<'_>) -> Option<Rule> {
    first_fitting([rule], &[*target]).or_else(|| fill_for(&[*target]))
}

/// Where nothing fits, the binder refuses the column by name.
fn new_rule(policy: NewColumnPolicy, table: &Table, target: &Target<'_>) -> Rule {
    let null = Rule::plain(Transform::Null);
    if policy != NewColumnPolicy::Detect {
        return fitting(&null, target).unwrap_or(null);
    }
    let column = target.column;
    let found = classify_name(&table.name.name, &column.name, &column.kind);
    if let Some(found) = found.filter(|found| !is_kept_class(found.class)) {
        let rules = remedies(found.class, &column.name, &column.kind, column.max_chars, &[]);
        let rules = rules.into_iter().map(Rule::plain).collect::<Vec<_>>();
        let rule = first_fitting(&rules, &[*target]).or_else(|| fill_for(&[*target]));
        return rule.unwrap_or(null);
    }
    if carries_text(column) {
        return fill_for(&[*target]).unwrap_or(null);
    }
    Rule::plain(Transform::Keep)
}
