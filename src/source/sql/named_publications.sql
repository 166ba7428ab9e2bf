-- What the given publications publish: a row for each relation of each, as they list it (the leaf, or with
-- publish_via_partition_root the topmost published parent), with the leaves below it; a row without a relation for a
-- publication that lists none. `columns` and `filter` are null below 15, which has neither.
-- Order: none. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select p.pubname::text as publication, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
       t.schemaname::text as schema, t.tablename::text as name,
       (select pg_catalog.array_agg(a) from pg_catalog.jsonb_array_elements_text(
            nullif(pg_catalog.to_jsonb(t) -> 'attnames', 'null'::pg_catalog.jsonb)) a) as columns,
       pg_catalog.to_jsonb(t) ->> 'rowfilter' as filter,
       coalesce((select pg_catalog.array_agg(c.oid)
                 from pg_catalog.pg_partition_tree(pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.schemaname, t.tablename))) leaf
                 join pg_catalog.pg_class c on c.oid = leaf.relid and leaf.isleaf),
                array[(pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.schemaname, t.tablename)))::pg_catalog.oid]) as leaves
from pg_catalog.pg_publication p
left join pg_catalog.pg_publication_tables t on t.pubname = p.pubname
where p.pubname = any ($1)
