-- Extensions' tables that may hold users' rows, with the condition that finds these (it may be empty), by extension and name.
-- Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select e.extname::text as extension, n.nspname::text as schema, c.relname::text as name,
       coalesce(config.condition, '') as condition,
       pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as is_readable
from pg_catalog.pg_extension e
cross join lateral rows from (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) as config(oid, condition)
join pg_catalog.pg_class c on c.oid = config.oid and c.relkind in ('r', 'p')
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
order by e.extname collate "C", n.nspname collate "C", c.relname collate "C"
