//! Indexes that a migration builds: concurrently, after the backfill.

use crate::catalog::RelationName;
use crate::catalog::detail::TableKind;
use crate::migrate::model::{ConstraintBody, NewColumn, name};
use crate::migrate::plan::carried::CarriedIndex;
use crate::migrate::plan::draft::{lock, quoted_list, step_id};
use crate::migrate::plan::expand::Work;
use crate::migrate::plan::partitions;
use crate::migrate::plan::{self as plan, Cost, LockMode, Mode, Probe, Step};
use crate::pg::{Ident, Literal};

/// An index to build: what stands before and behind its name and its table.
pub(super) struct Building {
    pub(super) operation: usize,
    pub(super) name: String,
    pub(super) is_unique: bool,
    pub(super) body: String,
    /// The index that it takes the place of.
    pub(super) replaces: Option<String>,
    pub(super) is_for_constraint: bool,
}

impl Building {
    /// `mode`: `CONCURRENTLY ` or nothing; `only`: `ONLY ` or nothing.
    pub(super) fn statement(&self, mode: &str, name: &str, only: &str, on: &str) -> String {
        let unique = if self.is_unique { "UNIQUE " } else { "" };
        format!("CREATE {unique}INDEX {mode}{} ON {only}{on}{}", Ident(name), self.body)
    }

    /// What stands before and behind the table, if the server is to choose the index's name.
    pub(super) fn around(&self) -> (String, &str) {
        let unique = if self.is_unique { "UNIQUE " } else { "" };
        (format!("CREATE {unique}INDEX ON "), &self.body)
    }
}

/// Index builds of the table, after the backfill.
pub(super) fn indexes(work: &Work<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for carried in &work.carried.indexes {
        let building = carried_building(work, carried);
        steps.extend(build(work, &building));
        let mut after = Vec::new();
        let index = work.sql(&carried.duplicate);
        if let Some(comment) = &carried.index.comment {
            after.push(format!("COMMENT ON INDEX {index} IS {}", Literal(comment)));
        }
        for one in &carried.index.statistics {
            after.push(format!(
                "ALTER INDEX {index} ALTER COLUMN {} SET STATISTICS {}",
                one.number, one.target
            ));
        }
        if !after.is_empty() {
            let id = work.id("validate", &format!("index-attributes {}", carried.duplicate));
            let locks = vec![lock(work.relation(), LockMode::ShareUpdateExclusive)];
            steps.push(Step::transaction(id, Some(work.at()), after, locks));
        }
    }
    for added in &work.table.added_constraints {
        let (ConstraintBody::Unique { columns, suffix, index }
        | ConstraintBody::PrimaryKey { columns, suffix, index }) = &added.body
        else {
            continue;
        };
        let building = constraint_building(added.operation, index, columns, suffix);
        steps.extend(build(work, &building));
    }
    for added in &work.table.added_indexes {
        let building = Building {
            operation: added.operation,
            name: added.name.clone(),
            is_unique: added.is_unique,
            body: added.body.clone(),
            replaces: None,
            is_for_constraint: false,
        };
        steps.extend(build(work, &building));
    }
    steps
}

pub(super) fn carried_building(work: &Work<'_>, carried: &CarriedIndex) -> Building {
    // pg_get_indexdef leaves it out.
    let on = carried.index.tablespace.as_ref();
    let tablespace = on.map_or(String::new(), |name| format!(" TABLESPACE {}", Ident(name)));
    Building {
        operation: work.at(),
        name: carried.duplicate.clone(),
        is_unique: carried.index.is_unique,
        body: format!("{}{tablespace}{}", carried.body.keys, carried.body.predicate),
        replaces: Some(carried.index.name.clone()),
        is_for_constraint: carried.constraint.is_some(),
    }
}

/// Whether indexes make sense over a column's new type (operator classes, expressions): made on an
/// empty table that is rolled back, because the real ones are built after the backfill.
pub(super) fn check_indexes(work: &Work<'_>) -> Option<plan::Check> {
    let retyped: Vec<&NewColumn> =
        work.table.new_columns.iter().filter(|column| column.has_new_type).collect();
    let first = retyped.first()?;
    let doubtful = work.carried.indexes.iter().filter(|carried| {
        let reads = |column: &&NewColumn| {
            column.replaces.as_ref().is_some_and(|old| carried.index.columns.contains(old))
        };
        retyped.iter().any(reads)
    });
    let scratch = work.sql(name::SCRATCH_TABLE);
    let creates: Vec<String> = doubtful
        .map(|carried| {
            let building = carried_building(work, carried);
            building.statement("", &building.name, "", &scratch)
        })
        .collect();
    if creates.is_empty() {
        return None;
    }
    let added = work
        .table
        .new_columns
        .iter()
        .map(|column| format!("ADD COLUMN {} {}", Ident(&column.physical), column.type_name));
    let added: Vec<String> = added.collect();
    let sql = format!(
        "CREATE TABLE {scratch} (LIKE {}); ALTER TABLE {scratch} {}; {}",
        work.relation().sql(),
        added.join(", "),
        creates.join("; ")
    );
    Some(plan::Check {
        operation: first.operation,
        field: "type".to_owned(),
        table: work.table.name.clone(),
        column: first.replaces.clone(),
        sql,
        offset: None,
        length: 0,
    })
}

/// The index behind a unique constraint or a primary key of the migration.
pub(super) fn constraint_building(
    operation: usize,
    index: &str,
    columns: &[String],
    suffix: &str,
) -> Building {
    Building {
        operation,
        name: index.to_owned(),
        is_unique: true,
        body: format!(" ({}){suffix}", quoted_list(columns)),
        replaces: None,
        is_for_constraint: true,
    }
}

fn build(work: &Work<'_>, building: &Building) -> Vec<Step> {
    if work.table.detail.kind == TableKind::Partitioned {
        return partitions::build(work, building);
    }
    vec![build_step(building, &building.name, &work.relation())]
}

/// One concurrent build.
pub(super) fn build_step(building: &Building, name: &str, on: &RelationName) -> Step {
    let index = RelationName::new(&on.schema, name);
    let at = building.operation;
    let create = building.statement("CONCURRENTLY ", name, "", &on.sql());
    let locks = vec![lock(on.clone(), LockMode::ShareUpdateExclusive)];
    let id = step_id("validate", at, &format!("index {name}"));
    let mut step = Step::transaction(id, Some(at), vec![create], locks)
        .at_cost(Cost::Build { relation: on.clone() })
        .undone_by(vec![format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.sql())]);
    step.is_done = Probe(Some(format!(
        "SELECT COALESCE((SELECT i.indisvalid FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass({})), false)",
        Literal(&index.sql())
    )));
    step.mode = Mode::BuildIndex { index, partition: None };
    step
}
