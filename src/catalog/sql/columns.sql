-- Live columns of all user tables, by table and attribute number. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select a.attrelid as table_oid, a.attnum as number, a.attname::text as name, a.atttypid as type_oid,
       a.atttypmod as type_modifier, pg_catalog.format_type(a.atttypid, a.atttypmod) as type_name,
       a.attnotnull as not_null, a.attgenerated::text as generated, a.attidentity::text as identity,
       pg_catalog.col_description(a.attrelid, a.attnum) as comment
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backlot')
order by a.attrelid, a.attnum
