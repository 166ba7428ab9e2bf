//! Partitioned tables: columns, checks and triggers of the parent reach the partitions by
//! themselves; indexes are built leaf by leaf and attached, because nothing can be built
//! concurrently on the parent.

use crate::catalog::RelationName;
use crate::catalog::detail::{self, TableKind};
use crate::migrate::model::{Model, Table, name};
use crate::migrate::plan::draft::{lock, step_id};
use crate::migrate::plan::expand::Work;
use crate::migrate::plan::index::{Building, build_step};
use crate::migrate::plan::trigger::dollar_quoted;
use crate::migrate::plan::{LockMode, Mode, Step};
use crate::pg::{Ident, Literal};

/// The first version that takes a foreign key NOT VALID on a partitioned table.
const KEY_NOT_VALID: i32 = 180_000;
/// Depth of partition trees that is looked through.
const DEPTH_LIMIT: usize = 16;

/// Tables that hold the rows of a partitioned table, at any depth.
pub(super) fn leaves(model: &Model, table: &str) -> Vec<RelationName> {
    leaf_tables(model, table).map(|leaf| RelationName::new(&model.schema, &leaf.name)).collect()
}

fn leaf_tables<'a>(model: &'a Model, table: &str) -> impl Iterator<Item = &'a detail::Table> {
    all(model, table).filter(|child| child.kind == TableKind::Table)
}

/// Partitions at any depth, each after its parent.
pub(super) fn all<'a>(model: &'a Model, table: &str) -> impl Iterator<Item = &'a detail::Table> {
    let mut found: Vec<&detail::Table> = Vec::new();
    let mut level = vec![RelationName::new(&model.schema, table)];
    for _ in 0..DEPTH_LIMIT {
        let below = model.detail.tables.values().filter(|child| child.is_partition);
        let next: Vec<&detail::Table> = below
            .filter(|child| child.parents.iter().any(|parent| level.contains(parent)))
            .collect();
        level = next.iter().map(|one| RelationName::new(&model.schema, &one.name)).collect();
        found.extend(next);
    }
    found.into_iter()
}

pub(super) fn must_validate_at_once(model: &Model, table: &Table) -> bool {
    table.detail.kind == TableKind::Partitioned && model.server_version < KEY_NOT_VALID
}

/// An invalid index on the parent alone, one build a leaf, and the attachments: the parent's
/// index becomes valid with the last.
///
/// An index that is to stand behind a constraint is built on the leaves only: the parent cannot
/// take an index over (`ADD CONSTRAINT … USING INDEX`), but a constraint that is added to it
/// takes the leaves' own (`DefineIndex` looks for them).
pub(super) fn build(work: &Work<'_>, building: &Building) -> Vec<Step> {
    let mut steps = Vec::new();
    if building.is_for_constraint {
        for leaf in leaf_tables(work.model, &work.table.detail.name) {
            let name = name_below(work, building, &building.name, leaf);
            let relation = RelationName::new(&work.model.schema, &leaf.name);
            steps.push(build_leaf(building, &name, relation));
        }
        return steps;
    }
    build_below(work, building, &building.name, &work.relation(), 0, &mut steps);
    steps.push(build_late(work, building));
    steps
}

fn build_leaf(building: &Building, name: &str, leaf: RelationName) -> Step {
    let mut step = build_step(building, name, &leaf);
    if let Mode::BuildIndex { partition, .. } = &mut step.mode {
        *partition = Some(leaf);
    }
    step
}

/// Partitions that were made after the plan and before the parent's index lack theirs: without them it
/// would stay invalid. They are young, and built while their writers wait.
fn build_late(work: &Work<'_>, building: &Building) -> Step {
    let index = RelationName::new(&work.model.schema, &building.name);
    let (before, behind) = building.around();
    let body = format!(
        "DECLARE
  whole regclass := {};
  late record;
  made regclass;
BEGIN
  LOOP
    SELECT i.inhrelid::regclass AS partition, x.indexrelid::regclass AS above INTO late
    FROM pg_catalog.pg_partition_tree(whole) t
    JOIN pg_catalog.pg_index x ON x.indexrelid = t.relid
    JOIN pg_catalog.pg_inherits i ON i.inhparent = x.indrelid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits a JOIN pg_catalog.pg_index y ON y.indexrelid = a.inhrelid
      WHERE a.inhparent = x.indexrelid AND y.indrelid = i.inhrelid)
    LIMIT 1;
    EXIT WHEN NOT FOUND;
    EXECUTE {} || late.partition || {};
    SELECT x.indexrelid INTO made FROM pg_catalog.pg_index x WHERE x.indrelid = late.partition
    ORDER BY x.indexrelid DESC LIMIT 1;
    EXECUTE pg_catalog.format('ALTER INDEX %s ATTACH PARTITION %s', late.above, made);
  END LOOP;
  IF NOT (SELECT x.indisvalid FROM pg_catalog.pg_index x WHERE x.indexrelid = whole) THEN
    RAISE object_not_in_prerequisite_state
      USING MESSAGE = 'index ' || whole || ' is not valid: partitions were dropped while it was built';
  END IF;
END
",
        Literal(&index.sql()),
        Literal(&before),
        Literal(behind)
    );
    let at = building.operation;
    let id = step_id("validate", at, &format!("late-partitions {}", building.name));
    let locks = vec![lock(work.relation(), LockMode::ShareUpdateExclusive)];
    Step::transaction(id, Some(at), vec![dollar_quoted("DO ", &body)], locks)
}

fn build_below(
    work: &Work<'_>,
    building: &Building,
    index: &str,
    parent: &RelationName,
    depth: usize,
    steps: &mut Vec<Step>,
) {
    let schema = &work.model.schema;
    let at = building.operation;
    let create = building.statement("", index, "ONLY ", &parent.sql());
    let undo = format!("DROP INDEX IF EXISTS {}", RelationName::new(schema, index).sql());
    let locks = vec![lock(parent.clone(), LockMode::Share)];
    let id = step_id("validate", at, &format!("index {index}"));
    steps.push(Step::transaction(id, Some(at), vec![create], locks).undone_by(vec![undo]));
    for child in children(work.model, parent) {
        let child_index = name_below(work, building, index, child);
        let child_name = RelationName::new(schema, &child.name);
        match child.kind {
            TableKind::Table => {
                steps.push(build_leaf(building, &child_index, child_name.clone()));
            }
            TableKind::Partitioned if depth < DEPTH_LIMIT => {
                build_below(work, building, &child_index, &child_name, depth + 1, steps);
            }
            TableKind::Partitioned => (),
        }
        let attach = format!(
            "ALTER INDEX {} ATTACH PARTITION {}",
            RelationName::new(schema, index).sql(),
            RelationName::new(schema, &child_index).sql()
        );
        let attach = if_still_there(&child_name.sql(), &attach);
        let id = step_id("validate", at, &format!("attach {child_index}"));
        let locks = vec![lock(child_name, LockMode::ShareUpdateExclusive)];
        steps.push(Step::transaction(id, Some(at), vec![attach], locks));
    }
}

/// A copy is named after what it is the copy of, so that it can take its name.
fn name_below(work: &Work<'_>, building: &Building, index: &str, child: &detail::Table) -> String {
    match original(work.model, building, child) {
        Some(original) => name::duplicate(&original.name),
        None => name::child_index(index, &child.name),
    }
}

/// The partition's part of the index that is replaced, at any depth below it.
fn original<'a>(
    model: &Model,
    building: &Building,
    child: &'a detail::Table,
) -> Option<&'a detail::Index> {
    let replaced = building.replaces.as_ref()?;
    let parent_of = |name: &String| {
        let indexes = model.detail.tables.values().flat_map(|table| &table.indexes);
        indexes.filter(|index| index.name == *name).find_map(|index| index.parent.clone())
    };
    child.indexes.iter().find(|one| {
        let mut above = one.parent.clone();
        for _ in 0..DEPTH_LIMIT {
            let Some(parent) = above else { return false };
            if parent == *replaced {
                return true;
            }
            above = parent_of(&parent);
        }
        false
    })
}

fn children<'a>(
    model: &'a Model,
    parent: &'a RelationName,
) -> impl Iterator<Item = &'a detail::Table> {
    let tables = model.detail.tables.values();
    tables.filter(move |child| child.is_partition && child.parents.contains(parent))
}

/// The constraint at complete: on each leaf over the index that was built there, then on the
/// parent, which finds them.
pub(super) fn add_constraint(
    work: &Work<'_>,
    building: &Building,
    (name, definition): (&str, &str),
    (kind, deferrable): (&str, &str),
) -> Vec<String> {
    let mut statements = Vec::new();
    for leaf in leaf_tables(work.model, &work.table.detail.name) {
        let index = name_below(work, building, &building.name, leaf);
        let original = original(work.model, building, leaf).map(|one| one.name.clone());
        let own = original.unwrap_or_else(|| name::child_index(name, &leaf.name));
        let relation = RelationName::new(&work.model.schema, &leaf.name).sql();
        let add = format!(
            "ALTER TABLE {relation} ADD CONSTRAINT {} {kind} USING INDEX {}{deferrable}",
            Ident(&own),
            Ident(&index)
        );
        statements.push(if_still_there(&relation, &add));
    }
    let parent = work.relation().sql();
    statements.push(format!("ALTER TABLE {parent} ADD CONSTRAINT {} {definition}", Ident(name)));
    statements
}

/// A statement on a partition that somebody may drop before it runs.
fn if_still_there(relation: &str, statement: &str) -> String {
    let body = format!(
        "BEGIN\n  IF pg_catalog.to_regclass({}) IS NOT NULL THEN\n    {statement};\n  END IF;\nEND\n",
        Literal(relation)
    );
    dollar_quoted("DO ", &body)
}

/// The copies take the names of what they are copies of.
pub(super) fn rename_indexes(work: &Work<'_>, building: &Building) -> Vec<String> {
    let schema = &work.model.schema;
    let mut statements = Vec::new();
    for child in all(work.model, &work.table.detail.name) {
        if let Some(original) = original(work.model, building, child) {
            let copy = RelationName::new(schema, name_below(work, building, &building.name, child));
            let name = Ident(&original.name);
            statements.push(format!("ALTER INDEX IF EXISTS {} RENAME TO {name}", copy.sql()));
        }
    }
    statements
}
