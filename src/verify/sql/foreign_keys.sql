-- Foreign keys with the operators that they compare by, without those that partitions inherit. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select k.conname::text as name, k.convalidated as is_valid,
       pg_catalog.format('%s%I.%I', case f.relkind when 'p' then '' else 'only ' end, fn.nspname, f.relname) as from_sql,
       pg_catalog.format('%s%I.%I', case t.relkind when 'p' then '' else 'only ' end, tn.nspname, t.relname) as to_sql,
       fn.nspname::text as from_schema, f.relname::text as from_name,
       tn.nspname::text as to_schema, t.relname::text as to_name,
       array(select a.attname::text from pg_catalog.unnest(k.conkey) with ordinality as key(attnum, ord)
             join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.attnum order by key.ord) as from_columns,
       array(select a.attname::text from pg_catalog.unnest(k.confkey) with ordinality as key(attnum, ord)
             join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.attnum order by key.ord) as to_columns,
       array(select pg_catalog.format('operator(%I.%s)', ons.nspname, o.oprname)
             from pg_catalog.unnest(k.conpfeqop) with ordinality as op(oid, ord)
             join pg_catalog.pg_operator o on o.oid = op.oid
             join pg_catalog.pg_namespace ons on ons.oid = o.oprnamespace order by op.ord) as operators,
       -- PERIOD (18+): the last column is contained in the union of several rows' ranges.
       coalesce(pg_catalog.to_jsonb(k) ->> 'conperiod' = 'true', false) as is_period
from pg_catalog.pg_constraint k
join pg_catalog.pg_class f on f.oid = k.conrelid
join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
join pg_catalog.pg_class t on t.oid = k.confrelid
join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
where k.contype = 'f' and k.conparentid = 0 and fn.nspname <> 'backlot'
order by fn.nspname collate "C", f.relname collate "C", k.conname collate "C"
