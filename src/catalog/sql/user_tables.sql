-- Ordinary and partitioned user tables: none that is temporary, ours or an extension's. Order: none. Locks: ACCESS
-- SHARE on catalogs. PostgreSQL 14+.
select c.oid, n.nspname::text as schema, c.relname::text as name, c.relispartition as is_partition
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backlot')
  and n.nspname not like 'pg\_temp\_%' and n.nspname not like 'pg\_toast\_temp\_%'
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
