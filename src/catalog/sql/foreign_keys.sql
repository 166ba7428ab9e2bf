-- Foreign keys of user tables, without those that partitions inherit. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select k.oid, k.conname::text as name, k.convalidated as is_valid,
       fn.nspname::text as from_schema, f.relname::text as from_name,
       tn.nspname::text as to_schema, t.relname::text as to_name,
       array(select a.attname::text from pg_catalog.unnest(k.conkey) with ordinality as key(attnum, ord)
             join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.attnum order by key.ord) as from_columns,
       array(select a.attname::text from pg_catalog.unnest(k.confkey) with ordinality as key(attnum, ord)
             join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.attnum order by key.ord) as to_columns
from pg_catalog.pg_constraint k
join pg_catalog.pg_class f on f.oid = k.conrelid
join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
join pg_catalog.pg_class t on t.oid = k.confrelid
join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
where k.contype = 'f' and k.conparentid = 0
order by fn.nspname collate "C", f.relname collate "C", k.conname collate "C"
