-- What else depends on columns of the tables of one schema: functions with a SQL body, generated columns, other objects.
-- Views have their own query; constraints, indexes, triggers, policies, defaults and publications too. $1: schema.
-- Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select d.refobjid, pg_catalog.json_build_object(
    'kind', case when d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass then 'function'
                 when d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass then 'generated'
                 else 'other' end,
    'identity', case when f.oid is not null then f.attname else pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) end,
    'column', a.attname)::text
from pg_catalog.pg_depend d
join pg_catalog.pg_class c on c.oid = d.refobjid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
left join lateral (
    select f.oid, g.attname, g.attnum from pg_catalog.pg_attrdef f
    join pg_catalog.pg_attribute g on g.attrelid = f.adrelid and g.attnum = f.adnum
    where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and f.oid = d.objid and g.attgenerated <> ''
) f on true
where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0
  and c.relkind in ('r', 'p') and n.nspname = $1
  and d.classid <> all (array['pg_catalog.pg_class', 'pg_catalog.pg_rewrite', 'pg_catalog.pg_constraint', 'pg_catalog.pg_trigger',
                              'pg_catalog.pg_policy', 'pg_catalog.pg_publication_rel', 'pg_catalog.pg_statistic_ext']::pg_catalog.regclass[])
  and (d.classid <> 'pg_catalog.pg_attrdef'::pg_catalog.regclass or (f.oid is not null and f.attnum <> d.refobjsubid))
order by d.refobjid, d.refobjsubid, 2
