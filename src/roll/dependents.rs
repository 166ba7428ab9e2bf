//! What others made that reads a version's views: it would keep them from being dropped, or go with
//! them.

use super::{Roll, RollError};

/// By its views and their row types; a view's own rule is not told of.
const ON_VERSION: &str = "with version as (
    select c.oid as relation, c.reltype as row_type, t.typarray as array_type
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_type t on t.oid = c.reltype
    where n.nspname = $1::text and c.relkind = 'v'),
used as (
    select relation, 'pg_catalog.pg_class'::pg_catalog.regclass as class, relation as object from version
    union all select relation, 'pg_catalog.pg_type'::pg_catalog.regclass, row_type from version
    union all select relation, 'pg_catalog.pg_type'::pg_catalog.regclass, array_type from version)
select distinct case
    when r.oid is null then pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    else pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class, 0) end
from used u
join pg_catalog.pg_depend d on d.refclassid = u.class and d.refobjid = u.object
left join pg_catalog.pg_rewrite r
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid
where d.deptype = 'n' and r.ev_class is distinct from u.relation
order by 1";

/// Refuses where something of others depends on the version.
pub(super) async fn refuse(roll: &Roll, version_schema: &str) -> Result<(), RollError> {
    let rows = roll.session.query(ON_VERSION, &[&version_schema]).await;
    let rows =
        rows.map_err(|error| RollError::query("look for dependent objects")(error.into()))?;
    if rows.is_empty() {
        return Ok(());
    }
    let schema = version_schema.to_owned();
    Err(RollError::Depended { schema, objects: rows.iter().map(|row| row.get(0)).collect() })
}
