//! The publications of a new stream.

use super::super::error::CloneError;
use super::super::options::Follow;
use super::super::run::Planned;
use super::FollowError;
use crate::catalog::TableId;
use crate::pg::{Error, Oid, Session};
use crate::source::publication::{
    Followed, NamedProblem, PublicationNames, PublicationPlan, RelationIdentity, check_named,
    create_publications, plan_publications, relation_identities, statements,
};
use crate::transform::spec::{Diagnostic, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Makes a slot's publications, or checks those that the configuration names.
pub(super) async fn publish(
    source: &Session,
    follow: &Follow,
    names: &PublicationNames,
    planned: &Planned,
) -> Result<(Vec<String>, Vec<Followed>), CloneError> {
    let failed = CloneError::query("read the tables' replica identities");
    let identities = relation_identities(source, &planned.catalog).await.map_err(failed)?;
    if !follow.publications.is_empty() {
        let given = follow.publications.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
        let followed = named_publications(source, &given, planned, &identities).await?;
        let followed = followed.map_err(|problems| diagnostics(follow, &problems))?;
        return Ok((given, followed));
    }
    let plan = plan_publications(&planned.catalog, &copied(planned), &identities);
    may_publish(source, names, &plan, &identities).await?;
    let made = create_publications(source, names, &plan).await.map_err(FollowError::Publication)?;
    // A primary key may have been dropped before the locks were taken.
    let failed = CloneError::query("read the tables' replica identities");
    let after = relation_identities(source, &planned.catalog).await.map_err(failed)?;
    if plan_publications(&planned.catalog, &copied(planned), &after) != plan {
        super::leave::undo(source, "", &made).await?;
        return Err(FollowError::TablesChanged.into());
    }
    Ok((made, plan.tables))
}

/// What publications bring that are there.
pub(super) async fn followed(
    source: &Session,
    names: &[String],
    planned: &Planned,
) -> Result<Vec<Followed>, CloneError> {
    let failed = CloneError::query("read the tables' replica identities");
    let identities = relation_identities(source, &planned.catalog).await.map_err(failed)?;
    let followed = named_publications(source, names, planned, &identities).await?;
    followed.map_err(|problems| diagnostics(&Follow::default(), &problems))
}

async fn named_publications(
    source: &Session,
    names: &[String],
    planned: &Planned,
    identities: &BTreeMap<Oid, RelationIdentity>,
) -> Result<Result<Vec<Followed>, Vec<NamedProblem>>, CloneError> {
    check_named(source, names, &planned.catalog, &copied(planned), identities)
        .await
        .map_err(CloneError::query("read the publications"))
}

fn copied(planned: &Planned) -> BTreeSet<TableId> {
    planned.jobs.iter().map(|job| job.table).collect()
}

fn diagnostics(follow: &Follow, problems: &[NamedProblem]) -> CloneError {
    let diagnostic = |problem: &NamedProblem| {
        let named = follow.publications.iter();
        let mut of = named.filter(|name| Some(&name.value) == problem.publication.as_ref());
        let first = follow.publications.first();
        let place = of.next().or(first).map_or_else(Place::default, |name| name.place);
        let file = if follow.config_file.is_empty() { "publications" } else { &follow.config_file };
        Diagnostic::error(file, place, problem.message.clone()).with_hint(problem.fix.clone())
    };
    CloneError::Config(problems.iter().map(diagnostic).collect())
}

/// CREATE PUBLICATION wants CREATE on the database and the ownership of every table.
async fn may_publish(
    source: &Session,
    names: &PublicationNames,
    plan: &PublicationPlan,
    identities: &BTreeMap<Oid, RelationIdentity>,
) -> Result<(), CloneError> {
    let sql = "select pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'), \
               pg_catalog.current_database()::text";
    let row = source.query_one(sql, &[]).await.map_err(Error::from);
    let row = row.map_err(CloneError::query("read the role's rights"))?;
    let mut lacks = Vec::new();
    if !row.get::<_, bool>(0) {
        lacks.push(format!("CREATE on database {}", row.get::<_, String>(1)));
    }
    let published = plan.whole.iter().chain(&plan.insert_only).collect::<BTreeSet<_>>();
    for published in published {
        if let Some(identity) = identities.get(&published.oid).filter(|found| !found.is_owned) {
            lacks.push(format!("ownership of {} (owner: {})", published.name, identity.owner));
        }
    }
    if lacks.is_empty() {
        return Ok(());
    }
    let statements = statements(names, plan);
    Err(FollowError::MayNotPublish { lacks, statements, names: names.used(plan) }.into())
}

/// Oldest PostgreSQL that decodes on a standby.
const STANDBY_MAJOR: i32 = 16;

/// What can be known before anything is made.
pub(super) async fn followable(source: &Session, follow: &Follow) -> Result<(), CloneError> {
    let sql = "select pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery(), \
               pg_catalog.current_setting('server_version_num')::int4 / 10000";
    let row = source.query_one(sql, &[]).await.map_err(Error::from);
    let row = row.map_err(CloneError::query("read the source's settings"))?;
    let (wal_level, is_standby, major): (String, bool, i32) = (row.get(0), row.get(1), row.get(2));
    let refuse =
        |what: String, fix: &str| Err(FollowError::NotFollowable { what, fix: fix.into() }.into());
    if wal_level != "logical" {
        let fix = "alter system set wal_level = logical; and restart the source";
        return refuse(format!("its wal_level is {wal_level}"), fix);
    }
    if is_standby && major < STANDBY_MAJOR {
        let fix = "follow its primary";
        return refuse(format!("it is a standby of PostgreSQL {major}"), fix);
    }
    if is_standby && follow.publications.is_empty() {
        let fix = "make the publications on the primary and name them under `publications:` in the configuration";
        return refuse("it is a standby, where no publication can be made".into(), fix);
    }
    Ok(())
}
