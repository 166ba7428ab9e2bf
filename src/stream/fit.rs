//! Does a relation fit what is known of it?
//!
//! Decided from the Relation message, the rules as they are bound to the source's catalog, and the
//! target's table. Nothing is read and nothing is written here.

use super::error::StreamError;
use super::evolve::Evolution;
use super::look::{Standing, View, shows};
use super::machine::Shape;
use super::rules::Rules;
use crate::catalog::{RelationKind, RelationName, Table};
use crate::pg::pgoutput::ReplicaIdentity;
use crate::pg::{Kind, Oid};
use crate::sink::apply::{BoundColumn, SentIdentity, TargetTable};
use crate::table_sync::{routed_target, table_mask};
use crate::transform::key::RootKey;
use crate::transform::plan::TablePlan;
use crate::transform::spec::Diagnostic;
use crate::transform::{ColumnMask, TableMask, Transform, Treatment};

/// `FirstNormalObjectId` (access/transam.h): types below it are the same in every database.
const FIRST_USER_OID: u32 = 16_384;

/// Why a relation cannot be followed.
pub(super) struct Unfit(pub(super) String);

/// What has to be done before rows of a shape are taken.
pub(super) enum Step {
    /// The target is altered as the source was. `is_exact`: all rows until now were of the columns
    /// that the target has, all from now on are of those that the catalog shows.
    Evolve { evolution: Evolution, is_exact: bool },
    /// Why it is not known which columns the values are of.
    CopyAgain(&'static str),
}

/// None: a table that is followed can be bound in this shape as it is.
pub(super) fn step(rules: &Rules, table: &Table, shape: &Shape, view: &View) -> Option<Step> {
    if view.table == Standing::Changing {
        return Some(Step::CopyAgain(
            "its columns are changed by a transaction that has not ended",
        ));
    }
    let Some(evolution) = Evolution::of(rules, &shape.name) else {
        let reason = "its rows are sent in a shape that the source's catalog does not show";
        return (!shows(table, shape, view.is_early)).then_some(Step::CopyAgain(reason));
    };
    let known = rules.root(&shape.name).and_then(|root| rules.known.get(&root.name));
    let sent = || shape.columns.iter().map(|column| &column.name);
    let is_old = known.is_some_and(|known| known.iter().map(|one| &one.name).eq(sent()));
    let is_now = table
        .copied_columns()
        .map(|(_, column)| (&column.name, column.type_oid))
        .eq(shape.columns.iter().map(|column| (&column.name, column.type_oid)));
    if is_old && !is_now && evolution.only_adds() {
        // Rows of before the change: all their columns are as they were.
        return None;
    }
    // Where the old columns look like the new ones, a row may be of either.
    Some(Step::Evolve { evolution, is_exact: is_now && !is_old })
}

/// A rule that would lose updates without a word.
#[derive(Debug, thiserror::Error)]
#[error("{relation}.{column} is of the replica identity: {reason}")]
pub(super) struct BadIdentity {
    relation: RelationName,
    column: String,
    reason: &'static str,
}

impl From<BadIdentity> for StreamError {
    fn from(BadIdentity { relation, column, reason }: BadIdentity) -> Self {
        Self::Identity { relation: relation.to_string(), column, reason }
    }
}

pub(super) fn sent_identity(shape: &Shape) -> SentIdentity {
    match shape.replica_identity {
        ReplicaIdentity::Full => SentIdentity::Full,
        ReplicaIdentity::Nothing => SentIdentity::Nothing,
        ReplicaIdentity::Default | ReplicaIdentity::Index => {
            let columns = shape.columns.iter().enumerate();
            let keys = columns.filter(|(_, column)| column.is_key).map(|(at, _)| at);
            let keys = keys.collect::<Vec<_>>();
            if keys.is_empty() { SentIdentity::Nothing } else { SentIdentity::Key(keys) }
        }
    }
}

/// What the target cannot be written with. A column of the relation that it does not have is no
/// difference: such columns are not written.
pub(super) fn difference(shape: &Shape, table: &Table, target: &TargetTable) -> Option<Unfit> {
    for column in target.columns.iter().filter(|column| column.column.is_written) {
        let name = &column.column.name;
        let Some(sent) = shape.columns.iter().find(|sent| sent.name == *name) else {
            return Some(Unfit(format!("its column {name} is not sent any more")));
        };
        let is_known = table.column(name).is_some_and(|(_, found)| found.type_oid == sent.type_oid);
        if !is_known {
            return Some(Unfit(format!("its column {name} changed while it was looked at")));
        }
        if is_other_type(sent.type_oid, column.column.type_oid) {
            return Some(Unfit(format!("its column {name} has another type on the target")));
        }
    }
    None
}

/// Types of users have other oids in another database: if they differ, applying says so.
fn is_other_type(source: Oid, target: Oid) -> bool {
    source != target && (source.0 < FIRST_USER_OID || target.0 < FIRST_USER_OID)
}

/// A rule on a column of the replica identity must give the same for the old key alone as for
/// the whole row.
pub(super) fn check_identity(
    table: &Table,
    plan: &TablePlan,
    identity: &[&str],
) -> Result<(), BadIdentity> {
    for name in identity {
        let Some((at, _)) = table.column(name) else { continue };
        let Some(column) = plan.columns.get(at) else { continue };
        let is_outside = |at: &usize| {
            let subject = table.columns.get(*at).map(|column| column.name.as_str());
            subject.is_none_or(|subject| !identity.contains(&subject))
        };
        let reason = if column.rule.transform == Transform::Null {
            "a rule that makes all its values NULL finds no row"
        } else if column.subject.iter().any(is_outside) {
            "its rule is keyed by a column that is not sent with the old key"
        } else {
            continue;
        };
        let (relation, column) = (table.name.clone(), (*name).to_owned());
        return Err(BadIdentity { relation, column, reason });
    }
    Ok(())
}

/// The masks of the relation's columns in the order of its tuples. What is not written is NULL
/// from here on: its raw value must not come into a buffer or a file.
pub(super) fn mask(
    shape: &Shape,
    table: &Table,
    plan: &TablePlan,
    bound: &[BoundColumn],
    key: &RootKey,
) -> Result<TableMask, Vec<Diagnostic>> {
    /// No column of any table.
    const NOWHERE: usize = usize::MAX;
    let position = |name: &str| table.column(name).map_or(NOWHERE, |(at, _)| at);
    let positions = shape.columns.iter().map(|column| position(&column.name)).collect::<Vec<_>>();
    let mut masks = match table_mask(plan, table, &positions, key)? {
        TableMask::KeepAll(_) => Vec::new(),
        TableMask::Rules(masks) => masks,
    };
    let is_written = |at: usize| bound.get(at).is_some_and(|column| column.is_written);
    masks.retain(|mask| is_written(mask.position));
    let unwritten = shape.columns.iter().enumerate().filter(|(at, _)| !is_written(*at));
    masks.extend(unwritten.map(|(position, column)| ColumnMask {
        position,
        name: column.name.clone(),
        kind: Kind::Opaque,
        treatment: Treatment::Null,
        subject: Vec::new(),
    }));
    Ok(TableMask::new(masks))
}

/// What the rows of a relation are masked by, as it is written down of each table.
pub(super) fn rules_of(
    rules: &Rules,
    table: &Table,
    plan: &TablePlan,
    target: &TargetTable,
) -> Vec<(RelationName, String)> {
    let is_there = |name: &str| target.find(name).is_some_and(|one| one.column.is_written);
    if table.kind == RelationKind::Table {
        return vec![(table.name.clone(), plan.rules_hash(table, is_there))];
    }
    let Some(root) = rules.root(&table.name) else { return Vec::new() };
    let parts = rules.parts(&root.name);
    parts.map(|(part, plan)| (part.name.clone(), plan.rules_hash(part, is_there))).collect()
}

/// How many tables of the source are written to this target: 1 for a table that stands for itself,
/// at least 2 for one that routes the rows of partitions.
pub(super) fn leaf_count(rules: &Rules, relation: &RelationName, target: &RelationName) -> usize {
    if target == relation {
        return 1;
    }
    let catalog = &rules.catalog;
    let leaves = catalog.iter().filter(|(id, leaf)| {
        leaf.kind == RelationKind::Table
            && leaf.partitioning.is_partition
            && rules
                .plan
                .table(*id)
                .is_some_and(|plan| routed_target(plan, leaf, catalog) == *target)
    });
    leaves.count().max(2)
}
