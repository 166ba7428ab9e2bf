//! Complete of a changed table: one transaction that touches the catalogs only. The old columns
//! go, the new ones take their names, and everything that spoke of the old speaks of the new.
//!
//! What depends on a column by name in its text (policies, triggers, publications, views) is
//! dropped before and made again after with the text that it had: the names are the same.

use crate::catalog::RelationName;
use crate::catalog::detail::{
    Column, ConstraintKind, Identity, ReplicaIdentity, Sequence, TableKind,
};
use crate::migrate::model::{AddedConstraint, ConstraintBody, NewColumn, Table, name};
use crate::migrate::plan::carried::{CarriedIndex, Key};
use crate::migrate::plan::constrain::if_there;
use crate::migrate::plan::dependents;
use crate::migrate::plan::draft::{lock, quoted_list};
use crate::migrate::plan::expand::Work;
use crate::migrate::plan::index::{carried_building, constraint_building};
use crate::migrate::plan::partitions;
use crate::migrate::plan::recreate;
use crate::migrate::plan::settle::{is_integer, settle};
use crate::migrate::plan::trigger;
use crate::migrate::plan::{Lock, LockMode, Step};
use crate::pg::{Ident, Literal};

/// The swap of one table. `keys`: foreign keys that no earlier swap has taken care of.
pub(super) fn swap(work: &Work<'_>, keys: &[&Key]) -> Option<Step> {
    let mut statements = before(work, keys);
    statements.extend(columns(work));
    statements.extend(constraints(work, keys));
    statements.extend(after(work));
    statements.extend(renames(work));
    if statements.is_empty() {
        return None;
    }
    let step = Step::transaction(
        work.id("complete", "table"),
        Some(work.at()),
        statements,
        locks(work, keys),
    );
    Some(step.irreversible())
}

fn locks(work: &Work<'_>, keys: &[&Key]) -> Vec<Lock> {
    let mut locks = vec![lock(work.relation(), LockMode::AccessExclusive)];
    for key in keys {
        for end in [&key.table, &key.referenced] {
            if locks.iter().all(|lock| lock.relation != *end) {
                locks.push(lock(end.clone(), LockMode::AccessExclusive));
            }
        }
    }
    locks
}

/// Columns whose dependents must get out of the way.
fn going(table: &Table) -> Vec<String> {
    table.replacements().into_keys().collect()
}

fn before(work: &Work<'_>, keys: &[&Key]) -> Vec<String> {
    let table = work.table;
    let relation = work.relation().sql();
    let going = going(table);
    let mut statements = Vec::new();
    let shrinks = !going.is_empty() || !table.dropped_columns.is_empty();
    // Without its triggers a row of the old version lacks what the new one asks for. The view goes
    // first: who waits for it finds it gone, and not a table without triggers.
    let must_go = shrinks || !table.pairs.is_empty();
    if let Some(old) = work.schemas.old.filter(|_| must_go) {
        let names = partitions::all(work.model, &table.detail.name).map(|one| &one.name);
        // pgroll makes views of partitions too.
        for name in std::iter::once(&table.detail.name).chain(names) {
            let view = RelationName::new(old, name);
            statements.push(format!("DROP VIEW IF EXISTS {}", view.sql()));
        }
    }
    for column in table.columns.iter().filter(|column| column.view_default.is_some()) {
        let view = RelationName::new(work.schemas.new, &table.name);
        statements.push(format!(
            "ALTER VIEW IF EXISTS {} ALTER COLUMN {} DROP DEFAULT",
            view.sql(),
            Ident(&column.name)
        ));
    }
    for view in dependents::views(work.model, table, &going).iter().rev() {
        let view = RelationName::new(&view.schema, &view.name);
        statements.push(format!("DROP VIEW {}", view.sql()));
    }
    if !table.pairs.is_empty() {
        statements.extend(trigger::drop(work.model, table, &table.physical));
    }
    statements.extend(recreate::drop(table, &relation, &going));
    for key in keys {
        statements.push(format!(
            "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
            key.table.sql(),
            Ident(&key.constraint.name)
        ));
    }
    for (at, column) in table.new_columns.iter().enumerate() {
        let Some(source) = source(table, column) else { continue };
        let Some(sequence) = &source.sequence else { continue };
        let name = sequence_name(sequence);
        if source.identity == Identity::No {
            statements.push(format!(
                "ALTER SEQUENCE {name} OWNED BY {relation}.{}",
                Ident(&column.physical)
            ));
        } else if is_integer(column) {
            // The sequence of an identity column goes with the column.
            statements.push(format!(
                "SELECT pg_catalog.set_config('backlot.sequence_{at}', last_value || ' ' || is_called, true) FROM {name}"
            ));
        }
    }
    statements
}

fn columns(work: &Work<'_>) -> Vec<String> {
    let table = work.table;
    let relation = work.relation().sql();
    let mut gone = going(table);
    gone.extend(table.dropped_columns.iter().cloned());
    // An exclusion that reads a column in an expression alone would hold it.
    let mut parts: Vec<String> = table
        .detail
        .constraints
        .iter()
        .filter(|one| one.kind == ConstraintKind::Exclude)
        .filter(|one| one.columns.iter().any(|column| gone.contains(column)))
        .map(|one| format!("DROP CONSTRAINT IF EXISTS {}", Ident(&one.name)))
        .collect();
    parts.extend(gone.iter().map(|column| format!("DROP COLUMN IF EXISTS {}", Ident(column))));
    if table.has_marker() {
        parts.push(format!("DROP COLUMN IF EXISTS {}", Ident(name::MARKER)));
    }
    let mut statements = Vec::new();
    if !parts.is_empty() {
        statements.push(format!("ALTER TABLE {relation} {}", parts.join(", ")));
    }
    for column in &table.new_columns {
        let name = swapped_name(table, column);
        if name != column.physical {
            statements.push(format!(
                "ALTER TABLE {relation} RENAME COLUMN {} TO {}",
                Ident(&column.physical),
                Ident(&name)
            ));
        }
    }
    for (at, column) in table.new_columns.iter().enumerate() {
        statements.extend(settle(work, at, column));
    }
    for (column, default) in &table.late_defaults {
        statements.push(set_default(&relation, column, default.as_deref()));
    }
    for (column, comment) in &table.late_comments {
        let comment = comment.as_ref().map_or("NULL".to_owned(), |text| Literal(text).to_string());
        statements.push(format!("COMMENT ON COLUMN {relation}.{} IS {comment}", Ident(column)));
    }
    statements
}

/// The name of a new column after the swap and before the renames.
pub(super) fn swapped_name(table: &Table, column: &NewColumn) -> String {
    if let Some(replaced) = &column.replaces {
        return replaced.clone();
    }
    let name = seen_name(table, column);
    // A column that is renamed has it until then.
    let is_held = table.detail.column(&name).is_some() && !table.dropped_columns.contains(&name);
    if is_held { column.physical.clone() } else { name }
}

/// The new version's name of a new column.
pub(super) fn seen_name(table: &Table, column: &NewColumn) -> String {
    let seen = table.columns.iter().find(|seen| seen.physical == column.physical);
    seen.map_or(column.physical.clone(), |seen| seen.name.clone())
}

pub(super) fn source<'a>(table: &'a Table, column: &NewColumn) -> Option<&'a Column> {
    table.detail.column(column.replaces.as_ref()?)
}

pub(super) fn sequence_name(sequence: &Sequence) -> String {
    RelationName::new(&sequence.schema, &sequence.name).sql()
}

pub(super) fn set_default(relation: &str, column: &str, default: Option<&str>) -> String {
    let column = Ident(column);
    match default {
        Some(text) => format!("ALTER TABLE {relation} ALTER COLUMN {column} SET DEFAULT {text}"),
        None => format!("ALTER TABLE {relation} ALTER COLUMN {column} DROP DEFAULT"),
    }
}

fn constraints(work: &Work<'_>, keys: &[&Key]) -> Vec<String> {
    let relation = work.relation().sql();
    let mut statements = Vec::new();
    let rename = |from: &str, to: &str| {
        format!("ALTER TABLE {relation} RENAME CONSTRAINT {} TO {}", Ident(from), Ident(to))
    };
    for check in &work.carried.checks {
        let mut made = vec![rename(&check.duplicate, &check.constraint.name)];
        made.extend(comment(&relation, &check.constraint));
        if check.is_doubtful {
            let all = made.join(";\n    ");
            made = vec![if_there(&work.relation(), &check.duplicate, &all)];
        }
        statements.extend(made);
    }
    for exclusion in &work.carried.exclusions {
        statements.push(rename(&exclusion.duplicate, &exclusion.constraint.name));
        statements.extend(comment(&relation, &exclusion.constraint));
    }
    // The primary key first: foreign keys and the replica identity may look for it.
    let mut indexes: Vec<&CarriedIndex> = work.carried.indexes.iter().collect();
    indexes.sort_by_key(|carried| !carried.index.is_primary);
    for carried in indexes {
        statements.extend(index(work, &relation, carried));
    }
    for added in &work.table.added_constraints {
        statements.extend(added_key(work, &relation, added));
    }
    for key in keys {
        let on = key.table.sql();
        statements.push(format!(
            "ALTER TABLE {on} RENAME CONSTRAINT {} TO {}",
            Ident(&key.duplicate),
            Ident(&key.constraint.name)
        ));
        statements.extend(comment(&on, &key.constraint));
    }
    statements
}

/// A unique constraint or primary key of the migration, over the index that start built.
fn added_key(work: &Work<'_>, relation: &str, added: &AddedConstraint) -> Vec<String> {
    let (kind, index, columns, suffix) = match &added.body {
        ConstraintBody::Unique { index, columns, suffix } => ("UNIQUE", index, columns, suffix),
        ConstraintBody::PrimaryKey { index, columns, suffix } => {
            ("PRIMARY KEY", index, columns, suffix)
        }
        ConstraintBody::Check { .. } | ConstraintBody::ForeignKey { .. } => return Vec::new(),
    };
    if work.table.is_new {
        return Vec::new();
    }
    if work.table.detail.kind == TableKind::Partitioned {
        let building = constraint_building(added.operation, index, columns, suffix);
        let names: Vec<String> =
            columns.iter().map(|column| final_name(work.table, column)).collect();
        let definition = format!("{kind} ({}){suffix}", quoted_list(&names));
        let constraint = (added.physical.as_str(), definition.as_str());
        return partitions::add_constraint(work, &building, constraint, (kind, ""));
    }
    vec![format!(
        "ALTER TABLE {relation} ADD CONSTRAINT {} {kind} USING INDEX {}",
        Ident(&added.physical),
        Ident(index)
    )]
}

/// What a physical column is called after the swap.
fn final_name(table: &Table, physical: &str) -> String {
    let new = table.new_column(physical);
    new.map_or(physical.to_owned(), |column| swapped_name(table, column))
}

fn comment(relation: &str, constraint: &crate::catalog::detail::Constraint) -> Option<String> {
    let comment = constraint.comment.as_ref()?;
    Some(format!(
        "COMMENT ON CONSTRAINT {} ON {relation} IS {}",
        Ident(&constraint.name),
        Literal(comment)
    ))
}

fn index(work: &Work<'_>, relation: &str, carried: &CarriedIndex) -> Vec<String> {
    let mut statements = Vec::new();
    let duplicate = RelationName::new(&work.model.schema, &carried.duplicate).sql();
    let is_partitioned = work.table.detail.kind == TableKind::Partitioned;
    if let Some(constraint) = &carried.constraint {
        let kind = if carried.index.is_primary { "PRIMARY KEY" } else { "UNIQUE" };
        let deferrable = match (constraint.is_deferrable, constraint.is_deferred) {
            (_, true) => " DEFERRABLE INITIALLY DEFERRED",
            (true, false) => " DEFERRABLE",
            (false, false) => "",
        };
        if is_partitioned {
            let building = carried_building(work, carried);
            let whole = (constraint.name.as_str(), constraint.definition.as_str());
            statements.extend(partitions::add_constraint(
                work,
                &building,
                whole,
                (kind, deferrable),
            ));
        } else {
            statements.push(format!(
                "ALTER TABLE {relation} ADD CONSTRAINT {} {kind} USING INDEX {}{deferrable}",
                Ident(&constraint.name),
                Ident(&carried.duplicate)
            ));
        }
        statements.extend(comment(relation, constraint));
    } else {
        let name = Ident(&carried.index.name);
        statements.push(format!("ALTER INDEX {duplicate} RENAME TO {name}"));
        if is_partitioned {
            statements.extend(partitions::rename_indexes(work, &carried_building(work, carried)));
        }
    }
    let name = Ident(&carried.index.name);
    let is_identity = match &work.table.new_replica_identity {
        Some(asked) => *asked == format!("USING INDEX {name}"),
        None => {
            work.table.detail.replica_identity == ReplicaIdentity::Index
                && carried.index.is_replica_identity
        }
    };
    if is_identity {
        statements.push(format!("ALTER TABLE {relation} REPLICA IDENTITY USING INDEX {name}"));
    }
    if carried.index.is_clustered {
        statements.push(format!("ALTER TABLE {relation} CLUSTER ON {name}"));
    }
    statements
}

fn after(work: &Work<'_>) -> Vec<String> {
    let table = work.table;
    let going = going(table);
    let mut statements = recreate::create(table, &work.relation().sql(), &going);
    for view in dependents::views(work.model, table, &going) {
        statements.extend(recreate::view(view));
    }
    statements
}

/// Two may change names: those whose new name is still taken wait under another.
fn in_turn(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let pairs: Vec<_> = pairs.into_iter().filter(|(from, to)| from != to).collect();
    let is_taken = |name: &String| pairs.iter().any(|(from, _)| from == name);
    let first = pairs.iter().enumerate().map(|(at, (from, to))| {
        (from.clone(), if is_taken(to) { name::waiting_column(at) } else { to.clone() })
    });
    let waiting = pairs.iter().enumerate().filter(|(_, (_, to))| is_taken(to));
    let second = waiting.map(|(at, (_, to))| (name::waiting_column(at), to.clone()));
    first.chain(second).collect()
}

/// The new version's names: columns, constraints, the table.
fn renames(work: &Work<'_>) -> Vec<String> {
    let table = work.table;
    let relation = work.relation().sql();
    let mut statements = Vec::new();
    let columns = table.columns.iter().map(|column| {
        let added = table.new_column(&column.physical).filter(|new| new.replaces.is_none());
        let from = added.map_or_else(|| column.key.clone(), |new| swapped_name(table, new));
        (from, column.name.clone())
    });
    let constraints = table
        .added_constraints
        .iter()
        .filter(|_| !table.is_new)
        .map(|added| (added.physical.clone(), added.name.clone()));
    let constraints = table.renamed_constraints.iter().cloned().chain(constraints);
    for (what, pairs) in [("COLUMN", columns.collect()), ("CONSTRAINT", constraints.collect())] {
        let rename = |(from, to): (String, String)| {
            format!("ALTER TABLE {relation} RENAME {what} {} TO {}", Ident(&from), Ident(&to))
        };
        statements.extend(in_turn(pairs).into_iter().map(rename));
    }
    if table.name != table.physical && !table.is_new {
        statements.push(format!("ALTER TABLE {relation} RENAME TO {}", Ident(&table.name)));
    }
    statements
}
