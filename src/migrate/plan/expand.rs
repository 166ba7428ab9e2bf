//! Start of a changed table: columns, checks and trigger in one transaction, and the backfill.

use crate::catalog::RelationName;
use crate::catalog::detail::TableKind;
use crate::migrate::model::{ConstraintBody, Model, NewColumn, Table, name};
use crate::migrate::plan::attributes;
use crate::migrate::plan::carried::{Carried, Check};
use crate::migrate::plan::contract::seen_name;
use crate::migrate::plan::draft::{create_function, lock, step_id};
use crate::migrate::plan::partitions;
use crate::migrate::plan::trigger::{self, Schemas, dollar_quoted};
use crate::migrate::plan::{Assignment, Backfill, Cost, Key, LockMode, Step};
use crate::pg::Ident;
use std::fmt::Write as _;

const NAMED_NOT_NULL: i32 = 180_000;

/// What one table contributes to a plan.
pub(super) struct Work<'a> {
    pub(super) model: &'a Model,
    pub(super) table: &'a Table,
    pub(super) carried: &'a Carried,
    pub(super) schemas: Schemas<'a>,
}

impl Work<'_> {
    pub(super) fn relation(&self) -> RelationName {
        RelationName::new(&self.model.schema, &self.table.physical)
    }

    /// The operation that first changes the table gives the steps their place.
    pub(super) fn at(&self) -> usize {
        self.table.first_operation.unwrap_or(0)
    }

    pub(super) fn id(&self, phase: &str, words: &str) -> String {
        step_id(phase, self.at(), &format!("{words} {}", self.table.detail.name))
    }

    pub(super) fn sql(&self, name: &str) -> String {
        RelationName::new(&self.model.schema, name).sql()
    }
}

/// The transaction that adds everything; `None` if start changes nothing of the table itself.
pub(super) fn shape(work: &Work<'_>) -> Option<Step> {
    let Work { model, table, .. } = work;
    let mut statements = Vec::new();
    for column in &table.new_columns {
        if let Some(sequence) = &column.sequence {
            let sequence = work.sql(sequence);
            let type_name = &column.type_name;
            statements.push(format!("CREATE SEQUENCE {sequence} AS {type_name}"));
        }
    }
    for function in &table.functions {
        let name = work.sql(&function.name);
        let (create, _) = create_function(&name, function, "CREATE OR REPLACE FUNCTION");
        statements.push(create);
        // Writers call it, whatever default privileges say.
        let types: Vec<&str> =
            function.parameters.iter().map(|one| one.type_name.as_str()).collect();
        statements
            .push(format!("GRANT EXECUTE ON FUNCTION {name}({}) TO PUBLIC", types.join(", ")));
    }
    let parts = additions(work);
    let relation = work.relation();
    if !parts.is_empty() {
        statements.push(format!("ALTER TABLE {} {}", relation.sql(), parts.join(", ")));
    }
    if table.has_marker() && !table.needs_backfill() {
        statements.push(format!(
            "ALTER TABLE {} ALTER COLUMN {} SET DEFAULT true",
            relation.sql(),
            Ident(name::MARKER)
        ));
    }
    for column in &table.new_columns {
        statements.extend(attributes::of_column(work, column));
    }
    for check in work.carried.checks.iter().filter(|check| check.is_doubtful) {
        statements.push(if_it_fits(&format!(
            "ALTER TABLE {} ADD {}",
            relation.sql(),
            carried_check(check)
        )));
    }
    if !table.pairs.is_empty() {
        statements.extend(trigger::create(model, table, &work.schemas));
    }
    if statements.is_empty() {
        return None;
    }
    let rewrites = table.new_columns.iter().any(|column| column.rewrites);
    let cost = if rewrites { Cost::Rewrite { relation: relation.clone() } } else { Cost::Metadata };
    let locks = vec![lock(relation, LockMode::AccessExclusive)];
    let step = Step::transaction(work.id("start", "columns"), Some(work.at()), statements, locks)
        .at_cost(cost)
        .undone_by(undo(work));
    Some(step)
}

/// Columns and constraints, in one pass over the catalog.
fn additions(work: &Work<'_>) -> Vec<String> {
    let table = work.table;
    let mut parts = Vec::new();
    for column in &table.new_columns {
        let mut part = format!("ADD COLUMN {} {}", Ident(&column.physical), column.type_name);
        if let Some(collation) = &column.collation {
            let _ = write!(part, " COLLATE {collation}");
        }
        if let Some(default) = &column.instant_default {
            let _ = write!(part, " DEFAULT {default}");
        }
        if let Some(generated) = &column.generated {
            let _ = write!(part, " {generated}");
        }
        if column.is_not_null_at_once {
            part.push_str(&not_null(work, column));
        }
        parts.push(part);
    }
    if table.has_marker() {
        // Nothing is to be filled of a row that is there, if nothing is filled.
        let is_true = table.needs_backfill();
        let marker = Ident(name::MARKER);
        parts.push(format!("ADD COLUMN {marker} boolean NOT NULL DEFAULT {is_true}"));
    }
    for column in table.new_columns.iter().filter(|one| one.not_null && !one.is_not_null_at_once) {
        let check = name::not_null_check(not_null_name(column));
        let physical = Ident(&column.physical);
        parts.push(format!(
            "ADD CONSTRAINT {} CHECK ({physical} IS NOT NULL) NOT VALID",
            Ident(&check)
        ));
    }
    for check in work.carried.checks.iter().filter(|check| !check.is_doubtful) {
        parts.push(format!("ADD {}", carried_check(check)));
    }
    for added in &table.added_constraints {
        if let ConstraintBody::Check { expression, is_no_inherit } = &added.body {
            let no_inherit = if *is_no_inherit { " NO INHERIT" } else { "" };
            parts.push(format!(
                "ADD CONSTRAINT {} CHECK ({expression}\n){no_inherit} NOT VALID",
                Ident(&added.physical)
            ));
        }
    }
    parts
}

fn not_null(work: &Work<'_>, column: &NewColumn) -> String {
    let name = not_null_constraint(work, column);
    let name = name.map(|name| format!(" CONSTRAINT {}", Ident(&name)));
    format!("{} NOT NULL", name.unwrap_or_default())
}

/// From PostgreSQL 18 on NOT NULL has a name, which would be made of the column's until complete.
pub(super) fn not_null_constraint(work: &Work<'_>, column: &NewColumn) -> Option<String> {
    let table = work.table;
    let name = name::conventional(&table.physical, &seen_name(table, column), "not_null");
    let free = name::free(&name, |name| table.constraint(name).is_some());
    (work.model.server_version >= NAMED_NOT_NULL).then_some(free)
}

fn carried_check(check: &Check) -> String {
    let no_inherit = if check.constraint.no_inherit { " NO INHERIT" } else { "" };
    // From PostgreSQL 18 on a check may never be enforced; it is not valid either.
    let is_enforced = !check.constraint.definition.ends_with(" NOT ENFORCED");
    let validity = if is_enforced { "NOT VALID" } else { "NOT ENFORCED" };
    let name = Ident(&check.duplicate);
    format!("CONSTRAINT {name} CHECK ({}){no_inherit} {validity}", check.expression)
}

/// A check or a default of the old type that means nothing for the new one is left out, with a
/// warning; so it is by pgroll.
pub(super) fn if_it_fits(statement: &str) -> String {
    dollar_quoted(
        "DO ",
        &format!(
            "BEGIN\n  {statement};\nEXCEPTION WHEN undefined_function OR datatype_mismatch OR cannot_coerce OR invalid_text_representation THEN\n  RAISE WARNING 'left out, it does not fit the new type: %', SQLERRM;\nEND\n"
        ),
    )
}

/// The column by which the check is named: `_pgroll_check_not_null_email`.
pub(super) fn not_null_name(column: &NewColumn) -> &str {
    column.replaces.as_deref().unwrap_or(&column.physical)
}

/// Takes everything away that start may have added to the table; idempotent.
pub(super) fn undo(work: &Work<'_>) -> Vec<String> {
    let table = work.table;
    let relation = work.relation().sql();
    let mut statements = Vec::new();
    if !table.pairs.is_empty() {
        statements.extend(trigger::drop(work.model, table, &table.physical));
    }
    let mut parts = Vec::new();
    for added in &table.added_constraints {
        parts.push(format!("DROP CONSTRAINT IF EXISTS {}", Ident(&added.physical)));
    }
    // One that reads a column in an expression alone would hold it.
    for exclusion in &work.carried.exclusions {
        parts.push(format!("DROP CONSTRAINT IF EXISTS {}", Ident(&exclusion.duplicate)));
    }
    // The other constraints and indexes over them go with the columns.
    for column in &table.new_columns {
        parts.push(format!("DROP COLUMN IF EXISTS {}", Ident(&column.physical)));
    }
    if table.has_marker() {
        parts.push(format!("DROP COLUMN IF EXISTS {}", Ident(name::MARKER)));
    }
    if !parts.is_empty() {
        statements.push(format!("ALTER TABLE {relation} {}", parts.join(", ")));
    }
    statements
}

pub(super) fn backfill(work: &Work<'_>) -> Option<Backfill> {
    let table = work.table;
    if !table.needs_backfill() {
        return None;
    }
    let column = |name: &str| Ident(name).to_string();
    let function = |name: &str| work.sql(name);
    let mut assignments: Vec<Assignment> = table
        .pairs
        .iter()
        .filter_map(|pair| {
            let (new, up) = (pair.new.as_ref()?, pair.up.as_ref()?);
            Some(Assignment { column: new.clone(), value: up.sql(&column, &function) })
        })
        .collect();
    assignments.push(Assignment { column: name::MARKER.to_owned(), value: "false".to_owned() });
    let is_partitioned = table.detail.kind == TableKind::Partitioned;
    Some(Backfill {
        id: format!("backfill/{}", work.relation()),
        table: work.relation(),
        assignments,
        key: key(table),
        only_where: Some(Ident(name::MARKER).to_string()),
        partitions: if is_partitioned {
            partitions::leaves(work.model, &table.detail.name)
        } else {
            Vec::new()
        },
        trigger: name::UPDATE_TRIGGER.to_owned(),
    })
}

/// The primary key, else a unique index without NULLs, expressions and predicate.
fn key(table: &Table) -> Key {
    let is_not_null = |name: &Option<String>| {
        let column = name.as_ref().and_then(|name| table.detail.column(name));
        column.is_some_and(|column| column.not_null)
    };
    let usable = table.detail.indexes.iter().filter(|index| {
        index.is_unique
            && index.is_valid
            && !index.is_partial
            && index.key_columns.iter().all(is_not_null)
    });
    let best = usable.min_by_key(|index| (!index.is_primary, index.key_columns.len()));
    match best {
        Some(index) => Key::Columns(index.key_columns.iter().flatten().cloned().collect()),
        None => Key::Ctid,
    }
}
