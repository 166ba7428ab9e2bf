//! Takes back a migration that a pgroll has under way. It has no plan: its names tell what to undo.

use super::rollback::{Rollback, take_back};
use super::{Ended, Progress, Roll, RollError, start};
use crate::catalog::RelationName;
use crate::migrate::file::{Migration, from_json};
use crate::migrate::plan::{Rest, RestOfTable, undo};
use crate::state::roll::{Kind, Outcome, Record};
use serde_json::Value;

const AT_WORK: &str = "select 'process ' || a.pid || ' (' || a.application_name || ')' \
    from pg_catalog.pg_stat_activity a where a.datname = pg_catalog.current_database() \
    and a.application_name in ('pgroll', 'pgroll-state') limit 1";
const HAS_SCHEMA: &str =
    "select exists (select from pg_catalog.pg_namespace where nspname = $1::text::name)";
/// pgroll's own scratch table has the columns of another.
const TABLES: &str = "select c.relname::text, array(select a.attname::text from pg_catalog.pg_attribute a \
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where n.nspname = $1::text and c.relkind in ('r', 'p') and not c.relispartition \
    and c.relname <> '_pgroll_temp_fastpath_check' order by 1";
/// Not those of a migration of another schema.
const FUNCTIONS: &str = "with own as (select t.tgfoid, min(c.relname::text) as relname, \
        bool_and(n.nspname = $1::text) as is_here \
        from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid \
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
        where not t.tgisinternal and t.tgparentid = 0 group by t.tgfoid) \
    select n.nspname::text, p.proname::text, o.relname \
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    left join own o on o.tgfoid = p.oid \
    where p.pronargs = 0 and pg_catalog.starts_with(p.proname::text, '_pgroll_trigger_') \
    and coalesce(o.is_here, n.nspname = $1::text) order by 1, 2";

/// As [`super::rollback()`].
pub(super) async fn rollback(
    roll: &mut Roll,
    name: String,
    is_dry_run: bool,
    progress: &Progress,
) -> Result<Rollback, RollError> {
    let history = roll.state().history().await.map_err(RollError::query("read the history"))?;
    let at = history.iter().position(|record| record.name == name);
    let Some((above, record)) = at.and_then(|at| history.split_at_checked(at)) else {
        return Err(RollError::Foreign { name });
    };
    let Some(record) = record.first() else { return Err(RollError::Foreign { name }) };
    let unreadable = |reason: String| RollError::Journal { name: name.clone(), reason };
    let migration = from_json(&name, &record.migration).map_err(|mistakes| {
        let first = mistakes.first().map(|mistake| mistake.diagnostic.message.clone());
        unreadable(first.unwrap_or_default())
    })?;
    refuse_at_work(roll).await?;
    let rest = rest(roll).await?;
    if may_be_completing(roll, above, &migration, &rest).await? {
        return Err(RollError::ForeignCompleting { name });
    }
    let plan = undo(&roll.options.schema, &migration, &rest);
    let statements = plan.rollback.iter().flat_map(|step| step.statements.clone()).collect();
    if !is_dry_run {
        let document = start::written(&name, &plan)?;
        let adopted = roll.state().adopt(&name, &document).await;
        adopted.map_err(RollError::query("note the migration"))?;
        take_back(roll, &name, &plan, progress).await?;
    }
    Ok(Rollback { ended: Ended::now(name, Outcome::RolledBack), statements })
}

/// It takes no lock that we could see.
async fn refuse_at_work(roll: &Roll) -> Result<(), RollError> {
    let row = roll.session.query_opt(AT_WORK, &[]).await;
    match row.map_err(|error| RollError::query("look for a pgroll")(error.into()))? {
        Some(row) => {
            Err(RollError::Busy { schema: roll.options.schema.clone(), holder: row.get(0) })
        }
        None => Ok(()),
    }
}

/// A pgroll notes nothing of a complete that has begun. It drops the old version first.
async fn may_be_completing(
    roll: &Roll,
    above: &[Record],
    migration: &Migration,
    rest: &Rest,
) -> Result<bool, RollError> {
    if rest.is_last_copy(migration) {
        return Ok(true);
    }
    let old = above.iter().rev().find(|record| record.kind != Kind::Inferred);
    let has_new = has_version(roll, migration.version()).await?;
    if let Some(old) = old.filter(|old| old.kind == Kind::File) {
        if has_version(roll, &version(old)).await? {
            return Ok(false);
        }
        if has_new {
            return Ok(true);
        }
    }
    Ok(!rest.is_whole(migration))
}

fn version(record: &Record) -> String {
    let document = serde_json::from_str::<Value>(&record.migration).ok();
    let named = document.as_ref().and_then(|document| document.get("version_schema")?.as_str());
    named.unwrap_or(&record.name).to_owned()
}

async fn has_version(roll: &Roll, version: &str) -> Result<bool, RollError> {
    let schema = format!("{}_{version}", roll.options.schema);
    let row = roll.session.query_one(HAS_SCHEMA, &[&schema]).await;
    Ok(row.map_err(|error| RollError::query("look for versions")(error.into()))?.get(0))
}

async fn rest(roll: &Roll) -> Result<Rest, RollError> {
    let schema = &roll.options.schema;
    let read = async {
        let tables = roll.session.query(TABLES, &[schema]).await?;
        Ok((tables, roll.session.query(FUNCTIONS, &[schema]).await?))
    };
    let (tables, functions) = read.await.map_err(|error: tokio_postgres::Error| {
        RollError::query("look for what the pgroll left")(error.into())
    })?;
    let mut rest = Rest::default();
    rest.tables.extend(tables.iter().map(|row| RestOfTable {
        name: row.get(0),
        columns: row.get::<_, Vec<String>>(1).into_iter().collect(),
        functions: Vec::new(),
    }));
    for row in &functions {
        let function = RelationName::new(row.get::<_, &str>(0), row.get::<_, &str>(1));
        let table = row.get::<_, Option<&str>>(2);
        match rest.tables.iter_mut().find(|one| Some(one.name.as_str()) == table) {
            Some(table) => table.functions.push(function),
            None => rest.functions.push(function),
        }
    }
    Ok(rest)
}
