-- Tables that the given publications list (the leaf, or with publish_via_partition_root the topmost published parent),
-- each once: whether it is partitioned, and whether one of the publications sends its UPDATE.
-- Order: none. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select t.schemaname::text as schema, t.tablename::text as name,
       pg_catalog.bool_or(c.relkind = 'p') as is_partitioned, pg_catalog.bool_or(p.pubupdate) as has_updates
from pg_catalog.pg_publication p
join pg_catalog.pg_publication_tables t on t.pubname = p.pubname
join pg_catalog.pg_namespace n on n.nspname = t.schemaname
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
where p.pubname = any ($1)
group by 1, 2
