-- Tables that publications of any kind publish with updates or deletes: (publications, relation oid).
-- Order: none. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select c.oid, pg_catalog.string_agg(distinct p.pubname::text, ', ') as publications
from pg_catalog.pg_publication p
join pg_catalog.pg_publication_tables t on t.pubname = p.pubname
join pg_catalog.pg_namespace n on n.nspname = t.schemaname
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
where p.pubupdate or p.pubdelete
group by 1
