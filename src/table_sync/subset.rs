//! Subsets: a `where` on one table reaches every table that refers to it, so that no foreign
//! key of the clone dangles.
//!
//! The condition of a referencing table becomes "its parent is in the subset, or it has none"
//! (MATCH SIMPLE: any NULL in the key means none). A table that refers to itself loses the rows
//! that lead, by whatever steps, to one that is not in the subset.

use super::job::TableJob;
use crate::catalog::{Catalog, ForeignKey, RelationName, TableId};
use crate::pg::Ident;
use crate::transform::plan::{Plan, TableAction};

/// Longer conditions are refused: many paths between many filtered tables multiply.
const LENGTH_LIMIT: usize = 100_000;

/// A subset that cannot be taken, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SubsetError(String);

/// Gives every job its effective filter.
pub fn close_subset(
    jobs: &mut [TableJob],
    plan: &Plan,
    catalog: &Catalog,
) -> Result<(), SubsetError> {
    refuse_dangling(plan, catalog)?;
    refuse_conditions_on_partitions(plan, catalog)?;
    refuse_circles(plan, catalog)?;
    for job in jobs {
        let root = catalog.partition_root(job.table);
        job.filter = condition(root, plan, catalog)?;
    }
    Ok(())
}

/// A table that stays empty must not be referred to by one that does not.
fn refuse_dangling(plan: &Plan, catalog: &Catalog) -> Result<(), SubsetError> {
    let action = |name: &RelationName| plan.find(name).map(|table| table.action);
    let dangling = catalog.foreign_keys.iter().filter(|key| {
        action(&key.to) == Some(TableAction::SchemaOnly)
            && action(&key.from) == Some(TableAction::Copy)
            && key.from != key.to
    });
    let found = dangling
        .map(|key| {
            format!(
                "{} is schema_only and {} refers to it ({}): make {} schema_only too, or exclude {}",
                key.to, key.from, key.name, key.from, key.to
            )
        })
        .collect::<Vec<_>>();
    if found.is_empty() { Ok(()) } else { Err(SubsetError(found.join("; "))) }
}

/// What refers to the partitioned table would not know which partitions have conditions.
fn refuse_conditions_on_partitions(plan: &Plan, catalog: &Catalog) -> Result<(), SubsetError> {
    for table in plan.tables.iter().filter(|table| table.filter.is_some()) {
        let root = catalog.partition_root(table.table);
        // A partition without a condition of its own has its root's.
        if table.filter.as_deref() != own_filter(root, plan) {
            return Err(SubsetError(format!(
                "the condition on {} would hold for this partition only: give it to {}",
                catalog.table(table.table).name,
                catalog.table(root).name
            )));
        }
    }
    Ok(())
}

/// In a circle every row may depend on every other: none of its tables can be cut.
fn refuse_circles(plan: &Plan, catalog: &Catalog) -> Result<(), SubsetError> {
    for (id, table) in catalog.iter().filter(|(id, _)| is_copied(*id, plan)) {
        let mut reached = Vec::new();
        let mut next = parents(id, plan, catalog).collect::<Vec<_>>();
        while let Some(parent) = next.pop() {
            if !reached.contains(&parent) {
                reached.push(parent);
                next.extend(parents(parent, plan, catalog));
            }
        }
        if reached.contains(&id) && reached.iter().any(|id| own_filter(*id, plan).is_some()) {
            return Err(SubsetError(format!(
                "the foreign keys of {} lead back to it: a subset of tables that refer to each other in a circle \
                 cannot be taken; exclude one of them, or copy them whole",
                table.name
            )));
        }
    }
    Ok(())
}

fn is_copied(id: TableId, plan: &Plan) -> bool {
    plan.table(id).is_some_and(|table| table.action == TableAction::Copy)
}

/// The copied tables that a table refers to, itself aside.
fn parents(id: TableId, plan: &Plan, catalog: &Catalog) -> impl Iterator<Item = TableId> {
    outgoing(id, catalog)
        .filter_map(|key| catalog.find(&key.to))
        .map(|parent| catalog.partition_root(parent))
        .filter(move |parent| *parent != id && is_copied(*parent, plan))
}

fn own_filter(id: TableId, plan: &Plan) -> Option<&str> {
    plan.table(id).and_then(|table| table.filter.as_deref())
}

/// The effective condition of a table (of the root for partitions), `None` for all rows.
fn condition(id: TableId, plan: &Plan, catalog: &Catalog) -> Result<Option<String>, SubsetError> {
    let table = catalog.table(id);
    let mut conditions =
        own_filter(id, plan).map(|filter| format!("({filter})")).into_iter().collect::<Vec<_>>();
    for key in outgoing(id, catalog).filter(|key| key.to != key.from) {
        let parent = catalog.find(&key.to).map(|parent| catalog.partition_root(parent));
        // There may be a circle where nothing is filtered, and only there.
        let filtered = parent.filter(|parent| {
            is_copied(*parent, plan) && is_filtered(*parent, plan, catalog, &mut Vec::new())
        });
        let Some(parent) = filtered else { continue };
        if let Some(wanted) = condition(parent, plan, catalog)? {
            conditions.push(in_parent(key, &wanted));
        }
    }
    if conditions.is_empty() {
        return Ok(None);
    }
    let mut joined = conditions.join(" and ");
    let own = outgoing(id, catalog).filter(|key| key.to == key.from).collect::<Vec<_>>();
    if !own.is_empty() {
        joined = without_gone(&table.name, &own, &joined);
    }
    if joined.len() > LENGTH_LIMIT {
        return Err(SubsetError(format!("the condition for {} grows too long", table.name)));
    }
    Ok(Some(joined))
}

fn outgoing(id: TableId, catalog: &Catalog) -> impl Iterator<Item = &ForeignKey> {
    let belongs = move |key: &&ForeignKey| {
        catalog.find(&key.from).is_some_and(|from| from == id || catalog.partition_root(from) == id)
    };
    catalog.foreign_keys.iter().filter(belongs)
}

/// True if the table, or anything that it refers to, has a `where`.
fn is_filtered(id: TableId, plan: &Plan, catalog: &Catalog, seen: &mut Vec<TableId>) -> bool {
    if seen.contains(&id) {
        return false;
    }
    seen.push(id);
    own_filter(id, plan).is_some()
        || parents(id, plan, catalog).any(|parent| is_filtered(parent, plan, catalog, seen))
}

fn columns(names: &[String]) -> String {
    names.iter().map(|name| Ident(name).to_string()).collect::<Vec<_>>().join(", ")
}

fn any_null(names: &[String]) -> String {
    names.iter().map(|name| format!("{} is null", Ident(name))).collect::<Vec<_>>().join(" or ")
}

fn in_parent(key: &ForeignKey, wanted: &str) -> String {
    format!(
        "({} or ({}) in (select {} from {} where {wanted}))",
        any_null(&key.from_columns),
        columns(&key.from_columns),
        columns(&key.to_columns),
        key.to.sql()
    )
}

/// A row goes if it is not wanted, or if one that it refers to goes. Asked this way round,
/// several keys of a table to itself hold together, and a row may refer to itself. The rows that
/// go are known by table and ctid: the keys may lead to different columns.
fn without_gone(table: &RelationName, keys: &[&ForeignKey], wanted: &str) -> String {
    let mut referenced = keys.iter().flat_map(|key| &key.to_columns).collect::<Vec<_>>();
    referenced.sort();
    referenced.dedup();
    let columns = |alias: &str| {
        let column = |name: &&String| format!(", {alias}{}", Ident(name));
        referenced.iter().map(column).collect::<String>()
    };
    let refers = |key: &&ForeignKey| {
        let pair = |(from, to): (&String, &String)| format!("c.{} = g.{}", Ident(from), Ident(to));
        key.from_columns.iter().zip(&key.to_columns).map(pair).collect::<Vec<_>>().join(" and ")
    };
    let refers =
        keys.iter().map(|key| format!("({})", refers(key))).collect::<Vec<_>>().join(" or ");
    let name = table.sql();
    format!(
        "({wanted}) and not exists (select from (with recursive gone as (\
         select tableoid as gone_table, ctid as gone_row{} from {name} where ({wanted}) is not true \
         union select c.tableoid, c.ctid{} from {name} c join gone g on {refers}) \
         select gone_table, gone_row from gone) gone where gone.gone_table = tableoid and gone.gone_row = ctid)",
        columns(""),
        columns("c.")
    )
}
