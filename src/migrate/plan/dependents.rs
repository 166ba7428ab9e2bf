//! What depends on a column: what can be carried over to the one that replaces it, and what
//! stands in the way.
//!
//! Found before anything is changed: what cannot be carried over refuses the migration, instead
//! of failing when the old version is half gone.

use crate::catalog::RelationName;
use crate::catalog::detail::{
    Constraint, ConstraintKind, DependentKind, TableKind, View, ViewKind,
};
use crate::migrate::model::{Model, Table};
use crate::migrate::plan::partitions;
use std::collections::BTreeSet;

/// Views outside of the versions' schemas that read the column, directly or through others; each
/// after those that it reads.
pub(super) fn views<'a>(model: &'a Model, table: &Table, columns: &[String]) -> Vec<&'a View> {
    let mut names: BTreeSet<String> =
        partitions::all(model, &table.detail.name).map(|one| one.name.clone()).collect();
    names.insert(table.detail.name.clone());
    let mut reached = BTreeSet::<RelationName>::new();
    let mut found = Vec::new();
    for view in model.detail.views.iter().filter(|view| !is_of_version(model, view)) {
        let reads = view.reads.iter().any(|read| {
            let is_table = read.schema == model.schema && names.contains(&read.name);
            let name = RelationName::new(&read.schema, &read.name);
            reached.contains(&name)
                || (is_table && read.columns.iter().any(|column| columns.contains(column)))
        });
        if reads {
            reached.insert(RelationName::new(&view.schema, &view.name));
            found.push(view);
        }
    }
    found
}

fn is_of_version(model: &Model, view: &View) -> bool {
    model.detail.versions.iter().any(|version| version.name == view.schema)
}

/// What stands in the way of a second column in the place of this one.
pub(super) fn not_replaceable(model: &Model, table: &Table, column: &str) -> Vec<String> {
    let mut found = Vec::new();
    let one = [column.to_owned()];
    for view in views(model, table, &one) {
        let name = RelationName::new(&view.schema, &view.name);
        match view.kind {
            ViewKind::Materialized => found.push(format!("materialized view {name}")),
            ViewKind::Rule => found.push(format!("a rule of {name}")),
            ViewKind::View if view.has_triggers => {
                found.push(format!("view {name} with triggers or rules"));
            }
            ViewKind::View => (),
        }
    }
    found.extend(others(table, column));
    found.extend(of_partitions(model, table, column));
    found
}

/// What partitions have of their own does not follow the parent's column; and a key to a
/// partitioned table needs its index at once, where that is built leaf by leaf.
fn of_partitions(model: &Model, table: &Table, column: &str) -> Vec<String> {
    let reads = |columns: &[String]| columns.iter().any(|name| name == column);
    let mut found = Vec::new();
    let this = RelationName::new(&model.schema, &table.detail.name);
    let heirs = model.detail.tables.values().filter(|child| !child.is_partition);
    for child in heirs.filter(|child| child.parents.contains(&this)) {
        found.push(format!("table {:?}, which inherits from {:?},", child.name, table.name));
    }
    if table.detail.kind == TableKind::Partitioned {
        let inbound = table.detail.inbound.iter().chain(foreign(model, table));
        for key in inbound.filter(|key| reads(&key.referenced_columns) && !key.is_inherited) {
            found.push(format!("foreign key {:?} of table {}.{}", key.name, key.schema, key.table));
        }
    }
    if reads(&table.detail.partition_key) {
        found.push("the partition key".to_owned());
    }
    for partition in partitions::all(model, &table.detail.name) {
        let of =
            |what: &str, name: &str| format!("{what} {name:?} of partition {:?}", partition.name);
        if reads(&partition.partition_key) {
            found.push(format!("the partition key of {:?}", partition.name));
        }
        let own = partition.constraints.iter().filter(|one| {
            reads(&one.columns) && !one.is_inherited && one.kind != ConstraintKind::NotNull
        });
        found.extend(own.map(|one| of("constraint", &one.name)));
        let own = partition.indexes.iter().filter(|index| {
            reads(&index.columns) && !index.is_inherited && index.constraint.is_none()
        });
        found.extend(own.map(|index| of("index", &index.name)));
        let own = partition.triggers.iter().filter(|trigger| reads(&trigger.columns));
        found.extend(own.map(|trigger| of("trigger", &trigger.name)));
        let own = partition.policies.iter().filter(|policy| reads(&policy.columns));
        found.extend(own.map(|policy| of("policy", &policy.name)));
        let own = partition
            .dependents
            .iter()
            .filter(|one| one.column == column && one.kind != DependentKind::Generated);
        found.extend(own.map(|one| one.identity.clone()));
    }
    found
}

/// Everything that would keep the column from being dropped.
pub(super) fn all(model: &Model, table: &Table, column: &str) -> Vec<String> {
    let one = [column.to_owned()];
    let mut found: Vec<String> = views(model, table, &one)
        .iter()
        .map(|view| format!("view {}", RelationName::new(&view.schema, &view.name)))
        .collect();
    found.extend(others(table, column));
    let reads = |columns: &[String]| columns.iter().any(|name| name == column);
    let detail = &table.detail;
    if reads(&detail.partition_key) {
        found.push("the partition key".to_owned());
    }
    for policy in detail.policies.iter().filter(|policy| reads(&policy.columns)) {
        found.push(format!("policy {:?}", policy.name));
    }
    for trigger in detail.triggers.iter().filter(|trigger| reads(&trigger.columns)) {
        found.push(format!("trigger {:?}", trigger.name));
    }
    for publication in &detail.publications {
        let listed = publication.columns.as_deref().is_some_and(reads);
        if listed || reads(&publication.filter_columns) {
            found.push(format!("publication {:?}", publication.name));
        }
    }
    let inbound = detail.inbound.iter().chain(foreign(model, table));
    for key in inbound.filter(|key| reads(&key.referenced_columns) && !goes(model, key)) {
        found.push(format!("foreign key {:?} of table {}.{}", key.name, key.schema, key.table));
    }
    found
}

/// True if the migration drops the foreign key, with or without its table.
pub(super) fn goes(model: &Model, key: &Constraint) -> bool {
    if key.schema != model.schema {
        return false;
    }
    if model.dropped.iter().any(|table| table.detail.name == key.table) {
        return true;
    }
    let owner = model.tables.values().find(|table| table.detail.name == key.table);
    owner.is_some_and(|owner| {
        owner.dropped_constraints.contains(&key.name)
            || key.columns.iter().any(|column| owner.dropped_columns.contains(column))
    })
}

/// Views outside of the versions that read a view of the version which complete drops.
pub(super) fn on_version<'a>(model: &'a Model, version_schema: &str) -> Vec<&'a View> {
    let reads = |view: &&View| view.reads.iter().any(|read| read.schema == version_schema);
    model.detail.views.iter().filter(|view| !is_of_version(model, view)).filter(reads).collect()
}

/// Foreign keys of other schemas that point to the table.
pub(super) fn foreign<'a>(
    model: &'a Model,
    table: &'a Table,
) -> impl Iterator<Item = &'a Constraint> {
    let is_here = |key: &&Constraint| key.referenced_table.as_ref() == Some(&table.detail.name);
    model.detail.foreign_inbound.iter().filter(is_here)
}

fn others(table: &Table, column: &str) -> Vec<String> {
    let on_column = table.detail.dependents.iter().filter(|one| one.column == column);
    on_column
        .map(|one| match one.kind {
            DependentKind::Generated => format!("generated column {:?}", one.identity),
            DependentKind::Function | DependentKind::Other => one.identity.clone(),
        })
        .collect()
}
