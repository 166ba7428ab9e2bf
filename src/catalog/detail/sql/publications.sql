-- Publications that name tables of one schema, with their column lists and row filters, one row of JSON each. $1: schema.
-- Locks: ACCESS SHARE on catalogs. PostgreSQL 15+ (older ones have neither lists nor filters).
select r.prrelid, pg_catalog.json_build_object(
    'name', p.pubname,
    'columns', case when r.prattrs is not null then
        array(select a.attname from pg_catalog.pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs::int2[]) order by a.attnum) end,
    'filter', pg_catalog.pg_get_expr(r.prqual, r.prrelid),
    'filter_columns', array(select distinct a.attname from pg_catalog.pg_depend d
                     join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                     where d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass and d.objid = r.oid
                       and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = r.prrelid and d.refobjsubid > 0))::text
from pg_catalog.pg_publication_rel r
join pg_catalog.pg_publication p on p.oid = r.prpubid
join pg_catalog.pg_class c on c.oid = r.prrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1
order by r.prrelid, p.pubname collate "C"
