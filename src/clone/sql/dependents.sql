-- Everything that depends on the given relations, as (catalog, object); tables among it that were not given are
-- returned with their names. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
with recursive gone (class, object) as (
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, given.oid
    from pg_catalog.unnest($1::pg_catalog.oid[]) as given (oid)
    union
    select dependent.class, dependent.object
    from gone
    join pg_catalog.pg_depend d on d.refclassid = gone.class and d.refobjid = gone.object and d.deptype in ('n', 'a', 'i', 'P', 'S')
    left join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid
    cross join lateral (select case when r.oid is null then d.classid else 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid end as class,
                               coalesce(r.ev_class, d.objid) as object) dependent
)
select gone.class, gone.object, c.relkind::text as kind, n.nspname::text as schema, c.relname::text as name
from gone
left join pg_catalog.pg_class c on gone.class = 'pg_catalog.pg_class'::pg_catalog.regclass and c.oid = gone.object
left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
