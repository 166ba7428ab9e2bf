//! What is compared with what: the tables that a clone copies, beside the tables of the target
//! that hold their rows.
//!
//! A partition is compared with the partition of its name. Where rows may lie in other
//! partitions than on the source (a rule on the partition key, hashes of oids, partitions that
//! only one side has), the partitioned table is compared as a whole.

use crate::catalog::{Catalog, Column, RelationKind, RelationName, Table, TableId};
use crate::pg::{Format, Kind};
use crate::table_sync::TableJob;
use crate::transform::Transform;
use crate::transform::plan::{Plan, TableAction};
use std::collections::{BTreeMap, BTreeSet};

/// About this many bytes of heap share a bucket: 16 rows of a common table.
const BUCKET_BYTES: u64 = 2048;
/// 2 MiB of buckets for each side of a table, and for each lane.
const BUCKET_LIMIT: u64 = 65_536;
/// Types that `initdb` and users make have oids from here on, other ones in every database
/// (`FirstGenbkiObjectId`, transam.h).
const UNSTABLE_OID: u32 = 10_000;

/// How a column's values become bytes that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As COPY sends them.
    Sent,
    /// By what they say: a fake may be sent in another spelling than it is stored in.
    Stored,
}

pub(super) struct PairColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) form: Form,
    /// `None` if the column is kept.
    pub(super) rule: Option<Transform>,
}

/// A table of the source.
pub(super) struct Origin {
    /// Position in the jobs.
    pub(super) job: usize,
    /// For each column of the pair its position in the job's columns.
    pub(super) order: Vec<usize>,
}

/// A table of the target.
pub(super) struct Holder {
    pub(super) name: RelationName,
    pub(super) size_bytes: u64,
    pub(super) is_heap: bool,
}

/// One comparison.
pub(super) struct Pair {
    pub(super) name: RelationName,
    pub(super) origins: Vec<Origin>,
    pub(super) holders: Vec<Holder>,
    pub(super) columns: Vec<PairColumn>,
    pub(super) format: Format,
    /// Positions in `columns` of a key; empty if the table has none.
    pub(super) key: Vec<usize>,
    /// True if a row can be hashed as it was sent, in one go.
    pub(super) is_direct: bool,
    pub(super) bucket_count: usize,
    /// What is not compared, and why.
    pub(super) notes: Vec<String>,
}

impl Pair {
    pub(super) fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }
}

/// Pairs the tables up, largest first. `is_wanted` chooses by the name of a table or of the
/// partitioned table above it.
pub(super) fn pair(
    source: &Catalog,
    target: &Catalog,
    plan: &Plan,
    jobs: &[TableJob],
    is_wanted: &dyn Fn(&RelationName) -> bool,
) -> Vec<Pair> {
    let mut groups = BTreeMap::<RelationName, Vec<usize>>::new();
    let whole = compared_whole(source, target, jobs);
    for (at, job) in jobs.iter().enumerate() {
        let root = &source.table(source.partition_root(job.table)).name;
        let name = if whole.contains(root) { root } else { &job.target };
        groups.entry(name.clone()).or_default().push(at);
    }
    let mut pairs = Vec::new();
    for (name, members) in groups {
        let is_member = || members.iter().filter_map(|at| jobs.get(*at));
        if is_wanted(&name) || is_member().any(|job| is_wanted(&job.source)) {
            pairs.push(of_group(name, &members, source, target, plan, jobs));
        }
    }
    pairs.extend(left_empty(target, source, plan).filter(|pair| is_wanted(&pair.name)));
    let size = |pair: &Pair| {
        let origins = pair.origins.iter().filter_map(|origin| jobs.get(origin.job));
        origins.map(|job| job.size_bytes).sum::<u64>()
    };
    pairs.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.name.cmp(&b.name)));
    pairs
}

/// Partitioned tables whose partitions are others on the target than on the source.
fn compared_whole(source: &Catalog, target: &Catalog, jobs: &[TableJob]) -> BTreeSet<RelationName> {
    let mut roots = BTreeSet::new();
    for job in jobs.iter().filter(|job| source.table(job.table).partitioning.is_partition) {
        let root = source.table(source.partition_root(job.table)).name.clone();
        let is_there = target.find(&root).is_some();
        let copied = |leaf: &&Table| jobs.iter().any(|job| job.source == leaf.name);
        if is_there && !roots.contains(&root) {
            let here = leaves(source, &root).filter(copied).map(|leaf| &leaf.name);
            let there = leaves(target, &root).map(|leaf| &leaf.name);
            if here.collect::<BTreeSet<_>>() != there.collect::<BTreeSet<_>>() {
                roots.insert(root);
            }
        }
    }
    roots
}

/// The tables with rows under a partitioned table, or the table itself.
fn leaves<'c>(catalog: &'c Catalog, name: &'c RelationName) -> impl Iterator<Item = &'c Table> {
    let is_under = move |id: TableId| {
        let mut at = Some(id);
        // Bounded by the depth of the partition tree.
        while let Some(table) = at.map(|at| catalog.table(at)) {
            if table.name == *name {
                return true;
            }
            let parent = table.partitioning.parents.first();
            at = parent.filter(|_| table.partitioning.is_partition).and_then(|p| catalog.find(p));
        }
        false
    };
    catalog
        .iter()
        .filter(move |(id, table)| table.kind == RelationKind::Table && is_under(*id))
        .map(|(_, table)| table)
}

fn of_group(
    name: RelationName,
    members: &[usize],
    source: &Catalog,
    target: &Catalog,
    plan: &Plan,
    jobs: &[TableJob],
) -> Pair {
    let jobs_of = || members.iter().filter_map(|at| jobs.get(*at));
    let holders = leaves(target, &name).collect::<Vec<_>>();
    let names = jobs_of().next().map(|job| job.columns.as_slice()).unwrap_or_default();
    let is_shared = |name: &&String| {
        jobs_of().all(|job| job.columns.contains(name))
            && holders.iter().all(|table| copied(table, name).is_some())
    };
    let shared = names.iter().filter(is_shared).collect::<Vec<_>>();
    let mut notes = Vec::new();
    if holders.is_empty() {
        notes.push("the target does not have the table".to_owned());
    }
    let absent = names.iter().filter(|name| !shared.contains(name));
    notes
        .extend(absent.map(|name| format!("not compared: {name}, which the target does not have")));

    let tables = jobs_of().map(|job| source.table(job.table)).collect::<Vec<_>>();
    let all = || tables.iter().chain(&holders);
    let column = |name: &String| tables.first().and_then(|table| copied(table, name));
    let is_binary = jobs_of().all(|job| job.format == Format::Binary)
        && shared.iter().all(|name| column(name).is_none_or(is_portable))
        && shared.iter().all(|name| {
            let mut types = all().filter_map(|table| copied(table, name)).map(|c| &c.type_name);
            let first = types.next();
            types.all(|other| Some(other) == first)
        });
    let format = if is_binary { Format::Binary } else { Format::Text };
    let rule = |name: &String| {
        let job = jobs_of().next()?;
        let at = source.table(job.table).column(name)?.0;
        let rule = &plan.table(job.table)?.columns.get(at)?.rule;
        (!rule.is_keep()).then(|| rule.transform.clone())
    };
    let columns = shared.iter().filter_map(|name| {
        let (kind, rule) = (column(name)?.kind.clone(), rule(name));
        let form = form(&kind, rule.as_ref(), format);
        Some(PairColumn { name: (*name).clone(), kind, form, rule })
    });
    let columns = columns.collect::<Vec<_>>();
    let position = |job: &TableJob, name: &str| job.columns.iter().position(|own| own == name);
    let origin = |at: &usize| {
        let job = jobs.get(*at)?;
        let order = columns.iter().filter_map(|column| position(job, &column.name)).collect();
        Some(Origin { job: *at, order })
    };
    let origins = members.iter().filter_map(origin).collect::<Vec<_>>();
    let in_order = |origin: &Origin| {
        let width = jobs.get(origin.job).map_or(0, |job| job.columns.len());
        origin.order.iter().copied().eq(0..width)
    };
    let is_direct =
        columns.iter().all(|column| column.form == Form::Sent) && origins.iter().all(in_order);
    let key = source.find(&name).map(|id| key(source.table(id))).unwrap_or_default();
    let key = key.iter().map(|name| columns.iter().position(|column| column.name == *name));
    let size = jobs_of().map(|job| job.size_bytes).sum::<u64>();
    Pair {
        key: key.collect::<Option<Vec<_>>>().unwrap_or_default(),
        origins,
        holders: holders.iter().map(|table| holder(table)).collect(),
        columns,
        format,
        is_direct,
        bucket_count: bucket_count(size),
        notes,
        name,
    }
}

fn bucket_count(size_bytes: u64) -> usize {
    let count = (size_bytes / BUCKET_BYTES).clamp(1, BUCKET_LIMIT);
    usize::try_from(count).unwrap_or(1).next_power_of_two()
}

fn holder(table: &Table) -> Holder {
    Holder { name: table.name.clone(), size_bytes: table.size_bytes, is_heap: table.is_heap }
}

fn copied<'t>(table: &'t Table, name: &str) -> Option<&'t Column> {
    table.column(name).map(|(_, column)| column).filter(|column| column.is_copied())
}

/// Tables that are made and left empty: every row in them is one too many.
fn left_empty<'c>(
    target: &'c Catalog,
    source: &'c Catalog,
    plan: &'c Plan,
) -> impl Iterator<Item = Pair> + 'c {
    let empty = plan.tables.iter().filter(|table| table.action == TableAction::SchemaOnly);
    empty.filter_map(move |plan| {
        let table = target.find(&plan.name).map(|id| target.table(id))?;
        if table.kind == RelationKind::Partitioned || source.find(&plan.name).is_none() {
            return None;
        }
        let columns = table.copied_columns().map(|(_, column)| PairColumn {
            name: column.name.clone(),
            kind: column.kind.clone(),
            form: Form::Sent,
            rule: None,
        });
        Some(Pair {
            name: plan.name.clone(),
            origins: Vec::new(),
            holders: vec![holder(table)],
            columns: columns.collect(),
            format: Format::Text,
            key: Vec::new(),
            is_direct: true,
            bucket_count: 1,
            notes: vec!["left empty by the rules".to_owned()],
        })
    })
}

/// The columns that tell rows apart: the primary key's, else those of a unique index without
/// NULLs, expressions or condition.
fn key(table: &Table) -> Vec<String> {
    if !table.primary_key.is_empty() {
        return table.primary_key.clone();
    }
    let is_key = |columns: &[String]| {
        let mut columns = columns.iter().map(|name| table.column(name));
        columns.all(|column| column.is_some_and(|(_, column)| column.not_null))
    };
    let mut indexes = table.indexes.iter().filter(|index| {
        index.is_unique && !index.is_partial && !index.has_expressions && is_key(&index.key_columns)
    });
    indexes.next().map(|index| index.key_columns.clone()).unwrap_or_default()
}

/// False if the binary form holds oids of types that have other ones in another database:
/// `array_send` writes the element's, `record_send` those of its fields.
fn is_portable(column: &Column) -> bool {
    !(column.type_oid.0 >= UNSTABLE_OID
        && matches!(column.kind, Kind::Array(_) | Kind::Composite | Kind::Opaque))
}

fn form(kind: &Kind, rule: Option<&Transform>, format: Format) -> Form {
    let Some(rule) = rule else { return Form::Sent };
    let is_sent = format == Format::Binary && !matches!(rule, Transform::Constant { .. });
    match (kind, kind.element()) {
        // These have no rule but `null`.
        (_, Kind::Hstore | Kind::Tsvector | Kind::Composite | Kind::Range | Kind::Opaque) => {
            Form::Sent
        }
        (Kind::Array(_), _)
        | (_, Kind::Bpchar | Kind::Numeric | Kind::Inet | Kind::Cidr | Kind::Jsonb) => Form::Stored,
        _ if is_sent => Form::Sent, // every other kind has one binary form of a value
        _ => Form::Stored,          // in text it may be spelled in several ways
    }
}
