//! The plan of a whole migration.

use crate::catalog::RelationName;
use crate::catalog::detail::TableKind;
use crate::migrate::file::Migration;
use crate::migrate::model::{Model, Table, name};
use crate::migrate::operation::Operation;
use crate::migrate::plan::carried::{self, Carried, Key};
use crate::migrate::plan::draft::{Draft, lock};
use crate::migrate::plan::expand::{self, Work};
use crate::migrate::plan::trigger::Schemas;
use crate::migrate::plan::{
    Backfill, Finding, FindingKind, LockMode, Mode, Plan, Probe, Step, constrain, contract,
    dependents, index, operation, views,
};
use crate::pg::{Ident, Literal};
use std::collections::BTreeSet;

/// The versions that a migration stands between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The schema of the version that is there, if there is one.
    pub previous: Option<String>,
    /// The new version's schema.
    pub next: String,
    /// False: no schemas and views of versions are made (`--use-version-schema=false`).
    pub has_views: bool,
}

/// Plans the migration on the schema as it is.
///
/// # Errors
/// Everything that is wrong with the first operation that cannot be applied.
pub fn plan(
    model: &Model,
    migration: &Migration,
    versions: &Versions,
) -> Result<Plan, Vec<Finding>> {
    check_whole(migration, versions)?;
    let mut draft = Draft::new(model.clone());
    for (at, operation) in migration.operations.iter().enumerate() {
        operation::apply(&mut draft, at, operation).map_err(|mut findings| {
            // What looks a name up does not know for which operation.
            for finding in &mut findings {
                finding.operation = Some(at);
            }
            findings
        })?;
    }
    check_dropped(&draft, versions)?;
    check_tables(&draft)?;
    build(&draft, versions).map_err(|finding| vec![finding])
}

/// The steps that make the version's views, for a schema that was loaded anew: after an `sql`
/// operation has run, or when views are to be made for a schema as it stands.
pub fn version_views(model: &Model, versions: &Versions) -> Vec<Step> {
    views::steps(model, versions.previous.as_deref(), &versions.next)
}

/// The views of a version made again for the schema as it is now: after a complete that ran SQL.
pub fn refreshed_views(model: &Model, version_schema: &str) -> Vec<Step> {
    views::refresh(model, version_schema)
}

fn check_whole(migration: &Migration, versions: &Versions) -> Result<(), Vec<Finding>> {
    let refused = |kind, words: String| Finding { operation: None, ..Finding::new(kind, 0, words) };
    if migration.operations.is_empty() {
        return Err(vec![refused(FindingKind::EmptyMigration, "no operations".to_owned())]);
    }
    if versions.next.len() > name::MAX_NAME_BYTES {
        let words = format!(
            "version schema {:?} is longer than {} bytes",
            versions.next,
            name::MAX_NAME_BYTES
        );
        return Err(vec![
            refused(FindingKind::InvalidIdentifierLength, words).named(&versions.next),
        ]);
    }
    let is_alone =
        |operation: &Operation| matches!(operation, Operation::Sql(sql) if !sql.is_on_complete);
    let alone = migration.operations.iter().position(is_alone);
    if let Some(at) = alone.filter(|_| migration.operations.len() > 1) {
        let words = "sql must be the only operation, unless it runs on complete".to_owned();
        return Err(vec![Finding::new(FindingKind::InvalidMigration, at, words)]);
    }
    Ok(())
}

/// Dropped tables may have keys among themselves, but nobody else's.
fn check_dropped(draft: &Draft, versions: &Versions) -> Result<(), Vec<Finding>> {
    let model = &draft.model;
    let mut findings = Vec::new();
    for table in &model.dropped {
        let inbound = table.detail.inbound.iter().chain(dependents::foreign(model, table));
        let held = inbound.filter(|key| !dependents::goes(model, key));
        let mut holders: Vec<String> = held
            .map(|key| format!("foreign key {:?} of table {}.{}", key.name, key.schema, key.table))
            .collect();
        let columns: Vec<String> =
            table.detail.columns.iter().map(|column| column.name.clone()).collect();
        holders.extend(
            dependents::views(model, table, &columns)
                .iter()
                .map(|view| format!("view {}", RelationName::new(&view.schema, &view.name))),
        );
        findings.extend(holders.into_iter().map(|holder| {
            let words = format!(
                "{holder} depends on table {:?}: drop it before the migration",
                table.detail.name
            );
            Finding {
                operation: None,
                ..Finding::new(FindingKind::DependentObject, 0, words).table(&table.detail.name)
            }
        }));
    }
    findings.extend(on_version(model, versions));
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// A new table has its name at start, a renamed one gets it at complete, table by table: another
/// one must not have it then.
fn check_tables(draft: &Draft) -> Result<(), Vec<Finding>> {
    let model = &draft.model;
    let mut taken: BTreeSet<&str> = model.detail.tables.keys().map(String::as_str).collect();
    for table in &model.dropped {
        taken.remove(table.detail.name.as_str());
    }
    let mut findings = Vec::new();
    let mut tables: Vec<&Table> = model.tables.values().collect();
    tables.sort_by_key(|table| (!table.is_new, table.first_operation, &table.physical));
    for table in tables.iter().filter(|table| table.is_new || table.name != table.physical) {
        if taken.contains(table.name.as_str()) {
            let words = format!("another table is called {:?} until complete", table.name);
            let finding = Finding::new(FindingKind::NameCollision, 0, words);
            let operation = table.first_operation;
            findings.push(Finding { operation, ..finding.table(&table.name) });
        }
        taken.remove(table.physical.as_str());
        taken.insert(&table.name);
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Complete drops the old version with everything that reads it.
fn on_version(model: &Model, versions: &Versions) -> Vec<Finding> {
    let Some(previous) = versions.previous.as_ref().filter(|_| versions.has_views) else {
        return Vec::new();
    };
    let finding = |view: &&crate::catalog::detail::View| {
        let name = RelationName::new(&view.schema, &view.name);
        let words = format!(
            "view {name} reads version {previous:?}, which complete drops: let it read the tables"
        );
        Finding {
            operation: None,
            ..Finding::new(FindingKind::DependentObject, 0, words).named(&view.name)
        }
    };
    dependents::on_version(model, previous).iter().map(finding).collect()
}

fn build(draft: &Draft, versions: &Versions) -> Result<Plan, Finding> {
    let model = &draft.model;
    let mut tables: Vec<&Table> = model.tables.values().filter(|table| has_work(table)).collect();
    tables.sort_by_key(|table| (table.first_operation, &table.physical));
    let carried: Vec<Carried> =
        tables.iter().map(|table| carried::of_table(table)).collect::<Result<_, _>>()?;
    let keys = carried::keys(model)?;
    let works: Vec<Work<'_>> = tables
        .iter()
        .zip(&carried)
        .map(|(table, carried)| Work { model, table, carried, schemas: schemas(model, versions) })
        .collect();

    let mut start = draft.start.clone();
    start.extend(works.iter().filter_map(expand::shape));
    // Stable: an operation's own step before the table's.
    start.sort_by_key(|step| step.operation);
    let backfill: Vec<Backfill> = works.iter().filter_map(expand::backfill).collect();
    let mut validate = draft.late.clone();
    validate.extend(works.iter().flat_map(index::indexes));
    validate.extend(constrain::carried_keys(model, &keys));
    validate.extend(works.iter().flat_map(constrain::constraints));
    let views = if versions.has_views { version_views(model, versions) } else { Vec::new() };
    let mut checks = draft.checks.clone();
    checks.extend(works.iter().filter_map(index::check_indexes));
    let mut plan = Plan {
        schema: model.schema.clone(),
        version_schema: versions.next.clone(),
        previous: versions.previous.clone().filter(|_| versions.has_views),
        checks,
        start,
        backfill,
        validate,
        views,
        must_reload: draft.must_reload,
        must_refresh: draft.must_refresh && versions.has_views,
        complete: complete(draft, &works, &keys, versions),
        rollback: rollback(draft, &works, &keys, versions),
    };
    number(&mut plan);
    Ok(plan)
}

fn has_work(table: &Table) -> bool {
    table.is_changed() || (table.is_new && !table.added_constraints.is_empty())
}

fn schemas<'a>(model: &'a Model, versions: &'a Versions) -> Schemas<'a> {
    let old = versions.previous.as_deref().filter(|_| versions.has_views);
    Schemas { base: &model.schema, old, new: &versions.next }
}

fn complete(draft: &Draft, works: &[Work<'_>], keys: &[Key], versions: &Versions) -> Vec<Step> {
    let mut steps = draft.complete_first.clone();
    let mut left: Vec<&Key> = keys.iter().collect();
    for work in works.iter().filter(|work| !work.table.is_new) {
        let (now, later) = left.into_iter().partition::<Vec<&Key>, _>(|key| {
            let own = RelationName::new(&work.model.schema, &work.table.detail.name);
            key.table == own || key.referenced == own
        });
        left = later;
        steps.extend(contract::swap(work, &now));
    }
    steps.extend(drop_tables(draft, versions));
    steps.extend(draft.complete.clone());
    if let Some(previous) = versions.previous.as_ref().filter(|_| versions.has_views) {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", Ident(previous));
        let id = "complete/9999/drop-version".to_owned();
        steps.push(Step::transaction(id, None, vec![drop], Vec::new()).irreversible());
    }
    steps
}

/// All in one statement: they may have keys to each other.
fn drop_tables(draft: &Draft, versions: &Versions) -> Option<Step> {
    let dropped = &draft.model.dropped;
    if dropped.is_empty() {
        return None;
    }
    let hidden: Vec<RelationName> =
        dropped.iter().map(|table| draft.relation(&name::deleted_table(&table.physical))).collect();
    let mut statements = Vec::new();
    if let Some(previous) = versions.previous.as_ref().filter(|_| versions.has_views) {
        for table in dropped {
            let view = RelationName::new(previous, &table.detail.name);
            statements.push(format!("DROP VIEW IF EXISTS {}", view.sql()));
        }
    }
    let names: Vec<String> = hidden.iter().map(RelationName::sql).collect();
    statements.push(format!("DROP TABLE IF EXISTS {}", names.join(", ")));
    let locks = hidden.into_iter().map(|one| lock(one, LockMode::AccessExclusive)).collect();
    let id = "complete/9000/drop-tables".to_owned();
    Some(Step::transaction(id, None, statements, locks).irreversible())
}

fn rollback(draft: &Draft, works: &[Work<'_>], keys: &[Key], versions: &Versions) -> Vec<Step> {
    let mut steps = Vec::new();
    if versions.has_views {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", Ident(&versions.next));
        let id = "rollback/0000/version".to_owned();
        steps.push(Step::transaction(id, None, vec![drop], Vec::new()));
    }
    for key in keys {
        let drop = format!(
            "ALTER TABLE IF EXISTS {} DROP CONSTRAINT IF EXISTS {}",
            key.table.sql(),
            Ident(&key.duplicate)
        );
        let id = format!("rollback/0000/foreign-key {}", key.duplicate);
        let locks = vec![lock(key.table.clone(), LockMode::AccessExclusive)];
        steps.push(Step::transaction(id, None, vec![drop], locks));
    }
    for work in works.iter().rev().filter(|work| !work.table.is_new) {
        steps.extend(drop_indexes(work));
        let statements = expand::undo(work);
        if !statements.is_empty() {
            let locks = vec![lock(work.relation(), LockMode::AccessExclusive)];
            let id = work.id("rollback", "columns");
            steps.push(Step::transaction(id, Some(work.at()), statements, locks));
        }
    }
    steps.extend(draft.rollback.iter().rev().cloned());
    steps
}

/// Indexes over columns that stay do not go with the columns.
fn drop_indexes(work: &Work<'_>) -> Vec<Step> {
    let is_partitioned = work.table.detail.kind == TableKind::Partitioned;
    let drop = |added: &crate::migrate::model::AddedIndex| {
        let index = RelationName::new(&work.model.schema, &added.name);
        let concurrently = if is_partitioned { "" } else { "CONCURRENTLY " };
        let statement = format!("DROP INDEX {concurrently}IF EXISTS {}", index.sql());
        let locks = vec![lock(work.relation(), LockMode::ShareUpdateExclusive)];
        let id = format!("rollback/{:04}/index {}", added.operation + 1, added.name);
        let mut step = Step::transaction(id, Some(added.operation), vec![statement], locks);
        if !is_partitioned {
            let probe = format!("SELECT pg_catalog.to_regclass({}) IS NULL", Literal(&index.sql()));
            step.is_done = Probe(Some(probe));
            step.mode = Mode::DropIndex { index };
        }
        step
    };
    work.table.added_indexes.iter().map(drop).collect()
}

/// Two steps of one operation may have the same words: the second gets a number.
fn number(plan: &mut Plan) {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    let lists = [
        &mut plan.start,
        &mut plan.validate,
        &mut plan.views,
        &mut plan.complete,
        &mut plan.rollback,
    ];
    for step in lists.into_iter().flatten() {
        let count = seen.entry(step.id.clone()).or_insert(0);
        *count += 1;
        if *count > 1 {
            step.id = format!("{}#{count}", step.id);
        }
    }
}
