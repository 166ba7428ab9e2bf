-- Policies on the tables of one schema, one row of JSON each. $1: schema. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select p.polrelid, pg_catalog.json_build_object(
    'name', p.polname,
    'is_permissive', p.polpermissive,
    'command', p.polcmd,
    -- Empty: all.
    'roles', array(select pg_catalog.pg_get_userbyid(r.oid) from pg_catalog.unnest(p.polroles) as r(oid) where r.oid <> 0),
    'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
    'with_check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
    'columns', array(select distinct a.attname from pg_catalog.pg_depend d
                     join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                     where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = p.oid
                       and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = p.polrelid and d.refobjsubid > 0),
    'comment', pg_catalog.obj_description(p.oid, 'pg_policy'))::text
from pg_catalog.pg_policy p
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1
order by p.polrelid, p.polname collate "C"
