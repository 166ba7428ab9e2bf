//! From the bound plan to what the lanes need: one mask per table.

use crate::catalog::{Catalog, Column, RelationKind, RelationName, Table, TableId};
use crate::pg::{Format, Kind, Oid};
use crate::transform::key::RootKey;
use crate::transform::op::Op;
use crate::transform::plan::{ColumnPlan, Plan, TableAction, TablePlan};
use crate::transform::spec::{Diagnostic, Place};
use crate::transform::{ColumnMask, TableMask, Transform, Treatment};

/// One table that is copied.
pub struct TableJob {
    pub table: TableId,
    /// The relation that is read, and its name in the journal.
    pub source: RelationName,
    /// The relation that is written.
    pub target: RelationName,
    pub columns: Vec<String>,
    /// The source's.
    pub oid: Oid,
    /// `pg_attribute.attnum` of each column.
    pub numbers: Vec<i16>,
    pub format: Format,
    pub filter: Option<String>,
    pub mask: TableMask,
    pub size_bytes: u64,
    /// True if ctid ranges work on it.
    pub is_heap: bool,
}

/// Builds the jobs of all tables that are copied.
///
/// # Errors
/// A diagnostic per rule that does not fit its column.
pub fn bind_masks(
    plan: &Plan,
    catalog: &Catalog,
    key: &RootKey,
    format: Option<Format>,
) -> Result<Vec<TableJob>, Vec<Diagnostic>> {
    let mut jobs = Vec::new();
    let mut misfits = Vec::new();
    for table_plan in &plan.tables {
        let table = catalog.table(table_plan.table);
        if table_plan.action != TableAction::Copy || table.kind == RelationKind::Partitioned {
            continue;
        }
        match job(table_plan, table, catalog, key, format) {
            Ok(job) => jobs.push(job),
            Err(mut found) => misfits.append(&mut found),
        }
    }
    if misfits.is_empty() { Ok(jobs) } else { Err(misfits) }
}

fn job(
    plan: &TablePlan,
    table: &Table,
    catalog: &Catalog,
    key: &RootKey,
    format: Option<Format>,
) -> Result<TableJob, Vec<Diagnostic>> {
    let copied = table.copied_columns().map(|(at, _)| at).collect::<Vec<_>>();
    let mask = table_mask(plan, table, &copied, key)?;
    let has_binary = table.copied_columns().all(|(_, column)| column.has_binary);
    let natural = if has_binary { Format::Binary } else { Format::Text };
    Ok(TableJob {
        table: plan.table,
        source: table.name.clone(),
        target: routed_target(plan, table, catalog),
        columns: table.copied_columns().map(|(_, column)| column.name.clone()).collect(),
        oid: table.oid,
        numbers: table.copied_columns().map(|(_, column)| column.number).collect(),
        format: format.filter(|format| *format == Format::Text).unwrap_or(natural),
        filter: plan.filter.clone(),
        mask,
        size_bytes: table.size_bytes,
        is_heap: table.is_heap,
    })
}

/// The rules of a table whose rows come with these columns: `columns` are positions in
/// [`Table::columns`], in the order in which a row has them.
///
/// # Errors
/// A diagnostic per rule that does not fit its column.
pub fn table_mask(
    plan: &TablePlan,
    table: &Table,
    columns: &[usize],
    key: &RootKey,
) -> Result<TableMask, Vec<Diagnostic>> {
    let mut masks = Vec::new();
    let mut misfits = Vec::new();
    for (position, at) in columns.iter().enumerate() {
        let (Some(column), Some(column_plan)) = (table.columns.get(*at), plan.columns.get(*at))
        else {
            continue;
        };
        if column_plan.rule.is_keep() {
            continue;
        }
        match treatment(column_plan, key) {
            Ok(treatment) => masks.push(ColumnMask {
                position,
                name: column.name.clone(),
                kind: column.kind.clone(),
                treatment,
                subject: subject(column_plan, table, columns),
            }),
            Err(reason) => misfits.push(misfit(table, &column.name, &reason)),
        }
    }
    if misfits.is_empty() { Ok(TableMask::new(masks)) } else { Err(misfits) }
}

fn treatment(plan: &ColumnPlan, key: &RootKey) -> Result<Treatment, String> {
    if plan.rule.transform == Transform::Null {
        return Ok(Treatment::Null);
    }
    Op::build(&plan.rule, &plan.shape, key)
        .map(|op| Treatment::Transform(Box::new(op)))
        .map_err(|error| error.to_string())
}

fn misfit(table: &Table, column: &str, reason: &str) -> Diagnostic {
    Diagnostic::error(
        "transforms.yaml",
        Place::default(),
        format!("{}.{column}: {reason}", table.name),
    )
}

/// Positions in the COPY's column list of the columns that key a rule. Those that cannot key one
/// are left out; the value itself then keys the rule.
fn subject(plan: &ColumnPlan, table: &Table, copied: &[usize]) -> Vec<(usize, Kind)> {
    let position = |at: &usize| copied.iter().position(|copied| copied == at);
    plan.subject
        .iter()
        .filter_map(|at| Some((position(at)?, table.columns.get(*at)?.kind.clone())))
        .filter(|(_, kind)| can_key(kind))
        .collect()
}

/// False for values without a codec: they cannot be read.
fn can_key(kind: &Kind) -> bool {
    !matches!(
        kind,
        Kind::Hstore
            | Kind::Tsvector
            | Kind::Array(_)
            | Kind::Composite
            | Kind::Range
            | Kind::Opaque
    )
}

/// A column of these whose rule is keyed by another that is not among them, with that one: its
/// values would become others than where both are copied.
pub fn unkeyed<'t>(
    plan: &TablePlan,
    table: &'t Table,
    copied: &[usize],
) -> Option<(&'t str, &'t str)> {
    let is_missing = |at: usize, column: &Column| {
        !copied.contains(&at) && column.is_copied() && can_key(&column.kind)
    };
    copied.iter().find_map(|at| {
        let (column, rule) = (table.columns.get(*at)?, plan.columns.get(*at)?);
        let mut subjects =
            rule.subject.iter().filter_map(|at| Some((*at, table.columns.get(*at)?)));
        let (_, missing) = subjects.find(|(at, subject)| is_missing(*at, subject))?;
        Some((column.name.as_str(), missing.name.as_str()))
    })
}

/// The relation that a table's rows are written to.
///
/// A rule on a partition key may move a row to another partition, and so does a hash of oids: the
/// root then routes it.
pub fn routed_target(plan: &TablePlan, table: &Table, catalog: &Catalog) -> RelationName {
    let mut routed = table.name.clone();
    let mut at = plan.table;
    while catalog.table(at).partitioning.is_partition {
        let parent =
            catalog.table(at).partitioning.parents.first().and_then(|parent| catalog.find(parent));
        let Some(parent) = parent else { break };
        let partitioning = &catalog.table(parent).partitioning;
        let is_ruled = |name: &String| {
            table
                .column(name)
                .and_then(|(at, _)| plan.columns.get(at))
                .is_some_and(|column| !column.rule.is_keep())
        };
        if partitioning.hashes_oids || partitioning.key_columns.iter().any(is_ruled) {
            routed = catalog.table(parent).name.clone();
        }
        at = parent;
    }
    routed
}
