-- Tables whose replica identity is an index, and its columns in key order. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select n.nspname::text as schema, c.relname::text as name,
       pg_catalog.array_agg(a.attname::text order by key.position) as columns
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_index i on i.indrelid = c.oid
 and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end
cross join lateral pg_catalog.unnest(i.indkey::pg_catalog.int2[]) with ordinality key (attnum, position)
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = key.attnum
where c.relkind in ('r', 'p') and key.position <= i.indnkeyatts
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backlot')
group by n.nspname, c.relname
