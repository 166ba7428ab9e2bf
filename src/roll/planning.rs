//! From a migration to its plan, on the schema as it is now.

use super::{Named, Progress, Roll, RollError};
use crate::catalog::detail;
use crate::migrate::file::Migration;
use crate::migrate::model::Model;
use crate::migrate::plan::{Plan, Step, Versions, plan, version_views};

/// How much of a migration is looked at before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrutiny {
    /// The plan, and every expression by the server.
    Full,
    /// Only what the plan itself needs (`--skip-validation`).
    Least,
}

/// A migration and the choices of its start.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub migration: &'a Migration,
    /// False: no schemas of views are made for versions.
    pub has_views: bool,
    pub scrutiny: Scrutiny,
}

/// The plan of a migration, after the server has judged its expressions. Nothing is changed.
pub async fn prepare(roll: &mut Roll, request: Request<'_>) -> Result<Plan, RollError> {
    let versions = versions(roll, request).await?;
    let model = model(roll).await?;
    let invalid = |findings| RollError::Invalid { name: request.migration.name.clone(), findings };
    let plan = plan(&model, request.migration, &versions).map_err(invalid)?;
    if request.scrutiny == Scrutiny::Full {
        let findings = roll.check(&plan.checks).await?;
        if !findings.is_empty() {
            return Err(invalid(findings));
        }
    }
    Ok(plan)
}

/// Starts a migration, or goes on with a start that was interrupted. Gives the new version's schema.
pub async fn start(
    roll: &mut Roll,
    request: Request<'_>,
    progress: &Progress,
) -> Result<String, RollError> {
    let document = request.migration.to_value().to_string();
    let named = Named { name: &request.migration.name, document: &document };
    let plan = match super::begin(roll, named).await? {
        super::Begun::HalfWay(plan) => {
            super::resume(roll, progress).await?;
            *plan
        }
        super::Begun::Anew => {
            let plan = prepare(roll, request).await?;
            super::go_on(roll, named, &plan, progress).await?;
            plan
        }
    };
    Ok(plan.version_schema)
}

/// The views of a version, for a schema that only the server knew before its own SQL ran.
pub(super) async fn reloaded_views(roll: &Roll, plan: &Plan) -> Result<Vec<Step>, RollError> {
    if plan.views.is_empty() {
        return Ok(Vec::new());
    }
    let versions = Versions {
        previous: previous_schema(roll, Some(&plan.version_schema)).await?,
        next: plan.version_schema.clone(),
        has_views: true,
    };
    Ok(version_views(&model(roll).await?, &versions))
}

/// The version's views again, for a schema that the user's SQL changed at complete.
pub(super) async fn refreshed_views(roll: &Roll, plan: &Plan) -> Result<Vec<Step>, RollError> {
    Ok(crate::migrate::plan::refreshed_views(&model(roll).await?, &plan.version_schema))
}

async fn model(roll: &Roll) -> Result<Model, RollError> {
    let schema = &roll.options.schema;
    let detail = detail::load(&roll.session, schema)
        .await
        .map_err(RollError::query(format!("read schema {schema}")))?;
    detail.map(Model::new).ok_or_else(|| RollError::NoSchema { schema: schema.clone() })
}

async fn versions(roll: &Roll, request: Request<'_>) -> Result<Versions, RollError> {
    Ok(Versions {
        previous: previous_schema(roll, None).await?,
        next: format!("{}_{}", roll.options.schema, request.migration.version()),
        has_views: request.has_views,
    })
}

/// The schema of the version that is there, other than the one that is being made.
async fn previous_schema(roll: &Roll, next: Option<&str>) -> Result<Option<String>, RollError> {
    let state = roll.state();
    let read = async {
        let latest = state.latest_version().await?;
        let schema = |version: String| format!("{}_{version}", roll.options.schema);
        match latest.map(schema) {
            Some(latest) if Some(latest.as_str()) == next => {
                Ok(state.previous_version().await?.map(schema))
            }
            other => Ok(other),
        }
    };
    read.await.map_err(RollError::query("read the history"))
}
