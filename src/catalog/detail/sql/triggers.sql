-- Triggers that users made on the tables of one schema, one row of JSON each. $1: schema. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select t.tgrelid, pg_catalog.json_build_object(
    'name', t.tgname,
    'definition', pg_catalog.pg_get_triggerdef(t.oid),
    'enabled', t.tgenabled,
    'function', p.proname,
    -- UPDATE OF and WHEN.
    'columns', array(select distinct a.attname from pg_catalog.pg_depend d
                     join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                     where d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and d.objid = t.oid
                       and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = t.tgrelid and d.refobjsubid > 0),
    'comment', pg_catalog.obj_description(t.oid, 'pg_trigger'))::text
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_proc p on p.oid = t.tgfoid
where not t.tgisinternal and t.tgparentid = 0 and c.relkind in ('r', 'p') and n.nspname = $1
order by t.tgrelid, t.tgname collate "C"
