-- Live columns of the tables of one schema, one row of JSON each, by table and attribute number. $1: schema.
-- Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
with owned as (
    -- The sequence of an identity column, or the one that the column owns (serial).
    select distinct on (d.refobjid, d.refobjsubid) d.refobjid as relation, d.refobjsubid as attnum, c.oid, c.relacl, c.relowner,
           n.nspname as schema, c.relname as name, q.*
    from pg_catalog.pg_depend d
    join pg_catalog.pg_class c on c.oid = d.objid and c.relkind = 'S'
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_sequence q on q.seqrelid = c.oid
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = d.classid
      and d.deptype in ('a', 'i') and d.refobjsubid > 0
    order by d.refobjid, d.refobjsubid, d.deptype desc, c.oid
)
select a.attrelid, pg_catalog.json_build_object(
    'name', a.attname,
    'number', a.attnum,
    'type_name', pg_catalog.format_type(a.atttypid, a.atttypmod),
    'base_type', pg_catalog.format_type(a.atttypid, -1),
    'type_category', t.typcategory,
    'type_schema', tn.nspname,
    'not_null', a.attnotnull,
    'default', case when a.attgenerated = '' then pg_catalog.pg_get_expr(f.adbin, f.adrelid) end,
    'generated', case when a.attgenerated <> '' then pg_catalog.pg_get_expr(f.adbin, f.adrelid) end,
    'is_virtual', a.attgenerated = 'v',
    'identity', a.attidentity,
    'collation_schema', case when a.attcollation <> t.typcollation then cn.nspname end,
    'collation_name', case when a.attcollation <> t.typcollation then l.collname end,
    'is_deterministic', coalesce(l.collisdeterministic, true),
    'storage', case when a.attstorage <> t.typstorage then a.attstorage end,
    'compression', a.attcompression,
    'statistics', case when a.attstattarget >= 0 then a.attstattarget end,
    'options', a.attoptions,
    'comment', m.description,
    'is_inherited', a.attinhcount > 0,
    'labels', case when t.typtype = 'e' then array(select e.enumlabel from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) end,
    'sequence', case when s.oid is not null then pg_catalog.json_build_object(
        'schema', s.schema, 'name', s.name, 'type_name', pg_catalog.format_type(s.seqtypid, null), 'start', s.seqstart, 'increment', s.seqincrement,
        'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle,
        'comment', pg_catalog.obj_description(s.oid, 'pg_class'),
        'grants', (select pg_catalog.json_agg(pg_catalog.json_build_object(
                       'grantee', case when g.grantee = 0 then null else pg_catalog.pg_get_userbyid(g.grantee) end,
                       'privilege', g.privilege_type, 'is_grantable', g.is_grantable) order by g.grantee, g.privilege_type)
                   from pg_catalog.aclexplode(s.relacl) g where g.grantee <> s.relowner)) end,
    'grants', (select pg_catalog.json_agg(pg_catalog.json_build_object(
                   'grantee', case when g.grantee = 0 then null else pg_catalog.pg_get_userbyid(g.grantee) end,
                   'privilege', g.privilege_type, 'is_grantable', g.is_grantable) order by g.grantee, g.privilege_type)
               from pg_catalog.aclexplode(a.attacl) g))::text
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_type t on t.oid = a.atttypid
join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
left join pg_catalog.pg_collation l on l.oid = a.attcollation
left join pg_catalog.pg_namespace cn on cn.oid = l.collnamespace
left join pg_catalog.pg_description m on m.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and m.objoid = a.attrelid and m.objsubid = a.attnum
left join owned s on s.relation = a.attrelid and s.attnum = a.attnum
where c.relkind in ('r', 'p') and c.relpersistence <> 't' and a.attnum > 0 and not a.attisdropped and n.nspname = $1
order by a.attrelid, a.attnum
