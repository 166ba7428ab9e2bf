//! `backlot roll plan`

use super::arguments::ServerArgs;
use super::{files, start};
use crate::catalog::detail::{self, Schema};
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::migrate::estimate::{self, Estimate};
use crate::migrate::file::MigrationFile;
use crate::migrate::plan::{Backfill, Cost, Key, Mode, Plan, Step};
use crate::roll::{self, Backfilling, Request, Roll, Scrutiny};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(in crate::cli) struct PlanArgs {
    /// The migration: YAML or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What a migration would do, and to what.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    pub(super) schema: Schema,
}

/// Plans a migration, without changing anything.
pub(super) async fn prepare(
    path: &Path,
    file: &MigrationFile,
    server: &ServerArgs,
) -> Result<Prepared, Failure> {
    let mut roll = Roll::open(server.options(Backfilling::default())?).await?;
    let request = Request {
        migration: &file.migration,
        has_views: server.uses_version_schema()?,
        scrutiny: Scrutiny::Full,
    };
    let plan = roll::prepare(&mut roll, request)
        .await
        .map_err(|error| start::placed(error, path, file))?;
    let schema = detail::load(roll.session(), &plan.schema).await?;
    let schema = schema
        .ok_or_else(|| Failure::not_found(format!("schema {} does not exist", plan.schema)))?;
    Ok(Prepared { plan, schema })
}

pub(super) async fn run(
    args: PlanArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let file = files::read(&args.file, global)?;
    let prepared = prepare(&args.file, &file, server).await?;
    if global.json {
        return output::json(&json!({
            "migration": file.migration.name,
            "plan": prepared.plan,
            "estimates": estimates(&prepared),
        }));
    }
    let (name, Prepared { plan, schema }) = (&file.migration.name, &prepared);
    output::line(&format!("migration {name}: {} → {}", plan.schema, plan.version_schema))?;
    phase("start", &plan.start, schema)?;
    if !plan.backfill.is_empty() {
        output::line("\nbackfill")?;
        plan.backfill.iter().try_for_each(|backfill| show_backfill(backfill, schema))?;
    }
    phase("validate", &plan.validate, schema)?;
    phase("views", &plan.views, schema)?;
    phase("complete", &plan.complete, schema)
}

/// By the id of the step or backfill; those that take no time by a table's size are left out.
fn estimates(prepared: &Prepared) -> Value {
    let Prepared { plan, schema } = prepared;
    let steps = [&plan.start, &plan.validate, &plan.views, &plan.complete].into_iter().flatten();
    let of_step = |step: &Step| Some((step.id.clone(), json!(estimate::of_step(step, schema)?)));
    let of_backfill =
        |of: &Backfill| Some((of.id.clone(), json!(estimate::of_backfill(of, schema)?)));
    let all = steps.filter_map(of_step).chain(plan.backfill.iter().filter_map(of_backfill));
    Value::Object(all.collect::<Map<_, _>>())
}

fn phase(name: &str, steps: &[Step], schema: &Schema) -> Result<(), Failure> {
    if steps.is_empty() {
        return Ok(());
    }
    output::line(&format!("\n{name}"))?;
    steps.iter().try_for_each(|step| show_step(step, schema))
}

fn show_step(step: &Step, schema: &Schema) -> Result<(), Failure> {
    let mode = match &step.mode {
        Mode::Transaction => "one transaction",
        Mode::BuildIndex { .. } | Mode::DropIndex { .. } => "outside of a transaction",
        Mode::Script => "as it is written",
    };
    let mut words = vec![mode.to_owned(), cost(&step.cost)];
    words.extend(estimate::of_step(step, schema).map(|estimate| shown(&estimate)));
    if !step.is_reversible {
        words.push("no way back".to_owned());
    }
    output::line(&format!("  {} ({})", step.id, words.join(", ")))?;
    for lock in &step.locks {
        output::line(&format!("    lock {} on {}", lock.mode.as_str(), lock.relation))?;
    }
    for statement in &step.statements {
        output::line(&format!("    {};", statement.replace('\n', "\n    ")))?;
    }
    Ok(())
}

fn show_backfill(backfill: &Backfill, schema: &Schema) -> Result<(), Failure> {
    let key = match &backfill.key {
        Key::Columns(columns) => format!("by key ({})", columns.join(", ")),
        Key::Ctid => "by ranges of pages".to_owned(),
    };
    let mut words = vec![key];
    words.extend(estimate::of_backfill(backfill, schema).map(|estimate| shown(&estimate)));
    output::line(&format!("  {} ({})", backfill.table, words.join(", ")))?;
    backfill.assignments.iter().try_for_each(|one| {
        output::line(&format!("    {} = {}", one.column, one.value.replace('\n', "\n    ")))
    })
}

fn cost(cost: &Cost) -> String {
    match cost {
        Cost::Metadata => "metadata only".to_owned(),
        Cost::Scan { relation } => format!("reads all of {relation}"),
        Cost::Rewrite { relation } => format!("writes {relation} anew"),
        Cost::Build { relation } => format!("builds an index of {relation}"),
        Cost::Unknown => "cost unknown".to_owned(),
    }
}

fn shown(estimate: &Estimate) -> String {
    let size = output::bytes(estimate.bytes);
    let rows = match estimate.rows {
        Some(rows) => format!("about {} rows, {size}", output::count(rows)),
        None => format!("never analysed, {size}"),
    };
    match estimate.seconds {
        Some(seconds) if seconds < 1.0 => format!("{rows}, under a second"),
        Some(seconds) if seconds < 120.0 => format!("{rows}, about {seconds:.0} s"),
        Some(seconds) => format!("{rows}, about {:.0} min", seconds / 60.0),
        None => rows,
    }
}
