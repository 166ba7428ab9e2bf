-- Extended statistics on the tables of one schema, one row of JSON each. $1: schema. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select s.stxrelid, pg_catalog.json_build_object(
    'schema', sn.nspname,
    'name', s.stxname,
    'definition', pg_catalog.pg_get_statisticsobjdef(s.oid),
    'target', case when s.stxstattarget >= 0 then s.stxstattarget end,
    'columns', array(select distinct a.attname from pg_catalog.pg_depend d
                     join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                     where d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass and d.objid = s.oid
                       and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = s.stxrelid and d.refobjsubid > 0),
    'comment', pg_catalog.obj_description(s.oid, 'pg_statistic_ext'))::text
from pg_catalog.pg_statistic_ext s
join pg_catalog.pg_namespace sn on sn.oid = s.stxnamespace
join pg_catalog.pg_class c on c.oid = s.stxrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1
order by s.stxrelid, s.stxname collate "C"
