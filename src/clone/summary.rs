//! What a clone amounted to. Counts and names, never a value.

use super::literals::SchemaLiteral;
use super::options::Options;
use super::run::Planned;
use super::upstream::Upstream;
use crate::catalog::RelationKind;
use crate::source::publication::Following;
use crate::state::{Fingerprint, PlannedRange};
use crate::table_sync::TableJob;
use crate::transform::plan::{Origin, TableAction, TablePlan};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Serialize)]
pub struct RuleSummary {
    pub column: String,
    pub transform: &'static str,
    pub domain: String,
    /// Why the column has this rule.
    pub origin: String,
    pub values_changed: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct TableSummary {
    pub table: String,
    pub action: &'static str,
    pub rows: u64,
    pub bytes: u64,
    pub format: String,
    pub rules: Vec<RuleSummary>,
    pub kept: Vec<String>,
}

/// Where the stream goes on from the clone.
#[derive(Clone, Debug, Serialize)]
pub struct StreamSummary {
    pub slot: String,
    pub publications: Vec<String>,
    pub consistent_lsn: String,
    /// Tables of which only INSERT and TRUNCATE are followed, and why.
    pub insert_only: BTreeMap<String, String>,
    /// Tables that are copied and not followed, and why.
    pub not_followed: BTreeMap<String, String>,
}

impl StreamSummary {
    fn of(upstream: &Upstream) -> Self {
        let (mut insert_only, mut not_followed) = (BTreeMap::new(), BTreeMap::new());
        for table in &upstream.followed {
            match &table.following {
                Following::Whole => {}
                Following::InsertOnly { reason } => {
                    insert_only.insert(table.name.to_string(), reason.clone());
                }
                Following::Not { reason } => {
                    not_followed.insert(table.name.to_string(), reason.clone());
                }
            }
        }
        Self {
            slot: upstream.slot.slot_name.clone(),
            publications: upstream.slot.publications.clone(),
            consistent_lsn: upstream.slot.consistent_lsn.to_string(),
            insert_only,
            not_followed,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub source: String,
    pub target: String,
    pub key_id: String,
    pub config_hash: String,
    pub resumed: bool,
    /// Ranges that this run copied; with a resumed run less than all.
    pub ranges_copied: u64,
    pub ranges_total: u64,
    pub rows: u64,
    pub bytes: u64,
    pub values_changed: u64,
    pub columns_masked: u64,
    pub columns_kept: u64,
    pub sequences: usize,
    pub tables: Vec<TableSummary>,
    pub values_changed_by_transform: BTreeMap<String, u64>,
    /// Text that stands in the schema itself and came along.
    pub schema_literals: Vec<SchemaLiteral>,
    pub not_copied: Vec<String>,
    pub warnings: Vec<String>,
    /// With `--follow`.
    pub stream: Option<StreamSummary>,
    pub seconds: BTreeMap<&'static str, f64>,
}

/// What only the run knows.
pub(super) struct Facts<'f> {
    pub(super) fingerprint: &'f Fingerprint,
    pub(super) resumed: bool,
    pub(super) copied: u64,
    pub(super) ranges: &'f [PlannedRange],
    pub(super) sequences: usize,
    pub(super) literals: Vec<SchemaLiteral>,
    pub(super) warnings: Vec<String>,
    pub(super) upstream: Option<&'f Upstream>,
}

/// Adds up what the journal says, table by table.
pub(super) fn summarise(
    options: &Options,
    planned: &Planned,
    facts: Facts<'_>,
    seconds: BTreeMap<&'static str, f64>,
) -> Summary {
    let mut tables = Vec::new();
    let mut by_transform = BTreeMap::<String, u64>::new();
    for plan in &planned.plan.tables {
        if planned.catalog.table(plan.table).kind == RelationKind::Partitioned {
            continue;
        }
        let job = planned.jobs.iter().find(|job| job.table == plan.table);
        let table = table_summary(plan, job, planned, facts.ranges);
        for rule in &table.rules {
            *by_transform.entry(rule.transform.to_owned()).or_default() += rule.values_changed;
        }
        tables.push(table);
    }
    let sum = |of: fn(&TableSummary) -> u64| tables.iter().map(of).sum();
    Summary {
        source: options.source.url_without_password(),
        target: options.target.url_without_password(),
        key_id: facts.fingerprint.key_id.clone(),
        config_hash: facts.fingerprint.config_hash.clone(),
        resumed: facts.resumed,
        ranges_copied: facts.copied,
        ranges_total: facts.ranges.len() as u64,
        rows: sum(|table| table.rows),
        bytes: sum(|table| table.bytes),
        values_changed: by_transform.values().sum(),
        columns_masked: sum(|table| table.rules.len() as u64),
        columns_kept: sum(|table| table.kept.len() as u64),
        sequences: facts.sequences,
        values_changed_by_transform: by_transform,
        schema_literals: facts.literals,
        not_copied: not_copied(planned),
        warnings: facts.warnings,
        stream: facts.upstream.map(StreamSummary::of),
        seconds,
        tables,
    }
}

fn table_summary(
    plan: &TablePlan,
    job: Option<&TableJob>,
    planned: &Planned,
    ranges: &[PlannedRange],
) -> TableSummary {
    let table = planned.catalog.table(plan.table);
    let name = table.name.to_string();
    let (mut rows, mut bytes, mut changed) = (0, 0, Vec::<u64>::new());
    for range in ranges.iter().filter(|range| range.relation == name) {
        rows += range.row_count.unsigned_abs();
        bytes += range.byte_count.unsigned_abs();
        changed.resize(changed.len().max(range.changed.len()), 0);
        for (sum, more) in changed.iter_mut().zip(&range.changed) {
            *sum += more.unsigned_abs();
        }
    }
    let (mut rules, mut kept) = (Vec::new(), Vec::new());
    let mut changed = changed.into_iter();
    for (at, column) in table.copied_columns() {
        match plan.columns.get(at).filter(|column| !column.rule.is_keep() && job.is_some()) {
            None => kept.push(column.name.clone()),
            Some(column_plan) => rules.push(RuleSummary {
                column: column.name.clone(),
                transform: column_plan.rule.transform.name(),
                domain: column_plan.rule.domain().to_owned(),
                origin: origin(&column_plan.origin),
                values_changed: changed.next().unwrap_or(0),
            }),
        }
    }
    let action = match plan.action {
        TableAction::Copy => "copy",
        TableAction::SchemaOnly => "schema only",
        TableAction::Exclude => "exclude",
    };
    let format = job.map(|job| job.format.to_string()).unwrap_or_default();
    TableSummary { table: name, action, rows, bytes, format, rules, kept }
}

/// Why a column has its rule, in words.
fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Config { line } => format!("configuration, line {line}"),
        Origin::Detected { class, evidence, .. } => format!("{class}: {evidence}"),
        Origin::ForeignKey { from } => format!("follows {from}"),
        Origin::PartitionRoot => "follows its parent table".into(),
        Origin::Reference => "follows references in the configuration".into(),
        Origin::Default(_) => "default".into(),
    }
}

fn not_copied(planned: &Planned) -> Vec<String> {
    let left = |action: TableAction, why: &'static str| {
        let tables = planned.plan.tables.iter().filter(move |table| table.action == action);
        tables.map(move |table| format!("{} ({why})", table.name))
    };
    left(TableAction::Exclude, "excluded")
        .chain(left(TableAction::SchemaOnly, "schema only"))
        .collect()
}
